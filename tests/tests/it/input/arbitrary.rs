//! Whatever JSON is sent to whatever changes something: never a fault of the server, and no change without a 2xx.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Map, Value, json};
use tests::Backend;
use tokio::runtime::Runtime;

use super::Stage;

/// Strings that are something to some field, and strings that are trouble to some parser.
fn strings() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        " ",
        "\0",
        "a\0b",
        "\u{7f}",
        "\u{feff}",
        "\u{202e}",
        "\u{fffd}",
        "😀",
        "é",
        "ada@example.com",
        "a@b.c",
        "@",
        "example",
        "example-ltd",
        "example.com",
        "https://example.com/",
        "active",
        "suspended",
        "pending",
        "owner",
        "admin",
        "member",
        "personal",
        "organization",
        "inactive",
        "*",
        "events:read",
        "en",
        "UTC",
        "Europe/London",
        "2030-01-31T12:00:00Z",
        "9999-12-31T23:59:59.9999999-23:59",
        "0000-00-00T00:00:00Z",
        "2030-06-30T23:59:60Z",
        "00000000-0000-0000-0000-000000000000",
        "correct horse battery staple",
        "'; DROP TABLE users; --",
        "$1",
        "?",
        "%",
        "\\",
        "\"",
        "{}",
        "null",
        "[redacted]",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (any::<char>(), 0..12_000_usize).prop_map(|(letter, count)| String::from(letter).repeat(count)),
    ]
}

fn leaves() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => strings().prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    leaves().prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(strings(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body before it is known which fields the operation has: a field by its place, or any name.
#[derive(Clone, Debug)]
struct Body {
    members: Vec<(Index, Value)>,
    others: BTreeMap<String, Value>,
    instead: Option<Value>,
}

fn bodies() -> impl Strategy<Value = Body> {
    let members = vec((any::<Index>(), values()), 0..6);
    let others = prop_oneof![
        3 => Just(BTreeMap::new()),
        1 => btree_map(strings(), values(), 0..3),
    ];
    let instead = prop_oneof![
        9 => Just(None),
        1 => values().prop_map(Some),
    ];
    (members, others, instead).prop_map(|(members, others, instead)| Body {
        members,
        others,
        instead,
    })
}

impl Body {
    fn with_fields(&self, names: &[&String]) -> Value {
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        let mut members: Map<String, Value> = self.others.clone().into_iter().collect();
        for (index, value) in &self.members {
            members.insert((*index.get(names)).clone(), value.clone());
        }
        Value::Object(members)
    }
}

async fn send(stage: &Stage, operation: Index, body: &Body) -> Result<(), TestCaseError> {
    let operation = operation.get(&stage.operations);
    let names: Vec<&String> = operation.fields.keys().collect();
    let body = body.with_fields(&names);
    let before = stage.content().await;
    let answer = stage.send(operation, body.clone()).await;
    check(stage, &before, &answer).await?;
    if operation.method == Method::PATCH {
        // The same body to what would delete it, were it at another version.
        let headers = [("If-Match", "\"0\"")];
        let before = stage.content().await;
        let answer = stage
            .app
            .system_admin
            .send(Method::DELETE, &operation.path, Some(body), &headers)
            .await;
        prop_assert!(!(200..300).contains(&answer.status), "{answer:?}");
        check(stage, &before, &answer).await?;
    }
    Ok(())
}

async fn check(
    stage: &Stage,
    before: &[String],
    answer: &tests::Answer,
) -> Result<(), TestCaseError> {
    prop_assert!(answer.status < 500, "{answer:?}");
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let problem = answer.json();
    prop_assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    prop_assert_eq!(&problem["status"], &json!(answer.status));
    prop_assert_eq!(problem["instance"].as_str(), answer.header("x-request-id"));
    prop_assert_eq!(stage.content().await, before);
    Ok(())
}

#[rstest]
fn no_json_is_a_fault_of_the_server(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let runtime = Runtime::new().expect("a runtime");
    let stage = runtime.block_on(Stage::set(backend));
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&(any::<Index>(), bodies()), |(operation, body)| {
        runtime.block_on(send(&stage, operation, &body))
    });
    // Its own form has line breaks; the other hides them.
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
