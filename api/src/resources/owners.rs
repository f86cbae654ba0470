//! The rule that is of users and memberships both: an organization that is not deleted has an active owner.

use entity::sea_orm_active_enums::{
    MembershipRole, MembershipStatus, OrganizationStatus, UserStatus,
};
use entity::{memberships, organizations, users};
use sea_orm::QueryOrder;

use crate::prelude::*;

/// Memberships that make somebody an owner at this moment.
fn active() -> Select<memberships::Entity> {
    all_rows::<memberships::Entity>(Reason::Rule)
        .select_only()
        .filter(memberships::Column::Role.eq(MembershipRole::Owner))
        .filter(memberships::Column::Status.eq(MembershipStatus::Active))
}

/// The organizations of which the user is an active owner, held so that their owners do not change under our hands.
pub(super) async fn hold_owned(
    work: &mut UnitOfWork<'_>,
    user_id: Uuid,
) -> Result<Vec<Uuid>, Problem> {
    let owned = active()
        .column(memberships::Column::OrganizationId)
        .filter(memberships::Column::UserId.eq(user_id))
        .into_query();
    let select = all_rows::<organizations::Entity>(Reason::Rule)
        .filter(organizations::Column::Id.in_subquery(owned))
        .filter(organizations::Column::Status.ne(OrganizationStatus::Deleted))
        .order_by_asc(organizations::Column::Id)
        .lock(LockType::NoKeyUpdate);
    let held = work.all(select).await?.into_iter();
    Ok(held.map(|organization| organization.id).collect())
}

/// Refuses where one of these organizations has no active owner left; their rows must be locked by now.
pub(super) async fn require_owners(
    work: &mut UnitOfWork<'_>,
    organizations: impl IntoIterator<Item = Uuid>,
) -> Result<(), Problem> {
    for id in organizations {
        let owners = active()
            .column(memberships::Column::UserId)
            .filter(memberships::Column::OrganizationId.eq(id))
            .into_query();
        let select = all_rows::<users::Entity>(Reason::Rule)
            .filter(users::Column::Status.eq(UserStatus::Active))
            .filter(users::Column::Id.in_subquery(owners))
            .limit(1);
        if work.one(select).await?.is_none() {
            let detail = format!(
                "The organization {id} would have no active owner. Make someone else an owner first, or delete it."
            );
            return Err(Problem::new(Kind::LastOwner, detail));
        }
    }
    Ok(())
}
