//! A server with people in it, ready for things to happen.

use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{TestApp, id_of};
use crate::caller::Caller;
use crate::database::Backend;
use crate::snapshot::Snapshot;

/// A server, one organization with its owner, and someone who is no member of it.
pub struct Stage {
    pub app: TestApp,
    pub owner: Caller,
    pub organization: Uuid,
    pub outsider: Caller,
    /// Past the API.
    pub connection: DatabaseConnection,
}

impl Stage {
    pub async fn set(backend: Backend) -> Self {
        Self::set_in(TestApp::start(backend).await).await
    }

    /// The same in a server with settings of its own.
    pub async fn set_in(app: TestApp) -> Self {
        let owner = app.outsider().await;
        Self {
            organization: app.organization(&owner).await,
            outsider: app.outsider().await,
            connection: app.database.connect().await,
            owner,
            app,
        }
    }

    /// What the database holds now.
    pub async fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.app.product, &self.connection).await
    }

    /// A new active user without a key.
    pub async fn person(&self) -> Uuid {
        let body = json!({"email": email()});
        let answer = self.app.system_admin.post("/v1/users", body).await;
        id_of(&answer.created())
    }

    /// A new membership in the organization, for a new person; `fields` go into the request.
    pub async fn membership(&self, mut fields: Value) -> Uuid {
        if fields.get("user_id").is_none() {
            fields["user_id"] = json!(self.person().await);
        }
        fields["organization_id"] = json!(self.organization);
        let admin = &self.app.system_admin;
        id_of(&admin.post("/v1/memberships", fields).await.created())
    }

    /// A new key of the caller's own; `fields` go into the request.
    pub async fn key(&self, caller: &Caller, mut fields: Value) -> Uuid {
        fields["name"] = "a key".into();
        if fields.get("scopes").is_none() {
            fields["scopes"] = json!(["organizations:read", "memberships:read"]);
        }
        id_of(&caller.post("/v1/api-keys", fields).await.created())
    }

    /// The one key that this person has.
    pub async fn only_key_of(&self, user_id: Uuid) -> Uuid {
        let path = format!("/v1/api-keys?user_id={user_id}");
        let keys = self.app.system_admin.get(&path).await.ok();
        assert_eq!(keys["data"].as_array().map(Vec::len), Some(1), "{keys}");
        id_of(&keys["data"][0])
    }
}

/// Letters and digits that nothing else has.
pub fn unique() -> String {
    format!("u{}", Uuid::now_v7().simple())
}

/// An address that nobody else has.
pub fn email() -> String {
    format!("{}@example.com", unique())
}
