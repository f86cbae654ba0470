//! `rollbook migrate`: how far it goes, what it records, what it refuses, and what it finds.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use ::migration::{Migrator, MigratorTrait};
use api::database::Migrations;
use api::operations::migration::{self, FindingKind, MigrationError, Target, validate};
use rstest::rstest;
use sea_orm::DatabaseConnection;
use sea_orm::sea_query::{Alias, ColumnDef, Table};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};
use serde_json::Value;
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::{Proxy, eventually, run, spawn, told};

use crate::migrations::{TABLES, count, down_to, fill, schema};

const LIMIT: Duration = Duration::from_secs(20);

/// Runs it, and gives its exit code, standard output and standard error.
fn migrate(database: &TestDatabase, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> = ["migrate"].iter().chain(arguments).copied().collect();
    told(&run(&database.url(), &arguments, ""))
}

fn json(database: &TestDatabase, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments
        .iter()
        .chain(&["--format", "json"])
        .copied()
        .collect();
    let (code, output, error) = migrate(database, &arguments);
    assert_eq!(code, 0, "{output} {error}");
    serde_json::from_str(&output).expect("one line of JSON")
}

async fn tables(backend: Backend, connection: &DatabaseConnection) -> Vec<String> {
    let mut there = Vec::new();
    for table in TABLES {
        let query = match backend {
            Backend::Sqlite => {
                format!("SELECT name FROM sqlite_schema WHERE name = '{table}' AND type = 'table'")
            }
            Backend::Postgres => format!(
                "SELECT tablename::text FROM pg_tables WHERE tablename = '{table}' AND schemaname = 'public'"
            ),
        };
        there.extend(text_rows(connection, &query).await);
    }
    there
}

