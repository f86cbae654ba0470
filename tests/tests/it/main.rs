//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contention;
mod contract;
mod conventions;
mod crash;
mod escalation;
mod failures;
mod faults;
mod folding;
mod idempotency;
mod immutability;
mod input;
mod logs;
mod merge_patch;
mod migrations;
mod operator;
mod organizations;
mod paging;
mod random_walk;
mod restriction;
mod rights;
mod scopes;
mod search;
mod statements;
mod triggers;
