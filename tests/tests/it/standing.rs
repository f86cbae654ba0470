//! Standing: what is suspended, expired, removed or deleted gives no access from the next request on.

use rstest::rstest;
use serde_json::{Value, json};
use tests::database::execute;
use tests::{Backend, Caller, TestApp, id_of};
use uuid::Uuid;

use crate::cast::Cast;

async fn row_of_key(app: &TestApp, caller: &Caller) -> String {
    let public = caller.key().split('_').nth(1).expect("a public id");
    let path = format!("/v1/api-keys?user_id={}", caller.user_id());
    let page = app.system_admin.get(&path).await.ok();
    let rows = page["data"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key_id"] == public).unwrap();
    format!("/v1/api-keys/{}", id_of(row))
}

/// What a key that gives no access is answered, whatever it asks for.
async fn is_shut_out(caller: &Caller) {
    for path in ["/v1/users", "/v1/organizations", "/v1/no-such-collection"] {
        let answer = caller.get(path).await;
        answer.is_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").is_some());
    }
    let new = json!({"name": "New", "slug": "new"});
    let answer = caller.post("/v1/organizations", new).await;
    answer.is_problem(401, "unauthenticated");
}

#[rstest]
#[tokio::test]
async fn a_key_gives_access_as_long_as_it_is_active(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let path = row_of_key(&app, &person).await;
    for _ in 0..2 {
        person.get("/v1/users").await.ok();
        let off = json!({"status": "inactive"});
        app.system_admin.patch(&path, off).await.ok();
        is_shut_out(&person).await;
        let on = json!({"status": "active"});
        app.system_admin.patch(&path, on).await.ok();
    }
    person.get("/v1/users").await.ok();
    person.delete(&path).await.expect(204);
    is_shut_out(&person).await;
}

#[rstest]
#[tokio::test]
async fn a_key_gives_no_access_from_its_end_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let path = row_of_key(&app, &person).await;
    let soon = json!({"expires_at": "2097-01-01T00:00:00Z"});
    app.system_admin.patch(&path, soon).await.ok();
    person.get("/v1/users").await.ok();
    let past = json!({"expires_at": "2020-01-01T00:00:00Z"});
    app.system_admin.patch(&path, past).await.ok();
    is_shut_out(&person).await;
    let never = json!({"expires_at": null});
    app.system_admin.patch(&path, never).await.ok();
    person.get("/v1/users").await.ok();
}

#[rstest]
#[tokio::test]
async fn what_an_operator_does_in_the_database_counts_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (first, second) = (app.outsider().await, app.outsider().await);
    let operator = app.database.connect().await;
    for (statement, person) in [
        (
            "UPDATE api_keys SET status = 'revoked' WHERE user_id = ",
            &first,
        ),
        ("UPDATE users SET status = 'suspended' WHERE id = ", &second),
    ] {
        person.get("/v1/users").await.ok();
        let sql = format!("{statement}{}", backend.id(person.user_id()));
        execute(&operator, &sql).await.expect(&sql);
        is_shut_out(person).await;
    }
}

#[rstest]
#[tokio::test]
async fn every_key_of_a_suspended_or_deleted_user_is_shut_out(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let person = &cast.admin;
    let restriction = json!({"organization_id": cast.organization});
    let restricted = cast.app.key_for(person.user_id(), restriction).await;
    let path = format!("/v1/users/{}", person.user_id());
    let admin = &cast.app.system_admin;

    admin
        .patch(&path, json!({"status": "suspended"}))
        .await
        .ok();
    is_shut_out(person).await;
    is_shut_out(&restricted).await;
    admin.patch(&path, json!({"status": "active"})).await.ok();
    person.get("/v1/users").await.ok();
    restricted.get("/v1/users").await.ok();

    admin.delete(&path).await.expect(204);
    is_shut_out(person).await;
    is_shut_out(&restricted).await;
}

