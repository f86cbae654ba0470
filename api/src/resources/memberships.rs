//! Memberships: who belongs to an organization, and in which role. Admins invite and change; the person accepts.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use entity::memberships::{Column, Entity, Model};
use entity::sea_orm_active_enums::{
    MembershipRole, MembershipStatus, OrganizationStatus, UserStatus,
};
use entity::{organizations, users};
use sea_orm::sea_query::{LockType, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::organizations::Switch;
use crate::core::answer::Answer;
use crate::core::authorization::{Access, Action, Collection, Permissions, Scope, rank};
use crate::core::body::Body;
use crate::core::caller::Caller;
use crate::core::clock;
use crate::core::conditional::{self, Precondition};
use crate::core::input::Patch;
use crate::core::json::JsonObject;
use crate::core::merge_patch;
use crate::core::page::{self, CursorText, Limit, Page};
use crate::core::problem::{Kind, Problem};
use crate::core::query::{Id, Query};
use crate::core::resource::Resource;
use crate::core::text::{Email, Line255, Timestamp};
use crate::core::unit_of_work::UnitOfWork;
use crate::core::verb::Verb;
use crate::{audited_columns, enum_field, input, view};

const WRITE: Scope = Scope::Of(Collection::Memberships, Action::Write);

/// A person's membership in an organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    /// Its id.
    pub id: Uuid,
    /// The person.
    pub user_id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// What the person may do there.
    #[schema(inline)]
    pub role: MembershipRole,
    /// Scopes that the person has beyond the role, such as `{"events:read": true}`.
    #[schema(value_type = Object)]
    pub permissions: Value,
    /// `pending` until the person accepts; only `active` gives access.
    #[schema(inline)]
    pub status: MembershipStatus,
    /// Who invited the person.
    pub invited_by: Option<Uuid>,
    /// What the person does there.
    pub job_title: Option<String>,
    /// Where in the organization.
    pub department: Option<String>,
    /// Anything else that its applications keep.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// When the person accepted.
    pub joined_at: Option<Timestamp>,
    /// When the person left.
    pub left_at: Option<Timestamp>,
    /// How often it was changed, its making included; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: Option<Uuid>,
    /// Who changed it last.
    pub updated_by: Option<Uuid>,
}

view!(Membership, "/v1/memberships");

impl From<Model> for Membership {
    fn from(row: Model) -> Self {
        let Model {
            invitation_token: _,
            invitation_expires_at: _,
            ..
        } = row;
        Self {
            id: row.id,
            user_id: row.user_id,
            organization_id: row.organization_id,
            role: row.role,
            permissions: row.permissions,
            status: row.status,
            invited_by: row.invited_by,
            job_title: row.job_title,
            department: row.department,
            metadata: row.metadata,
            joined_at: row.joined_at.map(Timestamp::from),
            left_at: row.left_at.map(Timestamp::from),
            version: row.version,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            created_by: row.created_by,
            updated_by: row.updated_by,
        }
    }
}

impl Resource for Entity {
    const AGGREGATE: &'static str = "membership";
    const REMOVAL: Verb = Verb::Removed;
    const SECRETS: &'static [Column] = &[Column::InvitationToken];
    const BOOKKEEPING: &'static [Column] = &[];
    const UNIQUE: &'static [(&'static str, &'static str)] =
        &[("user_id_organization_id", "user_id")];

    audited_columns!();

    fn organization(row: &Model) -> Option<Uuid> {
        Some(row.organization_id)
    }

    fn touches(row: &Model) -> Vec<(&'static str, Uuid)> {
        vec![("organization", row.organization_id), ("user", row.user_id)]
    }
}

enum_field!(MembershipRole, MembershipStatus, FirstStatus);

/// What a new membership's status may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirstStatus {
    /// An invitation.
    Pending,
    /// In force at once; system admins only.
    Active,
}

