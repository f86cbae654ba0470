//! The server is killed, or told to stop, while it works: what it acknowledged is there, with its event, and nothing is
//! there by half.

use std::time::Duration;

use rstest::rstest;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tests::database::text_rows;
use tests::{
    Answer, Backend, Caller, RawRequest, ServerProcess, TestDatabase, bootstrap, eventually, id_of,
};
use tokio::task::JoinSet;
use uuid::Uuid;

const CLIENTS: usize = 6;
const ROUNDS: usize = 5;

/// What one client did with one organization: it knows what was acknowledged, and what it asked for last.
struct Story {
    slug: String,
    /// The organization, once its making was acknowledged.
    id: Option<Uuid>,
    /// The names in the order in which they were asked for; the first `acknowledged` of them were.
    names: Vec<String>,
    acknowledged: usize,
}

impl Story {
    fn begin() -> Self {
        let slug = Uuid::now_v7().simple().to_string();
        Self {
            names: vec![format!("{slug} 1")],
            slug,
            id: None,
            acknowledged: 0,
        }
    }

    /// The request that makes the organization; a repeat of it takes effect once.
    async fn create(&self, caller: &Caller) -> Option<Answer> {
        let body = json!({"name": self.names[0], "slug": self.slug, "metadata": {"padding": "x".repeat(2000)}});
        let request = caller
            .request(reqwest::Method::POST, "/v1/organizations")
            .header("Idempotency-Key", &self.slug)
            .json(&body);
        Answer::try_read(request).await.ok()
    }

    async fn rename(&mut self, caller: &Caller, id: Uuid) -> Option<Answer> {
        let name = format!("{} {}", self.slug, self.names.len() + 1);
        self.names.push(name.clone());
        let request = caller
            .request(reqwest::Method::PATCH, &format!("/v1/organizations/{id}"))
            .json(&json!({"name": name}));
        Answer::try_read(request).await.ok()
    }

    /// Makes an organization and renames it, until the server is gone.
    async fn live(mut self, caller: Caller) -> Self {
        let Some(answer) = self.create(&caller).await else {
            return self;
        };
        let id = id_of(&answer.created());
        (self.id, self.acknowledged) = (Some(id), 1);
        while self.names.len() < 8 {
            let Some(answer) = self.rename(&caller, id).await else {
                return self;
            };
            answer.ok();
            self.acknowledged += 1;
        }
        self
    }

    /// What was acknowledged is there, and at most the one request more that was in flight.
    async fn is_true(&mut self, caller: &Caller) {
        if self.id.is_none() {
            let answer = self.create(caller).await.expect("a server that answers");
            self.id = Some(id_of(&answer.created()));
        }
        let id = self.id.expect("an organization");
        let organization = caller.get(&format!("/v1/organizations/{id}")).await.ok();
        let version = organization["version"].as_u64().unwrap() as usize;
        let possible = self.acknowledged..=self.names.len();
        assert!(
            possible.contains(&version),
            "{version} is not in {possible:?}"
        );
        assert_eq!(organization["name"], self.names[version - 1]);
        let path = format!("/v1/events?aggregate_id={id}&order=asc&limit=200");
        let events = caller.get(&path).await.ok();
        let names: Vec<&Value> = (events["data"].as_array().unwrap().iter())
            .map(|event| &event["data"]["new"]["name"])
            .collect();
        assert_eq!(names, self.names[..version].iter().collect::<Vec<_>>());
    }
}

/// One client after another organization, until the server is gone; all that it did.
async fn storm(caller: Caller) -> Vec<Story> {
    let mut stories = Vec::new();
    loop {
        let story = Story::begin().live(caller.clone()).await;
        let over = story.acknowledged < story.names.len() || story.id.is_none();
        stories.push(story);
        if over {
            return stories;
        }
    }
}

/// Between 0.1 and 0.9 seconds: there is no moment to hope for, each will do.
fn a_moment() -> Duration {
    let random = Uuid::now_v7().as_u128() % 800;
    Duration::from_millis(100 + random as u64)
}

