//! The command line: one file per command.

use std::{
    error::Error,
    io::{self, Write, stderr},
    process::ExitCode,
    sync::OnceLock,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use sea_orm::sqlx;

mod backup;
pub mod bootstrap;
pub mod config;
mod doctor;
mod environment;
mod environment_file;
mod keys;
mod manual;
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
use manual::NoSuchCommand;
use migrate::{MigrateCommand, MigrateError};
use output::print;
use schema::{SchemaCommand, SchemaCommandError};
use seed::{SeedCommand, SeedCommandError};
use serve::{ServeCommand, ServeError};
use unknown_settings::UnknownSettings;

use crate::product::Product;

const FAILED: u8 = 1;
const BAD_SETTINGS: u8 = 2;
const ADMIN_EXISTS: u8 = 3;
const WARNED: u8 = 4;
const UNFINISHED: u8 = 5;

/// Organizations, users, memberships, API keys and their audit trail behind one REST API.
#[derive(Debug, Parser)]
#[command(
    name = "rollbook",
    version = version(""),
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`rollbook COMMAND -h` is short, `rollbook COMMAND --help` has all settings.",
    after_long_help = "Settings are taken from flags, then the environment, then the file .env in the working directory, \
                       then their defaults; `rollbook COMMAND --help` has them.\nExit status: 0 done, 1 failed, 2 bad \
                       usage or settings, 3 an admin exists already (bootstrap), 4 there are warnings (doctor \
                       --strict), 5 requests were not answered before the shutdown timeout (serve)."
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
    /// Print a script that completes commands and flags in a shell; needs no database
    #[command(
        after_long_help = "For bash: `rollbook completions bash > ~/.local/share/bash-completion/completions/rollbook`. \
                           For zsh into `_rollbook` in a directory of $fpath, for fish into \
                           ~/.config/fish/completions/rollbook.fish."
    )]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
    /// Print the manual page of rollbook, or of one of its commands; needs no database
    #[command(after_long_help = "To read one: `rollbook man migrate up | man -l -`.")]
    Man {
        /// Which command: its words
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
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
    #[error(transparent)]
    Manual(#[from] NoSuchCommand),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
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
            Self::Manual(error) => Some(error.hint()),
            Self::Runtime(_) | Self::Openapi(_) | Self::Output(_) => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::EnvironmentFile(_) | Self::UnknownSettings(_) | Self::Manual(_) => BAD_SETTINGS,
            Self::Doctor(DoctorError::Warned(_)) => WARNED,
            Self::Serve(ServeError::Unfinished { .. }) => UNFINISHED,
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

/// The version with the commit that it was built of, where that is known.
fn version(commit: &str) -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    let number = env!("CARGO_PKG_VERSION");
    match commit {
        "" => number,
        commit => VERSION.get_or_init(|| format!("{number} ({commit})")),
    }
}

impl Product {
    /// Runs the command that the arguments ask for.
    pub fn run(self) -> ExitCode {
        main(self)
    }
}

fn main(product: Product) -> ExitCode {
    // Before the arguments are parsed, because their defaults come from the environment.
    let in_file = match environment_file::load() {
        Ok(names) => names,
        Err(error) => return report(&error.into()),
    };
    let grammar = Cli::command()
        .name(product.name)
        .bin_name(product.name)
        .version(version(product.commit));
    let parsed = grammar
        .clone()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let command = match parsed {
        Ok(cli) => cli.command,
        Err(error) => return usage::report(&error),
    };
    // Only now: whoever asks for help gets it.
    let outcome = unknown_settings::refuse(&in_file)
        .map_err(CommandError::from)
        .and_then(|()| run(product, command, grammar));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run(product: Product, command: Command, grammar: clap::Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(command) => runtime()?.block_on(command.run(&product))?,
        Command::Migrate(command) => runtime()?.block_on(command.run(&product))?,
        Command::Bootstrap(command) => runtime()?.block_on(command.run(&product))?,
        Command::Keys(command) => runtime()?.block_on(command.run(&product))?,
        Command::Schema(command) => runtime()?.block_on(command.run(&product))?,
        Command::Doctor(command) => runtime()?.block_on(command.run(&product))?,
        Command::Backup(command) => runtime()?.block_on(command.run())?,
        Command::Restore(command) => runtime()?.block_on(command.run(&product))?,
        Command::Seed(command) => runtime()?.block_on(command.run(&product))?,
        Command::Environment(command) => runtime()?.block_on(command.run())?,
        Command::Openapi => print(&openapi::document(&product)?)?,
        Command::Completions { shell } => print(&manual::completions(grammar, shell))?,
        Command::Man { command } => print(&manual::page(grammar, &command)?)?,
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
