//! What Rollbook does in a second, beside the least that any server has to do for the same answers: `make bench`.
//!
//! The reference is a server of hand-written SQL on the same framework, driver, schema and number of connections: one
//! statement that authenticates and reads, one that creates a row with all that belongs to it. It checks no right and no
//! input, and writes no log. What Rollbook reaches of it is what its promises cost.
//!
//! Both are asked in turns in one run, so that what else the machine does harms both alike. Absolute figures are of the
//! machine; the ratios hold.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tests::{Backend, Caller, ServerProcess, TestDatabase, bootstrap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

#[path = "http/reference.rs"]
mod reference;

/// Clients that ask again as soon as they are answered.
const CLIENTS: usize = 32;
/// Connections of the pool.
const CONNECTIONS: u32 = 16;
/// How often each is measured, and for how long.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Members of the organization that is paged through.
const MEMBERS: usize = 100;

/// What is asked again and again.
#[derive(Clone)]
struct Question {
    method: Method,
    path: String,
    /// Whether each request makes something new.
    creates: bool,
}

#[tokio::main]
async fn main() {
    // `cargo test` runs benchmarks to see that they work; `cargo bench` says that it measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "{CLIENTS} clients, {CONNECTIONS} connections, 2 workers; medians of {ROUNDS} rounds of {ROUND:?}"
    );
    println!(
        "| database | operation | reference /s | Rollbook /s | of the reference | p50 ms | p99 ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for backend in [Backend::Postgres, Backend::Sqlite] {
        measure(backend).await;
    }
}

/// `cargo bench --package tests -- page` measures what has `page` in its name.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    words.next().is_none_or(|word| name.contains(&word))
}

async fn measure(backend: Backend) {
    let database = TestDatabase::migrated(backend).await;
    let made = bootstrap(&database);
    let connections = CONNECTIONS.to_string();
    let settings = [
        ("ROLLBOOK_DATABASE_MAX_CONNECTIONS", connections.as_str()),
        ("ROLLBOOK_LOG_FORMAT", "json"),
    ];
    let server = ServerProcess::start(&database.url(), &settings);
    let caller = server.caller(Some(&made.key));
    fill(&caller, made.organization_id).await;
    let reference = match backend {
        Backend::Postgres => Some(reference::start(&database.url(), CONNECTIONS).await),
        Backend::Sqlite => None,
    };

    let organization = made.organization_id;
    let questions = [
        (
            "read an organization",
            Method::GET,
            format!("/v1/organizations/{organization}"),
        ),
        (
            "a page of 50 members",
            Method::GET,
            format!("/v1/memberships?organization_id={organization}&limit=50"),
        ),
        (
            "create an organization",
            Method::POST,
            "/v1/organizations".to_owned(),
        ),
    ];
    for (name, method, path) in questions {
        if !wanted(name) {
            continue;
        }
        let creates = method == Method::POST;
        let question = Question {
            method,
            path,
            creates,
        };
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            if let Some(url) = &reference {
                theirs.push(round(url, &made.key, &question).await);
            }
            ours.push(round(&server.url, &made.key, &question).await);
        }
        let ours = median(ours);
        let (rate, share) = match theirs.is_empty() {
            true => ("".to_owned(), "".to_owned()),
            false => {
                let theirs = median(theirs);
                (
                    format!("{:.0}", theirs.rate),
                    format!("{:.2}", ours.rate / theirs.rate),
                )
            }
        };
        println!(
            "| {backend:?} | {name} | {rate} | {:.0} | {share} | {:.1} | {:.1} |",
            ours.rate, ours.median, ours.worst
        );
    }
}

async fn fill(admin: &Caller, organization_id: Uuid) {
    for number in 0..MEMBERS {
        let email = format!("member-{number}@example.com");
        let user = admin
            .post("/v1/users", json!({"email": email}))
            .await
            .created();
        let membership = json!({"organization_id": organization_id, "user_id": user["id"], "role": "member", "status": "active"});
        admin.post("/v1/memberships", membership).await.created();
    }
}

/// One round: answers in a second, and how long they took in milliseconds.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    median: f64,
    worst: f64,
}

fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    rounds[rounds.len() / 2]
}

async fn round(url: &str, key: &str, question: &Question) -> Round {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(ask(
                url.to_owned(),
                key.to_owned(),
                question.clone(),
                start + ROUND,
            ))
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("a client"));
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    Round {
        rate: times.len() as f64 / elapsed.as_secs_f64(),
        median: at(0.5),
        worst: at(0.99),
    }
}

/// One client on one connection, as lean as can be: it takes time from the servers.
async fn ask(url: String, key: String, question: Question, end: Instant) -> Vec<Duration> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a server");
    stream.set_nodelay(true).expect("a connection");
    let Question {
        method,
        path,
        creates,
    } = question;
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n");
    let (mut times, mut answer) = (Vec::new(), Vec::with_capacity(65_536));
    while Instant::now() < end {
        let request = match creates {
            true => {
                let body =
                    json!({"name": "Measured", "slug": format!("m-{}", Uuid::now_v7().simple())})
                        .to_string();
                format!(
                    "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            false => format!("{head}\r\n"),
        };
        let start = Instant::now();
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a request on its way");
        answer.clear();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await.expect("an answer");
            assert_ne!(read, 0, "the server hung up");
        }
        times.push(start.elapsed());
        assert!(
            answer.starts_with(b"HTTP/1.1 20"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    times
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
        .expect("a length");
    bytes.len() >= end + 4 + length
}
