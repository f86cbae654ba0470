//! What operators do with a database: as values, for the command line and the tests alike.

pub mod backup;
pub mod doctor;
pub mod environment;
pub mod keys;
pub mod migration;
mod progress;
pub mod schema;
pub mod seed;
mod words;

pub use progress::Progress;

use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ledger::event::Origin;
use crate::values::credential::hexadecimal;
use environment::ENVIRONMENT_TABLE;
use migration::{MIGRATIONS_TABLE, RECORDS_TABLE};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is wrong.
    Error,
    /// Something should be looked at.
    Warning,
    /// Nothing is wrong.
    Info,
}

/// Who acts where an operator runs a command: no user, but the system, by the name of the account that runs it.
pub fn system_origin(command: &str) -> Origin {
    let text = |name: &str, value: String| (name.to_owned(), Value::from(value));
    Origin {
        source: "cli",
        metadata: Map::from_iter([
            text("command", command.to_owned()),
            text("actor", format!("system:{}", account())),
        ]),
        ..Origin::default()
    }
}

/// The account of the operating system; its number where it has no name, as in many containers.
#[cfg(unix)]
fn account() -> String {
    use nix::unistd::{Uid, User};
    let id = Uid::effective();
    match User::from_uid(id) {
        Ok(Some(user)) => user.name,
        _ => id.to_string(),
    }
}

#[cfg(not(unix))]
fn account() -> String {
    std::env::var("USERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

/// SHA-256 over texts and counts, each of which is told from the next.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    /// In hexadecimal.
    fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

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

/// The tables whose rows are somebody's data, in the order of their names.
#[expect(
    clippy::disallowed_methods,
    reason = "the catalog has no entity; nothing in it comes from outside"
)]
async fn data_tables(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite|_%' ESCAPE '|' ORDER BY 1"
        }
        _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
    };
    let rows = connection
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    let mut tables = Vec::new();
    for row in rows {
        let table: String = row.try_get_by_index(0)?;
        // What migrations need for themselves, and what the database is for.
        let own = [
            MIGRATIONS_TABLE,
            RECORDS_TABLE,
            ENVIRONMENT_TABLE,
            "audit_probe",
        ];
        if !own.contains(&table.as_str()) {
            tables.push(table);
        }
    }
    Ok(tables)
}
