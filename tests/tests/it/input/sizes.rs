//! Bodies that are too large or too slow.

use std::time::{Duration, Instant};

use api::app_settings::ServeSettings;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, RawRequest, TestApp, content};

const LIMIT: usize = 1_048_576;

/// A new organization in a body of exactly so many bytes.
fn organization_of(bytes: usize) -> String {
    let head = r#"{"name": "Large", "slug": "large", "metadata": {"padding": ""#;
    let tail = "\"}}";
    let padding = "x".repeat(bytes - head.len() - tail.len());
    format!("{head}{padding}{tail}")
}

fn post(app: &TestApp) -> RawRequest {
    RawRequest::new(&app.url, "POST", "/v1/organizations")
        .key(app.system_admin.key())
        .header("Content-Type", "application/json")
}

fn chunked(body: &str) -> Vec<u8> {
    let chunks = body.as_bytes().chunks(50_000);
    let mut bytes: Vec<u8> = chunks
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .collect();
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[rstest]
#[tokio::test]
async fn a_body_of_a_mebibyte_is_taken_and_a_byte_more_is_not(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] in_chunks: bool,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let send = async |body: String| {
        if in_chunks {
            let mut exchange = post(&app)
                .header("Transfer-Encoding", "chunked")
                .open()
                .await;
            exchange.write(&chunked(&body)).await;
            exchange.finish().await
        } else {
            post(&app).send_body(body).await
        }
    };
    let before = content(&connection).await;
    send(organization_of(LIMIT + 1))
        .await
        .is_problem(413, "body-too-large");
    assert_eq!(content(&connection).await, before);
    send(organization_of(LIMIT)).await.created();
}

/// A change that adds so many bytes under a name of its own.
fn padding(field: &str, name: &str, bytes: usize) -> Value {
    json!({ field: { name: "x".repeat(bytes) } })
}

#[rstest]
#[tokio::test]
async fn an_object_grows_to_a_mebibyte_and_no_further(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let admin = &app.system_admin;
    let membership = admin.get("/v1/memberships").await.ok()["data"][0]["id"].clone();
    let organization = format!("/v1/organizations/{}", app.first_organization);
    let user = format!("/v1/users/{}", admin.user_id());
    let membership = format!("/v1/memberships/{}", membership.as_str().unwrap());
    for (path, field) in [
        (&organization, "metadata"),
        (&organization, "settings"),
        (&user, "preferences"),
        (&user, "settings"),
        (&membership, "metadata"),
    ] {
        let grow = async |name: &str, bytes| admin.patch(path, padding(field, name, bytes)).await;
        grow("first", 900_000).await.ok();
        let before = content(&connection).await;
        for bytes in [900_000, 148_577] {
            let problem = grow("second", bytes).await.is_problem(422, "invalid");
            let error = &problem["errors"][0];
            assert_eq!(error["pointer"], format!("/{field}"), "{path}");
            assert_eq!(error["code"], "too-large", "{path}");
        }
        assert_eq!(content(&connection).await, before, "{path} {field}");
        // The bytes around it: {"first":"…","second":"…"}
        let left = LIMIT - 900_000 - r#"{"first":"","second":""}"#.len();
        grow("second", left + 1).await.is_problem(422, "invalid");
        grow("second", left).await.ok();
        // What takes the place of something counts once, and what goes makes room.
        grow("first", 900_000).await.ok();
        admin
            .patch(
                path,
                json!({field: {"first": null, "third": "x".repeat(800_000)}}),
            )
            .await
            .ok();
    }
}

#[rstest]
#[tokio::test]
async fn what_another_program_left_too_large_can_be_read_and_made_smaller(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let path = format!("/v1/organizations/{}", app.first_organization);
    let large = json!({"one": "x".repeat(2_000_000), "two": "x".repeat(700_000)});
    let connection = app.database.connect().await;
    let id = backend.id(app.first_organization);
    let sql = format!("UPDATE organizations SET metadata = '{large}' WHERE id = {id}");
    tests::database::execute(&connection, &sql).await.unwrap();
    let admin = &app.system_admin;
    assert_eq!(admin.get(&path).await.ok()["metadata"], large);
    // Whatever else is changed does not meet it.
    admin.patch(&path, json!({"name": "Large"})).await.ok();
    for more in [
        json!({"three": 3}),
        json!({"two": null, "three": "x".repeat(700_000)}),
    ] {
        let answer = admin.patch(&path, json!({"metadata": more})).await;
        answer.is_problem(422, "invalid");
    }
    for less in [json!({"two": 2}), json!({"one": 1})] {
        admin.patch(&path, json!({"metadata": less})).await.ok();
    }
    let small = json!({"one": 1, "two": 2});
    assert_eq!(admin.get(&path).await.ok()["metadata"], small);
}

#[rstest]
#[tokio::test]
async fn an_announced_body_that_is_too_large_is_refused_unread(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for length in [LIMIT as u64 + 1, 1 << 40, u64::MAX] {
        let request = post(&app).header("Content-Length", length.to_string());
        let answer = request.open().await.finish().await;
        answer.is_problem(413, "body-too-large");
    }
}

#[rstest]
#[tokio::test]
async fn a_body_without_an_end_is_refused_at_the_limit(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let mut exchange = post(&app)
        .header("Transfer-Encoding", "chunked")
        .open()
        .await;
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, " ".repeat(100_000));
    for _ in 0..12 {
        exchange.write(chunk.as_bytes()).await;
    }
    exchange.finish().await.is_problem(413, "body-too-large");
}

#[rstest]
#[tokio::test]
async fn a_length_that_is_no_number_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    for headers in [
        &[("Content-Length", "many")][..],
        &[("Content-Length", "-1")],
        &[("Content-Length", "2"), ("Content-Length", "3")],
        &[("Content-Length", "2"), ("Transfer-Encoding", "chunked")],
        &[("Transfer-Encoding", "chunked, gzip")],
    ] {
        let mut request = post(&app);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut exchange = request.open().await;
        exchange.write(b"{}").await;
        let answer = exchange.finish().await;
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] in_chunks: bool,
) {
    let settings = ServeSettings {
        workers: 1,
        body_timeout: Duration::from_millis(300),
        ..ServeSettings::default()
    };
    let app = TestApp::start_with(backend, settings).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let (header, start) = match in_chunks {
        false => (("Content-Length", "1000"), "{"),
        true => (("Transfer-Encoding", "chunked"), "1\r\n{\r\n"),
    };
    let start_time = Instant::now();
    let mut exchange = post(&app).header(header.0, header.1).open().await;
    exchange.write(start.as_bytes()).await;
    let answer = exchange.finish().await;
    answer.is_problem(408, "request-timeout");
    let took = start_time.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(content(&connection).await, before);
    // Nobody else waited for it.
    app.system_admin.get("/v1/organizations").await.ok();
}
