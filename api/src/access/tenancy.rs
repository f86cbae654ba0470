//! The wall between tenants: how it is passed, and what holds the rows of an organization together.

use entity::organizations;
use entity::sea_orm_active_enums::OrganizationStatus;
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};
use uuid::Uuid;

use crate::ledger::unit_of_work::UnitOfWork;
use crate::problem::Problem;

/// Why rows are read whoever's they are. What a caller is shown begins at [`Caller::find`](crate::access::caller::Caller::find).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Of it is made who sees what.
    Visibility,
    /// A rule that holds whoever asks: an address is taken, an organization has an owner.
    Rule,
    /// An operator's command, or the program itself, which act for no tenant.
    System,
}

/// All rows of a table, whoever's they are.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a select begins, with the reason beside it"
)]
pub fn all_rows<E: EntityTrait>(reason: Reason) -> Select<E> {
    let _ = reason;
    E::find()
}

/// Holds the organization's row so that it is not deleted, and its owners are not changed, under our hands, and says its status.
///
/// # Errors
/// `not-found` where there is none, or it is deleted.
pub async fn lock_organization(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    lock: LockType,
) -> Result<OrganizationStatus, Problem> {
    let select = all_rows::<organizations::Entity>(Reason::Rule)
        .filter(organizations::Column::Id.eq(id))
        .filter(organizations::Column::Status.ne(OrganizationStatus::Deleted))
        .lock(lock);
    match work.one(select).await? {
        Some(organization) => Ok(organization.status),
        None => Err(Problem::not_found()),
    }
}
