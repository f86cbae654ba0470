//! API keys: credentials of a user, for all that the user may do or for one organization.

use crate::support::*;
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
        create_table(manager, table(manager.get_database_backend()), TABLE).await?;
        create_indexes(
            manager,
            [
                index(TABLE, &["user_id", "status"])
                    .and_where(Expr::cust("status IN ('active', 'inactive')"))
                    .take(),
                index(TABLE, &["organization_id", "status"])
                    .and_where(Expr::cust(
                        "organization_id IS NOT NULL AND status IN ('active', 'inactive')",
                    ))
                    .take(),
                index(TABLE, &["expires_at"])
                    .and_where(Expr::cust("expires_at IS NOT NULL"))
                    .take(),
                index(TABLE, &["last_used_at desc"])
                    .and_where(Expr::cust("status = 'active'"))
                    .take(),
            ],
        )
        .await
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

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .col(id(backend))
        .col(string_len("key_id", 100))
        .col(string_len("key_hash", 255))
        .col(string_len("key_prefix", 20))
        .col(references(
            uuid("user_id"),
            TABLE,
            "users",
            Reference::Cascade,
        ))
        .col(references(
            uuid_null("organization_id"),
            TABLE,
            "organizations",
            Reference::Cascade,
        ))
        .col(string_len("name", 255))
        .col(text_null("description"))
        .col(enumeration("key_type", "api_key_type", TYPE.iter().copied()).default("personal"))
        .col(json_object("permissions"))
        .col(json_binary("scopes").default("[]"))
        .col(string_len_null("allowed_ips", 1000))
        .col(string_len_null("allowed_domains", 1000))
        .col(enumeration("status", "api_key_status", STATUS.iter().copied()).default("active"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .col(string_len_null("last_used_ip", 45))
        .col(string_len_null("last_used_user_agent", 500))
        .col(integer("usage_count").default(0))
        .col(timestamp_with_time_zone_null("usage_reset_at"))
        .col(integer_null("usage_limit"))
        .col(string_len_null("created_from_ip", 45))
        .col(string_len_null("created_from_user_agent", 500))
        .col(boolean("require_mfa").default(false))
        .col(big_integer("version").default(1))
        .col(moment("created_at", backend))
        .col(moment("updated_at", backend))
        .col(references(
            uuid_null("created_by"),
            TABLE,
            "users",
            Reference::Restrict,
        ))
        .col(references(
            uuid_null("updated_by"),
            TABLE,
            "users",
            Reference::Restrict,
        ))
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
