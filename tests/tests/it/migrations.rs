//! Migrations go up and come down, with data, and leave the same schema and nothing behind.

use migration::{Migrator, MigratorTrait};
use rstest::rstest;
use sea_orm::DatabaseConnection;
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::tables::tables;
use uuid::Uuid;

/// The tables of the first migrations, in their order. Later ones are not named here: they are asked for.
pub const TABLES: [&str; 6] = [
    "organizations",
    "users",
    "memberships",
    "events",
    "api_keys",
    "idempotency_keys",
];

#[rstest]
#[tokio::test]
async fn going_down_and_up_again_gives_the_same_schema(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    let nothing = schema(backend, &connection).await;
    Migrator::up(&connection, None).await.unwrap();
    let full = schema(backend, &connection).await;
    assert!(full.len() > nothing.len() + 30, "{full:#?}");

    for round in [Some(1), None] {
        for _ in Migrator::migrations() {
            Migrator::down(&connection, Some(1)).await.unwrap();
        }
        assert_eq!(schema(backend, &connection).await, nothing);
        for _ in Migrator::migrations() {
            Migrator::up(&connection, round).await.unwrap();
        }
        assert_eq!(schema(backend, &connection).await, full);
    }
}

#[rstest]
#[tokio::test]
async fn what_is_not_taken_down_keeps_its_rows(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    let full = schema(backend, &connection).await;
    fill(backend, &connection).await;
    for table in tables(&connection).await {
        assert!(
            count(&connection, &table).await > 0,
            "`fill` has no {table}"
        );
    }
    for _ in 1..Migrator::migrations().len() {
        Migrator::down(&connection, Some(1)).await.unwrap();
        for table in tables(&connection).await {
            assert!(
                count(&connection, &table).await > 0,
                "{table} lost its rows"
            );
        }
    }
    assert_eq!(tables(&connection).await, TABLES[..1]);
    Migrator::up(&connection, None).await.unwrap();
    assert_eq!(schema(backend, &connection).await, full);
    assert_eq!(count(&connection, "organizations").await, 1);
    execute(&connection, "UPDATE organizations SET name = 'Still here'")
        .await
        .unwrap();
}

#[rstest]
#[tokio::test]
async fn the_stock_commands_work_on_a_filled_database(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    let full = schema(backend, &connection).await;
    fill(backend, &connection).await;
    Migrator::fresh(&connection).await.unwrap();
    assert_eq!(schema(backend, &connection).await, full);
    fill(backend, &connection).await;
    Migrator::refresh(&connection).await.unwrap();
    assert_eq!(schema(backend, &connection).await, full);
    fill(backend, &connection).await;
    Migrator::reset(&connection).await.unwrap();
    assert!(Migrator::up(&connection, None).await.is_ok());
    assert_eq!(schema(backend, &connection).await, full);
}

#[rstest]
#[tokio::test]
async fn a_migration_that_fails_leaves_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    Migrator::up(&connection, Some(3)).await.unwrap();
    let before = schema(backend, &connection).await;
    // In the way of the last index, when the table is there already.
    let obstacle = "CREATE TABLE obstacle (a integer);
                    CREATE INDEX events_correlation_id_event_timestamp_idx ON obstacle (a)";
    execute(&connection, obstacle).await.unwrap();
    Migrator::up(&connection, None).await.unwrap_err();
    execute(&connection, "DROP TABLE obstacle").await.unwrap();
    assert_eq!(schema(backend, &connection).await, before);
    Migrator::up(&connection, None).await.unwrap();

    let full = schema(backend, &connection).await;
    let obstacle = match backend {
        Backend::Sqlite => "DROP TRIGGER memberships_audit_delete",
        Backend::Postgres => "DROP TRIGGER memberships_audit_delete ON memberships",
    };
    down_to(&connection, "create_events").await;
    execute(&connection, obstacle).await.unwrap();
    let broken = schema(backend, &connection).await;
    Migrator::down(&connection, Some(1)).await.unwrap_err();
    assert_eq!(schema(backend, &connection).await, broken);
    assert!(full.len() > broken.len());
}

