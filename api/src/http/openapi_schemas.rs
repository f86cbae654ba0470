//! Makes the schemas of the OpenAPI document say all that is true of what the server takes and gives.

use serde_json::{Map, Value, json};

use crate::http::openapi_components::reference;

/// Completes the schemas that were collected from the routes.
pub fn tidy(schemas: &mut Value) {
    let Some(known) = schemas.as_object_mut() else {
        return;
    };
    for (name, schema) in known.iter_mut() {
        join_enums(schema);
        if let Some(item) = name.strip_prefix("Page_") {
            schema["properties"]["data"]["items"] = reference("schemas", item);
        }
    }
    join_created_key(known);
    known.values_mut().for_each(close_view);
    known.values_mut().for_each(open_objects);
}

/// A parameter cannot be null: what is not sent is absent.
pub fn tidy_parameter(parameter: &mut Value) {
    let schema = &mut parameter["schema"];
    let choices = schema.get("oneOf").and_then(Value::as_array);
    if let Some(choice) = choices.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        *schema = choice.clone();
    }
    let kinds = schema["type"].as_array().into_iter().flatten();
    if let Some(kind) = kinds.into_iter().find(|kind| **kind != "null").cloned() {
        schema["type"] = kind;
    }
}

/// An inline enum with a description comes as both of two schemas, the second of which is an object and fits no value.
fn join_enums(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for property in properties.values_mut() {
        let parts = property["allOf"].as_array().map(Vec::as_slice);
        if let Some([values, words]) = parts
            && values.get("enum").is_some()
        {
            let mut joined = values.clone();
            joined["description"] = words["description"].clone();
            *property = joined;
        }
    }
}

/// A new key is the key's view and one field more: one object, so that it can be closed.
fn join_created_key(schemas: &mut Map<String, Value>) {
    let mut joined = schemas["ApiKey"].clone();
    joined["description"] = schemas["CreatedApiKey"]["description"].clone();
    let parts = schemas["CreatedApiKey"]["allOf"].as_array();
    if let Some(own) = parts.and_then(|parts| parts.iter().find(|part| part.get("$ref").is_none()))
    {
        joined["properties"]["key"] = own["properties"]["key"].clone();
        require(&mut joined, "key");
        schemas.insert("CreatedApiKey".to_owned(), joined);
    }
}

/// What the server answers with has the fields that are listed and no others, and what may be null is never left out.
fn close_view(schema: &mut Value) {
    if schema.get("properties").is_none() || schema.get("additionalProperties").is_some() {
        return;
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let nullable: Vec<_> = properties
        .filter(|(_, property)| may_be_null(property))
        .map(|(name, _)| name.clone())
        .collect();
    for name in nullable {
        require(schema, &name);
    }
    schema["additionalProperties"] = false.into();
}

fn may_be_null(schema: &Value) -> bool {
    let kinds = schema["type"].as_array().into_iter().flatten();
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    kinds.into_iter().any(|kind| kind == "null")
        || choices.into_iter().any(|one| one["type"] == "null")
}

fn require(schema: &mut Value, field: &str) {
    match schema["required"].as_array_mut() {
        Some(required) if required.iter().any(|known| known == field) => {}
        Some(required) => required.push(field.into()),
        None => schema["required"] = json!([field]),
    }
}

/// An object of which nothing is said may have any members: without the word, generators of clients take it for one that
/// has none.
fn open_objects(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties
        .into_iter()
        .flatten()
        .map(|(_, property)| property)
    {
        let is_plain = property["type"] == "object" || may_be_object(property);
        if is_plain
            && property.get("properties").is_none()
            && property.get("additionalProperties").is_none()
        {
            property["additionalProperties"] = true.into();
        }
    }
}

fn may_be_object(schema: &Value) -> bool {
    let kinds = schema["type"].as_array().into_iter().flatten();
    kinds.into_iter().any(|kind| kind == "object")
}
