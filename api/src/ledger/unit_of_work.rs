//! The only way to write an audited row.
//!
//! [`UnitOfWork::run`] opens the transaction, hands out what writes in it, and commits or rolls back. What it hands out
//! has `create`, `update`, `update_all` and `remove`, and each writes the event beside the row; it has no way to write
//! the one without the other, no way to commit, and no way out of the closure.
//!
//! The event is inserted before the row: the unique pair of aggregate and version puts the writers of one aggregate in
//! order, and the database's own triggers find the event in place and add none.

#![expect(
    clippy::disallowed_methods,
    reason = "this module is where audited rows are written, each with its event"
)]

mod reconciliation;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::events;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, LockType};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    IntoIdentity, Iterable, ModelTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement,
};
use uuid::Uuid;

use crate::database::{Database, Transaction};
use crate::database::{Fault, classify};
use crate::ledger::event::{self, Origin, Transition};
use crate::ledger::resource::{self, ActiveRow, Column, Resource, Row};
use crate::ledger::verb::Verb;
use crate::problem::{Kind, Problem};
use crate::values::clock;

pub use reconciliation::{RECONCILE, Record};

/// How often a transaction that others were in the way of is tried before the caller is told.
const ATTEMPTS: u32 = 5;

/// Rows per statement where many change at once: well below the number of parameters that either database takes.
pub const BATCH: usize = 500;

/// An open transaction in which rows and their events are written together.
pub struct UnitOfWork<'a> {
    transaction: Transaction<'a>,
    origin: &'a Origin,
    contended: bool,
    /// How many events it has written, by type.
    written: HashMap<String, u64>,
}

