//! JSON objects that callers may fill as they like, and the one JSON form of a column's value.

use sea_orm::Value as ColumnValue;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};

use crate::values::clock;
use crate::values::input::{Fault, Field, pointer};

/// A free-form JSON object. Strings and names may hold anything but NUL, which PostgreSQL's `jsonb` cannot keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonObject(pub Map<String, Value>);

impl JsonObject {
    /// The object in the column, or an empty one where another program left something else.
    pub fn of(column: &Value) -> Self {
        Self(column.as_object().cloned().unwrap_or_default())
    }
}

impl From<JsonObject> for Value {
    fn from(object: JsonObject) -> Self {
        Value::Object(object.0)
    }
}

impl Field for JsonObject {
    fn present(value: &Value) -> Result<Self, Fault> {
        let Value::Object(members) = value else {
            return Err(Fault::wrong_type("an object", value));
        };
        if depth(value) > DEEPEST {
            let detail = format!("Must not be nested deeper than {DEEPEST} levels.");
            return Err(Fault::new("too-deep", detail));
        }
        if size(value) > LARGEST {
            return Err(Fault::new("too-large", too_large()));
        }
        if let Some(below) = nul_within(value) {
            return Err(Fault {
                below,
                ..Fault::new(
                    "invalid-text",
                    "Must not contain the character NUL (\\u0000).",
                )
            });
        }
        let mut members = members.clone();
        members.values_mut().for_each(normalize_numbers);
        Ok(Self(members))
    }

    fn schema() -> RefOr<Schema> {
        // A plain object: a recursive schema of all that JSON can be stops the generators of clients.
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([serde_json::json!({"theme": "dark"})])
            .into()
    }
}

/// How deep an object may be nested, itself counted: its events and the lists of these go some levels deeper, and many
/// readers of JSON give up at 128.
pub const DEEPEST: usize = 64;

/// How many bytes an object may have, written as JSON without spaces: 1 MiB. Each event of a change holds it twice.
pub const LARGEST: usize = 1_048_576;

/// What is wrong with an object that is larger.
pub fn too_large() -> String {
    format!("Must not be larger than {LARGEST} bytes of JSON, with what is there already.")
}

/// The bytes that a value has as JSON without spaces.
pub fn size(value: &Value) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        // A `Value` always has a JSON form.
        Err(_) => usize::MAX,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Numbers as PostgreSQL's `jsonb` gives them back: no `-0.0`, and no exponent where all digits are in front of the point.
/// Left as they came, they would be a change each time that they are sent.
fn normalize_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalize_numbers),
        Value::Object(members) => members.values_mut().for_each(normalize_numbers),
        Value::Number(number) if number.is_f64() => {
            if let Some(kept) = number.as_f64().and_then(as_kept) {
                *value = kept;
            }
        }
        _ => {}
    }
}

/// What stands for a number with a fraction or an exponent, if it is not kept as it came.
fn as_kept(number: f64) -> Option<Value> {
    if number == 0.0 {
        return Some(Value::from(0.0));
    }
    if !Value::from(number).to_string().contains('e') {
        return None;
    }
    // Without an exponent; a point is only in those that are small.
    let digits = number.to_string();
    let integer = digits.parse::<i64>().map(Value::from);
    integer
        .or_else(|_| digits.parse::<u64>().map(Value::from))
        .ok()
}

/// Where in the value a NUL is, as a JSON pointer.
fn nul_within(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| nul_within(item).map(|below| format!("/{index}{below}"))),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') {
                return Some(String::new());
            }
            nul_within(member).map(|below| format!("{}{below}", pointer("", name)))
        }),
        _ => None,
    }
}

/// A column's value as events show it: ids hyphenated, times in RFC 3339 with microseconds and `Z`, enums by their value.
pub fn of_column(value: ColumnValue) -> Result<Value, String> {
    Ok(match value {
        ColumnValue::Bool(value) => value.into(),
        ColumnValue::Int(value) => value.into(),
        ColumnValue::BigInt(value) => value.into(),
        ColumnValue::String(value) => value.into(),
        ColumnValue::Uuid(value) => value.map(|id| id.to_string()).into(),
        ColumnValue::Json(value) => value.map_or(Value::Null, |json| *json),
        ColumnValue::ChronoDateTimeUtc(value) => value.map(clock::rfc3339).into(),
        ColumnValue::ChronoDateTimeWithTimeZone(value) => {
            value.map(|moment| clock::rfc3339(moment.to_utc())).into()
        }
        ColumnValue::Enum(value) => enum_text(value).into(),
        other => return Err(format!("no JSON form is defined for {other:?}")),
    })
}

fn enum_text(value: sea_orm::sea_query::OptionEnum) -> Option<String> {
    match value {
        sea_orm::sea_query::OptionEnum::Some(value) => Some(value.value.to_string()),
        sea_orm::sea_query::OptionEnum::None(_) => None,
    }
}
