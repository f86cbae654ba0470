//! The command line: one file per command.

use std::{
    error::Error,
    io::{self, Write, stderr},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use sea_orm::sqlx;

mod backup;
pub mod bootstrap;
pub mod config;
mod doctor;
mod environment;
mod environment_file;
mod keys;
mod migrate;
mod openapi;
pub mod output;
mod schema;
mod seed;
mod serve;
mod unknown_settings;
mod usage;

use backup::{BackupCommand, BackupCommandError, RestoreCommand};
use bootstrap::{BootstrapCommand, BootstrapError};
use doctor::{DoctorCommand, DoctorError};
use environment::{EnvironmentCommand, EnvironmentCommandError};
use environment_file::EnvironmentFileError;
use keys::{KeysCommand, KeysCommandError};
use migrate::{MigrateCommand, MigrateError};
use output::print;
use schema::{SchemaCommand, SchemaCommandError};
use seed::{SeedCommand, SeedCommandError};
use serve::{ServeCommand, ServeError};
use unknown_settings::UnknownSettings;

const FAILED: u8 = 1;
const BAD_SETTINGS: u8 = 2;
const ADMIN_EXISTS: u8 = 3;

/// Organizations, users, memberships, API keys and their audit trail behind one REST API.
#[derive(Debug, Parser)]
#[command(
    name = "rollbook",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Settings are taken from flags, then the environment, then the file .env in the working directory, then \
                  their defaults.\nExit status: 0 done, 1 failed, 2 bad usage or settings, 3 an admin exists already \
                  (bootstrap)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeCommand),
    Migrate(MigrateCommand),
    Bootstrap(BootstrapCommand),
    Keys(KeysCommand),
    Schema(SchemaCommand),
    Doctor(DoctorCommand),
    Backup(BackupCommand),
    Restore(RestoreCommand),
    Seed(SeedCommand),
    Environment(EnvironmentCommand),
    /// Print the OpenAPI 3.1 document of the API; needs no database
    Openapi,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    EnvironmentFile(#[from] EnvironmentFileError),
    #[error(transparent)]
    UnknownSettings(#[from] UnknownSettings),
    #[error("the runtime cannot start")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error(transparent)]
    Keys(#[from] KeysCommandError),
    #[error(transparent)]
    Schema(#[from] SchemaCommandError),
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    #[error(transparent)]
    Backup(#[from] BackupCommandError),
    #[error(transparent)]
    Seed(#[from] SeedCommandError),
    #[error(transparent)]
    Environment(#[from] EnvironmentCommandError),
    #[error("the OpenAPI document cannot be written as JSON")]
    Openapi(#[from] serde_json::Error),
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
}

impl CommandError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::EnvironmentFile(error) => Some(error.hint()),
            Self::UnknownSettings(error) => Some(error.hint()),
            Self::Serve(error) => error.hint(),
            Self::Migrate(error) => error.hint(),
            Self::Bootstrap(error) => error.hint(),
            Self::Keys(error) => error.hint(),
            Self::Schema(error) => error.hint(),
            Self::Doctor(error) => error.hint(),
            Self::Backup(error) => error.hint(),
            Self::Seed(error) => error.hint(),
            Self::Environment(error) => error.hint(),
            Self::Runtime(_) | Self::Openapi(_) | Self::Output(_) => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::EnvironmentFile(_) | Self::UnknownSettings(_) => BAD_SETTINGS,
            Self::Bootstrap(BootstrapError::AdminExists) => ADMIN_EXISTS,
            Self::Bootstrap(error) if error.is_bad_usage() => BAD_SETTINGS,
            Self::Migrate(error) if error.is_bad_usage() => BAD_SETTINGS,
            Self::Backup(error) if error.is_bad_usage() => BAD_SETTINGS,
            Self::Seed(error) if error.is_bad_usage() => BAD_SETTINGS,
            Self::Environment(error) if error.is_bad_usage() => BAD_SETTINGS,
            _ => FAILED,
        }
    }
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    // Before the arguments are parsed, because their defaults come from the environment.
    let in_file = match environment_file::load() {
        Ok(names) => names,
        Err(error) => return report(&error.into()),
    };
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return usage::report(&error),
    };
    // Only now: whoever asks for help gets it.
    let outcome = unknown_settings::refuse(&in_file)
        .map_err(CommandError::from)
        .and_then(|()| run(command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(command) => runtime()?.block_on(command.run())?,
        Command::Migrate(command) => runtime()?.block_on(command.run())?,
        Command::Bootstrap(command) => runtime()?.block_on(command.run())?,
        Command::Keys(command) => runtime()?.block_on(command.run())?,
        Command::Schema(command) => runtime()?.block_on(command.run())?,
        Command::Doctor(command) => runtime()?.block_on(command.run())?,
        Command::Backup(command) => runtime()?.block_on(command.run())?,
        Command::Restore(command) => runtime()?.block_on(command.run())?,
        Command::Seed(command) => runtime()?.block_on(command.run())?,
        Command::Environment(command) => runtime()?.block_on(command.run())?,
        Command::Openapi => print(&openapi::document()?).or_else(is_closed)?,
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    // Requests are answered on actix's own threads; this one only waits.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)
}

/// A reader that has seen enough, such as `head`, is no failure.
fn is_closed(error: io::Error) -> Result<(), CommandError> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(CommandError::Output(error)),
    }
}

fn report(error: &CommandError) -> ExitCode {
    complain(&describe(error), error.hint().as_deref());
    ExitCode::from(error.exit_code())
}

fn complain(what: &str, hint: Option<&str>) {
    let hint = hint.map_or(String::new(), |hint| format!("\n  {hint}"));
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(stderr(), "rollbook: {what}{hint}");
}

/// What went wrong, with the causes in brackets, each of them said once.
fn describe(error: &dyn Error) -> String {
    let what = error.to_string();
    let mut causes: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        // The driver adds the line of PostgreSQL's own source code to what PostgreSQL said.
        let said_by_database = error
            .downcast_ref::<sqlx::Error>()
            .and_then(|error| error.as_database_error());
        let text =
            said_by_database.map_or_else(|| error.to_string(), |said| said.message().to_owned());
        if !what.contains(&text) && !causes.iter().any(|said| said.contains(&text)) {
            causes.push(text);
        }
        cause = match said_by_database {
            Some(_) => None,
            None => error.source(),
        };
    }
    match causes.is_empty() {
        true => what,
        false => format!("{what} ({})", causes.join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_said_once() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = CommandError::Output(io::Error::other(refused));
        assert_eq!(
            describe(&error),
            "standard output cannot be written (connection refused)"
        );
    }
}
