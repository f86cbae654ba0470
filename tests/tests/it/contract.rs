//! What the REST contract promises of every operation alike.

mod credentials;
mod document;
mod errors;
mod events;
