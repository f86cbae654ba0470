//! Bodies that are too large or too slow.

use std::time::{Duration, Instant};

use api::cli::config::ServeSettings;
use rstest::rstest;
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
