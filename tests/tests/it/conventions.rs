//! What is the same everywhere: ids of requests, times, methods, paths.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, RawRequest, TestApp, collections, content, id_of};
use uuid::Uuid;

async fn with_ids(app: &TestApp, headers: &[(&str, &[u8])]) -> Answer {
    let path = format!("/v1/organizations/{}", app.first_organization);
    let mut request = RawRequest::new(&app.url, "PATCH", &path)
        .key(app.system_admin.key())
        .header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .send_body(json!({"name": Uuid::now_v7().to_string()}).to_string())
        .await
}

#[rstest]
#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let visible: Vec<u8> = (0x21..=0x7e).collect();
    let long = [b'x'; 128];
    for id in [&b"a"[..], b"01890A5D", &visible, &long] {
        let text = std::str::from_utf8(id).unwrap();
        let answer = with_ids(&app, &[("X-Request-Id", id)]).await;
        answer.ok();
        assert_eq!(answer.header("x-request-id"), Some(text));
        let events = app.events_of(app.first_organization).await;
        assert_eq!(events.last().unwrap()["correlation_id"], text);
        let refused = RawRequest::new(&app.url, "GET", "/nowhere").header("X-Request-Id", id);
        let problem = refused.send().await.is_problem(404, "not-found");
        assert_eq!(problem["instance"], text);
    }
}

#[rstest]
#[tokio::test]
async fn an_id_that_is_not_visible_ascii_is_replaced(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let long = [b'x'; 129];
    let mut made = Vec::new();
    for headers in [
        &[][..],
        &[("X-Request-Id", &b""[..])],
        &[("X-Request-Id", b"two words")],
        &[("X-Request-Id", b"tab\tstop")],
        &[("X-Request-Id", b"\xc3\xa9")],
        &[("X-Request-Id", b"\xff")],
        &[("X-Request-Id", &long)],
    ] {
        let answer = with_ids(&app, headers).await;
        answer.ok();
        let id: Uuid = answer.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let events = app.events_of(app.first_organization).await;
        assert_eq!(events.last().unwrap()["correlation_id"], id.to_string());
        made.push(id);
    }
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 7, "each request has an id of its own");
}

#[rstest]
#[tokio::test]
async fn a_correlation_and_a_cause_are_kept_beside_the_request(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let last = async || app.events_of(app.first_organization).await.pop().unwrap();
    let headers: &[(&str, &[u8])] = &[
        ("X-Request-Id", b"request"),
        ("X-Correlation-Id", b"correlation"),
        ("X-Causation-Id", b"cause"),
    ];
    let answer = with_ids(&app, headers).await;
    assert_eq!(answer.header("x-request-id"), Some("request"));
    let event = last().await;
    assert_eq!(event["correlation_id"], "correlation");
    assert_eq!(event["causation_id"], "cause");
    let found = "/v1/events?correlation_id=correlation";
    let found = app.system_admin.get(found).await.ok();
    assert_eq!(found["data"], json!([event]));

    let headers: &[(&str, &[u8])] = &[
        ("X-Request-Id", b"request"),
        ("X-Correlation-Id", b"two words"),
        ("X-Causation-Id", b"\xff"),
    ];
    with_ids(&app, headers).await.ok();
    assert_eq!(last().await["correlation_id"], "request");
    assert_eq!(last().await["causation_id"], Value::Null);
}

/// Every string in the value, with the name that it has.
fn strings(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| strings(name, item, found)),
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| strings(name, member, found)),
        _ => {}
    }
}

