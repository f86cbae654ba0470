//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contention;
mod contract;
mod failures;
mod folding;
mod idempotency;
mod immutability;
mod input;
mod migrations;
mod operator;
mod organizations;
mod random_walk;
mod restriction;
mod rights;
mod scopes;
mod search;
mod statements;
mod triggers;
