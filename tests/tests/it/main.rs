//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contention;
mod contract;
mod conventions;
mod crash;
mod failures;
mod escalation;
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
mod restriction;
mod rights;
mod scopes;
mod random_walk;
mod search;
mod statements;
mod triggers;