/// Every row is at the version of its last event, its events count from 1 without a hole, and none is without its row.
async fn is_whole(connection: &DatabaseConnection) {
    for (table, aggregate) in tests::tables::audited() {
        let broken = format!(
            "SELECT 'row' FROM {table} AS t WHERE t.version <> (SELECT count(*) FROM events AS e WHERE e.aggregate_id = t.id)
                OR t.version <> (SELECT max(e.aggregate_version) FROM events AS e WHERE e.aggregate_id = t.id)
             UNION ALL SELECT 'event' FROM events AS e WHERE e.aggregate_type = '{aggregate}'
                AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.id = e.aggregate_id)"
        );
        let broken = text_rows(connection, &broken).await;
        assert_eq!(broken, Vec::<String>::new(), "{table}");
    }
    let ownerless = "SELECT o.slug FROM organizations AS o WHERE NOT EXISTS
        (SELECT 1 FROM memberships AS m WHERE m.organization_id = o.id AND m.role = 'owner')";
    assert_eq!(text_rows(connection, ownerless).await, Vec::<String>::new());
    let written_by_triggers = "SELECT event_type FROM events WHERE source = 'database'";
    assert_eq!(
        text_rows(connection, written_by_triggers).await,
        Vec::<String>::new()
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let admin = bootstrap(&database);
    let connection = database.connect().await;
    let (mut acknowledged, mut in_flight) = (0, 0);
    let mut server = ServerProcess::start(&database.url(), &[]);
    for _ in 0..ROUNDS {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(storm(server.caller(Some(&admin.key))));
        }
        tokio::time::sleep(a_moment()).await;
        server.kill();
        let stories = clients.join_all().await.into_iter().flatten();
        server = ServerProcess::start(&database.url(), &[]);
        is_whole(&connection).await;
        let caller = server.caller(Some(&admin.key));
        for mut story in stories {
            acknowledged += story.acknowledged;
            in_flight += story.names.len() - story.acknowledged;
            story.is_true(&caller).await;
        }
        is_whole(&connection).await;
    }
    assert!(acknowledged > ROUNDS, "{acknowledged} changes are no storm");
    assert!(in_flight > 0, "no request was in flight at any kill");
}

#[rstest]
#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_what_is_in_flight(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let admin = bootstrap(&database);
    let mut server = ServerProcess::start(&database.url(), &[]);
    // A connection that idles, as browsers and clients keep them.
    let idle = server.caller(Some(&admin.key));
    idle.get("/v1/organizations").await.ok();
    let body = |index: usize| {
        json!({"name": "In flight", "slug": format!("in-flight-{index}")}).to_string()
    };
    let mut requests = Vec::new();
    for index in 0..CLIENTS {
        let mut request = RawRequest::new(&server.url, "POST", "/v1/organizations")
            .key(&admin.key)
            .header("Content-Type", "application/json")
            .header("Content-Length", body(index).len().to_string())
            .header("Expect", "100-continue")
            .open()
            .await;
        // The server has the request, and waits for its body.
        assert_eq!(request.line().await, "HTTP/1.1 100 Continue");
        assert_eq!(request.line().await, "");
        requests.push(request);
    }
    server.terminate();
    eventually("no new connections", async || !server.is_listening()).await;
    for (index, mut request) in requests.into_iter().enumerate() {
        request.write(body(index).as_bytes()).await;
        request.finish().await.created();
    }
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());

    let server = ServerProcess::start(&database.url(), &[]);
    let caller = server.caller(Some(&admin.key));
    for index in 0..CLIENTS {
        let path = format!("/v1/organizations/by-slug/in-flight-{index}");
        caller.get(&path).await.ok();
    }
    is_whole(&database.connect().await).await;
}

#[rstest]
#[tokio::test]
async fn a_server_that_is_told_to_stop_does_not_wait_for_ever(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let admin = bootstrap(&database);
    let settings = [("ROLLBOOK_SHUTDOWN_TIMEOUT", "1")];
    let mut server = ServerProcess::start(&database.url(), &settings);
    let mut stuck = RawRequest::new(&server.url, "POST", "/v1/organizations")
        .key(&admin.key)
        .header("Content-Type", "application/json")
        .header("Content-Length", "1000")
        .header("Expect", "100-continue")
        .open()
        .await;
    assert_eq!(stuck.line().await, "HTTP/1.1 100 Continue");
    let start = std::time::Instant::now();
    server.terminate();
    let status = server.ended().await;
    assert_eq!(status.code(), Some(5), "{}", server.log());
    let told = "the shutdown timeout of 1 s was over before 1 of the requests were answered";
    assert!(server.log().contains(told), "{}", server.log());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

/// A connection that a client keeps for later is no request.
#[rstest]
#[tokio::test]
async fn a_server_that_has_answered_all_in_time_has_not_failed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let settings = [("ROLLBOOK_SHUTDOWN_TIMEOUT", "0.2")];
    let mut server = ServerProcess::start(&database.url(), &settings);
    let idle = server.caller(None);
    idle.get("/healthz").await.ok();
    server.terminate();
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    drop(idle);
}