#[rstest]
#[tokio::test]
async fn each_step_back_takes_its_own_and_nothing_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    let nothing = schema(backend, &connection).await;
    let (code, output, error) = migrate(&database, &["up", "--to", "create_api_keys"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(output.lines().count(), 5, "{output}");
    assert_eq!(tables(backend, &connection).await, TABLES[..5]);
    migrate(&database, &["up"]);
    fill(backend, &connection).await;
    migrate(&database, &["down", "--to", "create_api_keys", "--yes"]);
    let users = rows(&connection, backend, "users").await;

    let (code, output, error) = migrate(&database, &["down", "--yes"]);
    assert_eq!(code, 0, "{error}");
    assert!(
        output.starts_with("rolled back m20261121_000005_create_api_keys ("),
        "{output}"
    );
    assert!(
        error.contains("loses api_keys with 1 rows (m20261121_000005_create_api_keys)"),
        "{error}"
    );
    assert_eq!(tables(backend, &connection).await, TABLES[..4]);
    migrate(
        &database,
        &["up", "--to", "m20261121_000005_create_api_keys"],
    );
    assert_eq!(migrate(&database, &["down", "2", "--yes"]).0, 0);
    assert_eq!(tables(backend, &connection).await, TABLES[..3]);
    assert_eq!(rows(&connection, backend, "users").await, users);

    assert_eq!(
        migrate(
            &database,
            &["down", "--to", "create_organizations", "--yes"]
        )
        .0,
        0
    );
    assert_eq!(tables(backend, &connection).await, TABLES[..1]);
    let alone = schema(backend, &connection).await;
    assert_eq!(count(&connection, "organizations").await, 1);
    assert_eq!(migrate(&database, &["down", "--all", "--yes"]).0, 0);
    assert_eq!(schema(backend, &connection).await, nothing);
    for table in [
        "seaql_migrations",
        "rollbook_migrations",
        "rollbook_environment",
    ] {
        assert!(
            execute(&connection, &format!("SELECT 1 FROM {table}"))
                .await
                .is_err()
        );
    }

    assert_eq!(migrate(&database, &["up", "-n", "1"]).0, 0);
    assert_eq!(schema(backend, &connection).await, alone);
    assert_eq!(
        migrate(&database, &[]).0,
        0,
        "up is what it does without a verb"
    );
    let full = schema(backend, &connection).await;
    for verb in ["refresh", "fresh"] {
        assert_eq!(migrate(&database, &[verb, "--yes"]).0, 0);
        assert_eq!(schema(backend, &connection).await, full);
    }
    assert_eq!(migrate(&database, &["reset", "--yes"]).0, 0);
    assert_eq!(schema(backend, &connection).await, nothing);
}

/// Every row of a table, as text.
async fn rows(connection: &DatabaseConnection, backend: Backend, table: &str) -> Vec<String> {
    let query = match backend {
        Backend::Postgres => format!("SELECT row_to_json(t)::text FROM {table} t ORDER BY id"),
        Backend::Sqlite => format!(
            "SELECT hex(id) || email || version || created_at || updated_at FROM {table} ORDER BY id"
        ),
    };
    text_rows(connection, &query).await
}

#[rstest]
#[tokio::test]
async fn what_was_applied_is_recorded_with_when_how_long_and_what(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    assert_eq!(json(&database, &["current"])["current"], Value::Null);
    assert_eq!(migrate(&database, &["current"]).1, "none\n");
    let up = json(&database, &["up", "-n", "2"]);
    assert_eq!(up["applied"][1]["name"], "m20261121_000002_create_users");
    assert_eq!(up["rolled_back"], Value::Array(Vec::new()));
    assert_eq!(
        json(&database, &["current"])["current"],
        "m20261121_000002_create_users"
    );
    let status = json(&database, &["status"]);
    let migrations = status["migrations"].as_array().unwrap();
    assert_eq!(migrations.len(), Migrator::migrations().len());
    for (index, migration) in migrations.iter().enumerate() {
        assert_eq!(
            migration["status"],
            if index < 2 { "applied" } else { "pending" }
        );
        assert_eq!(
            migration["fingerprint"].as_str().map(str::len),
            (index < 2).then_some(64)
        );
        assert_eq!(migration["duration_ms"].is_i64(), index < 2);
        assert_eq!(migration["applied_at"].is_string(), index < 2);
    }
    let (_, text, _) = migrate(&database, &["status"]);
    assert!(
        text.starts_with("applied  m20261121_000001_create_organizations  20"),
        "{text}"
    );
    assert!(
        text.contains("pending  m20261121_000003_create_memberships\n"),
        "{text}"
    );
}

#[rstest]
#[tokio::test]
async fn what_the_stock_tool_did_is_adopted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    Migrator::up(&connection, Some(3)).await.unwrap();
    let before = json(&database, &["status"]);
    assert_eq!(before["migrations"][0]["fingerprint"], Value::Null);
    let (code, _, error) = migrate(&database, &["up"]);
    assert_eq!(code, 0);
    assert!(error.contains("adopted"), "{error}");
    let after = json(&database, &["status"]);
    assert!(after["migrations"][0]["fingerprint"].is_string());
    assert_eq!(after["migrations"][0]["duration_ms"], Value::Null);
    assert_eq!(
        after["migrations"][0]["applied_at"],
        before["migrations"][0]["applied_at"]
    );

    // And back: the stock tool goes on, and what it rolled back is forgotten.
    down_to(&connection, "create_events").await;
    assert_eq!(
        json(&database, &["current"])["current"],
        "m20261121_000004_create_events"
    );
    assert_eq!(json(&database, &["validate"])["valid"], true);
    migrate(&database, &["up"]);
    Migrator::down(&connection, None).await.unwrap();
    Migrator::up(&connection, None).await.unwrap();
    assert_eq!(migrate(&database, &["validate"]).0, 0);
}

#[rstest]
#[tokio::test]
async fn a_plan_shows_the_sql_and_what_it_does_and_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    let nothing = schema(backend, &connection).await;
    let plan = json(&database, &["plan"]);
    assert_eq!(plan["direction"], "up");
    assert_eq!(
        plan["migrations"].as_array().unwrap().len(),
        Migrator::migrations().len()
    );
    assert_eq!(schema(backend, &connection).await, nothing);
    let (_, text, _) = migrate(&database, &["plan", "--to", "create_users"]);
    assert!(
        text.contains("-- m20261121_000002_create_users\n"),
        "{text}"
    );
    assert!(!text.contains("create_memberships"), "{text}");
    // A table that the plan itself makes is nobody's yet.
    assert!(
        !text.contains("CREATE INDEX \"users_status_idx\" ON \"users\"\n-- blocks"),
        "{text}"
    );

    migrate(&database, &["up"]);
    let full = schema(backend, &connection).await;
    assert!(migrate(&database, &["plan"]).1.contains("nothing to do"));
    let plan = json(&database, &["plan", "--down", "--to", "create_events"]);
    assert_eq!(plan["direction"], "down");
    let last = plan["migrations"].as_array().unwrap().last().unwrap();
    let effects: Vec<&Value> = last["statements"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| statement["effects"].as_array().unwrap())
        .collect();
    assert!(
        effects
            .iter()
            .any(|effect| effect["effect"] == "loses-data" && effect["table"] == "api_keys"),
        "{effects:?}"
    );
    let (_, text, _) = migrate(&database, &["plan", "--down", "--to", "create_users"]);
    assert!(text.contains("-- loses the data of events\n"), "{text}");
    assert_eq!(schema(backend, &connection).await, full);
    // The triggers of events go onto tables that are in use.
    migrate(&database, &["down", "--to", "create_memberships", "--yes"]);
    let (_, text, _) = migrate(&database, &["plan"]);
    assert!(text.contains("-- blocks writes to users\n"), "{text}");
}

