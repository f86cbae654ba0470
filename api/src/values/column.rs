//! The types that a resource's columns can be declared with: how a parsed value is stored, how it leaves, and how a merge
//! patch changes it. What `#[resource]` makes asks for all of it here.

use std::fmt::Debug;

use sea_orm::prelude::Json;
use sea_orm::{ActiveModelTrait, IdenStatic, Iterable, TryIntoModel};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    Array, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use uuid::Uuid;

use crate::problem::Problem;
use crate::values::json::JsonObject;
use crate::values::merge_patch;
use crate::values::scope::{Permissions, Scope, ScopeList};

/// A type that a column of a resource can be declared with.
#[diagnostic::on_unimplemented(
    message = "a column cannot be declared as `{Self}`",
    label = "no type of a column",
    note = "text has the types of `rollbook::values::text`, such as `Name` and `Line100`; an enumeration needs `enum_column!`"
)]
pub trait ColumnType: Sized {
    /// Whether there may be no value.
    const NULLABLE: bool = false;
    /// What is said of every merge patch of such a column.
    const PATCHING: Option<&'static str> = None;
    /// What the entity has in this place.
    type Stored: Into<sea_orm::Value>;
    /// What an answer shows.
    type Shown: Serialize + Debug;

    /// The value as the entity has it.
    fn store(self) -> Self::Stored;

    /// The value as an answer shows it, taken out of a row that is not needed any more.
    fn show(stored: &mut Self::Stored) -> Self::Shown;

    /// Changes the column called `name` as a merge patch does.
    ///
    /// # Errors
    /// Where what comes of it is more than the column takes.
    fn patch(self, name: &str, stored: &mut Self::Stored) -> Result<(), Problem> {
        let _ = name;
        *stored = self.store();
        Ok(())
    }

    /// What an answer shows, for the OpenAPI document.
    fn shown_schema(description: &str) -> RefOr<Schema>;

    /// The named schemas that [`ColumnType::shown_schema`] refers to.
    fn components(_: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// A column that may be null.
impl<C: ColumnType> ColumnType for Option<C>
where
    Option<C::Stored>: Into<sea_orm::Value>,
{
    const NULLABLE: bool = true;
    type Stored = Option<C::Stored>;
    type Shown = Option<C::Shown>;

    fn store(self) -> Self::Stored {
        self.map(C::store)
    }

    fn show(stored: &mut Self::Stored) -> Self::Shown {
        stored.take().map(|mut value| C::show(&mut value))
    }

    fn shown_schema(description: &str) -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
        match C::shown_schema(description) {
            RefOr::T(Schema::Object(mut object)) if object.enum_values.is_none() => {
                if let SchemaType::Type(kind) = object.schema_type {
                    object.schema_type = SchemaType::from_iter([kind, Type::Null]);
                }
                object.into()
            }
            other => OneOfBuilder::new().item(other).item(null).into(),
        }
    }

    fn components(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        C::components(schemas);
    }
}

/// The schema of a plain type.
pub fn plain(kind: Type, format: Option<KnownFormat>, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(kind))
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(description))
        .into()
}

/// What is stored and shown as it is.
macro_rules! as_it_is {
    ($($name:ty: $take:expr, $kind:expr, $format:expr;)*) => {$(
        impl ColumnType for $name {
            type Stored = Self;
            type Shown = Self;

            fn store(self) -> Self {
                self
            }

            fn show(stored: &mut Self) -> Self {
                $take(stored)
            }

            fn shown_schema(description: &str) -> RefOr<Schema> {
                plain($kind, $format, description)
            }
        }
    )*};
}

as_it_is! {
    Uuid: |id: &mut Uuid| *id, Type::String, Some(KnownFormat::Uuid);
    bool: |flag: &mut bool| *flag, Type::Boolean, None;
    i32: |number: &mut i32| *number, Type::Integer, Some(KnownFormat::Int32);
    i64: |number: &mut i64| *number, Type::Integer, Some(KnownFormat::Int64);
    // Text that the server makes: no request can have it.
    String: std::mem::take, Type::String, None;
}

