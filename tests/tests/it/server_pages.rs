//! What the server says of itself: whether it lives, what it counts, its problems and its API.

use api::problem::Kind;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{Backend, TestApp};

#[rstest]
#[tokio::test]
async fn the_server_says_how_it_is(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let anonymous = app.anonymous();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(anonymous.get(path).await.ok(), json!({"status": "ok"}));
    }
    let connection = app.database.connect().await;
    let run = async |sql: &str| tests::database::execute(&connection, sql).await.unwrap();
    run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2099', 0)").await;
    let ahead = anonymous.get("/readyz").await;
    let problem = ahead.is_problem(503, "unavailable");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("schema: ahead"),
        "{problem}"
    );
    assert!(ahead.header("retry-after").is_some());
    run("DELETE FROM seaql_migrations WHERE version LIKE 'm2026%5_create_api_keys' OR version = 'm2099'").await;
    let problem = anonymous
        .get("/readyz")
        .await
        .is_problem(503, "unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("behind"),
        "{problem}"
    );
    assert_eq!(
        anonymous.get("/healthz").await.ok(),
        json!({"status": "ok"})
    );
}

#[rstest]
#[tokio::test]
async fn metrics_count_by_route_and_carry_neither_ids_nor_secrets(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let user = app
        .user(json!({"password": "correct horse battery staple"}))
        .await;
    let organization = app.organization(&user).await;
    let path = format!("/v1/organizations/{organization}");
    for _ in 0..3 {
        user.get(&path).await.ok();
    }
    user.get(&format!("/secret-{organization}"))
        .await
        .expect(404);
    user.get("/v1/users?q=hunter2&cursor=x").await.expect(400);
    let method = Method::from_bytes(b"HUNTER2").unwrap();
    user.send(method, &path, None, &[]).await.expect(405);
    let answer = app.anonymous().get("/metrics").await;
    let text = answer.expect(200).text.clone();
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        !text.contains("# EOF") && !text.contains("# UNIT"),
        "{text}"
    );
    let counted = r#"rollbook_http_requests_total{method="GET",route="/v1/organizations/{id}",status="200"} 3"#;
    assert!(text.contains(counted), "{text}");
    let secrets = [
        admin.key(),
        user.key(),
        "hunter2",
        "HUNTER2",
        "battery",
        "secret-",
    ];
    let ids = [organization, user.user_id(), admin.user_id()].map(|id| id.to_string());
    for hidden in secrets.into_iter().chain(ids.iter().map(String::as_str)) {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

#[rstest]
#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    // What Prometheus 2 sends.
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let headers = [("Accept", accept)];
    let answer = app
        .anonymous()
        .send(Method::GET, "/metrics", None, &headers)
        .await;
    let media_type = answer.expect(200).header("content-type").unwrap();
    assert!(
        media_type.starts_with("application/openmetrics-text"),
        "{media_type}"
    );
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    assert!(
        answer
            .text
            .contains("# TYPE rollbook_http_requests counter\n")
    );
    assert_eq!(answer.header("vary"), Some("Accept"));
    for accept in ["text/plain", "*/*", "application/json"] {
        let headers = [("Accept", accept)];
        let answer = app
            .anonymous()
            .send(Method::GET, "/metrics", None, &headers)
            .await;
        let text = &answer.expect(200).text;
        let described = "# TYPE rollbook_http_requests_total counter\n";
        assert!(text.contains(described), "{accept}: {text}");
    }
}

