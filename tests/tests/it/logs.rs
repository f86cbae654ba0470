//! The log of the real server: one line per request that says what it was, and no secret at any level.

use std::collections::BTreeMap;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::database::text_rows;
use tests::{
    Answer, Backend, Caller, RawRequest, ServerProcess, TestDatabase, bootstrap, eventually, id_of,
};
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery staple";
const NEXT_PASSWORD: &str = "wrong donkey fuel cell clip";

/// A server that logs JSON, and who asks it.
struct Logged {
    server: ServerProcess,
    database: TestDatabase,
    admin: Caller,
    admin_id: Uuid,
    organization: Uuid,
}

impl Logged {
    fn start(database: TestDatabase, level: &str) -> Self {
        let made = bootstrap(&database);
        let settings = [("ROLLBOOK_LOG", level), ("ROLLBOOK_LOG_FORMAT", "json")];
        let server = ServerProcess::start(&database.url(), &settings);
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

    async fn send(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: Option<Value>,
        id: &str,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        caller
            .send(method, path, body, &[("X-Request-Id", id)])
            .await
    }
}

fn requests(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect()
}

/// Method, path, body, route, status, whether someone acted, and the organization that it was about.
type Case = (
    &'static str,
    String,
    Option<Value>,
    &'static str,
    u16,
    bool,
    Option<Uuid>,
);

#[rstest]
#[tokio::test]
async fn each_request_has_one_line_that_says_what_it_was(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let logged = Logged::start(TestDatabase::migrated(backend).await, "info");
    let (admin, organization, admin_id) = (&logged.admin, logged.organization, logged.admin_id);
    let nobody = logged.server.caller(None);
    let membership = id_of(&admin.get("/v1/memberships").await.ok()["data"][0]);
    let event = id_of(
        &admin
            .get("/v1/events?limit=1&event_type=ORGANIZATION.*")
            .await
            .ok()["data"][0],
    );
    let one = |collection: &str, id: Uuid| format!("/v1/{collection}/{id}");
    let about = Some(organization);
    // Method, path, body, route, status, who, about which organization.
    let cases: Vec<Case> = vec![
        (
            "GET",
            one("organizations", organization),
            None,
            "/v1/organizations/{id}",
            200,
            true,
            about,
        ),
        (
            "HEAD",
            one("organizations", organization),
            None,
            "/v1/organizations/{id}",
            200,
            true,
            about,
        ),
        (
            "GET",
            "/v1/organizations/by-slug/example-com".to_owned(),
            None,
            "/v1/organizations/by-slug/{slug}",
            200,
            true,
            about,
        ),
        (
            "GET",
            one("organizations", admin_id),
            None,
            "/v1/organizations/{id}",
            404,
            true,
            None,
        ),
        (
            "PATCH",
            one("organizations", organization),
            Some(json!({"name": "Renamed"})),
            "/v1/organizations/{id}",
            200,
            true,
            about,
        ),
        (
            "PATCH",
            one("organizations", organization),
            Some(json!({"name": 1})),
            "/v1/organizations/{id}",
            422,
            true,
            None,
        ),
        (
            "GET",
            one("memberships", membership),
            None,
            "/v1/memberships/{id}",
            200,
            true,
            about,
        ),
        (
            "GET",
            format!("/v1/memberships?organization_id={organization}"),
            None,
            "/v1/memberships",
            200,
            true,
            about,
        ),
        (
            "GET",
            format!("/v1/users?organization_id={organization}&q=a"),
            None,
            "/v1/users",
            200,
            true,
            about,
        ),
        (
            "GET",
            format!("/v1/api-keys?organization_id={organization}"),
            None,
            "/v1/api-keys",
            200,
            true,
            about,
        ),
        (
            "GET",
            format!("/v1/events?organization_id={organization}"),
            None,
            "/v1/events",
            200,
            true,
            about,
        ),
        (
            "GET",
            one("events", event),
            None,
            "/v1/events/{id}",
            200,
            true,
            about,
        ),
        (
            "POST",
            "/v1/memberships".to_owned(),
            Some(json!({"organization_id": organization, "email": "a@example.com"})),
            "/v1/memberships",
            201,
            true,
            about,
        ),
        (
            "POST",
            "/v1/api-keys".to_owned(),
            Some(json!({"organization_id": organization, "name": "k", "scopes": ["*"]})),
            "/v1/api-keys",
            201,
            true,
            about,
        ),
        (
            "GET",
            one("users", admin_id),
            None,
            "/v1/users/{id}",
            200,
            true,
            None,
        ),
        (
            "GET",
            "/v1/organizations?colour=red".to_owned(),
            None,
            "/v1/organizations",
            400,
            true,
            None,
        ),
        (
            "PUT",
            "/v1/organizations".to_owned(),
            None,
            "/v1/organizations",
            405,
            true,
            None,
        ),
        (
            "GET",
            "/v1/nowhere/hunter2".to_owned(),
            None,
            "unmatched",
            404,
            true,
            None,
        ),
        (
            "GET",
            one("users", admin_id),
            None,
            "/v1/users/{id}",
            401,
            false,
            None,
        ),
        (
            "GET",
            "/hunter2".to_owned(),
            None,
            "unmatched",
            404,
            false,
            None,
        ),
        (
            "GET",
            "/healthz".to_owned(),
            None,
            "/healthz",
            200,
            false,
            None,
        ),
        (
            "GET",
            "/metrics".to_owned(),
            None,
            "/metrics",
            200,
            false,
            None,
        ),
    ];
    for (index, (method, path, body, _, status, known, _)) in cases.iter().enumerate() {
        let caller = if *known { admin } else { &nobody };
        let answer = logged
            .send(caller, method, path, body.clone(), &format!("case-{index}"))
            .await;
        answer.expect(*status);
    }
    let lines = logged
        .lines_up_to(&format!("case-{}", cases.len() - 1))
        .await;
    let mut by_id: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in requests(&lines) {
        by_id
            .entry(line["request_id"].as_str().unwrap())
            .or_default()
            .push(line);
    }
    assert!(by_id.values().all(|lines| lines.len() == 1), "{by_id:?}");
    for (index, (method, path, _, route, status, known, organization)) in cases.iter().enumerate() {
        let line = by_id[&*format!("case-{index}")][0];
        let told = |name: &str| line.get(name).and_then(Value::as_str);
        assert_eq!(told("method"), Some(*method), "{path}");
        assert_eq!(told("route"), Some(*route), "{method} {path}");
        assert_eq!(line["status"], *status, "{method} {path}");
        assert!(
            line["duration_ms"]
                .as_f64()
                .is_some_and(|duration| duration > 0.0),
            "{line}"
        );
        assert_eq!(told("level"), Some("INFO"));
        assert!(told("timestamp").is_some(), "{line}");
        let actor = known.then(|| admin_id.to_string());
        assert_eq!(told("actor"), actor.as_deref(), "{method} {path}");
        let organization = organization.map(|id| id.to_string());
        assert_eq!(
            told("organization"),
            organization.as_deref(),
            "{method} {path}"
        );
    }
    assert!(
        !logged.server.log().contains("hunter2"),
        "a path is not logged"
    );
}

#[rstest]
#[tokio::test]
async fn a_request_that_is_given_up_is_told_like_any_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let made = bootstrap(&database);
    let settings = [
        ("ROLLBOOK_REQUEST_TIMEOUT", "0.5"),
        ("ROLLBOOK_LOG_FORMAT", "json"),
    ];
    let server = ServerProcess::start(&database.url(), &settings);
    let logged = Logged {
        admin: server.caller(Some(&made.key)),
        admin_id: made.user_id,
        organization: made.organization_id,
        server,
        database,
    };
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

/// Uses every secret there is, in good requests and in bad ones; the secrets.
async fn use_every_secret(logged: &Logged) -> Vec<String> {
    let admin = &logged.admin;
    let user = json!({"email": "ada@example.com", "password": PASSWORD});
    let user = id_of(&admin.post("/v1/users", user).await.created());
    let key = json!({"user_id": user, "name": "key", "scopes": ["*"]});
    let repeat = [("Idempotency-Key", "an-idempotency-key-that-encrypts")];
    let mut keys = Vec::new();
    for _ in 0..2 {
        let answer = admin
            .send(Method::POST, "/v1/api-keys", Some(key.clone()), &repeat)
            .await;
        keys.push(answer.created()["key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys[0], keys[1]);
    let own = format!("/v1/users/{user}");
    let ada = logged.server.caller(Some(&keys[0]));
    let wrong = json!({"password": NEXT_PASSWORD, "current_password": NEXT_PASSWORD});
    ada.patch(&own, wrong).await.expect(422);
    let right = json!({"password": NEXT_PASSWORD, "current_password": PASSWORD});
    ada.patch(&own, right).await.ok();
    let short = json!({"password": "hunter2", "email": 1});
    admin.post("/v1/users", short).await.expect(422);
    let stray = format!("{{\"password\": \"{PASSWORD}\", \"email\": \"x");
    let malformed = RawRequest::new(&logged.server.url, "POST", "/v1/users").key(admin.key());
    let malformed = malformed.header("Content-Type", "application/json");
    malformed.send_body(stray).await.expect(400);
    // Keys where they do not belong: mistyped, in the query, as a name.
    let cut = &keys[0][..keys[0].len() - 1];
    logged.server.caller(Some(cut)).get(&own).await.expect(401);
    let nobody = logged.server.caller(None);
    nobody
        .get(&format!("/v1/users?key={}", keys[0]))
        .await
        .expect(401);
    admin
        .get(&format!("/v1/users?key={}", keys[0]))
        .await
        .expect(400);
    nobody
        .send(Method::GET, &own, None, &[("X-Api-Key", &keys[0])])
        .await
        .ok();
    // A value that the database refuses.
    let again = json!({"email": "ada@example.com", "password": PASSWORD});
    admin.post("/v1/users", again).await.expect(409);

    let connection = logged.database.connect().await;
    let mut secrets = vec![
        PASSWORD.to_owned(),
        NEXT_PASSWORD.to_owned(),
        "hunter2".to_owned(),
        repeat[0].1.to_owned(),
        cut.to_owned(),
        admin.key().to_owned(),
        "$argon2id$".to_owned(),
    ];
    // The secret part alone, too.
    secrets.extend([&keys[0], admin.key()].map(|key| key.split('_').nth(2).unwrap().to_owned()));
    secrets.extend(text_rows(&connection, "SELECT key_hash FROM api_keys").await);
    secrets
}

#[rstest]
#[tokio::test]
async fn no_secret_is_logged_at_any_level(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let mut logged = Logged::start(database, "trace");
    let mut secrets = use_every_secret(&logged).await;
    let url = logged.database.url();
    let password = url
        .split_once('@')
        .and_then(|(user, _)| user.rsplit_once(':'));
    secrets.extend(password.map(|(_, password)| password.to_owned()));
    // To the end, so that what is written then is seen as well.
    logged.server.terminate();
    assert_eq!(logged.server.ended().await.code(), Some(0));
    let log = logged.server.log();
    assert!(log.contains("\"level\":\"TRACE\""), "the level was set");
    assert!(
        log.contains("SELECT") || log.contains("select"),
        "statements are logged"
    );
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret}");
    }
}
