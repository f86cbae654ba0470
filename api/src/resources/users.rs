//! Users: the people. System admins make them; each changes their own; co-members read each other.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use entity::sea_orm_active_enums::{MembershipRole, MembershipStatus, UserRole, UserStatus};
use entity::users::{Column, Entity, Model};
use entity::{api_keys, memberships, organizations};
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, LockType, UnionType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::organizations::{Switch, contains};
use super::{api_keys as keys, memberships as members};
use crate::core::answer::Answer;
use crate::core::body::Body;
use crate::core::caller::Caller;
use crate::core::clock;
use crate::core::conditional::{self, Precondition};
use crate::core::input::Patch;
use crate::core::json::JsonObject;
use crate::core::merge_patch;
use crate::core::page::{self, CursorText, Limit, Page};
use crate::core::problem::Problem;
use crate::core::query::{Id, Query};
use crate::core::resource::Resource;
use crate::core::text::{
    Email, Language, Line100, Paragraphs, Password, SearchText, TimeZone, Timestamp, Url, Username,
};
use crate::core::unit_of_work::UnitOfWork;
use crate::core::verb::Verb;
use crate::{audited_columns, enum_field, input, view};

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// Their id.
    pub id: Uuid,
    /// Their e-mail address, in lower case; unique.
    pub email: String,
    /// Whether they have shown that the address is theirs.
    pub email_verified: bool,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Short name; unique.
    pub username: Option<String>,
    /// Who they are, in a few paragraphs.
    pub bio: Option<String>,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// What they prefer; only for themselves, system admins and auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub preferences: Option<Value>,
    /// Settings that applications keep; only for themselves, system admins and auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub settings: Option<Value>,
    /// Time zone.
    pub timezone: String,
    /// Language.
    pub language: String,
    /// `invited` until they are known; only `active` gives access.
    #[schema(inline)]
    pub status: UserStatus,
    /// What they may do in the whole system.
    #[schema(inline)]
    pub role: UserRole,
    /// How often they were changed, their making included; the `ETag`.
    pub version: i64,
    /// When they were made.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
    /// Who made them.
    pub created_by: Option<Uuid>,
    /// Who changed them last.
    pub updated_by: Option<Uuid>,
}

view!(User, "/v1/users");

impl User {
    /// The person as the caller may see them.
    fn seen_by(caller: &Caller, row: Model) -> Self {
        let private = caller.user_id() == row.id || caller.reads_everything();
        Self {
            id: row.id,
            email: row.email,
            email_verified: row.email_verified,
            first_name: row.first_name,
            last_name: row.last_name,
            username: row.username,
            bio: row.bio,
            avatar_url: row.avatar_url,
            preferences: private.then_some(row.preferences),
            settings: private.then_some(row.settings),
            timezone: row.timezone,
            language: row.language,
            status: row.status,
            role: row.role,
            version: row.version,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            created_by: row.created_by,
            updated_by: row.updated_by,
        }
    }
}

impl Resource for Entity {
    const AGGREGATE: &'static str = "user";
    const REMOVAL: Verb = Verb::Deleted;
    const SECRETS: &'static [Column] = &[
        Column::PasswordHash,
        Column::PasswordResetToken,
        Column::EmailVerificationToken,
        Column::MfaSecret,
    ];
    const BOOKKEEPING: &'static [Column] = &[
        Column::LastLoginIp,
        Column::CurrentLoginIp,
        Column::LastLoginAt,
        Column::CurrentLoginAt,
        Column::FailedLoginAttempts,
        Column::LockedUntil,
    ];
    const UNIQUE: &'static [(&'static str, &'static str)] =
        &[("email", "email"), ("username", "username")];

    audited_columns!();

    fn organization(_: &Model) -> Option<Uuid> {
        None
    }

    fn touches(_: &Model) -> Vec<(&'static str, Uuid)> {
        Vec::new()
    }
}

enum_field!(UserRole, UserStatus);

