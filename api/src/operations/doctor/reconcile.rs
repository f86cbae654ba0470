//! Records what is, where a row and its events differ: an event says what the events gave, what the row is, and why
//! somebody takes it as it is. Nothing is taken back and no event is touched.

use entity::events;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::fold::{Fold, Told};
use crate::access::tenancy::{Reason, all_rows};
use crate::database::Database;
use crate::ledger::registry::Registered;
use crate::ledger::unit_of_work::{RECONCILE, Record, UnitOfWork};
use crate::ledger::verb::Verb;
use crate::operations::system_origin;
use crate::problem::Problem;
use crate::product::Product;
use crate::values::text::Line255;

/// Events that are read at once.
const EVENTS: u64 = 500;

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconciled {
    /// The kind of thing.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: Uuid,
    /// Its version from now on.
    pub aggregate_version: i64,
    /// The event that says it.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// What the events gave, and what is.
    pub data: Value,
    /// Where events contradict each other, which this one acknowledges.
    pub acknowledged: Vec<String>,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// No table has the id, and no event.
    #[error("{0} has no row and no event; nothing was changed")]
    Unknown(Uuid),
    /// Row and events fit.
    #[error(
        "there is nothing to reconcile: the {aggregate} {id} is what its events say; nothing was changed"
    )]
    Nothing {
        /// The kind of thing.
        aggregate: &'static str,
        /// Which one.
        id: Uuid,
    },
    /// The database or the program failed, or more rights are needed.
    #[error("{}; nothing was changed", .0.detail().trim_end_matches('.'))]
    Failed(#[from] Problem),
}

/// What became of the look at one table.
enum Outcome {
    /// The aggregate is none of this table.
    Elsewhere,
    /// Row and events fit.
    Fits(&'static str),
    Recorded(Box<Reconciled>),
}

/// Records the row with this id as it is, or that it is gone.
///
/// # Errors
/// Where there is no such row or event, where both fit, or the database fails.
pub async fn reconcile(
    product: &Product,
    database: &Database,
    id: Uuid,
    reason: Line255,
) -> Result<Reconciled, ReconcileError> {
    let mut origin = system_origin(RECONCILE);
    let reason: String = reason.into();
    origin.metadata.insert("reason".to_owned(), reason.into());
    let outcome =
        UnitOfWork::run(database, &origin, async |work| any(product, work, id).await).await?;
    match outcome {
        Outcome::Recorded(reconciled) => Ok(*reconciled),
        Outcome::Fits(aggregate) => Err(ReconcileError::Nothing { aggregate, id }),
        Outcome::Elsewhere => Err(ReconcileError::Unknown(id)),
    }
}

/// The tables in turn, first by their rows: of a row that is gone only the events tell what it was.
async fn any(product: &Product, work: &mut UnitOfWork<'_>, id: Uuid) -> Result<Outcome, Problem> {
    for is_there in [true, false] {
        for resource in product.registry.resources() {
            match one(resource, work, id, is_there).await? {
                Outcome::Elsewhere => {}
                outcome => return Ok(outcome),
            }
        }
    }
    Ok(Outcome::Elsewhere)
}

async fn one(
    resource: &dyn Registered,
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    is_there: bool,
) -> Result<Outcome, Problem> {
    // Held, so that no event of it comes after those that are read here.
    let row = resource.hold(work, id).await?;
    if row.is_some() != is_there {
        return Ok(Outcome::Elsewhere);
    }
    let (fold, last) = told(work, id).await?;
    let acknowledged = fold.contradictions.clone();
    let next = fold.version.saturating_add(1);
    let event = match (row, last) {
        (Some(row), None) => {
            let mut new = row.shown?;
            new.insert("version".to_owned(), 1.into());
            let record = record(Verb::Created, 1, json!({ "new": new }), &acknowledged);
            resource.record_row(work, id, record).await?
        }
        (Some(row), Some(_)) => {
            let Some(data) = difference(&fold, row.version, &row.shown?) else {
                return Ok(Outcome::Fits(resource.aggregate()));
            };
            let record = record(Verb::Updated, next, data, &acknowledged);
            resource.record_row(work, id, record).await?
        }
        (None, Some(last)) if last.aggregate_type == resource.aggregate() => {
            let removal = resource.removal();
            if last.event_type == resource.event_type(removal) {
                return Ok(Outcome::Fits(resource.aggregate()));
            }
            let data = json!({ "old": fold.known });
            let record = record(removal, next, data, &acknowledged);
            resource.record_end(work, last, record).await?
        }
        (None, _) => return Ok(Outcome::Elsewhere),
    };
    Ok(Outcome::Recorded(Box::new(Reconciled {
        aggregate_type: event.aggregate_type,
        aggregate_id: id,
        aggregate_version: event.aggregate_version,
        event_id: event.id,
        event_type: event.event_type,
        data: event.data,
        acknowledged,
    })))
}

fn record(verb: Verb, version: i64, data: Value, acknowledged: &[String]) -> Record {
    let mut metadata = Map::new();
    if !acknowledged.is_empty() {
        metadata.insert("acknowledged".to_owned(), json!(acknowledged));
    }
    Record {
        verb,
        version,
        data,
        metadata,
    }
}

/// All events of an aggregate folded, a page at a time; and the last one.
async fn told(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
) -> Result<(Fold, Option<events::Model>), Problem> {
    use events::Column::{AggregateId, AggregateVersion};
    let (mut fold, mut last) = (Fold::default(), None::<events::Model>);
    loop {
        let mut select = all_rows::<events::Entity>(Reason::System)
            .filter(AggregateId.eq(id))
            .order_by_asc(AggregateVersion)
            .limit(EVENTS);
        if let Some(last) = &last {
            select = select.filter(AggregateVersion.gt(last.aggregate_version));
        }
        let page = work.all(select).await?;
        let is_last = (page.len() as u64) < EVENTS;
        for event in page {
            fold.take(Told::from(event.clone()));
            last = Some(event);
        }
        if is_last {
            return Ok((fold, last));
        }
    }
}

/// What the events give and what the row is, where they differ or the events contradict each other.
fn difference(fold: &Fold, version: i64, shown: &Map<String, Value>) -> Option<Value> {
    let (mut old, mut new) = (Map::new(), Map::new());
    for name in fold.differing(shown) {
        let told = fold.known.get(name).cloned().unwrap_or_default();
        let found = shown.get(name).cloned().unwrap_or_default();
        old.insert(name.to_owned(), told);
        new.insert(name.to_owned(), found);
    }
    if new.is_empty() && version == fold.version && fold.contradictions.is_empty() {
        return None;
    }
    old.insert("version".to_owned(), fold.version.into());
    new.insert("version".to_owned(), fold.version.saturating_add(1).into());
    Some(json!({ "old": old, "new": new }))
}
