//! Which tables and collections there are: asked, so that no test has a list of its own that one more is left out of.

use std::collections::BTreeSet;

use api::Product;
use sea_orm::{DatabaseConnection, DbBackend};

use crate::database::text_rows;

/// The tables of the database that have rows to show: not those that say which migrations were applied, nor the one that
/// the triggers of SQLite look at.
pub async fn tables(connection: &DatabaseConnection) -> Vec<String> {
    let query = match connection.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'
             AND tablename NOT IN ('seaql_migrations', 'rollbook_migrations') ORDER BY 1"
        }
        _ => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
             AND name NOT IN ('seaql_migrations', 'rollbook_migrations', 'audit_probe') ORDER BY 1"
        }
    };
    text_rows(connection, query).await
}

/// The audited tables, each with what the trail calls a row of it.
pub fn audited() -> Vec<(String, &'static str)> {
    let product = Product::default();
    let resources = product.registry.resources();
    resources
        .map(|resource| (resource.table(), resource.aggregate()))
        .collect()
}

/// The collections of the API, as the OpenAPI document has them.
pub fn collections() -> Vec<String> {
    let document = api::app::openapi(&Product::default()).expect("the document");
    let paths = document["paths"].as_object().expect("paths").keys();
    let names = paths.filter_map(|path| path.strip_prefix("/v1/")?.split('/').next());
    let names: BTreeSet<_> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}
