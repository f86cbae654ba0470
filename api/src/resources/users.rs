//! Users: the people. System admins make them; each changes their own; co-members read each other.

use entity::memberships;
use entity::sea_orm_active_enums::{UserRole, UserStatus};
use entity::users::{Column, Entity, Model};

use super::owners::{hold_owned, require_owners};
use super::switch::Switch;
use crate::access::people::{self, members_of};
use crate::prelude::*;

/// A person.
#[resource(
    entity = entity::users,
    collection = "users",
    description = "The people.",
    aggregate = "user",
    read = Fellow,
    write = by_hand,
    search = "Those with this text in a name or in their e-mail address, in any case of letters.",
    private = sees_private
)]
pub struct User {
    /// Their e-mail address, in lower case.
    #[new]
    #[edit(doc = "Their e-mail address, in lower case; unique. A new one is not verified.", with = change_email)]
    #[unique]
    #[search]
    email: Email,
    /// Whether they have shown that the address is theirs.
    #[default(false)]
    email_verified: bool,
    /// A password of at least 12 characters, if the person is to have one.
    #[parameter]
    #[new]
    #[edit(doc = "A new password of at least 12 characters.", as = Password)]
    password: Option<Password>,
    /// The password until now: needed where people who have one change their own.
    #[parameter]
    #[edit]
    current_password: Password,
    /// First name.
    #[input]
    #[search]
    first_name: Option<Line100>,
    /// Last name.
    #[input]
    #[search]
    last_name: Option<Line100>,
    /// Short name.
    #[input]
    #[unique]
    #[search]
    username: Option<Username>,
    /// Who they are, in a few paragraphs.
    #[input]
    bio: Option<Paragraphs>,
    /// Where their picture is.
    #[input]
    avatar_url: Option<Url>,
    /// What they prefer; only for themselves, system admins and auditors.
    #[input(doc = "What they prefer.")]
    #[default]
    #[private]
    preferences: JsonObject,
    /// Settings that applications keep; only for themselves, system admins and auditors.
    #[input(doc = "Settings that applications keep.")]
    #[default]
    #[private]
    settings: JsonObject,
    /// Time zone, by its name in the tz database.
    #[input]
    #[default("UTC")]
    timezone: TimeZone,
    /// Language, by its tag (BCP 47).
    #[input]
    #[default("en")]
    language: Language,
    /// `invited` until they are known; only `active` gives access.
    #[edit(
        doc = "`suspended` shuts the person out, `active` lets them in.",
        admin, as = Switch, with = switch
    )]
    #[filter(without = UserStatus::Deleted)]
    #[default(UserStatus::Active)]
    status: UserStatus,
    /// What they may do in the whole system.
    #[new]
    #[edit(admin, with = change_role)]
    #[filter(doc = "Those with this role in the whole system.")]
    #[default(UserRole::User)]
    role: UserRole,
    /// Those who are members of this organization.
    #[parameter]
    #[filter(with = of_organization)]
    organization_id: Uuid,
    #[secret]
    password_hash: Option<String>,
    #[hidden]
    password_changed_at: Option<Timestamp>,
    #[secret]
    #[unique]
    password_reset_token: Option<String>,
    #[hidden]
    password_reset_expires_at: Option<Timestamp>,
    #[secret]
    #[unique]
    email_verification_token: Option<String>,
    #[hidden]
    email_verification_expires_at: Option<Timestamp>,
    #[hidden]
    email_verified_at: Option<Timestamp>,
    #[hidden]
    #[default(false)]
    mfa_enabled: bool,
    #[secret]
    mfa_secret: Option<String>,
    #[bookkeeping(hidden)]
    last_login_ip: Option<String>,
    #[bookkeeping(hidden)]
    current_login_ip: Option<String>,
    #[bookkeeping(hidden)]
    last_login_at: Option<Timestamp>,
    #[bookkeeping(hidden)]
    current_login_at: Option<Timestamp>,
    #[bookkeeping(hidden)]
    #[default(0)]
    failed_login_attempts: i32,
    #[bookkeeping(hidden)]
    locked_until: Option<Timestamp>,
    #[hidden]
    deleted_at: Option<Timestamp>,
}

enum_column!(UserRole, UserStatus);

fn sees_private(caller: &Caller, row: &Model) -> bool {
    caller.user_id() == row.id || caller.reads_everything()
}

/// A new address has to be verified anew.
fn change_email(row: &mut Model, to: Email) -> Result<Option<Verb>, Problem> {
    let to = String::from(to);
    if row.email == to {
        return Ok(None);
    }
    row.email = to;
    (row.email_verified, row.email_verified_at) = (false, None);
    row.email_verification_token = None;
    row.email_verification_expires_at = None;
    Ok(Some(Verb::EmailChanged))
}

fn change_role(row: &mut Model, to: UserRole) -> Result<Option<Verb>, Problem> {
    let changed = row.role != to;
    row.role = to;
    Ok(changed.then_some(Verb::RoleChanged))
}

fn switch(row: &mut Model, to: Switch) -> Result<Option<Verb>, Problem> {
    let (status, verb) = match (row.status, to) {
        (UserStatus::Suspended, Switch::Suspended) => return Ok(None),
        (_, Switch::Suspended) => (UserStatus::Suspended, Some(Verb::Suspended)),
        (UserStatus::Suspended, Switch::Active) => (UserStatus::Active, Some(Verb::Reactivated)),
        (_, Switch::Active) => (UserStatus::Active, None),
    };
    row.status = status;
    Ok(verb)
}

