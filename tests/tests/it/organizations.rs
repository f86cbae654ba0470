//! Organizations: the rules of their own.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{Backend, TestApp, id_of};

use crate::cast::types_of;

#[rstest]
#[tokio::test]
async fn the_creator_owns_it_and_both_rows_have_their_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let answer = ada
        .post(
            "/v1/organizations",
            json!({"name": "Example Ltd", "slug": "example"}),
        )
        .await;
    let organization = answer.created();
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/organizations/{}", id_of(&organization)).as_str())
    );

    let memberships = ada.get("/v1/memberships").await.ok();
    assert_eq!(memberships["data"][0]["role"], "owner");
    assert_eq!(app.events_of(id_of(&organization)).await.len(), 1);
    assert_eq!(app.events_of(id_of(&memberships["data"][0])).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn deleting_one_revokes_its_keys_and_removes_its_memberships(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let member = app.member(organization, "member").await;
    let key = app
        .key_for(member.user_id(), json!({"organization_id": organization}))
        .await;
    key.get("/v1/memberships").await.ok();

    owner
        .delete(&format!("/v1/organizations/{organization}"))
        .await
        .expect(204);

    owner
        .delete(&format!("/v1/organizations/{organization}"))
        .await
        .is_problem(404, "not-found");
    key.get("/v1/memberships")
        .await
        .is_problem(401, "unauthenticated");
    let removed = app
        .system_admin
        .get(&format!(
            "/v1/memberships?organization_id={organization}&status=removed"
        ))
        .await
        .ok();
    assert_eq!(removed["data"].as_array().unwrap().len(), 2);
    for membership in removed["data"].as_array().unwrap() {
        let events = app.events_of(id_of(membership)).await;
        assert_eq!(events.last().unwrap()["event_type"], "MEMBERSHIP.REMOVED");
    }
}

#[rstest]
#[tokio::test]
async fn it_is_read_by_id_and_by_slug_alike(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let new =
        json!({"name": "  Example Ltd ", "slug": "example-ltd", "metadata": {"a": [1, null]}});
    let made = owner.post("/v1/organizations", new).await.created();
    assert_eq!(made["name"], "Example Ltd");
    assert_eq!(made["status"], "active");
    assert_eq!(made["subscription_tier"], "free");
    let by_id = owner
        .get(&format!("/v1/organizations/{}", id_of(&made)))
        .await;
    let by_slug = owner.get("/v1/organizations/by-slug/example-ltd").await;
    assert_eq!(by_id.ok(), made);
    assert_eq!(by_slug.ok(), made);
    assert_eq!(by_slug.header("etag"), by_id.header("etag"));

    let path = format!("/v1/organizations/{}", id_of(&made));
    owner.patch(&path, json!({"slug": "renamed"})).await.ok();
    let old = owner.get("/v1/organizations/by-slug/example-ltd").await;
    old.is_problem(404, "not-found");
    owner.get("/v1/organizations/by-slug/renamed").await.ok();
}

#[rstest]
#[tokio::test]
async fn a_slug_is_nobody_elses(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (first, second) = (app.outsider().await, app.outsider().await);
    let taken = json!({"name": "First", "slug": "taken"});
    let own = first
        .post("/v1/organizations", taken.clone())
        .await
        .created();
    let organization = app.organization(&second).await;
    let path = format!("/v1/organizations/{organization}");
    let events = app.events_of(organization).await.len();

    let create = second.post("/v1/organizations", taken.clone()).await;
    let rename = second
        .patch(&path, json!({"slug": "taken", "name": "Renamed"}))
        .await;
    for answer in [create, rename] {
        let problem = answer.is_problem(409, "already-exists");
        assert_eq!(problem["errors"][0]["pointer"], "/slug");
    }
    assert_eq!(second.get(&path).await.ok()["name"], "Organization");
    assert_eq!(app.events_of(organization).await.len(), events);
    let memberships = second.get("/v1/memberships").await.ok();
    assert_eq!(memberships["data"].as_array().map(Vec::len), Some(1));

    // Its own slug it may say again.
    let same = format!("/v1/organizations/{}", id_of(&own));
    first.patch(&same, json!({"slug": "taken"})).await.ok();
}

#[rstest]
#[tokio::test]
async fn status_and_subscription_are_for_system_admins(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let path = format!("/v1/organizations/{organization}");
    for change in [
        json!({"status": "suspended"}),
        json!({"status": "active"}),
        json!({"subscription_tier": "gold"}),
        json!({"subscription_expires_at": null}),
        json!({"name": "Renamed", "subscription_tier": "free"}),
    ] {
        owner
            .patch(&path, change)
            .await
            .is_problem(403, "forbidden");
    }
    assert_eq!(owner.get(&path).await.ok()["version"], 1);

    let admin = &app.system_admin;
    let plan =
        json!({"subscription_tier": "gold", "subscription_expires_at": "2097-01-01T00:00:00Z"});
    let paying = admin.patch(&path, plan).await.ok();
    assert_eq!(
        paying["subscription_expires_at"],
        "2097-01-01T00:00:00.000000Z"
    );
    for status in ["suspended", "suspended", "active"] {
        let change = json!({"status": status});
        assert_eq!(admin.patch(&path, change).await.ok()["status"], status);
    }
    let deleted = json!({"status": "deleted"});
    admin.patch(&path, deleted).await.is_problem(422, "invalid");
    assert_eq!(
        types_of(&app, organization).await,
        [
            "ORGANIZATION.CREATED",
            "ORGANIZATION.UPDATED",
            "ORGANIZATION.SUSPENDED",
            "ORGANIZATION.REACTIVATED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn its_deletion_is_one_request_with_an_event_for_each_thing_that_ends(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let (member, left) = (app.outsider().await, app.outsider().await);
    app.join(organization, &member, "member").await;
    let gone = app.join(organization, &left, "admin").await;
    let gone = format!("/v1/memberships/{gone}");
    owner.delete(&gone).await.expect(204);
    let invitation = json!({"organization_id": organization, "email": "new@example.com"});
    owner.post("/v1/memberships", invitation).await.created();
    for scopes in [json!(["*"]), json!(["events:read"])] {
        let key = json!({"name": "k", "scopes": scopes, "organization_id": organization});
        owner.post("/v1/api-keys", key.clone()).await.created();
        let revoked = owner.post("/v1/api-keys", key).await.created();
        let revoked = format!("/v1/api-keys/{}", id_of(&revoked));
        owner.delete(&revoked).await.expect(204);
    }

    let path = format!("/v1/organizations/{organization}");
    let headers = [("X-Correlation-Id", "the-deletion")];
    let deleted = owner.send(Method::DELETE, &path, None, &headers).await;
    deleted.expect(204);
    assert_eq!(deleted.text, "");

    let events = app
        .system_admin
        .get("/v1/events?correlation_id=the-deletion");
    let events = events.await.ok();
    let mut types: Vec<_> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "API_KEY.REVOKED",
            "API_KEY.REVOKED",
            "MEMBERSHIP.REMOVED",
            "MEMBERSHIP.REMOVED",
            "MEMBERSHIP.REMOVED",
            "ORGANIZATION.DELETED"
        ]
    );
    for event in events["data"].as_array().unwrap() {
        assert_eq!(event["organization_id"], json!(organization));
        assert_eq!(event["user_id"], json!(owner.user_id()));
        assert_eq!(event["tags"]["organization"], json!(organization));
    }
    // Keys that are not restricted to it live on.
    owner.get("/v1/organizations").await.ok();
}