input! {
    /// What a new user is made from.
    pub struct NewUser {
        /// The person's e-mail address; kept in lower case, unique.
        pub email: Email,
        /// A password of at least 12 characters, if the person is to have one.
        pub password: Option<Password>,
        /// First name.
        pub first_name: Option<Line100>,
        /// Last name.
        pub last_name: Option<Line100>,
        /// Short name; unique.
        pub username: Option<Username>,
        /// Who they are, in a few paragraphs.
        pub bio: Option<Paragraphs>,
        /// Where their picture is.
        pub avatar_url: Option<Url>,
        /// What they prefer.
        pub preferences: Option<JsonObject>,
        /// Settings that applications keep.
        pub settings: Option<JsonObject>,
        /// Time zone, by its name in the tz database; `UTC` unless given.
        pub timezone: Option<TimeZone>,
        /// Language, by its tag (BCP 47); `en` unless given.
        pub language: Option<Language>,
        /// What they may do in the whole system; `user` unless given.
        pub role: Option<UserRole>,
    }
}

input! {
    /// A merge patch of a user.
    pub struct EditUser {
        /// The person's e-mail address; kept in lower case, unique. A new one is not verified.
        pub email: Patch<Email>,
        /// A new password of at least 12 characters.
        pub password: Patch<Password>,
        /// The password until now: needed where people who have one change their own.
        pub current_password: Patch<Password>,
        /// First name.
        pub first_name: Patch<Option<Line100>>,
        /// Last name.
        pub last_name: Patch<Option<Line100>>,
        /// Short name; unique.
        pub username: Patch<Option<Username>>,
        /// Who they are, in a few paragraphs.
        pub bio: Patch<Option<Paragraphs>>,
        /// Where their picture is.
        pub avatar_url: Patch<Option<Url>>,
        /// What they prefer; merged, member by member.
        pub preferences: Patch<JsonObject>,
        /// Settings; merged, member by member.
        pub settings: Patch<JsonObject>,
        /// Time zone, by its name in the tz database.
        pub timezone: Patch<TimeZone>,
        /// Language, by its tag (BCP 47).
        pub language: Patch<Language>,
        /// `suspended` shuts the person out, `active` lets them in. System admins only.
        pub status: Patch<Switch>,
        /// What they may do in the whole system. System admins only.
        pub role: Patch<UserRole>,
    }
}

input! {
    /// Which users to list.
    pub struct ListUsers {
        /// Those in this state; without it, those that are not deleted.
        pub status: Option<UserStatus>,
        /// Those with this role in the whole system.
        pub role: Option<UserRole>,
        /// Those who are members of this organization.
        pub organization_id: Option<Uuid>,
        /// Those with this text in a name or in their e-mail address, in any case of letters.
        pub q: Option<SearchText>,
        /// How many, at most.
        pub limit: Limit,
        /// Where to go on: the `next_cursor` of the page before.
        pub cursor: Option<CursorText>,
    }
}

/// A person of whom nothing is known but the e-mail address.
pub fn invited(email: Email) -> Model {
    Model {
        status: UserStatus::Invited,
        ..blank(email.into())
    }
}

/// The first system admin, made by the command line.
pub fn system_admin(email: Email, password_hash: Option<String>) -> Model {
    let row = Model {
        role: UserRole::Admin,
        ..blank(email.into())
    };
    with_password(row, password_hash)
}

fn with_password(row: Model, password_hash: Option<String>) -> Model {
    let password_changed_at = password_hash.as_ref().map(|_| clock::now().fixed_offset());
    Model {
        password_hash,
        password_changed_at,
        ..row
    }
}

fn blank(email: String) -> Model {
    let now = clock::now().fixed_offset();
    Model {
        id: Uuid::nil(),
        email,
        password_hash: None,
        password_changed_at: None,
        password_reset_token: None,
        password_reset_expires_at: None,
        email_verification_token: None,
        email_verification_expires_at: None,
        email_verified_at: None,
        first_name: None,
        last_name: None,
        username: None,
        bio: None,
        avatar_url: None,
        preferences: json!({}),
        settings: json!({}),
        timezone: "UTC".to_owned(),
        language: "en".to_owned(),
        status: UserStatus::Active,
        role: UserRole::User,
        email_verified: false,
        mfa_enabled: false,
        mfa_secret: None,
        last_login_ip: None,
        current_login_ip: None,
        last_login_at: None,
        current_login_at: None,
        failed_login_attempts: 0,
        locked_until: None,
        deleted_at: None,
        version: 0,
        created_at: now,
        updated_at: now,
        created_by: None,
        updated_by: None,
    }
}

