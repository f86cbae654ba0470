//! The schema as it is, beside the schema as the migrations make it.
//!
//! The latter is made on trial, by the very server: so the two read alike, whatever the version of the server is.

mod catalog;
mod difference;
mod document;
mod postgres;
mod sqlite;
mod sqlite_text;

pub use catalog::{Catalog, Object, ObjectKind, ObjectName, fingerprint};
pub use difference::{Aspect, Change, Difference};
pub use document::{DocumentError, document};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;
use serde::Serialize;

use super::environment::ENVIRONMENT_TABLE;
use super::migration::{self, MIGRATIONS_TABLE, MigrationError, RECORDS_TABLE, Trial};
use crate::database::Migrations;

/// How the schema of a database compares with what its migrations make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether there is any difference.
    pub drift: bool,
    /// The migration that was applied last: it and those before it make the schema that is expected.
    pub current: Option<String>,
    /// Migrations that were not applied yet; what they make is not expected.
    pub pending: Vec<String>,
    /// What differs, in an order in which it can be mended.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// The statements that mend all of it, each once, in their order.
    pub fn mends(&self) -> Vec<&str> {
        let mut mends: Vec<&str> = Vec::new();
        for difference in &self.differences {
            if !mends.contains(&difference.mend.as_str()) {
                mends.push(&difference.mend);
            }
        }
        mends
    }
}

/// Compares the schema of a database with what the migrations make that were applied to it. Changes nothing.
///
/// On PostgreSQL it takes the right to create a schema in the database.
///
/// # Errors
/// A database whose migrations this build does not know; the database's own.
pub async fn compare(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<Comparison, MigrationError> {
    let history = migration::known(migrations, database).await?;
    let applied = history.applied();
    let live = read(database).await?;
    let expected = made(migrations, database, &applied).await?;
    let differences = match database.get_database_backend() {
        DbBackend::Sqlite => difference::between(&expected, &live, sqlite::mend),
        _ => difference::between(&expected, &live, postgres::mend),
    };
    Ok(Comparison {
        drift: !differences.is_empty(),
        current: applied.last().cloned(),
        pending: history.pending(),
        differences,
    })
}

/// What is in the current schema of a database.
///
/// # Errors
/// The database's.
pub async fn read(connection: &impl ConnectionTrait) -> Result<Catalog, DbErr> {
    let mut catalog = match connection.get_database_backend() {
        DbBackend::Sqlite => sqlite::read(connection).await?,
        _ => postgres::read(connection).await?,
    };
    // What migrations need for themselves: sea-orm-migration keeps the one, and the others are made beside it.
    for own in [MIGRATIONS_TABLE, RECORDS_TABLE, ENVIRONMENT_TABLE] {
        catalog.retain(|name, _| *name != ObjectName::table(own) && !name.is_part_of(own));
    }
    Ok(catalog)
}

/// What migrations make on trial beside a database, as it would be in the database's own schema.
pub(super) async fn made(
    migrations: &Migrations,
    database: &DatabaseConnection,
    names: &[String],
) -> Result<Catalog, MigrationError> {
    let own_schema = postgres::current_schema(database).await?;
    let trial = Trial::begin(database).await?;
    let trial_schema = trial.schema.clone();
    let mut catalog = made_on(migrations, trial, names).await?;
    if let (Some(trial), Some(own)) = (trial_schema, own_schema) {
        for object in catalog.values_mut() {
            postgres::rename_schema(object, &trial, &own);
        }
    }
    Ok(catalog)
}

async fn made_on(
    migrations: &Migrations,
    trial: Trial,
    names: &[String],
) -> Result<Catalog, DbErr> {
    let outcome = async {
        let manager = SchemaManager::new(&trial.transaction);
        for migration in migrations.all() {
            if names.iter().any(|name| name == migration.name()) {
                migration.up(&manager).await?;
            }
        }
        trial.look_as_from_outside().await?;
        read(&trial.transaction).await
    };
    let outcome = outcome.await;
    trial.end().await?;
    outcome
}
