//! Whose the files are: what is made is its owner's alone, what takes another's place is as that was, and a look makes none.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use migration::{Migrator, MigratorTrait};
use rstest::rstest;
use tempfile::TempDir;
use tests::database::{Backend, TestDatabase};
use tests::{ServerProcess, binary, bootstrap, told};

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn mode(file: &Path) -> u32 {
    let metadata = fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    metadata.mode() & 0o777
}

/// A command of the binary under this umask.
fn under(umask: &str, directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask $0 && exec \"$@\"", umask])
        .arg(binary())
        .args(arguments)
        .env_clear()
        .current_dir(directory.path())
        .stdin(Stdio::null());
    command
}

fn run(umask: &str, directory: &TempDir, arguments: &[&str]) -> Output {
    let output = under(umask, directory, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

#[rstest]
#[case("022")]
#[case("000")]
fn what_is_made_is_its_owners_alone(#[case] umask: &str) {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    run(umask, &directory, &["migrate", "up"]);
    assert_eq!(mode(&path("data/rollbook.db")), 0o600);

    let listen = ["serve", "--listen", "127.0.0.1:0", "--workers", "1"];
    let mut server = under(umask, &directory, &listen)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut String::new()).unwrap();
    for name in ["data/rollbook.db-wal", "data/rollbook.db-shm"] {
        assert_eq!(mode(&path(name)), 0o600, "{name}");
    }
    server.kill().unwrap();
    server.wait().unwrap();

    run(umask, &directory, &["backup", "a"]);
    for name in ["a", "a.manifest.json"] {
        assert_eq!(mode(&path(name)), 0o600, "{name}");
        fs::set_permissions(path(name), Permissions::from_mode(0o644)).unwrap();
    }
    // A restored file is a new one, however the backup was handed on.
    let elsewhere = ["--database-url", "sqlite://made/on/the/way.db?mode=rwc"];
    run(
        umask,
        &directory,
        &["restore", "a", elsewhere[0], elsewhere[1]],
    );
    assert_eq!(mode(&path("made/on/the/way.db")), 0o600);
    run(umask, &directory, &["backup", "a", "--force"]);
    for name in ["a", "a.manifest.json"] {
        assert_eq!(mode(&path(name)), 0o600, "{name}");
    }
    // By `serve --migrate`, through a link that leads nowhere yet.
    symlink("linked.db", path("link.db")).unwrap();
    let linked = [
        "migrate",
        "up",
        "--database-url",
        "sqlite://link.db?mode=rwc",
    ];
    run(umask, &directory, &linked);
    assert_eq!(mode(&path("linked.db")), 0o600);
}

#[rstest]
#[case::a_file("rollbook.db")]
#[case::a_link("link.db")]
fn what_is_replaced_keeps_its_owner_and_mode(#[case] name: &str) {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let url = format!("sqlite://{name}?mode=rwc");
    symlink("rollbook.db", path("link.db")).unwrap();
    run(
        "022",
        &directory,
        &["migrate", "up", "--database-url", &url],
    );
    run("022", &directory, &["backup", "a", "--database-url", &url]);
    let file = path("rollbook.db");
    // Only root gives files away.
    let mut owner = (
        fs::metadata(&file).unwrap().uid(),
        fs::metadata(&file).unwrap().gid(),
    );
    if chown(&file, Some(65_534), Some(65_533)).is_ok() {
        owner = (65_534, 65_533);
    }
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    // Of a database that was killed; taken for a part of the restored one, it would spoil it.
    for end in ["-wal", "-journal"] {
        fs::write(path(&format!("rollbook.db{end}")), "").unwrap();
    }
    run(
        "077",
        &directory,
        &["restore", "a", "--replace", "--database-url", &url],
    );
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), owner);
    assert_eq!(metadata.mode() & 0o777, 0o640);
    assert!(path("link.db").is_symlink());
    let mut left: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["a", "a.manifest.json", "link.db", "rollbook.db"]);
}

/// Whoever looks with more rights than the service leaves nothing that the service may not use.
#[tokio::test]
async fn what_stands_beside_a_file_while_it_is_used_is_as_the_file() {
    let database = TestDatabase::migrated(Backend::Sqlite).await;
    bootstrap(&database);
    let url = database.url();
    let file = url
        .trim_start_matches("sqlite://")
        .trim_end_matches("?mode=rwc");
    fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
    let is_root = chown(file, Some(65_534), Some(65_533)).is_ok();
    let _server = ServerProcess::start(&url, &[]);
    for end in ["-wal", "-shm"] {
        let beside = fs::metadata(format!("{file}{end}")).unwrap();
        assert_eq!(beside.mode() & 0o777, 0o640, "{end}");
        if is_root {
            assert_eq!((beside.uid(), beside.gid()), (65_534, 65_533), "{end}");
        }
    }
}

#[test]
fn a_look_makes_no_file_and_says_what_does() {
    let directory = directory();
    for arguments in [
        &["doctor"][..],
        &["schema", "diff"],
        &["keys", "list"],
        &["environment"],
        &["backup", "a"],
        &["seed"],
        &["bootstrap", "--email", "a@example.com"],
        &["serve", "--listen", "127.0.0.1:0"],
        &[
            "doctor",
            "reconcile",
            "01a1fbff-6e16-768a-899c-57599b6edd96",
            "--reason",
            "x",
        ],
    ] {
        let output = under("022", &directory, arguments).output().unwrap();
        let (code, _, error) = told(&output);
        assert_eq!(code, 1, "{arguments:?}: {error}");
        assert!(
            error.contains("there is no database file data/rollbook.db"),
            "{error}"
        );
        assert!(error.contains("run `rollbook migrate up`"), "{error}");
        assert!(!error.contains("mode=rwc"), "{error}");
    }
    let pending = run("022", &directory, &["migrate", "status"]);
    assert_eq!(
        told(&pending).1.matches("pending  m").count(),
        Migrator::migrations().len(),
        "{pending:?}"
    );
    let plan = run("022", &directory, &["migrate", "plan"]);
    assert!(told(&plan).1.contains("CREATE TABLE"), "{plan:?}");
    assert_eq!(
        told(&run("022", &directory, &["migrate", "current"])).1,
        "none\n"
    );
    run("022", &directory, &["migrate", "validate"]);
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0);
}
