//! Settings that are none: what begins like one and is misspelt is refused, before anything is done.

use std::fs;
use std::process::Output;

use rstest::rstest;
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase};
use tests::{rollbook, told};

use crate::migrations::{count, fill};

/// Runs a command in a directory with this `.env`, with these variables.
fn run(url: &str, arguments: &[&str], file: &str, variables: &[(&str, &str)]) -> Output {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join(".env"), file).expect("a file");
    rollbook(&directory, url)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("rollbook to run")
}

#[rstest]
#[case::misspelt("ROLLBOOK_EVN", "production", "ROLLBOOK_ENV")]
#[case::prefixed(
    "ROLLBOOK_DATABASE_URL",
    "postgres://u:hunter2@host/db",
    "DATABASE_URL"
)]
#[case::in_small_letters("rollbook_env", "production", "ROLLBOOK_ENV")]
#[case::empty("ROLLBOOK_LISTNE", "", "ROLLBOOK_LISTEN")]
#[tokio::test]
async fn a_variable_that_is_no_setting_is_refused_with_the_nearest_name(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] name: &str,
    #[case] value: &str,
    #[case] nearest: &str,
    #[values(true, false)] is_in_file: bool,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    let events = count(&connection, "events").await;
    let url = database.url();
    for command in [
        &["migrate", "fresh", "--yes"][..],
        &["serve", "--migrate"],
        &["migrate", "status"],
        &["doctor"],
        &["openapi"],
    ] {
        let output = match is_in_file {
            true => run(&url, command, &format!("{name}={value}\n"), &[]),
            false => run(&url, command, "", &[(name, value)]),
        };
        let (code, output, error) = told(&output);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        let place = if is_in_file { " in .env" } else { "" };
        assert!(
            error.contains(&format!("{name}{place} is no setting")),
            "{error}"
        );
        assert!(error.contains(&format!("say {nearest},")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(count(&connection, "events").await, events);
}

#[rstest]
#[tokio::test]
async fn what_is_a_setting_of_another_command_or_of_the_tests_is_taken(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let variables = [
        ("ROLLBOOK_LISTEN", "127.0.0.1:0"),
        ("ROLLBOOK_TEST_POSTGRES", "postgres://localhost/postgres"),
        ("ROLLBOOKS", "many"),
    ];
    let file = "ROLLBOOK_WORKERS=2\nOTHER_PROGRAM=1\n";
    let output = run(&database.url(), &["migrate", "status"], file, &variables);
    assert_eq!(told(&output).0, 0, "{output:?}");
}

#[test]
fn help_is_given_all_the_same() {
    for argument in ["--help", "--version"] {
        let output = run("sqlite:x.db", &[argument], "ROLLBOOK_EVN=1\n", &[]);
        assert_eq!(told(&output).0, 0, "{output:?}");
    }
}
