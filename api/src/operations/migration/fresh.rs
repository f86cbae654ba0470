//! Starting anew without rolling back: what the migrations make goes as it is, and nothing that is somebody else's.

#![expect(
    clippy::disallowed_methods,
    reason = "what goes has its names from the catalog of a throw-away schema or file"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
};

use super::effect::Teller;
use super::recording::{self, Direction};
use super::run::{Done, Loss, begin, known, uninstall, up};
use super::{MigrationError, Target};
use crate::database::Migrations;
use crate::operations::count_rows;
use crate::operations::schema::{self, Catalog, ObjectKind, ObjectName};

/// What goes when a database is made anew: everything in it that the migrations make that were applied to it.
#[derive(Debug)]
pub struct Remains {
    objects: Catalog,
    /// What goes with its rows, in the order of the names of its tables.
    pub losses: Vec<Loss>,
}

impl Remains {
    /// Finds it. Changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::Taken`]; a database whose migrations this build does not know; the database's own.
    pub async fn find(
        migrations: &Migrations,
        database: &DatabaseConnection,
    ) -> Result<Self, MigrationError> {
        let applied = known(migrations, database).await?.applied();
        let mut objects = schema::read(database).await?;
        let ours = schema::made(migrations, database, &applied).await?;
        let all = schema::made(migrations, database, &migrations.names()).await?;
        let taken = all.keys().find(|name| {
            name.kind == ObjectKind::Table && !ours.contains_key(name) && objects.contains_key(name)
        });
        if let Some(table) = taken {
            return Err(MigrationError::Taken {
                table: table.name.clone(),
            });
        }
        objects.retain(|name, _| ours.contains_key(name));
        let makers = makers(migrations, database.get_database_backend()).await;
        let mut losses = Vec::new();
        for table in tables(&objects) {
            losses.push(Loss {
                migration: makers.get(&table).cloned().unwrap_or_default(),
                rows: count_rows(database, &table).await?,
                table,
                column: None,
            });
        }
        Ok(Self { objects, losses })
    }

    /// Removes it, all or nothing.
    async fn remove(&self, transaction: &DatabaseTransaction) -> Result<(), MigrationError> {
        let backend = transaction.get_database_backend();
        if backend == DbBackend::Sqlite {
            refuse_foreign_references(transaction, &tables(&self.objects)).await?;
            // The tables refer to each other.
            let defer = "PRAGMA defer_foreign_keys = ON";
            transaction.execute_unprepared(defer).await?;
        }
        for statement in drops(backend, &self.objects) {
            let dropped = transaction.execute_unprepared(&statement).await;
            dropped.map_err(MigrationError::InUse)?;
        }
        Ok(())
    }
}

/// Drops what the migrations make, without rolling back, and applies everything.
///
/// # Errors
/// Where something of somebody else's stands on what would go, nothing is changed; else as [`up`].
pub async fn fresh(
    migrations: &Migrations,
    database: &DatabaseConnection,
    remains: &Remains,
    lock_limit: Duration,
    tell: impl FnMut(&Done),
) -> Result<Vec<Done>, MigrationError> {
    let transaction = begin(database, lock_limit).await?;
    let removed = async {
        remains.remove(&transaction).await?;
        Ok(uninstall(&transaction).await?)
    };
    match removed.await {
        Ok(()) => transaction.commit().await.map_err(MigrationError::InUse)?,
        Err(error) => {
            transaction.rollback().await?;
            return Err(error);
        }
    }
    up(migrations, database, &Target::All, lock_limit, tell).await
}

/// The statements that drop it: what stands on tables before them, what they stand on after.
fn drops(backend: DbBackend, objects: &Catalog) -> Vec<String> {
    let of = |kind: ObjectKind| -> Vec<&str> {
        let names = objects.keys().filter(|name| name.kind == kind);
        names.map(|name| name.name.as_str()).collect()
    };
    let mut statements = Vec::new();
    if backend == DbBackend::Sqlite {
        // A table that is dropped there deletes its rows first, and by its references those of tables that are still
        // there: their triggers would write events, into a table that is gone.
        let triggers = of(ObjectKind::Trigger).into_iter();
        statements.extend(triggers.map(|name| format!("DROP TRIGGER {name}")));
    }
    for (kind, word) in [
        (ObjectKind::View, "VIEW"),
        (ObjectKind::Table, "TABLE"),
        (ObjectKind::Function, "FUNCTION"),
        (ObjectKind::Type, "TYPE"),
    ] {
        let names = of(kind);
        match backend {
            // SQLite drops one at a time.
            DbBackend::Sqlite => {
                statements.extend(names.iter().map(|name| format!("DROP {word} {name}")));
            }
            _ if names.is_empty() => {}
            _ => statements.push(format!("DROP {word} {}", names.join(", "))),
        }
    }
    statements
}

fn tables(objects: &Catalog) -> Vec<String> {
    let tables = objects
        .keys()
        .filter(|name| name.kind == ObjectKind::Table)
        .map(|ObjectName { name, .. }| name.clone());
    tables.collect()
}

/// Which migration makes each table.
async fn makers(migrations: &Migrations, backend: DbBackend) -> BTreeMap<String, String> {
    let mut makers = BTreeMap::new();
    for migration in migrations.all() {
        let direction = Direction::Up;
        let statements = recording::statements(migration.as_ref(), direction, backend).await;
        let mut teller = Teller::new(backend);
        for statement in statements.unwrap_or_default() {
            teller.effects(&statement);
        }
        for table in teller.made() {
            makers.insert(table.to_owned(), migration.name().to_owned());
        }
    }
    makers
}

/// Dropping a table of SQLite deletes its rows first, and with them rows that refer to them by `ON DELETE CASCADE`,
/// whose ever they are. PostgreSQL refuses by itself.
async fn refuse_foreign_references(
    transaction: &DatabaseTransaction,
    own: &[String],
) -> Result<(), MigrationError> {
    let sql = "SELECT DISTINCT t.name, r.\"table\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) r
               WHERE t.type = 'table' ORDER BY 1, 2";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let own: BTreeSet<String> = own.iter().map(|name| name.to_lowercase()).collect();
    for row in transaction.query_all_raw(statement).await? {
        let (table, target): (String, String) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if own.contains(&target.to_lowercase()) && !own.contains(&table.to_lowercase()) {
            let message = format!("the table {table} refers to {target}");
            return Err(MigrationError::InUse(DbErr::Custom(message)));
        }
    }
    Ok(())
}
