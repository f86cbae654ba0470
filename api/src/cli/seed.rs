//! `rollbook seed`: believable data to try with.

use std::io;

use clap::Args;
use tracing_subscriber::util::TryInitError;

use super::{
    config::{DatabaseSettings, EnvironmentSettings, LogSettings},
    environment::{self, ProductionError},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{ConnectError, Database, SchemaError, connect, require_current},
    http::log,
    operations::{
        Progress,
        seed::{Amount, SeedError, seed},
    },
    product::Product,
};

/// Make believable organizations, users and memberships with their events; not in production
#[derive(Args, Debug)]
#[command(
    after_long_help = "Nobody made here has a password or a key. The same seed gives the same values, and is refused where it \
                        was used before; ids and times are those of the moment."
)]
pub(super) struct SeedCommand {
    /// How many organizations to make
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    organizations: usize,

    /// How many users to make
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    users: usize,

    /// How many events there are to be, at least: rows are changed until there are so many
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    events: usize,

    /// What all values follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

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

#[derive(Debug, thiserror::Error)]
pub(super) enum SeedCommandError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Production(#[from] ProductionError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl SeedCommandError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Production(error) => Some(error.hint("what is made up does not belong there")),
            Self::Connect(error) => Some(error.hint()),
            Self::Schema(error) => error.hint(),
            Self::Seed(SeedError::Again { .. }) => Some("choose another one by --seed".to_owned()),
            Self::Seed(SeedError::NoOwner) => Some("say --users 1 or more".to_owned()),
            Self::Seed(_) | Self::Log(_) | Self::Output(_) => None,
        }
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        match self {
            Self::Production(error) => error.is_bad_usage(),
            Self::Seed(error) => matches!(error, SeedError::NoOwner),
            _ => false,
        }
    }
}

impl SeedCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), SeedCommandError> {
        log::start(&self.log.filter, self.log.format)?;
        self.environment.require_development()?;
        let pools = connect(&self.database).await?;
        let database = Database::new(pools.clone());
        require_current(&product.migrations, &database.reader()).await?;
        environment::require_development(&database.reader()).await?;
        let amount = Amount {
            organizations: self.organizations,
            users: self.users,
            events: self.events,
            seed: self.seed,
        };
        let outcome = seed(&database, amount, &Progress::default()).await;
        pools.close().await;
        let made = outcome?;
        match self.format {
            OutputFormat::Json => print_json(&made)?,
            OutputFormat::Text => print(&format!(
                "made {} organizations, {} users, {} memberships, with {} events",
                made.organizations, made.users, made.memberships, made.events
            ))?,
        }
        Ok(())
    }
}
