//! Rollbook's promise, tested on both backends.

mod migrations;
mod triggers;
