//! `rollbook schema diff`: each way in which a schema can differ is found, told with its mend, and mended by it.

use ::migration::{Migrator, MigratorTrait};
use api::database::DatabaseSettings;
use api::database::Migrations;
use api::database::connect_for_examination;
use api::operations::doctor::Options;
use api::operations::schema::{Comparison, DocumentError, compare, document};
use rstest::rstest;
use sea_orm_migration::sea_orm::ConnectionTrait;
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};
use serde_json::{Value, json};
use tests::database::{Backend, TestDatabase, execute};
use tests::{ServerProcess, TestApp, bootstrap, run, spawn, told};

use crate::doctor::examine;
use crate::roles::Reader;

async fn comparison(database: &TestDatabase) -> Comparison {
    let settings = DatabaseSettings::new(database.url().parse().unwrap());
    let connection = connect_for_examination(&settings).await.unwrap();
    let compared = compare(&Migrations::of::<Migrator>(), &connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    compared
}

/// The names of the checks of doctor that do not pass, with how bad it is.
async fn unhealthy(database: &TestDatabase) -> Vec<String> {
    let report = examine(database, &Options::default()).await;
    let failed = report.results.iter().filter(|result| !result.passed);
    failed
        .map(|result| format!("{} {:?}", result.name, result.severity))
        .collect()
}

/// Breaks the schema of a database that is in use, looks what is found, and mends it.
async fn found_and_mended(backend: Backend, sql: &str, found: &[&str], severity: &str) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    app.join(app.first_organization, &owner, "viewer").await;
    app.member(organization, "admin").await;

    let connection = app.database.connect().await;
    execute(&connection, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let compared = comparison(&app.database).await;
    let told: Vec<String> = compared
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told, found, "{sql}");
    assert!(compared.drift);
    let unhealthy_now = unhealthy(&app.database).await;
    let drift = format!("schema-drift {severity}");
    assert!(unhealthy_now.contains(&drift), "{unhealthy_now:?}");

    for mend in compared.mends() {
        execute(&connection, mend)
            .await
            .unwrap_or_else(|error| panic!("{mend}: {error}"));
    }
    connection.close().await.unwrap();
    // It compares too. The joining of the member of the second organization is all that it may miss.
    let left = unhealthy(&app.database).await;
    assert!(
        left.is_empty() || left == ["data-consistency Warning"],
        "{left:?}"
    );
    let path = format!("/v1/organizations/{organization}");
    owner.patch(&path, json!({"city": "Basel"})).await.ok();
}