input! {
    /// Whom to invite, and as what. One of `user_id` and `email`.
    pub struct NewMembership {
        /// The organization.
        pub organization_id: Uuid,
        /// The person, if they are known.
        pub user_id: Patch<Uuid>,
        /// The person's e-mail address; someone unknown becomes an invited user.
        pub email: Patch<Email>,
        /// What the person may do there; `member` unless given. Only owners make owners, only admins and owners make admins.
        pub role: Option<MembershipRole>,
        /// Scopes beyond the role, such as `{"events:read": true}`.
        pub permissions: Option<Permissions>,
        /// `pending` unless a system admin says `active`.
        pub status: Option<FirstStatus>,
        /// What the person does there.
        pub job_title: Option<Line255>,
        /// Where in the organization.
        pub department: Option<Line255>,
        /// Anything else that its applications keep.
        pub metadata: Option<JsonObject>,
    }
}

input! {
    /// A merge patch of a membership.
    pub struct EditMembership {
        /// What the person may do there. Only owners grant or take `owner`, only admins and owners `admin`.
        pub role: Patch<MembershipRole>,
        /// Scopes beyond the role; merged, scope by scope. `null` takes a scope away.
        pub permissions: Patch<Permissions>,
        /// `active` accepts an invitation (the person, or a system admin) or ends a suspension; `suspended` suspends.
        pub status: Patch<Switch>,
        /// What the person does there.
        pub job_title: Patch<Option<Line255>>,
        /// Where in the organization.
        pub department: Patch<Option<Line255>>,
        /// Anything else; merged, member by member.
        pub metadata: Patch<JsonObject>,
    }
}

input! {
    /// Which memberships to list.
    pub struct ListMemberships {
        /// Those in this organization.
        pub organization_id: Option<Uuid>,
        /// Those of this person.
        pub user_id: Option<Uuid>,
        /// Those with this role.
        pub role: Option<MembershipRole>,
        /// Those in this state; without it, those that are not removed.
        pub status: Option<MembershipStatus>,
        /// How many, at most.
        pub limit: Limit,
        /// Where to go on: the `next_cursor` of the page before.
        pub cursor: Option<CursorText>,
    }
}

/// The membership of one who makes an organization.
pub fn founder(user_id: Uuid, organization_id: Uuid) -> Model {
    let now = clock::now().fixed_offset();
    Model {
        role: MembershipRole::Owner,
        status: MembershipStatus::Active,
        joined_at: Some(now),
        ..blank(user_id, organization_id)
    }
}

/// A membership as it is before anyone said more.
fn blank(user_id: Uuid, organization_id: Uuid) -> Model {
    let now = clock::now().fixed_offset();
    Model {
        id: Uuid::nil(),
        user_id,
        organization_id,
        role: MembershipRole::Member,
        permissions: json!({}),
        status: MembershipStatus::Pending,
        invitation_token: None,
        invitation_expires_at: None,
        invited_by: None,
        job_title: None,
        department: None,
        metadata: json!({}),
        joined_at: None,
        left_at: None,
        version: 0,
        created_at: now,
        updated_at: now,
        created_by: None,
        updated_by: None,
    }
}

/// The person is no longer a member.
fn leave(row: &mut Model, moment: DateTime<Utc>) {
    row.status = MembershipStatus::Removed;
    row.left_at = Some(moment.fixed_offset());
    row.invitation_token = None;
    row.invitation_expires_at = None;
}

/// Removes every membership that fits and is not removed yet, each with its event.
pub async fn remove_all(work: &mut UnitOfWork<'_>, which: SimpleExpr) -> Result<(), Problem> {
    let which = Condition::all()
        .add(which)
        .add(Column::Status.ne(MembershipStatus::Removed));
    let now = clock::now();
    work.update_all::<Entity>(which, Verb::Removed, |row| leave(row, now))
        .await
        .map(drop)
}

/// Whether the row makes its person an owner at this moment.
fn is_active_owner(row: &Model) -> bool {
    row.role == MembershipRole::Owner && row.status == MembershipStatus::Active
}

