//! Rollbook's promise, tested on both backends.

mod conditional;
mod folding;
mod immutability;
mod input;
mod migrations;
mod operator;
mod organizations;
mod search;
mod triggers;
