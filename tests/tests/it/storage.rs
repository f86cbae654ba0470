//! Where the database is kept: its disk is full, its file is gone, two servers have it open.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::database::DatabaseUrl;
use rstest::rstest;
use sea_orm::DatabaseConnection;
use serde_json::json;
use tests::database::{TestDatabase, execute, text_rows};
use tests::{
    Answer, Backend, Caller, ServerProcess, TestApp, bootstrap, eventually, run,
    run_on_a_full_disk, told, unique,
};

async fn create(caller: &Caller) -> Answer {
    let body = json!({"name": "Example", "slug": unique()});
    caller.post("/v1/organizations", body).await
}

#[track_caller]
fn says(answer: &Answer, words: &str) {
    let problem = answer.is_problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{problem}");
    assert!(answer.header("retry-after").is_some());
}

/// The disk takes nothing more: SQLite gets no page beyond those that it has; PostgreSQL says what it says then.
async fn fill_disk(app: &TestApp) {
    let sql = match app.database.backend() {
        Backend::Sqlite => "PRAGMA max_page_count = 1",
        Backend::Postgres => {
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION full_disk();
             CREATE TRIGGER full_disk BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION full_disk()"
        }
    };
    let writer = &app.pools().writer;
    writer.run(sql).await.unwrap();
}

async fn make_space(app: &TestApp) {
    let sql = match app.database.backend() {
        Backend::Sqlite => "PRAGMA max_page_count = 1000000",
        Backend::Postgres => "DROP FUNCTION full_disk CASCADE",
    };
    let writer = &app.pools().writer;
    writer.run(sql).await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_called_so_and_the_server_recovers_by_itself(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let nobody = app.anonymous();
    nobody.get("/readyz").await.ok();
    fill_disk(&app).await;
    // What is left in pages that are there already.
    let mut refused = create(&app.system_admin).await;
    for _ in 0..200 {
        if refused.status != 201 {
            break;
        }
        refused = create(&app.system_admin).await;
    }
    says(&refused, "Disk full");
    says(&nobody.get("/readyz").await, "Disk full");
    nobody.get("/healthz").await.ok();
    app.system_admin.get("/v1/organizations").await.ok();
    // Longer than the uses of keys are gathered for: a little change that fits is no sign of space.
    tokio::time::sleep(Duration::from_secs(11)).await;
    says(&nobody.get("/readyz").await, "Disk full");
    make_space(&app).await;
    eventually("ready again, with nobody writing", async || {
        nobody.get("/readyz").await.status == 200
    })
    .await;
    create(&app.system_admin).await.created();
}

/// What a full disk may do to a transaction, done by a trigger: SQLite takes all of it back by itself.
#[tokio::test]
async fn a_transaction_that_the_database_took_back_is_not_mistaken_for_an_open_one() {
    let app = TestApp::start(Backend::Sqlite).await;
    let connection = app.database.connect().await;
    let trigger = "CREATE TRIGGER take_back BEFORE INSERT ON memberships BEGIN SELECT RAISE(ROLLBACK, 'taken back'); END";
    execute(&connection, trigger).await.unwrap();
    create(&app.system_admin).await.is_problem(500, "internal");
    execute(&connection, "DROP TRIGGER take_back")
        .await
        .unwrap();
    // One that is refused and taken back in the ordinary way, between.
    let taken = json!({"name": "First", "slug": "first"});
    let refused = app.system_admin.post("/v1/organizations", taken).await;
    refused.is_problem(409, "already-exists");
    for _ in 0..3 {
        is_there(&connection, &create(&app.system_admin).await).await;
    }
    execute(&connection, "BEGIN IMMEDIATE; ROLLBACK")
        .await
        .unwrap();
}

/// What was acknowledged others see, too.
async fn is_there(connection: &DatabaseConnection, answer: &Answer) {
    let slug = answer.created()["slug"].as_str().unwrap().to_owned();
    let found = format!("SELECT slug FROM organizations WHERE slug = '{slug}'");
    assert_eq!(text_rows(connection, &found).await, [slug]);
}

/// Commits that fail: SQLite rolls back by itself then, and the driver must not lose count of its transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nothing_is_acknowledged_that_is_not_there() {
    let database = TestDatabase::migrated(Backend::Sqlite).await;
    let admin = bootstrap(&database);
    // The write-ahead log may have a dozen pages: room for one change and a part of the next.
    for blocks in [100, 140, 180, 220] {
        let server = ServerProcess::start_on_a_full_disk(&database.url(), blocks);
        let caller = server.caller(Some(&admin.key));
        let connection = database.connect().await;
        let mut refused = 0;
        for _ in 0..12 {
            let answer = create(&caller).await;
            if answer.status != 201 {
                says(&answer, "Disk full");
                refused += 1;
                continue;
            }
            is_there(&connection, &answer).await;
        }
        assert!(refused > 2, "{blocks}: {}", server.log());
        says(&server.caller(None).get("/readyz").await, "Disk full");
        // Nobody holds the lock.
        execute(&connection, "BEGIN IMMEDIATE; ROLLBACK")
            .await
            .unwrap();
    }
}