/// The memberships that exist for the caller: those of their organizations, and their own.
fn visible(caller: &Caller) -> Select<Entity> {
    let organizations = caller.organizations().contain(Column::OrganizationId);
    let principal = caller.principal();
    let own = Condition::all().add(Column::UserId.eq(principal.user_id));
    match principal.organization_id {
        Some(id) => Entity::find()
            .filter(Condition::any().add(organizations).add(own))
            .filter(Column::OrganizationId.eq(id)),
        None if caller.reads_everything() => Entity::find(),
        // The second condition follows from the first and lets an index find the few organizations there can be.
        None => Entity::find()
            .filter(Condition::any().add(organizations).add(own))
            .filter(Column::OrganizationId.in_subquery(organizations_of(principal.user_id))),
    }
}

/// The organizations that the person has to do with, in whatever state.
fn organizations_of(user_id: Uuid) -> SelectStatement {
    Entity::find()
        .select_only()
        .column(Column::OrganizationId)
        .filter(Column::UserId.eq(user_id))
        .into_query()
}

async fn find(caller: &Caller, id: Uuid) -> Result<Model, Problem> {
    let select = visible(caller)
        .filter(Column::Id.eq(id))
        .filter(Column::Status.ne(MembershipStatus::Removed));
    let row = select
        .one(&caller.database().reader())
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.concerns(row.organization_id);
    Ok(row)
}

/// List the memberships of the organizations that you may read, and your own, oldest first.
#[utoipa::path(tag = "memberships", params(ListMemberships), responses((status = 200, body = Page<Membership>)))]
#[get("/memberships")]
async fn list_memberships(
    caller: Caller,
    query: Query<ListMemberships>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Query(ListMemberships {
        organization_id,
        user_id,
        role,
        status,
        limit,
        cursor,
    }) = query;
    caller.concerns(organization_id);
    let mut select = visible(&caller);
    select = match status {
        Some(status) => select.filter(Column::Status.eq(status)),
        None => select.filter(Column::Status.ne(MembershipStatus::Removed)),
    };
    select = select.apply_if(organization_id, |select, id| {
        select.filter(Column::OrganizationId.eq(id))
    });
    select = select.apply_if(user_id, |select, id| select.filter(Column::UserId.eq(id)));
    select = select.apply_if(role, |select, role| select.filter(Column::Role.eq(role)));
    let place = (limit, cursor);
    page::oldest_first(&caller, &request, select, place, Membership::from).await
}

/// Invite a person into an organization.
#[utoipa::path(tag = "memberships", request_body = NewMembership, responses((status = 201, body = Membership)))]
#[post("/memberships")]
async fn create_membership(
    caller: Caller,
    body: Body<NewMembership>,
) -> Result<HttpResponse, Problem> {
    let new = body.0;
    if new.user_id.is_set() == new.email.is_set() {
        let detail = "Give either user_id or email.";
        return Err(Problem::invalid("/user_id", "either-or", detail).field(
            "/email",
            "either-or",
            detail,
        ));
    }
    let access = caller
        .access(new.organization_id)
        .await
        .map_err(|problem| problem.naming("/organization_id"))?;
    access.require_admin_or(WRITE)?;
    require_grantable(&access, new.role.unwrap_or(MembershipRole::Member))?;
    if new.permissions.is_some() {
        access.require_role(MembershipRole::Admin)?;
    }
    if new.status == Some(FirstStatus::Active) {
        caller.require_system_admin()?;
    }
    caller
        .write(async |work| {
            lock_organization(work, new.organization_id, LockType::Share).await?;
            let user_id = invited_user(work, &new).await?;
            let membership = invite(work, &caller, &new, user_id).await?;
            Answer::created(&Membership::from(membership))
        })
        .await
}

