//! One organization with someone in each role, and those who are not in it.

use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, TestApp, id_of};
use uuid::Uuid;

/// Everyone of the table of roles. The second owner is there to be changed by the others.
pub struct Cast {
    pub app: TestApp,
    pub organization: Uuid,
    pub owner: Caller,
    pub admin: Caller,
    pub member: Caller,
    pub viewer: Caller,
    pub outsider: Caller,
    pub auditor: Caller,
}

impl Cast {
    pub async fn of(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        let owner = app.outsider().await;
        let organization = app.organization(&owner).await;
        Self {
            admin: app.member(organization, "admin").await,
            member: app.member(organization, "member").await,
            viewer: app.member(organization, "viewer").await,
            outsider: app.outsider().await,
            auditor: app.auditor().await,
            app,
            organization,
            owner,
        }
    }

    /// A new organization with the same people in the same roles.
    pub async fn another_organization(&self) -> Uuid {
        let organization = self.app.organization(&self.owner).await;
        for (person, role) in [
            (&self.admin, "admin"),
            (&self.member, "member"),
            (&self.viewer, "viewer"),
        ] {
            self.app.join(organization, person, role).await;
        }
        organization
    }

    /// A new person with this role in the organization; the path of their membership.
    pub async fn someone(&self, role: &str) -> String {
        let user = self.stranger().await;
        let membership = json!({
            "organization_id": self.organization, "user_id": user, "role": role, "status": "active",
        });
        let answer = self.app.system_admin.post("/v1/memberships", membership);
        path_of(&answer.await)
    }

    /// A new active user without a key, who is a member of nothing.
    pub async fn stranger(&self) -> Uuid {
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let answer = self
            .app
            .system_admin
            .post("/v1/users", json!({"email": email}));
        id_of(&answer.await.created())
    }

    /// A key of the organization's own, made by its owner; its path.
    pub async fn key_of_organization(&self) -> String {
        self.key_of_organization_by(&self.owner).await
    }

    /// A key of the organization's own; its path.
    pub async fn key_of_organization_by(&self, maker: &Caller) -> String {
        let key = json!({
            "name": "ours", "organization_id": self.organization, "key_type": "organization", "scopes": ["*"],
        });
        path_of(&maker.post("/v1/api-keys", key).await)
    }

    /// The path of this person's membership in the organization.
    pub async fn membership_of(&self, person: &Caller) -> String {
        let path = format!(
            "/v1/memberships?organization_id={}&user_id={}",
            self.organization,
            person.user_id()
        );
        let page = self.app.system_admin.get(&path).await.ok();
        format!("/v1/memberships/{}", id_of(&page["data"][0]))
    }

    /// Gives the person scopes beyond their role.
    pub async fn grant(&self, person: &Caller, permissions: Value) {
        let path = self.membership_of(person).await;
        let grant = json!({"permissions": permissions});
        self.owner.patch(&path, grant).await.ok();
    }
}

/// Where the resource that was just made is.
#[track_caller]
pub fn path_of(answer: &Answer) -> String {
    answer.expect(201);
    let location = answer.header("location").expect("a Location");
    location.to_owned()
}

/// The ids of a page.
#[track_caller]
pub fn ids_of(page: &Value) -> Vec<Uuid> {
    let rows = page["data"]
        .as_array()
        .unwrap_or_else(|| panic!("a page in {page}"));
    rows.iter().map(id_of).collect()
}

/// The types of the events of one thing, oldest first.
pub async fn types_of(app: &TestApp, aggregate: Uuid) -> Vec<String> {
    let events = app.events_of(aggregate).await;
    let types = events.iter().map(|event| event["event_type"].as_str());
    types.map(|name| name.unwrap().to_owned()).collect()
}
