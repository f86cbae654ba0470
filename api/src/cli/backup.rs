//! `rollbook backup` and `rollbook restore`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tracing_subscriber::util::TryInitError;

use super::{
    config::{DatabaseSettings, EnvironmentSettings, LogSettings},
    environment::{self, ProductionError},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{ConnectError, close, connect_for_examination},
    http::log,
    operations::{
        Progress,
        backup::{self, BackupError, Manifest, RestoreOptions},
    },
    product::Product,
};

/// Copy the whole database to a file, with a manifest beside it; servers go on meanwhile
#[derive(Args, Debug)]
#[command(
    after_long_help = "SQLite is copied by VACUUM INTO, PostgreSQL by the pg_dump on PATH (custom format). The copy is of one \
                        moment. FILE.manifest.json says what is in it: its hash, its migrations, the rows of each table \
                        and the last event; `rollbook restore` checks them. Both hold the secrets that the database \
                        holds: keep them so."
)]
pub(super) struct BackupCommand {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Write over a file that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    common: CommonSettings,
}

/// Bring a backup back, and check that it is whole
#[derive(Args, Debug)]
#[command(
    after_long_help = "The manifest is checked before anything is touched: the hash of the file, which kind of database it is \
                        of, and whether this version knows its migrations. Afterwards rows and last event are compared \
                        with it, and `rollbook doctor` is run. Exit status: 0 restored and healthy, 1 not, 2 bad usage \
                        or not confirmed."
)]
pub(super) struct RestoreCommand {
    /// The backup; its manifest stands beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Lose what is in the database
    #[arg(long)]
    replace: bool,

    /// Where ROLLBOOK_ENV or the database itself says production, --replace wants this too
    #[arg(long = "i-know-this-destroys-data")]
    knows: bool,

    #[command(flatten)]
    environment: EnvironmentSettings,
    #[command(flatten)]
    common: CommonSettings,
}

#[derive(Args, Debug)]
struct CommonSettings {
    /// Form of the answer: for people, or one line of JSON
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: OutputFormat,

    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BackupCommandError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Production(#[from] ProductionError),
    #[error("it was restored, but doctor found {0} errors")]
    Unhealthy(usize),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl BackupCommandError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Backup(error) => error.hint(),
            Self::Production(error) => {
                Some(error.hint("to lose its data all the same: --i-know-this-destroys-data"))
            }
            Self::Unhealthy(_) => Some("see `rollbook doctor`".to_owned()),
            Self::Log(_) | Self::Output(_) => None,
        }
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        matches!(self, Self::Production(error) if error.is_bad_usage())
    }
}

impl BackupCommand {
    pub(super) async fn run(self) -> Result<(), BackupCommandError> {
        log::start(&self.common.log.filter, self.common.log.format)?;
        let progress = Progress::default();
        let made = backup::backup(&self.common.database, &self.file, self.force, progress);
        let manifest = made.await?;
        match self.common.format {
            OutputFormat::Json => print_json(&manifest)?,
            OutputFormat::Text => {
                let file = self.file.display();
                print(&format!("{file} has {}", summary(&manifest)))?;
            }
        }
        Ok(())
    }
}

impl RestoreCommand {
    /// Refuses to lose a database that says of itself that it is in production.
    async fn ask_database(&self) -> Result<(), BackupCommandError> {
        let database = match connect_for_examination(&self.common.database).await {
            Ok(database) => database,
            Err(ConnectError::MissingFile { .. }) => return Ok(()),
            Err(error) => return Err(BackupError::from(error).into()),
        };
        let outcome = environment::require_development(&database).await;
        close(database).await;
        Ok(outcome?)
    }

    pub(super) async fn run(self, product: &Product) -> Result<(), BackupCommandError> {
        log::start(&self.common.log.filter, self.common.log.format)?;
        if self.replace && !self.knows {
            self.environment.require_development()?;
            self.ask_database().await?;
        }
        let options = RestoreOptions {
            replace: self.replace,
        };
        let progress = Progress::default();
        let restored = backup::restore(
            product,
            &self.common.database,
            &self.file,
            options,
            progress,
        );
        let (manifest, report) = restored.await?;
        match self.common.format {
            OutputFormat::Json => {
                let answer = json!({"manifest": manifest, "doctor": report});
                print_json(&answer)?;
            }
            OutputFormat::Text => {
                print(&format!("restored {}", summary(&manifest)))?;
                print(&match &report {
                    Some(report) => format!(
                        "doctor: {} checks passed, {} warnings, {} errors",
                        report.summary.passed, report.summary.warnings, report.summary.errors
                    ),
                    None => {
                        "its schema is older than this version: run `rollbook migrate up`, then \
                             `rollbook doctor`"
                            .to_owned()
                    }
                })?;
            }
        }
        match report {
            Some(report) if !report.overall => {
                Err(BackupCommandError::Unhealthy(report.summary.errors))
            }
            _ => Ok(()),
        }
    }
}

fn summary(manifest: &Manifest) -> String {
    let rows: Vec<String> = manifest
        .rows
        .iter()
        .map(|(table, rows)| format!("{rows} {table}"))
        .collect();
    let last = manifest.last_event.as_ref().map_or_else(
        || "no event".to_owned(),
        |event| format!("the last event of {}", event.event_timestamp.to_rfc3339()),
    );
    format!("{} bytes: {}; {last}", manifest.bytes, rows.join(", "))
}
