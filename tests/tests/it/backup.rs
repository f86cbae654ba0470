//! `rollbook backup` and `restore`: what comes back is what was there, and what is not whole is refused.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use migration::{Migrator, MigratorTrait};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase, execute, text_rows};
use tests::{ServerProcess, TestApp, content, spawn};

/// A directory for backups, and the command line with PostgreSQL's programs within reach.
struct Shelf {
    directory: TempDir,
}

impl Shelf {
    fn new() -> Self {
        let directory = TempDir::with_prefix("rollbook-backup-").unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.manifest.json"))
    }

    fn rollbook(&self, database: &TestDatabase, verb: &str, name: &str, more: &[&str]) -> Output {
        let path = env::var("PATH").unwrap_or_default();
        self.rollbook_with(database, verb, name, more, &[("PATH", &path)])
    }

    fn rollbook_with(
        &self,
        database: &TestDatabase,
        verb: &str,
        name: &str,
        more: &[&str],
        settings: &[(&str, &str)],
    ) -> Output {
        let file = self.path(name).display().to_string();
        let arguments: Vec<&str> = [verb, &file].iter().chain(more).copied().collect();
        spawn(&database.url(), &arguments, settings)
            .wait_with_output()
            .unwrap()
    }

    fn succeeds(&self, database: &TestDatabase, verb: &str, name: &str, more: &[&str]) -> String {
        let output = self.rollbook(database, verb, name, more);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// It is refused, with this in its complaint.
    fn refuses(
        &self,
        database: &TestDatabase,
        verb: &str,
        name: &str,
        more: &[&str],
        reason: &str,
    ) {
        let output = self.rollbook(database, verb, name, more);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(reason), "{said}");
    }
}

/// A database in use, with a bit of everything.
async fn used(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    app.member(organization, "member").await;
    let path = format!("/v1/organizations/{organization}");
    owner
        .patch(&path, json!({"settings": {"a": [1, 2.5, "ä"]}}))
        .await
        .ok();
    app
}

async fn rows(database: &TestDatabase) -> Vec<String> {
    let connection = database.connect().await;
    let rows = content(&connection).await;
    connection.close().await.unwrap();
    rows
}

