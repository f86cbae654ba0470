//! API keys: what they look like, that they are shown once, and how they end.

use entity::{api_keys, events};
use reqwest::Method;
use rstest::rstest;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::database::{execute, text_rows};
use tests::{Answer, Backend, Caller, TestApp, id_of};
use uuid::Uuid;

use crate::cast::{ids_of, path_of, types_of};

async fn new_key(person: &Caller) -> Answer {
    let new = json!({"name": "Deployment", "scopes": ["*"]});
    person.post("/v1/api-keys", new).await
}

fn text_of(answer: &Answer) -> String {
    let created = answer.created();
    created["key"].as_str().expect("the key's text").to_owned()
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// CRC32 (IEEE 802.3), bit by bit: another way than the server's.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    };
    !bytes.iter().fold(!0, step)
}

#[rstest]
#[tokio::test]
async fn a_key_has_an_id_a_secret_and_a_check(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let mut secrets = Vec::new();
    for _ in 0..5 {
        let answer = new_key(&person).await;
        let created = answer.created();
        let text = text_of(&answer);
        let parts: Vec<_> = text.split('_').collect();
        let [prefix, id, secret, check] = parts[..] else {
            panic!("four parts in {text}");
        };
        assert_eq!(prefix, "rbk");
        assert_eq!(created["key_id"], id);
        let shown = created["key_prefix"].as_str().unwrap();
        assert!(shown.starts_with("rbk_") && shown.len() > 4 && text.starts_with(shown));
        assert!(!text[shown.len()..].is_empty() && shown.len() <= 4 + id.len());
        // 128 bits or more.
        assert!(is_hexadecimal(secret) && secret.len() >= 32, "{secret}");
        let body = text.rsplit_once('_').unwrap().0;
        assert_eq!(check, format!("{:08x}", crc32(body.as_bytes())));
        secrets.push(secret.to_owned());
    }
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 5);
}

#[rstest]
#[tokio::test]
async fn a_typo_and_a_forgery_are_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let text = text_of(&new_key(&person).await);
    app.with_key(&text).get("/v1/users").await.ok();

    app.probe.watch();
    for index in 0..text.len() {
        let mut typo = text.clone().into_bytes();
        typo[index] = if typo[index] == b'7' { b'8' } else { b'7' };
        let typo = String::from_utf8(typo).unwrap();
        let answer = app.with_key(&typo).get("/v1/users").await;
        answer.is_problem(401, "unauthenticated");
    }
    // Refused by its check, without a look into the database.
    assert_eq!(app.probe.steps(), Vec::<String>::new());

    let parts: Vec<_> = text.split('_').collect();
    let forged = format!("rbk_{}_{}", parts[1], "0".repeat(parts[2].len()));
    let forged = format!("{forged}_{:08x}", crc32(forged.as_bytes()));
    let unknown = format!("rbk_{}_{}", "0".repeat(parts[1].len()), parts[2]);
    let unknown = format!("{unknown}_{:08x}", crc32(unknown.as_bytes()));
    let stored = format!("rbk_{}", parts[1]);
    let none = app.anonymous();
    let headers = [("X-Request-Id", "the-same")];
    let reference = none.send(Method::GET, "/v1/users", None, &headers).await;
    for wrong in [
        forged,
        unknown,
        stored,
        text.to_uppercase(),
        format!("{text}0"),
    ] {
        let key = app.with_key(&wrong);
        let answer = key.send(Method::GET, "/v1/users", None, &headers).await;
        answer.is_problem(401, "unauthenticated");
        assert_eq!(answer.text, reference.text);
    }
}

#[rstest]
#[tokio::test]
async fn a_key_is_shown_once_and_kept_as_a_hash(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let made = new_key(&person).await;
    let (text, path) = (text_of(&made), path_of(&made));
    let secret = text.split('_').nth(2).unwrap();
    let id = id_of(&made.created());

    let connection = app.database.connect().await;
    let row = api_keys::Entity::find_by_id(id).one(&connection).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.key_hash, sha256(text.as_bytes()));

    let read = person.get(&path).await;
    let list = person.get("/v1/api-keys").await;
    let changed = person.patch(&path, json!({"name": "Renamed"})).await;
    let trail = format!("/v1/events?aggregate_id={id}");
    let events = app.system_admin.get(&trail).await;
    for answer in [&read, &list, &changed, &events] {
        for hidden in [secret, row.key_hash.as_str()] {
            assert!(!answer.text.contains(hidden), "{}", answer.text);
        }
    }
    assert_eq!(read.ok().get("key"), None);
    assert!(!made.text.contains(&row.key_hash));
    let created = &app.events_of(id).await[0]["data"]["new"];
    assert_eq!(created["key_hash"], "[redacted]");

    let keys = api_keys::Entity::find().all(&connection).await.unwrap();
    let trail = events::Entity::find().all(&connection).await.unwrap();
    let rows = keys.iter().map(|row| format!("{row:?}"));
    for row in rows.chain(trail.iter().map(|row| format!("{row:?}"))) {
        assert!(!row.contains(secret), "{row}");
    }
}

