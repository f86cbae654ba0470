//! `rollbook schema`: looks whether the schema is what the migrations make, and tells what that is.

use std::fmt::Write as _;
use std::io;

use clap::{Args, Subcommand};
use tracing_subscriber::util::TryInitError;

use super::{
    config::{DatabaseSettings, LogSettings},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{ConnectError, close, connect_for_examination},
    http::log,
    operations::{
        migration::MigrationError,
        schema::{Comparison, DocumentError, compare, document},
    },
    product::Product,
};

/// Compare the schema of the database with what the migrations make, or describe it
#[derive(Args, Debug)]
pub(super) struct SchemaCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Diff(DiffCommand),
    Document(DocumentCommand),
}

/// Print the schema of this version as a page in Markdown; on any PostgreSQL, in which nothing is changed
#[derive(Args, Debug)]
struct DocumentCommand {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

/// Show everything missing, extra or altered, with the SQL that mends it
#[derive(Args, Debug)]
#[command(
    after_long_help = "What the applied migrations make is made on trial: in memory, or on PostgreSQL in a schema of its own \
                        in a transaction that is rolled back, for which the role needs the right CREATE on the \
                        database. Nothing is changed. Exit status: 0 no difference, 1 differences or failed, 2 bad \
                        usage or settings."
)]
struct DiffCommand {
    /// Form of the answer: for people, or one line of JSON
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: OutputFormat,

    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaCommandError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Compare(#[from] MigrationError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("the schema is not what the migrations make: {}", differences(*.0))]
    Drift(usize),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl SchemaCommandError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(error) => Some(error.hint()),
            Self::Compare(error) => error.hint(),
            Self::Drift(_) => Some(
                "look at each before you mend it: somebody may have meant it, and `DROP` loses data"
                    .to_owned(),
            ),
            Self::Document(DocumentError::Sqlite) => {
                Some("name any PostgreSQL by DATABASE_URL".to_owned())
            }
            Self::Document(DocumentError::Meaningless { .. }) => Some(
                "say it in the migration: .comment(…) of a table or column, the words beside an index"
                    .to_owned(),
            ),
            Self::Document(DocumentError::Trial(error)) => error.hint(),
            Self::Log(_) | Self::Output(_) => None,
        }
    }
}

impl SchemaCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), SchemaCommandError> {
        match self.verb {
            Verb::Diff(command) => command.run(product).await,
            Verb::Document(command) => command.run(product).await,
        }
    }
}

impl DocumentCommand {
    async fn run(self, product: &Product) -> Result<(), SchemaCommandError> {
        log::start(&self.log.filter, self.log.format)?;
        let database = connect_for_examination(&self.database).await?;
        let outcome = document(&product.migrations, &database).await;
        close(database).await;
        Ok(print(outcome?.trim_end())?)
    }
}

impl DiffCommand {
    async fn run(self, product: &Product) -> Result<(), SchemaCommandError> {
        log::start(&self.log.filter, self.log.format)?;
        let database = connect_for_examination(&self.database).await?;
        let outcome = compare(&product.migrations, &database).await;
        close(database).await;
        let comparison = outcome?;
        match self.format {
            OutputFormat::Json => print_json(&comparison)?,
            OutputFormat::Text => print(&as_text(&comparison))?,
        }
        match comparison.differences.len() {
            0 => Ok(()),
            count => Err(SchemaCommandError::Drift(count)),
        }
    }
}

fn differences(count: usize) -> String {
    match count {
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    }
}

/// SQL as a whole, so that it can be kept, looked at and run: what is told is comment.
fn as_text(comparison: &Comparison) -> String {
    let mut text = match comparison.differences.len() {
        0 => "-- the schema is what the migrations make".to_owned(),
        count => format!("-- {} from what the migrations make", differences(count)),
    };
    let compared = comparison.current.as_deref().unwrap_or("no migration");
    // Writing to a string cannot fail.
    let _ = write!(text, " (up to {compared})");
    for name in &comparison.pending {
        let _ = write!(text, "\n-- pending, and not expected: {name}");
    }
    let mut told = Vec::new();
    for mend in comparison.mends() {
        text.push('\n');
        for difference in &comparison.differences {
            if difference.mend == mend && !told.contains(&difference) {
                let _ = write!(text, "\n-- {}", difference.to_string().replace('\n', " "));
                told.push(difference);
            }
        }
        let _ = write!(text, "\n{mend}");
    }
    text
}
