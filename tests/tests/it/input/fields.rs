//! Faulty fields: each is named by its pointer, all of them at once.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, id_of};

use super::{Stage, body_of, codes, pointers, pointers_to};

#[rstest]
#[tokio::test]
async fn a_missing_field_is_named(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        let required = operation.fields_where(|field| field.required);
        if !required.is_empty() {
            let answer = stage.send(operation, json!({})).await;
            let problem = answer.is_problem(422, "invalid");
            assert_eq!(pointers(&problem), pointers_to(&required));
            assert_eq!(codes(&problem), BTreeSet::from(["required"]));
        }
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn a_value_of_the_wrong_type_is_named(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        let all = operation.fields_where(|_| true);
        for wrong in [json!(true), json!(1), json!(-1.5e300)] {
            let problem = stage
                .send(operation, body_of(&all, &wrong))
                .await
                .is_problem(422, "invalid");
            assert_eq!(pointers(&problem), pointers_to(&all), "{wrong}");
            assert_eq!(codes(&problem), BTreeSet::from(["wrong-type"]), "{wrong}");
        }
        // Neither do arrays and objects pass for text.
        let text = operation.text_fields();
        for wrong in [json!([]), json!({}), json!(["text"])] {
            let problem = stage
                .send(operation, body_of(&text, &wrong))
                .await
                .is_problem(422, "invalid");
            assert!(pointers(&problem).is_superset(&pointers_to(&text)));
        }
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn a_null_is_refused_where_the_document_does_not_allow_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        let all = operation.fields_where(|_| true);
        let refusing = operation.fields_where(|field| !field.nullable);
        let answer = stage.send(operation, body_of(&all, &Value::Null)).await;
        let problem = answer.is_problem(422, "invalid");
        assert_eq!(pointers(&problem), pointers_to(&refusing));
        assert_eq!(codes(&problem), BTreeSet::from(["wrong-type"]));
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn no_text_takes_control_characters(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        for control in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            let allowed = |name: &str| match name {
                // A password may have any character but the one that ends a string elsewhere.
                "password" | "current_password" => control != '\0',
                "description" | "bio" => matches!(control, '\t' | '\n' | '\r'),
                _ => false,
            };
            let mut refusing = operation.text_fields();
            refusing.retain(|name| !allowed(name));
            for text in [
                format!("twelve {control} characters"),
                format!("twelve characters{control}"),
                format!("{control}twelve characters"),
            ] {
                let answer = stage
                    .send(operation, body_of(&refusing, &text.into()))
                    .await;
                let problem = answer.is_problem(422, "invalid");
                let expected = pointers_to(&refusing);
                assert!(
                    pointers(&problem).is_superset(&expected),
                    "{control:?}: {problem} does not name all of {expected:?}"
                );
            }
        }
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn text_is_measured_in_characters_and_not_in_bytes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        let limited = operation.fields_where(|field| field.schema["maxLength"].is_u64());
        let body_with = |more: usize| {
            let text = |name: &String| {
                let limit = operation.fields[name].schema["maxLength"].as_u64();
                "😀".repeat(limit.expect("a limit") as usize + more)
            };
            Value::Object(
                limited
                    .iter()
                    .map(|name| (name.clone(), text(name).into()))
                    .collect(),
            )
        };
        let problem = stage
            .send(operation, body_with(1))
            .await
            .is_problem(422, "invalid");
        assert!(pointers(&problem).is_superset(&pointers_to(&limited)));
        let too_long = problem["errors"].as_array().unwrap().iter();
        let too_long = too_long.filter(|error| error["code"] == "too-long").count();
        assert_eq!(too_long, limited.len(), "{problem}");

        // With a field that does not exist, so that nothing is changed by what would be good otherwise.
        let mut at_the_limit = body_with(0);
        at_the_limit["unknown"] = Value::Null;
        let problem = stage
            .send(operation, at_the_limit)
            .await
            .is_problem(422, "invalid");
        assert!(!codes(&problem).contains("too-long"), "{problem}");
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn text_at_its_limit_is_kept_as_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("😀", "é", "漢")] character: &str,
) {
    let stage = Stage::set(backend).await;
    let admin = &stage.app.system_admin;
    let limits = [
        ("name", 255),
        ("description", 10_000),
        ("phone", 50),
        ("address_line1", 255),
        ("address_line2", 255),
        ("city", 100),
        ("state", 100),
        ("country", 100),
        ("postal_code", 20),
    ];
    let mut body = json!({"slug": "s".repeat(100)});
    for (name, limit) in limits {
        body[name] = character.repeat(limit).into();
    }
    let created = admin
        .post("/v1/organizations", body.clone())
        .await
        .created();
    let path = format!("/v1/organizations/{}", id_of(&created));
    let read = admin.get(&path).await.ok();
    let events = stage.app.events_of(id_of(&created)).await;
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&read[name], value);
        assert_eq!(&events[0]["data"]["new"][name], value);
    }
}

