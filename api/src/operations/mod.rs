//! What operators do with a database: as values, for the command line and the tests alike.

pub mod backup;
pub mod doctor;
pub mod migration;
pub mod seed;

use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DbErr};

/// How many rows a table has, whatever its columns are.
async fn count_rows(connection: &impl ConnectionTrait, table: &str) -> Result<u64, DbErr> {
    let query = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(Alias::new(table))
        .take();
    let row = connection.query_one(&query).await?;
    let rows: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(rows.map_or(0, i64::unsigned_abs))
}
