//! Makes the schemas of the OpenAPI document say all that is true of what the server takes and gives.

use serde_json::{Map, Value, json};

use super::openapi_components::reference;

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
    known["NewMembership"] = either_id_or_email(&known["NewMembership"]);
    known["NewApiKey"] = personal_or_organizations(&known["NewApiKey"]);
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

/// A membership is for someone with an id or for someone with an e-mail address.
fn either_id_or_email(membership: &Value) -> Value {
    let only = |wanted: &str, other: &str| {
        let mut schema = membership.clone();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove(other);
        }
        require(&mut schema, wanted);
        schema
    };
    let choices = [
        titled("By user id", only("user_id", "email")),
        titled("By e-mail address", only("email", "user_id")),
    ];
    json!({"description": membership["description"], "oneOf": choices})
}

/// A key of an organization names it; a personal one may.
fn personal_or_organizations(key: &Value) -> Value {
    let mut personal = key.clone();
    let mut organizations = key.clone();
    let kind = |values: Value, types: Value| json!({"type": types, "enum": values, "description": key["properties"]["key_type"]["description"]});
    personal["properties"]["key_type"] = kind(json!(["personal", null]), json!(["string", "null"]));
    organizations["properties"]["key_type"] = kind(json!(["organization"]), "string".into());
    organizations["properties"]["organization_id"]["type"] = "string".into();
    require(&mut organizations, "key_type");
    require(&mut organizations, "organization_id");
    let choices = [
        titled("A personal key", personal),
        titled("A key of an organization", organizations),
    ];
    json!({"description": key["description"], "oneOf": choices})
}

fn titled(title: &str, mut schema: Value) -> Value {
    schema["title"] = title.into();
    schema
}
