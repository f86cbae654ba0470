//! Who changes rows of a resource.

pub use entity::sea_orm_active_enums::MembershipRole;
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::visibility::{self, Visible};
use crate::ledger::resource::{Resource, Row};
use crate::problem::Problem;

/// Who makes, changes and removes rows of a resource by the core's verbs. Made by [`#[resource]`](crate::resource) of
/// `write = …`; written out where that says `by_hand`.
#[expect(
    async_fn_in_trait,
    reason = "requests are answered on the thread that took them"
)]
#[diagnostic::on_unimplemented(
    message = "who makes, changes and removes rows of `{Self}` is not said",
    note = "where its declaration has `write = by_hand`, `impl Rights for {Self}` says it"
)]
pub trait Rights: Visible {
    /// Whether the caller may make this row. As it stands, nobody may.
    ///
    /// # Errors
    /// `forbidden`; `not-found` where the row names what the caller does not see.
    async fn may_create(caller: &Caller, row: &Row<Self>) -> Result<(), Problem> {
        let _ = (caller, row);
        Err(Problem::forbidden("Nobody makes one by this request."))
    }

    /// Whether the caller may change the row with this id.
    ///
    /// # Errors
    /// `not-found` where they do not see it, `forbidden` where they only do.
    async fn may_change(caller: &Caller, id: Uuid) -> Result<(), Problem>;

    /// Whether the caller may remove the row with this id.
    ///
    /// # Errors
    /// Those of `may_change`.
    async fn may_remove(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        Self::may_change(caller, id).await
    }
}

/// A right that a declaration gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// This role or more in the organization that the row belongs to; up to `admin`, the scope granted beyond the role will
    /// do as well.
    Role(MembershipRole),
    /// Whoever made the row.
    Author,
    /// The person whose row it is.
    Own,
    /// System admins, with a key that is not restricted to an organization.
    SystemAdmin,
}

/// Refuses a caller who does not have the right in the row; `person` is whose it is.
///
/// # Errors
/// `forbidden`; `not-found` for an organization that the caller does not see.
pub async fn require<R: Resource>(
    caller: &Caller,
    right: Right,
    row: &Row<R>,
    person: Option<Uuid>,
) -> Result<(), Problem> {
    match (right, R::organization(row)) {
        (Right::Role(role), Some(organization)) => {
            let access = caller.access(organization).await?;
            access.require(role, R::WRITE)
        }
        (Right::Author, _) => match R::author_of(row) == Some(caller.user_id()) {
            true => Ok(()),
            false => Err(Problem::forbidden("Only who made it may do this.")),
        },
        (Right::Own, _) => match person == Some(caller.user_id()) {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "Only the person whose it is may do this.",
            )),
        },
        // What belongs to no organization nobody has a role in.
        (Right::SystemAdmin | Right::Role(_), _) => caller.require_system_admin(),
    }
}

/// As [`require`], of the row with this id.
///
/// # Errors
/// Those of [`require`]; `not-found` where the caller does not see it.
pub async fn require_in<R: Visible>(
    caller: &Caller,
    right: Right,
    id: Uuid,
    person: impl Fn(&Row<R>) -> Option<Uuid>,
) -> Result<(), Problem> {
    let row = visibility::find::<R>(caller, id).await?;
    require::<R>(caller, right, &row, person(&row)).await
}
