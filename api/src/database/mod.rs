//! The database: where it is, how it is opened, and whether its schema is the one this build knows.

mod connect;
mod schema_version;
mod url;

pub use connect::{ConnectError, Pools, connect, connect_for_migrations};
pub use schema_version::{SchemaState, check};
pub use url::{DatabaseUrl, DatabaseUrlError};