#[rstest]
#[case::nothing_fits(0)]
#[case::not_even_the_first(8)]
#[case::not_all_of_it(400)]
#[tokio::test]
async fn on_a_full_disk_migrating_ends_at_once_and_says_why(#[case] blocks: u32) {
    for half_way in [false, true] {
        let database = TestDatabase::empty(Backend::Sqlite).await;
        if half_way {
            let up = ["migrate", "up", "--to", "create_users"];
            assert_eq!(told(&run(&database.url(), &up, "")).0, 0);
        }
        let start = Instant::now();
        let output = run_on_a_full_disk(&database.url(), &["migrate", "up"], blocks);
        let (code, _, error) = told(&output);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("disk full"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        // With space it goes on from there.
        let (code, _, error) = told(&run(&database.url(), &["migrate", "up"], ""));
        assert_eq!(code, 0, "{error}");
    }
}

fn file_of(database: &TestDatabase) -> PathBuf {
    let url: DatabaseUrl = database.url().parse().unwrap();
    url.file().expect("a file")
}

#[tokio::test]
async fn without_its_file_the_server_refuses_until_it_is_back() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (admin, nobody) = (&app.system_admin, app.anonymous());
    let file = file_of(&app.database);
    let aside = file.with_extension("aside");
    create(admin).await.created();
    for replacement in [None, Some("an empty file"), Some("another database")] {
        fs::rename(&file, &aside).unwrap();
        match replacement {
            None => {}
            Some("an empty file") => fs::write(&file, "").unwrap(),
            Some(_) => drop(fs::copy(&aside, &file).unwrap()),
        }
        for answer in [
            create(admin).await,
            admin.get("/v1/organizations").await,
            nobody.get("/readyz").await,
        ] {
            says(&answer, "removed or replaced");
        }
        nobody.get("/healthz").await.ok();
        fs::rename(&aside, &file).unwrap();
        nobody.get("/readyz").await.ok();
        create(admin).await.created();
    }
    fs::remove_file(&file).unwrap();
    says(&create(admin).await, "removed or replaced");
    says(&nobody.get("/readyz").await, "removed or replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_file_says_so() {
    const WORDS: &str = "another server has this database file open";
    let database = TestDatabase::migrated(Backend::Sqlite).await;
    bootstrap(&database);
    let mut first = ServerProcess::start(&database.url(), &[]);
    assert!(!first.log().contains(WORDS), "{}", first.log());
    let second = ServerProcess::start(&database.url(), &[]);
    eventually("the warning", async || second.log().contains(WORDS)).await;
    // The first one may go first, and go badly.
    first.kill();
    let mut third = ServerProcess::start(&database.url(), &[]);
    eventually("the warning", async || third.log().contains(WORDS)).await;
    third.kill();
    drop(second);
    let alone = ServerProcess::start(&database.url(), &[]);
    assert!(!alone.log().contains(WORDS), "{}", alone.log());
}

async fn succeeds(database: &TestDatabase, arguments: &[&str]) -> String {
    let (code, output, error) = told(&run(&database.url(), arguments, ""));
    assert_eq!(code, 0, "{arguments:?}: {output} {error}");
    output
}

#[tokio::test]
async fn trigrams_are_found_in_whichever_schema_they_are() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let connection = database.connect().await;
    let elsewhere = "CREATE SCHEMA \"Extensions of ours\"; CREATE EXTENSION pg_trgm SCHEMA \"Extensions of ours\"";
    execute(&connection, elsewhere).await.unwrap();
    for arguments in [
        &["migrate", "up"][..],
        &["migrate", "validate"],
        &["schema", "diff"],
        &["migrate", "down", "--all", "--yes"],
        &["migrate", "up"],
    ] {
        succeeds(&database, arguments).await;
    }
    execute(&connection, "DROP INDEX organizations_name_idx")
        .await
        .unwrap();
    let (code, mend, error) = told(&run(&database.url(), &["schema", "diff"], ""));
    assert_eq!(code, 1, "{error}");
    execute(&connection, &mend).await.unwrap();
    succeeds(&database, &["schema", "diff"]).await;
    succeeds(&database, &["migrate", "fresh", "--yes"]).await;
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused_before_anything_is_applied() {
    let beside = TestDatabase::empty(Backend::Postgres).await;
    let server = beside.connect().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("rollbook_test_{}", unique().replace('-', "_"));
        let create = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        execute(&server, &create).await.unwrap();
        let outcome = told(&run(
            &with_name(&beside.url(), &name),
            &["migrate", "up"],
            "",
        ));
        let tables = tables_of(&with_name(&beside.url(), &name)).await;
        execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .unwrap();
        let (code, output, error) = outcome;
        assert_eq!((code, output.as_str()), (1, ""), "{error}");
        assert!(
            error.contains(encoding) && error.contains("--encoding=UTF8"),
            "{error}"
        );
        assert_eq!(tables, 0);
    }
}

/// The same URL with another database.
fn with_name(url: &str, name: &str) -> String {
    let (start, end) = url.rsplit_once('/').expect("a path");
    let query = end.split_once('?').map_or("", |(_, query)| query);
    format!("{start}/{name}?{query}")
}

async fn tables_of(url: &str) -> usize {
    let connection: DatabaseConnection = sea_orm::Database::connect(url).await.unwrap();
    let question = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let tables = text_rows(&connection, question).await.len();
    connection.close().await.unwrap();
    tables
}