/// Holds the organization's row so that it is not deleted, and its owners are not changed, under our hands.
pub(super) async fn lock_organization(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    lock: LockType,
) -> Result<OrganizationStatus, Problem> {
    let select = organizations::Entity::find_by_id(id)
        .filter(organizations::Column::Status.ne(OrganizationStatus::Deleted))
        .lock(lock);
    match work.one(select).await? {
        Some(organization) => Ok(organization.status),
        None => Err(Problem::not_found()),
    }
}

/// The person to invite: the one with this id, or with this e-mail address, who is made where there is none.
async fn invited_user(work: &mut UnitOfWork<'_>, new: &NewMembership) -> Result<Uuid, Problem> {
    let which = match (new.user_id.value(), new.email.value()) {
        (Some(id), _) => users::Column::Id.eq(*id),
        (None, Some(email)) => users::Column::Email.eq(email.as_ref()),
        (None, None) => {
            return Err(Problem::invalid(
                "/user_id",
                "required",
                "Give either user_id or email.",
            ));
        }
    };
    let known = work.one(users::Entity::find().filter(which)).await?;
    match (known, new.email.value()) {
        (Some(user), _) if user.status != UserStatus::Deleted => Ok(user.id),
        (None, Some(email)) => {
            let row = super::users::invited(email.clone());
            Ok(work.create::<users::Entity>(Verb::Created, row).await?.id)
        }
        _ => Err(Problem::not_found().naming("/user_id")),
    }
}

/// The new membership; a person who had left gets the same one again.
async fn invite(
    work: &mut UnitOfWork<'_>,
    caller: &Caller,
    new: &NewMembership,
    user_id: Uuid,
) -> Result<Model, Problem> {
    let now = clock::now().fixed_offset();
    let active = new.status == Some(FirstStatus::Active);
    let fresh = Model {
        role: new.role.unwrap_or(MembershipRole::Member),
        permissions: new
            .permissions
            .clone()
            .map_or_else(|| json!({}), Value::from),
        status: if active {
            MembershipStatus::Active
        } else {
            MembershipStatus::Pending
        },
        invited_by: Some(caller.user_id()),
        job_title: new.job_title.clone().map(String::from),
        department: new.department.clone().map(String::from),
        metadata: new.metadata.clone().map_or_else(|| json!({}), Value::from),
        joined_at: active.then_some(now),
        ..blank(user_id, new.organization_id)
    };
    let verb = if active { Verb::Created } else { Verb::Invited };
    let former = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::OrganizationId.eq(new.organization_id))
        .filter(Column::Status.eq(MembershipStatus::Removed));
    let Some(former) = work.one(former).await? else {
        return work.create::<Entity>(verb, fresh).await;
    };
    work.update::<Entity>(former.id, |row| {
        if row.status != MembershipStatus::Removed {
            return Err(Problem::state_conflict(
                "The person was invited again just now.",
            ));
        }
        *row = Model {
            id: row.id,
            version: row.version,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
            ..fresh
        };
        Ok(verb)
    })
    .await
}

/// Whether the caller may make someone this; a scope beyond the role reaches no further than members.
fn require_grantable(access: &Access, role: MembershipRole) -> Result<(), Problem> {
    match role {
        MembershipRole::Owner => access.require_role(MembershipRole::Owner),
        MembershipRole::Admin => access.require_role(MembershipRole::Admin),
        MembershipRole::Member | MembershipRole::Viewer => Ok(()),
    }
}

/// Read one membership.
#[utoipa::path(tag = "memberships", params(("id" = Uuid, Path, description = "The membership's id")), responses((status = 200, body = Membership)))]
#[get("/memberships/{id}")]
async fn read_membership(
    caller: Caller,
    id: Id,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let row = find(&caller, id.0).await?;
    conditional::read(&request, &Membership::from(row))
}

