//! Rollbook's promise, tested on both backends.

mod cast;
mod escalation;
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
