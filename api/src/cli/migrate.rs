//! `rollbook migrate`: sea-orm-migration's verbs, with a lock, a record, a plan and a check of it all.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write, stderr, stdin};
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use sea_orm::DatabaseConnection;
use serde::Serialize;
use tracing_subscriber::util::TryInitError;

use super::{
    config::{DatabaseSettings, EnvironmentSettings, LogSettings},
    environment::{self, ProductionError},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{ConnectError, MigrationConnection, Migrations, require_current},
    http::log,
    operations::Progress,
    operations::migration::{
        self as operation, Direction, Done, Finding, History, Loss, MigrationError, Plan, Remains,
        Status, Target,
    },
    product::Product,
};

/// Bring the schema of the database to another version; without a verb: `up`
#[derive(Args, Debug)]
#[command(
    after_long_help = "Each migration is one transaction with its record: a process that is killed leaves the database \
                        between two migrations, and the next run goes on. One process migrates at a time; others \
                        wait for it.\nExit status: 0 done, 1 failed or something was found (validate), 2 bad usage or \
                        not confirmed."
)]
pub(super) struct MigrateCommand {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// Form of the answer: for people, or one line of JSON
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_enum,
        global = true
    )]
    format: OutputFormat,

    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    environment: EnvironmentSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Apply pending migrations
    Up {
        #[command(flatten)]
        target: UpTarget,
    },
    /// Roll back applied migrations, newest first; says what data that loses, and asks
    Down {
        #[command(flatten)]
        target: DownTarget,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Drop what the migrations made, with its data and without rolling back, then apply all; asks as `down`
    Fresh {
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Roll back all applied migrations, losing the data, then apply all; asks as `down`
    Refresh {
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Roll back all applied migrations, losing the data; asks as `down`
    Reset {
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Show each migration: whether, when and for how long it was applied
    Status,
    /// Show the SQL that `up` would run (`down` with --down), and what each statement blocks, rewrites or loses
    Plan {
        #[command(flatten)]
        target: UpTarget,
        /// What rolling back would run: so many migrations, or back to --to
        #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "1")]
        down: Option<u32>,
    },
    /// Show the migration that was applied last
    Current,
    /// Find what does not fit: migrations unknown, changed, out of order, with one name, or that cannot be rolled back
    Validate,
}

#[derive(Args, Clone, Debug)]
struct UpTarget {
    /// How many to apply [default: all]
    #[arg(short, long, value_name = "COUNT", conflicts_with = "to")]
    num: Option<u32>,

    /// The migration to end with: its name, with or without the version in front
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
}

impl UpTarget {
    fn target(&self) -> Target {
        match (&self.to, self.num) {
            (Some(name), _) => Target::To(name.clone()),
            (None, Some(count)) => Target::Count(count),
            (None, None) => Target::All,
        }
    }
}

#[derive(Args, Clone, Debug)]
struct DownTarget {
    /// How many to roll back [default: 1]
    #[arg(value_name = "COUNT", conflicts_with_all = ["num", "to", "all"])]
    count: Option<u32>,

    /// As COUNT; sea-orm-cli's way to say it
    #[arg(short, long, value_name = "COUNT", conflicts_with_all = ["to", "all"])]
    num: Option<u32>,

    /// The migration that is then the last: its name, with or without the version in front
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    to: Option<String>,

    /// All of them
    #[arg(long)]
    all: bool,
}

impl DownTarget {
    fn target(&self) -> Target {
        match (&self.to, self.all) {
            (Some(name), _) => Target::To(name.clone()),
            (None, true) => Target::All,
            (None, false) => Target::Count(self.count.or(self.num).unwrap_or(1)),
        }
    }
}

#[derive(Args, Clone, Copy, Debug, Default)]
struct Confirmation {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Where ROLLBOOK_ENV or the database itself says production, this is wanted too
    #[arg(long = "i-know-this-destroys-data")]
    knows: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error(transparent)]
    Production(#[from] ProductionError),
    #[error("not confirmed; nothing was changed")]
    Unconfirmed,
    #[error("{0} found")]
    Found(usize),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl MigrateError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(error) => Some(error.hint()),
            Self::Migration(error) => error.hint(),
            Self::Production(error) => {
                Some(error.hint("to lose its data all the same: --i-know-this-destroys-data"))
            }
            Self::Unconfirmed => Some("say --yes, or answer yes on a terminal".to_owned()),
            Self::Log(_) | Self::Found(_) | Self::Output(_) => None,
        }
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        match self {
            Self::Production(error) => error.is_bad_usage(),
            Self::Unconfirmed => true,
            Self::Migration(error) => matches!(
                error,
                MigrationError::Unknown { .. } | MigrationError::WrongWay { .. }
            ),
            _ => false,
        }
    }
}

impl MigrateCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), MigrateError> {
        log::start(&self.log.filter, self.log.format)?;
        let verb = self.verb.clone().unwrap_or(Verb::Up {
            target: UpTarget {
                num: None,
                to: None,
            },
        });
        let is_guarded = verb.confirmation().is_some_and(|given| !given.knows);
        if is_guarded {
            // First, as it needs no database.
            self.environment.require_development()?;
        }
        let migrations = match verb.changes() {
            true => MigrationConnection::open(&self.database).await?,
            false => MigrationConnection::open_unlocked(&self.database).await?,
        };
        let run = Run {
            migrations: &product.migrations,
            database: migrations.connection(),
            lock_limit: self.database.migration_lock_timeout,
            format: self.format,
            progress: Progress::default(),
        };
        let start = Instant::now();
        let passed = || start.elapsed().as_secs();
        let work = async {
            if is_guarded {
                environment::require_development(run.database).await?;
            }
            run.verb(&verb).await?;
            match verb.changes() {
                true => Ok(self
                    .environment
                    .note(run.database)
                    .await
                    .map_err(MigrationError::from)?),
                false => Ok(()),
            }
        };
        let outcome = match verb.changes() {
            true => {
                run.progress
                    .during("migrating, seconds", None, passed, work)
                    .await
            }
            false => work.await,
        };
        run.progress.clear();
        migrations.close().await;
        outcome
    }
}