impl UnitOfWork<'_> {
    /// Runs `work` in one transaction: all that it wrote is durable when this returns `Ok`, and nothing of it otherwise.
    ///
    /// `work` is run again where another transaction was in its way (a deadlock, two changes of one aggregate).
    ///
    /// # Errors
    /// What `work` returned; `unavailable` where the database fails or the contention does not end.
    pub async fn run<T>(
        database: &Database,
        origin: &Origin,
        work: impl AsyncFn(&mut UnitOfWork<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut attempt = 1;
        loop {
            let mut unit = UnitOfWork {
                transaction: database.begin().await?,
                origin,
                contended: false,
                written: HashMap::new(),
            };
            let result = work(&mut unit).await;
            let UnitOfWork {
                transaction,
                contended,
                written,
                ..
            } = unit;
            match result {
                Ok(value) => match transaction.commit().await {
                    Ok(()) => {
                        database.activity().count_events(written);
                        return Ok(value);
                    }
                    Err(error) if attempt < ATTEMPTS && classify(&error) == Fault::Contention => {}
                    Err(error) => return Err(error.into()),
                },
                Err(problem) => {
                    transaction.rollback().await;
                    if !contended || attempt == ATTEMPTS {
                        return Err(problem);
                    }
                }
            }
            tracing::debug!(attempt, "another transaction was in the way; trying again");
            database.activity().retries.inc();
            attempt += 1;
        }
    }

    /// Inserts the row with its event. Its id, version, times and authors are set here.
    pub async fn create<R: Resource>(
        &mut self,
        verb: Verb,
        mut row: Row<R>,
    ) -> Result<Row<R>, Problem> {
        let moment = clock::now();
        let author = self.origin.user_id;
        let stamps = R::stamps(&mut row);
        (*stamps.id, *stamps.version) = (clock::new_id(), 1);
        (*stamps.created_at, *stamps.updated_at) = (moment.fixed_offset(), moment.fixed_offset());
        (*stamps.created_by, *stamps.updated_by) = (author, author);

        self.record::<R>(verb, &Transition::Creation(&row), moment)
            .await?;
        let insert = R::Entity::insert(row.clone().into_active_model().reset_all());
        insert
            .exec_without_returning(&self.transaction)
            .await
            .map_err(|error| self.refused::<R>(error))?;
        Ok(row)
    }

    /// Changes the row with its event. `edit` sees the row as it is, locked; it may refuse, and says what happened.
    ///
    /// An edit that changes nothing writes nothing.
    ///
    /// # Errors
    /// `not-found` where there is no such row; what `edit` returned; `already-exists` for a value that is taken.
    pub async fn update<R: Resource>(
        &mut self,
        id: Uuid,
        edit: impl FnOnce(&mut Row<R>) -> Result<Verb, Problem>,
    ) -> Result<Row<R>, Problem> {
        self.update_from::<R>(id, |_, row| edit(row)).await
    }

    /// As [`UnitOfWork::update`], for an edit that compares with the row as it was.
    ///
    /// # Errors
    /// As [`UnitOfWork::update`].
    pub async fn update_from<R: Resource>(
        &mut self,
        id: Uuid,
        edit: impl FnOnce(&Row<R>, &mut Row<R>) -> Result<Verb, Problem>,
    ) -> Result<Row<R>, Problem> {
        self.change::<R>(id, false, edit).await
    }

    /// Makes a tombstone of the row: `edit` marks and scrubs it, and the event keeps what it was.
    ///
    /// # Errors
    /// As [`UnitOfWork::update`].
    pub async fn remove<R: Resource>(
        &mut self,
        id: Uuid,
        edit: impl FnOnce(&mut Row<R>) -> Result<(), Problem>,
    ) -> Result<Row<R>, Problem> {
        self.change::<R>(id, true, |_, row| edit(row).map(|()| Verb::Deleted))
            .await
    }

    async fn change<R: Resource>(
        &mut self,
        id: Uuid,
        tombstone: bool,
        edit: impl FnOnce(&Row<R>, &mut Row<R>) -> Result<Verb, Problem>,
    ) -> Result<Row<R>, Problem> {
        let select = R::Entity::find()
            .filter(R::id_column().eq(id))
            .lock(LockType::NoKeyUpdate);
        let before = self.one(select).await?.ok_or_else(Problem::not_found)?;
        let mut after = before.clone();
        let verb = edit(&before, &mut after)?;
        if resource::changed::<R>(&before, &after).is_empty() {
            return Ok(before);
        }
        let moment = clock::now();
        self.stamp_change::<R>(&mut after, moment);
        let transition = match tombstone {
            true => Transition::Deletion(&before, &after),
            false => Transition::Change(&before, &after),
        };
        self.record::<R>(verb, &transition, moment).await?;

        let update = R::Entity::update_many()
            .set(changes::<R>(&before, &after))
            .filter(R::id_column().eq(id))
            .filter(R::version_column().eq(R::version_of(&before)));
        let result = update
            .exec(&self.transaction)
            .await
            .map_err(|error| self.refused::<R>(error))?;
        if result.rows_affected != 1 {
            self.contended = true;
            return Err(Problem::unavailable(
                "Others are changing the same row. Try again.",
            ));
        }
        Ok(after)
    }

    /// Changes every row that fits, in the same way, each with its event; a few statements however many rows there are.
    /// What is deleted so is a tombstone, as of [`UnitOfWork::remove`].
    pub async fn update_all<R: Resource>(
        &mut self,
        which: impl IntoCondition,
        verb: Verb,
        edit: impl Fn(&mut Row<R>) -> Result<(), Problem>,
    ) -> Result<Vec<Row<R>>, Problem> {
        let select = R::Entity::find()
            .filter(which.into_condition())
            .order_by_asc(R::id_column())
            .lock(LockType::NoKeyUpdate);
        let rows = self.all(select).await?;
        let mut changed = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            changed.extend(self.update_batch::<R>(batch, verb, &edit).await?);
        }
        Ok(changed)
    }

    async fn update_batch<R: Resource>(
        &mut self,
        batch: &[Row<R>],
        verb: Verb,
        edit: &impl Fn(&mut Row<R>) -> Result<(), Problem>,
    ) -> Result<Vec<Row<R>>, Problem> {
        let moment = clock::now();
        let (mut events, mut ids, mut rows) = (Vec::new(), Vec::new(), Vec::<Row<R>>::new());
        let mut changes = <ActiveRow<R> as ActiveModelTrait>::default();
        for before in batch {
            let mut after = before.clone();
            edit(&mut after)?;
            self.stamp_change::<R>(&mut after, moment);
            self.count(R::event_type(verb));
            let transition = match verb {
                Verb::Deleted => Transition::Deletion(before, &after),
                _ => Transition::Change(before, &after),
            };
            events.push(event::event_of::<R>(
                self.origin,
                verb,
                &transition,
                moment,
            )?);
            ids.push(R::id_of(&after));
            merge_changes::<R>(&mut changes, before, &after)?;
            rows.push(after);
        }
        if rows.is_empty() {
            return Ok(rows);
        }
        changes.not_set(R::version_column());
        let insert = events::Entity::insert_many(events);
        insert
            .exec_without_returning(&self.transaction)
            .await
            .map_err(|error| self.unrecorded(error))?;
        let update = R::Entity::update_many()
            .set(changes)
            .col_expr(
                R::version_column(),
                Expr::col(R::version_column()).add(1_i64),
            )
            .filter(R::id_column().is_in(ids));
        update
            .exec(&self.transaction)
            .await
            .map_err(|error| self.refused::<R>(error))?;
        Ok(rows)
    }

    /// Waits until no other transaction holds this number, and holds it to the end. SQLite has one writer anyway.
    pub async fn alone(&mut self, number: i64) -> Result<(), Problem> {
        if self.transaction.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let lock = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [number.into()],
        );
        let result = self.transaction.query_one_raw(lock).await;
        result.map(drop).map_err(|error| self.failed(error))
    }

    /// Reads one row within the transaction.
    pub async fn one<E: EntityTrait>(
        &mut self,
        select: Select<E>,
    ) -> Result<Option<E::Model>, Problem> {
        let result = select.one(&self.transaction).await;
        result.map_err(|error| self.failed(error))
    }

    /// Reads rows within the transaction.
    pub async fn all<E: EntityTrait>(
        &mut self,
        select: Select<E>,
    ) -> Result<Vec<E::Model>, Problem> {
        let result = select.all(&self.transaction).await;
        result.map_err(|error| self.failed(error))
    }

    /// The transaction itself, for what the core keeps beside audited rows.
    pub(crate) fn transaction(&self) -> &(impl ConnectionTrait + use<'_>) {
        &self.transaction
    }

    /// Notes a failed statement: whether to run the whole again, and what the caller is told.
    pub(crate) fn failed(&mut self, error: DbErr) -> Problem {
        self.contended |= classify(&error) == Fault::Contention;
        error.into()
    }

    fn stamp_change<R: Resource>(&self, row: &mut Row<R>, moment: DateTime<Utc>) {
        let stamps = R::stamps(row);
        *stamps.version += 1;
        *stamps.updated_at = moment.fixed_offset();
        *stamps.updated_by = self.origin.user_id;
    }

    async fn record<R: Resource>(
        &mut self,
        verb: Verb,
        transition: &Transition<'_, Row<R>>,
        moment: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let event = event::event_of::<R>(self.origin, verb, transition, moment)?;
        self.count(R::event_type(verb));
        let insert = events::Entity::insert(event)
            .exec_without_returning(&self.transaction)
            .await;
        insert.map(|_| ()).map_err(|error| self.unrecorded(error))
    }

    fn count(&mut self, event_type: String) {
        *self.written.entry(event_type).or_default() += 1;
    }

    /// An event that is there already means that another writer of the aggregate was faster.
    fn unrecorded(&mut self, error: DbErr) -> Problem {
        if matches!(classify(&error), Fault::Unique(_)) {
            self.contended = true;
            return Problem::unavailable("Others are changing the same row. Try again.");
        }
        self.failed(error)
    }

    /// A row that a unique constraint refused names the field to blame.
    fn refused<R: Resource>(&mut self, error: DbErr) -> Problem {
        let Fault::Unique(constraint) = classify(&error) else {
            return self.failed(error);
        };
        match R::UNIQUE
            .iter()
            .find(|(columns, _)| names_constraint::<R>(&constraint, &columns.join("_")))
        {
            Some((_, field)) => {
                let detail = format!("Another {} has this {field} already.", R::AGGREGATE);
                Problem::new(Kind::AlreadyExists, detail.clone()).field(
                    format!("/{field}"),
                    "already-exists",
                    detail,
                )
            }
            None => Problem::internal(error),
        }
    }
}

