//! Who sees rows of a resource, and what of them.

use entity::sea_orm_active_enums::MembershipRole;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, Condition, QueryFilter, Select};
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::tenancy::{Reason, all_rows};
use crate::ledger::resource::{Column, Resource, Row};
use crate::problem::Problem;

/// What of a row leaves for whom. Made by [`#[resource]`](crate::resource).
pub trait Shown: Resource {
    /// The row as the caller may see it.
    fn seen_by(caller: &Caller, row: Row<Self>) -> Self;
}

/// Who sees a resource. Made by [`#[resource]`](crate::resource) of `read = …`; written out where that says `by_hand`.
#[diagnostic::on_unimplemented(
    message = "who sees rows of `{Self}` is not said",
    note = "where its declaration has `read = by_hand`, `impl Visible for {Self}` says it"
)]
pub trait Visible: Shown {
    /// Which rows exist for the caller, in whatever state.
    fn visible(caller: &Caller) -> Condition;

    /// What follows from that, in the form in which indexes find many of them: for lists.
    fn listed(caller: &Caller) -> Condition {
        let _ = caller;
        Condition::all()
    }
}

impl Caller {
    /// The rows of a resource that exist for the caller: where every read begins.
    pub fn find<R: Visible>(&self) -> Select<R::Entity> {
        all_rows::<R::Entity>(Reason::Visibility).filter(R::visible(self))
    }
}

/// The row with this id, if it exists for the caller and is not gone.
///
/// # Errors
/// `not-found` otherwise.
pub async fn find<R: Visible>(caller: &Caller, id: Uuid) -> Result<Row<R>, Problem> {
    find_where::<R>(caller, R::id_column().eq(id)).await
}

/// The one row that fits, if it exists for the caller and is not gone.
///
/// # Errors
/// `not-found` otherwise.
pub async fn find_where<R: Visible>(
    caller: &Caller,
    which: impl IntoCondition,
) -> Result<Row<R>, Problem> {
    let select = caller
        .find::<R>()
        .filter(which.into_condition())
        .filter(R::living());
    let row = select.one(&caller.database().reader()).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    caller.concerns(R::organization(&row));
    Ok(row)
}

/// The rows of the organizations in which the caller has this role or more; of what belongs to none, those who read
/// everything see them.
pub fn of_organizations<R: Resource>(caller: &Caller, role: MembershipRole) -> Condition {
    match R::organization_column() {
        Some(column) => caller.organizations_as(role, R::READ).contain(column),
        None => of_system_admins(caller),
    }
}

/// All rows for who reads everything, and none for anybody else.
pub fn of_system_admins(caller: &Caller) -> Condition {
    match caller.reads_everything() {
        true => Condition::all(),
        false => none(),
    }
}

fn none() -> Condition {
    Condition::all().add(Expr::val(1).eq(0))
}

/// The caller's own rows; all of them for who reads everything.
pub fn of_own<R: Resource>(caller: &Caller, person: Column<R>) -> Condition {
    match caller.reads_everything() {
        true => Condition::all(),
        false => Condition::all().add(person.eq(caller.user_id())),
    }
}
