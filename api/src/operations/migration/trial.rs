//! A place where migrations can be applied and leave nothing behind.

#![expect(
    clippy::disallowed_methods,
    reason = "what is done on trial is done in a throw-away schema or file"
)]

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, Statement, TransactionTrait,
};

use super::{MigrationError, premises};
use crate::database::is_denied;
use crate::values::clock;

/// A file in memory, or on PostgreSQL a schema of its own in a transaction that is rolled back.
pub struct Trial {
    /// What the migrations run in; its current schema is empty at first.
    pub transaction: DatabaseTransaction,
    /// The name of the schema (PostgreSQL).
    pub schema: Option<String>,
    /// A file in memory lives as long as its connection.
    _memory: Option<DatabaseConnection>,
}

impl Trial {
    /// Begins one beside a database. On PostgreSQL it takes the right to create a schema there.
    ///
    /// # Errors
    /// [`MigrationError::ReadOnly`], [`MigrationError::NotAllowed`]; the database's.
    pub async fn begin(database: &DatabaseConnection) -> Result<Self, MigrationError> {
        if database.get_database_backend() == DbBackend::Sqlite {
            return Ok(Self::in_memory().await?);
        }
        let transaction = database.begin().await?;
        let question = "SELECT current_setting('transaction_read_only') = 'on'";
        let question = Statement::from_string(DbBackend::Postgres, question);
        let answer = transaction.query_one_raw(question).await?;
        if answer.map(|row| row.try_get_by_index(0)).transpose()? == Some(true) {
            transaction.rollback().await?;
            return Err(MigrationError::ReadOnly);
        }
        let schema = format!("rollbook_trial_{}", clock::new_id().simple());
        // Nobody is kept waiting: what cannot be had at once is an error.
        let prepare = format!(
            "SET LOCAL lock_timeout = '2s'; CREATE SCHEMA {schema};
             SELECT set_config('search_path', '{schema}, ' || current_setting('search_path'), true)"
        );
        if let Err(error) = transaction.execute_unprepared(&prepare).await {
            transaction.rollback().await?;
            return Err(match is_denied(&error) {
                true => MigrationError::NotAllowed(error),
                false => error.into(),
            });
        }
        premises::see_trigrams(&transaction).await?;
        Ok(Self {
            transaction,
            schema: Some(schema),
            _memory: None,
        })
    }

    /// Begins one on SQLite.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_memory() -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1).sqlx_logging(false);
        let memory = Database::connect(options).await?;
        Ok(Self {
            transaction: memory.begin().await?,
            schema: None,
            _memory: Some(memory),
        })
    }

    /// Lets the catalog speak of extensions as it does outside: by their schema, where it is not on the search path.
    ///
    /// # Errors
    /// The database's.
    pub async fn look_as_from_outside(&self) -> Result<(), DbErr> {
        let Some(schema) = &self.schema else {
            return Ok(());
        };
        // What the session has, without what was set in this transaction alone.
        let reset = format!(
            "SELECT set_config('search_path', '{schema}, ' || reset_val, true) FROM pg_settings WHERE name = 'search_path'"
        );
        self.transaction.execute_unprepared(&reset).await.map(drop)
    }

    /// Ends it. Nothing of it stays.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(self) -> Result<(), DbErr> {
        self.transaction.rollback().await
    }
}
