//! What the events of a row say together, and how that compares with the row.

use entity::events;
use sea_orm::{FromQueryResult, QuerySelect, Select};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::ledger::unit_of_work::RECONCILE;

/// What the fold needs of an event.
#[derive(FromQueryResult)]
pub(super) struct Told {
    pub(super) aggregate_id: Uuid,
    pub(super) aggregate_version: i64,
    pub(super) source: String,
    pub(super) metadata: Value,
    pub(super) data: Value,
}

impl From<events::Model> for Told {
    fn from(event: events::Model) -> Self {
        Self {
            aggregate_id: event.aggregate_id,
            aggregate_version: event.aggregate_version,
            source: event.source,
            metadata: event.metadata,
            data: event.data,
        }
    }
}

impl Told {
    /// The columns that the fold needs.
    pub(super) fn columns(select: Select<events::Entity>) -> Select<events::Entity> {
        use events::Column::{AggregateId, AggregateVersion, Data, Metadata, Source};
        let columns = [AggregateId, AggregateVersion, Source, Metadata, Data];
        select.select_only().columns(columns)
    }

    /// Whether an operator recorded by it what was found, and so acknowledged what did not fit before.
    fn acknowledges(&self) -> bool {
        self.source == "cli"
            && self.metadata.get("command").and_then(Value::as_str) == Some(RECONCILE)
    }
}

/// What the events of one row say so far.
#[derive(Default)]
pub(super) struct Fold {
    pub(super) version: i64,
    /// The columns of which it is known what they are. A tombstone's are not: its event keeps what was lost.
    pub(super) known: Map<String, Value>,
    /// Where an event contradicts those before it, unless it was acknowledged.
    pub(super) contradictions: Vec<String>,
}

impl Fold {
    /// Takes the next event in.
    pub(super) fn take(&mut self, event: Told) {
        if event.acknowledges() {
            self.contradictions.clear();
        }
        self.version = event.aggregate_version;
        let (mut old, mut new) = (Map::new(), None);
        if let Value::Object(mut data) = event.data {
            if let Some(Value::Object(fields)) = data.remove("old") {
                old = fields;
            }
            if let Some(Value::Object(fields)) = data.remove("new") {
                new = Some(fields);
            }
        }
        for (name, value) in &old {
            if let Some(known) = self.known.get(name).filter(|known| !is_same(known, value)) {
                let version = event.aggregate_version;
                self.contradictions.push(format!(
                    "{name} was {known} before version {version}, which says {value}"
                ));
            }
        }
        match new {
            Some(fields) => self.known.extend(fields),
            None => self.known.clear(),
        }
    }

    /// The columns in which the row is not what the events say.
    pub(super) fn differing<'a>(
        &'a self,
        row: &'a Map<String, Value>,
    ) -> impl Iterator<Item = &'a str> {
        let differing = self.known.iter().filter(|(name, value)| {
            // A column that a later migration took away is in the trail for ever.
            row.get(*name).is_some_and(|found| !is_same(found, value))
        });
        differing.map(|(name, _)| name.as_str())
    }

    /// What the row has otherwise.
    pub(super) fn differs(&self, version: i64, row: &Map<String, Value>) -> Vec<String> {
        if self.version != version {
            return vec![format!(
                "its version is {version}, and its last event has {}",
                self.version
            )];
        }
        self.differing(row)
            .map(|name| format!("{name} is not what its events say"))
            .collect()
    }
}

/// Whether two values are the same; numbers by what they are, not by how they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|found| is_same(value, found)))
        }
        _ => one == other,
    }
}
