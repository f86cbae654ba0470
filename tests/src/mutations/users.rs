//! What is done to users.

use reqwest::Method;
use serde_json::json;

use super::{Mutation, deletion, mutation, request};
use crate::stage::{email, unique};

const ALL: &str = "/v1/users";
const ONE: &str = "/v1/users/{id}";

pub fn users() -> Vec<Mutation> {
    let mut table = vec![
        mutation(
            "a system admin creates a user",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let body = json!({"email": email(), "username": unique(), "first_name": "Ada"});
                    request(&stage.app.system_admin, ALL, body).makes("USER.CREATED")
                })
            },
        ),
        mutation(
            "a system admin creates a user with a password",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let body =
                        json!({"email": email(), "password": "correct horse battery staple"});
                    request(&stage.app.system_admin, ALL, body).makes("USER.CREATED")
                })
            },
        ),
    ];
    table.extend(own_changes());
    table.extend(changes_by_admins());
    table.extend(deletions());
    table
}

fn own_changes() -> Vec<Mutation> {
    vec![
        mutation("a user changes themselves", Method::PATCH, ONE, |stage| {
            Box::pin(async move {
                let user = stage.app.outsider().await;
                let id = user.user_id();
                let body = json!({"bio": "Hello.\nBye.", "preferences": {"a": {"b": 1}}, "language": "pt-BR"});
                request(&user, format!("{ALL}/{id}"), body).changes("USER.UPDATED", id)
            })
        }),
        mutation(
            "a user changes their address",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let user = stage.app.outsider().await;
                    let id = user.user_id();
                    request(&user, format!("{ALL}/{id}"), json!({"email": email()}))
                        .changes("USER.EMAIL_CHANGED", id)
                })
            },
        ),
        mutation(
            "a user sets their first password",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let user = stage.app.outsider().await;
                    let id = user.user_id();
                    let body = json!({"password": "correct horse battery staple"});
                    request(&user, format!("{ALL}/{id}"), body).changes("USER.PASSWORD_CHANGED", id)
                })
            },
        ),
        mutation(
            "a user changes their password",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let old = "the password until now";
                    let user = stage.app.user(json!({"password": old})).await;
                    let id = user.user_id();
                    let body = json!({"password": "correct horse battery staple", "current_password": old});
                    request(&user, format!("{ALL}/{id}"), body).changes("USER.PASSWORD_CHANGED", id)
                })
            },
        ),
    ]
}

fn changes_by_admins() -> Vec<Mutation> {
    vec![
        mutation(
            "a system admin changes a role",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.person().await;
                    let admin = &stage.app.system_admin;
                    request(admin, format!("{ALL}/{id}"), json!({"role": "auditor"}))
                        .changes("USER.ROLE_CHANGED", id)
                })
            },
        ),
        mutation(
            "a system admin suspends one of two owners",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.person().await;
                    let owner = json!({"user_id": id, "role": "owner", "status": "active"});
                    stage.membership(owner).await;
                    let admin = &stage.app.system_admin;
                    request(admin, format!("{ALL}/{id}"), json!({"status": "suspended"}))
                        .changes("USER.SUSPENDED", id)
                })
            },
        ),
        mutation(
            "a system admin reactivates a user",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.person().await;
                    let (admin, path) = (&stage.app.system_admin, format!("{ALL}/{id}"));
                    admin
                        .patch(&path, json!({"status": "suspended"}))
                        .await
                        .ok();
                    request(admin, path, json!({"status": "active"}))
                        .changes("USER.REACTIVATED", id)
                })
            },
        ),
    ]
}

fn deletions() -> Vec<Mutation> {
    vec![
        mutation("a user deletes themselves", Method::DELETE, ONE, |stage| {
            Box::pin(async move {
                let user = stage.app.outsider().await;
                let (id, key) = (user.user_id(), stage.only_key_of(user.user_id()).await);
                let membership = stage.membership(json!({"user_id": id})).await;
                deletion(&user, format!("{ALL}/{id}"))
                    .changes("USER.DELETED", id)
                    .changes("API_KEY.REVOKED", key)
                    .changes("MEMBERSHIP.REMOVED", membership)
            })
        }),
        mutation(
            "a system admin deletes one of two owners",
            Method::DELETE,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.person().await;
                    let owner = json!({"user_id": id, "role": "owner", "status": "active"});
                    let membership = stage.membership(owner).await;
                    deletion(&stage.app.system_admin, format!("{ALL}/{id}"))
                        .changes("USER.DELETED", id)
                        .changes("MEMBERSHIP.REMOVED", membership)
                })
            },
        ),
    ]
}
