//! What a PostgreSQL has to have before the first migration is applied to it, and where its extension is.

#![expect(
    clippy::disallowed_methods,
    reason = "settings of the server and its catalog, which have no entities"
)]

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
};

use super::MigrationError;

/// Finds what the migrations would fail for in their middle.
///
/// # Errors
/// What is missing, with a hint; the database's.
pub(super) async fn check(database: &DatabaseConnection) -> Result<(), MigrationError> {
    if database.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let question = "SELECT current_setting('server_encoding'),
        EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')
        OR EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')";
    let question = Statement::from_string(DbBackend::Postgres, question);
    let Some(answer) = database.query_one_raw(question).await? else {
        return Ok(());
    };
    let found: String = answer.try_get_by_index(0)?;
    if found != "UTF8" {
        return Err(MigrationError::Encoding { found });
    }
    match answer.try_get_by_index(1)? {
        true => Ok(()),
        false => Err(MigrationError::NoTrigrams),
    }
}

/// Lets the names of `pg_trgm` be found in this transaction, in whichever schema somebody has put it: managed services
/// have one for extensions. It comes last, so that nothing is made there.
pub(super) async fn see_trigrams(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let extend = "SELECT set_config('search_path', current_setting('search_path') || ', ' || quote_ident(nspname), true)
        FROM pg_extension JOIN pg_namespace home ON home.oid = extnamespace
        WHERE extname = 'pg_trgm' AND nspname <> ALL (current_schemas(true)) AND current_schema() IS NOT NULL";
    let extend = Statement::from_string(DbBackend::Postgres, extend);
    transaction.query_one_raw(extend).await.map(drop)
}
