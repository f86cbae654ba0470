//! What Rollbook's tests share.

pub mod database;
