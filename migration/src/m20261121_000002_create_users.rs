//! Users: the people, with what they sign in by.

use crate::{audit::Audited, support::*};
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
                (
                    index(TABLE, &["status", "role"]),
                    "lists by status and role",
                ),
                (
                    index(TABLE, &["last_login_at desc", "current_login_at desc"])
                        .and_where(Expr::cust("status = 'active'"))
                        .take(),
                    "reports of who signed in lately",
                ),
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
        let meanings = [
            (
                "users_lower_email_idx",
                "finding a user by the e-mail address",
            ),
            (
                "users_lower_first_name_lower_last_name_idx",
                "finding users by name",
            ),
        ];
        describe(
            manager,
            meanings.map(|(index, serves)| (format!("INDEX {index}"), serves)),
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

/// What the trail needs to know of the table.
pub fn audited(backend: DbBackend) -> Audited {
    Audited {
        aggregate: "user",
        removal: "DELETED",
        bookkeeping: &[
            "last_login_ip",
            "current_login_ip",
            "last_login_at",
            "current_login_at",
            "failed_login_attempts",
            "locked_until",
        ],
        secret: &[
            "password_hash",
            "password_reset_token",
            "email_verification_token",
            "mfa_secret",
        ],
        table: TABLE,
        definition: table(backend),
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(TABLE)
        .comment(
            "Users, the people. One person is one user, in however many \
                     organizations",
        )
        .col(id(backend))
        .col(string_len("email", 255).comment(
            "E-mail address, in lower case, by which the person is known; \
                     <id>@deleted.invalid once deleted",
        ))
        .col(string_len_null("password_hash", 255).comment(
            "Password as an argon2id hash in PHC form; null where there is \
                     none. Secret: never leaves the server",
        ))
        .col(
            timestamp_with_time_zone_null("password_changed_at")
                .comment("When the password was set last"),
        )
        .col(string_len_null("password_reset_token", 255).comment(
            "Hash of a token to reset the password. Secret. Reserved: nothing \
                     writes it yet",
        ))
        .col(
            timestamp_with_time_zone_null("password_reset_expires_at")
                .comment("When that token ends. Reserved: nothing writes it yet"),
        )
        .col(string_len_null("email_verification_token", 255).comment(
            "Hash of a token to verify the e-mail address. Secret. Reserved: \
                     nothing writes it yet",
        ))
        .col(
            timestamp_with_time_zone_null("email_verification_expires_at")
                .comment("When that token ends. Reserved: nothing writes it yet"),
        )
        .col(timestamp_with_time_zone_null("email_verified_at").comment(
            "When the e-mail address was verified. Reserved: nothing sets it \
                     yet",
        ))
        .col(string_len_null("first_name", 100).comment("First name"))
        .col(string_len_null("last_name", 100).comment("Last name"))
        .col(string_len_null("username", 100).comment(
            "Name to be called by, unique where there is one; free again once \
                     the user is deleted",
        ))
        .col(text_null("bio").comment("What the person says of themselves, in plain text"))
        .col(string_len_null("avatar_url", 500).comment("URL of a picture"))
        .col(json_object("preferences").comment(
            "What the person prefers, for the applications beside Rollbook; \
                     changed by merge patch (RFC 7396)",
        ))
        .col(json_object("settings").comment(
            "Settings of the applications beside Rollbook for this person; \
                     changed by merge patch (RFC 7396)",
        ))
        .col(
            string_len("timezone", 50)
                .default("UTC")
                .comment("Time zone, as IANA names it: Europe/Zurich"),
        )
        .col(
            string_len("language", 10)
                .default("en")
                .comment("Language, as BCP 47 names it: de-CH"),
        )
        .col(
            enumeration("status", "user_status", STATUS.iter().copied())
                .default("active")
                .comment(
                    "invited: known, and not here yet; active; suspended: their keys \
                     are refused; deleted: a tombstone, scrubbed",
                ),
        )
        .col(
            enumeration("role", "user_role", ROLE.iter().copied())
                .default("user")
                .comment(
                    "Role in the whole system: user, auditor (reads everything) or \
                     admin (does everything)",
                ),
        )
        .col(boolean("email_verified").default(false).comment(
            "Whether the e-mail address is known to be theirs. Reserved: \
                     nothing sets it yet",
        ))
        .col(boolean("mfa_enabled").default(false).comment(
            "Whether a second factor is asked for. Reserved: nothing asks for \
                     it yet",
        ))
        .col(string_len_null("mfa_secret", 255).comment(
            "Secret of the second factor. Secret. Reserved: nothing writes it \
                     yet",
        ))
        .col(string_len_null("last_login_ip", 45).comment(
            "Address of the sign-in before the current one, IPv4 or IPv6. \
                     Bookkeeping: no version, no event. Reserved",
        ))
        .col(string_len_null("current_login_ip", 45).comment(
            "Address of the current sign-in. Bookkeeping: no version, no event. \
                     Reserved",
        ))
        .col(timestamp_with_time_zone_null("last_login_at").comment(
            "When the sign-in before the current one was. Bookkeeping: no \
                     version, no event. Reserved",
        ))
        .col(timestamp_with_time_zone_null("current_login_at").comment(
            "When the current sign-in was. Bookkeeping: no version, no event. \
                     Reserved",
        ))
        .col(integer("failed_login_attempts").default(0).comment(
            "Sign-ins that failed since the last that did not. Bookkeeping: no \
                     version, no event. Reserved",
        ))
        .col(timestamp_with_time_zone_null("locked_until").comment(
            "Until when sign-ins are refused. Bookkeeping: no version, no \
                     event. Reserved",
        ))
        .col(
            timestamp_with_time_zone_null("deleted_at")
                .comment("When the user was deleted; null while they are not"),
        )
        .col(version())
        .col(created_at(backend))
        .col(updated_at(backend))
        .col(created_by(TABLE))
        .col(updated_by(TABLE))
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
