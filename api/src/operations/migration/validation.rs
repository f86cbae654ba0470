//! Whether the migrations of this build and those of the database fit together, and whether each can be taken back.

#![expect(
    clippy::disallowed_methods,
    reason = "the names come from the catalog of a throw-away schema or file"
)]

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
};
use sea_orm_migration::{MigrationTrait, SchemaManager};
use serde::Serialize;

use super::history::{History, Status};
use super::recording::{self, Direction, fingerprint};
use super::trial::Trial;
use super::{MigrationError, version};
use crate::database::Migrations;

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The database has it, this build does not.
    Unknown,
    /// It is not what it was when it was applied.
    Changed,
    /// It is pending, and a later one was applied.
    OutOfOrder,
    /// Two of this build have one name.
    DuplicateName,
    /// Two of this build have one version.
    DuplicateVersion,
    /// It cannot be rolled back.
    NoReversal,
    /// Rolling it back fails, or leaves something behind.
    FailingReversal,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The migration.
    pub migration: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl Finding {
    fn new(kind: FindingKind, migration: &str, message: impl Into<String>) -> Self {
        let mend = match kind {
            FindingKind::Unknown => "use the rollbook that applied it, or one that is newer",
            FindingKind::Changed => {
                "an applied migration never changes: restore it, and make the change in a new one; `rollbook schema \
                 diff` shows what the database lacks"
            }
            FindingKind::OutOfOrder => {
                "roll back to the migration before it and go up again, or rename it to come last"
            }
            FindingKind::DuplicateName | FindingKind::DuplicateVersion => "rename one of the two",
            FindingKind::NoReversal => "write its down",
            FindingKind::FailingReversal => "mend its down: it has to undo all that its up does",
        };
        Self {
            kind,
            migration: migration.to_owned(),
            message: message.into(),
            mend: mend.to_owned(),
        }
    }
}

