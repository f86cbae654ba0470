//! Restriction: a key with an organization sees and changes that one and nothing else, whoever its person is.

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, TestApp, id_of};
use uuid::Uuid;

use crate::cast::{ids_of, path_of};

/// An organization with what belongs to it, and the person who owns it.
struct House {
    organization: Uuid,
    slug: String,
    /// Someone who is a member of this one only.
    fellow: Uuid,
    membership: String,
    key: String,
    event: Uuid,
}

impl House {
    async fn of(app: &TestApp, owner: &Caller) -> Self {
        let organization = app.organization(owner).await;
        let read = owner
            .get(&format!("/v1/organizations/{organization}"))
            .await;
        let fellow = app.outsider().await;
        let membership = app.join(organization, &fellow, "member").await;
        let key = json!({
            "name": "house", "organization_id": organization, "key_type": "organization", "scopes": ["*"],
        });
        Self {
            organization,
            slug: read.ok()["slug"].as_str().unwrap().to_owned(),
            fellow: fellow.user_id(),
            membership: format!("/v1/memberships/{membership}"),
            key: path_of(&owner.post("/v1/api-keys", key).await),
            event: id_of(&app.events_of(organization).await[0]),
        }
    }

    /// Every path that reads something of the house.
    fn paths(&self) -> Vec<String> {
        vec![
            format!("/v1/organizations/{}", self.organization),
            format!("/v1/organizations/by-slug/{}", self.slug),
            format!("/v1/users/{}", self.fellow),
            self.membership.clone(),
            self.key.clone(),
            format!("/v1/events/{}", self.event),
        ]
    }

    /// Every change of something of the house, without one that would undo another.
    async fn changes_by(&self, caller: &Caller) -> Vec<Answer> {
        let organization = format!("/v1/organizations/{}", self.organization);
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let invitation = json!({"organization_id": self.organization, "email": email});
        vec![
            caller.patch(&organization, json!({"city": "Hull"})).await,
            caller.post("/v1/memberships", invitation).await,
            caller
                .patch(&self.membership, json!({"job_title": "Cook"}))
                .await,
            caller.patch(&self.key, json!({"name": "renamed"})).await,
            caller.delete(&self.key).await,
            caller.delete(&self.membership).await,
            caller.delete(&organization).await,
        ]
    }
}

async fn whole_list(caller: &Caller, path: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let page = caller.get(&format!("{path}{separator}limit=200")).await;
    let page = page.ok();
    assert_eq!(page["next_cursor"], Value::Null);
    page["data"].as_array().unwrap().clone()
}

async fn sees_and_changes_only(key: &Caller, own: &House, other: &House) {
    let organizations = key.get("/v1/organizations").await.ok();
    assert_eq!(ids_of(&organizations), [own.organization]);
    for list in ["/v1/memberships", "/v1/api-keys", "/v1/events"] {
        let rows = whole_list(key, list).await;
        assert!(!rows.is_empty(), "{list}");
        for row in rows {
            assert_eq!(row["organization_id"], json!(own.organization), "{list}");
        }
        let filtered = format!("{list}?organization_id={}", other.organization);
        assert!(whole_list(key, &filtered).await.is_empty(), "{list}");
    }
    let users = whole_list(key, "/v1/users").await;
    let ids: Vec<Uuid> = users.iter().map(id_of).collect();
    assert!(ids.contains(&own.fellow) && !ids.contains(&other.fellow));
    let filtered = format!("/v1/users?organization_id={}", other.organization);
    assert!(whole_list(key, &filtered).await.is_empty());

    for path in own.paths() {
        key.get(&path).await.ok();
    }
    for path in other.paths() {
        key.get(&path).await.is_problem(404, "not-found");
    }
    for answer in other.changes_by(key).await {
        answer.is_problem(404, "not-found");
    }
    let new = json!({"name": "New", "slug": "new-one"});
    let answer = key.post("/v1/organizations", new).await;
    answer.is_problem(403, "forbidden");
    for answer in own.changes_by(key).await {
        assert!([200, 201, 204].contains(&answer.status), "{answer:?}");
    }
}

#[rstest]
#[tokio::test]
async fn a_users_restricted_key_sees_and_changes_that_organization_only(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let (own, other) = (
        House::of(&app, &person).await,
        House::of(&app, &person).await,
    );
    let restriction = json!({"organization_id": own.organization});
    let key = app.key_for(person.user_id(), restriction).await;
    sees_and_changes_only(&key, &own, &other).await;
}

#[rstest]
#[tokio::test]
async fn a_system_admins_restricted_key_sees_and_changes_that_organization_only(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let (own, other) = (House::of(&app, &owner).await, House::of(&app, &owner).await);
    let restriction = json!({"organization_id": own.organization});
    let admin = app.system_admin.user_id();
    let key = app.key_for(admin, restriction).await;
    sees_and_changes_only(&key, &own, &other).await;
}

#[rstest]
#[tokio::test]
async fn an_auditors_restricted_key_reads_that_organization_only(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (owner, auditor) = (app.outsider().await, app.auditor().await);
    let (own, other) = (House::of(&app, &owner).await, House::of(&app, &owner).await);
    let restriction = json!({"organization_id": own.organization});
    let key = app.key_for(auditor.user_id(), restriction).await;
    for path in own.paths() {
        key.get(&path).await.ok();
    }
    for path in other.paths() {
        key.get(&path).await.is_problem(404, "not-found");
    }
    for answer in own.changes_by(&key).await {
        answer.is_problem(403, "forbidden");
    }
    let events = whole_list(&key, "/v1/events").await;
    assert!(
        events
            .iter()
            .all(|event| event["organization_id"] == json!(own.organization))
    );
}

#[rstest]
#[tokio::test]
async fn a_restricted_key_does_not_reach_its_own_person(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let house = House::of(&app, &person).await;
    for user in [person.user_id(), app.system_admin.user_id()] {
        let restriction = json!({"organization_id": house.organization});
        let key = app.key_for(user, restriction).await;
        let path = format!("/v1/users/{user}");
        for change in [
            json!({"bio": "new"}),
            json!({"email": "new@example.com"}),
            json!({"password": "correct horse battery staple"}),
        ] {
            let answer = key.patch(&path, change).await;
            assert!([403, 404].contains(&answer.status), "{answer:?}");
        }
        let answer = key.delete(&path).await;
        assert!([403, 404].contains(&answer.status), "{answer:?}");
        let new = json!({"email": "more@example.com"});
        key.post("/v1/users", new)
            .await
            .is_problem(403, "forbidden");
    }
}
