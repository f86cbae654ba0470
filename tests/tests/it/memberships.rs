//! Memberships: invited, accepted, changed and ended; and that an owner is always left.

use rstest::rstest;
use serde_json::{Value, json};
use tests::database::execute;
use tests::{Backend, Caller, TestApp, id_of};
use uuid::Uuid;

use crate::cast::{Cast, ids_of, path_of, types_of};

fn id_in(path: &str) -> Uuid {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

/// An organization with one owner, and someone whom they invited.
struct Invitation {
    app: TestApp,
    owner: Caller,
    guest: Caller,
    organization: Uuid,
    path: String,
}

impl Invitation {
    async fn of(backend: Backend, role: &str) -> Self {
        let app = TestApp::start(backend).await;
        let (owner, guest) = (app.outsider().await, app.outsider().await);
        let organization = app.organization(&owner).await;
        let new = json!({
            "organization_id": organization, "user_id": guest.user_id(), "role": role, "job_title": "Cook",
        });
        let path = path_of(&owner.post("/v1/memberships", new).await);
        Self {
            app,
            owner,
            guest,
            organization,
            path,
        }
    }

    async fn types(&self) -> Vec<String> {
        types_of(&self.app, id_in(&self.path)).await
    }
}

#[rstest]
#[tokio::test]
async fn an_invitation_waits_for_its_person(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let invitation = Invitation::of(backend, "admin").await;
    let Invitation {
        owner, guest, path, ..
    } = &invitation;
    let pending = guest.get(path).await.ok();
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["joined_at"], Value::Null);
    assert_eq!(pending["invited_by"], json!(owner.user_id()));
    assert_eq!(
        ids_of(&guest.get("/v1/memberships").await.ok()),
        [id_in(path)]
    );
    let organization = format!("/v1/organizations/{}", invitation.organization);
    let answer = guest.get(&organization).await;
    answer.is_problem(404, "not-found");

    let accept = json!({"status": "active"});
    let answer = owner.patch(path, accept.clone()).await;
    answer.is_problem(403, "forbidden");
    let accepted = guest.patch(path, accept.clone()).await.ok();
    assert_eq!(accepted["status"], "active");
    assert_eq!(accepted["version"], 2);
    assert!(accepted["joined_at"].is_string());
    guest.get(&organization).await.ok();
    // Accepted is accepted: nothing more to change, and no event.
    assert_eq!(guest.patch(path, accept).await.ok()["version"], 2);
    assert_eq!(
        invitation.types().await,
        ["MEMBERSHIP.INVITED", "MEMBERSHIP.ACCEPTED"]
    );
}

#[rstest]
#[tokio::test]
async fn a_system_admin_accepts_for_someone_or_makes_them_a_member_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let invitation = Invitation::of(backend, "member").await;
    let admin = &invitation.app.system_admin;
    let accept = json!({"status": "active"});
    admin.patch(&invitation.path, accept).await.ok();
    let last = invitation.types().await;
    assert_eq!(last.last().unwrap(), "MEMBERSHIP.ACCEPTED");

    let user = invitation.app.outsider().await.user_id();
    let at_once =
        json!({"organization_id": invitation.organization, "user_id": user, "status": "active"});
    let answer = invitation.owner.post("/v1/memberships", at_once.clone());
    answer.await.is_problem(403, "forbidden");
    let made = admin.post("/v1/memberships", at_once).await.created();
    assert_eq!(made["status"], "active");
    assert_eq!(made["role"], "member");
    assert!(made["joined_at"].is_string());
    let types = types_of(&invitation.app, id_of(&made)).await;
    assert_eq!(types, ["MEMBERSHIP.CREATED"]);
}

