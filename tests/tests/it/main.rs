//! Rollbook's promise, tested on both backends.

mod contract;
mod cast;
mod folding;
mod immutability;
mod migrations;
mod operator;
mod organizations;
mod restriction;
mod rights;
mod scopes;
mod search;
mod triggers;
