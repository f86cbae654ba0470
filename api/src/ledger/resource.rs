//! What the core has to know of an audited entity. One implementation per table, made in the resource's own file.

use chrono::{DateTime, FixedOffset};
use sea_orm::{
    Condition, EntityName, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait,
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::values::json;
use crate::values::scope::{Action, Collection, Scope};

/// The columns that every audited table has, for the unit of work to fill.
pub struct Stamps<'a> {
    /// The row's id.
    pub id: &'a mut Uuid,
    /// How often it was changed, its making included.
    pub version: &'a mut i64,
    /// When it was made.
    pub created_at: &'a mut DateTime<FixedOffset>,
    /// When it was changed last.
    pub updated_at: &'a mut DateTime<FixedOffset>,
    /// Who made it.
    pub created_by: &'a mut Option<Uuid>,
    /// Who changed it last.
    pub updated_by: &'a mut Option<Uuid>,
}

/// A row of a resource.
pub type Row<R> = <<R as Resource>::Entity as EntityTrait>::Model;
/// A row of a resource to be written.
pub type ActiveRow<R> = <<R as Resource>::Entity as EntityTrait>::ActiveModel;
/// A column of a resource.
pub type Column<R> = <<R as Resource>::Entity as EntityTrait>::Column;

/// Columns of which no two rows have the same values, and the field to blame.
pub type Unique = (&'static [&'static str], &'static str);

/// A column that names a row of another resource, with which the events are tagged.
pub struct Touched<C> {
    /// What the trail calls that resource.
    pub aggregate: &'static str,
    /// The column.
    pub column: C,
    /// Whether the row goes when that one is removed.
    pub goes: bool,
}

/// A resource of an audited table: written only by the unit of work, and each time with its event. Made by
/// [`#[resource]`](crate::resource) of the struct that leaves.
pub trait Resource: View + Sized + 'static {
    /// The table.
    type Entity: EntityTrait<
            Model: IntoActiveModel<ActiveRow<Self>> + PartialEq + Send + Sync,
            ActiveModel: Send,
        >;
    /// Its name in paths and scopes.
    const COLLECTION: Collection;
    /// What is in it, for the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// The scope that a key needs to read it.
    const READ: Scope = Scope::Of(Self::COLLECTION, Action::Read);
    /// The scope that a key needs to write it.
    const WRITE: Scope = Scope::Of(Self::COLLECTION, Action::Write);
    /// `aggregate_type` of its events, and its key among the tags.
    const AGGREGATE: &'static str;
    /// What one is called in a sentence.
    const NOUN: &'static str;
    /// The same with its article.
    const ONE: &'static str;
    /// What its events call the end of a row.
    const REMOVAL: Verb;
    /// The words of its own for what happens to it.
    const VERBS: &'static [Verb];
    /// Columns whose values never leave: events show `"[redacted]"`.
    const SECRETS: &'static [&'static str];
    /// Columns that change without an event and without a new version.
    const BOOKKEEPING: &'static [&'static str];
    /// Each unique constraint, the table's key aside.
    const UNIQUE: &'static [Unique];

    /// The columns that every audited table has.
    fn stamps(row: &mut Row<Self>) -> Stamps<'_>;
    /// The row's id.
    fn id_of(row: &Row<Self>) -> Uuid;
    /// Who made the row.
    fn author_of(row: &Row<Self>) -> Option<Uuid>;
    /// The row's version.
    fn version_of(row: &Row<Self>) -> i64;
    /// The column of the id.
    fn id_column() -> Column<Self>;
    /// The column of the version.
    fn version_column() -> Column<Self>;
    /// The organization that its events belong to.
    fn organization(row: &Row<Self>) -> Option<Uuid>;
    /// The column of that organization.
    fn organization_column() -> Option<Column<Self>>;
    /// What a row touches beside itself: kind and id of each.
    fn touches(row: &Row<Self>) -> Vec<(&'static str, Uuid)>;
    /// The columns by which it does.
    fn touched() -> Vec<Touched<Column<Self>>>;
    /// Whether the row is there only as the trace of one that was removed.
    fn is_gone(row: &Row<Self>) -> bool;
    /// The condition that rows are not gone.
    fn living() -> Condition;
    /// The table's name.
    fn table() -> String {
        Self::Entity::default().table_name().to_owned()
    }
    /// The verb's event type, such as `ORGANIZATION.CREATED`.
    fn event_type(verb: Verb) -> String {
        verb.event_type(Self::AGGREGATE)
    }
}

