//! Whatever happens, in whatever order, by whomever: the trail tells all of it, and nothing that must not be told.
//!
//! A walk is a list of numbers, and each names an action, who takes it and on what, among all that is there by then.
//! Most actions are allowed, some are refused; none may fail.

mod actions;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value};
use tests::snapshot::Row;
use tests::{Backend, Snapshot, Stage};
use uuid::Uuid;

use actions::{Step, Walk};
use api::operations::{Severity, doctor::Options};

use crate::doctor::examine;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_walk_on_sqlite_the_trail_is_the_truth(steps in steps()) {
        walk(Backend::Sqlite, &steps);
    }

    #[test]
    fn after_any_walk_on_postgres_the_trail_is_the_truth(steps in steps()) {
        walk(Backend::Postgres, &steps);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0_usize..1000;
    let step = (number.clone(), number.clone(), number.clone(), number);
    prop::collection::vec(step, 60..160)
}

fn walk(backend: Backend, steps: &[Step]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut walk = Walk::begin(Stage::set(backend).await).await;
        let before = walk.stage.snapshot().await.events.len();
        for step in steps {
            walk.take(*step).await;
        }
        let snapshot = walk.stage.snapshot().await;
        let told = snapshot.events.len() - before;
        assert!(told > steps.len() / 4, "{told} events: too many refusals");
        every_version_is_told_once(&snapshot);
        for (id, row) in &snapshot.rows {
            folding_gives_the_row(&snapshot, *id, row);
        }
        every_organization_has_an_owner(&snapshot);
        no_secret_is_told(&walk, &snapshot);
        the_api_shows_the_same_trail(&walk, &snapshot).await;
        doctor_finds_nothing(&walk).await;
        walk.stage.app.stop().await;
    });
}

/// Users who are members of nothing are a warning, and all that a walk may leave.
async fn doctor_finds_nothing(walk: &Walk) {
    let report = examine(&walk.stage.app.database, &Options::default()).await;
    for result in &report.results {
        let lone = result.severity == Severity::Warning && result.name == "data-consistency";
        assert!(result.passed || lone, "{result:#?}");
    }
}

fn every_version_is_told_once(snapshot: &Snapshot) {
    let mut versions = BTreeMap::<_, Vec<_>>::new();
    for event in &snapshot.events {
        let id: Uuid = text(event, "aggregate_id").parse().expect("an id");
        let version = event["aggregate_version"].as_i64();
        versions.entry(id).or_default().push(version);
    }
    for (id, versions) in &versions {
        let all: Vec<_> = (1..=versions.len() as i64).map(Some).collect();
        assert_eq!(versions, &all, "the versions of {id}");
        let row = &snapshot.rows[id];
        assert_eq!(row.version(), versions.len() as i64, "the row of {id}");
    }
    let told: BTreeSet<_> = versions.keys().collect();
    let there: BTreeSet<_> = snapshot.rows.keys().collect();
    assert_eq!(told, there, "every row is told, and nothing else");
}

/// The events of an aggregate, one after the other, make the row that is there.
fn folding_gives_the_row(snapshot: &Snapshot, id: Uuid, row: &Row) {
    let mut folded = Map::new();
    let mut deleted = false;
    for event in snapshot.events_of(id) {
        assert!(!deleted, "nothing happens to {id} after its end: {event:?}");
        assert_eq!(event["aggregate_type"], row.aggregate_type);
        deleted = text(event, "event_type").ends_with(".DELETED");
        let data = event["data"].as_object().expect("an object");
        for (name, old) in data
            .get("old")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            assert_eq!(folded.get(name), Some(old), "{name} before {event:?}");
        }
        match data.get("new") {
            Some(Value::Object(new)) => folded.extend(new.clone()),
            Some(other) => panic!("{other} is no object"),
            None => assert!(deleted, "only an end has nothing new: {event:?}"),
        }
    }
    if deleted {
        // The last event keeps what there was; the row keeps no more than that it is gone.
        assert_eq!(row.columns["status"], "deleted");
        assert!(row.columns["deleted_at"].is_string(), "{row:?}");
        let last = snapshot.events_of(id).last().expect("an end");
        assert_eq!(last["data"]["old"], Value::Object(folded));
    } else {
        assert_eq!(folded, row.shown(), "the fold of {id}");
        assert_ne!(row.columns["status"], "deleted", "{id} ended untold");
    }
}

fn every_organization_has_an_owner(snapshot: &Snapshot) {
    let active = |row: &&Row| row.columns["status"] == "active";
    let of = |kind: &'static str| {
        let rows = snapshot.rows.values();
        rows.filter(move |row| row.aggregate_type == kind)
    };
    let users: BTreeSet<_> = of("user")
        .filter(active)
        .map(|row| row.id_in("id"))
        .collect();
    let owned: BTreeSet<_> = of("membership")
        .filter(active)
        .filter(|row| row.columns["role"] == "owner")
        .filter(|row| users.contains(&row.id_in("user_id")))
        .map(|row| row.id_in("organization_id"))
        .collect();
    for row in of("organization").filter(|row| row.columns["status"] != "deleted") {
        assert!(owned.contains(&row.id_in("id")), "no owner: {row:?}");
    }
}

/// No key's text, no password, no hash and no token is in an event or in an answer, but for the one that shows a new key.
fn no_secret_is_told(walk: &Walk, snapshot: &Snapshot) {
    let hashes = snapshot.rows.values().flat_map(Row::secrets);
    let secrets: Vec<_> = walk
        .secrets
        .iter()
        .map(String::as_str)
        .chain(hashes)
        .collect();
    assert!(secrets.len() > 5, "there are secrets to keep");
    let trail = serde_json::to_string(&snapshot.events).expect("text");
    for (what, text) in [("the trail", &trail), ("an answer", &walk.answers)] {
        for secret in secrets.iter().copied().chain(["$argon2"]) {
            assert!(!text.contains(secret), "{secret} is in {what}");
        }
    }
}

/// Page by page, what the API shows to whom it shows everything is what is there.
async fn the_api_shows_the_same_trail(walk: &Walk, snapshot: &Snapshot) {
    let mut shown = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/events?limit=150&order=asc{cursor}");
        let page = walk.stage.app.system_admin.get(&path).await.ok();
        for event in page["data"].as_array().expect("a page") {
            let first = shown.insert(event["id"].to_string(), event.clone());
            assert_eq!(first, None, "shown once");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(shown.len(), snapshot.events.len());
    for event in &snapshot.events {
        let shown = &shown[&event["id"].to_string()];
        assert_eq!(shown, &Value::Object(event.clone()));
    }
}

fn text<'a>(event: &'a Map<String, Value>, name: &str) -> &'a str {
    event[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {event:?}"))
}