#[rstest]
#[tokio::test]
async fn what_loses_data_wants_to_be_confirmed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    fill(backend, &connection).await;
    let events = count(&connection, "events").await;
    let full = schema(backend, &connection).await;
    let (code, output, error) = migrate(&database, &["down", "--to", "create_memberships"]);
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(
        error.contains(&format!(
            "loses events with {events} rows (m20261121_000004_create_events)"
        )),
        "{error}"
    );
    assert!(error.contains("--yes"), "{error}");
    for verb in [
        &["down", "--yes"][..],
        &["fresh"],
        &["refresh", "-y"],
        &["reset", "--yes"],
    ] {
        let arguments: Vec<&str> = verb
            .iter()
            .chain(&["--env", "production"])
            .copied()
            .collect();
        let (code, _, error) = migrate(&database, &arguments);
        assert_eq!(code, 2);
        assert!(error.contains("--i-know-this-destroys-data"), "{error}");
    }
    for bad in [
        &["down", "--to", "nothing"][..],
        &["up", "--to", "create_users"],
        &["down", "2", "--all"],
        &["up", "--to", "create_users", "-n", "1"],
        &["down", "minus-one"],
        &["sideways"],
    ] {
        let (code, _, error) = migrate(&database, bad);
        assert_eq!(code, 2, "{bad:?}: {error}");
    }
    assert_eq!(schema(backend, &connection).await, full);
    assert_eq!(count(&connection, "events").await, events);
    let sure = [
        "down",
        "--yes",
        "--env",
        "production",
        "--i-know-this-destroys-data",
    ];
    assert_eq!(migrate(&database, &sure).0, 0);
}

#[rstest]
#[tokio::test]
async fn without_its_table_nothing_is_touched(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    fill(backend, &connection).await;
    let events = count(&connection, "events").await;
    execute(&connection, "DROP TABLE seaql_migrations")
        .await
        .unwrap();
    let before = schema(backend, &connection).await;
    for verb in [
        &["up"][..],
        &["down", "--yes"],
        &["down", "--all", "--yes"],
        &["reset", "--yes"],
    ] {
        let (code, _, error) = migrate(&database, verb);
        assert_eq!(code, 1, "{verb:?}");
        assert!(
            error.contains("the table seaql_migrations is missing"),
            "{error}"
        );
    }
    assert_eq!(schema(backend, &connection).await, before);
    assert_eq!(count(&connection, "events").await, events);
    assert!(
        execute(&connection, "SELECT 1 FROM seaql_migrations")
            .await
            .is_err()
    );
}

#[rstest]
#[tokio::test]
async fn of_two_that_migrate_at_once_one_does_and_the_other_waits(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    let children: Vec<_> = (0..4)
        .map(|_| spawn(&database.url(), &["migrate", "up"], &[]))
        .collect();
    let mut applied = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        applied += String::from_utf8_lossy(&output.stdout)
            .matches("applied m")
            .count();
    }
    assert_eq!(applied, Migrator::migrations().len());
    assert_eq!(tables(backend, &connection).await, TABLES);
    assert_eq!(migrate(&database, &["validate"]).0, 0);
}

