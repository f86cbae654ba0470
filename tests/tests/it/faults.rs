//! The database is gone, busy or slow: 503 and never a hang, and all is well again by itself when the database is.

use std::time::{Duration, Instant};

use rstest::rstest;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use tests::{
    Answer, Backend, Caller, Proxy, ServerProcess, TestDatabase, bootstrap, content, eventually,
};
use tokio::task::JoinSet;

/// Runs them at once, and waits for all.
async fn join_all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: JoinSet<T> = tasks.into_iter().collect();
    tasks.join_all().await
}

const SMALL: [(&str, &str); 2] = [
    ("ROLLBOOK_DATABASE_MAX_CONNECTIONS", "2"),
    ("ROLLBOOK_DATABASE_ACQUIRE_TIMEOUT", "0.5"),
];

fn new_organization(slug: &str) -> Value {
    json!({"name": "Example", "slug": slug})
}

#[track_caller]
fn is_unavailable(answer: &Answer) {
    answer.is_problem(503, "unavailable");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

/// Someone else's transaction; what it holds it holds until it ends.
struct Holder(DatabaseConnection);

impl Holder {
    async fn run(database: &TestDatabase, statements: &[&str]) -> Self {
        let connection = database.connect().await;
        for statement in statements {
            connection.execute_unprepared(statement).await.unwrap();
        }
        Self(connection)
    }

    async fn let_go(self) {
        self.0.execute_unprepared("ROLLBACK").await.unwrap();
    }
}

/// What every reader of an organization waits for on PostgreSQL; on SQLite what every writer waits for.
async fn hold(database: &TestDatabase) -> Holder {
    match database.backend() {
        Backend::Postgres => {
            let lock = "LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE";
            Holder::run(database, &["BEGIN", lock]).await
        }
        Backend::Sqlite => Holder::run(database, &["BEGIN IMMEDIATE"]).await,
    }
}

async fn readiness(server: &ServerProcess) -> (u16, u16) {
    let nobody = server.caller(None);
    let ready = nobody.get("/readyz").await;
    if ready.status != 200 {
        is_unavailable(&ready);
    }
    (nobody.get("/healthz").await.status, ready.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_server_says_so_and_recovers_by_itself() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let proxy = Proxy::before(&database.url()).await;
    let mut server = ServerProcess::start(proxy.url(), &SMALL);
    let caller = server.caller(Some(&admin.key));
    let path = format!("/v1/organizations/{}", admin.organization_id);
    let connection = database.connect().await;
    for round in 0..3 {
        caller.get(&path).await.ok();
        assert_eq!(readiness(&server).await, (200, 200));
        let before = content(&connection).await;
        proxy.cut();
        for _ in 0..3 {
            is_unavailable(&caller.get(&path).await);
            is_unavailable(&caller.patch(&path, json!({"name": "Lost"})).await);
            is_unavailable(
                &caller
                    .post("/v1/organizations", new_organization("lost"))
                    .await,
            );
            is_unavailable(&caller.delete(&path).await);
        }
        assert_eq!(readiness(&server).await, (200, 503));
        assert_eq!(content(&connection).await, before);
        proxy.mend();
        eventually("recovery", async || caller.get(&path).await.status == 200).await;
        assert_eq!(readiness(&server).await, (200, 200));
        let slug = format!("found-{round}");
        caller
            .post("/v1/organizations", new_organization(&slug))
            .await
            .created();
    }
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    for secret in [admin.key.as_str(), database.url().as_str()] {
        assert!(!server.log().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_in_the_middle_of_work_fail_whole() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let proxy = Proxy::before(&database.url()).await;
    let server = ServerProcess::start(proxy.url(), &[]);
    let caller = server.caller(Some(&admin.key));
    let connection = database.connect().await;
    let before = content(&connection).await;
    let holder = hold(&database).await;
    let writers = (0..4).map(|index| {
        let (caller, body) = (caller.clone(), new_organization(&format!("cut-{index}")));
        async move { caller.post("/v1/organizations", body).await }
    });
    let writers = tokio::spawn(join_all(writers.collect::<Vec<_>>()));
    eventually("writers that wait", async || {
        waiting(&connection).await == 4
    })
    .await;
    proxy.cut();
    for answer in writers.await.unwrap() {
        is_unavailable(&answer);
    }
    // PostgreSQL sees that they are gone once it has something to say to them.
    holder.let_go().await;
    eventually("an end of the writers", async || {
        waiting(&connection).await == 0
    })
    .await;
    assert_eq!(content(&connection).await, before);
    proxy.mend();
    let body = new_organization("whole");
    eventually("recovery", async || {
        caller.post("/v1/organizations", body.clone()).await.status == 201
    })
    .await;
}

/// How many statements wait for a lock in this database.
async fn waiting(connection: &DatabaseConnection) -> usize {
    let sql = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    tests::database::text_rows(connection, sql).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_lets_no_request_hang() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let proxy = Proxy::before(&database.url()).await;
    let settings = [SMALL[0], SMALL[1], ("ROLLBOOK_REQUEST_TIMEOUT", "1")];
    let server = ServerProcess::start(proxy.url(), &settings);
    let caller = server.caller(Some(&admin.key));
    let path = format!("/v1/organizations/{}", admin.organization_id);
    caller.get(&path).await.ok();
    proxy.fall_silent();
    for _ in 0..6 {
        let start = Instant::now();
        let answer = caller.get(&path).await;
        assert!([503, 504].contains(&answer.status), "{answer:?}");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(server.caller(None).get("/healthz").await.status, 200);
    proxy.mend();
    eventually("recovery", async || caller.get(&path).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_ends_between_two_requests_fails_none() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let server = ServerProcess::start(&database.url(), &[]);
    let caller = server.caller(Some(&admin.key));
    let path = format!("/v1/organizations/{}", admin.organization_id);
    let connection = database.connect().await;
    let crowd = || {
        let get = |caller: Caller, path: String| async move { caller.get(&path).await };
        let many = (0..12).map(|_| get(caller.clone(), path.clone()));
        join_all(many.collect::<Vec<_>>())
    };
    for round in 0..3 {
        for answer in crowd().await {
            answer.ok();
        }
        let ended = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name = 'rollbook'";
        let ended = tests::database::text_rows(&connection, ended).await;
        assert!(!ended.is_empty());
        match round % 2 {
            0 => {
                for answer in crowd().await {
                    answer.ok();
                }
            }
            // A transaction begins on a connection that lives.
            _ => {
                let body = new_organization("after-the-end");
                caller.post("/v1/organizations", body).await.created();
            }
        }
    }
}

#[tokio::test]
async fn more_requests_than_connections_are_told_to_come_again() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let server = ServerProcess::start(&database.url(), &SMALL);
    let caller = server.caller(Some(&admin.key));
    let path = format!("/v1/organizations/{}", admin.organization_id);
    let connection = database.connect().await;
    let holder = hold(&database).await;
    let get = |caller: Caller, path: String| async move { caller.get(&path).await };
    let stuck = [
        get(caller.clone(), path.clone()),
        get(caller.clone(), path.clone()),
    ];
    let stuck = tokio::spawn(join_all(stuck));
    eventually("two that wait", async || waiting(&connection).await == 2).await;

    let start = Instant::now();
    let crowd = (0..10).map(|_| get(caller.clone(), path.clone()));
    for answer in join_all(crowd.collect::<Vec<_>>()).await {
        is_unavailable(&answer);
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(readiness(&server).await, (200, 503));
    let metrics = server.caller(None).get("/metrics").await;
    for line in [
        r#"rollbook_database_connections{pool="requests",state="used"} 2"#,
        r#"rollbook_database_connections{pool="requests",state="idle"} 0"#,
        r#"rollbook_database_connections_limit{pool="requests"} 2"#,
    ] {
        assert!(metrics.text.contains(line), "{line}: {}", metrics.text);
    }

    holder.let_go().await;
    for answer in stuck.await.unwrap() {
        answer.ok();
    }
    caller.get(&path).await.ok();
    assert_eq!(readiness(&server).await, (200, 200));
}

#[tokio::test]
async fn a_writer_that_another_program_keeps_waiting_is_told_to_come_again() {
    let database = TestDatabase::migrated(Backend::Sqlite).await;
    let admin = bootstrap(&database);
    let server = ServerProcess::start(&database.url(), &SMALL);
    let caller = server.caller(Some(&admin.key));
    let path = format!("/v1/organizations/{}", admin.organization_id);
    let connection = database.connect().await;
    let before = content(&connection).await;
    let holder = hold(&database).await;

    let start = Instant::now();
    let crowd = (0..5).map(|index| {
        let (caller, body) = (caller.clone(), new_organization(&format!("busy-{index}")));
        async move { caller.post("/v1/organizations", body).await }
    });
    let crowd = tokio::spawn(join_all(crowd.collect::<Vec<_>>()));
    // Who reads does not wait for who writes.
    for _ in 0..20 {
        caller.get(&path).await.ok();
    }
    assert_eq!(readiness(&server).await, (200, 200));
    for answer in crowd.await.unwrap() {
        is_unavailable(&answer);
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(content(&connection).await, before);

    holder.let_go().await;
    let body = new_organization("free");
    eventually("a free writer", async || {
        caller.post("/v1/organizations", body.clone()).await.status == 201
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_takes_no_effect(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let admin = bootstrap(&database);
    let settings = [("ROLLBOOK_REQUEST_TIMEOUT", "0.5")];
    let server = ServerProcess::start(&database.url(), &settings);
    let caller = server.caller(Some(&admin.key));
    let connection = database.connect().await;
    let before = content(&connection).await;
    let holder = hold(&database).await;
    let start = Instant::now();
    let answer = caller
        .post("/v1/organizations", new_organization("slow"))
        .await;
    answer.is_problem(504, "timeout");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    if backend == Backend::Postgres {
        // While what it waited for is still held: it is not the lock that ends it.
        eventually("an end of the statement", async || {
            waiting(&connection).await == 0
        })
        .await;
    }
    holder.let_go().await;
    // What was given up is rolled back by the time that another is done.
    let body = new_organization("next");
    eventually("a next one", async || {
        caller.post("/v1/organizations", body.clone()).await.status == 201
    })
    .await;
    let path = "/v1/organizations/by-slug/slow";
    caller.get(path).await.is_problem(404, "not-found");
    assert_eq!(content(&connection).await.len(), before.len() + 4);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_told_as_such_and_takes_no_effect() {
    let database = TestDatabase::migrated(Backend::Postgres).await;
    let admin = bootstrap(&database);
    let settings = [("ROLLBOOK_DATABASE_STATEMENT_TIMEOUT", "0.5")];
    let server = ServerProcess::start(&database.url(), &settings);
    let caller = server.caller(Some(&admin.key));
    let connection = database.connect().await;
    let before = content(&connection).await;
    let holder = hold(&database).await;
    let body = new_organization("slow");
    let answer = caller.post("/v1/organizations", body.clone()).await;
    answer.is_problem(504, "timeout");
    assert!(!answer.text.contains("statement"), "{answer:?}");
    let why = "canceling statement due to statement timeout";
    eventually("a line in the log", async || server.log().contains(why)).await;
    holder.let_go().await;
    assert_eq!(content(&connection).await.len(), before.len());
    caller.post("/v1/organizations", body).await.created();
}
