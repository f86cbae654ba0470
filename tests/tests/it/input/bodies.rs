//! Bodies that are not a JSON object.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{Answer, Backend};

use super::{Operation, Stage, codes, pointers};

async fn send(stage: &Stage, operation: &Operation, body: impl Into<Vec<u8>>) -> Answer {
    let request = stage
        .app
        .system_admin
        .request(operation.method.clone(), &operation.path)
        .header("Content-Type", "application/json")
        .body(body.into());
    Answer::read(request).await
}

#[rstest]
#[tokio::test]
async fn what_is_not_json_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    let bodies: [&[u8]; 30] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{]",
        b"{\"name\"}",
        b"{\"name\":}",
        b"{\"name\": \"x\",}",
        b"{\"name\": \"x\"} {}",
        b"{\"name\": \"x\"}\0",
        b"{'name': 'x'}",
        b"{name: \"x\"}",
        b"{\"name\": \"x\" /* y */}",
        b"{\"name\": NaN}",
        b"{\"name\": Infinity}",
        b"{\"name\": 01}",
        b"{\"name\": +1}",
        b"{\"name\": .5}",
        b"{\"name\": tru}",
        b"{\"name\": \"line\nbreak\"}",
        b"{\"name\": \"tab\tstop\"}",
        b"{\"name\": \"\0\"}",
        b"{\"name\": \"\\x41\"}",
        b"{\"name\": \"\\u12\"}",
        // A byte order mark is no JSON (RFC 8259, section 8.1).
        b"\xef\xbb\xbf{}",
        // UTF-16.
        b"{\0}\0",
        // Bytes that are no UTF-8: a lone start, an overlong slash, a surrogate, beyond Unicode.
        b"{\"name\": \"\xc3\"}",
        b"{\"name\": \"\xc0\xaf\"}",
        b"{\"name\": \"\xed\xa0\x80\"}",
        b"{\"name\": \"\xf4\x90\x80\x80\"}",
    ];
    for operation in &stage.operations {
        for body in bodies {
            let problem = send(&stage, operation, body)
                .await
                .is_problem(400, "malformed-json");
            assert!(
                problem["errors"].is_null(),
                "{}: {problem}",
                body.escape_ascii()
            );
        }
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn half_a_surrogate_is_refused_and_a_pair_is_a_character(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for half in [
        r"\ud83d",
        r"\ude00",
        r"\ud83dx",
        r"\ud83d\ud83d",
        r"\ude00\ud83d",
    ] {
        for body in [
            format!(r#"{{"name": "{half}"}}"#),
            format!(r#"{{"{half}": 1}}"#),
            format!(r#"{{"metadata": {{"deep": ["{half}"]}}}}"#),
        ] {
            for operation in &stage.operations {
                send(&stage, operation, body.clone())
                    .await
                    .is_problem(400, "malformed-json");
            }
        }
    }
    assert_eq!(stage.content().await, before);
    let patch = (stage.operations.iter())
        .find(|one| one.method == Method::PATCH && one.path.contains("organizations"))
        .unwrap();
    let answer = send(&stage, patch, r#"{"name": "\ud83d\ude00"}"#).await;
    assert_eq!(answer.ok()["name"], "😀");
}

#[rstest]
#[tokio::test]
async fn json_that_is_no_object_is_refused_as_a_whole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        for body in ["null", "true", "1", "\"{}\"", "[]", "[{}]"] {
            let problem = send(&stage, operation, body)
                .await
                .is_problem(422, "invalid");
            assert_eq!(pointers(&problem), [String::new()].into(), "{body}");
            assert_eq!(codes(&problem), ["wrong-type"].into(), "{body}");
        }
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_cut_off_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    // A body that would do, did the connection not break: less than was announced, and a chunk without its end.
    let body = json!({"name": "Example", "slug": "example"}).to_string();
    for (name, value, sent) in [
        ("Content-Length", "1000".to_owned(), body.clone()),
        (
            "Transfer-Encoding",
            "chunked".to_owned(),
            format!("{:x}\r\n{body}\r\n", body.len()),
        ),
    ] {
        let mut exchange = tests::RawRequest::new(&stage.app.url, "POST", "/v1/organizations")
            .key(stage.app.system_admin.key())
            .header("Content-Type", "application/json")
            .header(name, value)
            .open()
            .await;
        exchange.write(sent.as_bytes()).await;
        exchange.hang_up().await;
    }
    // A request behind them is answered, and tells that those are done with.
    stage.app.system_admin.get("/v1/organizations").await.ok();
    assert_eq!(stage.content().await, before);
}
