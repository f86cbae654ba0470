//! Rollbook as a library: what the binary starts and the tests start too.

pub mod app;
pub mod cli;
pub mod core;
pub mod database;
pub mod operations;
pub mod resources;
