//! Escalation: scopes beyond a role go as far as they say, and nobody gets further by themselves.

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, Caller, TestApp, id_of};

use crate::cast::{Cast, ids_of, path_of};

#[rstest]
#[tokio::test]
async fn a_viewer_who_was_granted_the_trail_reads_it_and_no_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("events:read", "*")] scope: &str,
) {
    let cast = Cast::of(backend).await;
    let event = id_of(&cast.app.events_of(cast.organization).await[0]);
    let (list, one) = (
        format!("/v1/events?organization_id={}", cast.organization),
        format!("/v1/events/{event}"),
    );
    cast.viewer.get(&one).await.is_problem(404, "not-found");
    cast.grant(&cast.viewer, json!({scope: false})).await;
    cast.viewer.get(&one).await.is_problem(404, "not-found");

    cast.grant(&cast.viewer, json!({scope: true})).await;
    cast.viewer.get(&one).await.ok();
    assert!(ids_of(&cast.viewer.get(&list).await.ok()).contains(&event));
    let organization = format!("/v1/organizations/{}", cast.organization);
    cast.viewer
        .delete(&organization)
        .await
        .is_problem(403, "forbidden");

    cast.grant(&cast.viewer, json!({scope: null})).await;
    cast.viewer.get(&one).await.is_problem(404, "not-found");
    assert!(ids_of(&cast.viewer.get(&list).await.ok()).is_empty());
}

#[rstest]
#[tokio::test]
async fn a_member_who_was_granted_the_keys_keeps_them(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("api-keys", "*")] scope: &str,
) {
    let cast = Cast::of(backend).await;
    let path = cast.key_of_organization().await;
    let new = json!({
        "name": "ours", "organization_id": cast.organization, "key_type": "organization", "scopes": ["*"],
    });
    let granted = match scope {
        "*" => json!({"*": true}),
        _ => json!({"api-keys:read": true}),
    };
    cast.grant(&cast.member, granted).await;
    cast.member.get(&path).await.ok();
    if scope != "*" {
        let answer = cast.member.patch(&path, json!({"name": "mine"})).await;
        answer.is_problem(403, "forbidden");
        let answer = cast.member.post("/v1/api-keys", new.clone()).await;
        answer.is_problem(403, "forbidden");
        cast.grant(&cast.member, json!({"api-keys:write": true}))
            .await;
    }
    cast.member.post("/v1/api-keys", new).await.created();
    let renamed = json!({"name": "renamed"});
    cast.member.patch(&path, renamed).await.ok();
    cast.member.delete(&path).await.expect(204);
}

#[rstest]
#[tokio::test]
async fn a_member_who_was_granted_the_organization_changes_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let path = format!("/v1/organizations/{}", cast.organization);
    let change = json!({"city": "Hull"});
    for scope in ["organizations:read", "users:write", "memberships:write"] {
        cast.grant(&cast.member, json!({scope: true})).await;
        let answer = cast.member.patch(&path, change.clone()).await;
        answer.is_problem(403, "forbidden");
    }
    cast.grant(&cast.member, json!({"organizations:write": true}))
        .await;
    cast.member.patch(&path, change).await.ok();
    for beyond in [
        json!({"status": "suspended"}),
        json!({"subscription_tier": "gold"}),
    ] {
        let answer = cast.member.patch(&path, beyond).await;
        answer.is_problem(403, "forbidden");
    }
    cast.member.delete(&path).await.is_problem(403, "forbidden");
}