/// What is stored as a JSON object, and merged.
macro_rules! json_objects {
    ($($name:ty: $patching:literal;)*) => {$(
        impl ColumnType for $name {
            const PATCHING: Option<&'static str> = Some($patching);
            type Stored = Json;
            type Shown = Json;

            fn store(self) -> Json {
                self.into()
            }

            fn show(stored: &mut Json) -> Json {
                stored.take()
            }

            fn patch(self, name: &str, stored: &mut Json) -> Result<(), Problem> {
                merge_patch::apply(name, &self.0, stored)
            }

            fn shown_schema(description: &str) -> RefOr<Schema> {
                plain(Type::Object, None, description)
            }
        }
    )*};
}

json_objects! {
    JsonObject: "merged, member by member";
    Permissions: "merged, scope by scope: `null` takes a scope away";
}

/// Scopes, as an array of their names.
impl ColumnType for ScopeList {
    type Stored = Json;
    type Shown = Json;

    fn store(self) -> Json {
        self.0.iter().map(Scope::to_string).collect()
    }

    fn show(stored: &mut Json) -> Json {
        stored.take()
    }

    fn shown_schema(description: &str) -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let mut array = Array::new(text);
        array.description = Some(description.to_owned());
        RefOr::T(Schema::Array(array))
    }
}

/// Implements [`ColumnType`] and `Field` for enumerations of the database, by their values.
#[macro_export]
macro_rules! enum_column {
    ($($name:ty),* $(,)?) => {
        $crate::enum_field!($($name),*);
        $(
            impl $crate::values::column::ColumnType for $name {
                type Stored = Self;
                type Shown = Self;

                fn store(self) -> Self {
                    self
                }

                fn show(stored: &mut Self) -> Self {
                    *stored
                }

                fn shown_schema(description: &str) -> $crate::kit::RefOrSchema {
                    $crate::values::input::described(<Self as $crate::values::input::Field>::schema(), description)
                }
            }
        )*
    };
}

/// A field of an answer, as the OpenAPI document has it.
pub struct ShownField {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether it is always there and never null.
    pub required: bool,
    /// What it shows.
    pub schema: RefOr<Schema>,
}

/// The schema of an answer with these fields.
pub fn view_schema<const FIELDS: usize>(
    description: &str,
    fields: [ShownField; FIELDS],
) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().description(Some(description));
    for field in fields {
        object = object.property(field.name, field.schema);
        if field.required {
            object = object.required(field.name);
        }
    }
    object.into()
}

/// The words of a field in an answer and in what makes a resource; `default` is what it has there unless it is given.
pub fn of_value(words: &str, unique: bool, default: Option<String>) -> String {
    let default = default.map(|value| format!("`{value}` unless given"));
    with_note(words, default.as_deref().or(unique.then_some("unique")))
}

/// The words of a field in a merge patch.
pub fn of_edit(words: &str, unique: bool, note: Option<&str>, admin: bool) -> String {
    let words = with_note(words, note.or(unique.then_some("unique")));
    match admin {
        true => format!("{words} System admins only."),
        false => words,
    }
}

/// The words of a filter: by its name, and by what is left out where it is not asked for.
pub fn of_filter(name: &str, without: Option<String>) -> String {
    let (of, what) = match (name, name.strip_suffix("_id")) {
        ("status", _) => ("in", "state".to_owned()),
        (_, Some(kind)) => ("of", kind.replace('_', " ")),
        (name, None) => ("with", name.replace('_', " ")),
    };
    match without {
        Some(value) => {
            format!("Those {of} this {what}; without it, those that are not {value}.")
        }
        None => format!("Those {of} this {what}."),
    }
}

/// A value of an enumeration as JSON has it.
pub fn name_of(value: &impl Serialize) -> Option<String> {
    let value = serde_json::to_value(value).ok()?;
    value.as_str().map(str::to_owned)
}

fn with_note(words: &str, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{}; {note}.", words.trim_end_matches('.')),
        None => words.to_owned(),
    }
}

/// Sets a column of a row to be by its name.
pub fn set<A: ActiveModelTrait>(row: &mut A, name: &str, value: impl Into<sea_orm::Value>) {
    use sea_orm::EntityTrait;
    let column = <A::Entity as EntityTrait>::Column::iter().find(|column| column.as_str() == name);
    if let Some(column) = column {
        row.set(column, value.into());
    }
}

/// The row whose columns were all set.
///
/// # Errors
/// `internal` where one was not.
pub fn row<A: ActiveModelTrait + TryIntoModel<M>, M: sea_orm::ModelTrait>(
    row: A,
) -> Result<M, Problem> {
    row.try_into_model().map_err(Problem::internal)
}
