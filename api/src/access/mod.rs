//! Who may: a credential becomes a caller, who sees some rows and may change some. Every read begins here.

pub mod authentication;
pub mod authorization;
pub mod caller;
pub mod people;
pub mod rights;
pub mod tenancy;
pub mod visibility;
