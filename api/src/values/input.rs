//! Reading input: one pass over a body or a query that finds every fault at once, and the schema beside it.
//!
//! An input is declared with [`input!`](crate::input). Each field's type says what it takes ([`Field`]), so that a value
//! that exists is a value that is valid, and the OpenAPI document cannot promise anything else.

use serde_json::{Map, Value};
use utoipa::openapi::schema::{
    AdditionalProperties, Array, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, path::ParameterBuilder, path::ParameterIn};
use uuid::Uuid;

use crate::problem::FieldError;

/// Why a value was refused.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Path below the field, for a fault inside an object or an array; empty for the field itself.
    pub below: String,
    /// A stable, machine-readable code.
    pub code: &'static str,
    /// What is wrong and what is allowed.
    pub detail: String,
}

impl Fault {
    /// A fault of the field itself.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            below: String::new(),
            code,
            detail: detail.into(),
        }
    }

    /// The value has the wrong JSON type.
    pub fn wrong_type(wanted: &str, value: &Value) -> Self {
        let got = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Self::new("wrong-type", format!("Must be {wanted}, not {got}."))
    }
}

/// A type that an input's field can have.
pub trait Field: Sized {
    /// Whether the field must be there.
    const REQUIRED: bool = true;

    /// The value of a field that is absent.
    fn absent() -> Result<Self, Fault> {
        Err(Fault::new("required", "This field is required."))
    }

    /// The value of a field that is there.
    fn present(value: &Value) -> Result<Self, Fault>;

    /// What the field takes, for the OpenAPI document.
    fn schema() -> RefOr<Schema>;
}

/// What a body or a query is read into; implemented by [`input!`](crate::input).
pub trait Input: Sized {
    /// Reads it, or reports every fault to `fields`.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
    /// Its fields, for the OpenAPI document.
    fn properties() -> Vec<Property>;
}

/// One field of an input, as the OpenAPI document shows it.
pub struct Property {
    /// The name in JSON or in the query.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// What it takes.
    pub schema: RefOr<Schema>,
}

impl Property {
    /// A field of this type.
    pub fn of<F: Field>(name: &'static str, description: String) -> Self {
        Self {
            name,
            required: F::REQUIRED,
            description,
            schema: F::schema(),
        }
    }
}

/// The members of one JSON object while they are read.
pub struct Fields<'a> {
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Reads `T`, or says everything that is wrong, unknown fields included.
    pub fn parse<T: Input>(members: &'a Map<String, Value>) -> Result<T, Vec<FieldError>> {
        let mut fields = Self {
            members,
            known: Vec::new(),
            errors: Vec::new(),
        };
        let value = T::read(&mut fields);
        for name in members
            .keys()
            .filter(|name| !fields.known.contains(&name.as_str()))
        {
            fields.errors.push(FieldError {
                pointer: pointer("", name),
                code: "unknown-field",
                detail: format!(
                    "There is no such field here. Known: {}.",
                    fields.known.join(", ")
                ),
            });
        }
        match value {
            Some(value) if fields.errors.is_empty() => Ok(value),
            _ => Err(fields.errors),
        }
    }

    /// Reads one field; a fault is kept and the reading goes on.
    pub fn field<F: Field>(&mut self, name: &'static str) -> Option<F> {
        self.known.push(name);
        let result = match self.members.get(name) {
            None => F::absent(),
            Some(value) => F::present(value),
        };
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                let pointer = format!("{}{}", pointer("", name), fault.below);
                self.errors.push(FieldError {
                    pointer,
                    code: fault.code,
                    detail: fault.detail,
                });
                None
            }
        }
    }
}

/// `parent` with `name` as the next reference token of a JSON pointer (RFC 6901, section 3).
pub fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The schema of an object with exactly these fields.
pub fn object_schema(description: &str, properties: Vec<Property>) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new()
        .description(Some(description.trim()))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for property in properties {
        object = object.property(
            property.name,
            described(property.schema, &property.description),
        );
        if property.required {
            object = object.required(property.name);
        }
    }
    object.into()
}

/// The query parameters with exactly these names.
pub fn query_parameters(properties: Vec<Property>) -> Vec<utoipa::openapi::path::Parameter> {
    properties
        .into_iter()
        .map(|property| {
            ParameterBuilder::new()
                .name(property.name)
                .parameter_in(ParameterIn::Query)
                .description(Some(property.description.trim()))
                .required(if property.required {
                    utoipa::openapi::Required::True
                } else {
                    utoipa::openapi::Required::False
                })
                .schema(Some(property.schema))
                .build()
        })
        .collect()
}

/// The schema with these words.
pub fn described(schema: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    let description = description.trim();
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(description.to_owned());
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(description.to_owned());
            RefOr::T(Schema::Array(array))
        }
        RefOr::T(Schema::OneOf(mut choices)) => {
            choices.description = Some(description.to_owned());
            RefOr::T(Schema::OneOf(choices))
        }
        RefOr::Ref(mut reference) => {
            reference.description = description.to_owned();
            RefOr::Ref(reference)
        }
        other => other,
    }
}

/// The same schema, or null.
fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) if object.enum_values.is_none() => {
            if let SchemaType::Type(kind) = object.schema_type {
                object.schema_type = SchemaType::from_iter([kind, Type::Null]);
            }
            RefOr::T(Schema::Object(object))
        }
        other => RefOr::T(Schema::OneOf(
            utoipa::openapi::schema::OneOfBuilder::new()
                .item(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null)))
                .item(other)
                .build(),
        )),
    }
}

