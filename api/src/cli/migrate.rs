//! `rollbook migrate`: what sea-orm-migration's own command line does, on the database of the settings.

use clap::{Args, Subcommand};
use migration::Migrator;
use sea_orm::DbErr;
use sea_orm_migration::MigratorTrait;
use tracing_subscriber::util::TryInitError;

use super::config::{DatabaseSettings, LogSettings};
use crate::{
    core::log,
    database::{ConnectError, MigrationConnection, SchemaError, SchemaState, check},
};

/// Bring the schema of the database to another version; without a verb: `up`
#[derive(Args, Debug)]
pub(super) struct MigrateCommand {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Verb {
    /// Apply pending migrations
    Up {
        /// How many to apply [default: all]
        #[arg(short, long, value_name = "COUNT")]
        num: Option<u32>,
    },
    /// Roll back applied migrations
    Down {
        /// How many to roll back
        #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
        num: u32,
    },
    /// Drop all tables with their data, then apply all migrations
    Fresh,
    /// Roll back all applied migrations, losing the data, then apply all
    Refresh,
    /// Roll back all applied migrations, losing the data
    Reset,
    /// Show each migration, and whether it was applied
    Status,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the migration failed")]
    Failed(#[source] DbErr),
}

impl MigrateError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Log(_) => None,
            Self::Connect(error) => Some(error.hint()),
            Self::Schema(error) => error.hint(),
            Self::Failed(_) => Some("`rollbook migrate status` shows how far it came".to_owned()),
        }
    }
}

impl MigrateCommand {
    pub(super) async fn run(self) -> Result<(), MigrateError> {
        log::start_with_migrations_on_stdout(&self.log.filter, self.log.format)?;
        let migrations = MigrationConnection::open(&self.database).await?;
        let verb = self.verb.unwrap_or(Verb::Up { num: None });
        let outcome = verb.run(&migrations).await;
        migrations.close().await;
        outcome
    }
}

impl Verb {
    async fn run(self, migrations: &MigrationConnection) -> Result<(), MigrateError> {
        let database = migrations.connection();
        // Fresh alone needs to know nothing of what is there.
        if !matches!(self, Self::Fresh)
            && let SchemaState::Ahead { unknown } =
                check(database).await.map_err(MigrateError::Failed)?
        {
            return Err(SchemaError::Ahead { unknown }.into());
        }
        match self {
            Self::Up { num } => Migrator::up(database, num).await,
            Self::Down { num } => Migrator::down(database, Some(num)).await,
            Self::Fresh => Migrator::fresh(database).await,
            Self::Refresh => Migrator::refresh(database).await,
            Self::Reset => Migrator::reset(database).await,
            Self::Status => Migrator::status(database).await,
        }
        .map_err(MigrateError::Failed)
    }
}

/// Applies what is pending, for `serve --migrate`.
pub(super) async fn bring_up(settings: &DatabaseSettings) -> Result<(), MigrateError> {
    let migrations = MigrationConnection::open(settings).await?;
    let outcome = Verb::Up { num: None }.run(&migrations).await;
    migrations.close().await;
    outcome
}
