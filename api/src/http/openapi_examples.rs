//! Examples for the OpenAPI document: what is sent is written down, what is answered is made from its schema.

use serde_json::{Value, json};

/// The id of the examples.
pub const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// Another one: the person who acts.
const ACTOR: &str = "01890a5d-5e2f-7a3b-9d41-0c7b8f4e6a21";
/// The id of the request of the examples.
pub const REQUEST_ID: &str = "01890a5e-0b7c-7c52-8f0e-64d1f3a9b2c8";
const MOMENT: &str = "2026-01-31T12:00:00.000000Z";
const LATER: &str = "2030-01-31T12:00:00.000000Z";

/// What a client sends: few fields, as in a first try.
fn sent(schema: &str) -> Option<Value> {
    Some(match schema {
        "NewOrganization" => {
            json!({"name": "Example Ltd", "slug": "example-ltd", "domain": "example.com", "city": "London", "settings": {"theme": "dark"}})
        }
        "EditOrganization" => {
            json!({"description": "We make examples.", "phone": null, "settings": {"theme": "light"}})
        }
        "NewUser" => {
            json!({"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "username": "ada", "timezone": "Europe/London"})
        }
        "EditUser" => {
            json!({"bio": "I wrote the first program.", "language": "en-GB", "preferences": {"theme": "dark"}})
        }
        "NewMembership" => {
            json!({"organization_id": ID, "email": "ada@example.com", "role": "member", "permissions": {"events:read": true}, "job_title": "Engineer"})
        }
        "EditMembership" => json!({"role": "admin", "department": "Research"}),
        "NewApiKey" => {
            json!({"name": "Nightly report", "scopes": ["organizations:read", "memberships:read"], "expires_at": LATER})
        }
        "EditApiKey" => json!({"name": "Weekly report", "status": "inactive"}),
        _ => return None,
    })
}

/// What an answer shows, by schema and field, where the field's name alone does not say it.
fn shown(schema: &str, field: &str) -> Option<Value> {
    Some(match (schema, field) {
        ("Membership", "left_at") | ("ApiKey" | "CreatedApiKey", "organization_id") => Value::Null,
        ("Event", "session_id" | "causation_id") => Value::Null,
        ("Event", "version") => "1".into(),
        ("Event", "aggregate_version") => 2.into(),
        ("Event", "organization_id" | "aggregate_id") => ID.into(),
        ("Event", "event_type") => "ORGANIZATION.UPDATED".into(),
        ("Event", "data") => {
            json!({"old": {"name": "Sample Ltd", "version": 1}, "new": {"name": "Example Ltd", "version": 2}})
        }
        ("Event", "metadata") => json!({"api_key_id": ACTOR}),
        ("Membership", "status") => "active".into(),
        ("Membership", "role") => "member".into(),
        ("User", "status") | ("Organization", "status") => "active".into(),
        ("ApiKey" | "CreatedApiKey", "name") => "Nightly report".into(),
        ("ApiKey" | "CreatedApiKey", "description") => Value::Null,
        ("ApiKey" | "CreatedApiKey", "expires_at") => LATER.into(),
        ("CreatedApiKey", "last_used_at" | "last_used_ip" | "last_used_user_agent") => Value::Null,
        ("CreatedApiKey", "usage_count") => 0.into(),
        ("Health", "status") => "ok".into(),
        _ => return None,
    })
}

/// What a field shows, by its name alone.
fn by_name(name: &str) -> Option<Value> {
    let text = match name {
        "name" => "Example Ltd",
        "slug" => "example-ltd",
        "description" => "We make examples.",
        "domain" => "example.com",
        "website" => "https://example.com/",
        "phone" => "+44 20 7946 0000",
        "email" => "ada@example.com",
        "first_name" => "Ada",
        "last_name" => "Lovelace",
        "username" => "ada",
        "bio" => "I wrote the first program.",
        "avatar_url" => "https://example.com/ada.png",
        "timezone" => "Europe/London",
        "language" => "en",
        "subscription_tier" => "free",
        "subscription_expires_at" => return Some(Value::Null),
        "address_line1" => "1 Example Street",
        "address_line2" => return Some(Value::Null),
        "city" => "London",
        "state" => return Some(Value::Null),
        "country" => "United Kingdom",
        "postal_code" => "N1 9GU",
        "job_title" => "Engineer",
        "department" => "Research",
        "key" => "rbk_0f1e2d3c4b5a6978_00112233445566778899aabbccddeeff0011223344556677_1a2b3c4d",
        "key_id" => "0f1e2d3c4b5a6978",
        "key_prefix" => "rbk_0f1e2d3c",
        "created_by" | "updated_by" | "invited_by" | "user_id" => ACTOR,
        "aggregate_type" => "organization",
        "source" => "api",
        "correlation_id" | "instance" => REQUEST_ID,
        "ip_address" | "last_used_ip" => "192.0.2.1",
        "user_agent" | "last_used_user_agent" => "curl/8.5.0",
        "next_cursor" => "WyJvcmdhbml6YXRpb25zIiwiMDE4OTBhNWQiXQ",
        "permissions" => return Some(json!({"events:read": true})),
        "scopes" => return Some(json!(["organizations:read", "memberships:read"])),
        "metadata" | "settings" | "preferences" => return Some(json!({"theme": "dark"})),
        "tags" => return Some(json!({"organization": ID})),
        _ => return None,
    };
    Some(text.into())
}

/// A value of a body of this schema, which is a reference.
pub fn example(schema: &Value, schemas: &Value) -> Value {
    value("", "", schema, schemas)
}

/// Gives a parameter an example. Only in a path it is one that a form is filled with: nobody wants every filter at once.
pub fn give_parameter_example(parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default();
    let known = match name {
        // Only a server can make one.
        "cursor" => return,
        "q" => "exam".into(),
        "from" => MOMENT.into(),
        "to" => LATER.into(),
        "event_type" | "tag" => return,
        name => value("", name, &parameter["schema"], &Value::Null),
    };
    if parameter["in"] == "path" {
        parameter["example"] = known;
    } else if parameter["schema"].get("enum").is_none() {
        parameter["schema"]["examples"] = json!([known]);
    }
}

fn value(owner: &str, name: &str, schema: &Value, schemas: &Value) -> Value {
    if let Some(known) = shown(owner, name) {
        return known;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.rsplit('/').next().unwrap_or_default();
        return match sent(target) {
            Some(value) => value,
            None => value(target, name, &schemas[target], schemas),
        };
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    if let Some(choice) = choices.into_iter().find(|choice| choice["type"] != "null") {
        return value(owner, name, choice, schemas);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    of_type(owner, name, schema, schemas)
}

fn of_type(owner: &str, name: &str, schema: &Value, schemas: &Value) -> Value {
    if let Some(known) = by_name(name) {
        return known;
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
        kind => Some(kind),
    };
    match (kind.and_then(Value::as_str), schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => ID.into(),
        (Some("string"), Some("date-time")) => MOMENT.into(),
        (Some("string"), _) => "text".into(),
        (Some("integer"), _) => schema.get("default").cloned().unwrap_or_else(|| 1.into()),
        (Some("boolean"), _) => true.into(),
        (Some("array"), _) => json!([value(owner, "", &schema["items"], schemas)]),
        (Some("object"), _) => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let members = properties
                .map(|(name, property)| (name.clone(), value(owner, name, property, schemas)));
            Value::Object(members.collect())
        }
        _ => Value::Null,
    }
}