/// Takes back what came after the migration whose name ends so.
pub async fn down_to(connection: &DatabaseConnection, last: &str) {
    let migrations = Migrator::migrations();
    let mut newest_first = migrations.iter().rev();
    let steps = newest_first.position(|migration| migration.name().ends_with(last));
    let steps = u32::try_from(steps.expect("a migration of this name")).unwrap();
    Migrator::down(connection, Some(steps)).await.unwrap();
}

#[tokio::test]
async fn an_extension_that_others_use_stays() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let connection = database.connect().await;
    let extension = "SELECT extname::text FROM pg_extension WHERE extname = 'pg_trgm'";

    execute(&connection, "CREATE EXTENSION pg_trgm")
        .await
        .unwrap();
    Migrator::up(&connection, None).await.unwrap();
    Migrator::down(&connection, None).await.unwrap();
    assert_eq!(
        text_rows(&connection, extension).await.len(),
        1,
        "it was there before"
    );

    execute(&connection, "DROP EXTENSION pg_trgm")
        .await
        .unwrap();
    Migrator::up(&connection, None).await.unwrap();
    let guest = "CREATE TABLE guest (a text); CREATE INDEX ON guest USING gin (a gin_trgm_ops)";
    execute(&connection, guest).await.unwrap();
    Migrator::down(&connection, None).await.unwrap();
    assert_eq!(
        text_rows(&connection, extension).await.len(),
        1,
        "somebody uses it"
    );
}

/// A change that the database must refuse, and the constraint that it names.
#[rstest]
#[case("organizations", "slug = 'Upper'", "organizations_slug_check")]
#[case("organizations", "slug = ''", "organizations_slug_check")]
#[case("organizations", "slug = 'a b'", "organizations_slug_check")]
#[case("organizations", "name = '  '", "organizations_name_check")]
#[case("organizations", "name = '\t\n'", "organizations_name_check")]
#[case("users", "email = 'Upper@example.org'", "users_email_check")]
#[case("users", "email = 'two@at@example.org'", "users_email_check")]
#[case("users", "email = 'no-at.example.org'", "users_email_check")]
#[case("users", "email = '@example.org'", "users_email_check")]
#[case("users", "email = 'no-domain@'", "users_email_check")]
#[case("users", "email = 'no-dot@example'", "users_email_check")]
#[case("users", "email = 'dot-at-end@example.'", "users_email_check")]
#[case("users", "email = 'a blank@example.org'", "users_email_check")]
#[case("users", "email = 'a\ttab@example.org'", "users_email_check")]
#[case("users", "password_hash = ''", "users_password_hash_check")]
#[case(
    "users",
    "failed_login_attempts = -1",
    "users_failed_login_attempts_check"
)]
#[case("memberships", "status = 'removed'", "memberships_left_at_check")]
#[case("memberships", "left_at = created_at", "memberships_left_at_check")]
#[case("api_keys", "name = ' '", "api_keys_name_check")]
#[case("api_keys", "key_id = ''", "api_keys_key_id_check")]
#[case("api_keys", "key_hash = ''", "api_keys_key_hash_check")]
#[case("api_keys", "key_prefix = ''", "api_keys_key_prefix_check")]
#[case("api_keys", "usage_count = -1", "api_keys_usage_count_check")]
#[case("api_keys", "usage_limit = -1", "api_keys_usage_limit_check")]
#[case(
    "api_keys",
    "key_type = 'organization', organization_id = NULL",
    "api_keys_organization_id_check"
)]
#[tokio::test]
async fn a_broken_rule_is_refused_by_name(
    #[case] table: &str,
    #[case] change: &str,
    #[case] constraint: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    let refusal = execute(&connection, &format!("UPDATE {table} SET {change}"))
        .await
        .unwrap_err();
    assert!(refusal.to_string().contains(constraint), "{refusal}");
}

