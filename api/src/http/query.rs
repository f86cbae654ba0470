//! Query strings and ids in paths.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::problem::{FieldError, Kind, Problem};
use crate::values::input::{Fields, Input, parse_id, pointer};

/// A query string of this form. An unknown or a wrong parameter is refused, so that a mistyped filter is not a wider one.
pub struct Query<T>(pub T);

impl<T: Input> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let members = members(request.query_string());
        let mut errors = garbled(&members);
        match Fields::parse(&members) {
            Ok(query) if errors.is_empty() => return ready(Ok(Query(query))),
            Ok(_) => {}
            Err(others) => errors.extend(others),
        }
        errors.sort_by(|one, other| one.pointer.cmp(&other.pointer));
        errors.dedup_by(|one, other| one.pointer == other.pointer);
        ready(Err(Problem::faulty(Kind::BadParameter, errors)))
    }
}

/// The parameters that are not UTF-8. The decoder puts U+FFFD in place of what it cannot read, and nobody means that.
fn garbled(members: &Map<String, Value>) -> Vec<FieldError> {
    let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains('\u{fffd}'));
    let is_garbled = |(name, value): &(&String, &Value)| {
        name.contains('\u{fffd}')
            || holds(value)
            || value
                .as_array()
                .is_some_and(|values| values.iter().any(holds))
    };
    let garbled = members.iter().filter(is_garbled);
    garbled
        .map(|(name, _)| FieldError {
            pointer: pointer("", name),
            code: "invalid-text",
            detail: "Must be percent-encoded UTF-8.".to_owned(),
        })
        .collect()
}

/// The parameters by name; one that is repeated is an array.
fn members(query: &str) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = Value::String(value.into_owned());
        match members.get_mut(name.as_ref()) {
            None => {
                members.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    members
}

/// The `{id}` of a path. What is no id names nothing.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub Uuid);

impl FromRequest for Id {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(parse_id);
        ready(id.map(Id).ok_or_else(Problem::not_found))
    }
}
