//! Organizations: the tenants that everything else belongs to.

use crate::{audit::Audited, support::*};
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

const TABLE: &str = "organizations";
const STATUS: &[&str] = &["active", "suspended", "deleted"];

/// Tells an extension that this migration made from one that was there before.
const TRIGRAM_MARK: &str = "trigram search, installed by Rollbook";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        create_enum(manager, "organization_status", STATUS).await?;
        create_table(manager, table(backend), TABLE).await?;
        create_indexes(
            manager,
            [
                (index(TABLE, &["status"]), "lists by status"),
                (index(TABLE, &["subscription_tier"]), "reports by plan"),
                (index(TABLE, &["created_at"]), "reports by age"),
                (
                    index(TABLE, &["status", "created_at desc"]),
                    "the newest of a status",
                ),
                (
                    index(TABLE, &["domain"])
                        .and_where(Expr::cust("domain IS NOT NULL"))
                        .take(),
                    "finding an organization by its domain",
                ),
            ],
        )
        .await?;
        match backend {
            DbBackend::Sqlite => Ok(()),
            _ => create_trigram_index(manager).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_table(manager, TABLE).await?;
        drop_enum(manager, "organization_status").await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => Ok(()),
            _ => drop_trigram_extension(manager).await,
        }
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What the trail needs to know of the table.
pub fn audited(backend: DbBackend) -> Audited {
    Audited {
        aggregate: "organization",
        removal: "DELETED",
        bookkeeping: &[],
        secret: &[],
        table: TABLE,
        definition: table(backend),
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .comment(
            "Organizations, the tenants: a company, a team, a club. Everything \
                     but users belongs to one",
        )
        .col(id(backend))
        .col(string_len("name", 255).comment("Name for people"))
        .col(string_len("slug", 100).comment(
            "Name for URLs: lower-case letters, digits and hyphens; stays taken \
                     when the organization is deleted",
        ))
        .col(text_null("description").comment("What it is about, in plain text"))
        .col(string_len_null("domain", 255).comment("Internet domain that it goes by"))
        .col(string_len_null("email", 255).comment("E-mail address to reach it at"))
        .col(
            string_len_null("phone", 50).comment("Telephone number, in whatever form it was given"),
        )
        .col(string_len_null("website", 500).comment("URL of its website"))
        .col(string_len_null("address_line1", 255).comment("Postal address, first line"))
        .col(string_len_null("address_line2", 255).comment("Postal address, second line"))
        .col(string_len_null("city", 100).comment("Postal address: city"))
        .col(string_len_null("state", 100).comment("Postal address: state, province or canton"))
        .col(string_len_null("country", 100).comment("Postal address: country"))
        .col(string_len_null("postal_code", 20).comment("Postal address: postal code"))
        .col(json_object("settings").comment(
            "Settings of the applications beside Rollbook, which reads none of \
                     them; changed by merge patch (RFC 7396)",
        ))
        .col(json_object("metadata").comment(METADATA))
        .col(
            enumeration("status", "organization_status", STATUS.iter().copied())
                .default("active")
                .comment(
                    "active; suspended: its members see it no more; deleted: a \
                     tombstone",
                ),
        )
        .col(
            string_len("subscription_tier", 50)
                .default("free")
                .comment("Plan that it has subscribed to, a word of the product's own"),
        )
        .col(
            timestamp_with_time_zone_null("subscription_expires_at")
                .comment("When the subscription ends; nothing happens by itself then"),
        )
        .col(
            timestamp_with_time_zone_null("deleted_at")
                .comment("When it was deleted; null while it is not"),
        )
        .col(version())
        .col(created_at(backend))
        .col(updated_at(backend))
        .col(author(user("created_by", backend)))
        .col(author(user("updated_by", backend)))
        .index(&mut unique(TABLE, &["slug"]))
        .check(not_blank(TABLE, "name", backend))
        .check(slug_check(backend))
        .check(check(TABLE, "version", "version >= 1"))
        .take()
}

/// A reference to the users, who come in the next migration: PostgreSQL gets the constraint there,
/// SQLite can only have it from the start.
fn user(name: &'static str, backend: DbBackend) -> ColumnDef {
    match backend {
        DbBackend::Sqlite => references(uuid_null(name), TABLE, "users", Reference::Restrict),
        _ => uuid_null(name),
    }
}

fn slug_check(backend: DbBackend) -> Check {
    let rule = match backend {
        DbBackend::Sqlite => "slug <> '' AND slug NOT GLOB '*[^a-z0-9-]*'",
        _ => "slug ~ '^[a-z0-9-]+$'",
    };
    check(TABLE, "slug", rule)
}

async fn create_trigram_index(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    execute(
        manager,
        &format!(
            "DO $$ BEGIN
               IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
                 CREATE EXTENSION pg_trgm;
                 COMMENT ON EXTENSION pg_trgm IS '{TRIGRAM_MARK}';
               END IF;
             END $$"
        ),
    )
    .await?;
    execute(
        manager,
        "CREATE INDEX organizations_name_idx ON organizations USING gin (name gin_trgm_ops)",
    )
    .await?;
    let serves = "searches for a part of a name (`q`)";
    describe(manager, [("INDEX organizations_name_idx", serves)]).await
}

async fn drop_trigram_extension(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    execute(
        manager,
        &format!(
            "DO $$ BEGIN
               IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm'
                          AND obj_description(oid, 'pg_extension') = '{TRIGRAM_MARK}') THEN
                 DROP EXTENSION pg_trgm;
               END IF;
             EXCEPTION WHEN dependent_objects_still_exist THEN
               COMMENT ON EXTENSION pg_trgm IS NULL; -- somebody else's now
             END $$"
        ),
    )
    .await
}
