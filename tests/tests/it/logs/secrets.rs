//! No secret is logged, at any level.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::database::text_rows;
use tests::{Backend, RawRequest, TestDatabase, id_of};

use super::Logged;

const PASSWORD: &str = "correct horse battery staple";
const NEXT_PASSWORD: &str = "wrong donkey fuel cell clip";

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
    let settings = [("ROLLBOOK_LOG", "trace"), ("ROLLBOOK_LOG_FORMAT", "json")];
    let mut logged = Logged::start(database, &settings);
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
