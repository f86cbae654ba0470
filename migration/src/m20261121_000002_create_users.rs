//! Users: the people, with what they sign in by.

use crate::support::*;
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

const TABLE: &str = "users";
const STATUS: &[&str] = &["invited", "active", "suspended", "deleted"];
const ROLE: &[&str] = &["user", "auditor", "admin"];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        create_enum(manager, "user_status", STATUS).await?;
        create_enum(manager, "user_role", ROLE).await?;
        create_table(manager, table(backend), TABLE).await?;
        create_indexes(
            manager,
            [
                index(TABLE, &["status", "role"]),
                index(TABLE, &["last_login_at desc", "current_login_at desc"])
                    .and_where(Expr::cust("status = 'active'"))
                    .take(),
            ],
        )
        .await?;
        // The schema builder has no indexes of expressions for SQLite.
        execute(
            manager,
            "CREATE INDEX users_lower_email_idx ON users (lower(email));
             CREATE INDEX users_lower_first_name_lower_last_name_idx ON users (lower(first_name), lower(last_name))
               WHERE first_name IS NOT NULL AND last_name IS NOT NULL",
        )
        .await?;
        match backend {
            DbBackend::Sqlite => Ok(()),
            _ => create_organization_keys(manager).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // What these columns named is about to go.
        execute(
            manager,
            "UPDATE organizations SET created_by = NULL, updated_by = NULL
             WHERE created_by IS NOT NULL OR updated_by IS NOT NULL",
        )
        .await?;
        if manager.get_database_backend() != DbBackend::Sqlite {
            drop_organization_keys(manager).await?;
        }
        drop_table(manager, TABLE).await?;
        drop_enum(manager, "user_role").await?;
        drop_enum(manager, "user_status").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .col(id(backend))
        .col(string_len("email", 255))
        .col(string_len_null("password_hash", 255))
        .col(timestamp_with_time_zone_null("password_changed_at"))
        .col(string_len_null("password_reset_token", 255))
        .col(timestamp_with_time_zone_null("password_reset_expires_at"))
        .col(string_len_null("email_verification_token", 255))
        .col(timestamp_with_time_zone_null(
            "email_verification_expires_at",
        ))
        .col(timestamp_with_time_zone_null("email_verified_at"))
        .col(string_len_null("first_name", 100))
        .col(string_len_null("last_name", 100))
        .col(string_len_null("username", 100))
        .col(text_null("bio"))
        .col(string_len_null("avatar_url", 500))
        .col(json_object("preferences"))
        .col(json_object("settings"))
        .col(string_len("timezone", 50).default("UTC"))
        .col(string_len("language", 10).default("en"))
        .col(enumeration("status", "user_status", STATUS.iter().copied()).default("active"))
        .col(enumeration("role", "user_role", ROLE.iter().copied()).default("user"))
        .col(boolean("email_verified").default(false))
        .col(boolean("mfa_enabled").default(false))
        .col(string_len_null("mfa_secret", 255))
        .col(string_len_null("last_login_ip", 45))
        .col(string_len_null("current_login_ip", 45))
        .col(timestamp_with_time_zone_null("last_login_at"))
        .col(timestamp_with_time_zone_null("current_login_at"))
        .col(integer("failed_login_attempts").default(0))
        .col(timestamp_with_time_zone_null("locked_until"))
        .col(timestamp_with_time_zone_null("deleted_at"))
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
        .index(&mut unique(TABLE, &["email"]))
        .index(&mut unique(TABLE, &["username"]))
        .index(&mut unique(TABLE, &["password_reset_token"]))
        .index(&mut unique(TABLE, &["email_verification_token"]))
        .check(email_check(backend))
        .check(check(TABLE, "password_hash", "password_hash <> ''"))
        .check(check(
            TABLE,
            "failed_login_attempts",
            "failed_login_attempts >= 0",
        ))
        .check(check(TABLE, "version", "version >= 1"))
        .take()
}

/// One @, text on both sides, a dot in the domain, no blanks, lower case.
fn email_check(backend: DbBackend) -> Check {
    let rule = match backend {
        DbBackend::Sqlite => {
            "email = lower(email) AND email LIKE '_%@_%._%' AND email NOT LIKE '%@%@%'
             AND email NOT GLOB '*[' || char(32, 9, 10, 11, 12, 13) || ']*'"
        }
        _ => {
            r"email = lower(email) AND email ~ '^[^@ \t\n\v\f\r]+@[^@ \t\n\v\f\r]+\.[^@ \t\n\v\f\r]+$'"
        }
    };
    check(TABLE, "email", rule)
}

async fn create_organization_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in ["created_by", "updated_by"] {
        manager
            .create_foreign_key(
                ForeignKey::create()
                    .name(format!("organizations_{column}_fkey"))
                    .from("organizations", column)
                    .to(TABLE, "id")
                    .take(),
            )
            .await?;
    }
    Ok(())
}

async fn drop_organization_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in ["created_by", "updated_by"] {
        manager
            .drop_foreign_key(
                ForeignKey::drop()
                    .name(format!("organizations_{column}_fkey"))
                    .table("organizations")
                    .to_owned(),
            )
            .await?;
    }
    Ok(())
}
