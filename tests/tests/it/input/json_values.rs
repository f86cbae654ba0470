//! Numbers, depths and characters in JSON that callers may fill as they like.

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Answer, Backend, TestApp, content, id_of};

async fn patch(app: &TestApp, body: String) -> Answer {
    let path = format!("/v1/organizations/{}", app.first_organization);
    let request = app
        .system_admin
        .request(reqwest::Method::PATCH, &path)
        .header("Content-Type", "application/json")
        .body(body);
    Answer::read(request).await
}

/// The metadata as the answer to the change says, as it is read, and as the event says.
async fn three_times(app: &TestApp, metadata: &str) -> [Value; 3] {
    let changed = patch(app, format!(r#"{{"metadata": {{"value": {metadata}}}}}"#)).await;
    let changed = changed.ok();
    let path = format!("/v1/organizations/{}", id_of(&changed));
    let read = app.system_admin.get(&path).await.ok();
    let events = app.events_of(id_of(&changed)).await;
    let event = events.last().expect("an event");
    assert_eq!(event["aggregate_version"], changed["version"]);
    [
        &changed["metadata"],
        &read["metadata"],
        &event["data"]["new"]["metadata"],
    ]
    .map(|metadata| metadata["value"].clone())
}

#[rstest]
#[tokio::test]
async fn numbers_stay_what_they_are(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for number in [
        "0",
        "-1",
        "1.5",
        "0.1",
        "1e2",
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551615",
        "10000000000000000000000000000000000000000",
        "1e40",
        "1.7976931348623157e308",
        "5e-324",
        "2.2250738585072014e-308",
        "-1.1897314953572317e-7",
        "0.30000000000000004",
        "123456789012345678901234567890.123456789",
    ] {
        let sent: f64 = number.parse().unwrap();
        for kept in three_times(&app, number).await {
            assert_eq!(kept.as_f64(), Some(sent), "{number} became {kept}");
        }
    }
    for whole in [
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551615",
    ] {
        for kept in three_times(&app, whole).await {
            assert_eq!(kept.to_string(), whole);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_number_that_was_kept_is_no_change_when_it_is_sent_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for number in [
        "-1.1897314953572317e-7",
        "1e40",
        "5e-324",
        "1e2",
        "100.0",
        "-0.0",
        "0.1",
    ] {
        let body = format!(r#"{{"metadata": {{"value": {number}}}}}"#);
        let version = patch(&app, body.clone()).await.ok()["version"].clone();
        assert_eq!(patch(&app, body).await.ok()["version"], version, "{number}");
    }
}

#[rstest]
#[tokio::test]
async fn a_number_that_no_number_holds_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    for number in ["1e400", "-1e400", &format!("1{}", "0".repeat(400))] {
        patch(&app, format!(r#"{{"metadata": {{"value": {number}}}}}"#))
            .await
            .is_problem(400, "malformed-json");
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn any_depth_that_is_taken_can_be_read_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let connection = app.database.connect().await;
    let nested = |depth: usize| format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
    let mut refused = 0;
    for depth in [
        1, 60, 63, 64, 65, 100, 120, 123, 124, 125, 126, 127, 128, 200, 100_000,
    ] {
        let before = content(&connection).await;
        let body = format!(r#"{{"metadata": {{"value": {}}}}}"#, nested(depth));
        let answer = patch(&app, body).await;
        if answer.status == 200 {
            assert_eq!(
                refused, 0,
                "a greater depth is taken after a smaller was refused"
            );
            assert!(depth >= 1);
            three_times(&app, &nested(depth)).await;
            app.system_admin.get("/v1/organizations").await.ok();
            app.system_admin.get("/v1/events?limit=200").await.ok();
        } else {
            refused += 1;
            let problem = answer.is_problem(422, "invalid");
            let error = &problem["errors"][0];
            assert_eq!(error["code"], "too-deep", "{depth}");
            let detail = "Must not be nested deeper than 64 levels.";
            assert_eq!(error["detail"], detail, "{depth}");
            assert_eq!(content(&connection).await, before, "{depth}");
        }
    }
    assert!(
        (1..13).contains(&refused),
        "some are taken, the deepest are not"
    );
}

#[rstest]
#[tokio::test]
async fn text_within_is_anything_but_nul(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let every: String = ('\u{1}'..='\u{2ff}')
        .chain(['\u{fffe}', '\u{10ffff}', '😀'])
        .collect();
    for kept in three_times(&app, &json!({&every: every}).to_string()).await {
        assert_eq!(kept, json!({&every: every}));
    }
    let connection = app.database.connect().await;
    let before = content(&connection).await;
    for (metadata, pointer) in [
        (json!("\0"), "/metadata/value"),
        (json!(["a", {"b": "\0"}]), "/metadata/value/1/b"),
        (json!({"a/b": {"~": "x\0y"}}), "/metadata/value/a~1b/~0"),
        (json!({"\0": 1}), "/metadata/value"),
    ] {
        let body = json!({"metadata": {"value": metadata}, "settings": 1});
        let problem = patch(&app, body.to_string())
            .await
            .is_problem(422, "invalid");
        let pointers = super::pointers(&problem);
        assert_eq!(pointers, [pointer, "/settings"].map(String::from).into());
    }
    assert_eq!(content(&connection).await, before);
}

#[rstest]
#[tokio::test]
async fn a_name_that_is_there_twice_counts_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    // RFC 8259, section 4, leaves it open; the last is what most take, and the schema must see the same one.
    let answer = patch(&app, r#"{"name": "One", "name": "Two"}"#.to_owned()).await;
    assert_eq!(answer.ok()["name"], "Two");
    let answer = patch(&app, r#"{"name": "One", "name": 2}"#.to_owned()).await;
    answer.is_problem(422, "invalid");
}
