//! What is done to organizations.

use reqwest::Method;
use serde_json::json;

use super::{Mutation, deletion, mutation, request};
use crate::stage::unique;

const ALL: &str = "/v1/organizations";
const ONE: &str = "/v1/organizations/{id}";

pub fn organizations() -> Vec<Mutation> {
    let mut table = vec![mutation(
        "somebody creates an organization",
        Method::POST,
        ALL,
        |stage| {
            Box::pin(async move {
                let body =
                    json!({"name": "New", "slug": unique(), "settings": {"theme": {"dark": true}}});
                request(&stage.outsider, ALL, body)
                    .makes("ORGANIZATION.CREATED")
                    .makes("MEMBERSHIP.CREATED")
            })
        },
    )];
    table.extend(changes());
    table.push(mutation(
        "an owner deletes the organization",
        Method::DELETE,
        ONE,
        |stage| {
            Box::pin(async move {
                let owner = stage.app.outsider().await;
                let id = stage.app.organization(&owner).await;
                let first = stage.app.join(id, &stage.outsider, "member").await;
                let key = stage.key(&owner, json!({"organization_id": id})).await;
                let path = format!("/v1/memberships?organization_id={id}&role=owner");
                let own = crate::id_of(&owner.get(&path).await.ok()["data"][0]);
                deletion(&owner, format!("{ALL}/{id}"))
                    .changes("ORGANIZATION.DELETED", id)
                    .changes("MEMBERSHIP.REMOVED", own)
                    .changes("MEMBERSHIP.REMOVED", first)
                    .changes("API_KEY.REVOKED", key)
            })
        },
    ));
    table
}

fn changes() -> Vec<Mutation> {
    vec![
        mutation(
            "an owner changes the organization",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.app.organization(&stage.owner).await;
                    let body =
                        json!({"name": "Renamed", "slug": unique(), "metadata": {"a": [1, null]}});
                    request(&stage.owner, format!("{ALL}/{id}"), body)
                        .changes("ORGANIZATION.UPDATED", id)
                })
            },
        ),
        mutation(
            "a system admin changes the plan",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.app.organization(&stage.owner).await;
                    let body = json!({"subscription_tier": "gold", "subscription_expires_at": "2040-01-31T12:00:00+02:00"});
                    request(&stage.app.system_admin, format!("{ALL}/{id}"), body)
                        .changes("ORGANIZATION.UPDATED", id)
                })
            },
        ),
        mutation(
            "a system admin suspends the organization",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.app.organization(&stage.owner).await;
                    let admin = &stage.app.system_admin;
                    request(admin, format!("{ALL}/{id}"), json!({"status": "suspended"}))
                        .changes("ORGANIZATION.SUSPENDED", id)
                })
            },
        ),
        mutation(
            "a system admin reactivates the organization",
            Method::PATCH,
            ONE,
            |stage| {
                Box::pin(async move {
                    let id = stage.app.organization(&stage.owner).await;
                    let (admin, path) = (&stage.app.system_admin, format!("{ALL}/{id}"));
                    admin
                        .patch(&path, json!({"status": "suspended"}))
                        .await
                        .ok();
                    request(admin, path, json!({"status": "active"}))
                        .changes("ORGANIZATION.REACTIVATED", id)
                })
            },
        ),
    ]
}
