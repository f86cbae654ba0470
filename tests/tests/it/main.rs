//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contention;
mod contract;
mod failures;
mod escalation;
mod folding;
mod idempotency;
mod immutability;
mod input;
mod migrations;
mod operator;
mod organizations;
mod restriction;
mod rights;
mod scopes;
mod random_walk;
mod search;
mod statements;
mod triggers;
