//! Connecting to the database, telling its state and what its errors mean.

mod connect;
mod connection;
pub mod fault;
pub mod schema_version;

pub use connect::{ConnectError, Pools, connect};
pub(crate) use connection::Transaction;
pub use connection::{Database, Probe, Reader, Step};
