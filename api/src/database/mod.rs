//! The database: where it is, how it is opened, whether its schema is the one this build knows, and what its errors mean.

mod activity;
mod connect;
mod connection;
mod fault;
mod migration_connection;
mod migrations;
mod pool;
mod private_file;
mod schema_version;
mod server_mark;
mod session;
mod settings;
mod storage;
mod url;

pub use activity::Activity;
pub(crate) use connect::connect_for_upkeep;
pub use connect::{ConnectError, Pools, close, connect, connect_for_examination};
pub(crate) use connection::Transaction;
pub use connection::{Database, Probe, Reader, Step};
pub(crate) use fault::is_denied;
pub use fault::{FULL, Fault, FileLost, LOST, classify, is_busy};
pub use migration_connection::MigrationConnection;
pub use migrations::Migrations;
pub use pool::{Pool, PoolUsage};
pub(crate) use private_file::private_file;
pub(crate) use schema_version::is_missing;
pub use schema_version::{SchemaError, SchemaState, check, require_current};
pub use server_mark::ServerMark;
pub use settings::DatabaseSettings;
pub use storage::Storage;
pub use url::{DatabaseUrl, DatabaseUrlError, PostgresEnvironment};
