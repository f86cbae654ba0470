//! Headers that are absent, repeated or not of their form.

use rstest::rstest;
use serde_json::json;
use tests::{Answer, Backend, RawRequest, TestApp, content};

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
        ("GET", "v1/organizations"),
        ("G\u{0}T", "/v1/organizations"),
        ("GET", "/v1/organizations\u{7f}"),
    ] {
        let answer = RawRequest::new(&app.url, method, target).send().await;
        assert!(
            (400..500).contains(&answer.status),
            "{method} {target}: {answer:?}"
        );
    }
    for (name, value) in [
        ("Bad Name", &b"x"[..]),
        ("X-Nul", b"a\0b"),
        ("X-Long", &[b'x'; 200_000]),
        ("Host", b"another.example"),
    ] {
        let request = RawRequest::new(&app.url, "GET", "/v1/organizations");
        let answer = request.header(name, value).send().await;
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
    }
    app.system_admin.get("/v1/organizations").await.ok();
}
