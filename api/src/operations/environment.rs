//! What a database is for, kept in the database itself: a setting is another one in each shell, and can be forgotten.

#![expect(
    clippy::disallowed_methods,
    reason = "this table holds nothing that is audited"
)]

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{OnConflict, Table};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Schema, Set};

use crate::database::is_missing;
use crate::values::clock;

/// The table of what the database is for. No migration makes it, as it stays where all of them are rolled back.
pub const ENVIRONMENT_TABLE: &str = "rollbook_environment";
const PRODUCTION: &str = "production";

mod row {
    use sea_orm::entity::prelude::*;

    /// What the database is for.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rollbook_environment")]
    pub struct Model {
        /// `production`; a database that is for development has no row.
        #[sea_orm(primary_key, auto_increment = false)]
        pub environment: String,
        /// Since when.
        pub since: DateTimeUtc,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Since when the database has been in production, as it says of itself.
///
/// # Errors
/// The database's.
pub async fn production_since(
    connection: &impl ConnectionTrait,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    let found = row::Entity::find_by_id(PRODUCTION).one(connection).await;
    match found {
        Ok(row) => Ok(row.map(|row| row.since)),
        // Not asked of the catalog: that shows nothing to a role without any right to the table, and would let it go on.
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes that the database is in production; whether that is new.
///
/// # Errors
/// The database's.
pub async fn mark_production(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    mark_production_since(connection, clock::now()).await
}

/// The same, for a database that has been so for longer.
///
/// # Errors
/// The database's.
pub async fn mark_production_since(
    connection: &impl ConnectionTrait,
    since: DateTime<Utc>,
) -> Result<bool, DbErr> {
    // First, as a server need not have the right to write it again.
    if production_since(connection).await?.is_some() {
        return Ok(false);
    }
    install(connection).await?;
    let row = row::ActiveModel {
        environment: Set(PRODUCTION.to_owned()),
        since: Set(since),
    };
    let once = OnConflict::column(row::Column::Environment)
        .do_nothing()
        .to_owned();
    row::Entity::insert(row)
        .on_conflict(once)
        .exec_without_returning(connection)
        .await?;
    Ok(true)
}

/// Takes it back; whether there was anything to take back.
///
/// # Errors
/// The database's.
pub async fn unmark_production(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    if production_since(connection).await?.is_none() {
        return Ok(false);
    }
    let row = row::Entity::delete_by_id(PRODUCTION);
    row.exec(connection).await?;
    Ok(true)
}

/// Makes the table where it is missing.
pub(super) async fn install(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let schema = Schema::new(connection.get_database_backend());
    let mut table = schema.create_table_from_entity(row::Entity);
    connection.execute(table.if_not_exists()).await?;
    Ok(())
}

/// Removes the table, where it says nothing.
pub(super) async fn uninstall(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    // In a transaction of PostgreSQL nothing may fail, so the table is there when it is asked.
    install(connection).await?;
    if production_since(connection).await?.is_none() {
        let mut table = Table::drop();
        connection.execute(table.table(ENVIRONMENT_TABLE)).await?;
    }
    Ok(())
}
