//! `rollbook doctor`: a healthy database passes, and each fault is found by the check that is for it and by no other.

use std::collections::BTreeSet;

use api::Product;
use api::operations::Severity;
use api::operations::doctor::{self, Options, Report, SHOWN, all_references, unique_sets};
use rstest::rstest;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::{TestApp, bootstrap, run, told};
use uuid::Uuid;

/// What doctor finds in a database, by `only` these checks or by all.
pub async fn examine(database: &TestDatabase, options: &Options) -> Report {
    database.examine(&Product::default(), options).await
}

/// The names of the checks that did not pass, and how bad each is.
fn failed(report: &Report) -> Vec<(&'static str, Severity)> {
    let failed = report.results.iter().filter(|result| !result.passed);
    failed
        .map(|result| (result.name, result.severity))
        .collect()
}

/// A database that was used: an organization with an owner, a member and a key, each with a history.
struct Used {
    backend: Backend,
    app: TestApp,
    connection: DatabaseConnection,
    organization: Uuid,
    member: Uuid,
}

impl Used {
    async fn at(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        let owner = app.outsider().await;
        let organization = app.organization(&owner).await;
        let member = app.member(organization, "member").await;
        // Everybody is a member of something.
        for user in [&owner, &member] {
            app.join(app.first_organization, user, "viewer").await;
        }
        let path = format!("/v1/organizations/{organization}");
        owner
            .patch(
                &path,
                json!({"city": "Basel", "settings": {"number": 1e17}}),
            )
            .await
            .ok();
        owner.patch(&path, json!({"city": null})).await.ok();
        let path = format!("/v1/users/{}", member.user_id());
        member.patch(&path, json!({"first_name": "Mem"})).await.ok();
        let connection = app.database.connect().await;
        Self {
            backend,
            organization,
            member: member.user_id(),
            app,
            connection,
        }
    }

    async fn report(&self) -> Report {
        examine(&self.app.database, &Options::default()).await
    }

