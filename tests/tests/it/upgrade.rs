//! A server of the version before, when the database is newer already.

use migration::{Migrator, MigratorTrait};
use rstest::rstest;
use serde_json::{Value, json};
use tests::database::{execute, text_rows};
use tests::{Backend, ServerProcess, TestDatabase, bootstrap, run, told, unique};

/// As the next version leaves it: one more migration, of which it says whether this version goes on.
async fn upgrade(database: &TestDatabase, name: &str, compatible: bool) {
    let connection = database.connect().await;
    let moment = "2026-12-01T10:00:00+00:00";
    let records = format!(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 1);
         INSERT INTO rollbook_migrations (version, fingerprint, applied_at, duration_ms, compatible)
           VALUES ('{name}', 'f', '{moment}', 1, {compatible})"
    );
    execute(&connection, &records).await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_goes_on_where_the_migration_says_so(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    assert_eq!(told(&run(&database.url(), &["migrate", "up"], "")).0, 0);
    let admin = bootstrap(&database);
    let server = ServerProcess::start(&database.url(), &[]);
    let (caller, nobody) = (server.caller(Some(&admin.key)), server.caller(None));
    upgrade(&database, "m29990101_000001_more", true).await;
    upgrade(&database, "m29990101_000002_more_still", true).await;
    nobody.get("/readyz").await.ok();
    let body = json!({"name": "Example", "slug": unique()});
    caller.post("/v1/organizations", body).await.created();
    // The way back: servers of this version start on it, and say what they do.
    for setting in [
        ("ROLLBOOK_MIGRATE", "false"),
        ("ROLLBOOK_MIGRATE", "true"),
        ("ROLLBOOK_SCHEMA_DRIFT", "refuse"),
    ] {
        let older = ServerProcess::start(&database.url(), &[setting]);
        older.caller(None).get("/readyz").await.ok();
        let log = older.log();
        assert!(
            log.contains("m29990101_000002_more_still"),
            "{setting:?}: {log}"
        );
    }
    // One that it does not go on with is enough.
    upgrade(&database, "m29990101_000003_other", false).await;
    let refused = nobody.get("/readyz").await;
    let problem = refused.is_problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("m29990101_000003_other"), "{problem}");
    let (code, _, error) = told(&run(
        &database.url(),
        &["serve", "--listen", "127.0.0.1:0"],
        "",
    ));
    assert_eq!(code, 1);
    assert!(error.contains("install the newer rollbook"), "{error}");
}

#[rstest]
#[tokio::test]
async fn each_migration_is_recorded_with_its_word(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let compatible = async |database: &TestDatabase| {
        let connection = database.connect().await;
        let question = "SELECT version FROM rollbook_migrations WHERE compatible ORDER BY version";
        text_rows(&connection, question).await
    };
    let expected = ["m20261201_000007_find_events_by_client"];
    let database = TestDatabase::empty(backend).await;
    assert_eq!(told(&run(&database.url(), &["migrate", "up"], "")).0, 0);
    assert_eq!(compatible(&database).await, expected);
    // A version before this word made the table without it, and the stock tool has none at all.
    let connection = database.connect().await;
    let older = "ALTER TABLE rollbook_migrations DROP COLUMN compatible";
    execute(&connection, older).await.unwrap();
    for arguments in [
        &["migrate", "status"][..],
        &["migrate", "up"],
        &["migrate", "validate"],
    ] {
        let (code, _, error) = told(&run(&database.url(), arguments, ""));
        assert_eq!(code, 0, "{arguments:?}: {error}");
    }
    let database = TestDatabase::migrated(backend).await;
    ServerProcess::start(&database.url(), &[])
        .caller(None)
        .get("/readyz")
        .await
        .ok();
    assert_eq!(told(&run(&database.url(), &["migrate", "up"], "")).0, 0);
    assert_eq!(compatible(&database).await, expected);
}

#[rstest]
#[tokio::test]
async fn a_plan_says_which_the_version_before_goes_on_with(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let (_, text, _) = told(&run(&database.url(), &["migrate", "plan"], ""));
    let words = "-- servers of the version before ";
    assert_eq!(text.matches(words).count(), Migrator::migrations().len());
    let compatible = format!("-- m20261201_000007_find_events_by_client\n{words}go on\n");
    assert!(text.contains(&compatible), "{text}");
    let (_, line, _) = told(&run(
        &database.url(),
        &["migrate", "plan", "--format", "json"],
        "",
    ));
    let plan: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(plan["migrations"][0]["compatible"], false);
    assert_eq!(plan["migrations"][6]["compatible"], true);
}
