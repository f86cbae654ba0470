//! What every resource leans on, and the only place that writes.

pub mod answer;
pub mod authentication;
pub mod authorization;
pub mod body;
pub mod caller;
pub mod clock;
pub mod conditional;
pub mod credential;
pub mod event;
pub mod idempotency;
pub mod input;
pub mod json;
pub mod log;
pub mod merge_patch;
pub mod metrics;
pub mod openapi;
mod openapi_examples;
pub mod page;
pub mod password;
pub mod problem;
pub mod query;
pub mod request;
pub mod resource;
pub mod text;
pub mod unit_of_work;
pub mod usage;
