//! What was applied to a database: SeaORM's own table, and beside it what each migration did, when and for how long.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{DbErr, QuerySelect};
use sea_orm_migration::{
    IntoSchemaManagerConnection, SchemaManager, SchemaManagerConnection, seaql_migrations,
};
use serde::Serialize;

use crate::access::tenancy::{Reason, all_rows};
use crate::database::Migrations;

/// SeaORM's table of what was applied.
pub const MIGRATIONS_TABLE: &str = "seaql_migrations";
/// The table of what each applied migration did.
pub const RECORDS_TABLE: &str = "rollbook_migrations";

/// The column that says whether the version before goes on with a migration.
pub(super) const COMPATIBLE_COLUMN: &str = "compatible";

/// The table of what each applied migration did. No migration makes it, or `sea-orm-cli` would make the entity of it.
pub(super) mod record {
    use sea_orm::entity::prelude::*;

    /// One applied migration.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rollbook_migrations")]
    pub struct Model {
        /// Its name, as in SeaORM's table.
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: String,
        /// What it did.
        pub fingerprint: String,
        /// When.
        pub applied_at: DateTimeUtc,
        /// For how long; unknown where another tool applied it.
        pub duration_ms: Option<i64>,
        /// Whether the version before goes on with it. Read by versions that do not know the migration.
        #[sea_orm(default_value = false)]
        pub compatible: bool,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whether a migration was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was.
    Applied,
    /// It was not.
    Pending,
}

/// One migration, of this build or of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub status: Status,
    /// Whether this build has it.
    pub known: bool,
    /// When it was applied.
    pub applied_at: Option<DateTime<Utc>>,
    /// For how long; unknown where another tool applied it.
    pub duration_ms: Option<i64>,
    /// What it did when it was applied; unknown where another tool applied it.
    pub fingerprint: Option<String>,
}

/// The migrations of this build and of the database, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether SeaORM's table is there.
    pub is_installed: bool,
    /// The migrations.
    pub entries: Vec<Entry>,
}

impl History {
    /// Reads it. Makes no table.
    ///
    /// # Errors
    /// The database's.
    pub async fn read<'c>(
        migrations: &Migrations,
        connection: impl IntoSchemaManagerConnection<'c>,
    ) -> Result<Self, DbErr> {
        let manager = SchemaManager::new(connection);
        let connection = manager.get_connection();
        let is_installed = manager.has_table(MIGRATIONS_TABLE).await?;
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for name in migrations.names() {
            entries.insert(name.clone(), Entry::pending(name));
        }
        if is_installed {
            for applied in all_rows::<seaql_migrations::Entity>(Reason::System)
                .all(connection)
                .await?
            {
                let entry = entries
                    .entry(applied.version.clone())
                    .or_insert_with(|| Entry {
                        known: false,
                        ..Entry::pending(applied.version)
                    });
                entry.status = Status::Applied;
                entry.applied_at = DateTime::from_timestamp(applied.applied_at, 0);
            }
        }
        for record in records(&manager, connection).await? {
            if let Some(entry) = entries.get_mut(&record.version)
                && entry.status == Status::Applied
            {
                entry.applied_at = Some(record.applied_at);
                entry.duration_ms = record.duration_ms;
                entry.fingerprint = Some(record.fingerprint);
            }
        }
        Ok(Self {
            is_installed,
            entries: entries.into_values().collect(),
        })
    }

    /// The names of what was applied, in their order.
    pub fn applied(&self) -> Vec<String> {
        self.with(Status::Applied)
    }

    /// The names of what was not applied, in their order.
    pub fn pending(&self) -> Vec<String> {
        self.with(Status::Pending)
    }

    /// What the database has and this build does not.
    pub fn unknown(&self) -> Vec<String> {
        let unknown = self.entries.iter().filter(|entry| !entry.known);
        unknown.map(|entry| entry.name.clone()).collect()
    }

    fn with(&self, status: Status) -> Vec<String> {
        let fitting = self.entries.iter().filter(|entry| entry.status == status);
        fitting.map(|entry| entry.name.clone()).collect()
    }
}

impl Entry {
    fn pending(name: String) -> Self {
        Self {
            name,
            status: Status::Pending,
            known: true,
            applied_at: None,
            duration_ms: None,
            fingerprint: None,
        }
    }
}

async fn records(
    manager: &SchemaManager<'_>,
    connection: &SchemaManagerConnection<'_>,
) -> Result<Vec<record::Model>, DbErr> {
    if !manager.has_table(RECORDS_TABLE).await? {
        return Ok(Vec::new());
    }
    if manager.has_column(RECORDS_TABLE, COMPATIBLE_COLUMN).await? {
        return all_rows::<record::Entity>(Reason::System)
            .all(connection)
            .await;
    }
    // As versions before this column made it.
    let columns = [
        record::Column::Version,
        record::Column::Fingerprint,
        record::Column::AppliedAt,
        record::Column::DurationMs,
    ];
    let select = all_rows::<record::Entity>(Reason::System)
        .select_only()
        .columns(columns);
    let select = select.expr_as(Expr::val(false), COMPATIBLE_COLUMN);
    select.all(connection).await
}
