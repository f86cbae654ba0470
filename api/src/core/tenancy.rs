//! What holds the rows of an organization together.

use entity::organizations;
use entity::sea_orm_active_enums::OrganizationStatus;
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::problem::Problem;
use super::unit_of_work::UnitOfWork;

/// Holds the organization's row so that it is not deleted, and its owners are not changed, under our hands, and says its status.
///
/// # Errors
/// `not-found` where there is none, or it is deleted.
pub async fn lock_organization(
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
