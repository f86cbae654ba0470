//! `rollbook keys`: who has lost the key gets in again, on the machine, and the trail tells of it.

use rstest::rstest;
use serde_json::{Value, json};
use tests::database::Backend;
use tests::{TestApp, content, id_of, run, told};

fn keys(app: &TestApp, arguments: &[&str]) -> (i32, String, String) {
    let arguments = [&["keys"], arguments].concat();
    told(&run(&app.database.url(), &arguments, ""))
}

fn answer(app: &TestApp, arguments: &[&str]) -> Value {
    let (code, text, error) = keys(app, &[arguments, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{arguments:?}: {text} {error}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[rstest]
#[tokio::test]
async fn a_lost_key_is_replaced_listed_and_revoked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = app.system_admin.user_id();
    // By e-mail in any case of letters.
    let made = answer(
        &app,
        &[
            "create",
            "--user",
            "Root@Example.com",
            "--name",
            "After the loss",
        ],
    );
    assert_eq!(made["user_id"], json!(admin));
    assert_eq!(made["scopes"], json!(["*"]));
    assert_eq!(made["name"], "After the loss");
    let caller = app.with_key(made["key"].as_str().unwrap());
    let seen = caller
        .get(&format!("/v1/api-keys/{}", id_of(&made)))
        .await
        .ok();
    assert_eq!(seen["created_by"], Value::Null);

    let events = app.events_of(id_of(&made)).await;
    assert_eq!(events[0]["event_type"], "API_KEY.CREATED");
    assert_eq!(events[0]["source"], "cli");
    assert_eq!(events[0]["metadata"]["command"], "keys create");
    let actor = events[0]["metadata"]["actor"].as_str().unwrap();
    assert!(actor.starts_with("system:") && actor.len() > 7, "{actor}");
    assert!(
        !events[0]
            .to_string()
            .contains(made["key"].as_str().unwrap())
    );

    // By id, for less, for one organization and a while.
    let organization = app.first_organization.to_string();
    let (id, end) = (admin.to_string(), "2999-01-01T00:00:00.000000Z");
    let scopes = ["--scope", "organizations:read", "--scope", "events:read"];
    let limits = ["--organization", &organization, "--expires-at", end];
    let small = answer(
        &app,
        &[&["create", "--user", &id], &scopes[..], &limits].concat(),
    );
    assert_eq!(
        small["scopes"],
        json!(["organizations:read", "events:read"])
    );
    assert_eq!(small["organization_id"], json!(app.first_organization));
    assert_eq!(small["expires_at"], end);
    let caller = app.with_key(small["key"].as_str().unwrap());
    caller.get("/v1/organizations").await.ok();
    caller
        .get("/v1/users")
        .await
        .is_problem(403, "insufficient-scope");

    let other = app.outsider().await;
    let ids = |list: &Value| -> Vec<Value> {
        let list = list["api_keys"].as_array().unwrap();
        list.iter().map(|key| key["id"].clone()).collect()
    };
    let all = answer(&app, &["list"]);
    assert_eq!(ids(&all).len(), 4, "{all}");
    assert!(!all.to_string().contains("key_hash"));
    let its = answer(&app, &["list", "--user", "root@example.com"]);
    assert_eq!(ids(&its).len(), 3);
    assert_eq!(ids(&its)[1..], [made["id"].clone(), small["id"].clone()]);

    // By id and by the public part of the key.
    let made_id = made["id"].as_str().unwrap();
    let revoked = answer(&app, &["revoke", made_id]);
    assert_eq!(revoked["status"], "revoked");
    let (code, text, error) = keys(&app, &["revoke", small["key_id"].as_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert!(text.contains("revoked"), "{text}");
    caller
        .get("/v1/organizations")
        .await
        .is_problem(401, "unauthenticated");
    other.get("/v1/organizations").await.ok();
    let events = app.events_of(id_of(&made)).await;
    assert_eq!(events[1]["event_type"], "API_KEY.REVOKED");
    assert_eq!(events[1]["metadata"]["command"], "keys revoke");
    assert_eq!(ids(&answer(&app, &["list", "--user", &id])).len(), 1);
    assert_eq!(
        ids(&answer(&app, &["list", "--user", &id, "--revoked"])).len(),
        3
    );
    let (code, _, error) = keys(&app, &["revoke", made_id]);
    assert_eq!(
        (code, error.contains("is revoked already")),
        (1, true),
        "{error}"
    );

    // For people: the key once, and lists without it.
    let (_, text, _) = keys(&app, &["create", "--user", &id]);
    assert!(
        text.contains("rbk_") && text.contains("shown only now"),
        "{text}"
    );
    let (_, text, _) = keys(&app, &["list"]);
    assert!(
        text.contains("root@example.com") && text.contains("After the loss").eq(&false),
        "{text}"
    );
}

#[rstest]
#[tokio::test]
async fn what_is_not_valid_is_refused_and_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let gone = app.outsider().await.user_id().to_string();
    let path = format!("/v1/users/{gone}");
    app.system_admin.delete(&path).await.expect(204);
    let left = app.organization(&app.system_admin).await.to_string();
    let path = format!("/v1/organizations/{left}");
    app.system_admin.delete(&path).await.expect(204);
    let stranger = uuid::Uuid::now_v7().to_string();
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let root = "root@example.com";
    let cases: [(&[&str], i32); 13] = [
        (&["create"], 2),
        (&["create", "--user", "nobody"], 2),
        (&["create", "--user", "nobody@example.com"], 1),
        (&["create", "--user", &stranger], 1),
        (&["create", "--user", &gone], 1),
        (&["create", "--user", root, "--name", " "], 2),
        (&["create", "--user", root, "--scope", "all"], 2),
        (&["create", "--user", root, "--expires-at", "tomorrow"], 2),
        (
            &[
                "create",
                "--user",
                root,
                "--expires-at",
                "2001-01-01T00:00:00Z",
            ],
            2,
        ),
        (&["create", "--user", root, "--organization", &stranger], 1),
        (&["create", "--user", root, "--organization", &left], 1),
        (&["revoke", &stranger], 1),
        (&["list", "--user", "nobody@example.com"], 1),
    ];
    for (arguments, status) in cases {
        let (code, text, error) = keys(&app, arguments);
        assert_eq!(code, status, "{arguments:?}: {text} {error}");
        assert_eq!(text, "", "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
    assert_eq!(content(&connection).await, before);
}
