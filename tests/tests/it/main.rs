//! Rollbook's promise, tested on both backends.

mod cast;
mod conditional;
mod contract;
mod escalation;
mod failures;
mod folding;
mod immutability;
mod input;
mod memberships;
mod migrations;
mod operator;
mod organizations;
mod restriction;
mod rights;
mod scopes;
mod search;
mod standing;
mod tenancy;
mod triggers;
mod users;
