//! No operation under `/v1` answers without a credential, and what never was is not found by any.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, Stage};
use uuid::Uuid;

use super::document::operations;

/// The operation's path for something that does not exist, and a body that it would take.
fn unknown(path: &str, operation: &Value) -> (String, Option<Value>) {
    let path = path
        .replace("{id}", &Uuid::now_v7().to_string())
        .replace("{slug}", "no-such-slug");
    assert!(!path.contains('{'), "{path} has a parameter to be filled");
    let content = &operation["requestBody"]["content"];
    let body = content.get("application/json");
    (path, body.map(|media| media["example"].clone()))
}

#[rstest]
#[tokio::test]
async fn without_a_credential_every_operation_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let anonymous = stage.app.anonymous();
    let before = stage.snapshot().await;
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    for (method, path, operation) in operations(&document) {
        let (path, body) = unknown(&path, &operation);
        let answer = anonymous.send(method, &path, body, &[]).await;
        if path.starts_with("/v1/") {
            answer.is_problem(401, "unauthenticated");
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
        } else {
            assert_ne!(answer.status, 401, "{answer:?}");
        }
    }
    let after = stage.snapshot().await;
    after.is_unchanged_since(&before, "an anonymous caller");
}

/// The same bytes for whoever asks, but for the request's id.
#[rstest]
#[tokio::test]
async fn what_never_was_is_not_found(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.snapshot().await;
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    let mut asked = 0;
    for (method, path, operation) in operations(&document) {
        if !path.contains('{') {
            continue;
        }
        let (path, body) = unknown(&path, &operation);
        let body = body.map(|_| match method {
            Method::PATCH => json!({}),
            _ => panic!("{method} {path}: what is its smallest body?"),
        });
        for caller in [&stage.app.system_admin, &stage.owner, &stage.outsider] {
            let headers = [("X-Request-Id", "the-same")];
            let answer = caller
                .send(method.clone(), &path, body.clone(), &headers)
                .await;
            let problem = answer.is_problem(404, "not-found");
            let expected = json!({
                "type": "/problems/not-found", "title": "Not found", "status": 404,
                "detail": "There is nothing here that you may see.", "instance": "the-same",
            });
            assert_eq!(problem, expected, "{method} {path}");
        }
        asked += 1;
    }
    assert!(asked > 12, "every operation on one resource was asked");
    let after = stage.snapshot().await;
    after.is_unchanged_since(&before, "looking for what never was");
}
