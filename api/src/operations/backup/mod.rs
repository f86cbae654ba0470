//! Backups: a consistent copy of the whole database while servers go on, with a manifest of what has to be in it; and
//! back.
//!
//! SQLite is copied by `VACUUM INTO`, PostgreSQL by its own `pg_dump` and `pg_restore`, which know every version's
//! details and are where the operator looks for them.

mod manifest;
mod postgres;
mod sqlite;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseConnection, DbErr};

pub use manifest::{LastEvent, Manifest, ManifestError};

use crate::database::{ConnectError, close, connect_for_examination, private_file};
use crate::database::{DatabaseSettings, Migrations};
use crate::operations::Progress;
use crate::operations::doctor::{self, Report};
use crate::operations::migration::History;
use crate::operations::{count_rows, data_tables, environment};
use crate::product::Product;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is there.
    #[error("there is a file {} already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{} cannot be {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, …
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is missing or no manifest.
    #[error("the manifest {} cannot be used", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// The file is not what the manifest says.
    #[error("{} is not what its manifest says: {what}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The backup is of the other kind of database.
    #[error("this is a backup of {found}, and the database is {wanted}")]
    Backend {
        /// Of what.
        found: String,
        /// What the URL names.
        wanted: &'static str,
    },
    /// The backup was made by a newer version.
    #[error("the backup has migrations that this version does not know: {}", unknown.join(", "))]
    Newer {
        /// Their names.
        unknown: Vec<String>,
    },
    /// The database to restore to has data.
    #[error("the database has data already: {table} has {rows} rows; nothing was changed")]
    NotEmpty {
        /// One of the tables.
        table: String,
        /// Its rows.
        rows: u64,
    },
    /// Somebody uses the SQLite file.
    #[error("the database file {} is in use; nothing was changed", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The database file is somebody else's.
    #[error(
        "what is restored cannot be given to the owner of the database file {}; nothing was changed",
        path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// PostgreSQL's program is not there.
    #[error("{program} cannot be started")]
    Program {
        /// `pg_dump` or `pg_restore`.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// PostgreSQL's program ended with a complaint.
    #[error("{program} failed: {said}")]
    ProgramFailed {
        /// `pg_dump` or `pg_restore`.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// What was restored is not what was backed up.
    #[error("what was restored is not what the manifest says: {what}")]
    Incomplete {
        /// What differs.
        what: String,
    },
    /// The schema is another one.
    #[error("there is nothing to back up: the database has no schema of Rollbook")]
    NoSchema,
    /// The database could not be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl BackupError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Exists { .. } => "choose another name, or say --force to write over it",
            Self::Manifest { .. } => "the manifest stands beside the backup; copy both",
            Self::Altered { .. } => "the copy is damaged or incomplete: use another one",
            Self::Newer { .. } => "use the rollbook that made it, or one that is newer",
            Self::NotEmpty { .. } => {
                "restore to an empty database, or say --replace to lose what is there"
            }
            Self::InUse { .. } => "stop the server and whatever else has it open",
            Self::Owner { .. } => "run it as that owner, or as root",
            Self::Program { .. } => {
                "install PostgreSQL's client programs, of the server's version or newer, and put them on PATH"
            }
            Self::ProgramFailed { .. } => {
                "nothing was changed by a restore that failed; pg_dump must not be older than the server"
            }
            Self::NoSchema => "run `rollbook migrate status` to see what it is",
            Self::Connect(error) => return Some(error.hint()),
            Self::File { .. }
            | Self::Backend { .. }
            | Self::Incomplete { .. }
            | Self::Database(_) => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

fn failed<'a>(path: &'a Path, what: &'static str) -> impl FnOnce(io::Error) -> BackupError + 'a {
    move |source| BackupError::File {
        path: path.to_owned(),
        what,
        source,
    }
}

/// Copies the database to `file`, with the manifest beside it. Neither is there before it is whole.
///
/// # Errors
/// Where the file is there already and is not to be overwritten; the database's, the system's, the program's.
pub async fn backup(
    settings: &DatabaseSettings,
    file: &Path,
    overwrite: bool,
    progress: Progress,
) -> Result<Manifest, BackupError> {
    for path in [file, &Manifest::path(file)] {
        if !overwrite && path.exists() {
            return Err(BackupError::Exists {
                path: path.to_owned(),
            });
        }
    }
    let partial = Partial::create(file)?;
    let connection = connect_for_examination(settings).await?;
    // pg_dump compresses: what its file will have is known at the end alone.
    let total = settings.url.file().map(|file| size(&file));
    let copied = || size(&partial.path);
    let work = copy(settings, &connection, &partial.path);
    let outcome = progress.during("bytes", total, copied, work).await;
    close(connection).await;
    let mut manifest = outcome?;
    manifest
        .measure(&partial.path)
        .map_err(failed(&partial.path, "read"))?;
    let beside = Manifest::path(file);
    let written = Partial::create(&beside)?;
    manifest
        .write(&written.path)
        .map_err(failed(&written.path, "written"))?;
    written.finish(&beside)?;
    partial.finish(file)?;
    Ok(manifest)
}

/// In bytes; of a file that is not there, none.
fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

async fn copy(
    settings: &DatabaseSettings,
    connection: &DatabaseConnection,
    path: &Path,
) -> Result<Manifest, BackupError> {
    let history = History::read(&Migrations::default(), connection).await?;
    if history.applied().is_empty() {
        return Err(BackupError::NoSchema);
    }
    match settings.url.is_postgres() {
        true => postgres::copy(settings, connection, path).await,
        false => sqlite::copy(settings, path).await,
    }
}

/// What a restore may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Lose what is in the database.
    pub replace: bool,
}

/// Brings a backup back, and checks that it is whole: by the manifest, and by doctor, where the schema is this version's.
///
/// # Errors
/// Everything that can be known before is refused before anything is touched.
pub async fn restore(
    product: &Product,
    settings: &DatabaseSettings,
    file: &Path,
    options: RestoreOptions,
    progress: Progress,
) -> Result<(Manifest, Option<Report>), BackupError> {
    let manifest = check(&product.migrations, settings, file)?;
    let start = Instant::now();
    let passed = || start.elapsed().as_secs();
    let work = async {
        match settings.url.is_postgres() {
            true => postgres::restore(&product.migrations, settings, file, options).await,
            false => sqlite::restore(settings, file, options).await,
        }
    };
    progress
        .during("restoring, seconds", None, passed, work)
        .await?;
    let connection = connect_for_examination(settings).await?;
    let outcome = verify(product, &connection, &manifest, progress).await;
    close(connection).await;
    Ok((manifest, outcome?))
}

/// Where the database was in production before, it is after, whatever the backup says of it.
async fn carry_over(
    production: Option<DateTime<Utc>>,
    connection: &DatabaseConnection,
) -> Result<(), DbErr> {
    if let Some(since) = production {
        environment::mark_production_since(connection, since).await?;
    } else if environment::production_since(connection).await?.is_some() {
        tracing::warn!(
            "the backup is of a database in production, and so is this one from now on; `rollbook environment \
             development` takes that back"
        );
    }
    Ok(())
}

/// Is it whole, and for this database and this version?
fn check(
    migrations: &Migrations,
    settings: &DatabaseSettings,
    file: &Path,
) -> Result<Manifest, BackupError> {
    let beside = Manifest::path(file);
    let manifest = Manifest::read(&beside).map_err(|source| BackupError::Manifest {
        path: beside,
        source,
    })?;
    let wanted = match settings.url.is_postgres() {
        true => manifest::POSTGRES,
        false => manifest::SQLITE,
    };
    if manifest.backend != wanted {
        let found = manifest.backend;
        return Err(BackupError::Backend { found, wanted });
    }
    let known = migrations.names();
    let unknown = manifest
        .migrations
        .iter()
        .filter(|name| !known.contains(name));
    let unknown: Vec<String> = unknown.cloned().collect();
    if !unknown.is_empty() {
        return Err(BackupError::Newer { unknown });
    }
    let mut found = manifest.clone();
    found.measure(file).map_err(failed(file, "read"))?;
    let what = match (
        found.bytes == manifest.bytes,
        found.sha256 == manifest.sha256,
    ) {
        (true, true) => return Ok(manifest),
        (false, _) => format!("it has {} bytes instead of {}", found.bytes, manifest.bytes),
        (true, false) => "its SHA-256 is another one".to_owned(),
    };
    Err(BackupError::Altered {
        path: file.to_owned(),
        what,
    })
}

/// Refuses a database in which something would be lost.
async fn require_empty(connection: &DatabaseConnection) -> Result<(), BackupError> {
    for table in data_tables(connection).await? {
        let rows = count_rows(connection, &table).await?;
        if rows > 0 {
            return Err(BackupError::NotEmpty { table, rows });
        }
    }
    Ok(())
}

async fn verify(
    product: &Product,
    connection: &DatabaseConnection,
    manifest: &Manifest,
    progress: Progress,
) -> Result<Option<Report>, BackupError> {
    let found = Manifest::of(connection).await?;
    if let Some(what) = manifest.difference(&found) {
        return Err(BackupError::Incomplete { what });
    }
    if manifest.migrations != product.migrations.names() {
        return Ok(None);
    }
    let options = doctor::Options::default();
    let report = doctor::examine(product, connection, &options, progress);
    Ok(Some(report.await?))
}

/// A file that gets its name when it is whole, readable by its owner alone; it is removed where that does not come.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn create(target: &Path) -> Result<Self, BackupError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        // What an earlier run left.
        drop(fs::remove_file(&path));
        let made = private_file().create_new(true).open(&path);
        made.map_err(failed(&path, "written"))?;
        Ok(Self { path })
    }

    fn finish(self, target: &Path) -> Result<(), BackupError> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(failed(&self.path, "written"))?;
        fs::rename(&self.path, target).map_err(failed(target, "written"))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already where it has got its name.
        drop(fs::remove_file(&self.path));
    }
}