/// A person of whom nothing is known but the e-mail address.
///
/// # Errors
/// Those of [`User::blank`].
pub fn invited(email: Email) -> Result<Model, Problem> {
    Ok(Model {
        status: UserStatus::Invited,
        ..User::blank(email.into())?
    })
}

/// The first system admin, made by the command line.
///
/// # Errors
/// Those of [`User::blank`].
pub fn system_admin(email: Email, password_hash: Option<String>) -> Result<Model, Problem> {
    let mut row = User::blank(email.into())?;
    row.role = UserRole::Admin;
    set_password(&mut row, password_hash);
    Ok(row)
}

/// Gives the person the password of this hash, if there is one, and says so.
fn set_password(row: &mut Model, hash: Option<String>) -> Option<Verb> {
    row.password_hash = Some(hash?);
    row.password_changed_at = Some(clock::now().fixed_offset());
    (row.password_reset_token, row.password_reset_expires_at) = (None, None);
    Some(Verb::PasswordChanged)
}

fn usual_tombstone(id: Uuid) -> String {
    format!("{id}@deleted.invalid")
}

/// An address that reaches nobody (RFC 6761, section 6.4), nobody can take, and nobody has: somebody may, from before
/// such addresses were refused.
async fn tombstone(work: &mut UnitOfWork<'_>, id: Uuid) -> Result<String, Problem> {
    let usual = usual_tombstone(id);
    let taken = all_rows::<Entity>(Reason::Rule)
        .filter(Column::Email.eq(&usual))
        .filter(Column::Id.ne(id));
    let is_taken = work.one(taken).await?.is_some();
    let other = || format!("{id}@{}.deleted.invalid", clock::new_id());
    Ok(if is_taken { other() } else { usual })
}

/// The tombstone: nothing of the person is left in the row.
fn scrub(row: &mut Model, address: String, now: DateTime<Utc>) -> Result<(), Problem> {
    *row = Model {
        id: row.id,
        status: UserStatus::Deleted,
        deleted_at: Some(now.fixed_offset()),
        version: row.version,
        created_at: row.created_at,
        created_by: row.created_by,
        ..User::blank(address)?
    };
    Ok(())
}

fn of_organization(caller: &Caller, select: Select<Entity>, id: Uuid) -> Select<Entity> {
    caller.concerns(id);
    let organization = caller
        .organizations()
        .contain(memberships::Column::OrganizationId)
        .add(memberships::Column::OrganizationId.eq(id));
    select.filter(Column::Id.in_subquery(members_of(organization).into_query()))
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
    let mut row = new.into_row()?;
    set_password(&mut row, password_hash);
    caller
        .write(async |work| {
            let user = work.create::<User>(Verb::Created, row.clone()).await?;
            Answer::created(&User::seen_by(&caller, user))
        })
        .await
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
    let seen = visibility::find::<User>(&caller, id.0).await?;
    require_self_or_system_admin(&caller, &seen)?;
    if edit.is_for_system_admins() {
        caller.require_system_admin()?;
    }
    let password_hash = new_password(&caller, &seen, &edit).await?;
    caller
        .write(async |work| {
            let owned = match edit.status.value() {
                Some(Switch::Suspended) => hold_owned(work, id.0).await?,
                _ => Vec::new(),
            };
            let user = work
                .update::<User>(id.0, |row| {
                    verbs::exists::<User>(row)?;
                    precondition.check(row.version)?;
                    if password_hash.is_some() && row.password_hash != seen.password_hash {
                        return Err(Problem::state_conflict(
                            "The password was changed just now.",
                        ));
                    }
                    let verb = edit.apply(row)?;
                    Ok(
                        set_password(row, password_hash.clone())
                            .map_or(verb, |told| verb.max(told)),
                    )
                })
                .await?;
            require_owners(work, owned).await?;
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

impl Ending for User {
    fn bury(row: &mut Model, now: DateTime<Utc>) -> Result<(), Problem> {
        let address = usual_tombstone(row.id);
        scrub(row, address, now)
    }
}

impl Rules for User {
    /// Those who are members of the organization.
    async fn is_within(
        work: &mut UnitOfWork<'_>,
        organization: Option<Uuid>,
        id: Uuid,
    ) -> Result<bool, Problem> {
        people::is_within(work, organization, id).await
    }
}

fn require_self_or_system_admin(caller: &Caller, row: &Model) -> Result<(), Problem> {
    if caller.user_id() == row.id {
        return caller.require_unrestricted();
    }
    caller.require_system_admin()
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
    let seen = visibility::find::<User>(&caller, id.0).await?;
    require_self_or_system_admin(&caller, &seen)?;
    caller
        .write(async |work| {
            let owned = hold_owned(work, id.0).await?;
            let address = tombstone(work, id.0).await?;
            work.remove::<User>(id.0, |row| {
                verbs::exists::<User>(row)?;
                precondition.check(row.version)?;
                scrub(row, address, clock::now())
            })
            .await?;
            require_owners(work, owned).await?;
            let registry = &caller.state().registry;
            registry.remove_what_goes_with::<User>(work, id.0).await?;
            Ok(Answer::no_content())
        })
        .await
}

verbs! { User:
    list,
    read;
    create_user, update_user, delete_user
}