/// An optional field: absent and `null` both mean none.
impl<F: Field> Field for Option<F> {
    const REQUIRED: bool = false;

    fn absent() -> Result<Self, Fault> {
        Ok(None)
    }

    fn present(value: &Value) -> Result<Self, Fault> {
        match value {
            Value::Null => Ok(None),
            value => F::present(value).map(Some),
        }
    }

    fn schema() -> RefOr<Schema> {
        nullable(F::schema())
    }
}

/// A field of a merge patch: absent leaves the value as it is. `Patch<Option<F>>` takes `null`, `Patch<F>` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<F> {
    /// The field was not sent.
    #[default]
    Keep,
    /// The field was sent with this value.
    Set(F),
}

impl<F: Clone> Patch<F> {
    /// The value, if one was sent.
    pub fn value(&self) -> Option<&F> {
        match self {
            Patch::Keep => None,
            Patch::Set(value) => Some(value),
        }
    }

    /// Whether a value was sent.
    pub fn is_set(&self) -> bool {
        self.value().is_some()
    }
}

impl<F: PartialEq> Patch<F> {
    /// Whether this value was sent.
    pub fn is(&self, wanted: F) -> bool {
        matches!(self, Patch::Set(value) if *value == wanted)
    }
}

impl<F: Field> Field for Patch<F> {
    const REQUIRED: bool = false;

    fn absent() -> Result<Self, Fault> {
        Ok(Self::Keep)
    }

    fn present(value: &Value) -> Result<Self, Fault> {
        F::present(value).map(Self::Set)
    }

    fn schema() -> RefOr<Schema> {
        F::schema()
    }
}

/// A query parameter that may be repeated.
impl<F: Field> Field for Vec<F> {
    const REQUIRED: bool = false;

    fn absent() -> Result<Self, Fault> {
        Ok(Vec::new())
    }

    fn present(value: &Value) -> Result<Self, Fault> {
        match value {
            Value::Array(items) => items.iter().map(F::present).collect(),
            one => Ok(vec![F::present(one)?]),
        }
    }

    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Array(Array::new(F::schema())))
    }
}

impl Field for Uuid {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::String(text) = value else {
            return Err(Fault::wrong_type("a UUID in a string", value));
        };
        parse_id(text).ok_or_else(|| {
            Fault::new(
                "invalid-id",
                "Must be a UUID, hyphenated: 8-4-4-4-12 hexadecimal digits.",
            )
        })
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .into()
    }
}

/// A hyphenated UUID; the other forms that the library reads (braces, URN, no hyphens) are not ids here.
pub fn parse_id(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

/// Implements [`Field`] for enums of the schema, by their values in JSON.
#[macro_export]
macro_rules! enum_field {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::values::input::Field for $name {
            fn present(value: &$crate::kit::serde_json::Value) -> Result<Self, $crate::values::input::Fault> {
                if !value.is_string() {
                    return Err($crate::values::input::Fault::wrong_type("a string", value));
                }
                $crate::kit::serde::Deserialize::deserialize(value).map_err(|_| $crate::values::input::unknown_value::<$name>())
            }

            fn schema() -> $crate::kit::RefOrSchema {
                <$name as $crate::kit::utoipa::PartialSchema>::schema()
            }
        }
    )*};
}

/// The fault of an enum's value that is not one of its values.
pub fn unknown_value<T: utoipa::PartialSchema>() -> Fault {
    let values = match T::schema() {
        RefOr::T(Schema::Object(object)) => object.enum_values.unwrap_or_default(),
        _ => Vec::new(),
    };
    let values = values
        .iter()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    Fault::new("unknown-value", format!("Must be one of: {values}."))
}

/// Declares what a body or a query is made of: the struct, its reading and its schema.
///
/// Each field's documentation is its description in the OpenAPI document.
#[macro_export]
macro_rules! input {
    ($(#[doc = $doc:literal])* $visibility:vis struct $name:ident {
        $($(#[doc = $field_doc:literal])* $field_visibility:vis $field:ident: $kind:ty,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        $visibility struct $name { $($(#[doc = $field_doc])* $field_visibility $field: $kind,)* }

        impl $crate::values::input::Input for $name {
            fn read(fields: &mut $crate::values::input::Fields<'_>) -> Option<Self> {
                $(let $field = fields.field::<$kind>(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }

            fn properties() -> Vec<$crate::values::input::Property> {
                vec![$($crate::values::input::Property::of::<$kind>(
                    stringify!($field),
                    concat!($($field_doc, "\n",)*).to_owned(),
                ),)*]
            }
        }

        $crate::input_schema!($name, concat!($($doc, "\n",)*));
    };
}

/// What the OpenAPI document says of a body or a query.
#[doc(hidden)]
#[macro_export]
macro_rules! input_schema {
    ($name:ident, $doc:expr) => {
        impl $crate::kit::utoipa::PartialSchema for $name {
            fn schema()
            -> $crate::kit::utoipa::openapi::RefOr<$crate::kit::utoipa::openapi::schema::Schema>
            {
                use $crate::values::input::Input;
                $crate::values::input::object_schema($doc, Self::properties())
            }
        }

        impl $crate::kit::utoipa::ToSchema for $name {}

        impl $crate::kit::utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<$crate::kit::utoipa::openapi::path::ParameterIn>,
            ) -> Vec<$crate::kit::utoipa::openapi::path::Parameter> {
                use $crate::values::input::Input;
                $crate::values::input::query_parameters(Self::properties())
            }
        }
    };
}
