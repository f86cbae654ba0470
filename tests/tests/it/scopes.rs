//! Scopes: a key does what its scopes say, makes no key beyond itself, and stays in its organization.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, Stage, collections, id_of, mutations};
use uuid::Uuid;

fn all_scopes() -> Vec<String> {
    let both = |name: &String| [format!("{name}:read"), format!("{name}:write")];
    let mut scopes: Vec<String> = collections().iter().flat_map(both).collect();
    scopes.push("*".to_owned());
    scopes
}

/// A person with an organization, and what stands for one row of each collection.
struct Tenant {
    stage: Stage,
    event: Uuid,
}

impl Tenant {
    async fn of(backend: Backend) -> Self {
        let stage = Stage::set(backend).await;
        let event = id_of(&stage.app.events_of(stage.organization).await[0]);
        Self { stage, event }
    }

    async fn key(&self, scopes: &[&str]) -> Caller {
        self.stage
            .app
            .key_for(self.stage.owner.user_id(), json!({"scopes": scopes}))
            .await
    }

    /// The row of the key that the caller uses.
    async fn row_of(&self, caller: &Caller) -> Value {
        let public = caller.key().split('_').nth(1).expect("a public id");
        let path = format!("/v1/api-keys?user_id={}&limit=200", caller.user_id());
        let page = self.stage.app.system_admin.get(&path).await.ok();
        let rows = page["data"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key_id"] == public);
        row.unwrap_or_else(|| panic!("{public} in {page}")).clone()
    }

    async fn path_of(&self, caller: &Caller) -> String {
        format!("/v1/api-keys/{}", id_of(&self.row_of(caller).await))
    }

    /// A read of one row of the collection, which succeeds for who may do it.
    async fn reads_one(&self, caller: &Caller, collection: &str) -> Answer {
        let id = match collection {
            "organizations" => self.stage.organization,
            "users" => self.stage.owner.user_id(),
            "memberships" => {
                let page = self.stage.owner.get("/v1/memberships").await.ok();
                id_of(&page["data"][0])
            }
            "api-keys" => id_of(&self.row_of(&self.stage.owner).await),
            "events" => self.event,
            other => {
                let creation = mutations::creation(other).expect("a way to make one");
                let request = creation.prepare(&self.stage).await;
                id_of(&request.send_as(&self.stage.owner, &[]).await.created())
            }
        };
        caller.get(&format!("/v1/{collection}/{id}")).await
    }

    /// A change in the collection, which succeeds for who may do it; but events are nobody's to write.
    async fn writes(&self, caller: &Caller, collection: &str, scope: &str) -> Answer {
        let slug = format!("o-{}", Uuid::now_v7().simple());
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        match collection {
            "organizations" => {
                let organization = json!({"name": "Another", "slug": slug});
                caller.post("/v1/organizations", organization).await
            }
            "users" => {
                let path = format!("/v1/users/{}", self.stage.owner.user_id());
                caller.patch(&path, json!({"bio": slug})).await
            }
            "memberships" => {
                let invitation =
                    json!({"organization_id": self.stage.organization, "email": email});
                caller.post("/v1/memberships", invitation).await
            }
            "api-keys" => {
                let key = json!({"name": "new", "scopes": [scope]});
                caller.post("/v1/api-keys", key).await
            }
            "events" => caller.post("/v1/events", json!({})).await,
            other => {
                let creation = mutations::creation(other).expect("a way to make one");
                let request = creation.prepare(&self.stage).await;
                request.send_as(caller, &[]).await
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_scope_allows_exactly_its_collection_and_its_action(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    for scope in all_scopes() {
        let key = tenant.key(&[&scope]).await;
        for collection in &collections() {
            let list = key.get(&format!("/v1/{collection}")).await;
            let one = tenant.reads_one(&key, collection).await;
            let write = tenant.writes(&key, collection, &scope).await;
            if scope == "*" || scope == format!("{collection}:read") {
                list.ok();
                one.ok();
            } else {
                list.is_problem(403, "insufficient-scope");
                one.is_problem(403, "insufficient-scope");
            }
            if scope != "*" && scope != format!("{collection}:write") {
                write.is_problem(403, "insufficient-scope");
            } else if collection == "events" {
                write.is_problem(405, "method-not-allowed");
            } else {
                assert!([200, 201].contains(&write.status), "{scope}: {write:?}");
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_path_in_another_spelling_needs_the_same_scope(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    let key = tenant.key(&["events:read"]).await;
    let organization = tenant.stage.organization;
    for path in [
        "/v1/%6frganizations".to_owned(),
        "/v1/%6Frganizations".to_owned(),
        "/%761/organizations".to_owned(),
        format!("/%76%31/organization%73/{organization}"),
        "/v1/memberships%3f".to_owned(),
        "/v1//organizations".to_owned(),
        "/v1/Organizations".to_owned(),
    ] {
        let read = key.get(&path).await;
        assert!([403, 404].contains(&read.status), "{path}: {read:?}");
        let body = json!({"name": "Slipped", "slug": "slipped"});
        let write = key.send(Method::POST, &path, Some(body), &[]).await;
        assert!([403, 404].contains(&write.status), "{path}: {write:?}");
    }
    let renamed = key
        .patch(
            &format!("/v1/%6frganizations/{organization}"),
            json!({"name": "Slipped"}),
        )
        .await;
    renamed.is_problem(403, "insufficient-scope");
}

#[rstest]
#[tokio::test]
async fn a_key_makes_no_key_with_a_scope_that_it_lacks(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    for own in ["organizations:read", "events:read", "api-keys:read", "*"] {
        let key = tenant.key(&["api-keys:write", own]).await;
        for wanted in all_scopes() {
            let new = json!({"name": "new", "scopes": [wanted]});
            let answer = key.post("/v1/api-keys", new).await;
            if own == "*" || wanted == own || wanted == "api-keys:write" {
                answer.created();
            } else {
                answer.is_problem(403, "insufficient-scope");
            }
        }
    }
    let key = tenant.key(&["api-keys:write"]).await;
    let both = json!({"name": "new", "scopes": ["api-keys:write", "events:read"]});
    let answer = key.post("/v1/api-keys", both).await;
    answer.is_problem(403, "insufficient-scope");
}

#[rstest]
#[tokio::test]
async fn a_key_widens_neither_itself_nor_another(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    let narrow = tenant.key(&["api-keys:write", "events:read"]).await;
    let other = tenant.key(&["events:read"]).await;
    for path in [tenant.path_of(&narrow).await, tenant.path_of(&other).await] {
        for scopes in [json!(["api-keys:read"]), json!(["events:read", "*"])] {
            let answer = narrow.patch(&path, json!({"scopes": scopes})).await;
            answer.is_problem(403, "insufficient-scope");
        }
    }
    // What is within the key it may do, and what narrows any of its person's keys.
    let path = tenant.path_of(&other).await;
    let within = json!({"scopes": ["events:read", "api-keys:write"]});
    narrow.patch(&path, within).await.ok();
    let narrower = json!({"scopes": ["api-keys:write"]});
    narrow.patch(&path, narrower).await.ok();
}

#[rstest]
#[tokio::test]
async fn a_key_makes_or_widens_none_that_ends_later(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    let (sooner, end, later) = (
        "2096-01-01T00:00:00Z",
        "2097-01-01T00:00:00Z",
        "2097-01-01T00:00:00.000001Z",
    );
    let user = tenant.stage.owner.user_id();
    let key = tenant
        .stage
        .app
        .key_for(user, json!({"expires_at": end}))
        .await;
    for (wanted, status) in [
        (json!(sooner), 201),
        (json!(end), 201),
        (json!(later), 403),
        (Value::Null, 403),
    ] {
        let new = json!({"name": "new", "scopes": ["*"], "expires_at": wanted});
        key.post("/v1/api-keys", new).await.expect(status);
    }
    let endless = json!({"name": "new", "scopes": ["*"]});
    let answer = key.post("/v1/api-keys", endless).await;
    answer.is_problem(403, "insufficient-scope");

    let own = tenant.path_of(&key).await;
    for wanted in [json!(later), Value::Null] {
        let answer = key.patch(&own, json!({"expires_at": wanted})).await;
        answer.is_problem(403, "insufficient-scope");
    }
    key.patch(&own, json!({"expires_at": sooner})).await.ok();
    let answer = key.patch(&own, json!({"expires_at": end})).await;
    answer.is_problem(403, "insufficient-scope");
}

#[rstest]
#[tokio::test]
async fn a_key_brings_none_back_that_is_wider(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    let narrow = tenant.key(&["api-keys:write", "api-keys:read"]).await;
    let wide = tenant.key(&["*"]).await;
    let within = tenant.key(&["api-keys:read"]).await;
    let (wide, within) = (tenant.path_of(&wide).await, tenant.path_of(&within).await);
    for path in [&wide, &within] {
        let off = json!({"status": "inactive"});
        narrow.patch(path, off).await.ok();
    }
    let on = json!({"status": "active"});
    let refused = narrow.patch(&wide, on.clone()).await;
    refused.is_problem(403, "insufficient-scope");
    narrow.patch(&within, on.clone()).await.ok();

    // Narrowed in the same request it is within, and no way to widen it after.
    let both = json!({"status": "active", "scopes": ["api-keys:read"]});
    narrow.patch(&wide, both).await.ok();
    let again = narrow.patch(&wide, json!({"scopes": ["*"]})).await;
    again.is_problem(403, "insufficient-scope");
}

#[rstest]
#[tokio::test]
async fn a_restricted_key_makes_and_changes_none_beyond_its_organization(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let tenant = Tenant::of(backend).await;
    let elsewhere = tenant.stage.app.organization(&tenant.stage.owner).await;
    let restriction = json!({"organization_id": tenant.stage.organization});
    let user = tenant.stage.owner.user_id();
    let key = tenant.stage.app.key_for(user, restriction).await;

    for organization in [Value::Null, json!(elsewhere)] {
        let new = json!({"name": "new", "scopes": ["*"], "organization_id": organization});
        let answer = key.post("/v1/api-keys", new).await;
        answer.is_problem(403, "insufficient-scope");
    }
    let within =
        json!({"name": "new", "scopes": ["*"], "organization_id": tenant.stage.organization});
    key.post("/v1/api-keys", within).await.created();

    let own = tenant.path_of(&key).await;
    for organization in [Value::Null, json!(elsewhere)] {
        let moved = json!({"organization_id": organization});
        key.patch(&own, moved).await.is_problem(422, "invalid");
    }
    let unrestricted = tenant.path_of(&tenant.stage.owner).await;
    key.get(&unrestricted).await.is_problem(404, "not-found");
    for change in [json!({"name": "mine"}), json!({"status": "inactive"})] {
        let answer = key.patch(&unrestricted, change).await;
        answer.is_problem(404, "not-found");
    }
    let revoked = key.delete(&unrestricted).await;
    revoked.is_problem(404, "not-found");
}