/// Change a membership, or accept an invitation.
#[utoipa::path(tag = "memberships", params(("id" = Uuid, Path, description = "The membership's id")), request_body = EditMembership, responses((status = 200, body = Membership)))]
#[patch("/memberships/{id}")]
async fn update_membership(
    caller: Caller,
    id: Id,
    precondition: Precondition,
    body: Body<EditMembership>,
) -> Result<HttpResponse, Problem> {
    let edit = body.0;
    let seen = find(&caller, id.0).await?;
    let access = Rights::of(&caller, &seen, &edit).await?;
    caller
        .write(async |work| {
            let organization =
                lock_organization(work, seen.organization_id, LockType::NoKeyUpdate).await?;
            if matches!(access, Rights::Own) && organization != OrganizationStatus::Active {
                return Err(Problem::state_conflict("The organization is suspended."));
            }
            let mut lost_owner = None;
            let membership = work
                .update::<Entity>(id.0, |row| {
                    exists(row)?;
                    precondition.check(row.version)?;
                    access.check(row, &edit)?;
                    let was_owner = is_active_owner(row);
                    let verb = edit.apply(row)?;
                    lost_owner =
                        (was_owner && !is_active_owner(row)).then_some(row.organization_id);
                    Ok(verb)
                })
                .await?;
            if let Some(organization_id) = lost_owner {
                require_owner(work, organization_id).await?;
            }
            Answer::ok(&Membership::from(membership))
        })
        .await
}

/// Remove a person from an organization, leave one, or decline an invitation.
#[utoipa::path(tag = "memberships", params(("id" = Uuid, Path, description = "The membership's id")), responses((status = 204)))]
#[delete("/memberships/{id}")]
async fn delete_membership(
    caller: Caller,
    id: Id,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    let seen = find(&caller, id.0).await?;
    let rights = match seen.user_id == caller.user_id() {
        true => Rights::Own,
        false => Rights::in_organization(&caller, &seen).await?,
    };
    caller
        .write(async |work| {
            lock_organization(work, seen.organization_id, LockType::NoKeyUpdate).await?;
            let mut lost_owner = None;
            work.update::<Entity>(id.0, |row| {
                exists(row)?;
                precondition.check(row.version)?;
                rights.check_removal(row)?;
                lost_owner = is_active_owner(row).then_some(row.organization_id);
                leave(row, clock::now());
                Ok(Verb::Removed)
            })
            .await?;
            if let Some(organization_id) = lost_owner {
                require_owner(work, organization_id).await?;
            }
            Ok(Answer::no_content())
        })
        .await
}

/// By what right a membership is changed.
enum Rights {
    /// It is the caller's own: accept it or end it.
    Own,
    /// By a role in the organization, a scope beyond it, or as a system admin.
    Organization {
        access: Access,
        accepts: bool,
        own: bool,
    },
}

impl Rights {
    async fn of(caller: &Caller, seen: &Model, edit: &EditMembership) -> Result<Self, Problem> {
        let own = seen.user_id == caller.user_id();
        if own && edit.only_accepts() && seen.status == MembershipStatus::Pending {
            return Ok(Self::Own);
        }
        Self::in_organization(caller, seen).await
    }

    async fn in_organization(caller: &Caller, seen: &Model) -> Result<Self, Problem> {
        let access = caller
            .access(seen.organization_id)
            .await
            .map_err(|problem| match problem.kind() {
                // The row is visible, as the caller's own, where the organization is not (yet).
                Kind::NotFound => Problem::forbidden("Accept the invitation first."),
                _ => problem,
            })?;
        access.require_admin_or(WRITE)?;
        Ok(Self::Organization {
            access,
            accepts: caller.is_system_admin(),
            own: seen.user_id == caller.user_id(),
        })
    }

    fn check(&self, row: &Model, edit: &EditMembership) -> Result<(), Problem> {
        match self {
            Self::Own if row.status == MembershipStatus::Pending => Ok(()),
            Self::Own => Err(Problem::state_conflict(
                "There is no invitation to accept any more.",
            )),
            Self::Organization {
                access,
                accepts,
                own,
            } => {
                let accepting = row.status == MembershipStatus::Pending
                    && edit.status.value() == Some(&Switch::Active);
                if accepting && !accepts {
                    return Err(Problem::forbidden(
                        "Only the person who was invited accepts.",
                    ));
                }
                require_grantable(access, row.role)?;
                if let Some(role) = edit.role.value() {
                    require_grantable(access, *role)?;
                    // By the role in the locked row: it may have been taken a moment ago.
                    if *own && !accepts && rank(*role) > rank(row.role) {
                        return Err(Problem::forbidden("Nobody raises their own role."));
                    }
                }
                if edit.permissions.is_set() {
                    access.require_role(MembershipRole::Admin)?;
                }
                Ok(())
            }
        }
    }