#[rstest]
#[case("' '", "1", "'{}'", "'{}'", "'{}'", "events_event_type_check")]
#[case("'A.B'", "0", "'{}'", "'{}'", "'{}'", "events_aggregate_version_check")]
#[case("'A.B'", "1", "'[]'", "'{}'", "'{}'", "events_data_check")]
#[case("'A.B'", "1", "'{}'", "'1'", "'{}'", "events_metadata_check")]
#[case("'A.B'", "1", "'{}'", "'{}'", "'null'", "events_tags_check")]
#[tokio::test]
async fn an_event_out_of_shape_is_refused(
    #[case] event_type: &str,
    #[case] version: &str,
    #[case] data: &str,
    #[case] metadata: &str,
    #[case] tags: &str,
    #[case] constraint: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    let id = backend.id(Uuid::now_v7());
    let insert = format!(
        "INSERT INTO events (event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata, tags)
         VALUES ({event_type}, 'a', {id}, {version}, {data}, {metadata}, {tags})"
    );
    let refusal = execute(&connection, &insert).await.unwrap_err();
    assert!(refusal.to_string().contains(constraint), "{refusal}");
}

/// What PostgreSQL's types refuse, SQLite refuses too.
#[rstest]
#[case("organizations", "name = NULL")]
#[case("organizations", "status = 'unknown'")]
#[case("organizations", "settings = 'no json'")]
#[case("organizations", "created_at = 'no time'")]
#[case("organizations", "postal_code = '123456789012345678901'")]
#[case("organizations", "version = 'one'")]
#[case("users", "role = 'owner'")]
#[case("users", "email_verified = 'maybe'")]
#[case("users", "failed_login_attempts = 2147483648")]
#[case("users", "created_by = 'nobody'")]
#[tokio::test]
async fn a_value_of_the_wrong_type_is_refused(
    #[case] table: &str,
    #[case] change: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    assert!(
        execute(&connection, &format!("UPDATE {table} SET {change}"))
            .await
            .is_err()
    );
}

/// `create_table` sees to it; a column that is added later has a check of its own.
#[tokio::test]
async fn no_column_of_sqlite_takes_what_postgres_would_not() {
    let database = TestDatabase::migrated(Backend::Sqlite).await;
    let connection = database.connect().await;
    for table in tables(&connection).await {
        let sql = format!("SELECT sql FROM sqlite_schema WHERE name = '{table}'");
        let sql = text_rows(&connection, &sql).await.concat();
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        for column in text_rows(&connection, &columns).await {
            let check = format!("{table}_{column}_type_check");
            assert!(sql.contains(&check), "{table} has no {check}");
        }
    }
}

#[rstest]
#[case("organizations", "slug", "organizations_slug_key")]
#[case("users", "email", "users_email_key")]
#[case("users", "username", "users_username_key")]
#[case("users", "password_reset_token", "users_password_reset_token_key")]
#[case(
    "users",
    "email_verification_token",
    "users_email_verification_token_key"
)]
#[case(
    "memberships",
    "user_id, organization_id",
    "memberships_user_id_organization_id_key"
)]
#[case("memberships", "invitation_token", "memberships_invitation_token_key")]
#[case(
    "events",
    "aggregate_id, aggregate_version",
    "events_aggregate_id_aggregate_version_key"
)]
#[case("api_keys", "key_id", "api_keys_key_id_key")]
#[case("api_keys", "key_hash", "api_keys_key_hash_key")]
#[tokio::test]
async fn a_second_of_what_is_unique_is_refused(
    #[case] table: &str,
    #[case] columns: &str,
    #[case] constraint: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    // A copy of the row in which only the columns in question, and the id, which is new, matter.
    let refusal = execute(&connection, &copy_of(table, columns))
        .await
        .unwrap_err();
    let message = refusal.to_string();
    let named = match backend {
        Backend::Postgres => message.contains(constraint),
        Backend::Sqlite => columns
            .split(", ")
            .all(|column| message.contains(&format!("{table}.{column}"))),
    };
    assert!(named, "{message}");
    assert!(
        matches!(
            refusal.sql_err(),
            Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
        ),
        "{refusal:?}"
    );
}

