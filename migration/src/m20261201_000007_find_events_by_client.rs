//! Events are found by the API key, the source and the address that they came by: what did a leaked key do?

use crate::support::*;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

const TABLE: &str = "events";
const BY_API_KEY: &str = "events_api_key_id_event_timestamp_idx";
const BY_SOURCE: &str = "events_source_event_timestamp_idx";
const BY_ADDRESS: &str = "events_ip_address_event_timestamp_idx";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The schema builder has no indexes of expressions for SQLite. What no key and no address did needs no entry.
        let key = match manager.get_database_backend() {
            DbBackend::Sqlite => "json_extract(metadata, '$.api_key_id')",
            _ => "(metadata ->> 'api_key_id')",
        };
        let by_key = format!(
            "CREATE INDEX {BY_API_KEY} ON {TABLE} ({key}, event_timestamp DESC) WHERE {key} IS NOT NULL"
        );
        execute(manager, &by_key).await?;
        describe(
            manager,
            [(
                format!("INDEX {BY_API_KEY}"),
                "the newest of what an API key did",
            )],
        )
        .await?;
        create_indexes(
            manager,
            [
                (
                    index(TABLE, &["source", "event_timestamp desc"]),
                    "the newest that came from the API, the command line or past both",
                ),
                (
                    index(TABLE, &["ip_address", "event_timestamp desc"])
                        .and_where(Expr::cust("ip_address IS NOT NULL"))
                        .take(),
                    "the newest of what came from an address",
                ),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [BY_ADDRESS, BY_SOURCE, BY_API_KEY] {
            let drop = Index::drop().name(name).table(TABLE).to_owned();
            manager.drop_index(drop).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