#[rstest]
#[tokio::test]
async fn who_waits_too_long_is_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let holder = database.connect().await;
    let lock = match backend {
        Backend::Sqlite => "BEGIN IMMEDIATE".to_owned(),
        Backend::Postgres => format!(
            "SELECT pg_advisory_lock({})",
            i64::from_be_bytes(*b"rollbook")
        ),
    };
    execute(&holder, &lock).await.unwrap();
    let (code, _, error) = migrate(&database, &["up", "--migration-lock-timeout", "0.2"]);
    assert_eq!(code, 1);
    if backend == Backend::Postgres {
        assert!(error.contains("waiting for it"), "{error}");
    }
    assert!(error.contains("ROLLBOOK_MIGRATION_LOCK_TIMEOUT"), "{error}");
    // To look is free.
    assert_eq!(migrate(&database, &["status"]).0, 0);
}

#[tokio::test]
async fn killed_in_the_middle_it_stands_between_two_migrations_on_postgres() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let connection = database.connect().await;
    migrate(&database, &["up", "-n", "1"]);
    let first = schema(Backend::Postgres, &connection).await;
    // The next one waits for this in its middle: it gives organizations a reference to users.
    execute(
        &connection,
        "BEGIN; LOCK TABLE organizations IN SHARE ROW EXCLUSIVE MODE",
    )
    .await
    .unwrap();
    let mut child = spawn(&database.url(), &["migrate", "up"], &[]);
    let watcher = database.connect().await;
    eventually("the migration waits", async || {
        let waiting = "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        text_rows(&watcher, waiting).await[0] != "0"
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    execute(&connection, "COMMIT").await.unwrap();
    eventually("the server notices", async || {
        schema(Backend::Postgres, &watcher).await == first && {
            let others =
                "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database())";
            text_rows(&watcher, others).await[0] == "0"
        }
    })
    .await;
    assert_eq!(
        json(&database, &["current"])["current"],
        "m20261121_000001_create_organizations"
    );
    assert_eq!(migrate(&database, &["up"]).0, 0);
    assert_eq!(tables(Backend::Postgres, &connection).await, TABLES);
}

#[rstest]
#[tokio::test]
async fn killed_at_any_time_it_stands_between_two_migrations(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    for lines in 0..Migrator::migrations().len() {
        let database = TestDatabase::empty(backend).await;
        let connection = database.connect().await;
        let mut child = spawn(&database.url(), &["migrate", "up"], &[]);
        let output = BufReader::new(child.stdout.take().unwrap());
        // Somewhere in the work on the next one.
        drop(output.lines().take(lines).collect::<Vec<_>>());
        child.kill().unwrap();
        child.wait().unwrap();
        let history = migration::History::read(&Migrations::of::<Migrator>(), &connection)
            .await
            .unwrap();
        let made = tables(backend, &connection).await;
        assert!(history.applied().len() >= lines);
        assert_eq!(history.applied().len().min(TABLES.len()), made.len());
        assert_eq!(migrate(&database, &["up"]).0, 0);
        assert_eq!(migrate(&database, &["validate"]).0, 0);
        assert_eq!(tables(backend, &connection).await, TABLES);
    }
}

#[tokio::test]
async fn a_database_that_is_away_at_first_is_tried_again() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    let proxy = Proxy::before(&database.url()).await;
    proxy.cut();
    let mut child = spawn(
        proxy.url(),
        &["migrate", "up"],
        &[("ROLLBOOK_LOG_FORMAT", "json")],
    );
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    tokio::task::spawn_blocking(move || {
        log.read_line(&mut line).unwrap();
        (line, log)
    })
    .await
    .map(|(line, _)| {
        assert!(
            line.contains("trying again") && !line.contains("postgres://"),
            "{line}"
        )
    })
    .unwrap();
    proxy.mend();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert!(status.success());
}

