//! Who sees rows of a resource, and what of them.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{EntityTrait, QueryFilter, Select};

use super::caller::Caller;
use super::resource::{Resource, Row};

/// What of a row leaves for whom. Made by [`#[resource]`](crate::resource).
pub trait Shown: Resource {
    /// The row as the caller may see it.
    fn seen_by(caller: &Caller, row: Row<Self>) -> Self;
}

/// Who sees a resource. As it stands, who may read the organization that a row belongs to; of what belongs to none, those
/// who read everything.
pub trait Visible: Shown {
    /// The rows that exist for the caller, in whatever state.
    fn visible(caller: &Caller) -> Select<Self::Entity> {
        let select = Self::Entity::find();
        match Self::organization_column() {
            Some(column) => select.filter(caller.organizations().contain(column)),
            None if caller.reads_everything() => select,
            None => select.filter(Expr::val(1).eq(0)),
        }
    }

    /// The same, in the form in which indexes find many of them.
    fn listed(caller: &Caller) -> Select<Self::Entity> {
        Self::visible(caller)
    }
}
