//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contract;
mod conventions;
mod crash;
mod failures;
mod faults;
mod folding;
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
mod search;
mod server_pages;
mod triggers;
