//! The README's tour with the client that openapi-generator makes for Rust.

use std::collections::{HashMap, HashSet};
use std::env::var;
use std::error::Error;

use rollbook_client::apis::configuration::Configuration;
use rollbook_client::apis::{Error as ApiError, api_keys_api, events_api, memberships_api};
use rollbook_client::apis::{organizations_api, users_api};
use rollbook_client::models::{
    EditMembership, EditOrganization, EditUser, NewApiKey, NewMembership, NewOrganization, NewUser,
    new_api_key::Scopes,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Configuration {
        base_path: var("ROLLBOOK_URL")?,
        bearer_access_token: Some(var("ROLLBOOK_KEY")?),
        ..Configuration::default()
    };

    let new = NewOrganization::new("Acme Ltd".into(), "rust".into());
    let organization =
        organizations_api::create_organization(&client, new, None, None, None, None).await?;
    let id = organization.id.to_string();
    let new = NewMembership {
        email: Some("grace@rust.example.com".into()),
        ..NewMembership::new(organization.id)
    };
    let invited = memberships_api::create_membership(&client, new, None, None, None, None).await?;
    let edit = EditMembership {
        job_title: Some(Some("Engineer".into())),
        ..EditMembership::default()
    };
    let invited = invited.id.to_string();
    memberships_api::update_membership(&client, &invited, edit, None, None, None, None).await?;
    let new = NewUser::new("ada@rust.example.com".into());
    let user = users_api::create_user(&client, new, None, None, None, None).await?;
    let edit = EditUser {
        first_name: Some(Some("Ada".into())),
        ..EditUser::default()
    };
    let user = user.id.to_string();
    users_api::update_user(&client, &user, edit, None, None, None, None).await?;
    let new = NewApiKey {
        organization_id: Some(Some(organization.id)),
        ..NewApiKey::new("Nightly report".into(), HashSet::from([Scopes::OrganizationsColonRead]))
    };
    let key = api_keys_api::create_api_key(&client, new, None, None, None, None).await?;
    assert!(key.key.starts_with("rbk_"));

    let theme = serde_json::json!({"colour": "dark"});
    let edit = EditOrganization {
        city: Some(Some("Bern".into())),
        settings: Some(HashMap::from([("theme".into(), theme.clone())])),
        ..EditOrganization::default()
    };
    let update = async |edit| {
        organizations_api::update_organization(&client, &id, edit, Some("\"1\""), None, None, None)
            .await
    };
    let changed = update(edit.clone()).await?;
    assert_eq!(changed.city.as_deref(), Some("Bern"));
    assert_eq!(changed.settings["theme"], theme);
    match update(edit).await {
        Err(ApiError::ResponseError(refused)) => assert_eq!(refused.status.as_u16(), 412),
        other => panic!("a stale version is refused, not {other:?}"),
    }

    let read = organizations_api::read_organization(&client, &id, None, None).await?;
    assert_eq!(read, changed);
    let events = events_api::list_events(
        &client, Some(&id), None, None, None, None, None, None, None, None, None, None, None, Some("asc"), None,
        None, None,
    )
    .await?
    .data;
    let types: Vec<_> = events
        .iter()
        .filter(|event| event.aggregate_id == organization.id)
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(types, ["ORGANIZATION.CREATED", "ORGANIZATION.UPDATED"]);
    assert!(events.last().is_some_and(|event| event.data["new"]["city"] == "Bern"));
    Ok(())
}