/// Rows of one organization go with it, where the trail does not refer to them; where it does, they stay.
#[rstest]
#[tokio::test]
async fn an_organization_takes_its_own_along_unless_the_trail_refers_to_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    execute(
        &connection,
        "UPDATE api_keys SET organization_id = (SELECT id FROM organizations)",
    )
    .await
    .unwrap();
    let delete = "DELETE FROM organizations";
    let users = count(&connection, "users").await;
    let refusal = execute(&connection, delete)
        .await
        .unwrap_err()
        .to_string()
        .to_lowercase();
    assert!(refusal.contains("foreign key"), "{refusal}");
    assert_eq!(count(&connection, "organizations").await, 1);

    // Without the trail: what it has is taken away with the triggers that guard it.
    let forget = match backend {
        Backend::Postgres => "ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events;
            ALTER TABLE organizations DISABLE TRIGGER USER; ALTER TABLE memberships DISABLE TRIGGER USER;
            ALTER TABLE api_keys DISABLE TRIGGER USER".to_owned(),
        Backend::Sqlite => {
            let triggers = text_rows(&connection, "SELECT name FROM sqlite_schema WHERE type = 'trigger'").await;
            let drops: String = triggers.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
            format!("{drops} DELETE FROM events")
        }
    };
    execute(&connection, &forget).await.unwrap();
    execute(&connection, delete).await.unwrap();
    for table in ["organizations", "memberships", "api_keys"] {
        assert_eq!(count(&connection, table).await, 0, "{table}");
    }
    assert_eq!(count(&connection, "users").await, users);
}

// --- Broken lists of migrations ---

struct Making {
    name: &'static str,
    table: &'static str,
    fails: bool,
    reversal: Reversal,
}

#[derive(Clone, Copy, PartialEq)]
enum Reversal {
    Right,
    Missing,
    Failing,
    Forgetful,
}

impl MigrationName for Making {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Making {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = |name: &'static str| {
            Table::create()
                .table(name)
                .col(ColumnDef::new(Alias::new("a")).integer())
                .take()
        };
        manager.create_table(table(self.table)).await?;
        match self.fails {
            true => manager.create_table(table(self.table)).await,
            false => Ok(()),
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match self.reversal {
            Reversal::Right => {
                manager
                    .drop_table(Table::drop().table(self.table).take())
                    .await
            }
            Reversal::Missing => Err(DbErr::Migration("We Don't Do That Here".to_owned())),
            Reversal::Failing => {
                manager
                    .drop_table(Table::drop().table("nothing").take())
                    .await
            }
            Reversal::Forgetful => Ok(()),
        }
    }
}

const GOOD: Making = Making {
    name: "m1_1_make_one",
    table: "one",
    fails: false,
    reversal: Reversal::Right,
};

macro_rules! list {
    ($name:ident: $($migration:expr),*) => {
        struct $name;

        impl MigratorTrait for $name {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new($migration)),*]
            }
        }
    };
}

list!(Good: GOOD, Making { name: "m1_2_make_two", table: "two", ..GOOD });
list!(Failing: GOOD, Making { name: "m1_2_make_two", table: "two", fails: true, ..GOOD });
list!(SameName: GOOD, Making { table: "two", ..GOOD });
list!(SameVersion: GOOD, Making { name: "m1_1_make_two", table: "two", ..GOOD });
list!(Changed: GOOD, Making { name: "m1_2_make_two", table: "another", ..GOOD });
list!(Shorter: GOOD);
list!(WithoutFirst: Making { name: "m1_2_make_two", table: "two", ..GOOD });
list!(NoWayBack: GOOD, Making { name: "m1_2_make_two", table: "two", reversal: Reversal::Missing, ..GOOD });
list!(WrongWayBack: GOOD, Making { name: "m1_2_make_two", table: "two", reversal: Reversal::Failing, ..GOOD });
list!(HalfWayBack: GOOD, Making { name: "m1_2_make_two", table: "two", reversal: Reversal::Forgetful, ..GOOD });

async fn up<M: MigratorTrait>(connection: &DatabaseConnection) -> Result<usize, MigrationError> {
    let done = migration::up(
        &Migrations::of::<M>(),
        connection,
        &Target::All,
        LIMIT,
        |_| {},
    )
    .await?;
    Ok(done.len())
}

#[rstest]
#[tokio::test]
async fn a_migration_that_fails_in_the_middle_is_rolled_back_whole_and_recorded_nowhere(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    let error = up::<Failing>(&connection).await.unwrap_err();
    assert!(
        matches!(&error, MigrationError::Failed { name, .. } if name == "m1_2_make_two"),
        "{error}"
    );
    execute(&connection, "SELECT 1 FROM one").await.unwrap();
    assert!(execute(&connection, "SELECT 1 FROM two").await.is_err());
    for table in ["seaql_migrations", "rollbook_migrations"] {
        let versions = text_rows(&connection, &format!("SELECT version FROM {table}")).await;
        assert_eq!(versions, ["m1_1_make_one"], "{table}");
    }
    assert_eq!(up::<Good>(&connection).await.unwrap(), 1);

    let error = migration::down(
        &Migrations::of::<WrongWayBack>(),
        &connection,
        &Target::All,
        LIMIT,
        |_| {},
    )
    .await
    .unwrap_err();
    assert!(matches!(error, MigrationError::Failed { .. }), "{error}");
    assert_eq!(
        migration::History::read(&Migrations::of::<Good>(), &connection)
            .await
            .unwrap()
            .applied()
            .len(),
        2
    );
}

