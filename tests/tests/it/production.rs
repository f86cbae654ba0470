//! That a database is in production is kept in the database: a setting that is forgotten does not take it away.

use std::env;

use rstest::rstest;
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::{ServerProcess, bootstrap, rollbook, run, told};

use crate::migrations::count;

const PRODUCTION: (&str, &str) = ("ROLLBOOK_ENV", "production");

/// Runs a command with PostgreSQL's own programs within reach.
fn command(
    url: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
    directory: &TempDir,
) -> (i32, String, String) {
    let output = rollbook(directory, url)
        .args(arguments)
        .env("PATH", env::var("PATH").unwrap_or_default())
        .envs(variables.iter().copied())
        .output()
        .expect("rollbook to run");
    told(&output)
}

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

/// How a database comes to know that it is in production.
#[derive(Clone, Copy, Debug)]
enum By {
    Server,
    Migrating,
    Command,
}

async fn in_production(database: &TestDatabase, by: By) {
    let (url, directory) = (database.url(), directory());
    match by {
        By::Server => {
            let mut server = ServerProcess::start(&url, &[PRODUCTION]);
            server.terminate();
            assert!(server.ended().await.success());
        }
        By::Migrating => {
            let (code, _, error) = command(&url, &["migrate", "up"], &[PRODUCTION], &directory);
            assert_eq!(code, 0, "{error}");
        }
        By::Command => {
            let set = ["environment", "production"];
            let (code, said, error) = command(&url, &set, &[], &directory);
            assert_eq!(code, 0, "{error}");
            assert!(
                said.starts_with("production, by the database itself, since 2"),
                "{said}"
            );
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_destroys_data_believes_the_database_whatever_the_setting_says(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(By::Server, By::Migrating, By::Command)] by: By,
) {
    let database = TestDatabase::migrated(backend).await;
    bootstrap(&database);
    let (url, directory) = (database.url(), directory());
    let (code, _, error) = command(&url, &["backup", "a"], &[], &directory);
    assert_eq!(code, 0, "{error}");
    in_production(&database, by).await;
    for setting in [&[][..], &[("ROLLBOOK_ENV", "development")]] {
        for arguments in [
            &["migrate", "down", "--yes"][..],
            &["migrate", "down", "--all", "-y"],
            &["migrate", "reset", "--yes"],
            &["migrate", "refresh", "--yes"],
            &["migrate", "fresh", "--yes"],
            &["restore", "a", "--replace"],
            &["seed"],
        ] {
            let (code, output, error) = command(&url, arguments, setting, &directory);
            assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}: {error}");
            assert!(
                error.contains("set as production by itself, since 2"),
                "{error}"
            );
            assert!(
                error.contains("`rollbook environment development`"),
                "{error}"
            );
        }
    }
    // And the setting, where that says so.
    let (code, _, error) = command(&url, &["migrate", "reset", "-y"], &[PRODUCTION], &directory);
    assert_eq!(code, 2);
    assert!(
        error.contains("set as production by ROLLBOOK_ENV"),
        "{error}"
    );
    let connection = database.connect().await;
    assert_eq!(count(&connection, "events").await, 4);
    connection.close().await.unwrap();

    // Who knows goes on, and the database is in production after it as before.
    let knows = "--i-know-this-destroys-data";
    for arguments in [
        &["migrate", "fresh", "--yes", knows][..],
        &["restore", "a", "--replace", knows],
        &["migrate", "reset", "--yes", knows],
    ] {
        let (code, _, error) = command(&url, arguments, &[], &directory);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        let (_, said, _) = command(&url, &["environment"], &[], &directory);
        assert!(said.starts_with("production"), "{arguments:?}: {said}");
    }
}

#[rstest]
#[tokio::test]
async fn it_is_taken_back_by_a_command_that_the_setting_does_not_contradict(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let (url, directory) = (database.url(), directory());
    let environment = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments: Vec<&str> = ["environment"].iter().chain(arguments).copied().collect();
        command(&url, &arguments, variables, &directory)
    };
    command(&url, &["migrate", "up"], &[], &directory);
    assert_eq!(environment(&[], &[]).1, "development\n");
    assert_eq!(
        environment(&[], &[PRODUCTION]).1,
        "production, by ROLLBOOK_ENV\n"
    );
    // To be asked is not to be told.
    assert_eq!(environment(&[], &[]).1, "development\n");
    command(&url, &["migrate", "status"], &[PRODUCTION], &directory);
    assert_eq!(environment(&[], &[]).1, "development\n");

    command(&url, &["migrate"], &[PRODUCTION], &directory);
    let (_, first, _) = environment(&["--format", "json"], &[]);
    assert!(first.contains(r#""environment":"production""#), "{first}");
    command(&url, &["migrate"], &[PRODUCTION], &directory);
    assert_eq!(
        environment(&["--format", "json"], &[]).1,
        first,
        "it is since then"
    );

    let (code, _, error) = environment(&["development"], &[PRODUCTION]);
    assert_eq!(code, 2);
    assert!(error.contains("ROLLBOOK_ENV"), "{error}");
    assert_eq!(environment(&["development"], &[]).1, "development\n");
    assert_eq!(environment(&["development"], &[]).0, 0);
    let (code, _, error) = command(&url, &["migrate", "reset", "--yes"], &[], &directory);
    assert_eq!(code, 0, "{error}");
}

/// Neither the schema nor a backup counts it as anybody's data, and entities are not made of it.
#[rstest]
#[tokio::test]
async fn it_is_no_part_of_the_schema_and_travels_with_a_backup(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let (url, directory) = (database.url(), directory());
    command(&url, &["migrate", "up"], &[PRODUCTION], &directory);
    for arguments in [
        &["schema", "diff"][..],
        &["migrate", "validate"],
        &["doctor", "--strict"],
    ] {
        let (code, output, error) = command(&url, arguments, &[], &directory);
        assert_eq!(code, 0, "{arguments:?}: {output}{error}");
    }
    let (code, manifest, error) =
        command(&url, &["backup", "a", "--format", "json"], &[], &directory);
    assert_eq!(code, 0, "{error}");
    assert!(!manifest.contains("rollbook_environment"), "{manifest}");

    let other = TestDatabase::empty(backend).await;
    let (code, _, error) = command(&other.url(), &["restore", "a"], &[], &directory);
    assert_eq!(code, 0, "{error}");
    assert!(
        error.contains("the backup is of a database in production"),
        "{error}"
    );
    let (code, _, error) = command(&other.url(), &["migrate", "fresh", "-y"], &[], &directory);
    assert_eq!(code, 2, "{error}");
    // One that was made before this was kept in databases.
    let connection = other.connect().await;
    execute(&connection, "DROP TABLE rollbook_environment")
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_eq!(
        command(&other.url(), &["environment"], &[], &directory).1,
        "development\n"
    );
    in_production(&other, By::Server).await;
    let connection = other.connect().await;
    let noted = "SELECT environment FROM rollbook_environment";
    assert_eq!(text_rows(&connection, noted).await, ["production"]);
}

/// A server that may not write it down serves all the same, and says what does.
#[tokio::test]
async fn a_server_without_the_right_to_note_it_says_so() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let reader = crate::roles::Reader::of(&database).await;
    let server = ServerProcess::start(reader.url(), &[PRODUCTION]);
    assert!(
        server
            .log()
            .contains("could not be told that it is in production"),
        "{}",
        server.log()
    );
    drop(server);
    reader.leave().await;
}

#[rstest]
#[tokio::test]
async fn a_server_names_its_database_at_start_and_no_password(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let url = database.url();
    let server = ServerProcess::start(&url, &[("ROLLBOOK_LOG_FORMAT", "json")]);
    let log = server.log();
    let expected = match backend {
        Backend::Sqlite => {
            let path = url.trim_start_matches("sqlite://");
            format!(
                "serving the SQLite file {}",
                path.trim_end_matches("?mode=rwc")
            )
        }
        Backend::Postgres => {
            let (_, rest) = url.split_once("://").unwrap();
            let (user, host) = rest.rsplit_once('@').unwrap();
            let (host, name) = host.split_once('/').unwrap();
            let (user, password) = user.split_once(':').unwrap_or((user, "no password"));
            assert!(!log.contains(password), "{log}");
            format!("serving the PostgreSQL database {name} at {host} as {user}")
        }
    };
    assert!(log.contains(&expected), "{expected}: {log}");
}

/// A start that fails has named it, too: it may be the wrong one.
#[test]
fn a_relative_path_is_named_from_the_root() {
    let directory = directory();
    let output = rollbook(&directory, "sqlite://some/where.db")
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .expect("rollbook to run");
    let (code, _, error) = told(&output);
    assert_eq!(code, 1);
    let path = directory
        .path()
        .canonicalize()
        .unwrap()
        .join("some/where.db");
    assert!(
        error.contains(&format!("the SQLite file {}", path.display())),
        "{error}"
    );
    let served = run(
        "sqlite:nowhere.db?mode=rwc",
        &["serve", "--listen", "127.0.0.1:0"],
        "",
    );
    assert!(
        told(&served).2.contains("`rollbook migrate up`"),
        "{served:?}"
    );
}
