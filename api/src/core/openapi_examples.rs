//! Examples for the OpenAPI document, made from its schemas so that they cannot disagree with them.

use serde_json::{Map, Value, json};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const MOMENT: &str = "2030-01-31T12:00:00.000000Z";

/// Values of plain fields, by name.
fn by_name(name: &str) -> Option<Value> {
    let text = match name {
        "name" => "Example Ltd",
        "slug" => "example-ltd",
        "email" => "ada@example.com",
        "first_name" => "Ada",
        "last_name" => "Lovelace",
        "username" => "ada",
        "timezone" => "Europe/London",
        "language" => "en",
        "subscription_tier" => "free",
        "city" => "London",
        "country" => "United Kingdom",
        "state" => "Greater London",
        "job_title" => "Engineer",
        "department" => "Research",
        "key" => "rbk_0f1e2d3c4b5a6978_00112233445566778899aabbccddeeff0011223344556677_1a2b3c4d",
        "key_id" => "0f1e2d3c4b5a6978",
        "key_prefix" => "rbk_0f1e2d3c",
        "event_type" => "ORGANIZATION.CREATED",
        "aggregate_type" => "organization",
        "source" => "api",
        "correlation_id" | "causation_id" => ID,
        "ip_address" | "last_used_ip" => "192.0.2.1",
        "user_agent" | "last_used_user_agent" => "curl/8.5.0",
        "next_cursor" => "WyJvcmdhbml6YXRpb25zIiwiMDE4OTBhNWQiXQ",
        "status_text" => "ok",
        "permissions" => return Some(json!({"events:read": true})),
        "scopes" => return Some(json!(["organizations:read", "memberships:read"])),
        "metadata" | "settings" | "preferences" => return Some(json!({"theme": "dark"})),
        "tags" => return Some(json!({"organization": ID})),
        "data" => {
            return Some(
                json!({"old": {"name": "Sample Ltd", "version": 1}, "new": {"name": "Example Ltd", "version": 2}}),
            );
        }
        "aggregate_version" | "version" => return None,
        _ => return None,
    };
    Some(text.into())
}

/// A value that fits the schema; `name` is the field that it is for.
pub fn example(name: &str, schema: &Value, schemas: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.rsplit('/').next().unwrap_or_default();
        return match by_name(name) {
            Some(value) => value,
            None => example(name, &schemas[target], schemas),
        };
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[key].as_array() {
            let choice = choices.iter().find(|choice| choice["type"] != "null");
            return choice.map_or(Value::Null, |choice| example(name, choice, schemas));
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.first().cloned().unwrap_or(Value::Null);
    }
    if let Some(value) = schema["examples"]
        .as_array()
        .and_then(|examples| examples.first())
    {
        return value.clone();
    }
    of_type(name, schema, schemas)
}

fn of_type(name: &str, schema: &Value, schemas: &Value) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .find(|kind| **kind != "null")
            .and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match (kind, schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => ID.into(),
        (Some("string"), Some("date-time")) => MOMENT.into(),
        (Some("string"), _) => by_name(name).unwrap_or_else(|| "text".into()),
        (Some("integer"), _) => schema["default"].as_i64().unwrap_or(1).into(),
        (Some("number"), _) => json!(1),
        (Some("boolean"), _) => json!(false),
        (Some("array"), _) => {
            by_name(name).unwrap_or_else(|| json!([example("", &schema["items"], schemas)]))
        }
        (Some("object"), _) => object(name, schema, schemas),
        _ => Value::Null,
    }
}

fn object(name: &str, schema: &Value, schemas: &Value) -> Value {
    if let Some(value) = by_name(name) {
        return value;
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let members = properties.map(|(name, schema)| (name.clone(), example(name, schema, schemas)));
    Value::Object(members.collect::<Map<_, _>>())
}
