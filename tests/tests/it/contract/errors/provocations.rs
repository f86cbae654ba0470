//! Requests that are answered with a problem: for each kind one at least.

use std::pin::Pin;
use std::time::Duration;

use api::app_settings::ServeSettings;
use reqwest::Method;
use serde_json::{Value, json};
use tests::database::execute;
use tests::{Answer, Backend, Caller, RawRequest, Stage, TestApp, unique};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

pub type Table = fn() -> Vec<Provocation>;

/// A request, and the problem that it must meet.
pub struct Provocation {
    pub status: u16,
    pub slug: &'static str,
    /// What its list of errors points at.
    pub pointers: &'static [&'static str],
    pub provoke: Provoke,
}

type Provoke = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

fn row(
    status: u16,
    slug: &'static str,
    pointers: &'static [&'static str],
    provoke: Provoke,
) -> Provocation {
    Provocation {
        status,
        slug,
        pointers,
        provoke,
    }
}

const ORGANIZATIONS: &str = "/v1/organizations";

/// Requests that are not as they should be.
pub fn faulty_requests() -> Vec<Provocation> {
    vec![
        row(400, "malformed-request", &[], |stage| {
            Box::pin(RawRequest::new(&stage.app.url, "GET", "/v1/organi zations").send())
        }),
        row(431, "head-too-large", &[], |stage| {
            let request = RawRequest::new(&stage.app.url, "GET", ORGANIZATIONS);
            Box::pin(request.header("X-Long", [b'x'; 200_000]).send())
        }),
        row(400, "malformed-json", &[], |stage| {
            Box::pin(posts(stage, "application/json", "{\"name\": "))
        }),
        row(400, "bad-parameter", &["/limit", "/colour"], |stage| {
            Box::pin(gets(stage, "/v1/organizations?limit=0&colour=red"))
        }),
        row(400, "bad-cursor", &[], |stage| {
            Box::pin(gets(stage, "/v1/organizations?cursor=WyJ1c2VycyJd"))
        }),
        row(404, "not-found", &[], |stage| {
            Box::pin(gets(stage, "/v1/no-such-collection"))
        }),
        row(405, "method-not-allowed", &[], |stage| {
            Box::pin(stage.owner.send(Method::PUT, ORGANIZATIONS, None, &[]))
        }),
        row(413, "body-too-large", &[], |stage| {
            let body = "x".repeat(1_048_577);
            Box::pin(async move { posts(stage, "application/json", &body).await })
        }),
        row(415, "unsupported-media-type", &[], |stage| {
            Box::pin(posts(stage, "text/plain", "{}"))
        }),
        row(
            422,
            "invalid",
            &["/name", "/slug", "/email", "/settings", "/colour"],
            |stage| {
                let body = json!({"name": 1, "slug": "No Slug", "email": "nobody", "settings": [], "colour": "red"});
                Box::pin(stage.owner.post(ORGANIZATIONS, body))
            },
        ),
        row(422, "idempotency-mismatch", &[], |stage| {
            Box::pin(async {
                creates(&stage.owner, "the-same").await.created();
                creates(&stage.owner, "the-same").await
            })
        }),
    ]
}

/// Requests that are refused for who sends them, or for what is there.
pub fn refusals() -> Vec<Provocation> {
    vec![
        row(401, "unauthenticated", &[], |stage| {
            Box::pin(async { stage.app.with_key("rbk_typo").get("/v1/users").await })
        }),
        row(403, "forbidden", &[], |stage| {
            Box::pin(async {
                let member = stage.app.member(stage.organization, "member").await;
                let path = format!("{ORGANIZATIONS}/{}", stage.organization);
                member.patch(&path, json!({"name": "Mine"})).await
            })
        }),
        row(403, "insufficient-scope", &[], |stage| {
            Box::pin(async {
                let scopes = json!({"scopes": ["users:read"]});
                let reader = stage.app.key_for(stage.owner.user_id(), scopes).await;
                reader.get(ORGANIZATIONS).await
            })
        }),
        row(404, "not-found", &["/organization_id"], |stage| {
            let body = json!({"organization_id": Uuid::now_v7(), "email": "ada@example.com"});
            Box::pin(stage.owner.post("/v1/memberships", body))
        }),
        row(409, "already-exists", &["/slug"], |stage| {
            Box::pin(twice(
                &stage.owner,
                ORGANIZATIONS,
                json!({"name": "Twice", "slug": "twice"}),
            ))
        }),
        row(409, "already-exists", &["/email"], |stage| {
            let body = json!({"email": "twice@example.com"});
            Box::pin(twice(&stage.app.system_admin, "/v1/users", body))
        }),
        row(409, "already-exists", &["/username"], |stage| {
            Box::pin(async {
                let (admin, body) = (
                    &stage.app.system_admin,
                    |email: &str| json!({"email": email, "username": "twice"}),
                );
                admin
                    .post("/v1/users", body("one@example.com"))
                    .await
                    .created();
                admin.post("/v1/users", body("two@example.com")).await
            })
        }),
        row(409, "already-exists", &["/user_id"], |stage| {
            let body = json!({"organization_id": stage.organization, "email": "twice@example.org"});
            Box::pin(twice(&stage.owner, "/v1/memberships", body))
        }),
        row(409, "last-owner", &[], |stage| {
            Box::pin(async {
                let path = format!(
                    "/v1/memberships?organization_id={}&role=owner",
                    stage.organization
                );
                let own = tests::id_of(&stage.owner.get(&path).await.ok()["data"][0]);
                stage.owner.delete(&format!("/v1/memberships/{own}")).await
            })
        }),
        row(409, "state-conflict", &[], |stage| {
            Box::pin(async {
                let invitation = stage.membership(json!({})).await;
                let path = format!("/v1/memberships/{invitation}");
                stage
                    .owner
                    .patch(&path, json!({"status": "suspended"}))
                    .await
            })
        }),
        row(412, "version-conflict", &[], |stage| {
            Box::pin(async {
                let path = format!("{ORGANIZATIONS}/{}", stage.organization);
                let stale = [("If-Match", "\"7\"")];
                stage.owner.send(Method::DELETE, &path, None, &stale).await
            })
        }),
    ]
}