#[rstest]
#[tokio::test]
async fn an_unknown_address_becomes_an_invited_user_in_the_same_change(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let new = json!({"organization_id": organization, "email": "New@Example.com"});
    let headers = [("X-Correlation-Id", "the-invitation")];
    let made = owner.send(
        reqwest::Method::POST,
        "/v1/memberships",
        Some(new.clone()),
        &headers,
    );
    let made = made.await.created();
    let events = app
        .system_admin
        .get("/v1/events?correlation_id=the-invitation&order=asc");
    let events = events.await.ok();
    let types: Vec<_> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["event_type"].as_str().unwrap(), &event["user_id"]))
        .collect();
    let by = json!(owner.user_id());
    assert_eq!(types, [("USER.CREATED", &by), ("MEMBERSHIP.INVITED", &by)]);

    let user = format!("/v1/users/{}", made["user_id"].as_str().unwrap());
    let user = app.system_admin.get(&user).await.ok();
    assert_eq!(user["email"], "new@example.com");
    assert_eq!(user["status"], "invited");
    assert_eq!(user["role"], "user");

    // Known by now: another organization invites the same person.
    let other = app.organization(&owner).await;
    let again = json!({"organization_id": other, "email": "new@EXAMPLE.com"});
    let second = owner.post("/v1/memberships", again).await.created();
    assert_eq!(second["user_id"], made["user_id"]);
}

#[rstest]
#[tokio::test]
async fn nobody_is_invited_twice(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("pending", "active", "suspended")] standing: &str,
) {
    let invitation = Invitation::of(backend, "member").await;
    let Invitation {
        owner, guest, path, ..
    } = &invitation;
    if standing != "pending" {
        guest.patch(path, json!({"status": "active"})).await.ok();
    }
    if standing == "suspended" {
        owner.patch(path, json!({"status": "suspended"})).await.ok();
    }
    let before = guest.get(path).await.ok();
    let user = guest
        .get(&format!("/v1/users/{}", guest.user_id()))
        .await
        .ok();
    for who in [
        json!({"user_id": user["id"]}),
        json!({"email": user["email"]}),
    ] {
        let mut again = json!({"organization_id": invitation.organization, "role": "admin"});
        again
            .as_object_mut()
            .unwrap()
            .extend(who.as_object().unwrap().clone());
        let answer = owner.post("/v1/memberships", again).await;
        answer.is_problem(409, "already-exists");
    }
    assert_eq!(guest.get(path).await.ok(), before);
}

#[rstest]
#[tokio::test]
async fn an_invitation_names_a_person_once_and_one_who_is_there(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let gone = cast.stranger().await;
    let path = format!("/v1/users/{gone}");
    cast.app.system_admin.delete(&path).await.expect(204);
    for (who, status) in [
        (json!({}), 422),
        (json!({"user_id": gone, "email": "a@example.com"}), 422),
        (json!({"user_id": gone}), 404),
        (json!({"user_id": Uuid::now_v7()}), 404),
    ] {
        let mut new = json!({"organization_id": cast.organization});
        new.as_object_mut()
            .unwrap()
            .extend(who.as_object().unwrap().clone());
        let answer = cast.owner.post("/v1/memberships", new).await;
        answer.expect(status);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/user_id", "{who}");
    }
}

#[rstest]
#[tokio::test]
async fn a_guest_declines_and_a_member_leaves(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] accepted: bool,
) {
    let invitation = Invitation::of(backend, "member").await;
    let Invitation {
        app, guest, path, ..
    } = &invitation;
    if accepted {
        guest.patch(path, json!({"status": "active"})).await.ok();
    }
    guest.delete(path).await.expect(204);
    guest.delete(path).await.is_problem(404, "not-found");
    guest.get(path).await.is_problem(404, "not-found");
    let answer = guest.patch(path, json!({"status": "active"})).await;
    answer.is_problem(404, "not-found");

    let removed = format!(
        "/v1/memberships?status=removed&organization_id={}",
        invitation.organization
    );
    let removed = app.system_admin.get(&removed).await.ok();
    assert_eq!(ids_of(&removed), [id_in(path)]);
    assert!(removed["data"][0]["left_at"].is_string());
    let events = app.events_of(id_in(path)).await;
    let last = events.last().unwrap();
    assert_eq!(last["event_type"], "MEMBERSHIP.REMOVED");
    assert_eq!(last["data"]["new"]["status"], "removed");
}

