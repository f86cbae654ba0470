//! Events: the trail. What is written here stays as it is.

use crate::support::*;
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

const TABLE: &str = "events";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        create_table(manager, table(backend), TABLE).await?;
        create_indexes(
            manager,
            [
                index(TABLE, &["event_type"]),
                index(TABLE, &["aggregate_type", "aggregate_id"]),
                index(TABLE, &["event_timestamp"]),
                index(TABLE, &["aggregate_type", "event_timestamp desc"]),
                index(TABLE, &["organization_id", "event_timestamp desc"]),
                index(TABLE, &["user_id", "event_timestamp desc"]),
                index(TABLE, &["event_type", "event_timestamp desc"]),
                index(TABLE, &["correlation_id", "event_timestamp"]),
            ],
        )
        .await?;
        match backend {
            DbBackend::Sqlite => execute(manager, SQLITE_IMMUTABLE).await,
            _ => {
                execute(manager, POSTGRES_CONTAINMENT).await?;
                execute(manager, POSTGRES_IMMUTABLE).await
            }
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_table(manager, TABLE).await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => Ok(()),
            _ => execute(manager, "DROP FUNCTION events_refuse_change()").await,
        }
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The references wait for the commit: an event is written before the row that it tells of.
fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .col(id(backend))
        .col(string_len("event_type", 255))
        .col(string_len("aggregate_type", 100))
        .col(uuid("aggregate_id"))
        .col(big_integer("aggregate_version"))
        .col(json_binary("data"))
        .col(json_object("metadata"))
        .col(json_object("tags"))
        .col(references(
            uuid_null("user_id"),
            TABLE,
            "users",
            Reference::Deferred,
        ))
        .col(references(
            uuid_null("organization_id"),
            TABLE,
            "organizations",
            Reference::Deferred,
        ))
        .col(string_len_null("session_id", 255))
        .col(string_len_null("correlation_id", 255))
        .col(string_len_null("causation_id", 255))
        .col(string_len("source", 100).default("system"))
        .col(string_len_null("version", 50))
        .col(string_len_null("ip_address", 45))
        .col(string_len_null("user_agent", 500))
        .col(moment("event_timestamp", backend))
        .col(moment("created_at", backend))
        .index(&mut unique(TABLE, &["aggregate_id", "aggregate_version"]))
        .check(not_blank(TABLE, "event_type", backend))
        .check(is_object(TABLE, "data", backend))
        .check(is_object(TABLE, "metadata", backend))
        .check(is_object(TABLE, "tags", backend))
        .check(check(TABLE, "aggregate_version", "aggregate_version >= 1"))
        .take()
}

/// With its default pending list a GIN index is read at a crawl after a burst of inserts.
const POSTGRES_CONTAINMENT: &str = "
CREATE INDEX events_tags_idx ON events USING gin (tags jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX events_data_idx ON events USING gin (data jsonb_path_ops) WITH (fastupdate = off)";

const POSTGRES_IMMUTABLE: &str = "
CREATE OR REPLACE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are never changed or removed' USING ERRCODE = 'restrict_violation', TABLE = 'events';
END $$;
CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON events
  FOR EACH ROW EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER events_not_truncated BEFORE TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change()";

const SQLITE_IMMUTABLE: &str = "
CREATE TRIGGER events_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed or removed'); END;
CREATE TRIGGER events_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed or removed'); END";
