//! PATCH is a JSON merge patch (RFC 7396).

use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Map, Value, json};
use tests::{Answer, Backend, Caller, TestApp, content};
use tokio::runtime::Runtime;

/// The function of RFC 7396, section 2, as it stands there.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let before = target.get(name).cloned().unwrap_or(Value::Null);
            target.insert(name.clone(), merge_patch(before, value));
        }
    }
    Value::Object(target)
}

async fn patch_as(caller: &Caller, path: &str, media_type: &str, body: &Value) -> Answer {
    let request = caller
        .request(Method::PATCH, path)
        .header("Content-Type", media_type)
        .body(body.to_string());
    Answer::read(request).await
}

#[rstest]
#[tokio::test]
async fn an_object_is_merged_member_by_member(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values("application/merge-patch+json", "application/json")] media_type: &str,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let membership = admin.get("/v1/memberships").await.ok()["data"][0]["id"].clone();
    for (path, column) in [
        (
            format!("/v1/organizations/{}", app.first_organization),
            "settings",
        ),
        (
            format!("/v1/organizations/{}", app.first_organization),
            "metadata",
        ),
        (format!("/v1/users/{}", admin.user_id()), "settings"),
        (format!("/v1/users/{}", admin.user_id()), "preferences"),
        (
            format!("/v1/memberships/{}", membership.as_str().unwrap()),
            "metadata",
        ),
    ] {
        for (patch, expected) in [
            (
                json!({"a": {"b": 1, "c": [1, {"d": null}]}}),
                json!({"a": {"b": 1, "c": [1, {"d": null}]}}),
            ),
            (
                json!({"a": {"b": null}, "e": "x"}),
                json!({"a": {"c": [1, {"d": null}]}, "e": "x"}),
            ),
            (json!({"a": {"c": [2]}}), json!({"a": {"c": [2]}, "e": "x"})),
            (
                json!({"e": {"f": {"g": null, "h": 1}}}),
                json!({"a": {"c": [2]}, "e": {"f": {"h": 1}}}),
            ),
            (
                json!({"absent": null}),
                json!({"a": {"c": [2]}, "e": {"f": {"h": 1}}}),
            ),
            (json!({"a": 1, "e": null}), json!({"a": 1})),
            (json!({"a": null}), json!({})),
            (
                json!({"": {"": 1}, "a/b": false}),
                json!({"": {"": 1}, "a/b": false}),
            ),
        ] {
            let answer = patch_as(admin, &path, media_type, &json!({column: patch})).await;
            assert_eq!(answer.ok()[column], expected, "{path} {column} {patch}");
            assert_eq!(admin.get(&path).await.ok()[column], expected);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_null_empties_what_may_be_empty(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = &app.system_admin;
    let membership = admin.get("/v1/memberships").await.ok()["data"][0]["id"].clone();
    let key = json!({"name": "x", "scopes": ["*"]});
    let key = admin.post("/v1/api-keys", key).await.created()["id"].clone();
    let id = |value: Value| value.as_str().unwrap().to_owned();
    for (path, filled) in [
        (
            format!("/v1/organizations/{}", app.first_organization),
            json!({
                "description": "x", "domain": "example.com", "email": "x@example.com", "phone": "1", "website": "https://x.example/",
                "address_line1": "x", "address_line2": "x", "city": "x", "state": "x", "country": "x", "postal_code": "x",
                "subscription_expires_at": "2030-01-31T12:00:00.000000Z",
            }),
        ),
        (
            format!("/v1/users/{}", admin.user_id()),
            json!({"first_name": "x", "last_name": "x", "username": "x", "bio": "x", "avatar_url": "https://x.example/"}),
        ),
        (
            format!("/v1/memberships/{}", id(membership)),
            json!({"job_title": "x", "department": "x"}),
        ),
        (
            format!("/v1/api-keys/{}", id(key)),
            json!({"description": "x", "expires_at": "2030-01-31T12:00:00.000000Z"}),
        ),
    ] {
        let names: Vec<&String> = filled.as_object().unwrap().keys().collect();
        let changed = admin.patch(&path, filled.clone()).await.ok();
        // What is not sent stays.
        let untouched = admin.patch(&path, json!({})).await.ok();
        let emptied: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).clone(), Value::Null))
            .collect();
        let emptied = admin.patch(&path, emptied.into()).await.ok();
        for name in names {
            assert_eq!(changed[name], filled[name], "{path} {name}");
            assert_eq!(untouched[name], filled[name], "{path} {name}");
            assert_eq!(emptied[name], Value::Null, "{path} {name}");
        }
        assert_eq!(emptied["version"], 3, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_null_is_refused_for_what_is_never_empty(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    let path = format!("/v1/organizations/{}", app.first_organization);
    for name in [
        "name",
        "slug",
        "settings",
        "metadata",
        "status",
        "subscription_tier",
    ] {
        let problem = app.system_admin.patch(&path, json!({name: null})).await;
        let problem = problem.is_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"));
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn a_null_takes_a_permission_away(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let member = app.outsider().await;
    let id = app.join(app.first_organization, &member, "member").await;
    let path = format!("/v1/memberships/{id}");
    let events = format!("/v1/events?organization_id={}", app.first_organization);
    let grant = async |permissions: Value| {
        let body = json!({"permissions": permissions});
        app.system_admin.patch(&path, body).await.ok()["permissions"].clone()
    };
    let seen = async || {
        !member.get(&events).await.ok()["data"]
            .as_array()
            .unwrap()
            .is_empty()
    };
    assert!(!seen().await);
    let both = json!({"events:read": true, "users:read": false});
    assert_eq!(grant(both.clone()).await, both);
    assert!(seen().await);
    assert_eq!(
        grant(json!({"events:read": null})).await,
        json!({"users:read": false})
    );
    assert!(!seen().await);
}

/// A number as it is given back: without the sign of zero, and as an integer where it has an exponent and fits.
fn as_kept(number: f64) -> Value {
    let integer = format!("{number}").parse::<i128>();
    match integer {
        Ok(integer) if number.abs() >= 1e16 => i64::try_from(integer)
            .map(Value::from)
            .or_else(|_| u64::try_from(integer).map(Value::from))
            .unwrap_or_else(|_| Value::from(number)),
        _ => Value::from(number + 0.0),
    }
}

#[rstest]
#[tokio::test]
async fn a_number_that_is_sent_again_in_another_form_is_no_change(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(
        ("1e16", "10000000000000000"),
        ("-9.990720287696997e16", "-99907202876969970"),
        ("1.8e19", "18000000000000000000"),
        ("1e19", "10000000000000000000"),
        ("-0.0", "0.0"),
        ("1e2", "100.0")
    )]
    (sent, kept): (&str, &str),
) {
    let app = TestApp::start(backend).await;
    let path = format!("/v1/organizations/{}", app.first_organization);
    for _ in 0..2 {
        let body = format!(r#"{{"settings": {{"number": [{sent}]}}}}"#);
        let body = serde_json::from_str(&body).unwrap();
        let changed = app.system_admin.patch(&path, body).await.ok();
        assert_eq!(changed["settings"]["number"][0].to_string(), kept);
        assert_eq!(changed["version"], 2);
        let read = app.system_admin.get(&path).await.ok();
        assert_eq!(read["settings"]["number"][0].to_string(), kept);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", ""]).prop_map(str::to_owned),
        1 => "[^\0]{1,3}",
    ];
    let leaves = prop_oneof![
        3 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(as_kept),
        1 => (-1e20..1e20_f64).prop_map(as_kept),
        1 => "[^\0]{0,4}".prop_map(Value::from),
    ];
    leaves.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => btree_map(names.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    btree_map("[abc]", values(), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

#[rstest]
fn any_patch_does_what_the_function_of_the_rfc_does(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let runtime = Runtime::new().expect("a runtime");
    let app = runtime.block_on(TestApp::start(backend));
    let path = format!("/v1/organizations/{}", app.first_organization);
    let patches = prop::collection::vec(objects(), 1..6);
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&patches, |patches| {
        runtime.block_on(async {
            let before = app.system_admin.get(&path).await.ok();
            let (mut expected, mut version) =
                (before["metadata"].clone(), before["version"].as_i64());
            for patch in patches {
                let merged = merge_patch(expected.clone(), &patch);
                version = version.map(|version| version + i64::from(merged != expected));
                expected = merged;
                let answer = app
                    .system_admin
                    .patch(&path, json!({"metadata": patch}))
                    .await
                    .ok();
                prop_assert_eq!(&answer["metadata"], &expected);
                prop_assert_eq!(answer["version"].as_i64(), version);
                let read = app.system_admin.get(&path).await.ok();
                prop_assert_eq!(&read["metadata"], &expected);
            }
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
