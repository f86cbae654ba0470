//! The resources: one file each, read from top to bottom.

pub mod api_keys;
pub mod events;
pub mod memberships;
pub mod organizations;
mod switch;
pub mod system;
pub mod users;

/// Hands every resource of an audited table to a macro of the caller's, as types with a comma after each. This is the one
/// list of them: `rollbook doctor` looks through all, and the tests too. A test fails where an audited table is not here.
#[macro_export]
macro_rules! with_audited {
    ($callback:ident) => {
        $callback! {
            $crate::resources::organizations::Organization,
            $crate::resources::users::User,
            $crate::resources::memberships::Membership,
            $crate::resources::api_keys::ApiKey,
        }
    };
}
