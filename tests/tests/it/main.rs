//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contract;
mod failures;
mod folding;
mod immutability;
mod input;
mod migrations;
mod operator;
mod organizations;
mod restriction;
mod rights;
mod scopes;
mod search;
mod triggers;