/// SHA-256 in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[rstest]
#[tokio::test]
async fn a_key_is_taken_out_of_use_and_brought_back_and_revoked_for_good(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let made = new_key(&person).await;
    let (path, id) = (path_of(&made), id_of(&made.created()));
    for change in [
        json!({"status": "inactive"}),
        json!({"status": "inactive"}),
        json!({"status": "active", "name": "Back"}),
        json!({"description": "More", "scopes": ["events:read"]}),
        json!({"expires_at": "2097-01-01T00:00:00+01:00"}),
    ] {
        person.patch(&path, change).await.ok();
    }
    let read = person.get(&path).await.ok();
    assert_eq!(read["expires_at"], "2096-12-31T23:00:00.000000Z");
    for wrong in [
        json!({"status": "revoked"}),
        json!({"scopes": []}),
        json!({"scopes": ["events:read", "events:read"]}),
        json!({"scopes": ["events:eat"]}),
        json!({"scopes": null}),
        json!({"key_hash": "0"}),
        json!({"user_id": app.system_admin.user_id()}),
        json!({"key_type": "organization"}),
    ] {
        person.patch(&path, wrong).await.is_problem(422, "invalid");
    }
    person.delete(&path).await.expect(204);
    person.delete(&path).await.is_problem(404, "not-found");
    person.get(&path).await.is_problem(404, "not-found");
    let back = json!({"status": "active"});
    let answer = app.system_admin.patch(&path, back).await;
    answer.is_problem(404, "not-found");
    let revoked = person.get("/v1/api-keys?status=revoked").await.ok();
    assert_eq!(ids_of(&revoked), [id]);
    assert_eq!(
        types_of(&app, id).await,
        [
            "API_KEY.CREATED",
            "API_KEY.DEACTIVATED",
            "API_KEY.REACTIVATED",
            "API_KEY.UPDATED",
            "API_KEY.UPDATED",
            "API_KEY.REVOKED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn a_key_of_an_organization_names_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let owner = app.outsider().await;
    let organization = app.organization(&owner).await;
    let mut new = json!({"name": "ours", "scopes": ["*"], "key_type": "organization"});
    let problem = owner.post("/v1/api-keys", new.clone()).await;
    let problem = problem.is_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/organization_id");

    new["organization_id"] = json!(organization);
    let made = owner.post("/v1/api-keys", new).await.created();
    let events = app.events_of(id_of(&made)).await;
    assert_eq!(events[0]["organization_id"], json!(organization));
    assert_eq!(events[0]["tags"]["organization"], json!(organization));
    for (filter, wanted) in [
        (
            format!("organization_id={organization}"),
            vec![id_of(&made)],
        ),
        ("key_type=organization".to_owned(), vec![id_of(&made)]),
        ("key_type=organization&status=inactive".to_owned(), vec![]),
        (
            format!("user_id={}&key_type=organization", owner.user_id()),
            vec![id_of(&made)],
        ),
    ] {
        let page = owner.get(&format!("/v1/api-keys?{filter}")).await.ok();
        assert_eq!(ids_of(&page), wanted, "{filter}");
    }
}

#[rstest]
#[tokio::test]
async fn a_key_for_one_who_is_not_there_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let gone = app.outsider().await.user_id();
    let path = format!("/v1/users/{gone}");
    app.system_admin.delete(&path).await.expect(204);
    for user in [gone, Uuid::now_v7()] {
        let new = json!({"name": "k", "scopes": ["*"], "user_id": user});
        let answer = app.system_admin.post("/v1/api-keys", new).await;
        let problem = answer.is_problem(404, "not-found");
        assert_eq!(problem["errors"][0]["pointer"], "/user_id");
    }
}

#[rstest]
#[tokio::test]
async fn a_key_tells_how_often_and_when_it_was_used_once_that_was_written(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let mut app = TestApp::start(backend).await;
    let person = app.outsider().await;
    let made = new_key(&person).await;
    let (id, text) = (id_of(&made.created()), text_of(&made));
    assert_eq!(made.created()["last_used_at"], Value::Null);
    assert_eq!(made.created()["usage_count"], 0);
    let before = api_keys_row(&app, id).await;
    let key = app.with_key(&text);
    let headers = [("User-Agent", "a-robot/1.0")];
    for _ in 0..3 {
        let answer = key.send(Method::GET, "/v1/users", None, &headers).await;
        answer.ok();
    }
    // A refused request is a use as well; one with a wrong key is none.
    let answer = key.send(Method::GET, "/v1/no-such", None, &headers).await;
    answer.is_problem(404, "not-found");

    let connection = app.database.connect().await;
    app.shut_down().await;
    let row = api_keys::Entity::find_by_id(id).one(&connection).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.usage_count, 4);
    assert!(row.last_used_at.expect("a time") >= row.created_at);
    assert_eq!(row.last_used_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(row.last_used_user_agent.as_deref(), Some("a-robot/1.0"));
    // Bookkeeping: no new version and no event.
    assert_eq!(
        (row.version, row.updated_at),
        (before.version, before.updated_at)
    );
    let id = backend.id(id);
    let events = format!("SELECT event_type FROM events WHERE aggregate_id = {id}");
    assert_eq!(text_rows(&connection, &events).await, ["API_KEY.CREATED"]);
}

async fn api_keys_row(app: &TestApp, id: Uuid) -> api_keys::Model {
    let connection = app.database.connect().await;
    let row = api_keys::Entity::find_by_id(id).one(&connection).await;
    row.unwrap().unwrap()
}

#[rstest]
#[tokio::test]
async fn what_an_operator_wrote_as_scopes_allows_what_it_says_and_no_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    for (scopes, status) in [
        (json!([]), 403),
        (json!({}), 403),
        (json!("*"), 403),
        (json!(["users:*", "USERS:READ", null, 1]), 403),
        (json!(["no-such", "users:read"]), 200),
    ] {
        let person = app.outsider().await;
        let user = backend.id(person.user_id());
        let sql = format!("UPDATE api_keys SET scopes = '{scopes}' WHERE user_id = {user}");
        execute(&connection, &sql).await.unwrap();
        person.get("/v1/users").await.expect(status);
    }
}
