//! Who sees rows of a resource, and what of them.

use sea_orm::Select;

use super::caller::Caller;
use super::resource::{Resource, Row};

/// What of a row leaves for whom. Made by [`#[resource]`](crate::resource).
pub trait Shown: Resource {
    /// The row as the caller may see it.
    fn seen_by(caller: &Caller, row: Row<Self>) -> Self;
}

/// Who sees a resource.
pub trait Visible: Shown {
    /// The rows that exist for the caller, in whatever state.
    fn visible(caller: &Caller) -> Select<Self::Entity>;

    /// The same, in the form in which indexes find many of them.
    fn listed(caller: &Caller) -> Select<Self::Entity> {
        Self::visible(caller)
    }
}
