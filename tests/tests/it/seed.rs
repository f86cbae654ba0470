//! `rollbook seed`: data as the API makes them, the same for the same seed, and never in production.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use tests::database::{Backend, TestDatabase, text_rows};
use tests::{run, told};

fn seed(database: &TestDatabase, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> = ["seed"].iter().chain(arguments).copied().collect();
    told(&run(&database.url(), &arguments, ""))
}

/// What was made, without ids and times.
async fn values(database: &TestDatabase) -> BTreeSet<String> {
    let connection = database.connect().await;
    let users = "SELECT email || first_name || last_name || bio FROM users";
    let organizations = "SELECT name || slug || city || subscription_tier FROM organizations";
    let memberships = "SELECT u.email || o.slug || cast(m.role AS text) || cast(m.status AS text) || m.job_title
        FROM memberships m JOIN users u ON u.id = m.user_id JOIN organizations o ON o.id = m.organization_id
        WHERE m.job_title IS NOT NULL";
    let mut all = BTreeSet::new();
    for query in [users, organizations, memberships] {
        all.extend(text_rows(&connection, query).await);
    }
    all
}

#[rstest]
#[tokio::test]
async fn the_same_seed_makes_the_same_and_doctor_finds_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let amount = [
        "--organizations",
        "5",
        "--users",
        "40",
        "--events",
        "300",
        "--format",
        "json",
    ];
    let (code, answer, error) = seed(&database, &amount);
    assert_eq!(code, 0, "{error}");
    let made: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&made["organizations"], &made["users"], &made["events"]),
        (&json!(5), &json!(40), &json!(300))
    );
    let connection = database.connect().await;
    let count = "SELECT cast(count(*) AS text) FROM events";
    assert_eq!(text_rows(&connection, count).await, ["300"]);
    let told = "SELECT DISTINCT source FROM events";
    assert_eq!(text_rows(&connection, told).await, ["cli"]);
    let first = values(&database).await;

    let doctor = run(&database.url(), &["doctor"], "");
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        text.ends_with("PASS: 12 passed, 0 warnings, 0 errors\n"),
        "{text}"
    );

    // On the other backend too.
    let other = TestDatabase::migrated(match backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    })
    .await;
    assert_eq!(seed(&other, &amount).0, 0);
    assert_eq!(values(&other).await, first);

    let (code, _, error) = seed(&database, &amount);
    assert_eq!(code, 1);
    assert!(
        error.contains("was seeded with 1 before; nothing was changed"),
        "{error}"
    );
    assert_eq!(text_rows(&connection, count).await, ["300"]);
    let (code, text, _) = seed(
        &database,
        &["--seed", "2", "--users", "3", "--organizations", "1"],
    );
    assert_eq!(code, 0);
    assert!(
        text.starts_with("made 1 organizations, 3 users, "),
        "{text}"
    );
    assert!(values(&database).await.is_superset(&first));
}

#[rstest]
#[tokio::test]
async fn a_production_database_gets_nothing_made_up(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    for (arguments, reason) in [
        (&["--env", "production"][..], "set as production"),
        (&["--users", "0"], "at least one user"),
        (&["--users", "many"], "--users"),
    ] {
        let (code, _, error) = seed(&database, arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(error.contains(reason), "{error}");
    }
    let connection = database.connect().await;
    assert_eq!(
        text_rows(&connection, "SELECT email FROM users").await,
        Vec::<String>::new()
    );
    let empty = TestDatabase::empty(backend).await;
    empty.connect().await.close().await.unwrap();
    let (code, _, error) = seed(&empty, &[]);
    assert_eq!(code, 1);
    assert!(error.contains("migrate up"), "{error}");
}
