//! The promise: every change has its event, and the events of a row give the row.

use std::collections::BTreeMap;

use async_trait::async_trait;
use entity::events;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbErr, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::fold::{Fold, Told};
use super::{Check, Conclusion, Examination, Findings, Severity};
use crate::access::tenancy::{Reason, all_rows};
use crate::ledger::registry::{Registered, Stored};
use crate::ledger::verb::Verb;
use crate::product::Product;

/// Rows whose events are folded together.
const ROWS: u64 = 500;
/// Events that are read at once.
const EVENTS: u64 = 2000;

/// The types of aggregates, and of the events that each can have.
fn event_types(product: &Product) -> Vec<(&'static str, String)> {
    let resources = product.registry.resources();
    let types = resources.flat_map(|resource| {
        let verbs = Verb::COMMON.iter().chain(resource.verbs());
        verbs.map(|verb| (resource.aggregate(), resource.event_type(*verb)))
    });
    types.collect()
}

pub(super) struct EventIntegrity;

#[async_trait(?Send)]
impl Check for EventIntegrity {
    fn name(&self) -> &'static str {
        "event-integrity"
    }

    fn description(&self) -> &'static str {
        "Each event is whole, of a type that is known, and the versions of an aggregate have no gap and no double"
    }

    fn mend(&self) -> &'static str {
        "events are never mended in place: restore the database from a backup, and find out who could change them; a \
         type that is unknown may be a newer version's"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let id = examination.id("id");
        let mut findings = Findings::default();
        let no_object = |column: &str| match examination.is_postgres() {
            true => format!("jsonb_typeof({column}) IS DISTINCT FROM 'object'"),
            false => format!(
                "CASE WHEN json_valid({column}) THEN json_type({column}) IS NOT 'object' ELSE 1 END"
            ),
        };
        let faults = [
            (
                "lacks a field",
                "event_type IS NULL OR trim(event_type) = '' OR aggregate_type IS NULL OR trim(aggregate_type) = ''
                 OR aggregate_id IS NULL OR source IS NULL OR trim(source) = '' OR event_timestamp IS NULL
                 OR created_at IS NULL".to_owned(),
            ),
            ("has data that are no JSON object", no_object("data")),
            ("has metadata that are no JSON object", no_object("metadata")),
            ("has tags that are no JSON object", no_object("tags")),
        ];
        for (fault, condition) in faults {
            examination.show(self.name(), findings.total, None);
            let sql =
                format!("SELECT 'event ' || {id} || ' {fault}' FROM events WHERE {condition}");
            findings.add(examination.findings(&sql).await?);
        }
        let aggregate = examination.id("aggregate_id");
        // In the order of the unique index: nothing is sorted.
        let gaps = format!(
            "SELECT 'aggregate ' || {aggregate} || ': version ' || aggregate_version || ' follows ' || before FROM (
               SELECT aggregate_id, aggregate_version,
                      coalesce(lag(aggregate_version) OVER (PARTITION BY aggregate_id ORDER BY aggregate_version), 0)
                        AS before
               FROM events) AS step
             WHERE aggregate_version <> before + 1"
        );
        findings.add(examination.findings(&gaps).await?);
        let known: Vec<String> = event_types(examination.product)
            .iter()
            .map(|(aggregate, event)| format!("('{aggregate}', '{event}')"))
            .collect();
        let unknown = format!(
            "SELECT 'event ' || {id} || ' is a ' || event_type || ' of a ' || aggregate_type || ', which is no type of event'
             FROM events WHERE (aggregate_type, event_type) NOT IN (VALUES {})",
            known.join(", ")
        );
        findings.add(examination.findings(&unknown).await?);
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            "all events are whole",
            ["event is not whole", "events are not whole"],
        ))
    }
}

pub(super) struct AuditCompleteness;

#[async_trait(?Send)]
impl Check for AuditCompleteness {
    fn name(&self) -> &'static str {
        "audit-completeness"
    }

    fn description(&self) -> &'static str {
        "Each row has as many events as its version says, and they fold to the row: nothing was changed without its event"
    }

    fn mend(&self) -> &'static str {
        "somebody changed the row or the trail with the triggers off: compare with a backup, and find out who it was; then \
         `rollbook doctor reconcile ID --reason TEXT` records what is, with what it should have been, and the API puts \
         the row right"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let mut audit = Audit {
            examination,
            findings: Findings::default(),
            rows: 0,
            events: 0,
        };
        for resource in examination.product.registry.resources() {
            audit.table(resource).await?;
        }
        let none = format!(
            "{} rows are what their {} events say",
            audit.rows, audit.events
        );
        Ok(Conclusion::of(
            audit.findings,
            Severity::Error,
            &none,
            [
                "difference of rows and events",
                "differences of rows and events",
            ],
        ))
    }
}

