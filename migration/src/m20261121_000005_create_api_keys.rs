//! API keys: credentials of a user, for all that the user may do or for one organization.

use crate::{
    audit::{self, Audited},
    support::*,
};
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

const TABLE: &str = "api_keys";
const TYPE: &[&str] = &["personal", "organization"];
const STATUS: &[&str] = &["active", "inactive", "revoked"];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_enum(manager, "api_key_type", TYPE).await?;
        create_enum(manager, "api_key_status", STATUS).await?;
        let backend = manager.get_database_backend();
        create_table(manager, table(backend), TABLE).await?;
        create_indexes(
            manager,
            [
                (
                    index(TABLE, &["user_id", "status"])
                        .and_where(Expr::cust("status IN ('active', 'inactive')"))
                        .take(),
                    "a user's keys",
                ),
                (
                    index(TABLE, &["organization_id", "status"])
                        .and_where(Expr::cust(
                            "organization_id IS NOT NULL AND status IN ('active', 'inactive')",
                        ))
                        .take(),
                    "an organization's keys",
                ),
                (
                    index(TABLE, &["expires_at"])
                        .and_where(Expr::cust("expires_at IS NOT NULL"))
                        .take(),
                    "reports of keys that end soon",
                ),
                (
                    index(TABLE, &["last_used_at desc"])
                        .and_where(Expr::cust("status = 'active'"))
                        .take(),
                    "reports of keys that nobody uses",
                ),
            ],
        )
        .await?;
        audit::install(manager, &audited(backend)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_table(manager, TABLE).await?;
        drop_enum(manager, "api_key_status").await?;
        drop_enum(manager, "api_key_type").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What the trail needs to know of the table.
pub fn audited(backend: DbBackend) -> Audited {
    Audited {
        aggregate: "api_key",
        removal: "REVOKED",
        bookkeeping: &[
            "last_used_at",
            "last_used_ip",
            "last_used_user_agent",
            "usage_count",
            "usage_reset_at",
        ],
        secret: &["key_hash"],
        table: TABLE,
        definition: table(backend),
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .comment(
            "API keys: credentials of a user, for all that the user may do or \
                     for one organization",
        )
        .col(id(backend))
        .col(string_len("key_id", 100).comment(
            "The public part of the key, by which it is found: \
                     rbk_<id>_<secret>_<check>",
        ))
        .col(string_len("key_hash", 255).comment(
            "SHA-256 of the whole key, in hexadecimal. Secret: never leaves the \
                     server. The key itself is nowhere",
        ))
        .col(string_len("key_prefix", 20).comment(
            "The first characters of the key, to tell it by: rbk_ and eight \
                     digits",
        ))
        .col(
            references(uuid("user_id"), TABLE, "users", Reference::Cascade)
                .comment("For whom it acts; refused when they are no longer active"),
        )
        .col(
            references(
                uuid_null("organization_id"),
                TABLE,
                "organizations",
                Reference::Cascade,
            )
            .comment(
                "The one organization that it is restricted to; null where it is \
                     not",
            ),
        )
        .col(string_len("name", 255).comment("Name for people"))
        .col(text_null("description").comment("What it is for, in plain text"))
        .col(
            enumeration("key_type", "api_key_type", TYPE.iter().copied())
                .default("personal")
                .comment(
                    "personal, or organization: made by the organization's admins for \
                     it",
                ),
        )
        .col(json_object("permissions").comment("Reserved: what a key may is told by its scopes"))
        .col(json_binary("scopes").default("[]").comment(
            "What it may: an array of [\"users:read\", …], or [\"*\"] for all that \
                     its user may",
        ))
        .col(string_len_null("allowed_ips", 1000).comment(
            "Addresses from which it may be used. Reserved: nothing checks it \
                     yet",
        ))
        .col(
            string_len_null("allowed_domains", 1000)
                .comment("Domains from which it may be used. Reserved: nothing checks it yet"),
        )
        .col(
            enumeration("status", "api_key_status", STATUS.iter().copied())
                .default("active")
                .comment(
                    "active; inactive: refused until it is active again; revoked: a \
                     tombstone",
                ),
        )
        .col(
            timestamp_with_time_zone_null("expires_at")
                .comment("From when on it is refused; null where it does not end"),
        )
        .col(timestamp_with_time_zone_null("last_used_at").comment(
            "When it was used last, up to 10 seconds late. Bookkeeping: no \
                     version, no event",
        ))
        .col(string_len_null("last_used_ip", 45).comment(
            "Address from which it was used last. Bookkeeping: no version, no \
                     event",
        ))
        .col(string_len_null("last_used_user_agent", 500).comment(
            "Program by which it was used last. Bookkeeping: no version, no \
                     event",
        ))
        .col(integer("usage_count").default(0).comment(
            "How often it was used, up to 10 seconds late. Bookkeeping: no \
                     version, no event",
        ))
        .col(timestamp_with_time_zone_null("usage_reset_at").comment(
            "When usage_count was set to 0. Bookkeeping: no version, no event. \
                     Reserved: nothing does it yet",
        ))
        .col(
            integer_null("usage_limit")
                .comment("How often it may be used. Reserved: nothing checks it yet"),
        )
        .col(
            string_len_null("created_from_ip", 45)
                .comment("Address from which it was made, IPv4 or IPv6"),
        )
        .col(
            string_len_null("created_from_user_agent", 500).comment("Program by which it was made"),
        )
        .col(
            boolean("require_mfa")
                .default(false)
                .comment("Whether it needs a second factor. Reserved: nothing checks it yet"),
        )
        .col(version())
        .col(created_at(backend))
        .col(updated_at(backend))
        .col(created_by(TABLE))
        .col(updated_by(TABLE))
        .index(&mut unique(TABLE, &["key_id"]))
        .index(&mut unique(TABLE, &["key_hash"]))
        .check(not_blank(TABLE, "name", backend))
        .check(check(TABLE, "key_id", "key_id <> ''"))
        .check(check(TABLE, "key_hash", "key_hash <> ''"))
        .check(check(TABLE, "key_prefix", "key_prefix <> ''"))
        .check(check(TABLE, "usage_count", "usage_count >= 0"))
        .check(check(TABLE, "usage_limit", "usage_limit >= 0"))
        .check(check(
            TABLE,
            "organization_id",
            "key_type <> 'organization' OR organization_id IS NOT NULL",
        ))
        .check(check(TABLE, "version", "version >= 1"))
        .take()
}
