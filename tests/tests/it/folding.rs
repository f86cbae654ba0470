//! Folding what the triggers tell of a row gives the row, after any walk.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tests::database::Backend;

use crate::operator::{Operator, USER};

/// Changes to a user: the column, the value as SQL, the value as the trail shows it.
fn change() -> impl Strategy<Value = (&'static str, String, Value)> {
    let text = "[a-zA-Z0-9 \"\\\\äß€😀]{0,12}";
    prop_oneof![
        text.prop_map(|text| ("bio", format!("'{text}'"), json!(text))),
        Just(("bio", "NULL".to_owned(), Value::Null)),
        text.prop_map(|text| ("last_name", format!("'{text}'"), json!(text))),
        any::<bool>().prop_map(|flag| ("mfa_enabled", flag.to_string(), json!(flag))),
        prop_oneof!["user", "auditor", "admin"].prop_map(|role| (
            "role",
            format!("'{role}'"),
            json!(role)
        )),
        (0_u32..1_000_000).prop_map(|micros| (
            "deleted_at",
            format!("'2026-11-21T10:00:00.{micros:06}+00:00'"),
            json!(format!("2026-11-21T10:00:00.{micros:06}Z")),
        )),
        Just(("created_by", "{user}".to_owned(), json!(USER))),
        Just(("created_by", "NULL".to_owned(), Value::Null)),
        (any::<i32>(), text).prop_map(|(number, text)| {
            let value =
                json!({"number": number, "nested": [null, true, {"text": text}], "half": 0.5});
            ("preferences", format!("'{value}'"), value)
        }),
        text.prop_map(|text| {
            let shown = json!("[redacted]");
            ("mfa_secret", format!("'{text}'"), shown)
        }),
        (0_u8..9).prop_map(|count| ("failed_login_attempts", count.to_string(), Value::Null)),
    ]
}

/// Applies changes, folds what the trail tells of them, and compares with the row as it should be.
async fn walk(backend: Backend, changes: &[(&'static str, String, Value)]) -> Value {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let mut expected = operator.events_of(USER).await[0]["data"]["new"].clone();
    for (step, (column, sql, shown)) in changes.iter().enumerate() {
        let version = if step % 3 == 0 {
            ", version = version"
        } else {
            ""
        };
        operator
            .does(&format!("UPDATE users SET {column} = {sql}{version}"))
            .await;
        if *column != "failed_login_attempts" {
            expected[column] = shown.clone();
        }
    }
    let events = operator.events_of(USER).await;
    let mut folded = Map::new();
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event["aggregate_version"], json!(position + 1));
        if position > 0 {
            for (name, old) in event["data"]["old"].as_object().unwrap() {
                assert_eq!(&folded[name], old);
            }
        }
        folded.extend(event["data"]["new"].as_object().unwrap().clone());
    }
    expected["version"] = json!(operator.version_of("users", USER).await);
    let folded = Value::Object(folded);
    assert_eq!(folded, expected);
    json!(
        events
            .iter()
            .map(|event| [&event["event_type"], &event["data"], &event["tags"]])
            .collect::<Vec<_>>()
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_trail_folds_to_the_row_alike_on_both_backends(changes in prop::collection::vec(change(), 1..25)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (sqlite, postgres) = runtime.block_on(async {
            (walk(Backend::Sqlite, &changes).await, walk(Backend::Postgres, &changes).await)
        });
        prop_assert_eq!(sqlite, postgres);
    }
}
