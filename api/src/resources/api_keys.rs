//! API keys: what programs sign in with. Shown once, kept as a hash, never more than their person may do.

use entity::api_keys::{Column, Entity, Model};
use entity::sea_orm_active_enums::{ApiKeyStatus, ApiKeyType, MembershipRole, UserStatus};
use entity::users;
use sea_orm::sea_query::UnionType;
use serde::Serialize;

use crate::prelude::*;
use crate::values::credential::NewKey;

/// An API key, without its secret.
#[resource(
    entity = entity::api_keys,
    collection = "api-keys",
    description = "What programs sign in with.",
    aggregate = "api_key",
    noun = "API key",
    removal = Revoked,
    organization = organization_id,
    read = by_hand,
    write = by_hand
)]
pub struct ApiKey {
    /// The part of the key that is public.
    #[given]
    #[unique]
    key_id: String,
    #[given]
    #[secret]
    #[unique]
    key_hash: String,
    /// The start of the key, to recognize it by.
    #[given]
    key_prefix: String,
    /// Whose key it is: it can do no more than they may.
    #[given]
    #[new(doc = "Whose key it is; your own unless a system admin says otherwise.", as = Option<Uuid>)]
    #[filter(doc = "Those of this person.")]
    #[touches("user", goes)]
    user_id: Uuid,
    /// The one organization that it is restricted to.
    #[new]
    #[filter(doc = "Those that are restricted to this organization.")]
    #[touches("organization", goes)]
    organization_id: Option<Uuid>,
    /// What it is for.
    #[input]
    name: Name,
    /// More of what it is for.
    #[input]
    description: Option<Paragraphs>,
    /// `organization` for a key that the organization's admins keep.
    #[new(
        doc = "`organization` for a key that the organization's admins keep; needs `organization_id` and the right to."
    )]
    #[filter(doc = "Those of this type.")]
    #[default(ApiKeyType::Personal)]
    key_type: ApiKeyType,
    /// What it may be used for; `*` for all that its person may do.
    #[new(doc = "What it may be used for; no more than the key that makes it.")]
    #[edit(doc = "What it may be used for; no more than the key that changes it.")]
    scopes: ScopeList,
    /// Only `active` keys give access.
    #[edit(doc = "`inactive` takes it out of use, `active` brings it back.", as = KeySwitch, with = switch)]
    #[filter(without = ApiKeyStatus::Revoked)]
    #[default(ApiKeyStatus::Active)]
    status: ApiKeyStatus,
    /// When it ends.
    #[new(doc = "When it ends; no later than the key that makes it.")]
    #[edit(doc = "When it ends; no later than the key that changes it.")]
    expires_at: Option<Timestamp>,
    /// When it was used last; up to some seconds late.
    #[bookkeeping]
    last_used_at: Option<Timestamp>,
    /// From where it was used last.
    #[bookkeeping]
    last_used_ip: Option<String>,
    /// By which program it was used last, as that says.
    #[bookkeeping]
    last_used_user_agent: Option<String>,
    /// How often it was used; up to some seconds late.
    #[bookkeeping]
    #[default(0)]
    usage_count: i32,
    #[bookkeeping(hidden)]
    usage_reset_at: Option<Timestamp>,
    #[hidden]
    usage_limit: Option<i32>,
    #[hidden]
    #[default]
    permissions: JsonObject,
    #[hidden]
    allowed_ips: Option<String>,
    #[hidden]
    allowed_domains: Option<String>,
    #[hidden]
    created_from_ip: Option<String>,
    #[hidden]
    created_from_user_agent: Option<String>,
    #[hidden]
    #[default(false)]
    require_mfa: bool,
}

enum_column!(ApiKeyStatus, ApiKeyType);
enum_field!(KeySwitch);

/// What a key's status can be switched between; `revoked` comes by DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeySwitch {
    /// In use.
    Active,
    /// Out of use for the time being.
    Inactive,
}

fn switch(row: &mut Model, to: KeySwitch) -> Result<Option<Verb>, Problem> {
    use ApiKeyStatus::{Active, Inactive, Revoked};
    let (status, verb) = match (row.status, to) {
        (Active, KeySwitch::Inactive) => (Inactive, Verb::Deactivated),
        (Inactive, KeySwitch::Active) => (Active, Verb::Reactivated),
        (Active, KeySwitch::Active) | (Inactive, KeySwitch::Inactive) | (Revoked, _) => {
            return Ok(None);
        }
    };
    row.status = status;
    Ok(Some(verb))
}