#[rstest]
#[case::column_missing(
    "ALTER TABLE organizations DROP COLUMN phone CASCADE",
    &["missing column phone on organizations", "missing trigger organizations_audit_version on organizations"],
    "Error"
)]
#[case::column_extra("ALTER TABLE events ADD COLUMN shoe_size integer", &["extra column shoe_size on events"], "Warning")]
#[case::type_altered(
    "ALTER TABLE users ALTER last_login_ip TYPE text",
    &["altered column last_login_ip on users: type is text, should be character varying(45)"],
    "Error"
)]
#[case::type_altered_below_triggers(
    "DROP TRIGGER users_audit_version ON users; ALTER TABLE users ALTER timezone TYPE varchar(60)",
    &[
        "altered column timezone on users: type is character varying(60), should be character varying(50)",
        "missing trigger users_audit_version on users",
    ],
    "Error"
)]
#[case::default_altered(
    "ALTER TABLE users ALTER timezone SET DEFAULT 'CET'",
    &["altered column timezone on users: default is 'CET'::character varying, should be 'UTC'::character varying"],
    "Error"
)]
#[case::default_missing(
    "ALTER TABLE users ALTER version DROP DEFAULT",
    &["altered column version on users: default is none, should be 1"],
    "Error"
)]
#[case::default_extra(
    "ALTER TABLE users ALTER bio SET DEFAULT 'shy'",
    &["altered column bio on users: default is 'shy'::text, should be none"],
    "Error"
)]
#[case::null_allowed(
    "ALTER TABLE organizations ALTER name DROP NOT NULL",
    &["altered column name on organizations: null is NULL, should be NOT NULL"],
    "Error"
)]
#[case::check_missing(
    "ALTER TABLE users DROP CONSTRAINT users_email_check",
    &["missing constraint users_email_check on users"],
    "Error"
)]
#[case::check_altered(
    "ALTER TABLE users DROP CONSTRAINT users_version_check, ADD CONSTRAINT users_version_check CHECK (version >= 0)",
    &["altered constraint users_version_check on users: definition is CHECK (version >= 0), should be CHECK (version >= 1)"],
    "Error"
)]
#[case::check_extra(
    "ALTER TABLE users ADD CONSTRAINT tall CHECK (length(email) > 1)",
    &["extra constraint tall on users"],
    "Error"
)]
#[case::unique_missing(
    "ALTER TABLE users DROP CONSTRAINT users_username_key",
    &["missing constraint users_username_key on users"],
    "Error"
)]
#[case::foreign_key_missing(
    "ALTER TABLE memberships DROP CONSTRAINT memberships_user_id_fkey",
    &["missing foreign key memberships_user_id_fkey on memberships"],
    "Error"
)]
#[case::foreign_key_altered(
    "ALTER TABLE memberships DROP CONSTRAINT memberships_user_id_fkey;
     ALTER TABLE memberships ADD CONSTRAINT memberships_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) NOT VALID",
    &["altered foreign key memberships_user_id_fkey on memberships: definition is FOREIGN KEY (user_id) REFERENCES \
       users(id) NOT VALID, should be FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"],
    "Error"
)]
#[case::index_missing("DROP INDEX users_status_role_idx", &["missing index users_status_role_idx on users"], "Error")]
#[case::index_altered(
    "DROP INDEX users_status_role_idx; CREATE INDEX users_status_role_idx ON users (role, status)",
    &["altered index users_status_role_idx on users: definition is CREATE INDEX users_status_role_idx ON users USING btree \
       (role, status), should be CREATE INDEX users_status_role_idx ON users USING btree (status, role)"],
    "Error"
)]
#[case::index_invalid(
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_status_role_idx'::regclass",
    &["altered index users_status_role_idx on users: state is invalid, should be valid"],
    "Error"
)]
#[case::index_extra("CREATE INDEX language_idx ON users (language)", &["extra index language_idx on users"], "Warning")]
#[case::value_extra(
    "ALTER TYPE membership_status ADD VALUE 'guest'",
    &["altered type membership_status: values is 'pending', 'active', 'suspended', 'removed', 'guest', should be \
       'pending', 'active', 'suspended', 'removed'"],
    "Error"
)]
#[case::value_missing(
    "DELETE FROM pg_enum WHERE enumlabel IN ('invited', 'suspended') AND enumtypid = 'user_status'::regtype",
    &["altered type user_status: values is 'active', 'deleted', should be 'invited', 'active', 'suspended', 'deleted'"],
    "Error"
)]
#[case::value_renamed(
    "ALTER TYPE user_role RENAME VALUE 'auditor' TO 'inspector'",
    &["altered type user_role: values is 'user', 'inspector', 'admin', should be 'user', 'auditor', 'admin'"],
    "Error"
)]
#[case::type_extra("CREATE TYPE mood AS ENUM ('good')", &["extra type mood"], "Warning")]
#[case::domain_extra("CREATE DOMAIN shout AS text CHECK (value = upper(value))", &["extra type shout"], "Warning")]
#[case::function_altered(
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
    &["altered function audit_refuse(): definition is AS $function$ BEGIN RETURN OLD; END $function$, should be AS $function$"],
    "Error"
)]
#[case::function_for_everybody(
    "GRANT EXECUTE ON FUNCTION audit_record() TO PUBLIC",
    &["altered function audit_record(): for everybody is yes, should be no"],
    "Error"
)]
#[case::function_missing(
    "DROP FUNCTION audit_shown",
    &["missing function audit_shown(fields jsonb, names text[], secret text[], times text[])"],
    "Error"
)]
#[case::function_extra(
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    &["extra function one()"],
    "Warning"
)]
#[case::trigger_missing(
    "DROP TRIGGER events_immutable ON events",
    &["missing trigger events_immutable on events"],
    "Error"
)]
#[case::trigger_disabled(
    "ALTER TABLE events DISABLE TRIGGER events_immutable",
    &["altered trigger events_immutable on events: fires is never, should be in ordinary sessions"],
    "Error"
)]
#[case::trigger_altered(
    "CREATE OR REPLACE TRIGGER events_immutable BEFORE DELETE ON events
       FOR EACH ROW EXECUTE FUNCTION audit_refuse('events stay as they are')",
    &["altered trigger events_immutable on events: definition is CREATE TRIGGER events_immutable BEFORE DELETE ON events \
       FOR EACH ROW EXECUTE FUNCTION audit_refuse('events stay as they are'), should be CREATE TRIGGER events_immutable \
       BEFORE DELETE OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION audit_refuse('events stay as they are')"],
    "Error"
)]
#[case::trigger_extra(
    "CREATE TRIGGER held BEFORE INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('held')",
    &["extra trigger held on users"],
    "Error"
)]
#[case::rule_extra(
    "CREATE RULE quiet AS ON DELETE TO events DO INSTEAD NOTHING",
    &["extra rule quiet on events"],
    "Error"
)]
#[case::policy_extra(
    "CREATE POLICY hidden ON users FOR SELECT USING (role <> 'admin')",
    &["extra policy hidden on users"],
    "Error"
)]
#[case::row_security(
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    &["altered table users: row security is forced, should be off"],
    "Error"
)]
#[case::unlogged(
    "ALTER TABLE idempotency_keys SET UNLOGGED",
    &["altered table idempotency_keys: persistence is unlogged, should be logged"],
    "Error"
)]
#[case::table_missing("DROP TABLE idempotency_keys", &["missing table idempotency_keys"], "Error")]
#[case::table_extra(
    "CREATE TABLE notes (id int PRIMARY KEY, text text UNIQUE); CREATE INDEX ON notes (id, text)",
    &["extra table notes"],
    "Warning"
)]
#[case::view_extra("CREATE VIEW names AS SELECT name FROM organizations", &["extra view names"], "Warning")]
#[case::materialized_view_extra(
    "CREATE MATERIALIZED VIEW names AS SELECT name FROM organizations; CREATE INDEX names_idx ON names (name)",
    &["extra view names"],
    "Warning"
)]
#[case::extension_missing(
    "DROP EXTENSION pg_trgm CASCADE",
    &["missing extension pg_trgm", "missing index organizations_name_idx on organizations"],
    "Error"
)]
#[case::name_in_quotes(
    "CREATE TABLE \"My Notes\" (id int); CREATE INDEX \"By Tier\" ON organizations (subscription_expires_at)",
    &["extra index \"By Tier\" on organizations", "extra table \"My Notes\""],
    "Warning"
)]
#[tokio::test]
async fn postgres_drift_is_found_and_mended(
    #[case] sql: &str,
    #[case] found: &[&str],
    #[case] severity: &str,
) {
    found_and_mended(Backend::Postgres, sql, found, severity).await;
}

