//! The connection that migrations run on, one process at a time.

use std::time::Duration;

use sea_orm::{
    DatabaseConnection,
    sqlx::{self, Connection, PgConnection},
};

use super::connect::{
    ConnectError, close, connect_before_migrations, connect_for_migrations, postgres_connection,
};
use super::settings::DatabaseSettings;

/// Names the lock among all advisory locks of a database; any number would do, this one says whose it is.
const LOCK: i64 = i64::from_be_bytes(*b"rollbook");

/// A connection to migrate on. On PostgreSQL it holds a lock while it is open, so that servers that start together
/// with `--migrate` do not apply the same migration twice.
#[derive(Debug)]
pub struct MigrationConnection {
    connection: DatabaseConnection,
    lock: Option<PgConnection>,
}

impl MigrationConnection {
    /// Connects, and waits until no other process migrates this database.
    pub async fn open(settings: &DatabaseSettings) -> Result<Self, ConnectError> {
        let connection = connect_for_migrations(settings).await?;
        let limit = settings.migration_lock_timeout;
        let lock = match postgres_connection(settings).await? {
            None => None,
            Some((mut holder, address)) => match take_lock(&mut holder, limit).await {
                Ok(()) => Some(holder),
                Err(source) if is_lock_timeout(&source) => {
                    return Err(ConnectError::Locked { limit });
                }
                Err(source) => return Err(ConnectError::Server { address, source }),
            },
        };
        Ok(Self { connection, lock })
    }

    /// Connects, to look only: waits for nobody.
    pub async fn open_unlocked(settings: &DatabaseSettings) -> Result<Self, ConnectError> {
        let connection = connect_before_migrations(settings).await?;
        Ok(Self {
            connection,
            lock: None,
        })
    }

    /// The connection itself.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Closes the connection and lets the next process migrate.
    pub async fn close(self) {
        close(self.connection).await;
        if let Some(lock) = self.lock
            && let Err(error) = lock.close().await
        {
            tracing::debug!(%error, "the connection that held the lock did not close cleanly");
        }
    }
}

async fn take_lock(connection: &mut PgConnection, limit: Duration) -> Result<(), sqlx::Error> {
    let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?;
    if taken {
        return Ok(());
    }
    tracing::info!(
        limit_s = limit.as_secs_f64(),
        "another process migrates this database; waiting for it"
    );
    sqlx::query("SELECT set_config('lock_timeout', $1, false)")
        .bind(limit.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await?;
    Ok(())
}

/// PostgreSQL's lock_not_available.
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}
