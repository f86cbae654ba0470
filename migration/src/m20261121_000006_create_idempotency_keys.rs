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
        create_indexes(
            manager,
            [(index(TABLE, &["expires_at"]), "forgetting what has ended")],
        )
        .await
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
        .comment(
            "Idempotency keys: answers to requests that may be sent again, kept \
                     in the requests' own transactions. No history, no events",
        )
        .col(uuid("credential_id").comment("The API key of the request"))
        .col(blob("key_hash").comment("SHA-256 of the Idempotency-Key header: 32 bytes"))
        .col(blob("request_hash").comment(
            "SHA-256 of method, path and body, by which another request under \
                     the same key is told: 32 bytes",
        ))
        .col(blob("answer").comment(
            "The answer, encrypted with a key made of the Idempotency-Key \
                     header, which is nowhere here",
        ))
        .col(
            timestamp_with_time_zone("created_at").comment("When the request was answered, in UTC"),
        )
        .col(timestamp_with_time_zone("expires_at").comment(
            "From when on it may be forgotten, in UTC; forgotten by later \
                     requests",
        ))
        .primary_key(
            Index::create()
                .name(format!("{TABLE}_pkey"))
                .col("credential_id")
                .col("key_hash"),
        )
        .take()
}