/// SQL that writes the definition of a table otherwise. SQLite alters no constraint: the text of the catalog is changed, as
/// a tool would do it that rebuilds a table.
macro_rules! rewritten {
    ($table:literal, $old:literal, $new:literal) => {
        concat!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '",
            $old,
            "', '",
            $new,
            "') WHERE name = '",
            $table,
            "'; PRAGMA writable_schema = RESET"
        )
    };
}

#[rstest]
#[case::column_extra("ALTER TABLE events ADD COLUMN shoe_size integer", &["extra column shoe_size on events"], "Warning")]
#[case::column_renamed(
    "ALTER TABLE idempotency_keys RENAME COLUMN answer TO reply",
    &[
        "extra column reply on idempotency_keys",
        "missing column answer on idempotency_keys",
        "altered constraint idempotency_keys_answer_type_check on idempotency_keys: definition is check \
         (typeof(reply) = 'blob'), should be check (typeof(answer) = 'blob')",
    ],
    "Error"
)]
#[case::type_altered(
    rewritten!("users", "\"bio\" text", "\"bio\" varchar(9)"),
    &["altered column bio on users: type is varchar(9), should be text"],
    "Error"
)]
#[case::default_altered(
    rewritten!("users", "''UTC''", "''CET''"),
    &["altered column timezone on users: default is 'CET', should be 'UTC'"],
    "Error"
)]
#[case::null_allowed(
    rewritten!("organizations", "\"slug\" varchar(100) NOT NULL", "\"slug\" varchar(100)"),
    &["altered column slug on organizations: null is NULL, should be NOT NULL"],
    "Error"
)]
#[case::check_missing(
    rewritten!("users", ", CONSTRAINT \"users_version_check\" CHECK (version >= 1)", ""),
    &["missing constraint users_version_check on users"],
    "Error"
)]
#[case::check_altered(
    rewritten!("users", "version >= 1", "version >= 0"),
    &["altered constraint users_version_check on users: definition is check (version >= 0), should be check (version >= 1)"],
    "Error"
)]
#[case::check_extra(
    rewritten!("users", "CHECK (version >= 1)", "CHECK (version >= 1), CHECK (length(email) > 1)"),
    &["extra constraint users_check on users"],
    "Error"
)]
#[case::foreign_key_altered(
    rewritten!("memberships", "memberships_user_id_fkey REFERENCES users (id) ON DELETE CASCADE", "memberships_user_id_fkey REFERENCES users (id)"),
    &["altered foreign key memberships_user_id_fkey on memberships: definition is (user_id) references users(id), should \
       be (user_id) references users(id) on delete cascade"],
    "Error"
)]
#[case::foreign_key_missing(
    rewritten!("events", "CONSTRAINT events_user_id_fkey REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED", ""),
    &["missing foreign key events_user_id_fkey on events"],
    "Error"
)]
#[case::index_missing("DROP INDEX users_status_role_idx", &["missing index users_status_role_idx on users"], "Error")]
#[case::index_altered(
    "DROP INDEX users_status_role_idx; CREATE INDEX users_status_role_idx ON users (role, status)",
    &["altered index users_status_role_idx on users: definition is create index users_status_role_idx on users(role, status), \
       should be create index users_status_role_idx on users(status asc, role asc)"],
    "Error"
)]
#[case::index_extra("CREATE INDEX language_idx ON users (language)", &["extra index language_idx on users"], "Warning")]
#[case::trigger_missing(
    "DROP TRIGGER events_not_updated",
    &["missing trigger events_not_updated on events"],
    "Error"
)]
#[case::trigger_altered(
    "DROP TRIGGER events_not_updated;
     CREATE TRIGGER events_not_updated BEFORE UPDATE ON events BEGIN SELECT 1; END",
    &["altered trigger events_not_updated on events: definition is create trigger events_not_updated before update on \
       events begin select 1; end, should be create trigger events_not_updated before update on events begin select \
       raise(abort, 'UPDATE on events is refused: events stay as they are'); end"],
    "Error"
)]
#[case::trigger_extra(
    "CREATE TRIGGER held BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'held'); END",
    &["extra trigger held on users"],
    "Error"
)]
#[case::table_missing("DROP TABLE idempotency_keys", &["missing table idempotency_keys"], "Error")]
#[case::table_extra(
    "CREATE TABLE notes (id int PRIMARY KEY, text text UNIQUE); CREATE INDEX notes_idx ON notes (id, text)",
    &["extra table notes"],
    "Warning"
)]
#[case::view_missing("DROP VIEW uuid_v7", &["missing view uuid_v7"], "Error")]
#[case::view_extra("CREATE VIEW names AS SELECT name FROM organizations", &["extra view names"], "Warning")]
#[case::table_and_what_is_on_it(
    "DROP INDEX users_status_role_idx; DROP TRIGGER users_audit_update; CREATE INDEX language_idx ON users (language);
     ALTER TABLE users ADD COLUMN shoe_size integer",
    &[
        "extra index language_idx on users",
        "extra column shoe_size on users",
        "missing index users_status_role_idx on users",
        "missing trigger users_audit_update on users",
    ],
    "Error"
)]
#[case::name_in_quotes(
    "CREATE TABLE \"My Notes\" (id int); CREATE INDEX \"By Tier\" ON organizations (subscription_expires_at)",
    &["extra index \"By Tier\" on organizations", "extra table \"My Notes\""],
    "Warning"
)]
#[tokio::test]
async fn sqlite_drift_is_found_and_mended(
    #[case] sql: &str,
    #[case] found: &[&str],
    #[case] severity: &str,
) {
    found_and_mended(Backend::Sqlite, sql, found, severity).await;
}

