//! Rollbook's promise, tested on both backends.

mod contention;
mod contract;
mod failures;
mod folding;
mod idempotency;
mod immutability;
mod migrations;
mod operator;
mod organizations;
mod random_walk;
mod search;
mod statements;
mod triggers;
