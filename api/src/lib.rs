//! Rollbook as a library: what the binary starts and the tests start too.

pub mod app;
pub mod cli;
pub mod core;
pub mod database;
pub mod operations;
pub mod resources;

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
