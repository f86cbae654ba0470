//! The tenancy of people: they belong to no organization, and are reached by membership.

use entity::sea_orm_active_enums::{MembershipStatus, UserStatus};
use entity::{memberships, users};
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, LockType, UnionType};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QuerySelect, QueryTrait, Select};
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::tenancy::{Reason, all_rows};
use crate::ledger::resource::Resource;
use crate::ledger::unit_of_work::UnitOfWork;
use crate::problem::Problem;

/// Those whom the caller sees: themselves, and who shares an organization with them.
pub fn visible<R: Resource<Entity = users::Entity>>(caller: &Caller) -> Condition {
    let organizations = caller.organizations();
    if organizations.is_all() {
        return Condition::all();
    }
    let fellow = members_of(organizations.contain(memberships::Column::OrganizationId)).filter(
        Expr::col((memberships::Entity, memberships::Column::UserId))
            .equals((users::Entity, users::Column::Id)),
    );
    // An invitation opens nobody's profile before it is accepted, but for one of whom there is only the address.
    let joined = memberships::Column::Status.ne(MembershipStatus::Pending);
    let fellow = fellow.filter(
        Condition::any()
            .add(joined)
            .add(users::Column::Status.eq(UserStatus::Invited)),
    );
    let fellow = Expr::exists(fellow.into_query());
    match caller.principal().organization_id {
        Some(_) => Condition::all().add(fellow),
        None => Condition::any()
            .add(users::Column::Id.eq(caller.user_id()))
            .add(fellow),
    }
}

/// What follows from that, in the form in which indexes find many of them.
pub fn listed<R: Resource<Entity = users::Entity>>(caller: &Caller) -> Condition {
    let organizations = caller.organizations();
    if organizations.is_all() {
        return Condition::all();
    }
    let fellows = members_of(organizations.contain(memberships::Column::OrganizationId));
    let own = all_rows::<users::Entity>(Reason::Visibility)
        .select_only()
        .column(users::Column::Id)
        .filter(users::Column::Id.eq(caller.user_id()));
    let mut ids = fellows.into_query();
    ids.union(UnionType::Distinct, own.into_query());
    users::Column::Id.in_subquery(ids).into_condition()
}

/// The ids of the people of these organizations who have not left.
pub fn members_of(organizations: Condition) -> Select<memberships::Entity> {
    all_rows::<memberships::Entity>(Reason::Visibility)
        .select_only()
        .column(memberships::Column::UserId)
        .filter(organizations)
        .filter(memberships::Column::Status.ne(MembershipStatus::Removed))
}

/// Whether the person is there, and an active member of the organization, if one is named; held to the end of the
/// transaction.
///
/// # Errors
/// The database's.
pub async fn is_within(
    work: &mut UnitOfWork<'_>,
    organization: Option<Uuid>,
    id: Uuid,
) -> Result<bool, Problem> {
    let mut select = all_rows::<users::Entity>(Reason::Rule)
        .filter(users::Column::Id.eq(id))
        .filter(users::Column::Status.ne(UserStatus::Deleted));
    if let Some(organization) = organization {
        let own = memberships::Column::OrganizationId.eq(organization);
        let members = members_of(own.into_condition())
            .filter(memberships::Column::Status.eq(MembershipStatus::Active));
        select = select.filter(users::Column::Id.in_subquery(members.into_query()));
    }
    let user = work.one(select.lock(LockType::Share)).await?;
    Ok(user.is_some())
}
