//! What the tests stand on: a database and a server of its own for each, and callers as values.

pub mod app;
pub mod caller;
pub mod content;
pub mod contract;
pub mod database;
pub mod mutations;
pub mod probe;
pub mod proxy;
pub mod server_process;
pub mod snapshot;
pub mod stage;
pub mod tables;
pub mod wire;

pub use app::{TestApp, id_of};
pub use caller::{Answer, Caller};
pub use content::content;
pub use database::{Backend, TestDatabase};
pub use mutations::{Mutation, Request};
pub use proxy::Proxy;
pub use server_process::{
    ServerProcess, binary, bootstrap, eventually, rollbook, run, run_on_a_full_disk, spawn, told,
};
pub use snapshot::Snapshot;
pub use stage::{Stage, unique};
pub use tables::collections;
pub use wire::RawRequest;