fn diff(database: &TestDatabase, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> = ["schema", "diff"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    told(&run(&database.url(), &arguments, ""))
}

const DROP_INDEX: &str = "DROP INDEX users_status_role_idx";

#[rstest]
#[tokio::test]
async fn the_command_tells_by_its_exit_code_and_its_text_is_sql(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let (code, output, error) = diff(&database, &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    let migrations = Migrator::migrations();
    let last = migrations.last().unwrap().name();
    assert_eq!(
        output,
        format!("-- the schema is what the migrations make (up to {last})\n")
    );
    let connection = database.connect().await;
    execute(&connection, DROP_INDEX).await.unwrap();
    execute(&connection, "DROP INDEX events_event_type_idx")
        .await
        .unwrap();
    let (code, output, error) = diff(&database, &[]);
    assert_eq!(code, 1);
    assert!(
        error.contains("the schema is not what the migrations make: 2 differences"),
        "{error}"
    );
    assert!(
        output.contains("-- missing index users_status_role_idx on users\nCREATE INDEX"),
        "{output}"
    );

    let (code, output, _) = diff(&database, &["--format", "json"]);
    assert_eq!(code, 1);
    let answer: Value = serde_json::from_str(&output).expect("one line of JSON");
    assert_eq!(answer["drift"], true);
    assert_eq!(answer["pending"], json!([]));
    let first = &answer["differences"][0];
    assert_eq!(
        (
            &first["change"],
            &first["object"],
            &first["table"],
            &first["name"],
            &first["severity"]
        ),
        (
            &json!("missing"),
            &json!("index"),
            &json!("events"),
            &json!("events_event_type_idx"),
            &json!("error")
        )
    );
    // What is told is comment: the answer as it stands mends.
    let (_, script, _) = diff(&database, &[]);
    execute(&connection, &script).await.unwrap();
    assert_eq!(diff(&database, &[]).0, 0);
}

#[rstest]
#[tokio::test]
async fn what_is_pending_is_no_drift_and_what_is_unknown_cannot_be_compared(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let (code, output, _) = diff(&database, &["--format", "json"]);
    // SQLite has no file yet, and looking makes none.
    if backend == Backend::Postgres {
        assert_eq!(code, 0, "{output}");
        let answer: Value = serde_json::from_str(&output).expect("one line of JSON");
        assert_eq!(answer["current"], Value::Null);
        assert_eq!(
            answer["pending"].as_array().map(Vec::len),
            Some(Migrator::migrations().len())
        );
    } else {
        assert_eq!(code, 1);
    }
    let url = database.url();
    told(&run(
        &url,
        &["migrate", "up", "--to", "create_memberships"],
        "",
    ));
    let (code, output, error) = diff(&database, &[]);
    assert_eq!(code, 0, "{error}");
    assert!(
        output.contains("-- pending, and not expected: m20261121_000004_create_events"),
        "{output}"
    );

    let connection = database.connect().await;
    execute(
        &connection,
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_more', 1)",
    )
    .await
    .unwrap();
    let (code, _, error) = diff(&database, &[]);
    assert_eq!(code, 1);
    assert!(
        error.contains("m29991231_000001_more") && error.contains("newer rollbook"),
        "{error}"
    );
    execute(&connection, "DROP TABLE seaql_migrations")
        .await
        .unwrap();
    let (code, _, error) = diff(&database, &[]);
    assert_eq!(code, 1);
    assert!(
        error.contains("the table seaql_migrations is missing"),
        "{error}"
    );
}

/// A role that may not make the schema in which the migrations are tried.
#[tokio::test]
async fn without_the_right_to_try_the_migrations_the_reason_is_told() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let reader = Reader::of(&database).await;
    let url = reader.url();
    for arguments in [&["schema", "diff"][..], &["migrate", "validate"]] {
        let (code, _, error) = told(&run(url, arguments, ""));
        assert_eq!(code, 1);
        assert!(error.contains("permission denied for database"), "{error}");
        assert!(error.contains("GRANT CREATE ON DATABASE"), "{error}");
    }
    // What needs no trial is looked at: it is no fault of the database that the rest is not.
    let (code, output, error) = told(&run(url, &["doctor"], ""));
    assert_eq!(code, 0, "{output}{error}");
    for check in ["migrations", "schema-drift"] {
        let line = format!("WARNING {check}: not compared");
        assert!(output.contains(&line), "{output}");
    }
    assert!(output.contains("2 warnings, 0 errors"), "{output}");
    assert_eq!(
        output.matches("GRANT CREATE ON DATABASE").count(),
        2,
        "{output}"
    );
    assert_eq!(told(&run(url, &["doctor", "--strict"], "")).0, 4);
    let connection = database.connect().await;
    let ahead = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_make_more', 1)";
    execute(&connection, ahead).await.unwrap();
    let (code, output, _) = told(&run(url, &["doctor"], ""));
    assert_eq!(code, 1);
    assert!(
        output.contains("ERROR   migrations: 1 migration does not fit"),
        "{output}"
    );
    execute(
        &connection,
        "DELETE FROM seaql_migrations WHERE version LIKE 'm2999%'",
    )
    .await
    .unwrap();

    let refused = spawn(
        url,
        &["serve"],
        &[
            ("ROLLBOOK_LISTEN", "127.0.0.1:0"),
            ("ROLLBOOK_SCHEMA_DRIFT", "refuse"),
        ],
    );
    let (code, _, error) = told(&refused.wait_with_output().unwrap());
    assert_eq!(code, 1);
    assert!(
        error.contains("cannot be compared") && error.contains("right CREATE"),
        "{error}"
    );
    let mut server = ServerProcess::start(url, &[]);
    assert!(
        server.log().contains("the schema cannot be compared"),
        "{}",
        server.log()
    );
    server.kill();
    reader.leave().await;
}

#[rstest]
#[tokio::test]
async fn a_server_warns_of_drift_or_refuses_it_or_does_not_look(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let url = database.url();
    let refuse = [
        ("ROLLBOOK_LISTEN", "127.0.0.1:0"),
        ("ROLLBOOK_SCHEMA_DRIFT", "refuse"),
    ];
    let healthy = ServerProcess::start(&url, &refuse);
    assert!(!healthy.log().contains("WARN"), "{}", healthy.log());
    drop(healthy);

    let connection = database.connect().await;
    execute(&connection, DROP_INDEX).await.unwrap();
    execute(&connection, "DROP INDEX events_event_type_idx")
        .await
        .unwrap();
    connection.close().await.unwrap();
    let what = "the schema is not what the migrations make: missing index events_event_type_idx on events and 1 more";
    let warned = ServerProcess::start(&url, &[]);
    assert!(
        warned.log().contains("WARN") && warned.log().contains(what),
        "{}",
        warned.log()
    );
    drop(warned);
    let ignored = ServerProcess::start(&url, &[("ROLLBOOK_SCHEMA_DRIFT", "ignore")]);
    assert!(!ignored.log().contains("WARN"), "{}", ignored.log());
    drop(ignored);

    let refused = spawn(&url, &["serve"], &refuse);
    let (code, output, error) = told(&refused.wait_with_output().unwrap());
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        error.contains(what) && error.contains("rollbook schema diff"),
        "{error}"
    );
    let bad = spawn(&url, &["serve"], &[("ROLLBOOK_SCHEMA_DRIFT", "panic")]);
    let (code, _, error) = told(&bad.wait_with_output().unwrap());
    assert_eq!(code, 2);
    assert!(
        error.contains("ROLLBOOK_SCHEMA_DRIFT")
            && error.contains("allowed are warn, refuse, ignore"),
        "{error}"
    );
}