struct Audit<'a> {
    examination: &'a Examination<'a>,
    findings: Findings,
    rows: u64,
    events: u64,
}

impl Audit<'_> {
    async fn table(&mut self, resource: &dyn Registered) -> Result<(), DbErr> {
        let snapshot = self.examination.snapshot;
        let total = resource.count(snapshot.into()).await?;
        let what = format!("audit-completeness: {}", resource.aggregate());
        let (mut last, mut done) = (None, 0);
        loop {
            let rows = resource.page(snapshot.into(), last, ROWS).await?;
            let Some(newest) = rows.last() else { break };
            last = Some(newest.id);
            done += rows.len() as u64;
            self.batch(resource, &rows).await?;
            self.examination.show(&what, done, Some(total));
        }
        self.rows += done;
        self.gone(resource).await
    }

    /// Folds the events of some rows, a page at a time, and compares each with its row.
    async fn batch(&mut self, resource: &dyn Registered, rows: &[Stored]) -> Result<(), DbErr> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut waiting: BTreeMap<Uuid, &Stored> = rows.iter().map(|row| (row.id, row)).collect();
        let mut current: Option<(Uuid, Fold)> = None;
        let mut after = None;
        loop {
            let page = self.page(&ids, after).await?;
            let is_last = (page.len() as u64) < EVENTS;
            self.events += page.len() as u64;
            for event in page {
                let id = event.aggregate_id;
                after = Some((id, event.aggregate_version));
                if current.as_ref().is_some_and(|(open, _)| *open != id) {
                    self.close(resource, &mut waiting, current.take());
                }
                let (_, fold) = current.get_or_insert_with(|| (id, Fold::default()));
                fold.take(event);
            }
            if is_last {
                break;
            }
        }
        self.close(resource, &mut waiting, current);
        for id in waiting.keys() {
            self.findings
                .push(|| format!("{} {id}: it has no event", resource.aggregate()));
        }
        Ok(())
    }

    async fn page(&self, ids: &[Uuid], after: Option<(Uuid, i64)>) -> Result<Vec<Told>, DbErr> {
        use events::Column::{AggregateId, AggregateVersion};
        let mut select = Told::columns(all_rows::<events::Entity>(Reason::System))
            .order_by_asc(AggregateId)
            .order_by_asc(AggregateVersion)
            .limit(EVENTS);
        let rest = ids
            .iter()
            .copied()
            .filter(|id| after.is_none_or(|(last, _)| *id >= last));
        select = select.filter(AggregateId.is_in(rest));
        if let Some((id, version)) = after {
            let here = Expr::tuple([Expr::col(AggregateId), Expr::col(AggregateVersion)]);
            select = select.filter(here.gt(Expr::tuple([Expr::val(id), Expr::val(version)])));
        }
        select.into_model().all(self.examination.snapshot).await
    }

    fn close(
        &mut self,
        resource: &dyn Registered,
        waiting: &mut BTreeMap<Uuid, &Stored>,
        folded: Option<(Uuid, Fold)>,
    ) {
        let Some((id, mut fold)) = folded else {
            return;
        };
        let Some(row) = waiting.remove(&id) else {
            return;
        };
        let mut faults = std::mem::take(&mut fold.contradictions);
        let found = match &row.shown {
            Ok(shown) => fold.differs(row.version, shown),
            Err(problem) => vec![problem.detail().to_owned()],
        };
        faults.extend(found);
        for fault in faults {
            self.findings
                .push(|| format!("{} {id}: {fault}", resource.aggregate()));
        }
    }

    /// Aggregates whose row is gone, though their last event does not say so.
    async fn gone(&mut self, resource: &dyn Registered) -> Result<(), DbErr> {
        let id = self.examination.id("first.aggregate_id");
        let (aggregate, table) = (resource.aggregate(), resource.table());
        let event = resource.event_type(resource.removal());
        let sql = format!(
            "SELECT '{aggregate} ' || {id} || ': its row is gone without an event' FROM events AS first
             WHERE first.aggregate_type = '{aggregate}' AND first.aggregate_version = 1
               AND NOT EXISTS (SELECT 1 FROM {table} AS here WHERE here.id = first.aggregate_id)
               AND (SELECT last.event_type FROM events AS last WHERE last.aggregate_id = first.aggregate_id
                    ORDER BY last.aggregate_version DESC LIMIT 1) <> '{event}'"
        );
        let found = self.examination.findings(&sql).await?;
        self.findings.add(found);
        Ok(())
    }
}
