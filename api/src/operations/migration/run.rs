//! Runs migrations: each in one transaction with its record, so that a process that is killed leaves the database between
//! two migrations.

#![expect(
    clippy::disallowed_methods,
    reason = "the tables of migrations hold nothing that is audited"
)]

use std::time::{Duration, Instant};

use migration::Migrator;
use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, Schema, Set, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, seaql_migrations};
use serde::Serialize;

use super::effect::{Effect, Teller};
use super::history::{COMPATIBLE_COLUMN, History, MIGRATIONS_TABLE, RECORDS_TABLE, Status, record};
use super::recording::{self, Direction, fingerprint};
use super::{MigrationError, Target, premises, resolve};
use crate::database::{Migrations, is_busy};
use crate::operations::{count_rows, environment};
use crate::values::clock;

/// How long to pause before the lock of a SQLite file is tried again, beside the time that SQLite itself waits.
const PAUSE: Duration = Duration::from_millis(100);

/// A migration that was applied or rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Its name.
    pub name: String,
    /// For how long.
    pub duration_ms: i64,
}

/// What is gone once a migration is rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The migration.
    pub migration: String,
    /// The table.
    pub table: String,
    /// The column, where it is not the whole table.
    pub column: Option<String>,
    /// The rows of the table.
    pub rows: u64,
}

/// Applies pending migrations, oldest first, and tells of each as it is done.
///
/// What another tool applied is adopted: its fingerprint is recorded as this build's.
///
/// # Errors
/// The first that failed is rolled back whole; those before it stay.
pub async fn up(
    migrations: &Migrations,
    database: &DatabaseConnection,
    target: &Target,
    lock_limit: Duration,
    mut tell: impl FnMut(&Done),
) -> Result<Vec<Done>, MigrationError> {
    let chosen = to_apply(migrations, database, target).await?;
    if chosen.first() == migrations.names().first() && !chosen.is_empty() {
        premises::check(database).await?;
    }
    adopt(migrations, database, lock_limit).await?;
    let mut done = Vec::new();
    for migration in migrations.all() {
        if !chosen.iter().any(|name| name == migration.name()) {
            continue;
        }
        let step = Step {
            migration: migration.as_ref(),
            direction: Direction::Up,
        };
        if let Some(this) = step.run(migrations, database, lock_limit).await? {
            tell(&this);
            done.push(this);
        }
    }
    Ok(done)
}

/// Rolls back applied migrations, newest first, and tells of each as it is done. Where none is left, the tables of
/// migrations go as well.
///
/// # Errors
/// The first that failed is undone whole; those before it stay rolled back.
pub async fn down(
    migrations: &Migrations,
    database: &DatabaseConnection,
    target: &Target,
    lock_limit: Duration,
    mut tell: impl FnMut(&Done),
) -> Result<Vec<Done>, MigrationError> {
    let chosen = to_roll_back(migrations, database, target).await?;
    if !chosen.is_empty() {
        adopt(migrations, database, lock_limit).await?;
    }
    let all = migrations.all();
    let mut done = Vec::new();
    for name in chosen {
        let Some(migration) = all.iter().find(|known| known.name() == name) else {
            return Err(MigrationError::Ahead {
                unknown: vec![name],
            });
        };
        let step = Step {
            migration: migration.as_ref(),
            direction: Direction::Down,
        };
        if let Some(this) = step.run(migrations, database, lock_limit).await? {
            tell(&this);
            done.push(this);
        }
    }
    if !done.is_empty()
        && History::read(migrations, database)
            .await?
            .applied()
            .is_empty()
    {
        uninstall(database).await?;
    }
    Ok(done)
}

/// Rolls back everything, and removes the tables of migrations.
///
/// # Errors
/// As [`down`].
pub async fn reset(
    migrations: &Migrations,
    database: &DatabaseConnection,
    lock_limit: Duration,
    tell: impl FnMut(&Done),
) -> Result<Vec<Done>, MigrationError> {
    let done = down(migrations, database, &Target::All, lock_limit, tell).await?;
    uninstall(database).await?;
    Ok(done)
}

/// What rolling back would lose, newest migration first.
///
/// # Errors
/// The database's; a target that is none.
pub async fn losses(
    migrations: &Migrations,
    database: &DatabaseConnection,
    target: &Target,
) -> Result<Vec<Loss>, MigrationError> {
    let backend = database.get_database_backend();
    let all = migrations.all();
    let mut losses = Vec::new();
    for name in to_roll_back(migrations, database, target).await? {
        let Some(migration) = all.iter().find(|known| known.name() == name) else {
            continue;
        };
        let direction = Direction::Down;
        let statements = recording::statements(migration.as_ref(), direction, backend).await;
        let mut teller = Teller::new(backend);
        for statement in statements.unwrap_or_default() {
            for effect in teller.effects(&statement) {
                if let Effect::LosesData { table, column } = effect {
                    let rows = count_rows(database, &table).await?;
                    let migration = name.clone();
                    losses.push(Loss {
                        migration,
                        table,
                        column,
                        rows,
                    });
                }
            }
        }
    }
    Ok(losses)
}

