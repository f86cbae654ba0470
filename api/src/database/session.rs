//! Whether a connection to PostgreSQL is a session of its own: what is prepared on it stays on it.

use std::time::Duration;

use sea_orm::sqlx::{self, Connection, PgConnection};
use tokio::time::timeout;

/// A pooler in transaction mode may give a client the same connection several times by chance, not so often.
const ROUNDS: i64 = 8;

/// Asks over two connections by turns, in and out of transactions. The driver prepares what it asks under a name, the
/// same on every connection: where a pooler gives one session to both, a name is there already, or there no more.
///
/// # Errors
/// The server's or the driver's, where it has another reason.
pub(super) async fn is_kept(
    first: &mut PgConnection,
    second: &mut PgConnection,
    limit: Duration,
) -> Result<bool, sqlx::Error> {
    match timeout(limit, by_turns(first, second)).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) if is_of_another(&error) => Ok(false),
        Ok(Err(error)) => Err(error),
        // A pooler that keeps sessions apart, and has no second one to give at the moment.
        Err(_) => Ok(true),
    }
}

async fn by_turns(first: &mut PgConnection, second: &mut PgConnection) -> Result<(), sqlx::Error> {
    ask(first, -1).await?;
    ask(second, -2).await?;
    for round in 0..ROUNDS {
        // Who is in a transaction has a session, so that the other one has to be given another.
        let mut transaction = second.begin().await?;
        ask(&mut transaction, round).await?;
        ask(first, -round).await?;
        transaction.rollback().await?;
    }
    Ok(())
}

async fn ask(connection: &mut PgConnection, number: i64) -> Result<(), sqlx::Error> {
    let answer: i64 = sqlx::query_scalar("SELECT $1::int8")
        .bind(number)
        .fetch_one(connection)
        .await?;
    match answer == number {
        true => Ok(()),
        false => Err(sqlx::Error::Protocol(
            "the answer to another question".to_owned(),
        )),
    }
}

/// Whether the server or the driver met something that was prepared by somebody else.
fn is_of_another(error: &sqlx::Error) -> bool {
    match error {
        // invalid_sql_statement_name, duplicate_prepared_statement, protocol_violation (the wrong number of values).
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("26000" | "42P05" | "08P01"))
        }
        sqlx::Error::Protocol(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::RowNotFound => true,
        _ => false,
    }
}
