//! The server as its users run it: a process of its own, which can be killed.

use std::env::{self, consts::EXE_SUFFIX};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::caller::Caller;
use crate::database::TestDatabase;

/// How long anything here may take before the test says that it does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `rollbook serve`. It is killed with the value.
pub struct ServerProcess {
    pub url: String,
    child: Child,
    log: Log,
    _directory: TempDir,
}

/// What the process said on standard error so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

/// The first system admin of a database, as `rollbook bootstrap` made them.
pub struct Bootstrapped {
    pub key: String,
    pub user_id: Uuid,
    pub organization_id: Uuid,
}

/// `rollbook` with this database and no other setting, in a directory of its own, so that no `.env` is found.
pub fn rollbook(directory: &TempDir, database_url: &str) -> Command {
    alone(Command::new(binary()), directory, database_url)
}

fn alone(mut command: Command, directory: &TempDir, database_url: &str) -> Command {
    command
        .env_clear()
        .env("DATABASE_URL", database_url)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Where the binary is: where cargo or nextest says, for whom programs need not be where tests are; else beside the
/// directory in which the test stands.
pub fn binary() -> PathBuf {
    let said = ["NEXTEST_BIN_EXE_", "CARGO_BIN_EXE_"];
    let said = said.map(|prefix| env::var_os(format!("{prefix}rollbook-under-test")));
    if let Some(binary) = said.into_iter().flatten().next() {
        return binary.into();
    }
    let test = env::current_exe().expect("the test's own path");
    let directory = test
        .ancestors()
        .find(|directory| directory.ends_with("deps"))
        .and_then(|deps| deps.parent())
        .unwrap_or_else(|| panic!("{} is not in a directory deps", test.display()));
    let binary = directory.join(format!("rollbook-under-test{EXE_SUFFIX}"));
    assert!(
        binary.exists(),
        "{} is missing: run the tests with cargo, which builds it",
        binary.display()
    );
    binary
}

/// Runs a command of the binary to its end, with `input` on its standard input.
pub fn run(database_url: &str, arguments: &[&str], input: &str) -> Output {
    let directory = TempDir::new().expect("a temporary directory");
    let mut child = rollbook(&directory, database_url)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("rollbook to start");
    let mut stdin = child.stdin.take().expect("its standard input");
    // A command that reads nothing may have ended before.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("rollbook to end")
}

/// As [`rollbook`], where no file may grow larger than so many blocks of 512 bytes: to the process the disk is full.
fn rollbook_on_a_full_disk(directory: &TempDir, database_url: &str, blocks: u32) -> Command {
    let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &limit]).arg(binary());
    alone(command, directory, database_url)
}

/// Runs a command of the binary to its end, where no file may grow larger than so many blocks of 512 bytes.
pub fn run_on_a_full_disk(database_url: &str, arguments: &[&str], blocks: u32) -> Output {
    let directory = TempDir::new().expect("a temporary directory");
    rollbook_on_a_full_disk(&directory, database_url, blocks)
        .args(arguments)
        .output()
        .expect("a shell")
}

/// The exit code of a command that has ended, and what it said on standard output and on standard error.
pub fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("an exit code"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Starts a command of the binary, with these environment variables; the test ends it.
pub fn spawn(database_url: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
    let directory = TempDir::new().expect("a temporary directory");
    rollbook(&directory, database_url)
        .args(arguments)
        .envs(settings.iter().copied())
        // Its own would be gone before it is.
        .current_dir("/")
        .spawn()
        .expect("rollbook to start")
}

/// Makes the first system admin by the command line.
pub fn bootstrap(database: &TestDatabase) -> Bootstrapped {
    let directory = TempDir::new().expect("a temporary directory");
    let output = rollbook(&directory, &database.url())
        .args([
            "bootstrap",
            "--email",
            "root@example.com",
            "--format",
            "json",
        ])
        .output()
        .expect("rollbook to run");
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    let id = |name: &str| made[name].as_str().and_then(|id| id.parse().ok());
    Bootstrapped {
        key: made["api_key"].as_str().expect("a key").to_owned(),
        user_id: id("user_id").expect("an id"),
        organization_id: id("organization_id").expect("an id"),
    }
}

impl ServerProcess {
    /// Starts a server on a free port, with these environment variables, and waits until it listens.
    pub fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let command = rollbook(&directory, database_url);
        Self::serve(directory, command, settings)
    }

    /// Starts a server where no file may grow larger than so many blocks of 512 bytes.
    pub fn start_on_a_full_disk(database_url: &str, blocks: u32) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let command = rollbook_on_a_full_disk(&directory, database_url, blocks);
        Self::serve(directory, command, &[])
    }

    fn serve(directory: TempDir, mut command: Command, settings: &[(&str, &str)]) -> Self {
        let mut child = command
            .arg("serve")
            .env("ROLLBOOK_LISTEN", "127.0.0.1:0")
            .env("ROLLBOOK_WORKERS", "2")
            .envs(settings.iter().copied())
            .spawn()
            .expect("rollbook to start");
        let log = Log::default();
        let reader = log.follow(child.stderr.take().expect("its standard error"));
        let mut output = BufReader::new(child.stdout.take().expect("its standard output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        let Some(url) = line.trim().strip_prefix("rollbook listens on ") else {
            drop(child.wait());
            drop(reader.join());
            panic!("it does not listen: {line:?} {}", log.text());
        };
        Self {
            url: url.to_owned(),
            child,
            log,
            _directory: directory,
        }
    }

    /// Someone with this key.
    pub fn caller(&self, key: Option<&str>) -> Caller {
        // A client of its own: a connection of one that was killed is not used for the next.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client");
        Caller::new(client, &self.url, key, None)
    }

    /// Whether a new connection is taken.
    pub fn is_listening(&self) -> bool {
        TcpStream::connect(self.url.trim_start_matches("http://")).is_ok()
    }

    /// Ends it at once, as the system does to one that takes too much memory; nothing of it is left to write.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// Asks it to stop, as service managers do.
    pub fn terminate(&self) {
        let status = Command::new("sh")
            .args(["-c", "kill -s TERM \"$0\"", &self.child.id().to_string()])
            .status()
            .expect("a shell");
        assert!(status.success(), "{status}");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it said on standard error so far.
    pub fn log(&self) -> String {
        self.log.text()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Log {
    /// Reads to the end: a process whose standard error is full would stand still.
    fn follow(&self, mut stderr: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                log.0.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Waits until it is so, and says what was waited for where it does not become so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "{what}: it does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