/// The names of what a target applies, oldest first.
pub(super) async fn to_apply(
    migrations: &Migrations,
    database: &DatabaseConnection,
    target: &Target,
) -> Result<Vec<String>, MigrationError> {
    let history = known(migrations, database).await?;
    let mut chosen = history.pending();
    match target {
        Target::All => {}
        Target::Count(count) => chosen.truncate(*count as usize),
        Target::To(name) => {
            let name = resolve(migrations, name)?;
            if history.applied().last().is_some_and(|last| *last > name) {
                let direction = Direction::Up;
                return Err(MigrationError::WrongWay { name, direction });
            }
            chosen.retain(|pending| *pending <= name);
        }
    }
    Ok(chosen)
}

/// The names of what a target rolls back, newest first.
pub(super) async fn to_roll_back(
    migrations: &Migrations,
    database: &DatabaseConnection,
    target: &Target,
) -> Result<Vec<String>, MigrationError> {
    let mut chosen = known(migrations, database).await?.applied();
    chosen.reverse();
    match target {
        Target::All => {}
        Target::Count(count) => chosen.truncate(*count as usize),
        Target::To(name) => {
            let name = resolve(migrations, name)?;
            if !chosen.contains(&name) {
                let direction = Direction::Down;
                return Err(MigrationError::WrongWay { name, direction });
            }
            chosen.retain(|applied| *applied > name);
        }
    }
    Ok(chosen)
}

/// The history, where this build can go on from it.
pub async fn known(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<History, MigrationError> {
    let mut history = History::read(migrations, database).await?;
    if !history.is_installed
        && let Some(table) = orphan(migrations, database).await?
    {
        // Another process may have made both meanwhile: on SQLite the lock is taken by each migration alone.
        history = History::read(migrations, database).await?;
        if !history.is_installed {
            return Err(MigrationError::HistoryMissing { table });
        }
    }
    let unknown = history.unknown();
    match unknown.is_empty() {
        true => Ok(history),
        false => Err(MigrationError::Ahead { unknown }),
    }
}

/// A table that a migration of this build makes and that is there.
async fn orphan(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Option<String>, DbErr> {
    let backend = database.get_database_backend();
    let manager = SchemaManager::new(database);
    for migration in migrations.all() {
        let direction = Direction::Up;
        let statements = recording::statements(migration.as_ref(), direction, backend).await;
        let mut teller = Teller::new(backend);
        for statement in statements.unwrap_or_default() {
            teller.effects(&statement);
        }
        for table in teller.made() {
            if manager.has_table(table).await? {
                return Ok(Some(table.to_owned()));
            }
        }
    }
    Ok(None)
}

/// One migration, one way.
struct Step<'a> {
    migration: &'a dyn MigrationTrait,
    direction: Direction,
}

impl Step<'_> {
    /// Runs it, unless another process was faster.
    async fn run(
        &self,
        migrations: &Migrations,
        database: &DatabaseConnection,
        lock_limit: Duration,
    ) -> Result<Option<Done>, MigrationError> {
        let transaction = begin(database, lock_limit).await?;
        let wanted = match self.direction {
            Direction::Up => Status::Pending,
            Direction::Down => Status::Applied,
        };
        let history = History::read(migrations, &transaction).await?;
        let name = self.migration.name();
        let mut entries = history.entries.iter();
        if !entries.any(|entry| entry.name == name && entry.status == wanted) {
            transaction.rollback().await?;
            return Ok(None);
        }
        let start = Instant::now();
        let outcome = match self.change(&transaction, start).await {
            Ok(()) => transaction.commit().await,
            Err(error) => {
                if let Err(error) = transaction.rollback().await {
                    tracing::warn!(%error, "a rollback failed; the database rolls back by itself");
                }
                Err(error)
            }
        };
        outcome.map_err(|source| MigrationError::Failed {
            name: name.to_owned(),
            direction: self.direction,
            source,
        })?;
        Ok(Some(Done {
            name: name.to_owned(),
            duration_ms: milliseconds(start),
        }))
    }

    async fn change(&self, transaction: &DatabaseTransaction, start: Instant) -> Result<(), DbErr> {
        premises::see_trigrams(transaction).await?;
        let manager = SchemaManager::new(transaction);
        let name = self.migration.name();
        match self.direction {
            Direction::Up => {
                self.migration.up(&manager).await?;
                let moment = clock::now();
                let applied = seaql_migrations::ActiveModel {
                    version: Set(name.to_owned()),
                    applied_at: Set(moment.timestamp()),
                };
                let insert = seaql_migrations::Entity::insert(applied);
                insert.exec_without_returning(transaction).await?;
                let backend = transaction.get_database_backend();
                let record = record::ActiveModel {
                    version: Set(name.to_owned()),
                    fingerprint: Set(fingerprint(self.migration, backend).await?),
                    applied_at: Set(moment),
                    duration_ms: Set(Some(milliseconds(start))),
                    compatible: Set(migration::is_compatible(name)),
                };
                let insert = record::Entity::insert(record);
                insert.exec_without_returning(transaction).await?;
            }
            Direction::Down => {
                self.migration.down(&manager).await?;
                let record = record::Entity::delete_by_id(name.to_owned());
                record.exec(transaction).await?;
                let applied = seaql_migrations::Entity::delete_by_id(name.to_owned());
                applied.exec(transaction).await?;
            }
        }
        Ok(())
    }
}

