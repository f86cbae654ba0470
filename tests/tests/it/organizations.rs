//! Organizations: the rules of their own.

use rstest::rstest;
use serde_json::json;
use tests::{Backend, TestApp, id_of};

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
