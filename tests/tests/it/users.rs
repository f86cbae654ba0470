//! Users: passwords, addresses, what others see of a person, and what is left of one who was deleted.

use entity::users;
use rstest::rstest;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tests::database::{execute, text_rows};
use tests::{Backend, Caller, TestApp, id_of};
use uuid::Uuid;

use crate::cast::{Cast, path_of, types_of};

const PASSWORD: &str = "correct horse battery staple";

async fn row(app: &TestApp, id: Uuid) -> users::Model {
    let connection = app.database.connect().await;
    let found = users::Entity::find_by_id(id).one(&connection).await;
    found.unwrap().expect("the user's row")
}

fn own_path(person: &Caller) -> String {
    format!("/v1/users/{}", person.user_id())
}

#[rstest]
#[tokio::test]
async fn a_password_is_kept_as_argon2id_and_shown_nowhere(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let new = json!({"email": "ada@example.com", "password": PASSWORD});
    let made = app.system_admin.post("/v1/users", new).await;
    let id = id_of(&made.created());
    let hash = row(&app, id).await.password_hash.expect("a hash");
    assert!(hash.starts_with("$argon2id$v=19$m="), "{hash}");

    let read = app.system_admin.get(&path_of(&made)).await;
    let list = app.system_admin.get("/v1/users").await;
    let trail = format!("/v1/events?aggregate_id={id}");
    let events = app.system_admin.get(&trail).await;
    for answer in [&made, &read, &list, &events] {
        assert!(!answer.text.contains("argon2"), "{}", answer.text);
        assert!(!answer.text.contains(PASSWORD), "{}", answer.text);
    }
    for answer in [&made, &read, &list] {
        assert!(!answer.text.contains("password"), "{}", answer.text);
    }
    let created = &events.ok()["data"][0];
    assert_eq!(created["data"]["new"]["password_hash"], "[redacted]");

    let connection = app.database.connect().await;
    let whole = "SELECT CAST(data AS text) || CAST(metadata AS text) FROM events";
    for event in text_rows(&connection, whole).await {
        assert!(!event.contains("argon2") && !event.contains(PASSWORD));
    }
}

#[rstest]
#[tokio::test]
async fn a_password_has_12_to_1024_characters(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for (password, code) in [
        ("elevenchars".to_owned(), Some("too-short")),
        (String::new(), Some("too-short")),
        ("ä".repeat(11), Some("too-short")),
        ("twelve chars".to_owned(), None),
        ("ä".repeat(12), None),
        ("😀".repeat(1024), None),
        ("x".repeat(1025), Some("too-long")),
    ] {
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let new = json!({"email": email, "password": password});
        let answer = app.system_admin.post("/v1/users", new).await;
        let Some(code) = code else {
            answer.created();
            continue;
        };
        let problem = answer.is_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/password");
        assert_eq!(problem["errors"][0]["code"], code);
        assert!(password.is_empty() || !answer.text.contains(&password));
    }
}

#[rstest]
#[tokio::test]
async fn an_address_is_kept_in_lower_case_and_is_one_persons(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let ada = json!({"email": "Ada@Example.COM", "username": "ada"});
    let made = admin.post("/v1/users", ada).await.created();
    assert_eq!(made["email"], "ada@example.com");
    let bob = app.outsider().await;

    for email in ["ada@example.com", "ADA@EXAMPLE.COM"] {
        let create = admin.post("/v1/users", json!({"email": email})).await;
        let change = bob.patch(&own_path(&bob), json!({"email": email})).await;
        for answer in [create, change] {
            let problem = answer.is_problem(409, "already-exists");
            assert_eq!(problem["errors"][0]["pointer"], "/email");
        }
    }
    let taken = json!({"username": "ada"});
    let answer = bob.patch(&own_path(&bob), taken).await;
    let problem = answer.is_problem(409, "already-exists");
    assert_eq!(problem["errors"][0]["pointer"], "/username");
    assert_eq!(bob.get(&own_path(&bob)).await.ok()["version"], 1);
}