    async fn does(&self, sql: &str) {
        let sql = sql
            .replace("{organization}", &self.backend.id(self.organization))
            .replace("{member}", &self.backend.id(self.member))
            .replace("{stranger}", &self.backend.id(Uuid::from_u128(7)));
        execute(&self.connection, &sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Takes every trigger, constraint and rule from a table; its rows stay.
    async fn unguard(&self, table: &str) {
        match self.backend {
            Backend::Sqlite => {
                let sql = format!(
                    "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON;
                     CREATE TABLE unguarded AS SELECT * FROM {table}; DROP TABLE {table};
                     ALTER TABLE unguarded RENAME TO {table}; PRAGMA legacy_alter_table = OFF;
                     CREATE UNIQUE INDEX {table}_by_id ON {table} (id)"
                );
                execute(&self.connection, &sql).await.unwrap();
            }
            Backend::Postgres => {
                let sql = format!(
                    "SET session_replication_role = replica;
                     DO $$ DECLARE found record; BEGIN
                       FOR found IN SELECT conname FROM pg_constraint
                                    WHERE conrelid = '{table}'::regclass AND contype IN ('c', 'u', 'f')
                       LOOP EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', found.conname); END LOOP;
                       FOR found IN SELECT indexrelid::regclass AS name FROM pg_index
                                    WHERE indrelid = '{table}'::regclass AND indisunique AND NOT indisprimary
                       LOOP EXECUTE format('DROP INDEX %s', found.name); END LOOP;
                     END $$"
                );
                execute(&self.connection, &sql).await.unwrap();
            }
        }
    }
}

/// The names of the checks that did not pass, where the schema was changed too.
fn failed_beside_drift(report: &Report) -> Vec<(&'static str, Severity)> {
    let (drift, others): (Vec<_>, Vec<_>) = failed(report)
        .into_iter()
        .partition(|found| *found == DRIFT);
    assert_eq!(drift, [DRIFT], "{report:#?}");
    others
}

const DRIFT: (&str, Severity) = ("schema-drift", Severity::Error);
const AUDIT: (&str, Severity) = ("audit-completeness", Severity::Error);
const EVENTS: (&str, Severity) = ("event-integrity", Severity::Error);
const KEYS: (&str, Severity) = ("foreign-key-constraints", Severity::Error);
const RULES: (&str, Severity) = ("data-consistency", Severity::Error);
const UNIQUE: (&str, Severity) = ("unique-constraints", Severity::Error);

/// A change behind everybody's back, and who finds it: more than one check where one fault is also another.
#[rstest]
#[case::lost_user("events", "UPDATE events SET user_id = {stranger} WHERE aggregate_id = {member} AND aggregate_version = 1", &[KEYS])]
#[case::lost_inviter("memberships", "UPDATE memberships SET invited_by = {stranger} WHERE user_id = {member}", &[KEYS, AUDIT])]
#[case::key_hash("api_keys", "UPDATE api_keys SET key_hash = 'the same'", &[UNIQUE])]
#[case::email_case("users", "UPDATE users SET email = (SELECT upper(email) FROM users WHERE id = {member}) WHERE id <> {member} AND role = 'user'", &[UNIQUE, RULES, AUDIT])]
#[case::version_twice("events", "UPDATE events SET aggregate_version = 2 WHERE aggregate_id = {organization} AND aggregate_version = 3", &[UNIQUE, EVENTS, AUDIT])]
#[case::sign_ins("users", "UPDATE users SET failed_login_attempts = -1", &[RULES])]
#[case::password_hash("users", "UPDATE users SET password_hash = '' WHERE password_hash IS NOT NULL OR id = {member}", &[RULES, AUDIT])]
#[case::slug("organizations", "UPDATE organizations SET slug = 'Not A Slug' WHERE id = {organization}", &[RULES, AUDIT])]
#[case::name("organizations", "UPDATE organizations SET name = '  ' WHERE id = {organization}", &[RULES, AUDIT])]
#[case::version("organizations", "UPDATE organizations SET version = 0 WHERE id = {organization}", &[RULES, AUDIT])]
#[case::email("users", "UPDATE users SET email = 'two@at@example.org' WHERE id = {member}", &[RULES, AUDIT])]
#[case::user_version("users", "UPDATE users SET version = 0 WHERE id = {member}", &[RULES, AUDIT])]
#[case::left_at("memberships", "UPDATE memberships SET left_at = created_at WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::membership_version("memberships", "UPDATE memberships SET version = -1 WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::key_name("api_keys", "UPDATE api_keys SET name = ' ' WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::key_prefix("api_keys", "UPDATE api_keys SET key_prefix = '' WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::usage_count("api_keys", "UPDATE api_keys SET usage_count = -1", &[RULES])]
#[case::organization_key("api_keys", "UPDATE api_keys SET key_type = 'organization' WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::key_version("api_keys", "UPDATE api_keys SET version = 0 WHERE user_id = {member}", &[RULES, AUDIT])]
#[case::unknown_type("events", "UPDATE events SET event_type = 'ORGANIZATION.PAINTED' WHERE aggregate_id = {organization} AND aggregate_version = 2", &[EVENTS])]
#[case::wrong_aggregate("events", "UPDATE events SET aggregate_type = 'user' WHERE aggregate_id = {organization} AND aggregate_version = 2", &[EVENTS])]
#[case::no_source("events", "UPDATE events SET source = ' ' WHERE aggregate_id = {organization} AND aggregate_version = 2", &[EVENTS])]
#[case::metadata("events", "UPDATE events SET metadata = '[]' WHERE aggregate_id = {organization} AND aggregate_version = 2", &[EVENTS])]
#[case::tags("events", "UPDATE events SET tags = '1' WHERE aggregate_id = {organization} AND aggregate_version = 2", &[EVENTS])]
#[case::data("events", "UPDATE events SET data = '[]' WHERE aggregate_id = {organization} AND aggregate_version = 3", &[EVENTS])]
#[case::gap("events", "DELETE FROM events WHERE aggregate_id = {organization} AND aggregate_version = 1", &[EVENTS])]
#[case::other_old_value("events", "UPDATE events SET data = '{\"old\": {\"city\": \"Bern\"}, \"new\": {\"city\": null}}' WHERE aggregate_id = {organization} AND aggregate_version = 3", &[AUDIT])]
#[case::changed_row("organizations", "UPDATE organizations SET phone = '1' WHERE id = {organization}", &[AUDIT])]
#[case::changed_json("organizations", "UPDATE organizations SET settings = '{\"number\": 2}' WHERE id = {organization}", &[AUDIT])]
#[case::changed_version("organizations", "UPDATE organizations SET version = version + 1 WHERE id = {organization}", &[AUDIT])]
#[case::lost_last_event("events", "DELETE FROM events WHERE aggregate_id = {organization} AND aggregate_version = 3", &[AUDIT])]
#[case::lost_row("api_keys", "DELETE FROM api_keys WHERE user_id = {member}", &[AUDIT])]
#[tokio::test]
async fn a_fault_is_found_by_its_check_and_by_no_other(
    #[case] table: &str,
    #[case] sql: &str,
    #[case] found: &[(&str, Severity)],
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    used.unguard(table).await;
    assert_eq!(
        failed_beside_drift(&used.report().await),
        [],
        "only unguarded"
    );
    used.does(sql).await;
    let report = used.report().await;
    assert_eq!(failed_beside_drift(&report), found, "{report:#?}");
    assert!(!report.overall);
    assert_eq!(report.summary.errors, found.len() + 1);
    for result in report.results.iter().filter(|result| !result.passed) {
        assert!(
            !result.details.is_empty() && result.mend.is_some(),
            "{result:?}"
        );
        assert!(
            !result.details.concat().contains("the same"),
            "a secret is told: {result:?}"
        );
    }
}

#[rstest]
#[tokio::test]
async fn a_used_database_is_healthy_and_an_empty_one_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    let report = used.report().await;
    assert_eq!(failed(&report), [], "{report:#?}");
    assert!(report.overall);
    assert_eq!(report.summary.passed, doctor::list().len());
    let empty = TestDatabase::migrated(backend).await;
    assert_eq!(failed(&examine(&empty, &Options::default()).await), []);
}

/// What is told in the trail is no fault of the trail: the rules are.
#[rstest]
#[tokio::test]
async fn an_organization_without_an_active_owner_is_an_error_and_a_lone_user_a_warning(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    let lone = used.app.outsider().await;
    let report = used.report().await;
    assert_eq!(failed(&report), [("data-consistency", Severity::Warning)]);
    assert!(report.overall, "a warning is no failure");
    assert_eq!(report.summary.warnings, 1);
    let detail = format!(
        "users {}: they are active and a member of nothing",
        lone.user_id()
    );
    let result = report.results.iter().find(|result| !result.passed).unwrap();
    assert_eq!(result.details, [detail]);

    used.does("UPDATE memberships SET role = 'member' WHERE organization_id = {organization}")
        .await;
    let report = used.report().await;
    assert_eq!(failed(&report), [("data-consistency", Severity::Error)]);
    let result = report.results.iter().find(|result| !result.passed).unwrap();
    assert!(result.details.contains(&format!(
        "organizations {}: it has no active owner",
        used.organization
    )));
}

#[tokio::test]
async fn indexes_that_are_there_twice_are_told() {
    let used = Used::at(Backend::Postgres).await;
    used.does("CREATE INDEX again ON organizations (created_at)")
        .await;
    let report = used.report().await;
    let drift = (DRIFT.0, Severity::Warning);
    assert_eq!(failed(&report), [drift, ("index-usage", Severity::Warning)]);
    assert!(report.overall);
}

/// Named, with its size, and no fault: another server may use it, or next month's report.
#[tokio::test]
async fn an_index_that_nobody_used_is_named() {
    let used = Used::at(Backend::Postgres).await;
    used.does("CREATE TABLE notes (note text); INSERT INTO notes SELECT repeat('x', 100) || n FROM generate_series(1, 20000) n; CREATE INDEX notes_note_idx ON notes (note)")
        .await;
    let options = Options {
        only: vec!["index-usage".to_owned()],
        ..Options::default()
    };
    let report = examine(&used.app.database, &options).await;
    let [result] = &report.results[..] else {
        panic!("{report:#?}")
    };
    assert!(result.passed, "{result:?}");
    assert_eq!(result.message, "no index is there twice; 1 were never used");
    let [detail] = &result.details[..] else {
        panic!("{result:?}")
    };
    assert!(
        detail.starts_with("notes_note_idx on notes was never used (") && detail.ends_with("kB)"),
        "{detail}"
    );
}

#[tokio::test]
async fn dead_rows_are_told() {
    let used = Used::at(Backend::Postgres).await;
    used.does("CREATE TABLE busy (a int) WITH (autovacuum_enabled = off)")
        .await;
    used.does("INSERT INTO busy SELECT generate_series(1, 20000)")
        .await;
    used.does("UPDATE busy SET a = a + 1").await;
    used.does("SELECT pg_stat_force_next_flush()").await;
    used.does("SELECT 1").await;
    assert_eq!(
        failed(&used.report().await),
        [
            (DRIFT.0, Severity::Warning),
            ("bloat-and-vacuum", Severity::Warning)
        ]
    );
}

#[rstest]
#[tokio::test]
async fn large_tables_are_told(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let used = Used::at(backend).await;
    let options = Options {
        table_size_limit: 10_000,
        ..Options::default()
    };
    let report = examine(&used.app.database, &options).await;
    assert_eq!(failed(&report), [("table-sizes", Severity::Warning)]);
}

#[rstest]
#[tokio::test]
async fn a_migration_that_does_not_fit_is_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    used.does(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_more', 1)",
    )
    .await;
    assert_eq!(
        failed(&used.report().await),
        [("migrations", Severity::Error)]
    );
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let used = Used::at(Backend::Sqlite).await;
    used.does(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX organizations_domain_idx ON organizations (name)'
           WHERE name = 'organizations_domain_idx'",
    )
    .await;
    assert_eq!(
        failed_beside_drift(&used.report().await),
        [("integrity-check", Severity::Error)]
    );
}