/// An address that reaches nobody (RFC 6761, section 6.4), nobody can take, and nobody has: somebody may, from before
/// such addresses were refused.
async fn tombstone(work: &mut UnitOfWork<'_>, id: Uuid) -> Result<String, Problem> {
    let usual = format!("{id}@deleted.invalid");
    let taken = Entity::find()
        .filter(Column::Email.eq(&usual))
        .filter(Column::Id.ne(id));
    Ok(match work.one(taken).await? {
        None => usual,
        Some(_) => format!("{id}@{}.deleted.invalid", clock::new_id()),
    })
}

/// The tombstone: nothing of the person is left in the row.
fn scrub(row: &mut Model, address: String) {
    *row = Model {
        id: row.id,
        status: UserStatus::Deleted,
        deleted_at: Some(clock::now().fixed_offset()),
        version: row.version,
        created_at: row.created_at,
        created_by: row.created_by,
        ..blank(address)
    };
}

/// The users that exist for the caller: themselves, and who shares an organization with them.
fn visible(caller: &Caller) -> Select<Entity> {
    let organizations = caller.organizations();
    if organizations.is_all() {
        return Entity::find();
    }
    let fellow = memberships_in(organizations.contain(memberships::Column::OrganizationId)).filter(
        Expr::col((memberships::Entity, memberships::Column::UserId)).equals((Entity, Column::Id)),
    );
    // An invitation opens nobody's profile before it is accepted, but for one of whom there is only the address.
    let joined = memberships::Column::Status.ne(MembershipStatus::Pending);
    let fellow = fellow.filter(
        Condition::any()
            .add(joined)
            .add(Column::Status.eq(UserStatus::Invited)),
    );
    let fellow = Expr::exists(fellow.into_query());
    match caller.principal().organization_id {
        Some(_) => Entity::find().filter(fellow),
        None => Entity::find().filter(
            Condition::any()
                .add(Column::Id.eq(caller.user_id()))
                .add(fellow),
        ),
    }
}

/// What follows from [`visible`], in the form in which indexes find it: for lists.
fn reached(caller: &Caller) -> Condition {
    let organizations = caller.organizations();
    if organizations.is_all() {
        return Condition::all();
    }
    let mut ids =
        memberships_in(organizations.contain(memberships::Column::OrganizationId)).into_query();
    let own = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.eq(caller.user_id()));
    ids.union(UnionType::Distinct, own.into_query());
    Column::Id.in_subquery(ids).into_condition()
}

/// The people of these organizations who have not left.
fn memberships_in(organizations: Condition) -> Select<memberships::Entity> {
    memberships::Entity::find()
        .select_only()
        .column(memberships::Column::UserId)
        .filter(organizations)
        .filter(memberships::Column::Status.ne(MembershipStatus::Removed))
}

async fn find(caller: &Caller, id: Uuid) -> Result<Model, Problem> {
    let select = visible(caller)
        .filter(Column::Id.eq(id))
        .filter(Column::Status.ne(UserStatus::Deleted));
    select
        .one(&caller.database().reader())
        .await?
        .ok_or_else(Problem::not_found)
}

/// List the users that you may see, oldest first.
#[utoipa::path(tag = "users", params(ListUsers), responses((status = 200, body = Page<User>)))]
#[get("/users")]
async fn list_users(
    caller: Caller,
    query: Query<ListUsers>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Query(ListUsers {
        status,
        role,
        organization_id,
        q,
        limit,
        cursor,
    }) = query;
    caller.concerns(organization_id);
    let mut select = visible(&caller).filter(reached(&caller));
    select = match status {
        Some(status) => select.filter(Column::Status.eq(status)),
        None => select.filter(Column::Status.ne(UserStatus::Deleted)),
    };
    select = select.apply_if(role, |select, role| select.filter(Column::Role.eq(role)));
    if let Some(id) = organization_id {
        let organization = caller
            .organizations()
            .contain(memberships::Column::OrganizationId)
            .add(memberships::Column::OrganizationId.eq(id));
        select = select.filter(Column::Id.in_subquery(memberships_in(organization).into_query()));
    }
    if let Some(text) = q {
        let columns = [
            Column::Email,
            Column::FirstName,
            Column::LastName,
            Column::Username,
        ];
        let backend = caller.database().backend();
        let any = columns
            .into_iter()
            .map(|column| contains(backend, column, text.as_ref()));
        select = select.filter(any.fold(Condition::any(), Condition::add));
    }
    let place = (limit, cursor);
    page::oldest_first(&caller, &request, select, place, |row| {
        User::seen_by(&caller, row)
    })
    .await
}

