//! A PostgreSQL database, by its own `pg_dump` and `pg_restore`.

#![expect(
    clippy::disallowed_methods,
    reason = "the snapshot is taken and shared here, in a transaction that only reads"
)]

use std::path::Path;
use std::process::{Output, Stdio};

use chrono::{DateTime, Utc};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, IsolationLevel, Statement,
    TransactionTrait,
};
use secrecy::ExposeSecret;
use tokio::process::Command;

use super::manifest::Manifest;
use super::{BackupError, RestoreOptions, carry_over, require_empty};
use crate::database::connect_for_examination;
use crate::database::{DatabaseSettings, Migrations};
use crate::operations::environment::production_since;
use crate::operations::schema::{Change, ObjectKind, compare};

/// The dump and the manifest see one snapshot.
pub(super) async fn copy(
    settings: &DatabaseSettings,
    connection: &DatabaseConnection,
    path: &Path,
) -> Result<Manifest, BackupError> {
    let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
    let snapshot = connection
        .begin_with_config(Some(isolation), Some(access))
        .await?;
    let export = statement("SELECT pg_export_snapshot()");
    let row = snapshot.query_one_raw(export).await?;
    let name: String = row
        .map(|row| row.try_get_by_index(0))
        .transpose()?
        .unwrap_or_default();
    let manifest = Manifest::of(&snapshot).await?;
    let mut dump = program(settings, "pg_dump");
    dump.args([
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--no-password",
    ])
    .arg(format!("--snapshot={name}"))
    .arg("--file")
    .arg(path);
    run("pg_dump", dump).await?;
    snapshot.rollback().await?;
    Ok(manifest)
}

pub(super) async fn restore(
    migrations: &Migrations,
    settings: &DatabaseSettings,
    file: &Path,
    options: RestoreOptions,
) -> Result<(), BackupError> {
    let connection = connect_for_examination(settings).await?;
    let outcome = look(&connection, options).await;
    connection.close().await?;
    let production = outcome?;
    let mut restore = program(settings, "pg_restore");
    // All or nothing; what is there goes in the same transaction. An empty schema may be there too.
    restore
        .args([
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
        ])
        .args(["--clean", "--if-exists", "--no-password"])
        .arg(format!(
            "--dbname={}",
            settings.url.postgres_environment().database()
        ))
        .arg(file);
    run("pg_restore", restore).await?;
    let connection = connect_for_examination(settings).await?;
    let outcome = async {
        carry_over(production, &connection).await?;
        take_from_everybody(migrations, &connection).await
    };
    let outcome = outcome.await;
    connection.close().await?;
    outcome
}

/// Nothing is lost that is not to be lost; since when the database has been in production.
async fn look(
    there: &DatabaseConnection,
    options: RestoreOptions,
) -> Result<Option<DateTime<Utc>>, BackupError> {
    if !options.replace {
        require_empty(there).await?;
    }
    Ok(production_since(there).await?)
}

/// A backup has no grants, as they name roles that another server may not have. But a function is everybody's when it is
/// made: what the migrations take from everybody has to be taken again.
async fn take_from_everybody(
    migrations: &Migrations,
    connection: &DatabaseConnection,
) -> Result<(), BackupError> {
    let compared = compare(migrations, connection).await.map_err(DbErr::from)?;
    for difference in compared.differences {
        if difference.object == ObjectKind::Function && difference.change == Change::Altered {
            connection.execute_unprepared(&difference.mend).await?;
        }
    }
    Ok(())
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, sql)
}

/// A program that connects as the URL says. By its environment: everybody on the host sees a command line.
fn program(settings: &DatabaseSettings, name: &'static str) -> Command {
    let mut command = Command::new(name);
    let environment = settings.url.postgres_environment();
    for (variable, value) in environment.variables() {
        command.env(variable, value.expose_secret());
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(program: &'static str, mut command: Command) -> Result<(), BackupError> {
    let output = command.output().await;
    let Output { status, stderr, .. } =
        output.map_err(|source| BackupError::Program { program, source })?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr).trim().to_owned();
    Err(BackupError::ProgramFailed { program, said })
}
