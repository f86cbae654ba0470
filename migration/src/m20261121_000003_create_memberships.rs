//! Memberships: who belongs to which organization, as what.

use crate::{audit::Audited, support::*};
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

const TABLE: &str = "memberships";
const ROLE: &[&str] = &["owner", "admin", "member", "viewer"];
const STATUS: &[&str] = &["pending", "active", "suspended", "removed"];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_enum(manager, "membership_role", ROLE).await?;
        create_enum(manager, "membership_status", STATUS).await?;
        create_table(manager, table(manager.get_database_backend()), TABLE).await?;
        create_indexes(
            manager,
            [
                index(TABLE, &["user_id"]),
                // Serves the look-up by organization, and pages of its members in the order of their ids.
                index(TABLE, &["organization_id", "id"]),
                index(TABLE, &["user_id", "status"])
                    .and_where(Expr::cust("status IN ('active', 'pending')"))
                    .take(),
                index(TABLE, &["organization_id", "role"])
                    .and_where(Expr::cust("status = 'active'"))
                    .take(),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_table(manager, TABLE).await?;
        drop_enum(manager, "membership_status").await?;
        drop_enum(manager, "membership_role").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What the trail needs to know of the table.
pub fn audited(backend: DbBackend) -> Audited {
    Audited {
        aggregate: "membership",
        removal: "REMOVED",
        bookkeeping: &[],
        secret: &["invitation_token"],
        table: TABLE,
        definition: table(backend),
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .col(id(backend))
        .col(references(
            uuid("user_id"),
            TABLE,
            "users",
            Reference::Cascade,
        ))
        .col(references(
            uuid("organization_id"),
            TABLE,
            "organizations",
            Reference::Cascade,
        ))
        .col(enumeration("role", "membership_role", ROLE.iter().copied()).default("member"))
        .col(json_object("permissions"))
        .col(enumeration("status", "membership_status", STATUS.iter().copied()).default("pending"))
        .col(string_len_null("invitation_token", 255))
        .col(timestamp_with_time_zone_null("invitation_expires_at"))
        .col(references(
            uuid_null("invited_by"),
            TABLE,
            "users",
            Reference::Restrict,
        ))
        .col(string_len_null("job_title", 255))
        .col(string_len_null("department", 255))
        .col(json_object("metadata"))
        .col(timestamp_with_time_zone_null("joined_at"))
        .col(timestamp_with_time_zone_null("left_at"))
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
        .index(&mut unique(TABLE, &["user_id", "organization_id"]))
        .index(&mut unique(TABLE, &["invitation_token"]))
        .check(check(TABLE, "version", "version >= 1"))
        .check(check(
            TABLE,
            "left_at",
            "(left_at IS NOT NULL) = (status = 'removed')",
        ))
        .take()
}