/// The page of the schema is what `make docs` makes, so it cannot go stale, and nothing in it is without a meaning.
#[tokio::test]
async fn the_page_of_the_schema_is_what_the_migrations_make() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let (code, made, error) = told(&run(&database.url(), &["schema", "document"], ""));
    assert_eq!((code, error.as_str()), (0, ""));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/database/schema.md");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    assert!(
        made == committed,
        "docs/database/schema.md is not what the migrations make: run `make docs` and commit what it changes"
    );
    let sqlite = TestDatabase::migrated(Backend::Sqlite).await;
    let (code, _, error) = told(&run(&sqlite.url(), &["schema", "document"], ""));
    assert_eq!(code, 1);
    assert!(
        error.contains("only PostgreSQL keeps what tables and columns mean"),
        "{error}"
    );
}

/// A migration that says nothing of what it makes.
struct Silent;

impl MigrationName for Silent {
    fn name(&self) -> &str {
        "m20990101_000001_silent"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Silent {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = "CREATE TABLE silent (id integer PRIMARY KEY, word text); CREATE INDEX silent_word_idx ON silent (word)";
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }
}

struct WithSilent;

#[async_trait::async_trait]
impl MigratorTrait for WithSilent {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = Migrator::migrations();
        migrations.push(Box::new(Silent));
        migrations
    }
}