/// Create a user. System admins only; anyone else invites by a membership.
#[utoipa::path(tag = "users", request_body = NewUser, responses((status = 201, body = User)))]
#[post("/users")]
async fn create_user(caller: Caller, body: Body<NewUser>) -> Result<HttpResponse, Problem> {
    caller.require_system_admin()?;
    let new = body.0;
    let password_hash = match &new.password {
        Some(password) => Some(caller.state().hasher.hash(&password.0).await?),
        None => None,
    };
    let row = with_password(new.into_row(), password_hash);
    caller
        .write(async |work| {
            let user = work.create::<Entity>(Verb::Created, row.clone()).await?;
            Answer::created(&User::seen_by(&caller, user))
        })
        .await
}

impl NewUser {
    fn into_row(self) -> Model {
        let Self {
            email,
            password: _,
            first_name,
            last_name,
            username,
            bio,
            avatar_url,
            preferences,
            settings,
            timezone,
            language,
            role,
        } = self;
        let row = blank(email.into());
        Model {
            first_name: first_name.map(String::from),
            last_name: last_name.map(String::from),
            username: username.map(String::from),
            bio: bio.map(String::from),
            avatar_url: avatar_url.map(String::from),
            preferences: preferences.unwrap_or_default().into(),
            settings: settings.unwrap_or_default().into(),
            timezone: timezone.map_or(row.timezone, String::from),
            language: language.map_or(row.language, String::from),
            role: role.unwrap_or(row.role),
            ..row
        }
    }
}

/// Read one user.
#[utoipa::path(tag = "users", params(("id" = Uuid, Path, description = "The user's id")), responses((status = 200, body = User)))]
#[get("/users/{id}")]
async fn read_user(caller: Caller, id: Id, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let row = find(&caller, id.0).await?;
    conditional::read(&request, &User::seen_by(&caller, row))
}

/// Change a user: yourself, or anyone as a system admin.
#[utoipa::path(tag = "users", params(("id" = Uuid, Path, description = "The user's id")), request_body = EditUser, responses((status = 200, body = User)))]
#[patch("/users/{id}")]
async fn update_user(
    caller: Caller,
    id: Id,
    precondition: Precondition,
    body: Body<EditUser>,
) -> Result<HttpResponse, Problem> {
    let edit = body.0;
    let seen = find(&caller, id.0).await?;
    require_self_or_system_admin(&caller, &seen)?;
    if edit.status.is_set() || edit.role.is_set() {
        caller.require_system_admin()?;
    }
    let password_hash = new_password(&caller, &seen, &edit).await?;
    caller
        .write(async |work| {
            let owned = match edit.status.value() {
                Some(Switch::Suspended) => lock_owned_organizations(work, id.0).await?,
                _ => Vec::new(),
            };
            let user = work
                .update::<Entity>(id.0, |row| {
                    exists(row)?;
                    precondition.check(row.version)?;
                    if password_hash.is_some() && row.password_hash != seen.password_hash {
                        return Err(Problem::state_conflict(
                            "The password was changed just now.",
                        ));
                    }
                    edit.apply(row, password_hash.clone())
                })
                .await?;
            for organization_id in owned {
                members::require_owner(work, organization_id).await?;
            }
            Answer::ok(&User::seen_by(&caller, user))
        })
        .await
}

/// The hash of the new password, if one was sent and may be set.
async fn new_password(
    caller: &Caller,
    seen: &Model,
    edit: &EditUser,
) -> Result<Option<String>, Problem> {
    let Some(password) = edit.password.value() else {
        return Ok(None);
    };
    let own = caller.user_id() == seen.id;
    if let (true, Some(hash)) = (own, &seen.password_hash) {
        let current = edit.current_password.value().ok_or_else(|| {
            Problem::invalid(
                "/current_password",
                "required",
                "To change your own password, send the one until now.",
            )
        })?;
        if !caller.state().hasher.verify(&current.0, hash).await? {
            return Err(Problem::invalid(
                "/current_password",
                "wrong-password",
                "This is not your password.",
            ));
        }
    }
    caller.state().hasher.hash(&password.0).await.map(Some)
}

