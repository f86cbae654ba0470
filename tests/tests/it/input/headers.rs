//! Headers that are absent, repeated or not of their form.

use rstest::rstest;
use serde_json::json;
use tests::{Answer, Backend, RawRequest, TestApp, content};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A header by its name and its bytes.
type Header<'a> = (&'a str, &'a [u8]);

const JSON: Header<'_> = ("Content-Type", b"application/json");
const BODY: &str = r#"{"name": "Example", "slug": "example"}"#;

async fn post(app: &TestApp, headers: &[Header<'_>]) -> Answer {
    let mut request =
        RawRequest::new(&app.url, "POST", "/v1/organizations").key(app.system_admin.key());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send_body(BODY).await
}

async fn get(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let mut request = RawRequest::new(&app.url, "GET", "/v1/organizations");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await
}

#[rstest]
#[tokio::test]
async fn a_credential_is_good_as_it_is_or_not_at_all(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let key = app.system_admin.key();
    let bearer = format!("Bearer {key}");
    let lower = format!("bearer {key}");
    for headers in [
        &[("Authorization", &*bearer)][..],
        &[("Authorization", &*lower)],
        &[("X-Api-Key", key)],
    ] {
        get(&app, headers).await.expect(200);
    }
    let padded = format!("{bearer},{bearer}");
    let basic = format!("Basic {key}");
    let cut = &bearer[..bearer.len() - 1];
    for headers in [
        &[][..],
        &[("Authorization", &*padded)],
        &[("Authorization", &*basic)],
        &[("Authorization", key)],
        &[("Authorization", cut)],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "")],
        &[("Authorization", "Bearer rbk_é_é_é")],
        &[("X-Api-Key", "")],
    ] {
        let answer = get(&app, headers).await;
        let problem = answer.is_problem(401, "unauthenticated");
        assert_eq!(problem["detail"], "No valid credential was sent.");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"rollbook\"")
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_body_says_that_it_is_json(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let refused: [&[Header<'_>]; 15] = [
        &[],
        &[("Content-Type", b"")],
        &[("Content-Type", b"text/plain")],
        &[("Content-Type", b"application/x-www-form-urlencoded")],
        &[("Content-Type", b"application/json5")],
        &[("Content-Type", b"application/problem+json")],
        // A merge patch is for PATCH.
        &[("Content-Type", b"application/merge-patch+json")],
        &[("Content-Type", b"application/json; charset=utf-16")],
        &[("Content-Type", b"application/json; charset=\"latin1\"")],
        &[("Content-Type", b"\xff\xfe")],
        &[JSON, JSON],
        &[JSON, ("Content-Encoding", b"gzip")],
        &[JSON, ("Content-Encoding", b"br")],
        &[
            JSON,
            ("Content-Encoding", b"identity"),
            ("Content-Encoding", b"gzip"),
        ],
        &[JSON, ("Content-Encoding", b"identity, deflate")],
    ];
    for headers in refused {
        post(&app, headers)
            .await
            .is_problem(415, "unsupported-media-type");
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[case("application/json")]
#[case("APPLICATION/JSON")]
#[case("application/json; charset=utf-8")]
#[case("application/json;charset=\"UTF-8\"")]
#[case("application/json ; Charset=utf-8 ; profile=x")]
#[tokio::test]
async fn json_may_be_called_what_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] media_type: &str,
) {
    let app = TestApp::start(backend).await;
    let headers: &[Header<'_>] = &[
        ("Content-Type", media_type.as_bytes()),
        ("Content-Encoding", b"identity"),
    ];
    post(&app, headers).await.created();
}

#[rstest]
#[tokio::test]
async fn an_idempotency_key_is_one_visible_word(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let long = vec![b'x'; 256];
    for values in [
        &[&b""[..]][..],
        &[b"two words"],
        &[b"\xc3\xa9"],
        &[&long],
        &[b"a", b"a"],
    ] {
        let mut headers = vec![JSON];
        headers.extend(values.iter().map(|value| ("Idempotency-Key", *value)));
        let problem = post(&app, &headers).await.is_problem(400, "bad-parameter");
        assert_eq!(problem["errors"][0]["pointer"], "/Idempotency-Key");
    }
    assert_eq!(content(&connection).await, before);
    post(&app, &[JSON, ("Idempotency-Key", &long[1..])])
        .await
        .created();
}

#[rstest]
#[tokio::test]
async fn other_headers_may_hold_anything(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let long = vec![b'x'; 5_000];
    let agents: [&[u8]; 5] = [
        b"",
        b"\xff\xfe",
        "brows\u{e9}r".as_bytes(),
        b"tab\tstop",
        &long,
    ];
    for (index, agent) in agents.into_iter().enumerate() {
        let body = json!({"name": "Example", "slug": format!("example-{index}")});
        let answer = RawRequest::new(&app.url, "POST", "/v1/organizations")
            .key(app.system_admin.key())
            .header("Content-Type", "application/json")
            .header("User-Agent", agent)
            .header("X-Correlation-Id", agent)
            .header("X-Causation-Id", agent)
            .header("Accept", agent)
            .header("X-Forwarded-For", agent)
            .send_body(body.to_string())
            .await;
        let events = app.events_of(tests::id_of(&answer.created())).await;
        let kept = events[0]["user_agent"].as_str().unwrap_or_default();
        assert!(kept.chars().count() <= 500, "{kept}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_no_http_is_refused_and_the_server_goes_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for (method, target) in [
        ("GET", "/v1/organi zations"),
        ("G\u{0}T", "/v1/organizations"),
        ("GET", "/v1/organizations\u{7f}"),
        ("", ""),
        ("\u{16}\u{3}\u{1}", "not TLS"),
    ] {
        let answer = RawRequest::new(&app.url, method, target).send().await;
        is_refused(&answer, 400, "malformed-request");
    }
    for (name, value, status, slug) in [
        ("Bad Name", &b"x"[..], 400, "malformed-request"),
        ("X-Nul", b"a\0b", 400, "malformed-request"),
        ("Content-Length", b"many", 400, "malformed-request"),
        ("X-Long", &[b'x'; 131_072], 431, "head-too-large"),
        ("X-Long", &[b'x'; 1_000_000], 431, "head-too-large"),
    ] {
        let request = RawRequest::new(&app.url, "GET", "/v1/organizations");
        let answer = request.header(name, value).send().await;
        is_refused(&answer, status, slug);
    }
    for target in ["v1/organizations", "/v1/organizations"] {
        let request = RawRequest::new(&app.url, "GET", target);
        let answer = request.header("Host", "another.example").send().await;
        assert!((400..500).contains(&answer.status), "{target}: {answer:?}");
    }
    app.system_admin.get("/v1/organizations").await.ok();
}

/// A problem document as any other, although no handler saw the request.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, slug: &str) {
    let problem = answer.is_problem(status, slug);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    assert_eq!(
        problem["instance"].as_str(),
        answer.header("x-request-id"),
        "{answer:?}"
    );
}

#[rstest]
#[tokio::test]
async fn a_head_that_comes_too_slowly_is_given_up(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let address = app.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTT").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    is_refused(&Answer::parse(&text), 408, "request-timeout");
}

#[rstest]
#[tokio::test]
async fn what_is_no_http_after_a_request_is_refused_after_its_answer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let address = app.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let both = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\nGET  HTTP\r\n\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let second = text.rfind("HTTP/1.1 ").unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    is_refused(&Answer::parse(&text[second..]), 400, "malformed-request");
}