    fn check_removal(&self, row: &Model) -> Result<(), Problem> {
        match self {
            Self::Own => Ok(()),
            Self::Organization { access, .. } => require_grantable(access, row.role),
        }
    }
}

impl EditMembership {
    /// Whether it does nothing but accept.
    fn only_accepts(&self) -> bool {
        let Self {
            role,
            permissions,
            status,
            job_title,
            department,
            metadata,
        } = self;
        status.value() == Some(&Switch::Active)
            && !(role.is_set()
                || permissions.is_set()
                || job_title.is_set()
                || department.is_set()
                || metadata.is_set())
    }

    fn apply(&self, row: &mut Model) -> Result<Verb, Problem> {
        let Self {
            role,
            permissions,
            status,
            job_title,
            department,
            metadata,
        } = self;
        let old_role = row.role;
        role.apply(&mut row.role);
        if let Some(permissions) = permissions.value() {
            let mut merged = JsonObject::of(&row.permissions);
            merge_patch::merge(&mut merged.0, &permissions.0);
            row.permissions = merged.into();
        }
        job_title.apply_option(&mut row.job_title);
        department.apply_option(&mut row.department);
        merge_patch::apply("metadata", metadata, &mut row.metadata)?;
        let by_status = match (row.status, status.value()) {
            (MembershipStatus::Pending, Some(Switch::Active)) => {
                row.joined_at = Some(clock::now().fixed_offset());
                row.invitation_token = None;
                row.invitation_expires_at = None;
                Some((MembershipStatus::Active, Verb::Accepted))
            }
            (MembershipStatus::Pending, Some(Switch::Suspended)) => {
                return Err(Problem::state_conflict(
                    "An invitation is not suspended; delete it.",
                ));
            }
            (MembershipStatus::Active, Some(Switch::Suspended)) => {
                Some((MembershipStatus::Suspended, Verb::Suspended))
            }
            (MembershipStatus::Suspended, Some(Switch::Active)) => {
                Some((MembershipStatus::Active, Verb::Reactivated))
            }
            _ => None,
        };
        if let Some((status, verb)) = by_status {
            row.status = status;
            return Ok(verb);
        }
        Ok(if row.role == old_role {
            Verb::Updated
        } else {
            Verb::RoleChanged
        })
    }
}

/// Refuses where the organization has no active owner left; its row must be locked by now.
pub(super) async fn require_owner(
    work: &mut UnitOfWork<'_>,
    organization_id: Uuid,
) -> Result<(), Problem> {
    let select = users::Entity::find()
        .filter(users::Column::Status.eq(UserStatus::Active))
        .filter(users::Column::Id.in_subquery(owners(organization_id)))
        .limit(1);
    match work.one(select).await? {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            Kind::LastOwner,
            format!(
                "The organization {organization_id} would have no active owner. Make someone else an owner first, or delete it."
            ),
        )),
    }
}

fn owners(organization_id: Uuid) -> SelectStatement {
    Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(Column::OrganizationId.eq(organization_id))
        .filter(Column::Role.eq(MembershipRole::Owner))
        .filter(Column::Status.eq(MembershipStatus::Active))
        .into_query()
}

fn exists(row: &Model) -> Result<(), Problem> {
    if row.status == MembershipStatus::Removed {
        Err(Problem::not_found())
    } else {
        Ok(())
    }
}

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_memberships)
        .service(create_membership)
        .service(read_membership)
        .service(update_membership)
        .service(delete_membership);
}