#[rstest]
#[tokio::test]
async fn who_was_granted_memberships_invites_members_and_makes_nobody_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("memberships:write", "*")] scope: &str,
) {
    let cast = Cast::of(backend).await;
    cast.grant(&cast.member, json!({scope: true})).await;
    for (role, status) in [
        ("viewer", 201),
        ("member", 201),
        ("admin", 403),
        ("owner", 403),
    ] {
        let user = cast.stranger().await;
        let invitation =
            json!({"organization_id": cast.organization, "user_id": user, "role": role});
        let answer = cast.member.post("/v1/memberships", invitation).await;
        answer.expect(status);
    }
    for extra in [
        json!({"permissions": {"events:read": true}}),
        json!({"status": "active"}),
    ] {
        let mut invitation =
            json!({"organization_id": cast.organization, "email": "a@example.com"});
        let members = extra.as_object().unwrap().clone();
        invitation.as_object_mut().unwrap().extend(members);
        let answer = cast.member.post("/v1/memberships", invitation).await;
        answer.is_problem(403, "forbidden");
    }
    let fellow = cast.someone("member").await;
    for change in [json!({"role": "viewer"}), json!({"job_title": "Cook"})] {
        cast.member.patch(&fellow, change).await.ok();
    }
    for change in [
        json!({"role": "admin"}),
        json!({"role": "owner"}),
        json!({"permissions": {"events:read": true}}),
        json!({"permissions": {}}),
    ] {
        let answer = cast.member.patch(&fellow, change).await;
        answer.is_problem(403, "forbidden");
    }
    cast.member.delete(&fellow).await.expect(204);
    for role in ["admin", "owner"] {
        let above = cast.someone(role).await;
        for change in [
            json!({"role": "viewer"}),
            json!({"status": "suspended"}),
            json!({"job_title": "Cook"}),
        ] {
            let answer = cast.member.patch(&above, change).await;
            answer.is_problem(403, "forbidden");
        }
        let answer = cast.member.delete(&above).await;
        answer.is_problem(403, "forbidden");
    }
}

/// Every change of one's own membership that would give more.
fn gifts_to_oneself(role: &str) -> Vec<Value> {
    let mut gifts = vec![json!({"role": "owner"})];
    if role != "admin" {
        gifts.push(json!({"role": "admin"}));
        gifts.push(json!({"permissions": {"*": true}}));
        gifts.push(json!({"permissions": {"events:read": true}, "job_title": "Cook"}));
    }
    if role == "viewer" {
        gifts.push(json!({"role": "member"}));
    }
    gifts
}

#[rstest]
#[tokio::test]
async fn nobody_raises_their_own_membership(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] granted: bool,
) {
    let cast = Cast::of(backend).await;
    for (person, role) in [
        (&cast.viewer, "viewer"),
        (&cast.member, "member"),
        (&cast.admin, "admin"),
    ] {
        if granted {
            cast.grant(person, json!({"memberships:write": true})).await;
        }
        let own = cast.membership_of(person).await;
        for gift in gifts_to_oneself(role) {
            let answer = person.patch(&own, gift.clone()).await;
            assert_eq!(answer.status, 403, "{role} {gift}: {answer:?}");
        }
        assert_eq!(person.get(&own).await.ok()["role"], role);
    }
}

#[rstest]
#[tokio::test]
async fn an_invitation_is_accepted_as_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let invitation = json!({
        "organization_id": cast.organization, "user_id": cast.outsider.user_id(), "role": "viewer",
    });
    let own = path_of(&cast.admin.post("/v1/memberships", invitation).await);
    for more in [
        json!({"status": "active", "role": "owner"}),
        json!({"status": "active", "permissions": {"*": true}}),
        json!({"status": "active", "job_title": "Chief"}),
        json!({"role": "owner"}),
        json!({"status": "suspended"}),
    ] {
        let answer = cast.outsider.patch(&own, more).await;
        answer.is_problem(403, "forbidden");
    }
    let organization = format!("/v1/organizations/{}", cast.organization);
    let answer = cast.outsider.get(&organization).await;
    answer.is_problem(404, "not-found");
    cast.outsider
        .patch(&own, json!({"status": "active"}))
        .await
        .ok();
    cast.outsider.get(&organization).await.ok();
}

