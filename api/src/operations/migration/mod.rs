//! Migrations with what sea-orm-migration leaves out: a lock, a record of what was applied, a plan, and a check of all of
//! it. Its own table stays as it is, so that `sea-orm-cli migrate` goes on working beside this.
//!
//! Everything here takes the migrations as a value: a product has its own, the tests have broken ones.

mod effect;
mod fresh;
mod history;
mod plan;
mod premises;
mod recording;
mod run;
mod trial;
mod validation;

pub use effect::Effect;
pub use fresh::{Remains, fresh};
pub use history::{Entry, History, MIGRATIONS_TABLE, RECORDS_TABLE, Status};
pub use plan::{Plan, PlannedMigration, PlannedStatement};
pub use recording::{Direction, fingerprint};
pub(super) use run::known;
pub use run::{Done, Loss, down, losses, reset, up};
pub(super) use trial::Trial;
pub use validation::{Finding, FindingKind, validate};
pub(super) use validation::{irreversible, misfitting};

use sea_orm::DbErr;

use crate::database::{Fault, Migrations, classify};

/// How far to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the end.
    All,
    /// So many migrations.
    Count(u32),
    /// Until this migration is the last that is applied; its whole name, or what follows the version in it.
    To(String),
}

/// Why nothing more was done.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The target is no migration of this build.
    #[error("there is no migration {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The target lies in the other direction.
    #[error("{name} is {} already", match direction { Direction::Up => "applied", Direction::Down => "rolled back" })]
    WrongWay {
        /// The target.
        name: String,
        /// What was asked for.
        direction: Direction,
    },
    /// The database has migrations that this build does not know.
    #[error("the database has migrations that this version does not know: {}", unknown.join(", "))]
    Ahead {
        /// Their names.
        unknown: Vec<String>,
    },
    /// There are tables, but no record of what made them.
    #[error(
        "the table {MIGRATIONS_TABLE} is missing, but there is a table {table}; nothing was changed"
    )]
    HistoryMissing {
        /// One of the tables that migrations make.
        table: String,
    },
    /// A table is there under the name of one that a migration makes, which was not applied.
    #[error(
        "there is a table {table}, but the migration that makes it was not applied; nothing was changed"
    )]
    Taken {
        /// The table.
        table: String,
    },
    /// Something that no migration made stands on what would be dropped.
    #[error("what the migrations made cannot be dropped; nothing was changed")]
    InUse(#[source] DbErr),
    /// Text of every language must have a place in it.
    #[error("the database has the encoding {found}; nothing was changed")]
    Encoding {
        /// Its encoding.
        found: String,
    },
    /// The server lacks what comes with it in a package of its own.
    #[error("the extension pg_trgm is not installed on this PostgreSQL; nothing was changed")]
    NoTrigrams,
    /// Migrations cannot be tried in this database.
    #[error("the database is read-only, so migrations cannot be tried in it")]
    ReadOnly,
    /// The role may not make the schema in which migrations are tried.
    #[error("migrations cannot be tried here, as this role may not make a schema in the database")]
    NotAllowed(#[source] DbErr),
    /// Another process holds the lock.
    #[error("another process has been migrating this database for longer than {} s", limit.as_secs_f64())]
    Locked {
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// A migration failed. It was rolled back whole, and is not recorded.
    #[error("{name} could not be {}; it was rolled back whole, and what was done before it stays",
        match direction { Direction::Up => "applied", Direction::Down => "rolled back" })]
    Failed {
        /// Its name.
        name: String,
        /// What it was doing.
        direction: Direction,
        /// What the database said.
        source: DbErr,
    },
    /// The database failed otherwise.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl MigrationError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { known, .. } => format!("there are: {}", known.join(", ")),
            Self::WrongWay { direction: Direction::Up, .. } => {
                "`rollbook migrate down --to NAME` goes back to a migration".to_owned()
            }
            Self::WrongWay { direction: Direction::Down, .. } => {
                "`rollbook migrate up --to NAME` goes on to a migration".to_owned()
            }
            Self::Ahead { .. } => "use the newer rollbook that applied them".to_owned(),
            Self::HistoryMissing { .. } => {
                "if it was lost, restore it from a backup; if the tables belong to something else, use another database"
                    .to_owned()
            }
            Self::Taken { .. } => "if the table belongs to something else, use another database".to_owned(),
            Self::InUse(_) => "something else in this database needs it: drop or move that first".to_owned(),
            Self::Encoding { .. } => {
                "make one of UTF8: createdb --encoding=UTF8 --template=template0 NAME".to_owned()
            }
            Self::NoTrigrams => {
                "install PostgreSQL's own extensions (on Debian they are in the server's package, elsewhere in postgresql-contrib)"
                    .to_owned()
            }
            Self::ReadOnly => "it may be a standby: ask the primary".to_owned(),
            Self::NotAllowed(_) => {
                "use the role that migrates, or give this one the right: GRANT CREATE ON DATABASE … TO …".to_owned()
            }
            Self::Locked { .. } => {
                "wait for it, or give more time by ROLLBOOK_MIGRATION_LOCK_TIMEOUT".to_owned()
            }
            Self::Failed { source, .. } | Self::Database(source)
                if classify(source) == Fault::Full =>
            {
                "disk full: make space on the disk of the database, then run this again".to_owned()
            }
            Self::Failed { .. } => "`rollbook migrate status` shows how far it came".to_owned(),
            Self::Database(_) => return None,
        })
    }
}

/// For who can tell no more than that the database failed, and why.
impl From<MigrationError> for DbErr {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => error,
            error => Self::Custom(error.to_string()),
        }
    }
}

/// The whole name of a migration of this build.
///
/// # Errors
/// [`MigrationError::Unknown`].
pub fn resolve(migrations: &Migrations, name: &str) -> Result<String, MigrationError> {
    let known: Vec<String> = migrations.names();
    let found = known
        .iter()
        .find(|known| *known == name || short(known) == name);
    found.cloned().ok_or_else(|| MigrationError::Unknown {
        name: name.to_owned(),
        known: known.iter().map(|known| short(known).to_owned()).collect(),
    })
}

/// What follows the version in a name: `create_users` of `m20261121_000002_create_users`.
pub fn short(name: &str) -> &str {
    name.splitn(3, '_').nth(2).unwrap_or(name)
}

/// The version in a name: `m20261121_000002` of `m20261121_000002_create_users`.
pub fn version(name: &str) -> &str {
    name.len()
        .checked_sub(short(name).len() + 1)
        .map_or(name, |end| &name[..end])
}