#[rstest]
#[tokio::test]
async fn an_invited_user_has_no_access_yet(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let invitation = json!({"organization_id": cast.organization, "email": "new@example.com"});
    let membership = cast.owner.post("/v1/memberships", invitation).await;
    let user: Uuid = membership.created()["user_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let key = cast.app.key_for(user, json!({})).await;
    is_shut_out(&key).await;
    let path = format!("/v1/users/{user}");
    let known = json!({"status": "active"});
    cast.app.system_admin.patch(&path, known).await.ok();
    key.get(&path).await.ok();
}

/// Whether the caller sees the organization, in every collection alike; and if not, changes nothing in it.
async fn is_inside(caller: &Caller, cast: &Cast) -> bool {
    let organization = format!("/v1/organizations/{}", cast.organization);
    let fellow = format!("/v1/users/{}", cast.viewer.user_id());
    let membership = cast.membership_of(&cast.viewer).await;
    let key = cast.key_of_organization().await;
    let event = id_of(&cast.app.events_of(cast.organization).await[0]);
    let event = format!("/v1/events/{event}");
    let mut answers = Vec::new();
    for path in [&organization, &fellow, &membership, &key, &event] {
        answers.push(caller.get(path).await);
    }
    answers.push(caller.patch(&organization, json!({"city": "Hull"})).await);
    let title = json!({"job_title": Uuid::now_v7().to_string()});
    answers.push(caller.patch(&membership, title).await);
    let email = format!("{}@example.com", Uuid::now_v7().simple());
    let invitation = json!({"organization_id": cast.organization, "email": email});
    answers.push(caller.post("/v1/memberships", invitation).await);
    let new = json!({"name": "k", "scopes": ["*"], "organization_id": cast.organization});
    answers.push(caller.post("/v1/api-keys", new).await);
    for answer in &answers {
        if answer.status != 200 && answer.status != 201 {
            answer.is_problem(404, "not-found");
        }
    }
    let good = answers.iter().filter(|answer| answer.status < 300).count();
    assert!(
        good == 0 || good == answers.len(),
        "in part: {:?}",
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    let lists = [
        format!("/v1/events?organization_id={}", cast.organization),
        format!("/v1/users?organization_id={}", cast.organization),
        format!(
            "/v1/memberships?role=owner&organization_id={}",
            cast.organization
        ),
    ];
    for list in lists {
        let page = caller.get(&list).await.ok();
        assert_eq!(page["data"] == json!([]), good == 0, "{list}");
    }
    good > 0
}

#[rstest]
#[tokio::test]
async fn a_suspended_or_removed_membership_gives_no_access(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let admin = &cast.admin;
    let restriction = json!({"organization_id": cast.organization});
    let restricted = cast.app.key_for(admin.user_id(), restriction).await;
    let path = cast.membership_of(admin).await;
    assert!(is_inside(admin, &cast).await && is_inside(&restricted, &cast).await);

    let change = async |status: &str| {
        let change = json!({"status": status});
        cast.owner.patch(&path, change).await.ok();
    };
    change("suspended").await;
    assert!(!is_inside(admin, &cast).await && !is_inside(&restricted, &cast).await);
    // Not by themselves, not even with the key that they have.
    let back = json!({"status": "active"});
    admin.patch(&path, back).await.is_problem(403, "forbidden");
    change("active").await;
    assert!(is_inside(admin, &cast).await && is_inside(&restricted, &cast).await);

    cast.owner.delete(&path).await.expect(204);
    assert!(!is_inside(admin, &cast).await && !is_inside(&restricted, &cast).await);
    admin.get(&path).await.is_problem(404, "not-found");
}

#[rstest]
#[tokio::test]
async fn a_suspended_organization_gives_no_access_to_its_members(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let path = format!("/v1/organizations/{}", cast.organization);
    // What `is_inside` asks about is made beforehand: the owner who makes it is shut out as well.
    let status = async |status: &str| {
        let change = json!({"status": status});
        cast.app.system_admin.patch(&path, change).await.ok();
    };
    let event = id_of(&cast.app.events_of(cast.organization).await[0]);
    let membership = cast.membership_of(&cast.viewer).await;
    let own = cast.membership_of(&cast.owner).await;
    let paths = [
        path.clone(),
        format!("/v1/users/{}", cast.viewer.user_id()),
        membership.clone(),
        cast.key_of_organization_by(&cast.admin).await,
        format!("/v1/events/{event}"),
    ];
    status("suspended").await;
    for path in &paths {
        cast.owner.get(path).await.is_problem(404, "not-found");
        cast.app.system_admin.get(path).await.ok();
        cast.auditor.get(path).await.ok();
    }
    let title = json!({"job_title": "Cook"});
    let refused = cast.owner.patch(&membership, title.clone()).await;
    refused.is_problem(404, "not-found");
    cast.owner.delete(&path).await.is_problem(404, "not-found");
    let refused = cast.owner.patch(&own, title).await;
    refused.is_problem(403, "forbidden");
    for list in ["organizations", "events"] {
        let page = cast.owner.get(&format!("/v1/{list}")).await.ok();
        assert_eq!(page["data"], json!([]), "{list}");
    }
    status("active").await;
    for path in &paths {
        cast.owner.get(path).await.ok();
    }
}

#[rstest]
#[tokio::test]
async fn nobody_enters_a_suspended_organization(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let person = &cast.outsider;
    let invitation = json!({"organization_id": cast.organization, "user_id": person.user_id()});
    let membership = cast.owner.post("/v1/memberships", invitation).await;
    let membership = format!("/v1/memberships/{}", id_of(&membership.created()));
    let path = format!("/v1/organizations/{}", cast.organization);
    let suspended = json!({"status": "suspended"});
    cast.app.system_admin.patch(&path, suspended).await.ok();

    let accept = json!({"status": "active"});
    let answer = person.patch(&membership, accept).await;
    answer.is_problem(409, "state-conflict");
    let read = cast.app.system_admin.get(&membership).await.ok();
    assert_eq!(read["status"], "pending");
    // But whoever does not want to may say so.
    person.delete(&membership).await.expect(204);
}

#[rstest]
#[tokio::test]
async fn a_deleted_organization_gives_no_access(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let restriction = json!({"organization_id": cast.organization});
    let restricted = cast.app.key_for(cast.admin.user_id(), restriction).await;
    let event = id_of(&cast.app.events_of(cast.organization).await[0]);
    let path = format!("/v1/organizations/{}", cast.organization);
    cast.owner.delete(&path).await.expect(204);
    is_shut_out(&restricted).await;
    for caller in [&cast.owner, &cast.admin] {
        for path in [
            path.clone(),
            format!("/v1/users/{}", cast.viewer.user_id()),
            format!("/v1/events/{event}"),
        ] {
            caller.get(&path).await.is_problem(404, "not-found");
        }
        let page = caller.get("/v1/events").await.ok();
        assert_eq!(page["data"], json!([]));
        let users = caller.get("/v1/users").await.ok();
        assert_eq!(users["data"].as_array().map(Vec::len), Some(1));
    }
    // The trail stays for those who read all.
    let trail: Value = cast.auditor.get(&format!("/v1/events/{event}")).await.ok();
    assert_eq!(trail["aggregate_id"], json!(cast.organization));
}