/// Implements the parts of [`Resource`] that are the same for every audited table.
#[macro_export]
macro_rules! audited_columns {
    () => {
        fn stamps(
            row: &mut $crate::ledger::resource::Row<Self>,
        ) -> $crate::ledger::resource::Stamps<'_> {
            $crate::ledger::resource::Stamps {
                id: &mut row.id,
                version: &mut row.version,
                created_at: &mut row.created_at,
                updated_at: &mut row.updated_at,
                created_by: &mut row.created_by,
                updated_by: &mut row.updated_by,
            }
        }

        fn id_of(row: &$crate::ledger::resource::Row<Self>) -> $crate::kit::uuid::Uuid {
            row.id
        }

        fn author_of(row: &$crate::ledger::resource::Row<Self>) -> Option<$crate::kit::uuid::Uuid> {
            row.created_by
        }

        fn version_of(row: &$crate::ledger::resource::Row<Self>) -> i64 {
            row.version
        }

        fn id_column() -> $crate::ledger::resource::Column<Self> {
            <$crate::ledger::resource::Column<Self>>::Id
        }

        fn version_column() -> $crate::ledger::resource::Column<Self> {
            <$crate::ledger::resource::Column<Self>>::Version
        }
    };
}

/// What leaves: a view of a row, with what an answer needs beside it.
pub trait View: Serialize {
    /// The collection's path, such as `/v1/organizations`.
    const PATH: &'static str;
    /// The resource's id, for `Location`.
    fn id(&self) -> Uuid;
    /// The resource's version, for `ETag`.
    fn version(&self) -> i64;
}

const REDACTED: &str = "[redacted]";

/// The row as its events show it: every column but bookkeeping, secrets redacted.
pub fn snapshot<R: Resource>(row: &Row<R>) -> Result<Map<String, Value>, Problem> {
    columns::<R>()
        .map(|column| shown::<R>(row, column))
        .collect()
}

/// Columns with their values, before and after.
pub type Difference = (Map<String, Value>, Map<String, Value>);

/// The columns whose values differ, before and after. Two different secrets both show as redacted, and are still there.
pub fn difference<R: Resource>(before: &Row<R>, after: &Row<R>) -> Result<Difference, Problem> {
    let (mut old, mut new) = (Map::new(), Map::new());
    for column in changed::<R>(before, after) {
        let (name, value) = shown::<R>(before, column)?;
        old.insert(name, value);
        let (name, value) = shown::<R>(after, column)?;
        new.insert(name, value);
    }
    Ok((old, new))
}

/// The audited columns whose values differ.
pub fn changed<R: Resource>(before: &Row<R>, after: &Row<R>) -> Vec<Column<R>> {
    columns::<R>()
        .filter(|column| before.get(*column) != after.get(*column))
        .collect()
}

fn columns<R: Resource>() -> impl Iterator<Item = Column<R>> {
    <Column<R>>::iter().filter(|column| !R::BOOKKEEPING.contains(&column.as_str()))
}

fn shown<R: Resource>(row: &Row<R>, column: Column<R>) -> Result<(String, Value), Problem> {
    let value = json::of_column(row.get(column)).map_err(Problem::internal)?;
    let value = if R::SECRETS.contains(&column.as_str()) && !value.is_null() {
        REDACTED.into()
    } else {
        value
    };
    Ok((column.as_str().to_owned(), value))
}
