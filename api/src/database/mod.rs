//! The database: where it is, how it is opened, whether its schema is the one this build knows, and what its errors mean.

mod activity;
mod connect;
mod connection;
mod fault;
mod migration_connection;
mod schema_version;
mod server_mark;
mod session;
mod storage;
mod url;

pub use activity::Activity;
pub use connect::{ConnectError, PoolUsage, Pools, close, connect, connect_for_examination};
pub(crate) use connection::Transaction;
pub use connection::{Database, Probe, Reader, Step};
pub use fault::{FULL, Fault, LOST, classify, is_busy};
pub use migration_connection::MigrationConnection;
pub use schema_version::{SchemaError, SchemaState, check, require_current};
pub use server_mark::ServerMark;
pub use storage::{FileLost, Storage};
pub use url::{DatabaseUrl, DatabaseUrlError, PostgresEnvironment};
