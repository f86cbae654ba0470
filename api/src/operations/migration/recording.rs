//! What a migration does, as SQL, without a database: it runs on a connection that only writes down.

use sea_orm::{DbBackend, DbErr, MockDatabase, MockExecResult};
use sea_orm_migration::{MigrationTrait, SchemaManager};
use serde::Serialize;

use crate::operations::Fingerprint;

/// Statements that one migration may have; the connection that writes down has an answer ready for each.
const MOST: usize = 4096;

/// Which way a migration is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Applied.
    Up,
    /// Rolled back.
    Down,
}

/// The statements that a migration runs on an empty database, in their order.
///
/// # Errors
/// The migration's own, such as that it cannot be rolled back.
pub async fn statements(
    migration: &dyn MigrationTrait,
    direction: Direction,
    backend: DbBackend,
) -> Result<Vec<String>, DbErr> {
    let connection = MockDatabase::new(backend)
        .append_exec_results(vec![MockExecResult::default(); MOST])
        .append_query_results(vec![Vec::<Row>::new(); MOST])
        .into_connection();
    let manager = SchemaManager::new(&connection);
    match direction {
        Direction::Up => migration.up(&manager).await?,
        Direction::Down => migration.down(&manager).await?,
    }
    let transactions = connection.into_transaction_log();
    let statements = transactions.iter().flat_map(|one| one.statements());
    Ok(statements.map(ToString::to_string).collect())
}

/// A row of an answer; none is ever given.
type Row = std::collections::BTreeMap<String, sea_orm::Value>;

/// SHA-256, in hexadecimal, over every statement of a migration, up and down, each with its length before it.
///
/// One that cannot be rolled back has a fingerprint of what it applies. What things mean is left out: it can be worded
/// better in a migration that was applied, as the database does nothing by it.
///
/// # Errors
/// Where the migration fails on a connection that refuses nothing.
pub async fn fingerprint(
    migration: &dyn MigrationTrait,
    backend: DbBackend,
) -> Result<String, DbErr> {
    let mut fingerprint = Fingerprint::default();
    let up = statements(migration, Direction::Up, backend).await?;
    let down = statements(migration, Direction::Down, backend).await;
    for mut list in [up, down.unwrap_or_default()] {
        list.retain(|statement| !statement.starts_with("COMMENT ON "));
        fingerprint.count(list.len());
        for statement in list {
            fingerprint.text(&statement);
        }
    }
    Ok(fingerprint.finish())
}