#[rstest]
#[tokio::test]
async fn ids_and_times_have_one_form(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let organization = app.organization(&ada).await;
    app.member(organization, "member").await;
    for end in [
        "2030-01-31T12:00:00+02:00",
        "2030-01-31t10:00:00.5z",
        "2030-01-31T10:00:00.1234567Z",
    ] {
        app.key_for(ada.user_id(), json!({"expires_at": end})).await;
    }
    let (mut ids, mut times) = (0, 0);
    for list in collections() {
        let page = app
            .system_admin
            .get(&format!("/v1/{list}?limit=200"))
            .await
            .ok();
        let mut found = Vec::new();
        strings("", &page, &mut found);
        for (name, text) in found {
            if name == "id"
                || (name.ends_with("_id") && name != "key_id" && name != "correlation_id")
            {
                let id: Uuid = text
                    .parse()
                    .unwrap_or_else(|_| panic!("{list} {name}: {text}"));
                assert_eq!(text, id.hyphenated().to_string(), "{list} {name}");
                assert_eq!(id.get_version_num(), 7, "{list} {name}: {text}");
                ids += 1;
            }
            if name.ends_with("_at") || name == "event_timestamp" {
                let form = text.as_bytes();
                assert_eq!(
                    (form.len(), form[19], form[26]),
                    (27, b'.', b'Z'),
                    "{list} {name}: {text}"
                );
                assert!(
                    chrono::DateTime::parse_from_rfc3339(&text).is_ok(),
                    "{list} {name}: {text}"
                );
                times += 1;
            }
        }
    }
    assert!(ids > 50 && times > 50, "{ids} ids and {times} times");
    let keys = app
        .system_admin
        .get(&format!("/v1/api-keys?user_id={}", ada.user_id()))
        .await
        .ok();
    let ends: Vec<&Value> = keys["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["expires_at"])
        .collect();
    assert_eq!(
        ends,
        [
            &Value::Null,
            &json!("2030-01-31T10:00:00.000000Z"),
            &json!("2030-01-31T10:00:00.500000Z"),
            &json!("2030-01-31T10:00:00.123456Z"),
        ]
    );
}

#[rstest]
#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_told_which_it_takes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let document = app.anonymous().get("/openapi.json").await.ok();
    let mut refused = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut allowed: Vec<String> = Vec::new();
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                allowed.push(method.to_uppercase());
                if method == "get" {
                    allowed.push("HEAD".to_owned());
                }
            }
        }
        let path = path
            .replace("{id}", &app.first_organization.to_string())
            .replace("{slug}", "first");
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE",
        ] {
            if allowed.iter().any(|one| one == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = app.system_admin.send(method, &path, None, &[]).await;
            answer.is_problem(405, "method-not-allowed");
            assert_eq!(answer.header("allow"), Some(&*allowed.join(", ")), "{path}");
            refused += 1;
        }
    }
    assert!(refused > 60, "{refused}");
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn a_path_that_is_none_is_not_found(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for path in [
        "/nowhere",
        "/v2/organizations",
        "/healthz/",
        "/v1x",
        "//v1/users",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            app.anonymous()
                .send(method, path, None, &[])
                .await
                .is_problem(404, "not-found");
        }
    }
    for path in [
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v1/organizations/",
        "/v1/organizations/x/y",
    ] {
        let known = app.system_admin.get(path).await;
        known.is_problem(404, "not-found");
    }
    for path in ["/v1/nowhere", "/v1/organizations/x/y"] {
        // Without a key nothing is told, not even what there is not.
        app.anonymous()
            .get(path)
            .await
            .is_problem(401, "unauthenticated");
    }
}

#[rstest]
#[tokio::test]
async fn who_sends_no_key_is_told_how(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let document = app.anonymous().get("/openapi.json").await.ok();
    let id = app.first_organization.to_string();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|_| path.starts_with("/v1/"))
        {
            let method = Method::from_bytes(method.to_uppercase().as_bytes());
            let Ok(method @ (Method::GET | Method::POST | Method::PATCH | Method::DELETE)) = method
            else {
                continue;
            };
            let path = path.replace("{id}", &id).replace("{slug}", "first");
            let answer = app.anonymous().send(method, &path, None, &[]).await;
            answer.is_problem(401, "unauthenticated");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer realm=\"rollbook\"")
            );
        }
    }
    let by_header = [("X-Api-Key", app.system_admin.key())];
    let path = format!("/v1/organizations/{id}");
    let answer = app
        .anonymous()
        .send(Method::GET, &path, None, &by_header)
        .await;
    answer.ok();
}