#[rstest]
#[tokio::test]
async fn people_change_themselves_and_an_address_that_changed_is_not_verified(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let path = own_path(&ada);
    let connection = app.database.connect().await;
    let verified = format!(
        "UPDATE users SET email_verified = true WHERE id = {}",
        backend.id(ada.user_id())
    );
    execute(&connection, &verified).await.unwrap();

    let same = ada.get(&path).await.ok();
    let upper = same["email"].as_str().unwrap().to_uppercase();
    let unchanged = ada.patch(&path, json!({"email": upper})).await.ok();
    assert_eq!(unchanged["version"], same["version"]);
    assert_eq!(unchanged["email_verified"], true);

    let profile = json!({
        "first_name": "Ada", "last_name": "Lovelace", "username": "ada", "bio": "Line one\nLine two",
        "avatar_url": "https://example.com/ada.png", "timezone": "Europe/London", "language": "en-GB",
        "preferences": {"theme": "dark", "size": 1}, "settings": {"a": {"b": 1}},
    });
    let changed = ada.patch(&path, profile.clone()).await.ok();
    for (field, value) in profile.as_object().unwrap() {
        assert_eq!(changed[field], *value, "{field}");
    }
    let merge = json!({"preferences": {"size": null}, "last_name": null});
    let merged = ada.patch(&path, merge).await.ok();
    assert_eq!(merged["preferences"], json!({"theme": "dark"}));
    assert_eq!(merged["last_name"], Value::Null);

    let moved = ada.patch(&path, json!({"email": "new@example.com"})).await;
    assert_eq!(moved.ok()["email_verified"], false);
    let events = app.events_of(ada.user_id()).await;
    let last = events.last().unwrap();
    assert_eq!(last["event_type"], "USER.EMAIL_CHANGED");
    assert_eq!(last["data"]["new"]["email"], "new@example.com");
    assert_eq!(last["user_id"], json!(ada.user_id()));
}

#[rstest]
#[tokio::test]
async fn who_has_a_password_needs_it_to_set_another(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let path = own_path(&ada);
    let second = "another horse battery staple";
    ada.patch(&path, json!({"password": PASSWORD})).await.ok();
    let first_hash = row(&app, ada.user_id()).await.password_hash;

    for (change, code) in [
        (json!({"password": second}), "required"),
        (
            json!({"password": second, "current_password": "not the right one"}),
            "wrong-password",
        ),
        (
            json!({"password": second, "current_password": second, "bio": "changed"}),
            "wrong-password",
        ),
    ] {
        let problem = ada.patch(&path, change).await.is_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/current_password");
        assert_eq!(problem["errors"][0]["code"], code);
    }
    assert_eq!(row(&app, ada.user_id()).await.password_hash, first_hash);

    let right = json!({"password": second, "current_password": PASSWORD});
    ada.patch(&path, right.clone()).await.ok();
    ada.patch(&path, right).await.is_problem(422, "invalid");
    // A system admin sets it for someone who forgot theirs.
    let reset = json!({"password": PASSWORD});
    app.system_admin.patch(&path, reset).await.ok();
    assert_eq!(
        types_of(&app, ada.user_id()).await,
        [
            "USER.CREATED",
            "USER.PASSWORD_CHANGED",
            "USER.PASSWORD_CHANGED",
            "USER.PASSWORD_CHANGED"
        ]
    );
    let events = app.events_of(ada.user_id()).await;
    let change = &events[2]["data"];
    assert_eq!(change["old"]["password_hash"], "[redacted]");
    assert_eq!(change["new"]["password_hash"], "[redacted]");
}

#[rstest]
#[tokio::test]
async fn a_system_admin_needs_their_own_password_for_their_own(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let path = own_path(admin);
    let new = json!({"password": PASSWORD});
    admin.patch(&path, new.clone()).await.ok();
    admin.patch(&path, new).await.is_problem(422, "invalid");
}

