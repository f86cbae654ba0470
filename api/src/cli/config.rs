//! The settings that commands take: each is a flag and an environment variable with a default, and lives beside what it sets.
//!
//! `.env.example` and `docs/configuration.md` describe the same list; a test below compares the former.

use clap::{Args, ValueEnum};

pub use crate::{
    app_settings::{SchemaDriftPolicy, ServeSettings},
    database::DatabaseSettings,
    http::log::LogSettings,
};

/// What a database is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// To develop and to try: its data may be lost.
    #[default]
    Development,
    /// To rely on: what would destroy its data wants to be told twice.
    Production,
}

/// What the database is for.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Safety")]
pub struct EnvironmentSettings {
    /// What the database is for; in production, what destroys data has to be confirmed, and nothing is made up
    #[arg(
        long = "env",
        env = "ROLLBOOK_ENV",
        value_name = "ENVIRONMENT",
        default_value = "development",
        value_enum,
        global = true
    )]
    pub environment: Environment,
}

#[cfg(test)]
mod tests;
