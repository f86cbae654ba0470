//! The resources: one file each, read from top to bottom.

pub mod api_keys;
pub mod events;
pub mod memberships;
pub mod organizations;
pub mod system;
pub mod users;

/// Hands every audited entity to a macro of the caller's, as `entity::organizations, entity::users, …`. This is the one
/// list of them: `rollbook doctor` looks through all, and the tests too. A test fails where an audited table is not here.
#[macro_export]
macro_rules! with_audited {
    ($callback:ident) => {
        $callback! {
            entity::organizations,
            entity::users,
            entity::memberships,
            entity::api_keys,
        }
    };
}
