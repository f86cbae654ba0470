//! Events: the trail. What is written here stays as it is.

use crate::{
    audit::{self, Audited},
    m20261121_000001_create_organizations, m20261121_000002_create_users,
    m20261121_000003_create_memberships,
    support::*,
};
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
                (
                    index(TABLE, &["event_type"]),
                    "counting the events of a type",
                ),
                (
                    index(TABLE, &["aggregate_type", "aggregate_id"]),
                    "the events of one aggregate, of a type that is named",
                ),
                (
                    index(TABLE, &["event_timestamp"]),
                    "the whole trail in the order of time, from and to a moment",
                ),
                (
                    index(TABLE, &["aggregate_type", "event_timestamp desc"]),
                    "the newest events of one type of aggregate",
                ),
                (
                    index(TABLE, &["organization_id", "event_timestamp desc"]),
                    "the newest events of an organization",
                ),
                (
                    index(TABLE, &["user_id", "event_timestamp desc"]),
                    "the newest of what a user did",
                ),
                (
                    index(TABLE, &["event_type", "event_timestamp desc"]),
                    "the newest events of a type",
                ),
                (
                    index(TABLE, &["correlation_id", "event_timestamp"]),
                    "the events of one request",
                ),
            ],
        )
        .await?;
        if backend != DbBackend::Sqlite {
            execute(manager, POSTGRES_CONTAINMENT).await?;
            let meanings = [
                (
                    "INDEX events_tags_idx",
                    "the events that touch something (`tag`)",
                ),
                (
                    "INDEX events_data_idx",
                    "searches in SQL for what a column became: data @> '{…}'",
                ),
            ];
            describe(manager, meanings).await?;
        }
        audit::prepare(manager).await?;
        audit::make_immutable(manager).await?;
        for table in earlier_tables(backend) {
            audit::install(manager, &table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in earlier_tables(manager.get_database_backend()) {
            audit::remove(manager, &table).await?;
        }
        drop_table(manager, TABLE).await?;
        audit::dismantle(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The tables that had to wait for the trail.
fn earlier_tables(backend: DbBackend) -> [Audited; 3] {
    [
        m20261121_000001_create_organizations::audited(backend),
        m20261121_000002_create_users::audited(backend),
        m20261121_000003_create_memberships::audited(backend),
    ]
}

/// The references wait for the commit: an event is written before the row that it tells of.
fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .comment(
            "Events, the trail: that something changed, from what to what, by \
                     whom. Neither changed nor deleted, by anybody",
        )
        .col(id(backend))
        .col(
            string_len("event_type", 255)
                .comment("What happened: the aggregate's type and a verb, USER.EMAIL_CHANGED"),
        )
        .col(
            string_len("aggregate_type", 100)
                .comment("What it happened to: organization, user, membership or api_key"),
        )
        .col(uuid("aggregate_id").comment("The id of its row"))
        .col(
            big_integer("aggregate_version")
                .comment("The version that its row then had: 1, 2, 3 without a gap"),
        )
        .col(json_binary("data").comment(
            "The columns that changed: {\"old\": {…}, \"new\": {…}}; secrets as \
                     \"[redacted]\". Folded in order, they give the row",
        ))
        .col(json_object("metadata").comment(
            "By what means: the id of the API key, the name of the command, or \
                     the database role",
        ))
        .col(
            json_object("tags")
                .comment("The ids that it touches, by kind: {\"organization\": …, \"user\": …}"),
        )
        .col(
            references(uuid_null("user_id"), TABLE, "users", Reference::Deferred).comment(
                "Who did it; null for the command line and for a change in the \
                     database itself",
            ),
        )
        .col(
            references(
                uuid_null("organization_id"),
                TABLE,
                "organizations",
                Reference::Deferred,
            )
            .comment(
                "The organization that it is about; null for a user, who belongs to \
                     several",
            ),
        )
        .col(string_len_null("session_id", 255).comment(
            "The session in which it was done. Reserved: there are no sessions \
                     yet",
        ))
        .col(string_len_null("correlation_id", 255).comment("What all events of one request share"))
        .col(string_len_null("causation_id", 255).comment("What the client said had caused it"))
        .col(string_len("source", 100).default("system").comment(
            "Where it came from: api, cli, database (a trigger told it) or \
                     system",
        ))
        .col(
            string_len_null("version", 50)
                .comment("The form of the event, not of the aggregate: 1"),
        )
        .col(string_len_null("ip_address", 45).comment("Address of the client, IPv4 or IPv6"))
        .col(
            string_len_null("user_agent", 500)
                .comment("Program of the client, as it called itself"),
        )
        .col(moment("event_timestamp", backend).comment(
            "When it happened, in UTC, to the microsecond; taken before the \
                     commit",
        ))
        .col(
            moment("created_at", backend)
                .comment("When it was written, in UTC, to the microsecond"),
        )
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
