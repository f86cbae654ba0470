//! The command line itself: help, versions, completions, manual pages, and readers that have seen enough.

use std::process::{Command, Output, Stdio};

use rstest::rstest;
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase};
use tests::{bootstrap, rollbook, run, told};

/// Runs a command whose standard output nobody reads.
fn unread(url: &str, arguments: &[&str]) -> Output {
    let directory = TempDir::new().expect("a temporary directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    rollbook(&directory, url)
        .args(arguments)
        .stdout(writer)
        .output()
        .expect("rollbook to run")
}

#[rstest]
#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    bootstrap(&database);
    for arguments in [
        &["migrate", "status"][..],
        &["migrate", "plan", "--down", "9"],
        &["migrate", "current"],
        &["migrate", "validate"],
        &["migrate", "up"],
        &["schema", "diff"],
        &["schema", "diff", "--format", "json"],
        &["doctor"],
        &["doctor", "--list"],
        &["keys", "list"],
        &["environment"],
        &["seed", "--users", "1", "--organizations", "1"],
        &["openapi"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["serve", "--help"],
        &["-h"],
        &["--version"],
    ] {
        let output = unread(&database.url(), arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert!(!error.contains("standard output"), "{arguments:?}: {error}");
    }
    // A finding stays one.
    let output = unread(
        &database.url(),
        &["doctor", "reconcile", &nothing(), "--reason", "x"],
    );
    assert_eq!(output.status.code(), Some(1));
    // What is shown once is lost where nobody reads it.
    let user = "root@example.com";
    let output = unread(&database.url(), &["keys", "create", "--user", user]);
    let (code, _, error) = told(&output);
    assert_eq!(code, 1);
    assert!(error.contains("lost"), "{error}");
}

fn nothing() -> String {
    uuid::Uuid::nil().to_string()
}

/// Without a database, and without a setting.
fn alone(arguments: &[&str]) -> (i32, String, String) {
    told(&run("sqlite:nowhere.db", arguments, ""))
}

fn commands() -> Vec<Vec<&'static str>> {
    let commands = [
        "serve",
        "migrate",
        "migrate up",
        "migrate down",
        "migrate plan",
        "migrate status",
        "bootstrap",
        "keys create",
        "keys list",
        "schema diff",
        "doctor",
        "doctor reconcile",
        "backup",
        "restore",
        "seed",
        "environment",
    ];
    let commands = commands.map(|command| command.split(' ').collect());
    commands.into()
}

#[test]
fn h_is_short_and_help_is_long() {
    for command in commands() {
        let help = |flag: &str| {
            let arguments: Vec<&str> = command.iter().copied().chain([flag]).collect();
            let (code, text, error) = alone(&arguments);
            assert_eq!(code, 0, "{error}");
            text
        };
        let (short, long) = (help("-h"), help("--help"));
        assert!(short.lines().count() <= 40, "{command:?}: {short}");
        assert!(
            long.lines().count() >= 2 * short.lines().count(),
            "{command:?}: {short}{long}"
        );
        assert!(short.contains("DATABASE_URL"), "{short}");
        assert!(
            !short.contains("ROLLBOOK_DATABASE_MIN_CONNECTIONS"),
            "{short}"
        );
        assert!(long.contains("ROLLBOOK_DATABASE_MIN_CONNECTIONS"), "{long}");
        assert!(short.contains("see more with '--help'"), "{short}");
    }
    let (short, long) = (alone(&["-h"]).1, alone(&["--help"]).1);
    assert!(short.lines().count() <= 40, "{short}");
    assert!(
        !short.contains("Exit status") && long.contains("Exit status"),
        "{long}"
    );
}

#[test]
fn the_version_names_the_commit() {
    let number = env!("CARGO_PKG_VERSION");
    for flag in ["--version", "-V"] {
        let (code, text, error) = alone(&[flag]);
        assert_eq!(code, 0, "{error}");
        let built = text
            .trim()
            .strip_prefix(&format!("rollbook {number}"))
            .expect("a version");
        let head = Command::new("git")
            .args(["rev-parse", "HEAD"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::null())
            .output();
        // Without git, or outside its tree, nobody knows.
        match head.ok().filter(|output| output.status.success()) {
            None => assert_eq!(built, ""),
            Some(head) if option_env!("SOURCE_COMMIT").is_none() => {
                let head = String::from_utf8_lossy(&head.stdout).into_owned();
                let commit = built.trim_start_matches(" (").trim_end_matches(')');
                let commit = commit.trim_end_matches("-modified");
                assert!(
                    commit.len() >= 12 && head.starts_with(commit),
                    "{text} {head}"
                );
            }
            Some(_) => assert_ne!(built, ""),
        }
    }
}

#[rstest]
fn shells_can_complete(#[values("bash", "elvish", "fish", "powershell", "zsh")] shell: &str) {
    let (code, script, error) = alone(&["completions", shell]);
    assert_eq!(code, 0, "{error}");
    for word in ["migrate", "status", "database-url", "completions"] {
        assert!(script.contains(word), "{word} is not in {script}");
    }
    let (code, _, error) = alone(&["completions", "tcsh"]);
    assert_eq!(code, 2);
    assert!(error.contains("zsh"), "{error}");
}

#[test]
fn every_command_has_a_manual_page() {
    let (code, page, error) = alone(&["man"]);
    assert_eq!(code, 0, "{error}");
    assert!(page.contains(".TH rollbook 1"), "{page}");
    assert!(page.contains("Exit status"), "{page}");
    for command in commands() {
        let arguments: Vec<&str> = ["man"].into_iter().chain(command.clone()).collect();
        let (code, page, error) = alone(&arguments);
        assert_eq!(code, 0, "{error}");
        let title = format!(".TH rollbook-{} 1", command.join("-"));
        assert!(page.contains(&title), "{title}: {page}");
        for told in [
            "ROLLBOOK_DATABASE_MIN_CONNECTIONS",
            "kept open even when nothing uses them",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }
    for (wrong, known) in [
        (&["man", "nothing"][..], "migrate"),
        (&["man", "migrate", "sideways"], "status"),
    ] {
        let (code, output, error) = alone(wrong);
        assert_eq!((code, output.as_str()), (2, ""));
        assert!(error.contains(known), "{error}");
    }
}
