//! What comes in and is kept: text, JSON, times, scopes, credentials. A value that exists is valid.

pub mod characters;
pub mod clock;
pub mod column;
pub mod credential;
mod forms;
pub mod input;
pub mod json;
pub mod merge_patch;
pub mod password;
pub mod principal;
pub mod scope;
pub mod text;
