//! What comes in and goes out: requests, bodies, answers, what surrounds them, and the document that tells of them.

pub mod answer;
pub mod body;
pub mod conditional;
pub mod idempotency;
pub mod in_flight;
pub mod log;
pub mod metrics;
pub mod openapi;
mod openapi_components;
mod openapi_examples;
mod openapi_schemas;
pub mod peer;
pub mod query;
pub mod request;
pub mod space;
pub mod state;
pub mod unparsed;
pub mod usage;