impl Verb {
    fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Status | Self::Plan { .. } | Self::Current | Self::Validate
        )
    }

    fn confirmation(&self) -> Option<Confirmation> {
        match self {
            Self::Down { confirmation, .. }
            | Self::Fresh { confirmation }
            | Self::Refresh { confirmation }
            | Self::Reset { confirmation } => Some(*confirmation),
            _ => None,
        }
    }
}

/// Applies what is pending, for `serve --migrate`.
pub(super) async fn bring_up(
    product: &Product,
    settings: &DatabaseSettings,
) -> Result<(), MigrateError> {
    let migrations = MigrationConnection::open(settings).await?;
    let limit = settings.migration_lock_timeout;
    let outcome = operation::up(
        &product.migrations,
        migrations.connection(),
        &Target::All,
        limit,
        |done| {
            tracing::info!(
                migration = done.name,
                duration_ms = done.duration_ms,
                "applied"
            );
        },
    );
    let outcome = match outcome.await {
        // The database is newer, and this version can go on with it: there is nothing to do.
        Err(MigrationError::Ahead { .. })
            if require_current(&product.migrations, migrations.connection())
                .await
                .is_ok() =>
        {
            Ok(Vec::new())
        }
        outcome => outcome,
    };
    migrations.close().await;
    outcome?;
    Ok(())
}

struct Run<'a> {
    migrations: &'a Migrations,
    database: &'a DatabaseConnection,
    lock_limit: Duration,
    format: OutputFormat,
    progress: Progress,
}

/// What was done, as JSON.
#[derive(Default, Serialize)]
struct Answer {
    rolled_back: Vec<Done>,
    applied: Vec<Done>,
}

