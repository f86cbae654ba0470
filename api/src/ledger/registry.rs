//! What a product's API offers and what its database keeps, each named once: what has to know of every resource asks here.

use std::sync::Arc;

use async_trait::async_trait;
use entity::events;
use sea_orm::sea_query::TableRef;
use sea_orm::{
    DatabaseExecutor, DbErr, EntityTrait, IdenStatic, Identity, Iterable, ModelTrait,
    RelationTrait, Value,
};
use serde_json::Map;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::ledger::resource::{Resource, Row, Unique};
use crate::ledger::unit_of_work::{Record, UnitOfWork};
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::scope::Collection;

/// The parts of a product, in the order in which they were named.
#[derive(Clone, Default)]
pub struct Registry {
    parts: Vec<Part>,
}

/// What the API offers under one name below `/v1`.
#[derive(Clone)]
pub struct Part {
    /// Its name in paths and scopes.
    pub collection: Collection,
    /// What is in it, for the OpenAPI document.
    pub description: &'static str,
    /// Adds its routes.
    pub routes: fn(&mut ServiceConfig<'_>),
    /// What of it is kept in an audited table.
    pub resource: Option<Arc<dyn Registered>>,
}

/// The routes of a resource. Made by [`verbs!`](crate::verbs).
pub trait Routed {
    /// Adds them.
    fn routes(config: &mut ServiceConfig<'_>);
}

impl Registry {
    /// With one part more.
    pub fn with(mut self, part: Part) -> Self {
        part.collection.declare();
        self.parts.push(part);
        self
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The resources of audited tables.
    pub fn resources(&self) -> impl DoubleEndedIterator<Item = &dyn Registered> {
        self.parts
            .iter()
            .filter_map(|part| part.resource.as_deref())
    }

    /// Refuses a row that names one which is not there, or is another organization's; what it `named` before is not looked at
    /// again, nor its own organization, in which whoever writes it has a right.
    ///
    /// # Errors
    /// `not-found` for the column.
    pub async fn require_named<R: Resource>(
        &self,
        work: &mut UnitOfWork<'_>,
        before: &[Named],
        row: &Row<R>,
    ) -> Result<(), Problem> {
        for named in self::named::<R>(row) {
            if before.contains(&named) {
                continue;
            }
            let mut resources = self.resources();
            let found = resources.find(|resource| resource.aggregate() == named.aggregate);
            let resource = found.ok_or_else(|| {
                Problem::internal(format!("the product has no {}", named.aggregate))
            })?;
            if !resource
                .is_within(work, R::organization(row), named.id)
                .await?
            {
                return Err(Problem::not_found().naming(&format!("/{}", named.column)));
            }
        }
        Ok(())
    }

    /// Removes what goes with a row of this resource that was removed, and what goes with that, each with its event; a few
    /// statements for each resource, however many rows there are.
    ///
    /// # Errors
    /// Those of [`UnitOfWork::update_all`].
    pub async fn remove_what_goes_with<R: Resource>(
        &self,
        work: &mut UnitOfWork<'_>,
        id: Uuid,
    ) -> Result<(), Problem> {
        let mut removed = vec![(R::AGGREGATE, vec![id])];
        while let Some((aggregate, ids)) = removed.pop() {
            // What was named last knows of what was named before it.
            for resource in self.resources().rev() {
                let gone = resource.remove_with(work, aggregate, &ids).await?;
                if !gone.is_empty() {
                    removed.push((resource.aggregate(), gone));
                }
            }
        }
        Ok(())
    }
}

/// A row that another one names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    column: &'static str,
    aggregate: &'static str,
    id: Uuid,
}

/// What a row names of other resources, its own organization aside.
pub fn named<R: Resource>(row: &Row<R>) -> Vec<Named> {
    let own = R::organization_column().map(|column| column.as_str());
    let touched = R::touched().into_iter();
    let others = touched.filter(|touched| Some(touched.column.as_str()) != own);
    let named = others.filter_map(|touched| match row.get(touched.column) {
        Value::Uuid(id) => Some(Named {
            column: touched.column.as_str(),
            aggregate: touched.aggregate,
            id: id?,
        }),
        _ => None,
    });
    named.collect()
}

/// A column that names a row of another table by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that has the column.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table of the row that is named.
    pub target: String,
}

/// Every reference of a table, as the generated entity has it.
pub fn references<E: EntityTrait>() -> Vec<Reference> {
    fn name(table: &TableRef) -> Option<String> {
        match table {
            TableRef::Table(name, _) => Some(name.1.to_string()),
            _ => None,
        }
    }
    fn single(identity: &Identity) -> Option<String> {
        match identity {
            Identity::Unary(column) => Some(column.to_string()),
            _ => None,
        }
    }
    let relations = E::Relation::iter().map(|relation| relation.def());
    let owned = relations.filter(|relation| !relation.is_owner);
    let references = owned.filter_map(|relation| {
        Some(Reference {
            table: name(&relation.from_tbl)?,
            column: single(&relation.from_col)?,
            target: name(&relation.to_tbl)?,
        })
    });
    references.collect()
}

/// A row of a resource, whatever its type.
#[derive(Debug)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// All its columns, as they are.
    pub columns: Vec<(&'static str, Value)>,
    /// The row as its events show it.
    pub shown: Result<Map<String, serde_json::Value>, Problem>,
}

/// A resource of a product, whatever its type.
#[async_trait(?Send)]
pub trait Registered: Send + Sync {
    /// Its name in paths and scopes.
    fn collection(&self) -> Collection;
    /// Its table.
    fn table(&self) -> String;
    /// What the trail calls it.
    fn aggregate(&self) -> &'static str;
    /// What its events call the end of a row.
    fn removal(&self) -> Verb;
    /// The words of its own for what happens to it.
    fn verbs(&self) -> &'static [Verb];
    /// All its columns.
    fn columns(&self) -> Vec<&'static str>;
    /// Columns whose values never leave.
    fn secrets(&self) -> &'static [&'static str];
    /// Columns that change without an event.
    fn bookkeeping(&self) -> &'static [&'static str];
    /// Each unique constraint, the table's key aside.
    fn unique(&self) -> &'static [Unique];
    /// Of which kinds of rows it names some, and whether it goes with them.
    fn ties(&self) -> Vec<(&'static str, bool)>;
    /// What its rows refer to.
    fn references(&self) -> Vec<Reference>;
    /// How many rows there are, those that are gone included.
    async fn count(&self, database: DatabaseExecutor<'_>) -> Result<u64, DbErr>;
    /// Rows in the order of their ids, those that are gone included.
    async fn page(
        &self,
        database: DatabaseExecutor<'_>,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Stored>, DbErr>;
    /// The row with this id, whoever sees it, held to the end of the transaction.
    async fn hold(&self, work: &mut UnitOfWork<'_>, id: Uuid) -> Result<Option<Stored>, Problem>;
    /// Writes an event about the row with this id as it is; see [`UnitOfWork::record_row`].
    async fn record_row(
        &self,
        work: &mut UnitOfWork<'_>,
        id: Uuid,
        record: Record,
    ) -> Result<events::Model, Problem>;
    /// Writes the event of the end of a row that is gone; see [`UnitOfWork::record_end`].
    async fn record_end(
        &self,
        work: &mut UnitOfWork<'_>,
        last: events::Model,
        record: Record,
    ) -> Result<events::Model, Problem>;
    /// Whether rows of the organization may name the row with this id; see [`Rules::is_within`](crate::collections::verbs::Rules::is_within).
    async fn is_within(
        &self,
        work: &mut UnitOfWork<'_>,
        organization: Option<Uuid>,
        id: Uuid,
    ) -> Result<bool, Problem>;
    /// Removes the rows that go with some of another resource, and says which.
    async fn remove_with(
        &self,
        work: &mut UnitOfWork<'_>,
        aggregate: &str,
        ids: &[Uuid],
    ) -> Result<Vec<Uuid>, Problem>;
}

impl dyn Registered + '_ {
    /// The verb's event type, such as `ORGANIZATION.CREATED`.
    pub fn event_type(&self, verb: Verb) -> String {
        verb.event_type(self.aggregate())
    }
}