#[rstest]
#[tokio::test]
async fn an_unknown_field_is_named_beside_the_faulty_ones(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    for operation in &stage.operations {
        let all = operation.fields_where(|_| true);
        let mut body = body_of(&all, &json!(true));
        let mut expected = pointers_to(&all);
        for (name, pointer) in [
            ("nickname", "/nickname"),
            ("a/b~c", "/a~1b~0c"),
            ("", "/"),
            ("NAME", "/NAME"),
            ("__proto__", "/__proto__"),
            ("na\u{0}me", "/na\u{0}me"),
            // Columns of the table that are not a client's to set.
            ("version", "/version"),
            ("created_at", "/created_at"),
            ("password_hash", "/password_hash"),
            ("key_hash", "/key_hash"),
        ] {
            body[name] = json!(1);
            expected.insert(pointer.to_owned());
        }
        let answer = stage.send(operation, body).await;
        let problem = answer.is_problem(422, "invalid");
        assert_eq!(pointers(&problem), expected);
        assert_eq!(
            codes(&problem),
            BTreeSet::from(["unknown-field", "wrong-type"])
        );
    }
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[case::organization(0, json!({
    "slug": "Not A Slug", "name": " \u{2003} ", "domain": "localhost", "email": "ada@localhost", "website": "ftp://example.com",
}), &["/slug invalid-slug", "/name invalid-text", "/domain invalid-domain", "/email invalid-email", "/website invalid-url"])]
#[case::user(1, json!({
    "email": "ada lovelace@example.com", "username": "Ada", "timezone": "+02:00", "language": "english",
    "role": "root", "password": "eleven char", "avatar_url": "javascript:alert(1)",
}), &["/email invalid-email", "/username invalid-username", "/timezone invalid-timezone", "/language invalid-language",
    "/role unknown-value", "/password too-short", "/avatar_url invalid-url"])]
#[case::membership(2, json!({
    "organization_id": "01890a5dac96774bbcceb302099a8057", "user_id": "{01890a5d-ac96-774b-bcce-b302099a8057}", "role": "Owner",
    "status": "removed", "permissions": {"events:destroy": true},
}), &["/organization_id invalid-id", "/user_id invalid-id", "/role unknown-value", "/status unknown-value",
    "/permissions/events:destroy unknown-value"])]
#[case::permission(2, json!({
    "organization_id": "", "permissions": {"events:read": "yes"},
}), &["/organization_id invalid-id", "/permissions/events:read wrong-type"])]
#[case::api_key(3, json!({
    "name": "", "organization_id": "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057", "key_type": "", "expires_at": "2030-02-30T00:00:00Z",
    "scopes": ["*", "events:read", "events:destroy"],
}), &["/name invalid-text", "/organization_id invalid-id", "/key_type unknown-value", "/expires_at invalid-time",
    "/scopes/2 unknown-value"])]
#[case::no_scopes(3, json!({"name": "key", "scopes": []}), &["/scopes wrong-length"])]
#[case::a_scope_twice(3, json!({"name": "key", "scopes": ["*", "*"]}), &["/scopes/1 repeated"])]
#[case::no_time(3, json!({"name": "key", "scopes": ["*"], "expires_at": "tomorrow"}), &["/expires_at invalid-time"])]
#[case::no_zone(3, json!({"name": "key", "scopes": ["*"], "expires_at": "2030-01-31T12:00:00"}), &["/expires_at invalid-time"])]
#[case::a_late_year(3, json!({"name": "key", "scopes": ["*"], "expires_at": "10000-01-01T00:00:00Z"}), &["/expires_at invalid-time"])]
#[tokio::test]
async fn each_fault_is_told_from_the_others(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] collection: usize,
    #[case] body: Value,
    #[case] expected: &[&str],
) {
    let stage = Stage::set(backend).await;
    let before = stage.content().await;
    let path = [
        "/v1/organizations",
        "/v1/users",
        "/v1/memberships",
        "/v1/api-keys",
    ][collection];
    let answer = stage.app.system_admin.post(path, body).await;
    let problem = answer.is_problem(422, "invalid");
    let errors = problem["errors"].as_array().unwrap().iter();
    let told: BTreeSet<String> = errors
        .map(|error| {
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            format!("{} {}", text("pointer"), text("code"))
        })
        .collect();
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert!(told.is_superset(&expected), "{told:?}, not {expected:?}");
    // Beside these only what is missing.
    assert!(
        told.difference(&expected)
            .all(|error| error.ends_with(" required")),
        "{told:?}"
    );
    assert_eq!(stage.content().await, before);
}

#[rstest]
#[tokio::test]
async fn a_refused_password_is_not_repeated(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    for password in ["hunter2", "hunter2\0hunter2", &"hunter2".repeat(200)] {
        let user = json!({"email": "ada@example.com", "password": password});
        let answer = stage.app.system_admin.post("/v1/users", user).await;
        answer.is_problem(422, "invalid");
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
}