/// An insert that repeats only the given columns of the row that is there.
fn copy_of(table: &str, columns: &str) -> String {
    let fresh = match table {
        "organizations" => "name, slug|'n', 'fresh'",
        "users" => "email|'fresh@example.org'",
        "memberships" => "user_id, organization_id|user_id, organization_id",
        "events" => {
            "event_type, aggregate_type, aggregate_id, aggregate_version, data|'A.B', 'a', aggregate_id, 1, '{}'"
        }
        _ => "key_id, key_hash, key_prefix, name, user_id|'fresh', 'fresh', 'fresh', 'n', user_id",
    };
    let (names, values) = fresh.split_once('|').unwrap();
    let mut names: Vec<_> = names.split(", ").collect();
    let mut values: Vec<_> = values.split(", ").collect();
    for column in columns.split(", ") {
        match names.iter().position(|name| *name == column) {
            Some(position) => values[position] = column,
            None => {
                names.push(column);
                values.push(column);
            }
        }
    }
    if columns == "invitation_token" {
        // The pair of the first membership would be in the way.
        values[0] = "(SELECT id FROM users WHERE email = 'second@example.org')";
    }
    let filled = columns.replace(", ", " IS NOT NULL AND ");
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {filled} IS NOT NULL LIMIT 1",
        names.join(", "),
        values.join(", ")
    )
}

/// One row at least in each table, every unique column filled.
pub async fn fill(backend: Backend, connection: &DatabaseConnection) {
    let [organization, user, second] = [(); 3].map(|()| backend.id(Uuid::now_v7()));
    let hash = match backend {
        Backend::Sqlite => "x'00'",
        Backend::Postgres => r"'\x00'",
    };
    let rows = format!(
        "INSERT INTO users (id, email) VALUES ({second}, 'second@example.org');
         INSERT INTO users (id, email, username, password_reset_token, email_verification_token)
           VALUES ({user}, 'first@example.org', 'first', 'r', 'v');
         INSERT INTO organizations (id, name, slug, created_by) VALUES ({organization}, 'First', 'first', {user});
         INSERT INTO memberships (user_id, organization_id, invitation_token) VALUES ({user}, {organization}, 't');
         INSERT INTO api_keys (key_id, key_hash, key_prefix, name, user_id, organization_id)
           VALUES ('k', 'h', 'p', 'Key', {user}, {organization});
         INSERT INTO idempotency_keys (credential_id, key_hash, request_hash, answer, created_at, expires_at)
           VALUES ({user}, {hash}, {hash}, {hash}, '2026-11-21T10:00:00+00:00', '2026-11-22T10:00:00+00:00');"
    );
    execute(connection, &rows).await.unwrap();
}

pub async fn count(connection: &DatabaseConnection, table: &str) -> usize {
    text_rows(
        connection,
        &format!("SELECT CAST(created_at AS text) FROM {table}"),
    )
    .await
    .len()
}

/// Everything that the database's catalog says of the schema, line by line.
pub async fn schema(backend: Backend, connection: &DatabaseConnection) -> Vec<String> {
    let query = match backend {
        Backend::Sqlite => {
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema
             WHERE tbl_name NOT IN ('seaql_migrations', 'rollbook_migrations', 'rollbook_environment') ORDER BY 1"
        }
        Backend::Postgres => POSTGRES_SCHEMA,
    };
    text_rows(connection, query).await
}

const POSTGRES_SCHEMA: &str = "
SELECT line FROM (
  SELECT concat_ws(' ', 'column', table_name,
                   row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position), column_name, udt_name, character_maximum_length,
                   is_nullable, column_default) AS line, table_name::text AS home
    FROM information_schema.columns WHERE table_schema = 'public'
  UNION ALL SELECT 'index ' || indexdef, tablename::text FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)), conrelid::regclass::text
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid), '' FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid), p.proacl), '' FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
  UNION ALL SELECT concat_ws(' ', 'enum', enumtypid::regtype, enumsortorder, enumlabel), '' FROM pg_enum
  UNION ALL SELECT concat_ws(' ', 'extension', extname, obj_description(oid, 'pg_extension')), '' FROM pg_extension
) AS schema WHERE home NOT IN ('seaql_migrations', 'rollbook_migrations', 'rollbook_environment') ORDER BY 1";