fn milliseconds(start: Instant) -> i64 {
    i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// A transaction that may change the schema; on SQLite it waits until no other process writes.
pub(super) async fn begin(
    database: &DatabaseConnection,
    limit: Duration,
) -> Result<DatabaseTransaction, MigrationError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let start = Instant::now();
    loop {
        match database.begin_with_options(options).await {
            Ok(transaction) => return Ok(transaction),
            // On PostgreSQL the lock is taken before, for all migrations at once.
            Err(error) if is_busy(&error) => {
                if start.elapsed() >= limit {
                    return Err(MigrationError::Locked { limit });
                }
                tracing::info!("another process writes this database; waiting for it");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the tables of migrations where they are missing.
async fn install(
    database: &DatabaseConnection,
    lock_limit: Duration,
) -> Result<(), MigrationError> {
    let transaction = begin(database, lock_limit).await?;
    Migrator::install(&transaction).await?;
    let schema = Schema::new(transaction.get_database_backend());
    let mut table = schema.create_table_from_entity(record::Entity);
    transaction.execute(table.if_not_exists()).await?;
    environment::install(&transaction).await?;
    let manager = SchemaManager::new(&transaction);
    if !manager.has_column(RECORDS_TABLE, COMPATIBLE_COLUMN).await? {
        let mut column = ColumnDef::new(COMPATIBLE_COLUMN);
        let column = column.boolean().not_null().default(false).take();
        let add = Table::alter()
            .table(RECORDS_TABLE)
            .add_column(column)
            .take();
        transaction.execute(&add).await?;
    }
    Ok(transaction.commit().await?)
}

/// Records what another tool applied, and forgets what it rolled back.
async fn adopt(
    migrations: &Migrations,
    database: &DatabaseConnection,
    lock_limit: Duration,
) -> Result<(), MigrationError> {
    install(database, lock_limit).await?;
    let transaction = begin(database, lock_limit).await?;
    let history = History::read(migrations, &transaction).await?;
    let applied = history.applied();
    record::Entity::delete_many()
        .filter(record::Column::Version.is_not_in(applied))
        .exec(&transaction)
        .await?;
    let backend = transaction.get_database_backend();
    for migration in migrations.all() {
        let mut entries = history.entries.iter();
        let found = entries.find(|entry| {
            entry.name == migration.name()
                && entry.status == Status::Applied
                && entry.fingerprint.is_none()
        });
        let Some(entry) = found else { continue };
        tracing::info!(
            migration = entry.name,
            "applied by another tool; adopted as this version has it"
        );
        let record = record::ActiveModel {
            version: Set(entry.name.clone()),
            fingerprint: Set(fingerprint(migration.as_ref(), backend).await?),
            applied_at: Set(entry.applied_at.unwrap_or_else(clock::now)),
            duration_ms: Set(None),
            compatible: Set(migration::is_compatible(&entry.name)),
        };
        let insert = record::Entity::insert(record);
        insert.exec_without_returning(&transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Removes the tables of migrations, and of what the database is for where that is nothing to be kept.
pub(super) async fn uninstall(database: &impl ConnectionTrait) -> Result<(), DbErr> {
    for table in [RECORDS_TABLE, MIGRATIONS_TABLE] {
        database
            .execute(Table::drop().table(table).if_exists())
            .await?;
    }
    environment::uninstall(database).await
}
