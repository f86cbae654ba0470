//! What the REST contract promises of every operation alike.

mod credentials;
pub mod document;
mod errors;
mod events;
