//! `rollbook environment`, and who says that a database is in production.

use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use serde_json::json;
use tracing_subscriber::util::TryInitError;

use super::{
    config::{DatabaseSettings, Environment, EnvironmentSettings, LogSettings},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{ConnectError, close, connect_for_upkeep},
    http::log,
    operations::environment::{mark_production, production_since, unmark_production},
};

/// Show what the database is for, or note it there: in production, what destroys data asks for more
#[derive(Args, Debug)]
#[command(
    after_long_help = "It is production where ROLLBOOK_ENV or the database itself says so. The database says so once a \
                       server or `rollbook migrate` with ROLLBOOK_ENV=production has used it, until `rollbook \
                       environment development` takes that back."
)]
pub(super) struct EnvironmentCommand {
    /// What the database is to say of itself from now on
    #[arg(value_name = "ENVIRONMENT", value_enum)]
    wanted: Option<Environment>,

    /// Form of the answer: for people, or one line of JSON
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: OutputFormat,

    #[command(flatten)]
    environment: EnvironmentSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

/// Why a database is treated as one in production.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProductionError {
    #[error("this database is set as production by ROLLBOOK_ENV (or --env); nothing was changed")]
    Setting,
    #[error(
        "this database is set as production by itself, since {}, whatever ROLLBOOK_ENV says; nothing was changed",
        second(*since)
    )]
    Database { since: DateTime<Utc> },
    #[error("the database cannot be asked whether it is in production; nothing was changed")]
    Unknown(#[source] DbErr),
}

impl ProductionError {
    /// How to go on all the same, and where the database says so, how it stops to.
    pub(super) fn hint(&self, otherwise: &str) -> String {
        match self {
            Self::Setting | Self::Unknown(_) => otherwise.to_owned(),
            Self::Database { .. } => format!(
                "{otherwise}\n  if it is in production no more: `rollbook environment development` takes that back"
            ),
        }
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl EnvironmentSettings {
    /// Refuses what is not for production, by the setting.
    pub(super) fn require_development(&self) -> Result<(), ProductionError> {
        match self.environment {
            Environment::Development => Ok(()),
            Environment::Production => Err(ProductionError::Setting),
        }
    }

    pub(super) fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Notes in the database that it is in production, where the setting says so.
    pub(super) async fn note(&self, database: &DatabaseConnection) -> Result<(), DbErr> {
        if self.is_production() && mark_production(database).await? {
            tracing::info!(
                "noted in the database that it is in production; `rollbook environment development` takes that back"
            );
        }
        Ok(())
    }
}

/// Refuses what is not for production, by what the database says of itself.
pub(super) async fn require_development(
    database: &impl ConnectionTrait,
) -> Result<(), ProductionError> {
    match production_since(database).await {
        Ok(None) => Ok(()),
        Ok(Some(since)) => Err(ProductionError::Database { since }),
        Err(error) => Err(ProductionError::Unknown(error)),
    }
}

fn second(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum EnvironmentCommandError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("ROLLBOOK_ENV (or --env) says production; nothing was changed")]
    Contradiction,
    #[error("the database failed")]
    Database(#[from] DbErr),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl EnvironmentCommandError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(error) => Some(error.hint()),
            Self::Contradiction => Some(
                "change that first, for the servers too: one with it would note it again"
                    .to_owned(),
            ),
            Self::Log(_) | Self::Database(_) | Self::Output(_) => None,
        }
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        matches!(self, Self::Contradiction)
    }
}

impl EnvironmentCommand {
    pub(super) async fn run(self) -> Result<(), EnvironmentCommandError> {
        log::start(&self.log.filter, self.log.format)?;
        let setting = self.environment.environment;
        if (self.wanted, setting) == (Some(Environment::Development), Environment::Production) {
            return Err(EnvironmentCommandError::Contradiction);
        }
        let connection = connect_for_upkeep(&self.database).await?;
        let outcome = self.change(&connection).await;
        close(connection).await;
        let since = outcome?;
        let by_setting = setting == Environment::Production;
        let environment = match by_setting || since.is_some() {
            true => "production",
            false => "development",
        };
        match self.format {
            OutputFormat::Json => print_json(&json!({
                "environment": environment, "by_setting": by_setting, "by_database_since": since,
            }))?,
            OutputFormat::Text => print(&match (since, by_setting) {
                (Some(since), _) => format!(
                    "{environment}, by the database itself, since {}",
                    second(since)
                ),
                (None, true) => format!("{environment}, by ROLLBOOK_ENV"),
                (None, false) => environment.to_owned(),
            })?,
        }
        Ok(())
    }

    /// Since when it is in production, in the end.
    async fn change(&self, database: &DatabaseConnection) -> Result<Option<DateTime<Utc>>, DbErr> {
        match self.wanted {
            Some(Environment::Production) => drop(mark_production(database).await?),
            Some(Environment::Development) => drop(unmark_production(database).await?),
            None => {}
        }
        production_since(database).await
    }
}
