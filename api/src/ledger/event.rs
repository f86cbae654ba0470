//! Events: what is written beside every change of an audited row.

use chrono::{DateTime, Utc};
use entity::events;
use sea_orm::Set;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ledger::resource::{self, Resource, Row};
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::clock;

/// The form of the events that this release writes; the column `version` of `events`.
pub const FORMAT: &str = "1";

/// Who acts, from where, and in which request: what every event says beside its data.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The acting user; none for the command line.
    pub user_id: Option<Uuid>,
    /// The program's part that acts: `api` or `cli`.
    pub source: &'static str,
    /// The request, or the caller's own correlation id.
    pub correlation_id: Option<String>,
    /// What caused the request, in the caller's words.
    pub causation_id: Option<String>,
    /// The peer's address.
    pub ip_address: Option<String>,
    /// The peer's program, as it says.
    pub user_agent: Option<String>,
    /// More of it: the API key's id, the command's name.
    pub metadata: Map<String, Value>,
}

/// What changed: nothing before, nothing after, or both.
pub enum Transition<'a, Model> {
    /// A new row.
    Creation(&'a Model),
    /// A row before and after.
    Change(&'a Model, &'a Model),
    /// A row that becomes a tombstone: the event tells what was lost.
    Deletion(&'a Model, &'a Model),
}

/// The event of a change, ready to be inserted.
pub fn event_of<R: Resource>(
    origin: &Origin,
    verb: Verb,
    transition: &Transition<'_, Row<R>>,
    moment: DateTime<Utc>,
) -> Result<events::ActiveModel, Problem> {
    let (row, data) = match transition {
        Transition::Creation(row) => (*row, json!({"new": resource::snapshot::<R>(row)?})),
        Transition::Change(before, after) => {
            let (old, new) = resource::difference::<R>(before, after)?;
            (*after, json!({"old": old, "new": new}))
        }
        Transition::Deletion(before, after) => {
            (*after, json!({"old": resource::snapshot::<R>(before)?}))
        }
    };
    let moment = moment.fixed_offset();
    Ok(events::ActiveModel {
        id: Set(clock::new_id()),
        event_type: Set(R::event_type(verb)),
        aggregate_type: Set(R::AGGREGATE.to_owned()),
        aggregate_id: Set(R::id_of(row)),
        aggregate_version: Set(R::version_of(row)),
        data: Set(data),
        metadata: Set(Value::Object(origin.metadata.clone())),
        tags: Set(tags(R::AGGREGATE, R::id_of(row), R::touches(row))),
        user_id: Set(origin.user_id),
        organization_id: Set(R::organization(row)),
        session_id: Set(None),
        correlation_id: Set(origin.correlation_id.clone()),
        causation_id: Set(origin.causation_id.clone()),
        source: Set(origin.source.to_owned()),
        version: Set(Some(FORMAT.to_owned())),
        ip_address: Set(origin.ip_address.clone()),
        user_agent: Set(origin.user_agent.clone()),
        event_timestamp: Set(moment),
        created_at: Set(moment),
    })
}

/// The ids that an event touches, by kind; an array where one kind has several.
fn tags(aggregate: &'static str, id: Uuid, touches: Vec<(&'static str, Uuid)>) -> Value {
    let mut tags = Map::new();
    for (kind, id) in std::iter::once((aggregate, id)).chain(touches) {
        let id = Value::String(id.to_string());
        match tags.get_mut(kind) {
            None => {
                tags.insert(kind.to_owned(), id);
            }
            Some(Value::Array(ids)) => ids.push(id),
            Some(first) => *first = json!([first.take(), id]),
        }
    }
    Value::Object(tags)
}
