//! What a database holds, to tell whether a request changed it.

use sea_orm::{DatabaseConnection, DbBackend};

use crate::database::text_rows;
use crate::tables::tables;

/// Columns that say how a key was used: they follow every request, some seconds late.
const USE: [&str; 4] = [
    "last_used_at",
    "last_used_ip",
    "last_used_user_agent",
    "usage_count",
];

/// Every row of every table as text, but for how the API keys were used.
pub async fn content(connection: &DatabaseConnection) -> Vec<String> {
    let mut rows = Vec::new();
    for table in &tables(connection).await {
        let query = match connection.get_database_backend() {
            DbBackend::Postgres => postgres_rows(table),
            _ => sqlite_rows(connection, table).await,
        };
        rows.extend(text_rows(connection, &query).await);
    }
    rows
}

fn postgres_rows(table: &str) -> String {
    let bookkeeping = USE.map(|column| format!(" - '{column}'")).concat();
    format!("SELECT '{table} ' || (to_jsonb(t){bookkeeping})::text FROM {table} t ORDER BY 1")
}

async fn sqlite_rows(connection: &DatabaseConnection, table: &str) -> String {
    let names = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
    let columns: Vec<String> = text_rows(connection, &names)
        .await
        .into_iter()
        .filter(|name| !USE.contains(&name.as_str()))
        .map(|name| format!("'{name}=' || quote({name})"))
        .collect();
    let columns = columns.join(" || ' ' || ");
    format!("SELECT '{table} ' || {columns} FROM {table} ORDER BY 1")
}
