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
                (
                    index(TABLE, &["user_id"]),
                    "what a user belongs to, and the cascade from users",
                ),
                (
                    index(TABLE, &["organization_id", "id"]),
                    "pages of an organization's members in the order of their ids, and the cascade",
                ),
                (
                    index(TABLE, &["user_id", "status"])
                        .and_where(Expr::cust("status IN ('active', 'pending')"))
                        .take(),
                    "what a caller may see, in each request",
                ),
                (
                    index(TABLE, &["organization_id", "role"])
                        .and_where(Expr::cust("status = 'active'"))
                        .take(),
                    "an organization's active owners and admins",
                ),
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
        .comment(
            "Memberships: who belongs to which organization, as what. One per \
                     pair, however often somebody comes back",
        )
        .col(id(backend))
        .col(references(uuid("user_id"), TABLE, "users", Reference::Cascade).comment("Who"))
        .col(
            references(
                uuid("organization_id"),
                TABLE,
                "organizations",
                Reference::Cascade,
            )
            .comment("To what they belong"),
        )
        .col(
            enumeration("role", "membership_role", ROLE.iter().copied())
                .default("member")
                .comment(
                    "owner, admin, member or viewer; an organization that is not \
                     deleted has an active owner",
                ),
        )
        .col(json_object("permissions").comment("Scopes beyond the role: {\"events:read\": true}"))
        .col(
            enumeration("status", "membership_status", STATUS.iter().copied())
                .default("pending")
                .comment(
                    "pending: invited; active; suspended: it counts for nothing; \
                     removed: a tombstone",
                ),
        )
        .col(string_len_null("invitation_token", 255).comment(
            "Hash of the token of an invitation. Secret. Reserved: nothing \
                     writes it yet",
        ))
        .col(
            timestamp_with_time_zone_null("invitation_expires_at")
                .comment("When the invitation ends. Reserved: nothing writes it yet"),
        )
        .col(
            references(uuid_null("invited_by"), TABLE, "users", Reference::Restrict)
                .comment("Who invited them; null where nobody did"),
        )
        .col(string_len_null("job_title", 255).comment("What they do there"))
        .col(string_len_null("department", 255).comment("Where in the organization"))
        .col(json_object("metadata").comment(METADATA))
        .col(timestamp_with_time_zone_null("joined_at").comment(
            "When the person joined: when it became active; null while it never \
                     was",
        ))
        .col(
            timestamp_with_time_zone_null("left_at")
                .comment("When it was removed; null while it is not"),
        )
        .col(version())
        .col(created_at(backend))
        .col(updated_at(backend))
        .col(created_by(TABLE))
        .col(updated_by(TABLE))
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
