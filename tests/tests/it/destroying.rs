//! What destroys data asks first, and takes nothing that is somebody else's.

use migration::{Migrator, MigratorTrait};
use rstest::rstest;
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::{run, told};

use crate::migrations::{count, fill, schema};

fn migrate(database: &TestDatabase, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> = ["migrate"].iter().chain(arguments).copied().collect();
    told(&run(&database.url(), &arguments, ""))
}

#[rstest]
#[tokio::test]
async fn every_verb_that_loses_data_names_it_and_wants_yes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("fresh", "refresh", "reset")] verb: &str,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    let full = schema(backend, &connection).await;
    fill(backend, &connection).await;
    let events = count(&connection, "events").await;
    let users = count(&connection, "users").await;
    for extra in [&[][..], &["--format", "json"]] {
        let arguments: Vec<&str> = [verb].iter().chain(extra).copied().collect();
        let (code, output, error) = migrate(&database, &arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        for (table, migration) in [
            (
                &*format!("events with {events} rows"),
                "m20261121_000004_create_events",
            ),
            (
                &format!("users with {users} rows"),
                "m20261121_000002_create_users",
            ),
            (
                "idempotency_keys with 1 rows",
                "m20261121_000006_create_idempotency_keys",
            ),
        ] {
            let line = format!("loses {table} ({migration})");
            assert!(error.contains(&line), "{line}: {error}");
        }
        assert!(error.contains("--yes"), "{error}");
    }
    // What is typed counts on a terminal only.
    let (code, _, _) = told(&run(&database.url(), &["migrate", verb], "yes\n"));
    assert_eq!(code, 2);
    assert_eq!(schema(backend, &connection).await, full);
    assert_eq!(count(&connection, "events").await, events);

    let (code, _, error) = migrate(&database, &[verb, "--yes"]);
    assert_eq!(code, 0, "{error}");
    if verb != "reset" {
        assert_eq!(schema(backend, &connection).await, full);
        assert_eq!(count(&connection, "users").await, 0);
    }
}

#[rstest]
#[tokio::test]
async fn where_there_is_nothing_to_lose_nobody_is_asked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("fresh", "refresh", "reset")] verb: &str,
) {
    let database = TestDatabase::empty(backend).await;
    let (code, _, error) = migrate(&database, &[verb]);
    assert_eq!(code, 0, "{error}");
    assert!(!error.contains("loses"), "{error}");
}

#[rstest]
#[tokio::test]
async fn tables_of_others_stay(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("fresh", "refresh", "reset")] verb: &str,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    execute(
        &connection,
        r#"CREATE TABLE notes (id integer PRIMARY KEY, parent integer REFERENCES notes (id));
           CREATE TABLE "Users" (name text); CREATE VIEW all_notes AS SELECT * FROM notes;
           INSERT INTO notes VALUES (1, NULL), (2, 1)"#
            .replace(
                "Users",
                match backend {
                    // There names differ by more than the case of their letters.
                    Backend::Sqlite => "Other users",
                    Backend::Postgres => "Users",
                },
            )
            .as_str(),
    )
    .await
    .unwrap();
    migrate(&database, &["up"]);
    fill(backend, &connection).await;
    let (code, _, error) = migrate(&database, &[verb, "--yes"]);
    assert_eq!(code, 0, "{error}");
    assert!(!error.contains("notes"), "{error}");
    let notes = "SELECT CAST(count(*) AS text) FROM all_notes";
    assert_eq!(text_rows(&connection, notes).await, ["2"]);
    assert_eq!(migrate(&database, &["validate"]).0, 0);
}

#[rstest]
#[tokio::test]
async fn what_others_built_on_a_table_is_not_torn_down_with_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    fill(backend, &connection).await;
    let events = count(&connection, "events").await;
    execute(
        &connection,
        &format!(
            "CREATE TABLE badges (owner {} REFERENCES users (id) ON DELETE CASCADE);
             INSERT INTO badges SELECT id FROM users",
            match backend {
                Backend::Sqlite => "blob",
                Backend::Postgres => "uuid",
            }
        ),
    )
    .await
    .unwrap();
    let full = schema(backend, &connection).await;
    let (code, _, error) = migrate(&database, &["fresh", "--yes"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(schema(backend, &connection).await, full);
    let badges = "SELECT CAST(count(*) AS text) FROM badges";
    assert_eq!(text_rows(&connection, badges).await, ["2"]);
    assert_eq!(count(&connection, "events").await, events);
}

#[rstest]
#[case::no_history(&[], "users")]
#[case::applied_in_part(&["up", "--to", "create_memberships"], "events")]
#[tokio::test]
async fn a_table_of_somebody_else_under_a_name_of_ours_is_not_taken(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] before: &[&str],
    #[case] table: &str,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    if !before.is_empty() {
        assert_eq!(migrate(&database, before).0, 0);
    }
    let theirs = format!("CREATE TABLE {table} (note text); INSERT INTO {table} VALUES ('kept')");
    execute(&connection, &theirs).await.unwrap();
    let (code, _, error) = migrate(&database, &["fresh", "--yes"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    let notes = format!("SELECT note FROM {table}");
    assert_eq!(text_rows(&connection, &notes).await, ["kept"]);
}

#[rstest]
#[tokio::test]
async fn a_schema_that_cannot_be_rolled_back_can_be_made_anew(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let connection = database.connect().await;
    migrate(&database, &["up"]);
    let full = schema(backend, &connection).await;
    fill(backend, &connection).await;
    let drop = match backend {
        Backend::Sqlite => "DROP TRIGGER users_audit_update; DROP TABLE memberships",
        Backend::Postgres => "DROP TRIGGER users_audit_update ON users; DROP TABLE memberships",
    };
    execute(&connection, drop).await.unwrap();
    assert_eq!(migrate(&database, &["refresh", "--yes"]).0, 1);
    let (code, output, error) = migrate(&database, &["fresh", "--yes"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(
        output.matches("applied m").count(),
        Migrator::migrations().len()
    );
    assert_eq!(schema(backend, &connection).await, full);
}
