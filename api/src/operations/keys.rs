//! API keys, made and ended on the machine: for who has lost theirs, or found somebody else's.

use std::collections::BTreeMap;
use std::str::FromStr;

use entity::sea_orm_active_enums::{ApiKeyStatus, OrganizationStatus, UserStatus};
use entity::{api_keys, organizations, users};
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde_json::Value;
use uuid::Uuid;

use crate::access::tenancy::{Reason, all_rows};
use crate::collections::verbs::Ending;
use crate::database::Database;
use crate::ledger::unit_of_work::UnitOfWork;
use crate::ledger::verb::Verb;
use crate::operations::system_origin;
use crate::problem::Problem;
use crate::resources;
use crate::resources::api_keys::{ApiKey, CreatedApiKey};
use crate::values::clock;
use crate::values::credential::NewKey;
use crate::values::input::{Field, parse_id};
use crate::values::scope::Scope;
use crate::values::text::{Email, Name, Timestamp};

/// Keys that are read at once.
const BATCH: u64 = 500;

/// A person, as an operator names them.
#[derive(Clone, Debug)]
pub enum Person {
    /// By id.
    Id(Uuid),
    /// By e-mail address.
    Email(Email),
}

impl FromStr for Person {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(id) = parse_id(text) {
            return Ok(Self::Id(id));
        }
        Email::present(&Value::from(text))
            .map(Self::Email)
            .map_err(|_| "Must be the e-mail address or the id of a user.".to_owned())
    }
}

impl std::fmt::Display for Person {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Email(email) => formatter.write_str(email.as_ref()),
        }
    }
}

/// What a new key is made from.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose key it is.
    pub user: Person,
    /// What it is for.
    pub name: Name,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The one organization that it is restricted to.
    pub organization: Option<Uuid>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Why nothing was made or ended.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Nobody, or somebody who was deleted.
    #[error("there is no user {0}; nothing was changed")]
    UnknownUser(Person),
    /// None, or one that was deleted.
    #[error("there is no organization {0}; nothing was changed")]
    UnknownOrganization(Uuid),
    /// No key has this id.
    #[error("there is no API key {0}; nothing was changed")]
    UnknownKey(String),
    /// The key gives no access already.
    #[error("the API key {0} is revoked already; nothing was changed")]
    Revoked(String),
    /// The database or the program failed.
    #[error("{}; nothing was changed", .0.detail().trim_end_matches('.'))]
    Failed(#[from] Problem),
}

/// A new key, and how its person stands.
pub struct Made {
    /// The key, whole.
    pub key: CreatedApiKey,
    /// Only an active person gets in by it.
    pub is_active: bool,
}

/// Makes a key, with its event.
///
/// # Errors
/// Where there is no such user or organization, or the database fails.
pub async fn create(database: &Database, wanted: &Wanted) -> Result<Made, KeysError> {
    let key = NewKey::generate().map_err(Problem::internal)?;
    let origin = system_origin("keys create");
    UnitOfWork::run(database, &origin, async |work| {
        let Some(user) = work.one(user(&wanted.user).lock(LockType::Share)).await? else {
            return Ok(Err(KeysError::UnknownUser(wanted.user.clone())));
        };
        if let Some(id) = wanted.organization {
            let living = all_rows::<organizations::Entity>(Reason::System)
                .filter(organizations::Column::Id.eq(id))
                .filter(organizations::Column::Status.ne(OrganizationStatus::Deleted))
                .lock(LockType::Share);
            if work.one(living).await?.is_none() {
                return Ok(Err(KeysError::UnknownOrganization(id)));
            }
        }
        let name = wanted.name.clone().into();
        let row = api_keys::Model {
            organization_id: wanted.organization,
            expires_at: wanted.expires_at.map(Timestamp::into),
            ..resources::api_keys::row(&key, user.id, name, &wanted.scopes)?
        };
        let row = work.create::<ApiKey>(Verb::Created, row).await?;
        Ok(Ok(Made {
            key: CreatedApiKey::new(key.text.clone(), row),
            is_active: user.status == UserStatus::Active,
        }))
    })
    .await?
}

/// Takes a key out of use for good, with its event. It is named by its id, or by the public part of its text.
///
/// # Errors
/// Where there is no such key, it is revoked already, or the database fails.
pub async fn revoke(database: &Database, name: &str) -> Result<ApiKey, KeysError> {
    let origin = system_origin("keys revoke");
    UnitOfWork::run(database, &origin, async |work| {
        let which = match parse_id(name) {
            Some(id) => api_keys::Column::Id.eq(id),
            None => api_keys::Column::KeyId.eq(name),
        };
        let select = all_rows::<api_keys::Entity>(Reason::System).filter(which);
        let Some(row) = work.one(select.lock(LockType::NoKeyUpdate)).await? else {
            return Ok(Err(KeysError::UnknownKey(name.to_owned())));
        };
        if row.status == ApiKeyStatus::Revoked {
            return Ok(Err(KeysError::Revoked(name.to_owned())));
        }
        let revoked = work.update::<ApiKey>(row.id, |row| {
            ApiKey::bury(row, clock::now())?;
            Ok(Verb::Revoked)
        });
        Ok(Ok(ApiKey::from(revoked.await?)))
    })
    .await?
}

/// The keys of one person or of all, oldest first, each with its person's e-mail address.
///
/// # Errors
/// Where there is no such user, or the database fails.
pub async fn list(
    database: &Database,
    person: Option<&Person>,
    with_revoked: bool,
) -> Result<Vec<(ApiKey, String)>, KeysError> {
    let reader = database.reader();
    let user_id = match person {
        None => None,
        Some(person) => {
            let found = user(person).one(&reader).await.map_err(Problem::from)?;
            let found = found.ok_or_else(|| KeysError::UnknownUser(person.clone()))?;
            Some(found.id)
        }
    };
    let (mut keys, mut last) = (Vec::new(), None);
    loop {
        let select = all_rows::<api_keys::Entity>(Reason::System)
            .apply_if(user_id, |select, id| {
                select.filter(api_keys::Column::UserId.eq(id))
            })
            .apply_if((!with_revoked).then_some(()), |select, ()| {
                select.filter(api_keys::Column::Status.ne(ApiKeyStatus::Revoked))
            })
            .apply_if(last, |select, last: Uuid| {
                select.filter(api_keys::Column::Id.gt(last))
            })
            .order_by_asc(api_keys::Column::Id)
            .limit(BATCH);
        let rows = select.all(&reader).await.map_err(Problem::from)?;
        let is_last = (rows.len() as u64) < BATCH;
        last = rows.last().map(|row| row.id);
        let people = all_rows::<users::Entity>(Reason::System)
            .filter(users::Column::Id.is_in(rows.iter().map(|row| row.user_id)))
            .all(&reader)
            .await
            .map_err(Problem::from)?;
        let emails: BTreeMap<Uuid, String> =
            people.into_iter().map(|row| (row.id, row.email)).collect();
        keys.extend(rows.into_iter().map(|row| {
            let email = emails.get(&row.user_id).cloned().unwrap_or_default();
            (ApiKey::from(row), email)
        }));
        if is_last {
            return Ok(keys);
        }
    }
}

fn user(person: &Person) -> sea_orm::Select<users::Entity> {
    let which = match person {
        Person::Id(id) => users::Column::Id.eq(*id),
        Person::Email(email) => users::Column::Email.eq(email.as_ref()),
    };
    let living = users::Column::Status.ne(UserStatus::Deleted);
    all_rows::<users::Entity>(Reason::System).filter(Condition::all().add(which).add(living))
}
