//! Each mutation appends exactly its events, and a request that changes nothing appends none.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Map, Value, json};
use tests::mutations;
use tests::{Backend, Request, Snapshot, Stage, unique};

#[rstest]
#[tokio::test]
async fn every_mutation_appends_exactly_its_events(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(0, 1, 2, 3)] quarter: usize,
) {
    let stage = Stage::set(backend).await;
    for mutation in mutations::quarter(quarter) {
        let request = mutation.prepare(&stage).await;
        let before = stage.snapshot().await;
        let request_id = unique();
        request
            .send_with(&[("X-Request-Id", &request_id)])
            .await
            .expect(mutation.status());
        let after = stage.snapshot().await;

        let events = after.events_since(&before);
        assert_eq!(
            types_of(&events),
            expected(&request),
            "{}: {events:?}",
            mutation.name
        );
        for event in events {
            tells_of_its_row(event, &after, mutation.name);
            assert_eq!(event["source"], "api", "{}", mutation.name);
            assert_eq!(event["user_id"], json!(request.caller.user_id()));
            assert_eq!(event["correlation_id"], json!(request_id));
            assert_eq!(event["causation_id"], Value::Null);
        }
    }
}

#[rstest]
#[tokio::test]
async fn every_mutation_tells_what_its_sender_says_of_the_whole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    for mutation in mutations::all() {
        let request = mutation.prepare(&stage).await;
        let before = stage.snapshot().await;
        let (correlation_id, causation_id) = (unique(), unique());
        let headers = [
            ("X-Request-Id", "the-request"),
            ("X-Correlation-Id", correlation_id.as_str()),
            ("X-Causation-Id", causation_id.as_str()),
        ];
        let answer = request.send_with(&headers).await;
        answer.expect(mutation.status());
        assert_eq!(answer.header("x-request-id"), Some("the-request"));
        for event in stage.snapshot().await.events_since(&before) {
            assert_eq!(event["correlation_id"], json!(correlation_id));
            assert_eq!(event["causation_id"], json!(causation_id));
        }
    }
}

/// Whoever is refused has changed nothing, whatever the reason was.
#[rstest]
#[tokio::test]
async fn a_refused_mutation_appends_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(0, 1, 2, 3)] quarter: usize,
) {
    let stage = Stage::set(backend).await;
    for mutation in mutations::quarter(quarter) {
        let request = mutation.prepare(&stage).await;
        let user_id = request.caller.user_id();
        let reader = json!({"scopes": ["events:read"]});
        let reader = stage.app.key_for(user_id, reader).await;
        let before = stage.snapshot().await;

        let anonymous = stage.app.anonymous();
        let answer = request.send_as(&anonymous, &[]).await;
        answer.is_problem(401, "unauthenticated");
        let answer = request.send_as(&reader, &[]).await;
        answer.is_problem(403, "insufficient-scope");
        if let Some(body) = &request.body {
            let mut body = body.clone();
            body["no_such_field"] = true.into();
            let request = request.caller.send(
                request.method.clone(),
                &request.path,
                Some(body),
                &[("Idempotency-Key", "refused")],
            );
            request.await.is_problem(422, "invalid");
        }
        if mutation.takes_preconditions() {
            let stale = [("If-Match", "\"1000\"")];
            let answer = request.send_with(&stale).await;
            answer.is_problem(412, "version-conflict");
        }
        let after = stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("{}, refused,", mutation.name));
        request.send().await.expect(mutation.status());
    }
}

#[rstest]
#[tokio::test]
async fn what_changes_nothing_appends_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let mut unchanged = 0;
    for mutation in mutations::all() {
        let request = mutation.prepare(&stage).await;
        let sets_a_password = request
            .body
            .as_ref()
            .is_some_and(|body| body.get("password").is_some());
        if mutation.method != reqwest::Method::PATCH || sets_a_password {
            continue;
        }
        let first = request.send().await;
        first.expect(200);
        let before = stage.snapshot().await;
        // The same by someone who may always do it: a person accepts only once.
        let again = request.send_as(&stage.app.system_admin, &[]).await;
        assert_eq!(again.ok(), first.ok(), "{}", mutation.name);
        assert_eq!(again.header("etag"), first.header("etag"));
        let after = stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("{}, again,", mutation.name));
        unchanged += 1;
    }
    assert!(unchanged > 10, "most changes can be repeated");
}

/// The types of the events and what they happened to; `None` for what is new.
fn types_of(events: &[&Map<String, Value>]) -> BTreeSet<(String, Option<String>)> {
    let of = |event: &&Map<String, Value>| {
        let new = event["aggregate_version"] == 1;
        let id = event["aggregate_id"].as_str().map(str::to_owned);
        let event_type = event["event_type"].as_str().expect("a type");
        (event_type.to_owned(), id.filter(|_| !new))
    };
    let types: BTreeSet<_> = events.iter().map(of).collect();
    assert_eq!(types.len(), events.len(), "one event for each aggregate");
    types
}

fn expected(request: &Request) -> BTreeSet<(String, Option<String>)> {
    let of = |event: &mutations::Expected| {
        let id = event.aggregate_id.map(|id| id.to_string());
        (event.event_type.to_owned(), id)
    };
    request.events.iter().map(of).collect()
}

/// The event carries its row's version, organization and ids.
fn tells_of_its_row(event: &Map<String, Value>, after: &Snapshot, name: &str) {
    let id = event["aggregate_id"].as_str().expect("an id");
    let row = &after.rows[&id.parse().expect("an id")];
    assert_eq!(event["aggregate_type"], row.aggregate_type, "{name}");
    assert_eq!(event["aggregate_version"], row.version(), "{name}");
    let mut tags = json!({row.aggregate_type: id});
    for (tag, column) in [("organization", "organization_id"), ("user", "user_id")] {
        if let Some(id) = row.id_in(column) {
            tags[tag] = json!(id);
        }
    }
    assert_eq!(event["tags"], tags, "{name}");
    let organization = tags.get("organization").cloned();
    assert_eq!(
        event["organization_id"],
        organization.unwrap_or_default(),
        "{name}"
    );
}