#[tokio::test]
async fn what_has_no_meaning_has_no_page() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let connection = database.connect().await;
    match document(&Migrations::of::<WithSilent>(), &connection).await {
        Err(DocumentError::Meaningless { what }) => assert_eq!(
            what,
            [
                "table silent",
                "column silent.id",
                "column silent.word",
                "index silent.silent_word_idx"
            ]
        ),
        other => panic!("{other:?}"),
    }
}

/// All that the migrations made, gone but for the record that they were applied.
#[rstest]
#[case::sqlite(
    Backend::Sqlite,
    "PRAGMA foreign_keys = OFF; DROP VIEW uuid_v7; DROP TABLE api_keys; DROP TABLE memberships; DROP TABLE events;
     DROP TABLE idempotency_keys; DROP TABLE organizations; DROP TABLE users; PRAGMA foreign_keys = ON"
)]
#[case::postgres(
    Backend::Postgres,
    "DROP TABLE api_keys, memberships, events, idempotency_keys, organizations, users CASCADE;
     DROP TYPE api_key_type, api_key_status, membership_role, membership_status, organization_status, user_role, user_status;
     DROP FUNCTION audit_record, audit_shown, audit_guard_version, audit_refuse; DROP EXTENSION pg_trgm"
)]
#[tokio::test]
async fn everything_that_is_missing_comes_back(#[case] backend: Backend, #[case] sql: &str) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    execute(&connection, sql).await.unwrap();
    let compared = comparison(&database).await;
    assert!(compared.differences.len() > 5, "{compared:#?}");
    for mend in compared.mends() {
        execute(&connection, mend)
            .await
            .unwrap_or_else(|error| panic!("{mend}: {error}"));
    }
    connection.close().await.unwrap();
    assert_eq!(comparison(&database).await.differences, []);
    assert_eq!(unhealthy(&database).await, [] as [&str; 0]);
    bootstrap(&database);
    let server = ServerProcess::start(&database.url(), &[("ROLLBOOK_SCHEMA_DRIFT", "refuse")]);
    assert!(server.is_listening());
}

/// As on a standby: all that can be read is checked, and what has to be tried is said to be left out.
#[tokio::test]
async fn where_nothing_can_be_tried_that_is_said() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let connection = database.connect().await;
    execute(
        &connection,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    )
    .await
    .unwrap();
    connection.close().await.unwrap();
    let url = database.url();
    for command in [["schema", "diff"], ["migrate", "validate"]] {
        let (code, _, error) = told(&run(&url, &command, ""));
        assert_eq!(code, 1);
        assert!(
            error.contains("read-only") && error.contains("ask the primary"),
            "{error}"
        );
    }
    let (code, output, error) = told(&run(&url, &["doctor"], ""));
    assert_eq!(code, 0, "{output} {error}");
    for check in ["migrations", "schema-drift"] {
        assert!(
            output.contains(&format!("ok      {check}: not looked at")),
            "{output}"
        );
    }
    let server = ServerProcess::start(&url, &[]);
    assert!(server.log().contains("cannot be tried"), "{}", server.log());
}