#[tokio::test]
async fn sqlites_own_check_finds_what_a_constraint_would_refuse() {
    let used = Used::at(Backend::Sqlite).await;
    used.does("PRAGMA foreign_keys = OFF; DROP TRIGGER events_not_updated; UPDATE events SET user_id = {stranger} WHERE aggregate_id = {member}").await;
    assert_eq!(
        failed_beside_drift(&used.report().await),
        [KEYS, ("foreign-key-check", Severity::Error)]
    );
}

#[rstest]
#[tokio::test]
async fn a_check_that_fails_itself_is_an_error_and_stops_no_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    used.does("DROP TABLE idempotency_keys").await;
    let report = used.report().await;
    assert_eq!(failed_beside_drift(&report), [UNIQUE]);
    let mut results = report.results.iter();
    let result = results.find(|result| result.name == UNIQUE.0).unwrap();
    assert!(
        result.message.starts_with("the check itself failed: "),
        "{result:?}"
    );
}

#[rstest]
#[tokio::test]
async fn of_many_findings_the_first_are_told_and_all_are_counted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let used = Used::at(backend).await;
    for number in 0..30 {
        let email = format!("lone-{number}@example.com");
        used.app
            .system_admin
            .post("/v1/users", json!({"email": email}))
            .await
            .created();
    }
    used.does("UPDATE users SET status = 'active' WHERE status <> 'active'")
        .await;
    let report = used.report().await;
    let result = report.results.iter().find(|result| !result.passed).unwrap();
    assert_eq!(result.details.len(), SHOWN);
    assert_eq!(result.message, "30 rows break a rule");
}