/// An API key that was just made, with its secret: the only time that it is shown.
#[derive(Serialize, ToSchema)]
pub struct CreatedApiKey {
    /// The key to use, whole. Keep it safe: it is not shown again.
    pub key: String,
    #[serde(flatten)]
    api_key: ApiKey,
}

impl CreatedApiKey {
    /// The key's text beside its row.
    pub fn new(key: String, row: Model) -> Self {
        Self {
            key,
            api_key: ApiKey::from(row),
        }
    }

    /// The key without its text.
    pub fn api_key(&self) -> &ApiKey {
        &self.api_key
    }
}

impl View for CreatedApiKey {
    const PATH: &'static str = ApiKey::PATH;

    fn id(&self) -> Uuid {
        self.api_key.id
    }

    fn version(&self) -> i64 {
        self.api_key.version
    }
}

/// The row of a new key of one's own.
///
/// # Errors
/// Those of [`ApiKey::blank`].
pub fn row(key: &NewKey, user_id: Uuid, name: String, scopes: &[Scope]) -> Result<Model, Problem> {
    let scopes = scopes.iter().map(Scope::to_string).collect();
    let (id, hash, prefix) = (&key.key_id, &key.key_hash, &key.key_prefix);
    ApiKey::blank(
        id.clone(),
        hash.clone(),
        prefix.clone(),
        user_id,
        name,
        scopes,
    )
}

impl Visible for ApiKey {
    /// The caller's own, and those of the organizations whose keys they keep.
    fn visible(caller: &Caller) -> Condition {
        let principal = caller.principal();
        let kept = kept(caller);
        if kept.is_all() {
            return Condition::all();
        }
        let visible = Condition::any()
            .add(Column::UserId.eq(principal.user_id))
            .add(kept.contain(Column::OrganizationId));
        match principal.organization_id {
            Some(id) => Condition::all()
                .add(visible)
                .add(Column::OrganizationId.eq(id)),
            None => visible,
        }
    }

    fn listed(caller: &Caller) -> Condition {
        let kept = kept(caller);
        if kept.is_all() {
            return Condition::all();
        }
        let ids = |which: Condition| {
            all_rows::<Entity>(Reason::Visibility)
                .select_only()
                .column(Column::Id)
                .filter(which)
                .into_query()
        };
        let mut own = ids(Column::UserId.eq(caller.user_id()).into_condition());
        own.union(
            UnionType::Distinct,
            ids(kept.contain(Column::OrganizationId)),
        );
        Column::Id.in_subquery(own).into_condition()
    }
}

/// The organizations whose keys the caller keeps.
fn kept(caller: &Caller) -> Organizations {
    caller.organizations_as(MembershipRole::Admin, ApiKey::READ)
}

/// Create an API key. The answer shows it whole, this once.
#[utoipa::path(tag = "api-keys", request_body = NewApiKey, responses((status = 201, body = CreatedApiKey)))]
#[post("/api-keys")]
async fn create_api_key(caller: Caller, body: Body<NewApiKey>) -> Result<HttpResponse, Problem> {
    let new = body.0;
    let user_id = new.user_id.unwrap_or(caller.user_id());
    let scopes = new.scopes.0.iter().copied().collect();
    require_within(&caller, &scopes, new.expires_at, new.organization_id)?;
    if user_id != caller.user_id() {
        caller.require_system_admin()?;
    }
    require_organization(&caller, &new).await?;
    let key = NewKey::generate().map_err(Problem::internal)?;
    let row = Model {
        created_from_ip: caller.ip_address(),
        created_from_user_agent: caller.user_agent(),
        ..new.clone().into_row(
            key.key_id.clone(),
            key.key_hash.clone(),
            key.key_prefix.clone(),
            user_id,
        )?
    };
    caller
        .write(async |work| {
            if let Some(id) = new.organization_id {
                lock_organization(work, id, LockType::Share).await?;
            }
            require_living_user(work, user_id).await?;
            let api_key = work.create::<ApiKey>(Verb::Created, row.clone()).await?;
            Answer::created(&CreatedApiKey::new(key.text.clone(), api_key))
        })
        .await
}

