//! The log of the real server: one line per request that says what it was, and no secret at any level.

mod secrets;

use std::collections::BTreeSet;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Backend, Caller, RawRequest, ServerProcess, TestDatabase, bootstrap, eventually, id_of,
};
use uuid::Uuid;

const INFO: [(&str, &str); 2] = [("ROLLBOOK_LOG", "info"), ("ROLLBOOK_LOG_FORMAT", "json")];

/// A server that logs JSON, and who asks it.
struct Logged {
    server: ServerProcess,
    database: TestDatabase,
    admin: Caller,
    admin_id: Uuid,
    organization: Uuid,
}

impl Logged {
    fn start(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let made = bootstrap(&database);
        let server = ServerProcess::start(&database.url(), settings);
        Self {
            admin: server.caller(Some(&made.key)),
            admin_id: made.user_id,
            organization: made.organization_id,
            server,
            database,
        }
    }

    /// Every line so far, by the time that the line of this request is there.
    async fn lines_up_to(&self, last: &str) -> Vec<Value> {
        let needle = format!("\"request_id\":\"{last}\"");
        eventually(last, async || {
            let log = self.server.log();
            log.lines()
                .any(|line| line.contains(&needle) && line.contains("\"duration_ms\""))
        })
        .await;
        let log = self.server.log();
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
            })
            .collect()
    }
}

fn requests(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect()
}

/// A request, and what its line says.
struct Case {
    method: &'static str,
    path: String,
    body: Option<Value>,
    route: &'static str,
    status: u16,
    is_known: bool,
    organization: Option<Uuid>,
}

impl Case {
    fn get(path: impl Into<String>, route: &'static str, status: u16) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            body: None,
            route,
            status,
            is_known: true,
            organization: None,
        }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(self, body: Value) -> Self {
        let body = Some(body);
        Self { body, ..self }
    }

    fn about(self, id: Uuid) -> Self {
        let organization = Some(id);
        Self {
            organization,
            ..self
        }
    }

    fn without_key(self) -> Self {
        Self {
            is_known: false,
            ..self
        }
    }
}

async fn cases(logged: &Logged) -> Vec<Case> {
    let (admin, id) = (&logged.admin, logged.organization);
    let first = async |list: &str| id_of(&admin.get(list).await.ok()["data"][0]);
    let membership = format!("/v1/memberships/{}", first("/v1/memberships").await);
    let event = first("/v1/events?event_type=ORGANIZATION.*").await;
    let user = format!("/v1/users/{}", logged.admin_id);
    let organization = format!("/v1/organizations/{id}");
    let list = |list: &str| format!("/v1/{list}?organization_id={id}");
    let invitation = json!({"organization_id": id, "email": "a@example.com"});
    let key = json!({"organization_id": id, "name": "key", "scopes": ["*"]});
    let one = "/v1/organizations/{id}";
    let all = "/v1/organizations";
    let by_slug = "/v1/organizations/by-slug/{slug}";
    let missing = format!("/v1/organizations/{}", Uuid::nil());
    vec![
        Case::get(&organization, one, 200).about(id),
        Case::get(&organization, one, 200).by("HEAD").about(id),
        Case::get("/v1/organizations/by-slug/example-com", by_slug, 200).about(id),
        Case::get(&organization, one, 200)
            .by("PATCH")
            .with(json!({"name": "x"}))
            .about(id),
        Case::get(&organization, one, 422)
            .by("PATCH")
            .with(json!({"name": 1})),
        Case::get(missing, one, 404),
        Case::get(membership, "/v1/memberships/{id}", 200).about(id),
        Case::get(list("memberships"), "/v1/memberships", 200).about(id),
        Case::get(list("users"), "/v1/users", 200).about(id),
        Case::get(list("api-keys"), "/v1/api-keys", 200).about(id),
        Case::get(list("events"), "/v1/events", 200).about(id),
        Case::get(format!("/v1/events/{event}"), "/v1/events/{id}", 200).about(id),
        Case::get("/v1/memberships", "/v1/memberships", 201)
            .by("POST")
            .with(invitation)
            .about(id),
        Case::get("/v1/api-keys", "/v1/api-keys", 201)
            .by("POST")
            .with(key)
            .about(id),
        Case::get(&user, "/v1/users/{id}", 200),
        Case::get("/v1/organizations?colour=red", all, 400),
        Case::get("/v1/organizations", all, 405).by("PUT"),
        Case::get("/v1/nowhere/hunter2", "unmatched", 404),
        Case::get(&user, "/v1/users/{id}", 401).without_key(),
        Case::get("/hunter2", "unmatched", 404).without_key(),
        Case::get("/healthz", "/healthz", 200).without_key(),
        Case::get("/metrics", "/metrics", 200).without_key(),
    ]
}