async fn found<M: MigratorTrait>(connection: &DatabaseConnection) -> Vec<(FindingKind, String)> {
    let findings = validate(&Migrations::of::<M>(), connection).await.unwrap();
    findings
        .into_iter()
        .map(|finding| (finding.kind, finding.migration))
        .collect()
}

#[rstest]
#[tokio::test]
async fn validation_finds_each_fault_and_only_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    assert_eq!(found::<Good>(&connection).await, []);
    up::<Good>(&connection).await.unwrap();
    assert_eq!(found::<Good>(&connection).await, []);
    let before = schema(backend, &connection).await;
    let second = "m1_2_make_two".to_owned();
    assert_eq!(
        found::<Shorter>(&connection).await,
        [(FindingKind::Unknown, second.clone())]
    );
    assert_eq!(
        found::<Changed>(&connection).await,
        [(FindingKind::Changed, second.clone())]
    );
    assert_eq!(
        found::<SameName>(&connection).await[0],
        (FindingKind::DuplicateName, "m1_1_make_one".to_owned())
    );
    assert_eq!(
        found::<SameVersion>(&connection).await[0],
        (FindingKind::DuplicateVersion, "m1_1_make_two".to_owned())
    );
    // Their ways back are a part of what they are: nothing was applied yet.
    let fresh = TestDatabase::empty(backend).await;
    let nothing = fresh.connect().await;
    assert_eq!(
        found::<NoWayBack>(&nothing).await,
        [(FindingKind::NoReversal, second.clone())]
    );
    assert_eq!(
        found::<WrongWayBack>(&nothing).await,
        [(FindingKind::FailingReversal, second.clone())]
    );
    assert_eq!(
        found::<HalfWayBack>(&nothing).await,
        [(FindingKind::FailingReversal, second.clone())]
    );
    up::<WithoutFirst>(&nothing).await.unwrap();
    assert_eq!(
        found::<Good>(&nothing).await,
        [(FindingKind::OutOfOrder, "m1_1_make_one".to_owned())]
    );
    assert_eq!(schema(backend, &connection).await, before);
    assert!(matches!(
        up::<Shorter>(&connection).await.unwrap_err(),
        MigrationError::Ahead { .. }
    ));
}

#[rstest]
#[tokio::test]
async fn a_database_that_is_ahead_is_refused_by_the_binary(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    let ahead = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_make_more', 1)";
    execute(&connection, ahead).await.unwrap();
    let (code, output, error) = migrate(&database, &["validate"]);
    assert_eq!(code, 1, "{error}");
    assert!(
        output.contains("m29991231_000001_make_more: the database has it"),
        "{output}"
    );
    for arguments in [
        &["migrate", "up"][..],
        &["migrate", "down", "--yes"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let output = run(&database.url(), arguments, "");
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("m29991231_000001_make_more"), "{error}");
    }
    assert!(migrate(&database, &["status"]).1.contains("m29991231_000001_make_more  1970-01-01T00:00:01Z  by another tool  not known to this version"));
}

/// A released migration never changes: a database that has it would differ from a new one, and `validate` would say so.
#[tokio::test]
async fn each_migration_is_what_it_was() {
    let mut lines = Vec::new();
    for migration in Migrator::migrations() {
        for (name, backend) in [
            ("sqlite", sea_orm::DbBackend::Sqlite),
            ("postgres", sea_orm::DbBackend::Postgres),
        ] {
            let fingerprint = migration::fingerprint(migration.as_ref(), backend)
                .await
                .unwrap();
            lines.push(format!("{fingerprint} {name} {}\n", migration.name()));
        }
    }
    let found = lines.concat();
    let committed = include_str!("fingerprints.txt");
    assert!(
        found == committed,
        "a migration changed, or one was added. If it was released, undo that and write a new one; if not, \
         tests/tests/it/fingerprints.txt is:\n{found}"
    );
}