/// A key makes or widens no key beyond itself.
fn require_within(
    caller: &Caller,
    scopes: &Scopes,
    expires_at: Option<Timestamp>,
    organization_id: Option<Uuid>,
) -> Result<(), Problem> {
    let beyond = |what: &str| {
        let detail = format!("A key cannot make or widen a key beyond itself: {what}.");
        Err(Problem::new(Kind::InsufficientScope, detail))
    };
    let own = caller.principal();
    if let Some(scope) = scopes.beyond(&own.scopes) {
        return beyond(&format!("it does not have the scope {scope}"));
    }
    if own.organization_id.is_some() && organization_id != own.organization_id {
        return beyond("it is restricted to one organization");
    }
    match own.expires_at.map(Timestamp::from) {
        Some(end) if expires_at.is_none_or(|wanted| wanted > end) => beyond("it ends earlier"),
        _ => Ok(()),
    }
}

/// The organization of a new key: one that the person is a member of; for the organization's own keys, one whose keys
/// they keep.
async fn require_organization(caller: &Caller, new: &NewApiKey) -> Result<(), Problem> {
    let organizations_own = new.key_type == Some(ApiKeyType::Organization);
    let Some(id) = new.organization_id else {
        return match organizations_own {
            true => Err(Problem::invalid(
                "/organization_id",
                "required",
                "A key of an organization names it.",
            )),
            false => Ok(()),
        };
    };
    let access = caller
        .access(id)
        .await
        .map_err(|problem| problem.naming("/organization_id"))?;
    if organizations_own {
        access.require_admin_or(ApiKey::WRITE)
    } else {
        Ok(())
    }
}

async fn require_living_user(work: &mut UnitOfWork<'_>, user_id: Uuid) -> Result<(), Problem> {
    let user = work
        .one(
            all_rows::<users::Entity>(Reason::Rule)
                .filter(users::Column::Id.eq(user_id))
                .lock(LockType::Share),
        )
        .await?;
    match user {
        Some(user) if user.status != UserStatus::Deleted => Ok(()),
        _ => Err(Problem::not_found().naming("/user_id")),
    }
}

impl Rights for ApiKey {
    async fn may_change(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        let row = visibility::find::<Self>(caller, id).await?;
        require_right(caller, &row).await
    }
}

impl Ending for ApiKey {
    /// The key gives no access any more, for good.
    fn bury(row: &mut Model, _: DateTime<Utc>) -> Result<(), Problem> {
        row.status = ApiKeyStatus::Revoked;
        Ok(())
    }
}

impl Rules for ApiKey {
    /// What the key becomes must be within the caller's, where it becomes wider than it was.
    fn may_become(caller: &Caller, before: &Model, after: &Model) -> Result<(), Problem> {
        let scopes = Scopes::of(&after.scopes);
        let wider = scopes.beyond(&Scopes::of(&before.scopes)).is_some();
        let ends = |row: &Model| row.expires_at.map(Timestamp::from);
        let end = ends(after);
        let later = ends(before).is_some_and(|old| end.is_none_or(|end| end > old));
        let revived = before.status != after.status && after.status == ApiKeyStatus::Active;
        if !(wider || later || revived) {
            return Ok(());
        }
        // It acts as its person, who may be more than the one who keeps it.
        if after.user_id != caller.user_id() && !caller.is_system_admin() {
            return Err(Problem::forbidden(
                "Someone else's key can be cut down; only its person gives it more, or brings it back.",
            ));
        }
        require_within(caller, &scopes, end, after.organization_id)
    }
}

/// A key is changed by its person, by who keeps its organization's keys, and by system admins.
async fn require_right(caller: &Caller, row: &Model) -> Result<(), Problem> {
    if row.user_id == caller.user_id() || caller.is_system_admin() {
        return Ok(());
    }
    match row.organization_id {
        Some(id) => caller.access(id).await?.require_admin_or(ApiKey::WRITE),
        None => Err(Problem::forbidden("This is someone else's key.")),
    }
}

verbs! { ApiKey:
    /// List your API keys and, with the right, those of your organizations, oldest first.
    list,
    read,
    update,
    /// Revoke an API key, for good.
    remove;
    create_api_key
}