#[rstest]
#[tokio::test]
async fn a_system_admin_changes_roles_and_standing_each_with_its_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.outsider().await;
    let path = own_path(&ada);
    for change in [
        json!({"role": "auditor"}),
        json!({"role": "auditor"}),
        json!({"status": "suspended"}),
        json!({"status": "active"}),
        json!({"role": "user", "bio": "Again nobody special"}),
    ] {
        app.system_admin.patch(&path, change).await.ok();
    }
    for wrong in [json!({"status": "deleted"}), json!({"status": "invited"})] {
        let answer = app.system_admin.patch(&path, wrong).await;
        answer.is_problem(422, "invalid");
    }
    assert_eq!(
        types_of(&app, ada.user_id()).await,
        [
            "USER.CREATED",
            "USER.ROLE_CHANGED",
            "USER.SUSPENDED",
            "USER.REACTIVATED",
            "USER.ROLE_CHANGED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn preferences_and_settings_are_hidden_from_fellows(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let path = own_path(&cast.member);
    let private = json!({"preferences": {"theme": "dark"}, "settings": {"pin": 1}});
    cast.member.patch(&path, private).await.ok();
    for (caller, seen) in [
        (&cast.member, true),
        (&cast.app.system_admin, true),
        (&cast.auditor, true),
        (&cast.owner, false),
        (&cast.admin, false),
        (&cast.viewer, false),
    ] {
        let one = caller.get(&path).await.ok();
        let list = caller.get("/v1/users?limit=200").await.ok();
        let rows = list["data"].as_array().unwrap();
        let listed = rows.iter().find(|row| row["id"] == one["id"]).unwrap();
        for view in [&one, listed] {
            for field in ["preferences", "settings"] {
                assert_eq!(view.get(field).is_some(), seen, "{field} in {view}");
            }
        }
    }
}

/// Fills every column of a person, those that the API does not write included.
async fn fills_everything(app: &TestApp, person: &Caller) {
    let profile = json!({
        "first_name": "Marker", "last_name": "Marker", "username": "marker", "bio": "Marker",
        "avatar_url": "https://marker.example.com/", "timezone": "Europe/London", "language": "de",
        "preferences": {"marker": 1}, "settings": {"marker": 1}, "password": PASSWORD,
        "email": "marker@example.com",
    });
    person.patch(&own_path(person), profile).await.ok();
    let moment = "'2026-11-21T10:00:00+00:00'";
    let sql = format!(
        "UPDATE users SET password_reset_token = 'marker1', password_reset_expires_at = {moment},
         email_verification_token = 'marker2', email_verification_expires_at = {moment}, email_verified = true,
         email_verified_at = {moment}, mfa_enabled = true, mfa_secret = 'marker3', last_login_ip = '192.0.2.1',
         current_login_ip = '192.0.2.2', last_login_at = {moment}, current_login_at = {moment},
         failed_login_attempts = 3, locked_until = {moment} WHERE id = {}",
        app.database.backend().id(person.user_id())
    );
    let connection = app.database.connect().await;
    execute(&connection, &sql).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn nothing_of_a_deleted_person_is_left_in_the_row(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let ada = app.user(json!({"role": "auditor"})).await;
    fills_everything(&app, &ada).await;
    let before = row(&app, ada.user_id()).await;
    ada.delete(&own_path(&ada)).await.expect(204);

    let after = row(&app, ada.user_id()).await;
    assert!(after.deleted_at.is_some());
    // Every column is named here, so that a new one is thought of.
    let expected = users::Model {
        id: before.id,
        email: format!("{}@deleted.invalid", before.id),
        password_hash: None,
        password_changed_at: None,
        password_reset_token: None,
        password_reset_expires_at: None,
        email_verification_token: None,
        email_verification_expires_at: None,
        email_verified_at: None,
        first_name: None,
        last_name: None,
        username: None,
        bio: None,
        avatar_url: None,
        preferences: json!({}),
        settings: json!({}),
        timezone: "UTC".to_owned(),
        language: "en".to_owned(),
        status: entity::sea_orm_active_enums::UserStatus::Deleted,
        role: entity::sea_orm_active_enums::UserRole::User,
        email_verified: false,
        mfa_enabled: false,
        mfa_secret: None,
        last_login_ip: None,
        current_login_ip: None,
        last_login_at: None,
        current_login_at: None,
        failed_login_attempts: 0,
        locked_until: None,
        deleted_at: after.deleted_at,
        version: before.version + 1,
        created_at: before.created_at,
        updated_at: after.updated_at,
        created_by: before.created_by,
        updated_by: Some(ada.user_id()),
    };
    assert_eq!(after, expected);
    // The address and the short name are free again.
    let again = json!({"email": "marker@example.com", "username": "marker"});
    app.system_admin.post("/v1/users", again).await.created();
    let deleted = app.system_admin.get("/v1/users?status=deleted").await.ok();
    assert_eq!(id_of(&deleted["data"][0]), ada.user_id());
}

#[rstest]
#[tokio::test]
async fn a_deleted_persons_keys_and_memberships_end_each_with_its_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let person = &cast.member;
    let elsewhere = cast.app.organization(&cast.owner).await;
    let invitation = json!({"organization_id": elsewhere, "user_id": person.user_id()});
    cast.owner
        .post("/v1/memberships", invitation)
        .await
        .created();
    let restriction = json!({"organization_id": cast.organization});
    cast.app.key_for(person.user_id(), restriction).await;

    let headers = [("X-Correlation-Id", "the-deletion")];
    let path = own_path(person);
    let admin = &cast.app.system_admin;
    let deleted = admin.send(reqwest::Method::DELETE, &path, None, &headers);
    deleted.await.expect(204);
    let events = admin
        .get("/v1/events?correlation_id=the-deletion")
        .await
        .ok();
    let rows = events["data"].as_array().unwrap();
    let mut types: Vec<_> = rows
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "API_KEY.REVOKED",
            "API_KEY.REVOKED",
            "MEMBERSHIP.REMOVED",
            "MEMBERSHIP.REMOVED",
            "USER.DELETED"
        ]
    );
    for event in rows {
        assert_eq!(event["tags"]["user"], json!(person.user_id()));
        assert_eq!(event["user_id"], json!(admin.user_id()));
    }
}

