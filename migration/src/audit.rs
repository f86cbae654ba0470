//! Triggers that keep the trail complete when somebody writes past the API: psql, sqlite3, another program.
//!
//! A table is described once, by its own columns; the triggers of both backends are made from that, and what they
//! write reads like what the API writes. The API writes its event before the row, so its own changes find their event
//! in place and cost one look at an index.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::support::{self, execute};

mod postgres;
mod sqlite;

/// A table whose every change is told in `events`.
#[derive(Clone)]
pub struct Audited {
    /// What the trail calls a row: `membership`.
    pub aggregate: &'static str,
    /// What the trail calls the end of a row: `REMOVED`.
    pub removal: &'static str,
    /// Columns that change without a version and an event.
    pub bookkeeping: &'static [&'static str],
    /// Columns that the trail shows only as redacted.
    pub secret: &'static [&'static str],
    /// The name of the table.
    pub table: &'static str,
    /// The table as it was created.
    pub definition: TableCreateStatement,
}

impl Audited {
    /// A table without secrets and bookkeeping, of which a row's end is called `DELETED`.
    pub fn of(
        aggregate: &'static str,
        table: &'static str,
        definition: TableCreateStatement,
    ) -> Self {
        Self {
            aggregate,
            removal: "DELETED",
            bookkeeping: &[],
            secret: &[],
            table,
            definition,
        }
    }

    /// The same table with more columns: what it is after a migration that adds them.
    pub fn with(mut self, columns: impl IntoIterator<Item = ColumnDef>) -> Self {
        for column in columns {
            self.definition.col(column);
        }
        self
    }

    /// The columns that the trail tells of.
    fn columns(&self) -> impl Iterator<Item = &ColumnDef> {
        self.definition.get_columns().iter().filter(|column| {
            !self
                .bookkeeping
                .contains(&column.get_column_name().as_str())
        })
    }

    fn column_names(&self) -> Vec<String> {
        self.columns().map(ColumnDef::get_column_name).collect()
    }

    fn has_column(&self, name: &str) -> bool {
        self.columns()
            .any(|column| column.get_column_name() == name)
    }

    /// `MEMBERSHIP`, the first half of an event's type.
    fn family(&self) -> String {
        self.aggregate.to_uppercase()
    }
}

/// Creates what the triggers of all tables share. The table `events` must be there.
pub async fn prepare(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => execute(manager, &sqlite::shared()).await,
        _ => execute(manager, postgres::SHARED).await,
    }
}

/// Drops what [`prepare`] made, once nothing uses it.
pub async fn dismantle(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => execute(manager, sqlite::DROP_SHARED).await,
        _ => execute(manager, postgres::DROP_SHARED).await,
    }
}

/// Creates a table and puts it under audit.
pub async fn create_table(manager: &SchemaManager<'_>, audited: &Audited) -> Result<(), DbErr> {
    support::create_table(manager, audited.definition.clone(), audited.table).await?;
    install(manager, audited).await
}

/// Adds columns to a table under audit, which was `before` until then, and makes its triggers again.
pub async fn add_columns(
    manager: &SchemaManager<'_>,
    before: &Audited,
    columns: &[ColumnDef],
) -> Result<(), DbErr> {
    remove(manager, before).await?;
    support::add_columns(manager, before.table, columns).await?;
    install(manager, &before.clone().with(columns.iter().cloned())).await
}

/// Takes what [`add_columns`] added away again.
pub async fn drop_columns(
    manager: &SchemaManager<'_>,
    before: &Audited,
    columns: &[ColumnDef],
) -> Result<(), DbErr> {
    remove(manager, &before.clone().with(columns.iter().cloned())).await?;
    support::drop_columns(manager, before.table, columns).await?;
    install(manager, before).await
}

/// Puts a table under audit.
pub async fn install(manager: &SchemaManager<'_>, audited: &Audited) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => execute(manager, &sqlite::triggers(audited)).await,
        _ => execute(manager, &postgres::triggers(audited)).await,
    }
}

/// Takes a table out of audit again; dropping the table does so too.
pub async fn remove(manager: &SchemaManager<'_>, audited: &Audited) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => execute(manager, &sqlite::drop_triggers(audited)).await,
        _ => execute(manager, &postgres::drop_triggers(audited)).await,
    }
}

/// Makes rows of `events` stay as they are.
pub async fn make_immutable(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::Sqlite => execute(manager, sqlite::IMMUTABLE_EVENTS).await,
        _ => execute(manager, postgres::IMMUTABLE_EVENTS).await,
    }
}