/// Requests that take too long, or that the server cannot serve.
pub fn held_up_requests() -> Vec<Provocation> {
    vec![
        row(408, "request-timeout", &[], |stage| {
            Box::pin(breaks_off(stage.app.database.backend()))
        }),
        row(409, "idempotency-in-progress", &[], |stage| {
            Box::pin(async { first_of_two_held_up(stage, Some("the-same")).await })
        }),
        row(500, "internal", &[], |stage| {
            Box::pin(async {
                stage.app.probe.watch_and_fail_at(0);
                let answer = stage.owner.get(ORGANIZATIONS).await;
                stage.app.probe.steps();
                assert!(!answer.text.contains("injected"), "{answer:?}");
                answer
            })
        }),
        row(503, "unavailable", &[], |stage| {
            Box::pin(async {
                let backend = stage.app.database.backend();
                let settings = ServeSettings {
                    workers: 1,
                    ..ServeSettings::default()
                };
                let app = TestApp::start_with_pool(backend, settings, 1).await;
                first_of_two_held_up(&Stage::set_in(app).await, None).await
            })
        }),
        row(504, "timeout", &[], |stage| {
            Box::pin(async {
                let settings = ServeSettings {
                    workers: 1,
                    request_timeout: Duration::from_secs(1),
                    ..ServeSettings::default()
                };
                let backend = stage.app.database.backend();
                let app = TestApp::start_with(backend, settings).await;
                let stage = Stage::set_in(app).await;
                hold_up_writers(&stage).await;
                let answer = creates(&stage.owner, "any").await;
                let_writers_go(&stage).await;
                answer
            })
        }),
    ]
}

async fn gets(stage: &Stage, path: &str) -> Answer {
    stage.owner.get(path).await
}

async fn posts(stage: &Stage, media_type: &str, body: &str) -> Answer {
    let request = stage.owner.request(Method::POST, ORGANIZATIONS);
    let request = request.header("Content-Type", media_type);
    Answer::read(request.body(body.to_owned())).await
}

async fn twice(caller: &Caller, path: &str, body: Value) -> Answer {
    caller.post(path, body.clone()).await.created();
    caller.post(path, body).await
}

/// Another organization each time.
async fn creates(caller: &Caller, idempotency_key: &str) -> Answer {
    let body = json!({"name": "New", "slug": unique()});
    let headers = [("Idempotency-Key", idempotency_key)];
    caller
        .send(Method::POST, ORGANIZATIONS, Some(body), &headers)
        .await
}

/// Two requests at once while nobody can write; the answer of the one that does not get to wait.
async fn first_of_two_held_up(stage: &Stage, idempotency_key: Option<&str>) -> Answer {
    hold_up_writers(stage).await;
    let mut requests = JoinSet::new();
    for _ in 0..2 {
        let caller = stage.owner.clone();
        let key = idempotency_key.map_or_else(unique, str::to_owned);
        requests.spawn(async move { creates(&caller, &key).await });
    }
    let first = requests.join_next().await.expect("two").expect("an answer");
    let_writers_go(stage).await;
    let second = requests.join_next().await.expect("two").expect("an answer");
    assert!(second.status == 201 || second.status == 503, "{second:?}");
    first
}

async fn hold_up_writers(stage: &Stage) {
    let lock = match stage.app.database.backend() {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN; LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE",
    };
    execute(&stage.connection, lock).await.expect("the lock");
}

async fn let_writers_go(stage: &Stage) {
    execute(&stage.connection, "ROLLBACK")
        .await
        .expect("no lock");
}

/// Announces a body and sends only its beginning.
async fn breaks_off(backend: Backend) -> Answer {
    let settings = ServeSettings {
        workers: 1,
        body_timeout: Duration::from_secs(1),
        ..ServeSettings::default()
    };
    let app = TestApp::start_with(backend, settings).await;
    let address = app.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST {ORGANIZATIONS} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{\"name\":",
        app.system_admin.key()
    );
    stream.write_all(head.as_bytes()).await.expect("to send");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    Answer::parse(&text)
}
