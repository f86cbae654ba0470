//! A SQLite file, copied by `VACUUM INTO`.
//!
//! The library's online backup is not within reach of safe code here. `VACUUM INTO` reads in one transaction, so that the
//! copy is of one moment while others write, and it leaves the write-ahead log and free pages out.

#![expect(
    clippy::disallowed_methods,
    reason = "whole databases are copied here, with all events in them"
)]

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

use super::manifest::Manifest;
use super::{BackupError, Partial, RestoreOptions, carry_over, failed, require_empty};
use crate::database::DatabaseSettings;
use crate::operations::environment::production_since;

pub(super) async fn copy(
    settings: &DatabaseSettings,
    path: &Path,
) -> Result<Manifest, BackupError> {
    let Some(source) = settings.url.file() else {
        return Err(BackupError::NoSchema);
    };
    let connection = open(&source).await?;
    let outcome = copy_into(&connection, path).await;
    connection.close().await?;
    outcome
}

async fn copy_into(connection: &DatabaseConnection, path: &Path) -> Result<Manifest, BackupError> {
    let into = Statement::from_sql_and_values(
        DbBackend::Sqlite,
        "VACUUM INTO ?",
        [path.to_string_lossy().into_owned().into()],
    );
    connection.execute_raw(into).await?;
    let copy = open(path).await?;
    let manifest = Manifest::of(&copy).await;
    copy.close().await?;
    Ok(manifest?)
}

pub(super) async fn restore(
    settings: &DatabaseSettings,
    file: &Path,
    options: RestoreOptions,
) -> Result<(), BackupError> {
    let Some(target) = settings.url.file() else {
        return Err(BackupError::NoSchema);
    };
    // Where it is a link, what it leads to is replaced.
    let target = fs::canonicalize(&target).unwrap_or(target);
    let before = fs::metadata(&target).ok();
    let mut production = None;
    if before.is_some() {
        let there = open(&target).await?;
        let outcome = take(&there, &target, options).await;
        there.close().await?;
        production = outcome?;
    } else if let Some(directory) = target.parent() {
        fs::create_dir_all(directory).map_err(failed(directory, "created"))?;
    }
    let partial = Partial::create(&target)?;
    write(file, &partial.path).map_err(failed(&partial.path, "written"))?;
    let restored = open(&partial.path).await?;
    let outcome = carry_over(production, &restored).await;
    restored.close().await?;
    outcome?;
    if let Some(before) = before {
        keep(&partial.path, &before).map_err(|source| BackupError::Owner {
            path: target.clone(),
            source,
        })?;
    }
    remove_journals(&target)?;
    partial.finish(&target)
}

/// Unlike the system's copy, leaves the mode of the file alone.
fn write(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    Ok(())
}

/// Gives a file the owner and the mode of the one that it takes the place of: another account would be shut out.
#[cfg(unix)]
fn keep(file: &Path, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let made = fs::metadata(file)?;
    // Who is not root may give nothing away, and need not where it is theirs.
    let other = |wanted: u32, is: u32| (wanted != is).then_some(wanted);
    chown(
        file,
        other(before.uid(), made.uid()),
        other(before.gid(), made.gid()),
    )?;
    fs::set_permissions(file, before.permissions())
}

#[cfg(not(unix))]
fn keep(_: &Path, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Removes what stands beside a database that goes: it would be taken for a part of the one that comes.
fn remove_journals(target: &Path) -> Result<(), BackupError> {
    for end in ["-wal", "-shm", "-journal"] {
        let mut name = target.as_os_str().to_owned();
        name.push(end);
        let path = PathBuf::from(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, "removed")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Nobody else has it open, and nothing is lost that is not to be lost; since when it has been in production.
async fn take(
    there: &DatabaseConnection,
    path: &Path,
    options: RestoreOptions,
) -> Result<Option<DateTime<Utc>>, BackupError> {
    if !options.replace {
        require_empty(there).await?;
    }
    let production = production_since(there).await?;
    // Leaving the write-ahead log is for who is alone, and folds it into the file.
    match there
        .query_one_raw(statement("PRAGMA journal_mode = DELETE"))
        .await
    {
        Ok(Some(row)) if row.try_get_by_index::<String>(0)? == "delete" => Ok(production),
        Ok(_) => Err(in_use(path)),
        Err(DbErr::Query(_) | DbErr::Exec(_)) => Err(in_use(path)),
        Err(error) => Err(error.into()),
    }
}

fn in_use(path: &Path) -> BackupError {
    BackupError::InUse {
        path: path.to_owned(),
    }
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}

async fn open(path: &Path) -> Result<DatabaseConnection, DbErr> {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite:");
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| options.filename(&file).create_if_missing(false));
    Database::connect(options).await
}