/// Whether the database's words mean the unique constraint on these columns (joined by `_`): PostgreSQL gives its name,
/// `<table>_<columns>_key`; SQLite the columns, `UNIQUE constraint failed: <table>.<column>, <table>.<column>`.
fn names_constraint<R: Resource>(words: &str, columns: &str) -> bool {
    let table = R::table();
    let listed = words
        .rsplit(": ")
        .next()
        .unwrap_or(words)
        .replace(&format!("{table}."), "")
        .replace(", ", "_");
    words == format!("{table}_{columns}_key") || listed == columns
}

/// What an update sets: the columns that differ.
fn changes<R: Resource>(before: &Row<R>, after: &Row<R>) -> ActiveRow<R> {
    let mut changes = <ActiveRow<R> as ActiveModelTrait>::default();
    for column in <Column<R>>::iter().filter(|column| before.get(*column) != after.get(*column)) {
        changes.set(column, after.get(column));
    }
    changes
}

/// Adds what one row of a batch changes; the batch is one statement, so every row has to change to the same values.
fn merge_changes<R: Resource>(
    changes: &mut ActiveRow<R>,
    before: &Row<R>,
    after: &Row<R>,
) -> Result<(), Problem> {
    let version = R::version_column().into_identity();
    for column in <Column<R>>::iter().filter(|column| before.get(*column) != after.get(*column)) {
        let value = after.get(column);
        let known = changes.get(column).into_value();
        if known.is_some_and(|known| known != value) && column.into_identity() != version {
            return Err(Problem::internal(
                "rows of one batch were changed to different values",
            ));
        }
        changes.set(column, value);
    }
    Ok(())
}
