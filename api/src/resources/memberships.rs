//! Memberships: who belongs to an organization, and in which role. Admins invite and change; the person accepts.

use entity::memberships::{Column, Entity, Model};
use entity::sea_orm_active_enums::{
    MembershipRole, MembershipStatus, OrganizationStatus, UserStatus,
};
use entity::users;

use super::owners::require_owners;
use super::switch::Switch;
use super::users::{User, invited};
use crate::access::authorization::rank;
use crate::prelude::*;

/// A person's membership in an organization.
#[resource(
    entity = entity::memberships,
    collection = "memberships",
    description = "Who belongs to an organization, and in which role.",
    aggregate = "membership",
    removal = Removed,
    organization = organization_id,
    read = by_hand,
    write = by_hand,
    unique(user_id, organization_id)
)]
pub struct Membership {
    /// The person.
    #[given]
    #[new(doc = "The person, if they are known. One of `user_id` and `email`.", as = Patch<Uuid>)]
    #[filter(doc = "Those of this person.")]
    #[touches("user", goes)]
    user_id: Uuid,
    /// The organization.
    #[given]
    #[new]
    #[filter(doc = "Those in this organization.")]
    #[touches("organization", goes)]
    organization_id: Uuid,
    /// The person's e-mail address; someone unknown becomes an invited user.
    #[parameter]
    #[new]
    email: Patch<Email>,
    /// What the person may do there.
    #[new(
        doc = "What the person may do there; `member` unless given. Only owners make owners, only admins and owners make admins."
    )]
    #[edit(doc = "What the person may do there. Only owners grant or take `owner`, only admins and owners `admin`.", as = MembershipRole, with = change_role)]
    #[filter]
    #[default(MembershipRole::Member)]
    role: MembershipRole,
    /// Scopes that the person has beyond the role, such as `{"events:read": true}`.
    #[input]
    #[default]
    permissions: Permissions,
    /// `pending` until the person accepts; only `active` gives access.
    #[new(doc = "`pending` unless a system admin says `active`.", as = Option<FirstStatus>)]
    #[edit(
        doc = "`active` accepts an invitation (the person, or a system admin) or ends a suspension; `suspended` suspends.",
        as = Switch, with = switch
    )]
    #[filter(without = MembershipStatus::Removed)]
    #[default(MembershipStatus::Pending)]
    status: MembershipStatus,
    /// Who invited the person.
    invited_by: Option<Uuid>,
    /// What the person does there.
    #[input]
    job_title: Option<Line255>,
    /// Where in the organization.
    #[input]
    department: Option<Line255>,
    /// Anything else that its applications keep.
    #[input]
    #[default]
    metadata: JsonObject,
    /// When the person accepted.
    joined_at: Option<Timestamp>,
    /// When the person left.
    left_at: Option<Timestamp>,
    #[secret]
    #[unique]
    invitation_token: Option<Line255>,
    #[hidden]
    invitation_expires_at: Option<Timestamp>,
}

enum_column!(MembershipRole, MembershipStatus);
enum_field!(FirstStatus);

/// What a new membership's status may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirstStatus {
    /// An invitation.
    Pending,
    /// In force at once; system admins only.
    Active,
}

fn change_role(row: &mut Model, to: MembershipRole) -> Result<Option<Verb>, Problem> {
    let changed = row.role != to;
    row.role = to;
    Ok(changed.then_some(Verb::RoleChanged))
}

fn switch(row: &mut Model, to: Switch) -> Result<Option<Verb>, Problem> {
    use MembershipStatus::{Active, Pending, Removed, Suspended};
    let (status, verb) = match (row.status, to) {
        (Pending, Switch::Active) => {
            row.joined_at = Some(clock::now().fixed_offset());
            row.invitation_token = None;
            row.invitation_expires_at = None;
            (Active, Verb::Accepted)
        }
        (Pending, Switch::Suspended) => {
            let words = "An invitation is not suspended; delete it.";
            return Err(Problem::state_conflict(words));
        }
        (Active, Switch::Suspended) => (Suspended, Verb::Suspended),
        (Suspended, Switch::Active) => (Active, Verb::Reactivated),
        (Active, Switch::Active) | (Suspended, Switch::Suspended) | (Removed, _) => {
            return Ok(None);
        }
    };
    row.status = status;
    Ok(Some(verb))
}

/// The membership of one who makes an organization.
///
/// # Errors
/// Those of [`Membership::blank`].
pub fn founder(user_id: Uuid, organization_id: Uuid) -> Result<Model, Problem> {
    Ok(Model {
        role: MembershipRole::Owner,
        status: MembershipStatus::Active,
        joined_at: Some(clock::now().fixed_offset()),
        ..Membership::blank(user_id, organization_id)?
    })
}