impl Run<'_> {
    async fn verb(&self, verb: &Verb) -> Result<(), MigrateError> {
        match verb {
            Verb::Up { target } => {
                let applied = self.up(&target.target()).await?;
                self.answer(Answer {
                    applied,
                    ..Answer::default()
                })
            }
            Verb::Down {
                target,
                confirmation,
            } => {
                let target = target.target();
                self.confirm_rollback(&target, *confirmation).await?;
                let rolled_back = self.down(&target).await?;
                self.answer(Answer {
                    rolled_back,
                    ..Answer::default()
                })
            }
            Verb::Fresh { confirmation } => {
                let remains = Remains::find(self.migrations, self.database).await?;
                self.confirm(&remains.losses, *confirmation)?;
                let tell = |done: &Done| self.tell("applied", done);
                let limit = self.lock_limit;
                let fresh = operation::fresh(self.migrations, self.database, &remains, limit, tell);
                let applied = fresh.await?;
                self.answer(Answer {
                    applied,
                    ..Answer::default()
                })
            }
            Verb::Refresh { confirmation } => {
                self.confirm_rollback(&Target::All, *confirmation).await?;
                let rolled_back = self.down(&Target::All).await?;
                let applied = self.up(&Target::All).await?;
                self.answer(Answer {
                    rolled_back,
                    applied,
                })
            }
            Verb::Reset { confirmation } => {
                self.confirm_rollback(&Target::All, *confirmation).await?;
                let tell = |done: &Done| self.tell("rolled back", done);
                let reset = operation::reset(self.migrations, self.database, self.lock_limit, tell);
                let rolled_back = reset.await?;
                self.answer(Answer {
                    rolled_back,
                    ..Answer::default()
                })
            }
            Verb::Status => self.status().await,
            Verb::Plan { target, down } => self.plan(&target.target(), *down).await,
            Verb::Current => self.current().await,
            Verb::Validate => self.validate().await,
        }
    }

    async fn up(&self, target: &Target) -> Result<Vec<Done>, MigrationError> {
        let tell = |done: &Done| self.tell("applied", done);
        operation::up(
            self.migrations,
            self.database,
            target,
            self.lock_limit,
            tell,
        )
        .await
    }

    async fn down(&self, target: &Target) -> Result<Vec<Done>, MigrationError> {
        let tell = |done: &Done| self.tell("rolled back", done);
        operation::down(
            self.migrations,
            self.database,
            target,
            self.lock_limit,
            tell,
        )
        .await
    }

    /// Told at once, as it is done: what comes after may take long.
    fn tell(&self, what: &str, done: &Done) {
        self.progress.clear();
        let line = format!("{what} {} ({} ms)", done.name, done.duration_ms);
        if self.format == OutputFormat::Text
            && let Err(error) = print(&line)
        {
            tracing::debug!(%error, "standard output is closed");
        }
    }

    fn answer(&self, answer: Answer) -> Result<(), MigrateError> {
        match self.format {
            OutputFormat::Json => Ok(print_json(&answer)?),
            OutputFormat::Text if answer.applied.is_empty() && answer.rolled_back.is_empty() => {
                Ok(print("nothing to do")?)
            }
            OutputFormat::Text => Ok(()),
        }
    }

    async fn confirm_rollback(
        &self,
        target: &Target,
        confirmation: Confirmation,
    ) -> Result<(), MigrateError> {
        let losses = operation::losses(self.migrations, self.database, target).await?;
        self.confirm(&losses, confirmation)
    }

    fn confirm(&self, losses: &[Loss], confirmation: Confirmation) -> Result<(), MigrateError> {
        let mut text = String::new();
        for loss in losses {
            let what = match &loss.column {
                Some(column) => format!("{}.{column}", loss.table),
                None => loss.table.clone(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "loses {what} with {} rows ({})",
                loss.rows, loss.migration
            );
        }
        self.progress.clear();
        // Where standard error is closed there is nobody left to tell.
        let _ = write!(stderr(), "{text}");
        if confirmation.yes || losses.is_empty() {
            return Ok(());
        }
        if !stdin().is_terminal() {
            return Err(MigrateError::Unconfirmed);
        }
        let _ = write!(stderr(), "Go on? Type yes: ");
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer)?;
        match answer.trim() {
            "yes" => Ok(()),
            _ => Err(MigrateError::Unconfirmed),
        }
    }

    async fn status(&self) -> Result<(), MigrateError> {
        let history = self.history().await?;
        if self.format == OutputFormat::Json {
            return Ok(print_json(
                &serde_json::json!({ "migrations": history.entries }),
            )?);
        }
        for entry in history.entries {
            let mut line = match entry.status {
                Status::Applied => format!("applied  {}", entry.name),
                Status::Pending => format!("pending  {}", entry.name),
            };
            if let Some(moment) = entry.applied_at {
                let moment = moment.to_rfc3339_opts(SecondsFormat::Secs, true);
                let _ = write!(line, "  {moment}");
            }
            match entry.duration_ms {
                Some(duration) => {
                    let _ = write!(line, "  {duration} ms");
                }
                None if entry.status == Status::Applied => line.push_str("  by another tool"),
                None => {}
            }
            if !entry.known {
                line.push_str("  not known to this version");
            }
            print(&line)?;
        }
        Ok(())
    }

    async fn history(&self) -> Result<History, MigrateError> {
        let history = History::read(self.migrations, self.database).await;
        Ok(history.map_err(MigrationError::from)?)
    }

    async fn plan(&self, target: &Target, down: Option<u32>) -> Result<(), MigrateError> {
        let (direction, target) = match (down, target) {
            (None, target) => (Direction::Up, target.clone()),
            (Some(_), Target::To(name)) => (Direction::Down, Target::To(name.clone())),
            (Some(count), _) => (Direction::Down, Target::Count(count)),
        };
        let plan = Plan::make(self.migrations, self.database, direction, &target).await?;
        if self.format == OutputFormat::Json {
            return Ok(print_json(&plan)?);
        }
        if plan.migrations.is_empty() {
            print("-- nothing to do")?;
        }
        for migration in plan.migrations {
            print(&format!("-- {}", migration.name))?;
            print(match (direction, migration.compatible) {
                (Direction::Up, true) => "-- servers of the version before go on\n",
                (Direction::Up, false) => "-- servers of the version before cannot go on\n",
                (Direction::Down, _) => "",
            })?;
            for statement in migration.statements {
                for effect in statement.effects {
                    print(&format!("-- {effect}"))?;
                }
                print(&format!(
                    "{};\n",
                    statement.sql.trim().trim_end_matches(';')
                ))?;
            }
        }
        Ok(())
    }

    async fn current(&self) -> Result<(), MigrateError> {
        let current = self.history().await?.applied().pop();
        match self.format {
            OutputFormat::Json => Ok(print_json(&serde_json::json!({ "current": current }))?),
            OutputFormat::Text => Ok(print(current.as_deref().unwrap_or("none"))?),
        }
    }

    async fn validate(&self) -> Result<(), MigrateError> {
        let findings = operation::validate(self.migrations, self.database).await?;
        match self.format {
            OutputFormat::Json => {
                let valid = findings.is_empty();
                print_json(&serde_json::json!({ "valid": valid, "findings": findings }))?;
            }
            OutputFormat::Text if findings.is_empty() => print("all migrations fit")?,
            OutputFormat::Text => {
                for Finding {
                    migration,
                    message,
                    mend,
                    ..
                } in &findings
                {
                    print(&format!("{migration}: {message}\n  {mend}"))?;
                }
            }
        }
        match findings.len() {
            0 => Ok(()),
            count => Err(MigrateError::Found(count)),
        }
    }
}
