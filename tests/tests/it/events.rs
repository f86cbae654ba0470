//! Events: their filters, their order, and that nobody writes them.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, TestApp, id_of};

fn ids(page: &Value) -> Vec<&str> {
    let events = page["data"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect()
}

#[rstest]
#[tokio::test]
async fn each_filter_finds_what_fits_and_nothing_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let member = app.member(organization, "member").await;
    let path = format!("/v1/organizations/{organization}");
    let headers = [("X-Correlation-Id", "the-change")];
    let body = Some(json!({"name": "Changed"}));
    owner.send(Method::PATCH, &path, body, &headers).await.ok();

    let all = app
        .system_admin
        .get("/v1/events?order=asc&limit=200")
        .await
        .ok();
    let all = all["data"].as_array().unwrap();
    let moment = all[4]["event_timestamp"].as_str().unwrap();
    let touches = |event: &Value, kind: &str, id: String| event["tags"][kind] == id.as_str();
    let (user, of_organization) = (member.user_id().to_string(), organization.to_string());
    type Fits<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let cases: Vec<(String, Fits)> = vec![
        (
            format!("organization_id={organization}"),
            Box::new(|event| event["organization_id"] == of_organization.as_str()),
        ),
        (
            format!("user_id={}", owner.user_id()),
            Box::new(|event| event["user_id"] == owner.user_id().to_string().as_str()),
        ),
        (
            "aggregate_type=membership".to_owned(),
            Box::new(|event| event["aggregate_type"] == "membership"),
        ),
        (
            format!("aggregate_id={organization}"),
            Box::new(|event| event["aggregate_id"] == of_organization.as_str()),
        ),
        (
            "event_type=USER.*&event_type=ORGANIZATION.UPDATED".to_owned(),
            Box::new(|event| {
                event["aggregate_type"] == "user" || event["event_type"] == "ORGANIZATION.UPDATED"
            }),
        ),
        (
            "correlation_id=the-change".to_owned(),
            Box::new(|event| event["correlation_id"] == "the-change"),
        ),
        (
            format!("tag=user:{user}"),
            Box::new(|event| touches(event, "user", user.clone())),
        ),
        (
            format!("tag=user:{user}&tag=organization:{organization}"),
            Box::new(|event| {
                touches(event, "user", user.clone())
                    && touches(event, "organization", of_organization.clone())
            }),
        ),
        (
            format!("from={moment}"),
            Box::new(|event| event["event_timestamp"].as_str() >= Some(moment)),
        ),
        (
            format!("to={moment}"),
            Box::new(|event| event["event_timestamp"].as_str() < Some(moment)),
        ),
    ];
    for (query, fits) in cases {
        let expected: Vec<_> = all
            .iter()
            .filter(|event| fits(event))
            .map(|event| event["id"].as_str().unwrap())
            .collect();
        assert!(
            !expected.is_empty() && expected.len() < all.len(),
            "{query}"
        );
        let path = format!("/v1/events?order=asc&limit=200&{query}");
        assert_eq!(
            ids(&app.system_admin.get(&path).await.ok()),
            expected,
            "{query}"
        );
        let path = format!("/v1/events?limit=200&{query}");
        let mut newest_first = expected;
        newest_first.reverse();
        assert_eq!(
            ids(&app.system_admin.get(&path).await.ok()),
            newest_first,
            "{query}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn an_id_is_found_however_it_is_spelled(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let path = format!("/v1/organizations/{organization}");
    let changed = owner.patch(&path, json!({"name": "Changed"})).await;
    let request = changed.header("x-request-id").unwrap();
    // What a client called the whole stays in its own letters.
    let whole = "0E3F5A52-6B0C-4E4B-9B4B-6C1C4AF0B7A1";
    let headers = [("X-Correlation-Id", whole)];
    let body = Some(json!({"name": "Again"}));
    owner.send(Method::PATCH, &path, body, &headers).await.ok();

    let list = async |query: &str| {
        let page = app.system_admin.get(&format!("/v1/events?{query}")).await;
        let page = page.ok();
        let ids = ids(&page).into_iter().map(str::to_owned);
        ids.collect::<Vec<_>>()
    };
    for (query, id) in [
        ("tag=organization:", organization.to_string()),
        ("correlation_id=", request.to_owned()),
    ] {
        let expected = list(&format!("{query}{id}")).await;
        assert!(!expected.is_empty(), "{query}{id}");
        for spelling in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("%7B{}%7D", id.to_uppercase()),
            format!("urn:uuid:{id}"),
        ] {
            let found = list(&format!("{query}{spelling}")).await;
            assert_eq!(found, expected, "{query}{spelling}");
        }
    }
    let found = list(&format!("correlation_id={whole}")).await;
    assert_eq!(found.len(), 1);
}

#[rstest]
#[tokio::test]
async fn nobody_writes_them(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let event = id_of(&app.events_of(app.first_organization).await[0]);
    let one = format!("/v1/events/{event}");
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::PATCH, one.as_str()),
        (Method::PUT, one.as_str()),
        (Method::DELETE, one.as_str()),
    ] {
        let answer = app
            .system_admin
            .send(method, path, Some(json!({})), &[])
            .await;
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}
