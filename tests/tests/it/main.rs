//! Rollbook's promise, tested on both backends.

mod conditional;
mod conventions;
mod folding;
mod immutability;
mod input;
mod merge_patch;
mod migrations;
mod operator;
mod organizations;
mod paging;
mod search;
mod triggers;