/// The tables with triggers that write the trail are those whose rows doctor folds.
#[rstest]
#[tokio::test]
async fn no_audited_table_is_without_its_check(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let there = match backend {
        Backend::Sqlite => {
            "SELECT tbl_name FROM sqlite_schema WHERE name = tbl_name || '_audit_delete' ORDER BY 1"
        }
        Backend::Postgres => {
            "SELECT tgrelid::regclass::text FROM pg_trigger
             WHERE tgname = tgrelid::regclass::text || '_audit_delete' ORDER BY 1"
        }
    };
    let there = text_rows(&database.connect().await, there).await;
    let audited = tests::tables::audited().into_iter();
    let known: BTreeSet<String> = audited.map(|(table, _)| table).collect();
    assert_eq!(
        there,
        known.into_iter().collect::<Vec<_>>(),
        "the product has all of them"
    );
}

/// The checks know every reference and every unique set that the database has.
#[tokio::test]
async fn no_constraint_is_without_its_check() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let connection = database.connect().await;
    let known: Vec<String> = all_references(&Product::default())
        .iter()
        .map(|reference| {
            format!(
                "{} {} {}",
                reference.table, reference.column, reference.target
            )
        })
        .collect();
    let there = "SELECT conrelid::regclass || ' ' || attname || ' ' || confrelid::regclass FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] WHERE contype = 'f'";
    let there = text_rows(&connection, there).await;
    assert_eq!(there.len(), known.len());
    for reference in there {
        assert!(known.contains(&reference), "{reference}");
    }
    let there = "SELECT indrelid::regclass || ' ' || (
            SELECT string_agg(replace(pg_get_indexdef(indexrelid, n, true), '::text', ''), ', ' ORDER BY n)
            FROM generate_series(1, indnkeyatts) n)
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE indisunique AND relnamespace = 'public'::regnamespace AND relname <> 'seaql_migrations'";
    let known: BTreeSet<String> = unique_sets(&Product::default())
        .iter()
        .map(|(table, columns)| {
            format!(
                "{table} {}",
                columns.join(", ").replace("lower(email)", "email")
            )
        })
        .collect();
    let there = text_rows(&connection, there).await.into_iter();
    let there: BTreeSet<_> = there
        .map(|set| set.replace("lower(email)", "email"))
        .collect();
    // A resource that declares another set than the schema has is told here.
    assert_eq!(known, there);
}