/// Whether the row makes its person an owner at this moment.
fn is_active_owner(row: &Model) -> bool {
    row.role == MembershipRole::Owner && row.status == MembershipStatus::Active
}

impl Visible for Membership {
    /// Those of the caller's organizations, and their own.
    fn visible(caller: &Caller) -> Condition {
        let principal = caller.principal();
        let mine = Condition::any()
            .add(caller.organizations().contain(Column::OrganizationId))
            .add(Column::UserId.eq(principal.user_id));
        let visible = Condition::all().add(mine);
        match principal.organization_id {
            Some(id) => visible.add(Column::OrganizationId.eq(id)),
            None if caller.reads_everything() => Condition::all(),
            // The second condition follows from the first and lets an index find the few organizations there can be.
            None => {
                let theirs = all_rows::<Entity>(Reason::Visibility)
                    .select_only()
                    .column(Column::OrganizationId)
                    .filter(Column::UserId.eq(principal.user_id));
                visible.add(Column::OrganizationId.in_subquery(theirs.into_query()))
            }
        }
    }
}

impl Ending for Membership {
    fn bury(row: &mut Model, now: DateTime<Utc>) -> Result<(), Problem> {
        row.status = MembershipStatus::Removed;
        row.left_at = Some(now.fixed_offset());
        row.invitation_token = None;
        row.invitation_expires_at = None;
        Ok(())
    }
}

impl Rules for Membership {}

/// Invite a person into an organization.
#[utoipa::path(tag = "memberships", request_body = NewMembership, responses((status = 201, body = Membership)))]
#[post("/memberships")]
async fn create_membership(
    caller: Caller,
    body: Body<NewMembership>,
) -> Result<HttpResponse, Problem> {
    let new = body.0;
    let invited = Invited::by(&new)?;
    let access = caller.access(new.organization_id).await;
    let access = access.map_err(|problem| problem.naming("/organization_id"))?;
    access.require_admin_or(Membership::WRITE)?;
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
            let user_id = invited.find_or_create(work).await?;
            let membership = invite(work, &caller, &new, user_id).await?;
            Answer::created(&Membership::from(membership))
        })
        .await
}

/// The person to invite.
enum Invited {
    Known(Uuid),
    /// By e-mail address; who is made where there is none.
    At(Email),
}

impl Invited {
    fn by(new: &NewMembership) -> Result<Self, Problem> {
        match (new.user_id.value(), new.email.value()) {
            (Some(id), None) => Ok(Self::Known(*id)),
            (None, Some(email)) => Ok(Self::At(email.clone())),
            _ => {
                let (code, detail) = ("either-or", "Give either user_id or email.");
                Err(Problem::invalid("/user_id", code, detail).field("/email", code, detail))
            }
        }
    }

    async fn find_or_create(&self, work: &mut UnitOfWork<'_>) -> Result<Uuid, Problem> {
        let which = match self {
            Self::Known(id) => users::Column::Id.eq(*id),
            Self::At(email) => users::Column::Email.eq(email.as_ref()),
        };
        let select = all_rows::<users::Entity>(Reason::Rule).filter(which);
        match (work.one(select).await?, self) {
            (Some(user), _) if user.status != UserStatus::Deleted => Ok(user.id),
            (None, Self::At(email)) => {
                let row = invited(email.clone())?;
                Ok(work.create::<User>(Verb::Created, row).await?.id)
            }
            _ => Err(Problem::not_found().naming("/user_id")),
        }
    }
}

