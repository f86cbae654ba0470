//! Tenancy: what is not yours does not exist for you.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, Caller, TestApp, collections, id_of};
use uuid::Uuid;

use crate::cast::path_of;

/// A tenant with something of everything, and nothing in common with another one.
struct Tenant {
    owner: Caller,
    member: Caller,
    organization: Uuid,
    slug: String,
    membership: Uuid,
    key: Uuid,
    event: Uuid,
    correlation: String,
}

impl Tenant {
    async fn of(app: &TestApp) -> Self {
        let (owner, member) = (app.outsider().await, app.outsider().await);
        let slug = format!("t-{}", Uuid::now_v7().simple());
        let correlation = Uuid::now_v7().to_string();
        let new = json!({"name": format!("Tenant {slug}"), "slug": slug});
        let headers = [("X-Correlation-Id", correlation.as_str())];
        let made = owner.send(Method::POST, "/v1/organizations", Some(new), &headers);
        let organization = id_of(&made.await.created());
        let membership = app.join(organization, &member, "member").await;
        let key = json!({
            "name": "tenant", "organization_id": organization, "key_type": "organization", "scopes": ["*"],
        });
        let key = id_of(&owner.post("/v1/api-keys", key).await.created());
        let event = id_of(&app.events_of(organization).await[0]);
        Self {
            owner,
            member,
            organization,
            slug,
            membership,
            key,
            event,
            correlation,
        }
    }

    /// One row of each collection.
    fn rows(&self) -> Vec<(&'static str, Uuid)> {
        vec![
            ("organizations", self.organization),
            ("users", self.member.user_id()),
            ("memberships", self.membership),
            ("api-keys", self.key),
            ("events", self.event),
        ]
    }
}

/// Every operation on one row of a collection, with a body that is right.
fn operations(collection: &str) -> Vec<(Method, Option<Value>)> {
    let change = match collection {
        "organizations" => json!({"name": "Mine now"}),
        "users" => json!({"bio": "Mine now"}),
        "memberships" => json!({"status": "active"}),
        "api-keys" => json!({"name": "Mine now"}),
        "events" => return vec![(Method::GET, None)],
        other => panic!("a change of one of the {other}"),
    };
    vec![
        (Method::GET, None),
        (Method::PATCH, Some(change)),
        (Method::DELETE, None),
    ]
}

/// All of an answer that could tell one thing from another.
fn bytes_of(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date");
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.text.clone())
}

async fn ask(caller: &Caller, method: &Method, path: &str, body: &Option<Value>) -> Answer {
    let headers = [("X-Request-Id", "the-same"), ("If-Match", "\"1\"")];
    let headers = match *method {
        Method::PATCH | Method::DELETE => &headers[..],
        _ => &headers[..1],
    };
    caller
        .send(method.clone(), path, body.clone(), headers)
        .await
}

#[rstest]
#[tokio::test]
async fn what_is_anothers_is_answered_like_what_never_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (own, other) = (Tenant::of(&app).await, Tenant::of(&app).await);
    let mut rows: Vec<_> = other.rows().iter().map(|(name, _)| *name).collect();
    rows.sort_unstable();
    assert_eq!(rows, collections(), "`rows` has one of each collection");
    for (collection, id) in other.rows() {
        for (method, body) in operations(collection) {
            for caller in [&own.owner, &own.member] {
                let never = format!("/v1/{collection}/{}", Uuid::now_v7());
                let never = ask(caller, &method, &never, &body).await;
                never.is_problem(404, "not-found");
                for id in [id.to_string(), id.to_string().to_uppercase()] {
                    let path = format!("/v1/{collection}/{id}");
                    let answer = ask(caller, &method, &path, &body).await;
                    assert_eq!(bytes_of(&answer), bytes_of(&never), "{method} {path}");
                }
                for no_id in ["not-an-id".to_owned(), id.simple().to_string()] {
                    let path = format!("/v1/{collection}/{no_id}");
                    let answer = ask(caller, &method, &path, &body).await;
                    assert_eq!(answer.text, never.text, "{method} {path}");
                }
            }
        }
    }
    for (collection, id) in other.rows() {
        let read = other.owner.get(&format!("/v1/{collection}/{id}")).await;
        assert_ne!(read.ok()["version"], json!(2), "{collection} was changed");
    }
}

