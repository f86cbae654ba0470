//! The resources: one file each, read from top to bottom.

pub mod api_keys;
pub mod events;
pub mod memberships;
pub mod organizations;
mod owners;
mod switch;
pub mod system;
pub mod users;