#[rstest]
#[tokio::test]
async fn the_command_tells_what_it_found_and_by_its_status_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    bootstrap(&database);
    let doctor = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["doctor"].iter().chain(arguments).copied().collect();
        told(&run(&database.url(), &arguments, ""))
    };
    let (code, text, error) = doctor(&[]);
    assert_eq!(code, 0, "{text} {error}");
    assert!(
        text.contains("ok      audit-completeness: 4 rows are what their 4 events say\n"),
        "{text}"
    );
    assert!(
        text.ends_with("PASS: 12 passed, 0 warnings, 0 errors\n"),
        "{text}"
    );
    let (_, list, _) = doctor(&["--list"]);
    assert!(list.starts_with("migrations\n  "), "{list}");
    let (code, json, _) = doctor(&[
        "--format",
        "json",
        "--only",
        "event-integrity,unique-constraints",
    ]);
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["overall"], true);
    assert_eq!(
        report["summary"],
        json!({"passed": 2, "warnings": 0, "errors": 0})
    );
    let first = report["results"][0].as_object().unwrap();
    assert_eq!(first["name"], "unique-constraints");
    for field in ["passed", "severity", "message", "details"] {
        assert!(first.contains_key(field), "{field}");
    }
    let (code, _, error) = doctor(&["--only", "nothing"]);
    assert_eq!(code, 2);
    assert!(error.contains("audit-completeness"), "{error}");

    let large = ["--table-size-limit", "1"];
    assert_eq!(doctor(&["--strict"]).0, 0);
    assert_eq!(doctor(&large).0, 0, "warnings are no failure");
    let (code, text, error) = doctor(&["--strict", large[0], large[1]]);
    assert_eq!(code, 4);
    assert!(text.ends_with(" 1 warnings, 0 errors\n"), "{text}");
    assert!(error.contains("should be looked at"), "{error}");

    let connection = database.connect().await;
    let unowned = "UPDATE memberships SET role = 'viewer'";
    execute(&connection, unowned).await.unwrap();
    assert_eq!(doctor(&["--strict", large[0], large[1]]).0, 1);
    let (code, text, error) = doctor(&[]);
    assert_eq!(code, 1);
    assert!(
        text.contains("ERROR   data-consistency: 1 row breaks a rule\n"),
        "{text}"
    );
    assert!(
        text.contains("FAIL: 11 passed, 0 warnings, 1 errors"),
        "{text}"
    );
    assert!(error.contains("something is wrong"), "{error}");

    execute(
        &connection,
        "DELETE FROM seaql_migrations WHERE version LIKE '%idempotency%'",
    )
    .await
    .unwrap();
    let (code, _, error) = doctor(&[]);
    assert_eq!(code, 1);
    assert!(
        error.contains("behind") && error.contains("migrate up"),
        "{error}"
    );
}
