//! A database whose URL names an IPv6 address (RFC 3986, 3.2.2), by every command and every way to say a URL.

use std::env;
use std::fs;
use std::process::Output;

use sea_orm::ConnectOptions;
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase};
use tests::{Proxy, ServerProcess, bootstrap, rollbook, told};

fn run(directory: &TempDir, url: &str, arguments: &[&str]) -> Output {
    rollbook(directory, url)
        // PostgreSQL's own programs.
        .env("PATH", env::var("PATH").unwrap_or_default())
        .args(arguments)
        .output()
        .expect("rollbook to run")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_reaches_a_database_by_an_ipv6_address() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    bootstrap(&database);
    let Some(proxy) = Proxy::by_ipv6(&database.url()).await else {
        return;
    };
    let url = proxy.url();
    assert!(url.contains("@[::1]:"));
    let directory = TempDir::new().expect("a temporary directory");
    for arguments in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["doctor"],
        &["schema", "diff"],
        &["keys", "list"],
        &["backup", "a"],
        &["restore", "a", "--replace"],
    ] {
        let (code, _, error) = told(&run(&directory, url, arguments));
        assert_eq!(code, 0, "{arguments:?}: {error}");
    }
    // So does the stock command.
    let connected = migration::connect(ConnectOptions::new(url)).await;
    connected
        .expect("a connection")
        .ping()
        .await
        .expect("an answer");
    // By a flag and by .env, as by the environment.
    let elsewhere = "postgres://127.0.0.1:1/nothing";
    let flag = ["migrate", "status", "--database-url", url];
    assert_eq!(told(&run(&directory, elsewhere, &flag)).0, 0);
    fs::write(
        directory.path().join(".env"),
        format!("DATABASE_URL='{url}'"),
    )
    .expect("a file");
    let from_file = rollbook(&directory, elsewhere)
        .env_remove("DATABASE_URL")
        .args(["migrate", "status"])
        .output()
        .expect("rollbook to run");
    assert_eq!(told(&from_file).0, 0, "{from_file:?}");
    let server = ServerProcess::start(url, &[]);
    server.caller(None).get("/readyz").await.ok();
}

#[test]
fn what_cannot_be_reached_is_named_with_its_brackets() {
    let directory = TempDir::new().expect("a temporary directory");
    for command in [&["doctor"][..], &["migrate", "up"], &["serve"]] {
        let output = rollbook(&directory, "postgres://u:hunter2@[::1]:1/db")
            .env("ROLLBOOK_DATABASE_CONNECT_RETRY", "0")
            .env("ROLLBOOK_LISTEN", "127.0.0.1:0")
            .args(command)
            .output()
            .expect("rollbook to run");
        let (code, _, error) = told(&output);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("PostgreSQL at [::1]:1 "), "{error}");
        assert!(!error.contains("lookup"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