#[rstest]
#[tokio::test]
async fn one_who_had_left_is_invited_into_the_same_membership(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let invitation = Invitation::of(backend, "admin").await;
    let Invitation {
        owner, guest, path, ..
    } = &invitation;
    guest.patch(path, json!({"status": "active"})).await.ok();
    let granted =
        json!({"permissions": {"*": true}, "metadata": {"a": 1}, "department": "Kitchen"});
    owner.patch(path, granted).await.ok();
    owner.delete(path).await.expect(204);

    let new = json!({"organization_id": invitation.organization, "user_id": guest.user_id()});
    let again = owner.post("/v1/memberships", new).await;
    assert_eq!(path_of(&again), *path);
    let again = again.created();
    assert_eq!(again["version"], 5);
    // Nothing of what they were before comes back with it.
    for (field, value) in [
        ("status", json!("pending")),
        ("role", json!("member")),
        ("permissions", json!({})),
        ("metadata", json!({})),
        ("job_title", Value::Null),
        ("department", Value::Null),
        ("joined_at", Value::Null),
        ("left_at", Value::Null),
    ] {
        assert_eq!(again[field], value, "{field}");
    }
    guest.patch(path, json!({"status": "active"})).await.ok();
    assert_eq!(
        invitation.types().await,
        [
            "MEMBERSHIP.INVITED",
            "MEMBERSHIP.ACCEPTED",
            "MEMBERSHIP.UPDATED",
            "MEMBERSHIP.REMOVED",
            "MEMBERSHIP.INVITED",
            "MEMBERSHIP.ACCEPTED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn each_kind_of_change_has_its_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let path = cast.someone("member").await;
    for change in [
        json!({"role": "admin"}),
        json!({"role": "admin"}),
        json!({"role": "viewer", "job_title": "Cook"}),
        json!({"job_title": "Chef", "metadata": {"a": 1}}),
        json!({"permissions": {"events:read": true, "users:read": false}}),
        json!({"permissions": {"events:read": null}}),
        json!({"status": "suspended"}),
        json!({"status": "active"}),
    ] {
        cast.owner.patch(&path, change).await.ok();
    }
    let read = cast.owner.get(&path).await.ok();
    assert_eq!(read["permissions"], json!({"users:read": false}));
    assert_eq!(
        types_of(&cast.app, id_in(&path)).await,
        [
            "MEMBERSHIP.CREATED",
            "MEMBERSHIP.ROLE_CHANGED",
            "MEMBERSHIP.ROLE_CHANGED",
            "MEMBERSHIP.UPDATED",
            "MEMBERSHIP.UPDATED",
            "MEMBERSHIP.UPDATED",
            "MEMBERSHIP.SUSPENDED",
            "MEMBERSHIP.REACTIVATED"
        ]
    );
    for wrong in [
        json!({"status": "pending"}),
        json!({"status": "removed"}),
        json!({"role": "king"}),
        json!({"permissions": {"events:eat": true}}),
        json!({"permissions": {"events:read": "yes"}}),
        json!({"user_id": cast.owner.user_id()}),
        json!({"organization_id": cast.organization}),
    ] {
        let answer = cast.owner.patch(&path, wrong).await;
        answer.is_problem(422, "invalid");
    }
    let pending = json!({"organization_id": cast.organization, "email": "a@example.com"});
    let pending = path_of(&cast.owner.post("/v1/memberships", pending).await);
    let answer = cast
        .owner
        .patch(&pending, json!({"status": "suspended"}))
        .await;
    answer.is_problem(409, "state-conflict");
}

/// Who could not stand in for the last owner: a suspended one, an invited one, and one whose person is shut out.
async fn owners_who_do_not_count(cast: &Cast) {
    let suspended = cast.someone("owner").await;
    let off = json!({"status": "suspended"});
    cast.owner.patch(&suspended, off.clone()).await.ok();
    let user = cast.stranger().await;
    let invited = json!({"organization_id": cast.organization, "user_id": user, "role": "owner"});
    cast.owner.post("/v1/memberships", invited).await.created();
    let barred = cast.app.member(cast.organization, "owner").await;
    let barred = format!("/v1/users/{}", barred.user_id());
    cast.app.system_admin.patch(&barred, off).await.ok();
}

#[rstest]
#[tokio::test]
async fn the_last_active_owner_stays_whoever_asks_and_however(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    owners_who_do_not_count(&cast).await;
    let path = cast.membership_of(&cast.owner).await;
    let before = cast.owner.get(&path).await.ok();
    for caller in [&cast.owner, &cast.app.system_admin] {
        for change in [
            json!({"role": "admin"}),
            json!({"role": "viewer", "job_title": "Nobody"}),
            json!({"status": "suspended"}),
        ] {
            let answer = caller.patch(&path, change).await;
            answer.is_problem(409, "last-owner");
        }
        caller.delete(&path).await.is_problem(409, "last-owner");
    }
    assert_eq!(cast.owner.get(&path).await.ok(), before);
    assert_eq!(types_of(&cast.app, id_in(&path)).await.len(), 1);

    // With another one there, each of it is possible.
    let other = cast.app.member(cast.organization, "owner").await;
    cast.owner.patch(&path, json!({"role": "admin"})).await.ok();
    let answer = cast.owner.patch(&path, json!({"role": "owner"})).await;
    answer.is_problem(403, "forbidden");
    other.patch(&path, json!({"role": "owner"})).await.ok();
    cast.owner.delete(&path).await.expect(204);
    let last = cast.membership_of(&other).await;
    other.delete(&last).await.is_problem(409, "last-owner");
}

#[rstest]
#[tokio::test]
async fn two_owners_who_leave_at_once_do_not_both(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    for _ in 0..5 {
        let organization = cast.app.organization(&cast.owner).await;
        let second = cast.app.join(organization, &cast.admin, "owner").await;
        let mine = format!(
            "/v1/memberships?organization_id={organization}&user_id={}",
            cast.owner.user_id()
        );
        let first = id_of(&cast.owner.get(&mine).await.ok()["data"][0]);
        let (first, second) = (
            format!("/v1/memberships/{first}"),
            format!("/v1/memberships/{second}"),
        );
        let demotion = json!({"role": "member"});
        let (left, demoted) = tokio::join!(
            cast.owner.delete(&first),
            cast.admin.patch(&second, demotion)
        );
        let mut statuses = [left.status, demoted.status];
        statuses.sort_unstable();
        assert!([[200, 409], [204, 409]].contains(&statuses), "{statuses:?}");
    }
}

#[rstest]
#[tokio::test]
async fn an_invitations_token_is_shown_nowhere(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let invitation = Invitation::of(backend, "member").await;
    let connection = invitation.app.database.connect().await;
    let sql = format!(
        "UPDATE memberships SET invitation_token = 'hush-hush' WHERE id = {}",
        backend.id(id_in(&invitation.path))
    );
    execute(&connection, &sql).await.unwrap();
    let accept = json!({"status": "active"});
    let accepted = invitation.guest.patch(&invitation.path, accept).await;
    accepted.expect(200);
    let events = format!("/v1/events?aggregate_id={}", id_in(&invitation.path));
    let events = invitation.owner.get(&events).await;
    let list = invitation.owner.get("/v1/memberships").await;
    for answer in [&accepted, &events, &list] {
        assert!(!answer.text.contains("hush-hush"), "{}", answer.text);
    }
    assert_eq!(
        events.ok()["data"][0]["data"]["old"]["invitation_token"],
        "[redacted]"
    );
}