/// Everything that does not fit. Changes nothing: reversals are tried in a file in memory, or on PostgreSQL in a schema
/// of their own within a transaction that is rolled back.
///
/// # Errors
/// The database's.
pub async fn validate(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Vec<Finding>, MigrationError> {
    let mut findings = misfitting(migrations, database).await?;
    findings.extend(irreversible(migrations, database).await?);
    Ok(findings)
}

/// What can be found by looking alone.
pub(in crate::operations) async fn misfitting(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Vec<Finding>, DbErr> {
    let mut findings = duplicates(migrations);
    let history = History::read(migrations, database).await?;
    findings.extend(misfits(migrations, &history, database.get_database_backend()).await?);
    Ok(findings)
}

fn duplicates(migrations: &Migrations) -> Vec<Finding> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in migrations.names() {
        versions
            .entry(version(&name).to_owned())
            .or_default()
            .push(name);
    }
    let mut findings = Vec::new();
    for (version, names) in versions {
        for (index, name) in names.iter().enumerate().skip(1) {
            if names[..index].contains(name) {
                let message = "two migrations have this name";
                findings.push(Finding::new(FindingKind::DuplicateName, name, message));
            } else {
                let message = format!("{} has the version {version} too", names[0]);
                findings.push(Finding::new(FindingKind::DuplicateVersion, name, message));
            }
        }
    }
    findings
}

async fn misfits(
    migrations: &Migrations,
    history: &History,
    backend: DbBackend,
) -> Result<Vec<Finding>, DbErr> {
    let mut findings = Vec::new();
    for name in history.unknown() {
        let message = "the database has it, and this version does not";
        findings.push(Finding::new(FindingKind::Unknown, &name, message));
    }
    let last = history.applied().pop();
    for entry in &history.entries {
        if entry.status == Status::Pending
            && let Some(last) = last.as_ref().filter(|last| **last > entry.name)
        {
            let message = format!("it is pending, but {last} was applied");
            findings.push(Finding::new(FindingKind::OutOfOrder, &entry.name, message));
        }
    }
    for migration in migrations.all() {
        let name = migration.name();
        let mut entries = history.entries.iter();
        let recorded = entries
            .find(|entry| entry.name == name)
            .and_then(|entry| entry.fingerprint.as_ref());
        let Some(recorded) = recorded else { continue };
        let current = fingerprint(migration.as_ref(), backend).await?;
        if *recorded != current {
            let message = format!(
                "it was applied as {}, and is {} now",
                &recorded[..recorded.len().min(12)],
                &current[..12]
            );
            findings.push(Finding::new(FindingKind::Changed, name, message));
        }
    }
    Ok(findings)
}

/// What has to be tried.
pub(in crate::operations) async fn irreversible(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Vec<Finding>, MigrationError> {
    let backend = database.get_database_backend();
    let mut findings = Vec::new();
    for migration in migrations.all() {
        if let Err(error) =
            recording::statements(migration.as_ref(), Direction::Down, backend).await
        {
            let message = format!("it cannot be rolled back: {error}");
            findings.push(Finding::new(
                FindingKind::NoReversal,
                migration.name(),
                message,
            ));
        }
    }
    if findings.is_empty() {
        findings.extend(try_reversals(migrations, database).await?);
    }
    Ok(findings)
}

/// Applies all, and rolls back all; each has to leave what was there before it was applied.
async fn try_reversals(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Option<Finding>, MigrationError> {
    let trial = Trial::begin(database).await?;
    let outcome = there_and_back(migrations, &trial.transaction).await;
    trial.end().await?;
    Ok(outcome?)
}

async fn there_and_back(
    migrations: &Migrations,
    trial: &DatabaseTransaction,
) -> Result<Option<Finding>, DbErr> {
    let manager = SchemaManager::new(trial);
    let mut before = Vec::new();
    let failed = |migration: &dyn MigrationTrait, what: &str, error: DbErr| {
        let message = format!("{what} fails: {error}");
        Finding::new(FindingKind::FailingReversal, migration.name(), message)
    };
    let all = migrations.all();
    for migration in &all {
        before.push(objects(trial).await?);
        if let Err(error) = migration.up(&manager).await {
            return Ok(Some(failed(
                migration.as_ref(),
                "applying it on trial",
                error,
            )));
        }
    }
    for (migration, before) in all.iter().zip(before).rev() {
        if let Err(error) = migration.down(&manager).await {
            return Ok(Some(failed(
                migration.as_ref(),
                "rolling it back on trial",
                error,
            )));
        }
        let after = objects(trial).await?;
        let left = after.iter().filter(|object| !before.contains(object));
        let gone = before.iter().filter(|object| !after.contains(object));
        let differing: Vec<&str> = left.chain(gone).map(String::as_str).collect();
        if !differing.is_empty() {
            let message = format!(
                "rolled back, it leaves a difference: {}",
                differing.join(", ")
            );
            let kind = FindingKind::FailingReversal;
            return Ok(Some(Finding::new(kind, migration.name(), message)));
        }
    }
    Ok(None)
}

/// The name of everything in the schema on trial.
async fn objects(trial: &DatabaseTransaction) -> Result<Vec<String>, DbErr> {
    let backend = trial.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => {
            "SELECT type || ' ' || name || coalesce(' ' || sql, '') FROM sqlite_schema ORDER BY 1"
        }
        _ => {
            "SELECT 'relation ' || relname || coalesce(': ' || (
                SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '')
             FROM pg_class c WHERE relnamespace = current_schema()::regnamespace
             UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = current_schema()::regnamespace
             UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
             UNION ALL SELECT 'constraint ' || conname FROM pg_constraint
                       WHERE connamespace = current_schema()::regnamespace
             UNION ALL SELECT 'trigger ' || tgname || ' on ' || relname FROM pg_trigger t
                       JOIN pg_class c ON c.oid = tgrelid
                       WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
             UNION ALL SELECT 'extension ' || extname FROM pg_extension
             ORDER BY 1"
        }
    };
    let rows = trial
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
