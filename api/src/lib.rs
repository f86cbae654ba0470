//! Rollbook as a library: what the binary starts and the tests start too.

// What `#[resource]` makes names this crate as those that use it do.
extern crate self as rollbook;

pub mod access;
pub mod app;
pub mod app_settings;
pub mod cli;
pub mod collections;
pub mod database;
pub mod http;
pub mod ledger;
pub mod operations;
pub mod prelude;
pub mod problem;
pub mod product;
pub mod resources;
pub mod setting;
pub mod values;

pub use product::Product;
pub use rollbook_macros::resource;
pub use {entity, migration};

/// What the code that `#[resource]` makes refers to, so that whoever uses it need not depend on it.
#[doc(hidden)]
pub mod kit {
    pub use utoipa_actix_web::service_config::ServiceConfig;
    pub use {sea_orm, serde, serde_json, utoipa, uuid};

    pub type RefOrSchema = utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>;
}

#[doc(hidden)]
pub use git_version::git_version;

/// The commit that is built: what `SOURCE_COMMIT` says at that time, else what git says; empty where neither knows. A macro,
/// so that a commit makes the binary anew and not the library.
#[macro_export]
macro_rules! commit {
    () => {
        match option_env!("SOURCE_COMMIT") {
            Some(commit) if !commit.is_empty() => commit,
            _ => $crate::git_version!(
                args = [
                    "--always",
                    "--abbrev=12",
                    "--exclude=*",
                    "--dirty=-modified"
                ],
                fallback = ""
            ),
        }
    };
}