#[rstest]
#[tokio::test]
async fn each_request_has_one_line_that_says_what_it_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let logged = Logged::start(TestDatabase::migrated(backend).await, &INFO);
    let nobody = logged.server.caller(None);
    let cases = cases(&logged).await;
    for (index, case) in cases.iter().enumerate() {
        let caller = if case.is_known {
            &logged.admin
        } else {
            &nobody
        };
        let method = Method::from_bytes(case.method.as_bytes()).unwrap();
        let id = format!("case-{index}");
        let headers = [("X-Request-Id", id.as_str())];
        let answer = caller.send(method, &case.path, case.body.clone(), &headers);
        answer.await.expect(case.status);
    }
    let lines = logged
        .lines_up_to(&format!("case-{}", cases.len() - 1))
        .await;
    let lines = requests(&lines);
    let ids: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["request_id"].as_str())
        .collect();
    assert_eq!(ids.len(), lines.len(), "each request has one line");
    for (index, case) in cases.iter().enumerate() {
        let id = format!("case-{index}");
        let line = lines.iter().find(|line| line["request_id"] == id).unwrap();
        says(line, case, &logged.admin_id.to_string());
    }
    assert!(
        !logged.server.log().contains("hunter2"),
        "a path is not logged"
    );
}

fn says(line: &Value, case: &Case, actor: &str) {
    let told = |name: &str| line.get(name).and_then(Value::as_str);
    assert_eq!(told("method"), Some(case.method), "{line}");
    assert_eq!(told("route"), Some(case.route), "{line}");
    assert_eq!(line["status"], case.status, "{line}");
    assert!(
        line["duration_ms"].as_f64().is_some_and(|time| time > 0.0),
        "{line}"
    );
    assert_eq!(told("level"), Some("INFO"), "{line}");
    assert!(told("timestamp").is_some(), "{line}");
    assert_eq!(told("actor"), case.is_known.then_some(actor), "{line}");
    let organization = case.organization.map(|id| id.to_string());
    assert_eq!(told("organization"), organization.as_deref(), "{line}");
}

#[rstest]
#[tokio::test]
async fn a_request_that_is_given_up_is_told_like_any_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let settings = [INFO[0], INFO[1], ("ROLLBOOK_REQUEST_TIMEOUT", "0.5")];
    let logged = Logged::start(TestDatabase::migrated(backend).await, &settings);
    let mut slow = RawRequest::new(&logged.server.url, "POST", "/v1/organizations")
        .key(logged.admin.key())
        .header("Content-Type", "application/json")
        .header("X-Request-Id", "slow")
        .header("Content-Length", "100")
        .open()
        .await;
    slow.write(b"{").await;
    slow.finish().await.is_problem(504, "timeout");
    let lines = logged.lines_up_to("slow").await;
    let [line] = requests(&lines)[..] else {
        panic!("one line: {lines:?}");
    };
    assert_eq!(line["status"], 504);
    assert_eq!(line["route"], "/v1/organizations");
    assert_eq!(line["actor"], logged.admin_id.to_string());
    let metrics = logged
        .server
        .caller(None)
        .get("/metrics")
        .await
        .expect(200)
        .text
        .clone();
    let counted = r#"{method="POST",route="/v1/organizations",status="504"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

/// Anybody could fill the log with what is no fault of the server; who looks for it can see it.
#[rstest]
#[case::unasked("info", false)]
#[case::asked_for("info,actix_http::h1::dispatcher=error", true)]
#[tokio::test]
async fn what_is_no_http_is_refused_and_not_logged(#[case] filter: &str, #[case] is_logged: bool) {
    // One worker: it logs after its answer has left, and with two the next request could be over before that.
    let settings = [("ROLLBOOK_LOG", filter), INFO[1], ("ROLLBOOK_WORKERS", "1")];
    let logged = Logged::start(TestDatabase::migrated(Backend::Sqlite).await, &settings);
    let bad = RawRequest::new(&logged.server.url, "GET", "/healthz").header("Bad\u{1}Name", "x");
    bad.send().await.expect(400);
    let after =
        RawRequest::new(&logged.server.url, "GET", "/healthz").header("X-Request-Id", "after");
    after.send().await.expect(200);
    logged.lines_up_to("after").await;
    let has_error = || logged.server.log().contains("\"ERROR\"");
    match is_logged {
        true => eventually("the line of what is no HTTP", async || has_error()).await,
        false => assert!(!has_error(), "{}", logged.server.log()),
    }
}