/// As clients do that know both headers; two that differ leave it open who asks.
#[rstest]
#[tokio::test]
async fn one_key_may_be_sent_more_than_once_and_two_may_not(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let user = app.user(json!({})).await;
    let key = app.system_admin.key().to_owned();
    let (bearer, other) = (format!("Bearer {key}"), format!("Bearer {}", user.key()));
    let padded = format!("bearer  {key} ");
    for same in [
        vec![("Authorization", &*bearer), ("X-Api-Key", &*key)],
        vec![("Authorization", &*padded), ("X-Api-Key", &*key)],
        vec![("X-Api-Key", &*key), ("X-Api-Key", &*key)],
        vec![("Authorization", &*bearer), ("Authorization", &*padded)],
    ] {
        let request = same.iter().fold(
            RawRequest::new(&app.url, "GET", "/v1/organizations"),
            |request, (name, value)| request.header(name, value),
        );
        request.send().await.expect(200);
    }
    for different in [
        vec![("Authorization", &*bearer), ("X-Api-Key", user.key())],
        vec![("Authorization", &*other), ("X-Api-Key", &*key)],
        vec![("X-Api-Key", &*key), ("X-Api-Key", user.key())],
        vec![("Authorization", &*bearer), ("Authorization", &*other)],
        vec![("Authorization", "Basic YTpi"), ("X-Api-Key", &*key)],
        vec![("Authorization", &*bearer), ("X-Api-Key", "")],
    ] {
        let request = different.iter().fold(
            RawRequest::new(&app.url, "GET", "/v1/organizations"),
            |request, (name, value)| request.header(name, value),
        );
        let answer = request.send().await;
        let problem = answer.is_problem(401, "unauthenticated");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("Two credentials"), "{detail}");
        assert!(answer.header("www-authenticate").is_some());
    }
}

/// A key that was just shown, another's rows, a trail: none of it is a cache's to keep.
#[rstest]
#[tokio::test]
async fn every_answer_says_what_may_be_kept_of_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let one = format!("/v1/organizations/{}", app.first_organization);
    let new_key = json!({"name": "x", "scopes": ["*"]});
    let none = [
        admin.post("/v1/api-keys", new_key).await,
        admin.get("/v1/organizations").await,
        admin.get("/v1/events").await,
        admin.patch(&one, json!({"city": "Bern"})).await,
        admin.patch(&one, json!({"city": 1})).await,
        admin.get("/v1/nothing").await,
        app.anonymous().get(&one).await,
        admin.get("/healthz").await,
        admin.get("/readyz").await,
        admin.get("/metrics").await,
    ];
    for answer in none {
        let said = answer.header("cache-control");
        assert_eq!(said, Some("no-store"), "{answer:?}");
    }
    let read = admin.get(&one).await;
    let known = [("If-None-Match", read.expect(200).header("etag").unwrap())];
    let unchanged = admin.send(Method::GET, &one, None, &known).await;
    for answer in [&read, unchanged.expect(304)] {
        let said = answer.header("cache-control");
        assert_eq!(said, Some("private, no-cache"), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("Authorization, X-Api-Key"));
    }
    for path in ["/", "/openapi.json", "/problems", "/problems/not-found"] {
        let answer = admin.get(path).await;
        let said = answer.expect(200).header("cache-control");
        assert_eq!(said, Some("public, max-age=300"), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_created_resource_says_where_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    for (collection, body) in [
        ("organizations", json!({"name": "x", "slug": "x"})),
        ("users", json!({"email": "x@example.com"})),
        (
            "memberships",
            json!({"organization_id": app.first_organization, "email": "y@example.com"}),
        ),
        ("api-keys", json!({"name": "x", "scopes": ["*"]})),
    ] {
        let answer = admin.post(&format!("/v1/{collection}"), body).await;
        let created = answer.created();
        let path = format!("/v1/{collection}/{}", id_of(&created));
        assert_eq!(answer.header("location"), Some(&*path));
        assert_eq!(answer.header("etag"), Some("\"1\""));
        let mut read = admin.get(&path).await.ok();
        if collection == "api-keys" {
            // The one thing that is never shown again.
            assert!(read.get("key").is_none());
            read["key"] = created["key"].clone();
        }
        assert_eq!(read, created);
    }
}
