//! Conditional requests, and requests for the head alone.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, RawRequest, TestApp, content};
use uuid::Uuid;

/// A resource of each kind that has a version, and a change of it.
struct Kind {
    path: String,
    change: Value,
}

async fn one_of_each(app: &TestApp) -> Vec<Kind> {
    let admin = &app.system_admin;
    let kind = |path: String, change: Value| Kind { path, change };
    let first = |page: Value| page["data"][0]["id"].as_str().unwrap().to_owned();
    let membership = first(admin.get("/v1/memberships").await.ok());
    let key = first(admin.get("/v1/api-keys").await.ok());
    vec![
        kind(
            format!("/v1/organizations/{}", app.first_organization),
            json!({"name": "Renamed"}),
        ),
        kind(
            format!("/v1/users/{}", admin.user_id()),
            json!({"first_name": "Ada"}),
        ),
        kind(
            format!("/v1/memberships/{membership}"),
            json!({"job_title": "Engineer"}),
        ),
        kind(format!("/v1/api-keys/{key}"), json!({"name": "Renamed"})),
    ]
}

async fn read(caller: &Caller, path: &str, tags: &str) -> Answer {
    caller
        .send(Method::GET, path, None, &[("If-None-Match", tags)])
        .await
}

async fn change(caller: &Caller, kind: &Kind, tags: &str) -> Answer {
    let body = Some(kind.change.clone());
    caller
        .send(Method::PATCH, &kind.path, body, &[("If-Match", tags)])
        .await
}

fn aggregate(kind: &Kind) -> Uuid {
    kind.path.rsplit('/').next().unwrap().parse().unwrap()
}

#[rstest]
#[tokio::test]
async fn what_is_known_is_not_sent_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let mut paths: Vec<String> = one_of_each(&app)
        .await
        .into_iter()
        .map(|kind| kind.path)
        .collect();
    let event = &app.events_of(app.first_organization).await[0];
    paths.push(format!("/v1/events/{}", event["id"].as_str().unwrap()));
    paths.push("/v1/organizations/by-slug/first".to_owned());
    for path in paths {
        let whole = admin.get(&path).await;
        assert_eq!(whole.header("etag"), Some("\"1\""), "{path}");
        assert!(!whole.expect(200).text.is_empty());
        for known in [
            "\"1\"",
            "W/\"1\"",
            "\"7\", \"1\"",
            "\"7\",W/\"1\"",
            "*",
            ",\"1\"",
            "\"1\",",
            "\"7\", ,\t,\"1\"",
        ] {
            let answer = read(admin, &path, known).await;
            assert_eq!(answer.expect(304).text, "", "{path} {known}");
            assert_eq!(answer.header("etag"), Some("\"1\""), "{path} {known}");
            assert_eq!(answer.header("content-type"), None, "{path} {known}");
            assert!(answer.header("x-request-id").is_some(), "{path} {known}");
        }
        for other in ["\"2\"", "\"11\"", "\"\"", "W/\"2\", \"3\""] {
            assert_eq!(
                read(admin, &path, other).await.ok(),
                whole.json(),
                "{path} {other}"
            );
        }
        for garbage in [
            "1",
            "\"1",
            "1\"",
            "\"1\" \"2\"",
            "w/\"1\"",
            ",",
            ", ,",
            "",
            "*, \"1\"",
            ",*",
            "W/1",
        ] {
            let problem = read(admin, &path, garbage)
                .await
                .is_problem(400, "bad-parameter");
            assert_eq!(problem["errors"][0]["pointer"], "/if-none-match", "{path}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_is_not_visible_is_not_told_by_its_version(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let outsider = app.outsider().await;
    let path = format!("/v1/organizations/{}", app.first_organization);
    read(&outsider, &path, "*")
        .await
        .is_problem(404, "not-found");
    outsider
        .send(Method::DELETE, &path, None, &[("If-Match", "\"1\"")])
        .await
        .is_problem(404, "not-found");
}

#[rstest]
#[tokio::test]
async fn a_stale_change_is_refused_and_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let connection = app.database.connect().await;
    for kind in one_of_each(&app).await {
        let before = content(&connection).await;
        for stale in [
            "\"2\"",
            "\"0\"",
            "W/\"2\"",
            "\"2\", \"3\"",
            "\"\"",
            "W/\"1\"",
            "\"2\", W/\"1\"",
            ",\"6\"",
        ] {
            change(admin, &kind, stale)
                .await
                .is_problem(412, "version-conflict");
            admin
                .send(Method::DELETE, &kind.path, None, &[("If-Match", stale)])
                .await
                .is_problem(412, "version-conflict");
        }
        for garbage in ["1", "\"1", "latest", ",", ""] {
            let problem = change(admin, &kind, garbage)
                .await
                .is_problem(400, "bad-parameter");
            assert_eq!(problem["errors"][0]["pointer"], "/if-match");
        }
        assert_eq!(content(&connection).await, before, "{}", kind.path);
    }
}

#[rstest]
#[tokio::test]
async fn a_change_of_the_named_version_is_made(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("\"1\"", "*", "\"5\", \"1\"", ",\"1\"", "W/\"1\", , \"1\",")] tags: &str,
) {
    let app = TestApp::start(backend).await;
    for kind in one_of_each(&app).await {
        let answer = change(&app.system_admin, &kind, tags).await;
        assert_eq!(answer.ok()["version"], 2, "{}", kind.path);
        assert_eq!(answer.header("etag"), Some("\"2\""), "{}", kind.path);
        assert_eq!(app.events_of(aggregate(&kind)).await.len(), 2);
    }
}