#[rstest]
#[tokio::test]
async fn what_is_restored_is_what_was_there_and_goes_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let mut app = used(backend).await;
    let shelf = Shelf::new();
    let said = shelf.succeeds(&app.database, "backup", "a", &["--format", "json"]);
    let manifest: Value = serde_json::from_str(&said).unwrap();
    let kept: Value = serde_json::from_slice(&fs::read(shelf.manifest("a")).unwrap()).unwrap();
    assert_eq!(manifest, kept);
    assert_eq!(manifest["rows"]["users"], 3);
    assert_eq!(
        manifest["bytes"],
        fs::metadata(shelf.path("a")).unwrap().len()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(shelf.path("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    }
    app.shut_down().await;
    let before = rows(&app.database).await;

    let other = TestDatabase::empty(backend).await;
    let said = shelf.succeeds(&other, "restore", "a", &[]);
    assert!(said.contains("doctor: 12 checks passed, "), "{said}");
    assert_eq!(rows(&other).await, before);
    // It goes on where it was: the key is good, and the next change is the next version.
    let server = ServerProcess::start(&other.url(), &[]);
    let admin = server.caller(Some(app.system_admin.key()));
    let path = format!("/v1/organizations/{}", app.first_organization);
    let changed = admin.patch(&path, json!({"city": "Basel"})).await.ok();
    assert_eq!(changed["version"], 2);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_server_at_work_is_of_one_moment(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = used(backend).await;
    let shelf = Shelf::new();
    let path = format!("/v1/organizations/{}", app.first_organization);
    let admin = app.system_admin.clone();
    let writing = tokio::spawn(async move {
        for number in 0..400 {
            let patch = json!({"metadata": {"number": number}});
            admin.patch(&path, patch).await.ok();
        }
    });
    for name in ["a", "b", "c"] {
        let database = TestDatabase::empty(backend).await;
        let said = tokio::task::block_in_place(|| {
            shelf.succeeds(&app.database, "backup", name, &[]);
            shelf.succeeds(&database, "restore", name, &[])
        });
        // Doctor folds every event: a row without its event, or an event without its row, would be told.
        assert!(
            said.contains("doctor: 12 checks passed, ") && said.contains(", 0 errors"),
            "{said}"
        );
    }
    writing.abort();
}

#[rstest]
#[tokio::test]
async fn data_that_are_there_are_not_lost_unasked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = used(backend).await;
    let shelf = Shelf::new();
    shelf.succeeds(&app.database, "backup", "a", &[]);
    shelf.refuses(&app.database, "backup", "a", &[], "--force");
    shelf.succeeds(&app.database, "backup", "a", &["--force"]);
    let mut other = used(backend).await;
    other.shut_down().await;
    let before = rows(&other.database).await;
    shelf.refuses(&other.database, "restore", "a", &[], "--replace");
    let production = ["--replace", "--env", "production"];
    shelf.refuses(
        &other.database,
        "restore",
        "a",
        &production,
        "--i-know-this-destroys-data",
    );
    assert_eq!(rows(&other.database).await, before);
    shelf.succeeds(&other.database, "restore", "a", &["--replace"]);
    assert_ne!(rows(&other.database).await, before);
    // A schema without data is nothing to lose.
    let empty = TestDatabase::migrated(backend).await;
    shelf.succeeds(&empty, "restore", "a", &[]);
}

#[rstest]
#[tokio::test]
async fn what_is_not_whole_is_refused_before_anything_is_touched(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = used(backend).await;
    let shelf = Shelf::new();
    shelf.succeeds(&app.database, "backup", "a", &[]);
    let (whole, manifest) = (
        fs::read(shelf.path("a")).unwrap(),
        fs::read_to_string(shelf.manifest("a")).unwrap(),
    );
    let target = TestDatabase::migrated(backend).await;
    let refuses = |reason: &str| shelf.refuses(&target, "restore", "a", &[], reason);

    fs::write(shelf.path("a"), &whole[..whole.len() - 1]).unwrap();
    refuses("bytes instead of");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(shelf.path("a"), &altered).unwrap();
    refuses("its SHA-256 is another one");
    fs::write(shelf.path("a"), &whole).unwrap();

    let other = if backend == Backend::Sqlite {
        "postgres"
    } else {
        "sqlite"
    };
    let this = if backend == Backend::Sqlite {
        "sqlite"
    } else {
        "postgres"
    };
    let rewrite =
        |from: &str, to: &str| fs::write(shelf.manifest("a"), manifest.replace(from, to)).unwrap();
    rewrite(
        &format!("\"backend\": \"{this}\""),
        &format!("\"backend\": \"{other}\""),
    );
    refuses(&format!("this is a backup of {other}"));
    rewrite("create_users", "create_something_new");
    refuses("m20261121_000002_create_something_new");
    fs::write(shelf.manifest("a"), "{}").unwrap();
    refuses("it is no manifest");
    fs::remove_file(shelf.manifest("a")).unwrap();
    refuses("the manifest stands beside the backup");
    assert_eq!(rows(&target).await, Vec::<String>::new());

    // One that is whole and says something else than the manifest is noticed afterwards.
    rewrite("\"users\": 3", "\"users\": 4");
    refuses("users has 3 rows instead of 4");
    rewrite("\"schema\": \"", "\"schema\": \"0");
    shelf.refuses(
        &target,
        "restore",
        "a",
        &["--replace"],
        "its schema is another one",
    );
}

/// What somebody made beside the migrations is in the backup, and in its manifest.
#[rstest]
#[tokio::test]
async fn a_schema_that_has_drifted_comes_back_as_it_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = used(backend).await;
    let connection = app.database.connect().await;
    execute(
        &connection,
        "CREATE INDEX users_language_idx ON users (language);
         CREATE TABLE notes (id int PRIMARY KEY, note varchar(20) DEFAULT 'none' CHECK (note IN ('none', 'some')));
         CREATE VIEW names AS SELECT name FROM organizations WHERE name IN ('a', 'b')",
    )
    .await
    .unwrap();
    let shelf = Shelf::new();
    shelf.succeeds(&app.database, "backup", "a", &[]);
    let target = TestDatabase::empty(backend).await;
    let said = shelf.succeeds(&target, "restore", "a", &[]);
    assert!(said.contains("1 warnings, 0 errors"), "{said}");
}

#[rstest]
#[tokio::test]
async fn a_failed_backup_leaves_no_file(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let shelf = Shelf::new();
    let empty = TestDatabase::empty(backend).await;
    empty.connect().await.close().await.unwrap();
    shelf.refuses(&empty, "backup", "a", &[], "no schema of Rollbook");
    let nowhere = TestDatabase::migrated(backend).await;
    shelf.refuses(&nowhere, "backup", "missing/a", &[], "cannot be written");
    if backend == Backend::Postgres {
        let nothing = shelf.path("").display().to_string();
        let output = shelf.rollbook_with(&nowhere, "backup", "a", &[], &[("PATH", &nothing)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("pg_dump cannot be started") && said.contains("PATH"),
            "{said}"
        );
    }
    let left: Vec<_> = fs::read_dir(shelf.directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_file_that_a_server_has_open_is_not_replaced() {
    let app = used(Backend::Sqlite).await;
    let shelf = Shelf::new();
    shelf.succeeds(&app.database, "backup", "a", &[]);
    shelf.refuses(&app.database, "restore", "a", &["--replace"], "is in use");
    app.system_admin.get("/v1/users").await.ok();
}

/// Before an upgrade the schema is older than the program that is to make the backup.
#[rstest]
#[tokio::test]
async fn an_older_schema_is_backed_up_and_restored_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let older = TestDatabase::empty(backend).await;
    let connection = older.connect().await;
    Migrator::up(&connection, Some(2)).await.unwrap();
    execute(
        &connection,
        "INSERT INTO users (email) VALUES ('old@example.com')",
    )
    .await
    .unwrap();
    let shelf = Shelf::new();
    shelf.succeeds(&older, "backup", "a", &[]);
    let target = TestDatabase::empty(backend).await;
    let said = shelf.succeeds(&target, "restore", "a", &[]);
    assert!(said.contains("rollbook migrate up"), "{said}");
    let restored = target.connect().await;
    assert_eq!(
        text_rows(&restored, "SELECT email FROM users").await,
        ["old@example.com"]
    );
    Migrator::up(&restored, None).await.unwrap();
}

/// The password is told to PostgreSQL's programs where nobody else sees it.
#[tokio::test]
async fn no_password_is_told() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let url = database.url();
    let password = url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('@').next()?.split(':').nth(1));
    let shelf = Shelf::new();
    // A program that tells how it was called.
    let programs = TempDir::new().unwrap();
    let program = programs.path().join("pg_dump");
    fs::write(&program, "#!/bin/sh\necho \"$@\" >&2; exit 1\n").unwrap();
    executable(&program);
    let path = format!("{}:/bin:/usr/bin", programs.path().display());
    let output = shelf.rollbook_with(&database, "backup", "a", &[], &[("PATH", &path)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("pg_dump failed: --format=custom"), "{said}");
    if let Some(password) = password {
        assert!(!said.contains(password), "{said}");
    }
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