#[rstest]
#[tokio::test]
async fn someone_elses_key_is_cut_down_and_never_widened(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let new = json!({
        "name": "deployment", "organization_id": cast.organization, "key_type": "organization",
        "scopes": ["memberships:read"], "expires_at": "2097-01-01T00:00:00Z",
    });
    let made = cast.owner.post("/v1/api-keys", new).await;
    let path = path_of(&made);
    let key = cast.app.with_key(made.created()["key"].as_str().unwrap());

    // The key is in the admin's hands, and what it may do is the owner's: more of it would be more than an admin's.
    for wider in [
        json!({"scopes": ["*"]}),
        json!({"scopes": ["memberships:read", "memberships:write"]}),
        json!({"expires_at": null}),
        json!({"expires_at": "2098-01-01T00:00:00Z"}),
    ] {
        let answer = cast.admin.patch(&path, wider.clone()).await;
        assert_eq!(answer.status, 403, "{wider}: {answer:?}");
    }
    for narrower in [
        json!({"name": "renamed"}),
        json!({"expires_at": "2096-01-01T00:00:00Z"}),
        json!({"status": "inactive"}),
    ] {
        cast.admin.patch(&path, narrower).await.ok();
    }
    let on = json!({"status": "active"});
    let answer = cast.admin.patch(&path, on.clone()).await;
    answer.is_problem(403, "forbidden");
    cast.owner.patch(&path, on).await.ok();
    let own = cast.membership_of(&cast.admin).await;
    let answer = key.patch(&own, json!({"role": "owner"})).await;
    answer.is_problem(403, "insufficient-scope");
}

#[rstest]
#[tokio::test]
async fn nobody_makes_a_key_for_someone_else_but_system_admins(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let victims = [&cast.owner, &cast.app.system_admin, &cast.member];
    for caller in [&cast.admin, &cast.outsider, &cast.auditor] {
        for victim in victims {
            let key = json!({"name": "k", "scopes": ["events:read"], "user_id": victim.user_id()});
            let answer = caller.post("/v1/api-keys", key).await;
            answer.is_problem(403, "forbidden");
        }
    }
    let key = json!({"name": "k", "scopes": ["*"], "user_id": cast.member.user_id()});
    let made = cast.app.system_admin.post("/v1/api-keys", key).await;
    let text = made.created()["key"].as_str().unwrap().to_owned();
    let users = cast.app.with_key(&text).get("/v1/users").await.ok();
    assert!(ids_of(&users).contains(&cast.member.user_id()));
}

#[rstest]
#[tokio::test]
async fn nobody_gives_themselves_a_role_in_the_system(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (person, auditor) = (app.outsider().await, app.auditor().await);
    let restricted = {
        let restriction = json!({"organization_id": app.first_organization});
        let admin = app.system_admin.user_id();
        app.key_for(admin, restriction).await
    };
    for caller in [&person, &auditor] {
        is_refused_a_role(caller, caller).await;
    }
    is_refused_a_role(&restricted, &app.system_admin).await;
    let read = person.get(&format!("/v1/users/{}", person.user_id())).await;
    assert_eq!(read.ok()["role"], "user");
}

async fn is_refused_a_role(caller: &Caller, whom: &Caller) {
    let path = format!("/v1/users/{}", whom.user_id());
    for change in [
        json!({"role": "admin"}),
        json!({"role": "auditor"}),
        json!({"status": "active"}),
        json!({"bio": "harmless", "role": "admin"}),
    ] {
        let answer = caller.patch(&path, change).await;
        answer.is_problem(403, "forbidden");
    }
}

#[rstest]
#[tokio::test]
async fn an_invitation_opens_nobodys_profile_before_it_is_accepted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (curious, victim) = (app.outsider().await, app.outsider().await);
    let profile = format!("/v1/users/{}", victim.user_id());
    let organization = app.organization(&curious).await;
    let invitation = json!({"organization_id": organization, "user_id": victim.user_id()});
    let membership = path_of(&curious.post("/v1/memberships", invitation).await);

    let never = curious.get(&profile).await;
    never.is_problem(404, "not-found");
    let users = format!("/v1/users?organization_id={organization}");
    assert_eq!(ids_of(&curious.get(&users).await.ok()), [curious.user_id()]);

    let accept = json!({"status": "active"});
    victim.patch(&membership, accept).await.ok();
    curious.get(&profile).await.ok();
    victim.delete(&membership).await.expect(204);
    curious.get(&profile).await.is_problem(404, "not-found");
}

#[rstest]
#[tokio::test]
async fn who_invites_an_unknown_address_sees_whom_they_invited(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let invitation = json!({"organization_id": cast.organization, "email": "new@example.com"});
    let membership = cast.admin.post("/v1/memberships", invitation).await;
    let user = membership.created()["user_id"].as_str().unwrap().to_owned();
    let read = cast.admin.get(&format!("/v1/users/{user}")).await.ok();
    assert_eq!(read["email"], "new@example.com");
    assert_eq!(read["status"], "invited");
}