#[rstest]
#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for kind in one_of_each(&app).await {
        let (first, second) = tokio::join!(
            change(&app.system_admin, &kind, "\"1\""),
            change(&app.system_admin, &kind, "\"1\""),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{}: {first:?} {second:?}", kind.path);
        assert_eq!(app.events_of(aggregate(&kind)).await.len(), 2);
    }
}

#[rstest]
#[tokio::test]
async fn a_change_that_changes_nothing_writes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let connection = app.database.connect().await;
    for kind in one_of_each(&app).await {
        admin.patch(&kind.path, kind.change.clone()).await.ok();
        let before = content(&connection).await;
        for nothing in [json!({}), kind.change.clone()] {
            let answer = admin.patch(&kind.path, nothing.clone()).await;
            assert_eq!(answer.ok()["version"], 2, "{} {nothing}", kind.path);
            assert_eq!(answer.header("etag"), Some("\"2\""));
        }
        // The condition holds for what changes nothing as well.
        change(admin, &kind, "\"1\"")
            .await
            .is_problem(412, "version-conflict");
        assert_eq!(content(&connection).await, before, "{}", kind.path);
    }
}

#[rstest]
#[tokio::test]
async fn a_deletion_can_name_the_version(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let path = format!("/v1/organizations/{}", app.organization(&ada).await);
    ada.patch(&path, json!({"name": "Renamed"})).await.ok();
    let delete = async |tags: &str| {
        ada.send(Method::DELETE, &path, None, &[("If-Match", tags)])
            .await
    };
    delete("\"1\"").await.is_problem(412, "version-conflict");
    delete("\"2\"").await.expect(204);
    delete("\"3\"").await.is_problem(404, "not-found");
}

#[rstest]
#[tokio::test]
async fn a_head_is_the_answer_without_its_body(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let key = app.system_admin.key();
    let organization = format!("/v1/organizations/{}", app.first_organization);
    let missing = format!("/v1/organizations/{}", Uuid::nil());
    for path in [
        organization.as_str(),
        "/v1/organizations",
        "/v1/organizations?limit=0",
        "/v1/events?limit=1",
        missing.as_str(),
        "/nowhere",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/problems/invalid",
        "/docs/",
    ] {
        let get = RawRequest::new(&app.url, "GET", path).key(key).send().await;
        let head = RawRequest::new(&app.url, "HEAD", path)
            .key(key)
            .send()
            .await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        assert!(!get.text.is_empty(), "{path}");
        for name in ["content-type", "etag", "link"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        if !get.text.contains("\"instance\"") {
            let length = get.text.len().to_string();
            assert_eq!(head.header("content-length"), Some(&*length), "{path}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_head_needs_the_same_key_as_a_get(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let path = format!("/v1/organizations/{}", app.first_organization);
    let head = async |caller: &Caller, tags: &str| {
        caller
            .send(Method::HEAD, &path, None, &[("If-None-Match", tags)])
            .await
    };
    head(&app.anonymous(), "\"7\"").await.expect(401);
    head(&app.outsider().await, "\"7\"").await.expect(404);
    let writes_only = json!({"scopes": ["organizations:write"]});
    let key = app.key_for(app.system_admin.user_id(), writes_only).await;
    head(&key, "\"7\"").await.expect(403);
    head(&app.system_admin, "\"7\"").await.expect(200);
    head(&app.system_admin, "\"1\"").await.expect(304);
}
