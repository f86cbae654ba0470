//! All that a mutation can leave behind, read past the API: the audited rows, the trail, the kept answers.
//!
//! Rows are shown as the contract says that events show them. It is written down here once more, and not taken from the
//! server, which could be wrong in both places alike.

use std::collections::BTreeMap;

use api::Product;
use api::ledger::registry::{Registered, Stored};
use entity::{events, idempotency_keys};
use sea_orm::{DatabaseConnection, EntityTrait, IdenStatic, Iterable, ModelTrait, Value as Column};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Columns that change without an event.
const BOOKKEEPING: [&str; 11] = [
    "last_login_ip",
    "current_login_ip",
    "last_login_at",
    "current_login_at",
    "failed_login_attempts",
    "locked_until",
    "last_used_at",
    "last_used_ip",
    "last_used_user_agent",
    "usage_count",
    "usage_reset_at",
];

/// Columns whose values never leave the database.
const SECRET: [&str; 6] = [
    "password_hash",
    "password_reset_token",
    "email_verification_token",
    "mfa_secret",
    "invitation_token",
    "key_hash",
];

/// What the database holds, bookkeeping aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The audited rows, each by its id.
    pub rows: BTreeMap<Uuid, Row>,
    /// The trail, in the order of aggregates and versions.
    pub events: Vec<Map<String, Value>>,
    /// The kept answers.
    pub idempotency_keys: Vec<Map<String, Value>>,
}

/// A row of an audited table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the trail calls it.
    pub aggregate_type: &'static str,
    /// Its columns but for bookkeeping, as they are.
    pub columns: Map<String, Value>,
}

impl Snapshot {
    /// What the database holds now.
    pub async fn of(product: &Product, connection: &DatabaseConnection) -> Self {
        let mut rows = BTreeMap::new();
        for resource in product.registry.resources() {
            rows.extend(audited(resource, connection).await);
        }
        let mut events = all::<events::Entity>(connection).await;
        events.sort_by_key(|event| {
            let version = event["aggregate_version"].as_i64();
            (event["aggregate_id"].to_string(), version)
        });
        let mut idempotency_keys = all::<idempotency_keys::Entity>(connection).await;
        idempotency_keys.sort_by_key(|kept| kept["key_hash"].to_string());
        Self {
            rows,
            events,
            idempotency_keys,
        }
    }

    /// The events of an aggregate, by version.
    pub fn events_of(&self, id: Uuid) -> impl Iterator<Item = &Map<String, Value>> {
        let id = json!(id);
        self.events
            .iter()
            .filter(move |event| event["aggregate_id"] == id)
    }

    /// The events that were appended since an earlier snapshot.
    pub fn events_since(&self, earlier: &Snapshot) -> Vec<&Map<String, Value>> {
        let known = |event: &&Map<String, Value>| {
            let known = earlier.events.iter();
            known.into_iter().all(|old| old["id"] != event["id"])
        };
        self.events.iter().filter(known).collect()
    }

    /// That both hold the same; says what differs.
    #[track_caller]
    pub fn is_unchanged_since(&self, earlier: &Snapshot, what: &str) {
        for (id, row) in &self.rows {
            let before = earlier.rows.get(id);
            assert_eq!(Some(row), before, "{what} changed a row");
        }
        assert_eq!(
            self.rows.len(),
            earlier.rows.len(),
            "{what} took a row away"
        );
        let appended = self.events_since(earlier);
        assert_eq!(appended, [] as [&Map<_, _>; 0], "{what} left events");
        assert_eq!(
            self.idempotency_keys, earlier.idempotency_keys,
            "{what} left or took a kept answer"
        );
        assert_eq!(self, earlier, "{what} changed something");
    }
}

impl Row {
    /// How often it was changed, its making included.
    pub fn version(&self) -> i64 {
        self.columns["version"].as_i64().expect("a version")
    }

    /// The id in a column, if there is one.
    pub fn id_in(&self, column: &str) -> Option<Uuid> {
        self.columns.get(column)?.as_str()?.parse().ok()
    }

    /// The columns as the trail shows them: secrets redacted.
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown = self.columns.clone();
        for (name, value) in &mut shown {
            if SECRET.contains(&name.as_str()) && !value.is_null() {
                *value = "[redacted]".into();
            }
        }
        shown
    }

    /// The secrets that it holds.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = SECRET.iter().filter_map(|name| self.columns.get(*name));
        secrets.filter_map(Value::as_str)
    }
}

async fn audited(resource: &dyn Registered, connection: &DatabaseConnection) -> Vec<(Uuid, Row)> {
    let rows = resource.page(connection.into(), None, u64::from(u32::MAX));
    let row = |stored: Stored| {
        let columns = stored.columns.into_iter();
        let own = resource.bookkeeping();
        let is_told = |name: &str| !BOOKKEEPING.contains(&name) && !own.contains(&name);
        let audited = columns.filter(|(name, _)| is_told(name));
        let row = Row {
            aggregate_type: resource.aggregate(),
            columns: audited
                .map(|(name, value)| (name.to_owned(), shown(value)))
                .collect(),
        };
        (stored.id, row)
    };
    let rows = rows.await.expect("the rows of a table");
    rows.into_iter().map(row).collect()
}

async fn all<E: EntityTrait<Model: Send + Sync>>(
    connection: &DatabaseConnection,
) -> Vec<Map<String, Value>> {
    let rows = E::find().all(connection).await;
    let columns = |row: E::Model| {
        let named = |column: E::Column| (column.as_str().to_owned(), shown(row.get(column)));
        E::Column::iter().map(named).collect()
    };
    rows.expect("the rows of a table")
        .into_iter()
        .map(columns)
        .collect()
}

/// A column's value in the one form that the contract gives it.
fn shown(value: Column) -> Value {
    match value {
        Column::Bool(value) => json!(value),
        Column::Int(value) => json!(value),
        Column::BigInt(value) => json!(value),
        Column::String(value) => json!(value),
        Column::Uuid(value) => json!(value.map(|id| id.hyphenated().to_string())),
        Column::Json(value) => value.map_or(Value::Null, |value| *value),
        Column::ChronoDateTimeWithTimeZone(value) => {
            json!(
                value
                    .map(|moment| { moment.to_utc().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string() })
            )
        }
        Column::Enum(sea_orm::sea_query::OptionEnum::Some(value)) => json!(value.value),
        Column::Enum(sea_orm::sea_query::OptionEnum::None(_)) => Value::Null,
        Column::Bytes(value) => json!(value),
        other => panic!("no form is known for {other:?}"),
    }
}