/// The new membership; a person who had left gets the same one again.
async fn invite(
    work: &mut UnitOfWork<'_>,
    caller: &Caller,
    new: &NewMembership,
    user_id: Uuid,
) -> Result<Model, Problem> {
    let mut fresh = new.clone().into_row(user_id)?;
    fresh.invited_by = Some(caller.user_id());
    let mut verb = Verb::Invited;
    if new.status == Some(FirstStatus::Active) {
        (fresh.status, verb) = (MembershipStatus::Active, Verb::Created);
        fresh.joined_at = Some(clock::now().fixed_offset());
    }
    let former = all_rows::<Entity>(Reason::Rule)
        .filter(Column::UserId.eq(user_id))
        .filter(Column::OrganizationId.eq(new.organization_id))
        .filter(Column::Status.eq(MembershipStatus::Removed));
    let Some(former) = work.one(former).await? else {
        return work.create::<Membership>(verb, fresh).await;
    };
    work.update::<Membership>(former.id, |row| {
        if row.status != MembershipStatus::Removed {
            let words = "The person was invited again just now.";
            return Err(Problem::state_conflict(words));
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
    let seen = visibility::find::<Membership>(&caller, id.0).await?;
    let right = Right::of(&caller, &seen, &edit).await?;
    caller
        .write(async |work| {
            let organization =
                lock_organization(work, seen.organization_id, LockType::NoKeyUpdate).await?;
            if matches!(right, Right::Own) && organization != OrganizationStatus::Active {
                return Err(Problem::state_conflict("The organization is suspended."));
            }
            let mut lost_owner = None;
            let membership = work
                .update::<Membership>(id.0, |row| {
                    verbs::exists::<Membership>(row)?;
                    precondition.check(row.version)?;
                    right.check(row, &edit)?;
                    lost_owner = is_active_owner(row).then_some(row.organization_id);
                    let verb = edit.apply(row)?;
                    lost_owner = lost_owner.filter(|_| !is_active_owner(row));
                    Ok(verb)
                })
                .await?;
            require_owners(work, lost_owner).await?;
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
    let seen = visibility::find::<Membership>(&caller, id.0).await?;
    let right = match seen.user_id == caller.user_id() {
        true => Right::Own,
        false => Right::by_role(&caller, &seen).await?,
    };
    caller
        .write(async |work| {
            lock_organization(work, seen.organization_id, LockType::NoKeyUpdate).await?;
            let mut lost_owner = None;
            work.update::<Membership>(id.0, |row| {
                verbs::exists::<Membership>(row)?;
                precondition.check(row.version)?;
                right.check_removal(row)?;
                lost_owner = is_active_owner(row).then_some(row.organization_id);
                Membership::bury(row, clock::now()).map(|()| Verb::Removed)
            })
            .await?;
            require_owners(work, lost_owner).await?;
            Ok(Answer::no_content())
        })
        .await
}

/// By what right a membership is changed.
enum Right {
    /// It is the caller's own: accept it or end it.
    Own,
    /// By a role in the organization, a scope beyond it, or as a system admin.
    Role(ByRole),
}

struct ByRole {
    access: Access,
    is_system_admin: bool,
    is_own: bool,
}

impl Right {
    async fn of(caller: &Caller, seen: &Model, edit: &EditMembership) -> Result<Self, Problem> {
        let is_invited =
            seen.user_id == caller.user_id() && seen.status == MembershipStatus::Pending;
        match is_invited && edit.status.is(Switch::Active) && edit.sent() == ["status"] {
            true => Ok(Self::Own),
            false => Self::by_role(caller, seen).await,
        }
    }

    async fn by_role(caller: &Caller, seen: &Model) -> Result<Self, Problem> {
        let access = caller.access(seen.organization_id).await;
        let access = access.map_err(|problem| match problem.kind() {
            // The row is visible, as the caller's own, where the organization is not (yet).
            Kind::NotFound => Problem::forbidden("Accept the invitation first."),
            _ => problem,
        })?;
        access.require_admin_or(Membership::WRITE)?;
        Ok(Self::Role(ByRole {
            access,
            is_system_admin: caller.is_system_admin(),
            is_own: seen.user_id == caller.user_id(),
        }))
    }

    fn check(&self, row: &Model, edit: &EditMembership) -> Result<(), Problem> {
        match self {
            Self::Role(by) => by.check(row, edit),
            Self::Own if row.status == MembershipStatus::Pending => Ok(()),
            Self::Own => {
                let words = "There is no invitation to accept any more.";
                Err(Problem::state_conflict(words))
            }
        }
    }

    fn check_removal(&self, row: &Model) -> Result<(), Problem> {
        match self {
            Self::Own => Ok(()),
            Self::Role(by) => require_grantable(&by.access, row.role),
        }
    }
}

impl ByRole {
    fn check(&self, row: &Model, edit: &EditMembership) -> Result<(), Problem> {
        let is_pending = row.status == MembershipStatus::Pending;
        if is_pending && edit.status.is(Switch::Active) && !self.is_system_admin {
            let words = "Only the person who was invited accepts.";
            return Err(Problem::forbidden(words));
        }
        require_grantable(&self.access, row.role)?;
        if let Some(role) = edit.role.value() {
            require_grantable(&self.access, *role)?;
            // By the role in the locked row: it may have been taken a moment ago.
            if self.is_own && !self.is_system_admin && rank(*role) > rank(row.role) {
                return Err(Problem::forbidden("Nobody raises their own role."));
            }
        }
        match edit.permissions.is_set() {
            true => self.access.require_role(MembershipRole::Admin),
            false => Ok(()),
        }
    }
}

verbs! { Membership:
    /// List the memberships of the organizations that you may read, and your own, oldest first.
    list,
    read;
    create_membership, update_membership, delete_membership
}
