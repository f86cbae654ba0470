//! A SQLite file, copied by `VACUUM INTO`.
//!
//! The library's online backup is not within reach of safe code here. `VACUUM INTO` reads in one transaction, so that the
//! copy is of one moment while others write, and it leaves the write-ahead log and free pages out.

#![expect(
    clippy::disallowed_methods,
    reason = "whole databases are copied here, with all events in them"
)]

use std::fs;
use std::path::{Path, PathBuf};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

use super::manifest::Manifest;
use super::{BackupError, Partial, RestoreOptions, failed, require_empty};
use crate::cli::config::DatabaseSettings;

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
    if target.exists() {
        let there = open(&target).await?;
        let outcome = take(&there, &target, options).await;
        there.close().await?;
        outcome?;
    } else if let Some(directory) = target.parent() {
        fs::create_dir_all(directory).map_err(failed(directory, "created"))?;
    }
    let partial = Partial::create(&target)?;
    fs::copy(file, &partial.path).map_err(failed(&partial.path, "written"))?;
    // Of the database that was there; the journal of another file would be taken for this one's.
    for end in ["-wal", "-shm", "-journal"] {
        let mut name = target.clone().into_os_string();
        name.push(end);
        drop(fs::remove_file(PathBuf::from(name)));
    }
    partial.finish(&target)
}

/// Nobody else has it open, and nothing is lost that is not to be lost.
async fn take(
    there: &DatabaseConnection,
    path: &Path,
    options: RestoreOptions,
) -> Result<(), BackupError> {
    if !options.replace {
        require_empty(there).await?;
    }
    // Leaving the write-ahead log is for who is alone, and folds it into the file.
    match there
        .query_one_raw(statement("PRAGMA journal_mode = DELETE"))
        .await
    {
        Ok(Some(row)) if row.try_get_by_index::<String>(0)? == "delete" => Ok(()),
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
