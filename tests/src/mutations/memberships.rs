//! What is done to memberships.

use reqwest::Method;
use serde_json::json;

use super::{Mutation, deletion, mutation, request};
use crate::stage::email;

const ALL: &str = "/v1/memberships";
const ONE: &str = "/v1/memberships/{id}";

pub fn memberships() -> Vec<Mutation> {
    let mut table = invitations();
    table.extend(changes());
    table.extend(changes_of_status());
    table.extend(removals());
    table
}

fn invitations() -> Vec<Mutation> {
    vec![
        mutation("an owner invites a user", Method::POST, ALL, |stage| {
            Box::pin(async move {
                let body = json!({
                    "organization_id": stage.organization, "user_id": stage.person().await, "role": "admin",
                    "permissions": {"events:read": true}, "job_title": "Engineer",
                });
                request(&stage.owner, ALL, body).makes("MEMBERSHIP.INVITED")
            })
        }),
        mutation(
            "an owner invites a stranger by e-mail",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let body = json!({"organization_id": stage.organization, "email": email()});
                    request(&stage.owner, ALL, body)
                        .makes("USER.CREATED")
                        .makes("MEMBERSHIP.INVITED")
                })
            },
        ),
        mutation(
            "an owner invites a former member again",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let user_id = stage.person().await;
                    let id = stage
                        .membership(json!({"user_id": user_id, "status": "active"}))
                        .await;
                    stage.owner.delete(&format!("{ALL}/{id}")).await.expect(204);
                    let body = json!({"organization_id": stage.organization, "user_id": user_id});
                    request(&stage.owner, ALL, body).changes("MEMBERSHIP.INVITED", id)
                })
            },
        ),
        mutation(
            "a system admin makes a user a member at once",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let body = json!({
                        "organization_id": stage.organization, "user_id": stage.person().await, "status": "active",
                    });
                    request(&stage.app.system_admin, ALL, body).makes("MEMBERSHIP.CREATED")
                })
            },
        ),
    ]
}

fn changes() -> Vec<Mutation> {
    vec![
        mutation(
            "an owner changes a membership",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.membership(json!({"status": "active"})).await;
                    let body =
                        json!({"job_title": "Engineer", "permissions": {"events:read": true}});
                    request(&stage.owner, format!("{ALL}/{id}"), body)
                        .changes("MEMBERSHIP.UPDATED", id)
                })
            },
        ),
        mutation("an owner changes a role", Method::PATCH, ONE, |stage| {
            Box::pin(async move {
                let id = stage.membership(json!({"status": "active"})).await;
                request(
                    &stage.owner,
                    format!("{ALL}/{id}"),
                    json!({"role": "admin"}),
                )
                .changes("MEMBERSHIP.ROLE_CHANGED", id)
            })
        }),
        mutation(
            "an owner takes another's ownership",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let owner = json!({"role": "owner", "status": "active"});
                    let id = stage.membership(owner).await;
                    request(
                        &stage.owner,
                        format!("{ALL}/{id}"),
                        json!({"role": "member"}),
                    )
                    .changes("MEMBERSHIP.ROLE_CHANGED", id)
                })
            },
        ),
    ]
}

fn changes_of_status() -> Vec<Mutation> {
    vec![
        mutation("a user accepts", Method::PATCH, ONE, |stage| {
            Box::pin(async move {
                let user = stage.app.outsider().await;
                let id = stage.membership(json!({"user_id": user.user_id()})).await;
                request(&user, format!("{ALL}/{id}"), json!({"status": "active"}))
                    .changes("MEMBERSHIP.ACCEPTED", id)
            })
        }),
        mutation("an owner suspends a member", Method::PATCH, ONE, |stage| {
            Box::pin(async move {
                let id = stage.membership(json!({"status": "active"})).await;
                let path = format!("{ALL}/{id}");
                request(&stage.owner, path, json!({"status": "suspended"}))
                    .changes("MEMBERSHIP.SUSPENDED", id)
            })
        }),
        mutation(
            "an owner reactivates a member",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.membership(json!({"status": "active"})).await;
                    let (owner, path) = (&stage.owner, format!("{ALL}/{id}"));
                    owner
                        .patch(&path, json!({"status": "suspended"}))
                        .await
                        .ok();
                    request(owner, path, json!({"status": "active"}))
                        .changes("MEMBERSHIP.REACTIVATED", id)
                })
            },
        ),
    ]
}

fn removals() -> Vec<Mutation> {
    vec![
        mutation("an owner removes a member", Method::DELETE, ONE, |stage| {
            Box::pin(async move {
                let id = stage.membership(json!({"status": "active"})).await;
                deletion(&stage.owner, format!("{ALL}/{id}")).changes("MEMBERSHIP.REMOVED", id)
            })
        }),
        mutation("one of two owners leaves", Method::DELETE, ONE, |stage| {
            Box::pin(async move {
                let user = stage.app.outsider().await;
                let id = stage.app.join(stage.organization, &user, "owner").await;
                deletion(&user, format!("{ALL}/{id}")).changes("MEMBERSHIP.REMOVED", id)
            })
        }),
    ]
}
