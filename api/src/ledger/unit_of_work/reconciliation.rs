//! Records what was done behind the trail's back: the one writer whose events tell of a change that is there already.

use entity::{events, organizations};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, Set,
    Statement, TryIntoModel,
};
use serde_json::{Map, Value};

use super::{UnitOfWork, changes};
use crate::ledger::event::{self, Transition};
use crate::ledger::resource::{Resource, Row};
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::clock;

/// The command by whose events doctor knows that a difference was seen by somebody, and recorded.
pub const RECONCILE: &str = "doctor reconcile";

/// What an event is to tell.
#[derive(Debug)]
pub struct Record {
    /// What happened.
    pub verb: Verb,
    /// The version that the aggregate has from then on.
    pub version: i64,
    /// The event's `data`.
    pub data: Value,
    /// Beside what the origin says.
    pub metadata: Map<String, Value>,
}

impl UnitOfWork<'_> {
    /// Writes an event about a row as it is, and gives the row the event's version. Nothing else of the row changes.
    ///
    /// # Errors
    /// `forbidden` where the version cannot be set but by the owner of the table; `unavailable` where the database
    /// fails or another writer was faster.
    pub async fn record_row<R: Resource>(
        &mut self,
        before: &Row<R>,
        record: Record,
    ) -> Result<events::Model, Problem> {
        let mut after = before.clone();
        *R::stamps(&mut after).version = record.version;
        let moment = clock::now();
        let transition = Transition::Creation(&after);
        let event = event::event_of::<R>(self.origin, record.verb, &transition, moment)?;
        let written = self.append(event, record.data, record.metadata).await?;
        if before != &after {
            self.set_version::<R>(before, &after).await?;
        }
        Ok(written)
    }

    /// Writes the event of the end of a row that is gone, like the last one that it has.
    ///
    /// # Errors
    /// `unavailable` where the database fails or another writer was faster.
    pub async fn record_end<R: Resource>(
        &mut self,
        last: events::Model,
        record: Record,
    ) -> Result<events::Model, Problem> {
        let moment = clock::now().fixed_offset();
        let event = events::ActiveModel {
            id: Set(clock::new_id()),
            event_type: Set(R::event_type(record.verb)),
            aggregate_type: Set(R::AGGREGATE.to_owned()),
            aggregate_id: Set(last.aggregate_id),
            aggregate_version: Set(record.version),
            data: Set(Value::Null),
            metadata: Set(Value::Object(self.origin.metadata.clone())),
            tags: Set(last.tags),
            user_id: Set(self.origin.user_id),
            organization_id: Set(last.organization_id),
            session_id: Set(None),
            correlation_id: Set(None),
            causation_id: Set(None),
            source: Set(self.origin.source.to_owned()),
            version: Set(Some(event::FORMAT.to_owned())),
            ip_address: Set(None),
            user_agent: Set(None),
            event_timestamp: Set(moment),
            created_at: Set(moment),
        };
        self.append(event, record.data, record.metadata).await
    }

    async fn append(
        &mut self,
        mut event: events::ActiveModel,
        data: Value,
        notes: Map<String, Value>,
    ) -> Result<events::Model, Problem> {
        let mut metadata = self.origin.metadata.clone();
        metadata.extend(notes);
        event.data = Set(data);
        event.metadata = Set(Value::Object(metadata));
        // A row can have lost its organization with it: the trail names no row that is not there.
        if let Some(id) = event.organization_id.take().flatten() {
            let there = organizations::Entity::find().filter(organizations::Column::Id.eq(id));
            let there = there.count(&self.transaction).await;
            let there = there.map_err(|error| self.failed(error))? > 0;
            event.organization_id = Set(there.then_some(id));
        } else {
            event.organization_id = Set(None);
        }
        let insert = events::Entity::insert(event.clone())
            .exec_without_returning(&self.transaction)
            .await;
        insert.map_err(|error| self.unrecorded(error))?;
        event.try_into_model().map_err(Problem::internal)
    }

    /// The triggers let a version grow by one only, which is too little or too much where it was set past them.
    async fn set_version<R: Resource>(
        &mut self,
        before: &Row<R>,
        after: &Row<R>,
    ) -> Result<(), Problem> {
        let table = R::table();
        let guarded = R::version_of(after) - 1 == R::version_of(before);
        let guards = match guarded {
            true => Vec::new(),
            false => self.guards_of(&table).await?,
        };
        for guard in &guards {
            self.alter(&guard.suspend).await?;
        }
        let update = R::Entity::update_many()
            .set(changes::<R>(before, after))
            .filter(R::id_column().eq(R::id_of(before)));
        let result = update.exec(&self.transaction).await;
        result.map_err(|error| self.failed(error))?;
        for guard in &guards {
            self.alter(&guard.restore).await?;
        }
        Ok(())
    }

    async fn alter(&mut self, sql: &str) -> Result<(), Problem> {
        let result = self.transaction.execute_unprepared(sql).await;
        result.map(drop).map_err(|error| self.failed(error))
    }

    /// The triggers in the way of a version that is set, with how they are put out of it and back; all of it is part of
    /// the transaction, and no other writes the table meanwhile.
    async fn guards_of(&mut self, table: &str) -> Result<Vec<Guard>, Problem> {
        let backend = self.transaction.get_database_backend();
        let names = ["audit_version", "audit_update"].map(|name| format!("{table}_{name}"));
        let [version, update] = names;
        if backend == DbBackend::Postgres {
            self.require_ownership(table).await?;
        }
        let sql = match backend {
            DbBackend::Postgres => {
                "SELECT tgname::text, CASE tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END
                 FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname IN ($2, $3) AND tgenabled <> 'D'"
            }
            _ => {
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? AND name IN (?, ?)"
            }
        };
        let values = [table.into(), version.into(), update.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.transaction.query_all_raw(statement).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let guards = rows.iter().map(|row| {
            let (name, how): (String, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok(match backend {
                DbBackend::Postgres => Guard {
                    suspend: format!("ALTER TABLE {table} DISABLE TRIGGER {name}"),
                    restore: format!("ALTER TABLE {table} ENABLE {how} TRIGGER {name}"),
                },
                _ => Guard {
                    suspend: format!("DROP TRIGGER {name}"),
                    restore: how,
                },
            })
        });
        guards
            .collect::<Result<_, _>>()
            .map_err(|error| self.failed(error))
    }

    async fn require_ownership(&mut self, table: &str) -> Result<(), Problem> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass($1)",
            [table.into()],
        );
        let row = self.transaction.query_one_raw(statement).await;
        let row = row.map_err(|error| self.failed(error))?;
        let is_owner = row.map(|row| row.try_get_by_index(0)).transpose();
        match is_owner.map_err(|error| self.failed(error))? {
            Some(true) => Ok(()),
            _ => Err(Problem::forbidden(format!(
                "The version of the row was set past the triggers; setting it right needs the owner of the table {table}"
            ))),
        }
    }
}

/// A trigger that is put out of the way for a moment.
struct Guard {
    suspend: String,
    restore: String,
}
