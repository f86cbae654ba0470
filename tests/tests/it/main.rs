//! Rollbook's promise, tested on both backends.

mod contract;
mod failures;
mod folding;
mod immutability;
mod migrations;
mod operator;
mod organizations;
mod search;
mod statements;
mod triggers;
