//! Rollbook's promise, tested on both backends.

mod folding;
mod immutability;
mod migrations;
mod operator;
mod organizations;
mod search;
mod triggers;