/// `increase()` does not see the first of a series that was not there before.
#[rstest]
#[tokio::test]
async fn every_answer_that_the_document_knows_is_counted_from_zero(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let text = app
        .anonymous()
        .get("/metrics")
        .await
        .expect(200)
        .text
        .clone();
    for (method, path, operation) in crate::contract::document::operations(&document()) {
        for status in operation["responses"].as_object().unwrap().keys() {
            let labels = format!(r#"method="{method}",route="{path}",status="{status}""#);
            let series = format!("rollbook_http_requests_total{{{labels}}} 0\n");
            assert!(text.contains(&series), "{series} is not in {text}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn metrics_tell_whether_it_is_ready_and_what_it_wrote(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let shows = async |line: &str| {
        let answer = app.anonymous().get("/metrics").await;
        let text = &answer.expect(200).text;
        assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
    };
    shows("rollbook_ready 1\n").await;
    shows("rollbook_build_info{version=").await;
    shows("rollbook_transaction_retries_total 0\n").await;
    shows("rollbook_slow_statements_total 0\n").await;
    shows("rollbook_passwords{state=\"waiting\"} 0\n").await;
    shows("rollbook_api_key_usage_lag_seconds ").await;
    let user = app.user(json!({})).await;
    app.organization(&user).await;
    let counted = |kind: &str, count: u64| {
        format!("rollbook_events_written_total{{event_type=\"{kind}\"}} {count}\n")
    };
    // The first of each was made by the command line, which is no server.
    shows(&counted("ORGANIZATION.CREATED", 1)).await;
    shows(&counted("MEMBERSHIP.CREATED", 1)).await;
    // What is refused writes no event.
    let taken = json!({"name": "x", "slug": "a"});
    user.post("/v1/organizations", taken.clone())
        .await
        .expect(201);
    user.post("/v1/organizations", taken).await.expect(409);
    shows(&counted("ORGANIZATION.CREATED", 2)).await;

    let connection = app.database.connect().await;
    let ahead = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2099', 0)";
    tests::database::execute(&connection, ahead).await.unwrap();
    shows("rollbook_ready 0\n").await;
}

fn document() -> serde_json::Value {
    api::app::openapi(&api::Product::default()).expect("the document")
}

#[rstest]
#[tokio::test]
async fn each_kind_of_problem_has_its_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let list = app.anonymous().get("/problems").await;
    for kind in Kind::ALL {
        let path = format!("/problems/{}", kind.slug());
        let page = app.anonymous().get(&path).await;
        assert_eq!(
            page.expect(200).header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(page.text.contains(kind.title()), "{}", page.text);
        assert!(page.text.contains(kind.status().as_str()), "{}", page.text);
        assert!(list.text.contains(&format!("href=\"{path}\"")), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn the_first_page_says_what_this_is_and_leads_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let page = app.anonymous().get("/").await;
    assert!(page.expect(200).text.contains("Rollbook"));
    let links: Vec<_> = page.text.split("href=\"").skip(1).collect();
    assert!(links.len() >= 6, "{}", page.text);
    for link in links {
        let path = link.split('"').next().unwrap();
        app.anonymous().get(path).await.expect(200);
    }
}

#[rstest]
#[tokio::test]
async fn the_api_page_loads_nothing_from_elsewhere(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let anonymous = app.anonymous();
    let moved = anonymous.get("/docs").await;
    assert_eq!(moved.expect(308).header("location"), Some("/docs/"));
    let page = anonymous.get("/docs/").await;
    let html = &page.expect(200).text;
    let references = |text: &str, attribute: &str| -> Vec<String> {
        let start = format!("{attribute}=\"");
        let parts = text.split(&start).skip(1);
        parts
            .filter_map(|part| part.split('"').next())
            .map(str::to_owned)
            .collect()
    };
    let mut loaded = references(html, "src");
    loaded.extend(references(html, "href"));
    assert!(loaded.len() >= 4, "{loaded:?}");
    for reference in loaded {
        assert!(!reference.contains("//"), "{reference} is on another host");
        let path = format!("/docs/{}", reference.trim_start_matches("./"));
        let file = anonymous.get(&path).await;
        let text = &file.expect(200).text;
        if path.ends_with(".css") || path.ends_with("initializer.js") {
            for part in text.split("url(").skip(1) {
                let target = part.split(')').next().unwrap().trim_matches(['"', '\'']);
                assert!(
                    target.starts_with("data:") || !target.contains("//"),
                    "{path}: {target}"
                );
            }
            assert!(!text.contains("@import"), "{path}");
        }
    }
    let start = anonymous.get("/docs/swagger-initializer.js").await;
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
    // The page of a document that is shown elsewhere is asked of a validator, unless that is turned off or the host is
    // this one; the page asks no one.
    assert!(
        !start.text.contains("http://") && !start.text.contains("https://"),
        "{}",
        start.text
    );
}
