//! A resource as a part of a product: what the registry knows of it, by its type.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use entity::events;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, Condition, DatabaseExecutor, DbErr, IdenStatic, Iterable, ModelTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::access::tenancy::{Reason, all_rows};
use crate::collections::verbs::{self, Rules};
use crate::ledger::registry::{Part, Reference, Registered, Routed, Stored, references};
use crate::ledger::resource::{self, Column, Resource, Row, Unique};
use crate::ledger::unit_of_work::{BATCH, Record, UnitOfWork};
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::scope::Collection;

/// The resource as a part of a product.
pub fn part<R: Rules + Routed>() -> Part {
    Part {
        collection: R::COLLECTION,
        description: R::DESCRIPTION,
        routes: R::routes,
        resource: Some(Arc::new(Kind::<R>(PhantomData))),
    }
}

/// A resource of this type.
struct Kind<R>(PhantomData<fn() -> R>);

impl<R: Resource> Kind<R> {
    fn stored(row: &Row<R>) -> Stored {
        Stored {
            id: R::id_of(row),
            version: R::version_of(row),
            columns: Column::<R>::iter()
                .map(|column| (column.as_str(), row.get(column)))
                .collect(),
            shown: resource::snapshot::<R>(row),
        }
    }

    async fn held(work: &mut UnitOfWork<'_>, id: Uuid) -> Result<Option<Row<R>>, Problem> {
        let select = all_rows::<R::Entity>(Reason::System).filter(R::id_column().eq(id));
        work.one(select.lock(LockType::NoKeyUpdate)).await
    }
}

#[async_trait(?Send)]
impl<R: Rules> Registered for Kind<R> {
    fn collection(&self) -> Collection {
        R::COLLECTION
    }

    fn table(&self) -> String {
        R::table()
    }

    fn aggregate(&self) -> &'static str {
        R::AGGREGATE
    }

    fn removal(&self) -> Verb {
        R::REMOVAL
    }

    fn verbs(&self) -> &'static [Verb] {
        R::VERBS
    }

    fn columns(&self) -> Vec<&'static str> {
        Column::<R>::iter().map(|column| column.as_str()).collect()
    }

    fn secrets(&self) -> &'static [&'static str] {
        R::SECRETS
    }

    fn bookkeeping(&self) -> &'static [&'static str] {
        R::BOOKKEEPING
    }

    fn unique(&self) -> &'static [Unique] {
        R::UNIQUE
    }

    fn ties(&self) -> Vec<(&'static str, bool)> {
        let touched = R::touched().into_iter();
        touched
            .map(|touched| (touched.aggregate, touched.goes))
            .collect()
    }

    fn references(&self) -> Vec<Reference> {
        references::<R::Entity>()
    }

    async fn count(&self, database: DatabaseExecutor<'_>) -> Result<u64, DbErr> {
        all_rows::<R::Entity>(Reason::System).count(&database).await
    }

    async fn page(
        &self,
        database: DatabaseExecutor<'_>,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Stored>, DbErr> {
        let mut select = all_rows::<R::Entity>(Reason::System)
            .order_by_asc(R::id_column())
            .limit(limit);
        if let Some(last) = after {
            select = select.filter(R::id_column().gt(last));
        }
        Ok(select
            .all(&database)
            .await?
            .iter()
            .map(Self::stored)
            .collect())
    }

    async fn hold(&self, work: &mut UnitOfWork<'_>, id: Uuid) -> Result<Option<Stored>, Problem> {
        let row = Self::held(work, id).await?;
        Ok(row.as_ref().map(Self::stored))
    }

    async fn record_row(
        &self,
        work: &mut UnitOfWork<'_>,
        id: Uuid,
        record: Record,
    ) -> Result<events::Model, Problem> {
        let row = Self::held(work, id).await?.ok_or_else(Problem::not_found)?;
        work.record_row::<R>(&row, record).await
    }

    async fn record_end(
        &self,
        work: &mut UnitOfWork<'_>,
        last: events::Model,
        record: Record,
    ) -> Result<events::Model, Problem> {
        work.record_end::<R>(last, record).await
    }

    async fn is_within(
        &self,
        work: &mut UnitOfWork<'_>,
        organization: Option<Uuid>,
        id: Uuid,
    ) -> Result<bool, Problem> {
        R::is_within(work, organization, id).await
    }

    async fn remove_with(
        &self,
        work: &mut UnitOfWork<'_>,
        aggregate: &str,
        ids: &[Uuid],
    ) -> Result<Vec<Uuid>, Problem> {
        let touched = R::touched().into_iter();
        let going = touched.filter(|touched| touched.goes && touched.aggregate == aggregate);
        let going: Vec<_> = going.map(|touched| touched.column).collect();
        if going.is_empty() {
            return Ok(Vec::new());
        }
        let mut removed = Vec::new();
        for batch in ids.chunks(BATCH) {
            let mut which = Condition::any();
            for column in &going {
                which = which.add(column.is_in(batch.iter().copied()));
            }
            let rows = verbs::remove_all::<R>(work, which).await?;
            removed.extend(rows.iter().map(R::id_of));
        }
        Ok(removed)
    }
}
