//! The stock migration command: `cargo run -p migration -- up|down|status|fresh|refresh|reset`.

use sea_orm_migration::prelude::*;

#[tokio::main]
async fn main() {
    cli::run_cli_with_connection(migration::Migrator, migration::connect).await;
}