#[rstest]
#[tokio::test]
async fn the_last_active_owner_is_neither_deleted_nor_suspended(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let cast = Cast::of(backend).await;
    let (owner, admin) = (&cast.owner, &cast.app.system_admin);
    let path = own_path(owner);
    // None of these stands in for the last one.
    let suspended = cast.someone("owner").await;
    let off = json!({"status": "suspended"});
    owner.patch(&suspended, off.clone()).await.ok();
    let invited =
        json!({"organization_id": cast.organization, "email": "new@example.com", "role": "owner"});
    owner.post("/v1/memberships", invited).await.created();
    let barred = cast.app.member(cast.organization, "owner").await;
    admin.patch(&own_path(&barred), off.clone()).await.ok();

    let events = cast.app.events_of(owner.user_id()).await.len();
    owner.delete(&path).await.is_problem(409, "last-owner");
    admin.delete(&path).await.is_problem(409, "last-owner");
    let answer = admin.patch(&path, off.clone()).await;
    answer.is_problem(409, "last-owner");
    assert_eq!(owner.get(&path).await.ok()["status"], "active");
    assert_eq!(cast.app.events_of(owner.user_id()).await.len(), events);

    cast.app.member(cast.organization, "owner").await;
    admin.patch(&path, off).await.ok();
    admin.delete(&path).await.expect(204);
}