#[rstest]
#[tokio::test]
async fn what_was_deleted_is_answered_like_what_never_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let tenant = Tenant::of(&app).await;
    let paths = [
        ("memberships", tenant.membership),
        ("api-keys", tenant.key),
        ("organizations", tenant.organization),
        ("users", tenant.member.user_id()),
    ];
    for (collection, id) in paths {
        let path = format!("/v1/{collection}/{id}");
        app.system_admin.delete(&path).await.expect(204);
        for (method, body) in operations(collection) {
            for caller in [&app.system_admin, &tenant.owner] {
                let never = format!("/v1/{collection}/{}", Uuid::now_v7());
                let never = ask(caller, &method, &never, &body).await;
                let answer = ask(caller, &method, &path, &body).await;
                answer.is_problem(404, "not-found");
                assert_eq!(bytes_of(&answer), bytes_of(&never), "{method} {path}");
            }
        }
    }
    let by_slug = format!("/v1/organizations/by-slug/{}", tenant.slug);
    let answer = app.system_admin.get(&by_slug).await;
    answer.is_problem(404, "not-found");
}

/// What a deleted organization leaves is its events, and the people.
#[rstest]
#[tokio::test]
async fn what_belongs_to_an_organization_goes_with_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let tenant = Tenant::of(&app).await;
    let organization = format!("/v1/organizations/{}", tenant.organization);
    tenant.owner.delete(&organization).await.expect(204);
    for (collection, id) in tenant.rows() {
        let path = format!("/v1/{collection}/{id}");
        let read = app.system_admin.get(&path).await;
        let stays = ["events", "users"].contains(&collection);
        assert_eq!(read.status, if stays { 200 } else { 404 }, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn anothers_slug_and_anothers_organization_in_a_body_are_like_what_never_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (own, other) = (Tenant::of(&app).await, Tenant::of(&app).await);
    let caller = &own.owner;
    let slug = async |slug: &str| {
        let path = format!("/v1/organizations/by-slug/{slug}");
        ask(caller, &Method::GET, &path, &None).await
    };
    let (never, anothers) = (slug("never-was").await, slug(&other.slug).await);
    never.is_problem(404, "not-found");
    assert_eq!(bytes_of(&never), bytes_of(&anothers));
    assert_eq!(bytes_of(&never), bytes_of(&slug("No-Slug").await));

    let bodies = |organization: Uuid| {
        [
            (
                "/v1/memberships",
                json!({"organization_id": organization, "email": "a@example.com"}),
            ),
            (
                "/v1/memberships",
                json!({"organization_id": organization, "user_id": own.owner.user_id(), "role": "owner", "status": "active"}),
            ),
            (
                "/v1/api-keys",
                json!({"organization_id": organization, "name": "k", "scopes": ["*"]}),
            ),
            (
                "/v1/api-keys",
                json!({"organization_id": organization, "name": "k", "scopes": ["*"], "key_type": "organization"}),
            ),
        ]
    };
    for ((path, anothers), (_, never)) in bodies(other.organization)
        .into_iter()
        .zip(bodies(Uuid::now_v7()))
    {
        let never = ask(caller, &Method::POST, path, &Some(never)).await;
        let anothers = ask(caller, &Method::POST, path, &Some(anothers)).await;
        never.is_problem(404, "not-found");
        assert_eq!(bytes_of(&never), bytes_of(&anothers), "{path}");
    }
}

async fn whole_list(caller: &Caller, path: &str) -> Vec<Value> {
    let page = caller.get(path).await.ok();
    assert_eq!(page["next_cursor"], Value::Null, "{path}");
    page["data"].as_array().unwrap().clone()
}

#[rstest]
#[tokio::test]
async fn lists_have_no_row_of_another_tenant(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (own, other) = (Tenant::of(&app).await, Tenant::of(&app).await);
    let foreign = [
        other.organization,
        other.owner.user_id(),
        other.member.user_id(),
        app.system_admin.user_id(),
        app.first_organization,
    ];
    for caller in [&own.owner, &own.member] {
        for collection in collections() {
            let rows = whole_list(caller, &format!("/v1/{collection}?limit=200")).await;
            let events_of_a_member = collection == "events" && caller.key() == own.member.key();
            assert_eq!(rows.is_empty(), events_of_a_member, "{collection}");
            for row in rows {
                for field in ["id", "organization_id", "user_id", "aggregate_id"] {
                    // The system admin put the member there, and is named as the one who did.
                    let acted =
                        collection == "events" && row[field] == json!(app.system_admin.user_id());
                    let named = foreign.iter().any(|id| row[field] == json!(id));
                    assert!(!named || acted, "{collection}: {row}");
                }
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn filters_by_what_is_anothers_find_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (own, other) = (Tenant::of(&app).await, Tenant::of(&app).await);
    let (organization, owner) = (other.organization, other.owner.user_id());
    let member = other.member.user_id();
    for path in [
        format!("/v1/organizations?q={}", other.slug),
        format!("/v1/users?organization_id={organization}"),
        format!("/v1/users?q={}", member.simple()),
        "/v1/users?q=root@example.com".to_owned(),
        "/v1/users?role=admin".to_owned(),
        format!("/v1/memberships?organization_id={organization}"),
        format!("/v1/memberships?user_id={member}"),
        format!("/v1/memberships?user_id={owner}&role=owner&status=active"),
        format!("/v1/api-keys?organization_id={organization}"),
        format!("/v1/api-keys?user_id={owner}"),
        format!("/v1/events?organization_id={organization}"),
        format!("/v1/events?user_id={owner}"),
        format!("/v1/events?aggregate_id={organization}"),
        format!(
            "/v1/events?aggregate_type=membership&aggregate_id={}",
            other.membership
        ),
        format!("/v1/events?correlation_id={}", other.correlation),
        format!("/v1/events?tag=organization:{organization}"),
        format!("/v1/events?tag=user:{member}"),
        format!("/v1/events?event_type=ORGANIZATION.*&tag=organization:{organization}"),
        format!("/v1/events?aggregate_id={owner}"),
    ] {
        let found = whole_list(&own.owner, &path).await;
        assert!(found.is_empty(), "{path}: {found:?}");
    }
    // The same questions have answers for who may ask them.
    for path in [
        format!("/v1/events?correlation_id={}", other.correlation),
        format!("/v1/events?tag=user:{member}"),
        format!("/v1/users?organization_id={organization}"),
        format!("/v1/memberships?user_id={member}"),
        format!("/v1/organizations?q={}", other.slug),
    ] {
        let found = whole_list(&other.owner, &path).await;
        assert!(!found.is_empty(), "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_cursor_of_another_tenant_shows_nothing_of_theirs(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (other, own) = (Tenant::of(&app).await, Tenant::of(&app).await);
    for collection in ["users", "memberships", "api-keys", "events"] {
        let order = if collection == "events" {
            "&order=asc"
        } else {
            ""
        };
        let first = format!("/v1/{collection}?limit=1{order}");
        let page = other.owner.get(&first).await.ok();
        let cursor = page["next_cursor"].as_str().expect("another page");
        let path = format!("/v1/{collection}?limit=200{order}&cursor={cursor}");
        let mine = whole_list(&own.owner, &path).await;
        let all = format!("/v1/{collection}?limit=200{order}");
        let all = whole_list(&own.owner, &all).await;
        assert!(mine.iter().all(|row| all.contains(row)), "{collection}");
    }
}

#[rstest]
#[tokio::test]
async fn a_person_without_a_membership_sees_themselves_and_nothing_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    Tenant::of(&app).await;
    let outsider = app.outsider().await;
    let path = path_of(
        &outsider
            .post("/v1/api-keys", json!({"name": "second", "scopes": ["*"]}))
            .await,
    );
    outsider.get(&path).await.ok();
    for (collection, rows) in [
        ("organizations", 0),
        ("users", 1),
        ("memberships", 0),
        ("api-keys", 2),
        ("events", 0),
    ] {
        let found = whole_list(&outsider, &format!("/v1/{collection}")).await;
        assert_eq!(found.len(), rows, "{collection}: {found:?}");
    }
}