/// The organizations of which the user is an active owner, held so that their owners do not change under our hands.
async fn lock_owned_organizations(
    work: &mut UnitOfWork<'_>,
    user_id: Uuid,
) -> Result<Vec<Uuid>, Problem> {
    use entity::sea_orm_active_enums::OrganizationStatus;
    let owned = memberships::Entity::find()
        .select_only()
        .column(memberships::Column::OrganizationId)
        .filter(memberships::Column::UserId.eq(user_id))
        .filter(memberships::Column::Role.eq(MembershipRole::Owner))
        .filter(memberships::Column::Status.eq(MembershipStatus::Active))
        .into_query();
    let select = organizations::Entity::find()
        .filter(organizations::Column::Id.in_subquery(owned))
        .filter(organizations::Column::Status.ne(OrganizationStatus::Deleted))
        .order_by_asc(organizations::Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(work
        .all(select)
        .await?
        .into_iter()
        .map(|organization| organization.id)
        .collect())
}

fn require_self_or_system_admin(caller: &Caller, row: &Model) -> Result<(), Problem> {
    if caller.user_id() == row.id {
        return caller.require_unrestricted();
    }
    caller.require_system_admin()
}

impl EditUser {
    fn apply(&self, row: &mut Model, password_hash: Option<String>) -> Result<Verb, Problem> {
        let Self {
            email,
            password: _,
            current_password: _,
            first_name,
            last_name,
            username,
            bio,
            avatar_url,
            preferences,
            settings,
            timezone,
            language,
            status,
            role,
        } = self;
        let before = (row.status, row.role, row.email.clone());
        email.apply(&mut row.email);
        if row.email != before.2 {
            (row.email_verified, row.email_verified_at) = (false, None);
            (
                row.email_verification_token,
                row.email_verification_expires_at,
            ) = (None, None);
        }
        first_name.apply_option(&mut row.first_name);
        last_name.apply_option(&mut row.last_name);
        username.apply_option(&mut row.username);
        bio.apply_option(&mut row.bio);
        avatar_url.apply_option(&mut row.avatar_url);
        merge_patch::apply("preferences", preferences, &mut row.preferences)?;
        merge_patch::apply("settings", settings, &mut row.settings)?;
        timezone.apply(&mut row.timezone);
        language.apply(&mut row.language);
        role.apply(&mut row.role);
        match status.value() {
            Some(Switch::Active) => row.status = UserStatus::Active,
            Some(Switch::Suspended) => row.status = UserStatus::Suspended,
            None => {}
        }
        let new_password = password_hash.is_some();
        if new_password {
            row.password_hash = password_hash;
            row.password_changed_at = Some(clock::now().fixed_offset());
            (row.password_reset_token, row.password_reset_expires_at) = (None, None);
        }
        Ok(match (before.0, row.status) {
            (_, UserStatus::Suspended) if before.0 != UserStatus::Suspended => Verb::Suspended,
            (UserStatus::Suspended, UserStatus::Active) => Verb::Reactivated,
            _ if row.role != before.1 => Verb::RoleChanged,
            _ if row.email != before.2 => Verb::EmailChanged,
            _ if new_password => Verb::PasswordChanged,
            _ => Verb::Updated,
        })
    }
}

/// Delete a user: yourself, or anyone as a system admin. Personal data in the row is scrubbed; keys are revoked and
/// memberships removed; the events stay.
#[utoipa::path(tag = "users", params(("id" = Uuid, Path, description = "The user's id")), responses((status = 204)))]
#[delete("/users/{id}")]
async fn delete_user(
    caller: Caller,
    id: Id,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    let seen = find(&caller, id.0).await?;
    require_self_or_system_admin(&caller, &seen)?;
    caller
        .write(async |work| {
            let owned = lock_owned_organizations(work, id.0).await?;
            let address = tombstone(work, id.0).await?;
            work.remove::<Entity>(id.0, |row| {
                exists(row)?;
                precondition.check(row.version)?;
                scrub(row, address);
                Ok(())
            })
            .await?;
            for organization_id in owned {
                members::require_owner(work, organization_id).await?;
            }
            keys::revoke_all(work, api_keys::Column::UserId.eq(id.0)).await?;
            members::remove_all(work, memberships::Column::UserId.eq(id.0)).await?;
            Ok(Answer::no_content())
        })
        .await
}

fn exists(row: &Model) -> Result<(), Problem> {
    if row.status == UserStatus::Deleted {
        Err(Problem::not_found())
    } else {
        Ok(())
    }
}

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_users)
        .service(create_user)
        .service(read_user)
        .service(update_user)
        .service(delete_user);
}
