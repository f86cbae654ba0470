//! What is done to API keys.

use reqwest::Method;
use serde_json::json;

use super::{Mutation, deletion, mutation, request};

const ALL: &str = "/v1/api-keys";
const ONE: &str = "/v1/api-keys/{id}";

pub fn api_keys() -> Vec<Mutation> {
    let mut table = creations();
    table.extend(changes());
    table.push(mutation(
        "a user revokes their key",
        Method::DELETE,
        ONE,
        |stage| {
            Box::pin(async move {
                let id = stage.key(&stage.outsider, json!({})).await;
                deletion(&stage.outsider, format!("{ALL}/{id}")).changes("API_KEY.REVOKED", id)
            })
        },
    ));
    table
}

fn creations() -> Vec<Mutation> {
    vec![
        mutation("a user makes a key", Method::POST, ALL, |stage| {
            Box::pin(async move {
                let body =
                    json!({"name": "mine", "scopes": ["*"], "expires_at": "2040-01-31T12:00:00Z"});
                request(&stage.outsider, ALL, body).makes("API_KEY.CREATED")
            })
        }),
        mutation(
            "an owner makes a key of the organization",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let body = json!({
                        "name": "ours", "scopes": ["users:read"], "key_type": "organization",
                        "organization_id": stage.organization,
                    });
                    request(&stage.owner, ALL, body).makes("API_KEY.CREATED")
                })
            },
        ),
        mutation(
            "a system admin makes a key for someone else",
            Method::POST,
            ALL,
            |stage| {
                Box::pin(async move {
                    let user_id = stage.outsider.user_id();
                    let body = json!({"name": "theirs", "scopes": ["*"], "user_id": user_id});
                    request(&stage.app.system_admin, ALL, body).makes("API_KEY.CREATED")
                })
            },
        ),
    ]
}

fn changes() -> Vec<Mutation> {
    vec![
        mutation("a user changes their key", Method::PATCH, ONE, |stage| {
            Box::pin(async move {
                let id = stage.key(&stage.outsider, json!({})).await;
                let body = json!({"name": "other", "scopes": ["users:read"]});
                request(&stage.outsider, format!("{ALL}/{id}"), body).changes("API_KEY.UPDATED", id)
            })
        }),
        mutation(
            "an owner changes someone's key to the organization",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let member = stage.app.member(stage.organization, "member").await;
                    let restricted = json!({"organization_id": stage.organization});
                    let id = stage.key(&member, restricted).await;
                    let body = json!({"description": "seen"});
                    request(&stage.owner, format!("{ALL}/{id}"), body)
                        .changes("API_KEY.UPDATED", id)
                })
            },
        ),
        mutation(
            "a user deactivates their key",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.key(&stage.outsider, json!({})).await;
                    let body = json!({"status": "inactive"});
                    request(&stage.outsider, format!("{ALL}/{id}"), body)
                        .changes("API_KEY.DEACTIVATED", id)
                })
            },
        ),
        mutation(
            "a user reactivates their key",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.key(&stage.outsider, json!({})).await;
                    let (user, path) = (&stage.outsider, format!("{ALL}/{id}"));
                    user.patch(&path, json!({"status": "inactive"})).await.ok();
                    request(user, path, json!({"status": "active"}))
                        .changes("API_KEY.REACTIVATED", id)
                })
            },
        ),
    ]
}
