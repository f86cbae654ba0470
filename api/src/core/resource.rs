//! What the core has to know of an audited entity. One implementation per table, made in the resource's own file.

use chrono::{DateTime, FixedOffset};
use sea_orm::{EntityTrait, IntoActiveModel, Iterable, ModelTrait};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::json;
use super::problem::Problem;
use super::verb::Verb;

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

/// An audited entity: written only by the unit of work, and each time with its event.
pub trait Resource:
    EntityTrait<Model: IntoActiveModel<Self::ActiveModel> + PartialEq + Send + Sync>
{
    /// `aggregate_type` of its events, and its key among the tags.
    const AGGREGATE: &'static str;
    /// What its events call the end of a row.
    const REMOVAL: Verb;
    /// Columns whose values never leave: events show `"[redacted]"`.
    const SECRETS: &'static [Self::Column];
    /// Columns that change without an event and without a new version.
    const BOOKKEEPING: &'static [Self::Column];
    /// The columns of each unique constraint, joined by `_`, and the field to blame.
    const UNIQUE: &'static [(&'static str, &'static str)];

    /// The columns that every audited table has.
    fn stamps(row: &mut Self::Model) -> Stamps<'_>;
    /// The row's id.
    fn id(row: &Self::Model) -> Uuid;
    /// The row's version.
    fn version(row: &Self::Model) -> i64;
    /// The column of the id.
    fn id_column() -> Self::Column;
    /// The column of the version.
    fn version_column() -> Self::Column;
    /// The organization that its events belong to.
    fn organization(row: &Self::Model) -> Option<Uuid>;
    /// What a row touches beside itself: kind and id of each.
    fn touches(row: &Self::Model) -> Vec<(&'static str, Uuid)>;
    /// The verb's event type, such as `ORGANIZATION.CREATED`.
    fn event_type(verb: Verb) -> String {
        format!("{}.{}", Self::AGGREGATE.to_uppercase(), verb.name())
    }
}

/// Implements the parts of [`Resource`] that are the same for every audited table.
#[macro_export]
macro_rules! audited_columns {
    () => {
        fn stamps(row: &mut Self::Model) -> $crate::core::resource::Stamps<'_> {
            $crate::core::resource::Stamps {
                id: &mut row.id,
                version: &mut row.version,
                created_at: &mut row.created_at,
                updated_at: &mut row.updated_at,
                created_by: &mut row.created_by,
                updated_by: &mut row.updated_by,
            }
        }

        fn id(row: &Self::Model) -> uuid::Uuid {
            row.id
        }

        fn version(row: &Self::Model) -> i64 {
            row.version
        }

        fn id_column() -> Self::Column {
            Self::Column::Id
        }

        fn version_column() -> Self::Column {
            Self::Column::Version
        }
    };
}

/// What leaves: a view of a row, with what an answer needs beside it.
pub trait View: Serialize {
    /// The collection's path, such as `/v1/organizations`.
    const COLLECTION: &'static str;
    /// The resource's id, for `Location`.
    fn id(&self) -> Uuid;
    /// The resource's version, for `ETag`.
    fn version(&self) -> i64;
}

/// Implements [`View`] for a struct with the fields `id` and `version`.
#[macro_export]
macro_rules! view {
    ($name:ty, $collection:literal) => {
        impl $crate::core::resource::View for $name {
            const COLLECTION: &'static str = $collection;

            fn id(&self) -> uuid::Uuid {
                self.id
            }

            fn version(&self) -> i64 {
                self.version
            }
        }
    };
}

const REDACTED: &str = "[redacted]";

/// The row as its events show it: every column but bookkeeping, secrets redacted.
pub fn snapshot<R: Resource>(row: &R::Model) -> Result<Map<String, Value>, Problem> {
    columns::<R>()
        .map(|column| shown::<R>(row, column))
        .collect()
}

/// Columns with their values, before and after.
pub type Difference = (Map<String, Value>, Map<String, Value>);

/// The columns whose values differ, before and after. Two different secrets both show as redacted, and are still there.
pub fn difference<R: Resource>(before: &R::Model, after: &R::Model) -> Result<Difference, Problem> {
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
pub fn changed<R: Resource>(before: &R::Model, after: &R::Model) -> Vec<R::Column> {
    columns::<R>()
        .filter(|column| before.get(*column) != after.get(*column))
        .collect()
}

fn columns<R: Resource>() -> impl Iterator<Item = R::Column> {
    R::Column::iter().filter(|column| !names::<R>(R::BOOKKEEPING, column))
}

fn names<R: Resource>(list: &[R::Column], column: &R::Column) -> bool {
    use sea_orm::IdenStatic;
    list.iter().any(|listed| listed.as_str() == column.as_str())
}

fn shown<R: Resource>(row: &R::Model, column: R::Column) -> Result<(String, Value), Problem> {
    use sea_orm::IdenStatic;
    let value = json::of_column(row.get(column)).map_err(Problem::internal)?;
    let value = if names::<R>(R::SECRETS, &column) && !value.is_null() {
        REDACTED.into()
    } else {
        value
    };
    Ok((column.as_str().to_owned(), value))
}
