//! Idempotency keys: the answers to requests that may be sent again, written in the requests' own transactions.

use crate::support::*;
use sea_orm_migration::{prelude::*, schema::*};

const TABLE: &str = "idempotency_keys";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_table(manager, table(), TABLE).await?;
        create_indexes(manager, [index(TABLE, &["expires_at"])]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_table(manager, TABLE).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table() -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .col(uuid("credential_id"))
        .col(blob("key_hash"))
        .col(blob("request_hash"))
        .col(blob("answer"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .primary_key(
            Index::create()
                .name(format!("{TABLE}_pkey"))
                .col("credential_id")
                .col("key_hash"),
        )
        .take()
}
