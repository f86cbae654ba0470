//! The database: where it is, how it is opened, and whether its schema is the one this build knows.

mod connect;
mod migration_connection;
mod schema_version;
mod url;

pub use connect::{ConnectError, Pools, connect};
pub use migration_connection::MigrationConnection;
pub use schema_version::{SchemaError, SchemaState, check, require_current};
pub use url::{DatabaseUrl, DatabaseUrlError};
