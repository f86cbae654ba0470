//! The OpenAPI document: what the routes declare, completed with what is the same everywhere.
//!
//! Routes say their path, their input and their success; the common parameters, headers, errors and examples are added
//! here, once, to each operation that has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use super::json;
use super::openapi_examples::example;
use super::problem::{FieldError, Kind, ProblemDocument};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

const DESCRIPTION: &str = "Organizations, users, memberships, API keys and an audit trail that an auditor believes: every \
change and its event are committed together or not at all.\n\nEvery error is a problem document (RFC 9457); its `type` is a \
path with a page that explains it. Lists are paged by `limit` and `cursor`. PATCH takes a JSON merge patch (RFC 7396). A \
POST with an `Idempotency-Key` takes effect once, however often it is sent.";

/// The document before any route is known.
pub fn base() -> OpenApi {
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))),
        )
        .schema("Problem", ProblemDocument::schema())
        .schema("FieldError", FieldError::schema());
    for (name, schema) in json::schemas() {
        components = components.schema(name, schema);
    }
    let info = InfoBuilder::new()
        .title("Rollbook")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").build(),
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .build()
}

/// The methods of each path, as `Allow` lists them.
pub fn methods(document: &Value) -> BTreeMap<String, Vec<&'static str>> {
    let mut methods = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        let taken = METHODS
            .into_iter()
            .filter(|method| item.get(method).is_some())
            .flat_map(|method| match method {
                "get" => ["GET", "HEAD"].as_slice(),
                "post" => &["POST"],
                "put" => &["PUT"],
                "patch" => &["PATCH"],
                _ => &["DELETE"],
            });
        methods.insert(path.clone(), taken.copied().collect());
    }
    methods
}

/// The document with what is the same for every operation.
///
/// # Errors
/// Where the document has no JSON form.
pub fn complete(document: &OpenApi) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(document)?;
    alternatives(&mut document["components"]["schemas"]);
    document["components"]["responses"] = problem_responses();
    document["security"] = json!([{"bearer": []}, {"api_key": []}]);
    let schemas = document["components"]["schemas"].clone();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    Operation {
                        path,
                        method,
                        schemas: &schemas,
                    }
                    .complete(operation);
                }
            }
        }
    }
    Ok(document)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Inputs whose fields depend on each other: what a list of independent fields cannot say.
fn alternatives(schemas: &mut Value) {
    let without = |schema: &Value, field: &str| {
        let mut schema = schema.clone();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove(field);
        }
        schema
    };
    let require = |mut schema: Value, field: &str| {
        if let Some(required) = schema["required"].as_array_mut() {
            required.push(field.into());
        }
        schema
    };
    let membership = schemas["NewMembership"].clone();
    schemas["NewMembership"] = json!({
        "description": membership["description"],
        "oneOf": [
            require(without(&membership, "email"), "user_id"),
            require(without(&membership, "user_id"), "email"),
        ],
    });
    let key = schemas["NewApiKey"].clone();
    let mut organizations = require(require(key.clone(), "key_type"), "organization_id");
    organizations["properties"]["key_type"] = json!({"type": "string", "enum": ["organization"]});
    organizations["properties"]["organization_id"]["type"] = "string".into();
    let mut personal = key.clone();
    personal["properties"]["key_type"] =
        json!({"type": ["string", "null"], "enum": ["personal", null]});
    schemas["NewApiKey"] =
        json!({"description": key["description"], "oneOf": [personal, organizations]});
}

/// One response per status, with an example for each kind of problem that has it.
fn problem_responses() -> Value {
    let mut responses = Map::new();
    for kind in Kind::ALL {
        let status = kind.status();
        let response = responses
            .entry(response_name(status.as_u16()))
            .or_insert_with(|| {
                json!({
                    "description": status.canonical_reason().unwrap_or("Error"),
                    "headers": problem_headers(status.as_u16()),
                    "content": {"application/problem+json": {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }},
                })
            });
        response["content"]["application/problem+json"]["examples"][kind.slug()] =
            json!({"summary": kind.title(), "value": problem_example(*kind)});
    }
    Value::Object(responses)
}

fn response_name(status: u16) -> String {
    format!("Problem{status}")
}

fn problem_example(kind: Kind) -> Value {
    let mut problem = json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": kind.help(),
        "instance": "01890a5d-ac96-774b-bcce-b302099a8057",
    });
    let error = match kind {
        Kind::Invalid => Some((
            "/email",
            "invalid-email",
            "Must be an e-mail address such as name@example.com.",
        )),
        Kind::BadParameter => Some((
            "/limit",
            "out-of-range",
            "Must be a whole number from 1 to 200.",
        )),
        Kind::AlreadyExists => Some((
            "/slug",
            "already-exists",
            "Another organization has this slug already.",
        )),
        _ => None,
    };
    if let Some((pointer, code, detail)) = error {
        problem["errors"] = json!([{"pointer": pointer, "code": code, "detail": detail}]);
    }
    problem
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

fn problem_headers(status: u16) -> Value {
    let mut headers = json!({"X-Request-Id": header("The request's id.")});
    match status {
        401 => headers["WWW-Authenticate"] = header("How to authenticate."),
        405 => headers["Allow"] = header("The methods that the path takes."),
        503 => headers["Retry-After"] = header("Seconds to wait."),
        _ => {}
    }
    headers
}

struct Operation<'a> {
    path: &'a str,
    method: &'static str,
    schemas: &'a Value,
}

impl Operation<'_> {
    fn complete(&self, operation: &mut Value) {
        if self.is_public() {
            operation["security"] = json!([]);
        }
        for parameter in self.header_parameters() {
            match operation["parameters"].as_array_mut() {
                Some(parameters) => parameters.push(parameter),
                None => operation["parameters"] = json!([parameter]),
            }
        }
        self.complete_body(operation);
        self.complete_success(operation);
        for status in self.problems(operation) {
            let reference = format!("#/components/responses/{}", response_name(status));
            operation["responses"][status.to_string()] = json!({"$ref": reference});
        }
        if self.reads_one() {
            let headers = json!({"ETag": header("The resource's version."), "X-Request-Id": header("The request's id.")});
            operation["responses"]["304"] =
                json!({"description": "Not modified", "headers": headers});
        }
    }

    fn is_public(&self) -> bool {
        !self.path.starts_with("/v1/")
    }

    fn names_one(&self) -> bool {
        self.path.contains('{')
    }

    fn reads_one(&self) -> bool {
        self.method == "get" && self.names_one() && !self.is_public()
    }

    fn header_parameters(&self) -> Vec<Value> {
        let parameter = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
        let tags =
            json!({"type": "string", "pattern": r#"^(\*|"[0-9]{1,18}"(, ?"[0-9]{1,18}")*)$"#});
        match self.method {
            _ if self.is_public() => Vec::new(),
            "post" => vec![parameter(
                "Idempotency-Key",
                "A repeat with the same key and body within 24 hours gets the first answer again and changes nothing.",
                json!({"type": "string", "pattern": "^[\\x21-\\x7e]+$", "minLength": 1, "maxLength": 255}),
            )],
            "patch" | "delete" => {
                vec![parameter(
                    "If-Match",
                    "The version that is to be changed; any other gets 412.",
                    tags,
                )]
            }
            "get" if self.names_one() => {
                vec![parameter(
                    "If-None-Match",
                    "The version that is known; it gets 304.",
                    tags,
                )]
            }
            _ => Vec::new(),
        }
    }

    fn complete_body(&self, operation: &mut Value) {
        let Some(content) = operation["requestBody"]["content"].as_object_mut() else {
            return;
        };
        let Some(mut media) = content.remove("application/json") else {
            return;
        };
        media["example"] = example("", &media["schema"], self.schemas);
        if self.method == "patch" {
            content.insert("application/merge-patch+json".to_owned(), media.clone());
        }
        content.insert("application/json".to_owned(), media);
        operation["requestBody"]["required"] = true.into();
    }

    fn complete_success(&self, operation: &mut Value) {
        let Some(responses) = operation["responses"].as_object_mut() else {
            return;
        };
        for (status, response) in responses {
            let mut headers = json!({"X-Request-Id": header("The request's id.")});
            if !self.is_public() && (status == "201" || self.method == "patch" || self.reads_one())
            {
                headers["ETag"] = header("The resource's version.");
            }
            if status == "201" {
                headers["Location"] = header("The path of what was made.");
                headers["Idempotency-Replayed"] =
                    header("`true` where the answer was given before.");
            }
            if !self.is_public() && self.method == "get" && !self.names_one() {
                headers["Link"] = header("The next page, as `rel=\"next\"`.");
            }
            response["headers"] = headers;
            let description = match status.as_str() {
                "201" => "Created",
                "204" => "Done; there is nothing to show",
                _ => "OK",
            };
            response["description"] = description.into();
            for (media_type, media) in response["content"].as_object_mut().into_iter().flatten() {
                media["example"] = match media_type.as_str() {
                    "text/html" => "<!doctype html>\n<h1>Not found</h1>\n".into(),
                    "application/openmetrics-text" => {
                        "# TYPE rollbook_http_requests counter\n# EOF\n".into()
                    }
                    _ => example("", &media["schema"], self.schemas),
                };
            }
        }
    }

    /// The statuses of the problems that the operation can answer with.
    fn problems(&self, operation: &Value) -> Vec<u16> {
        if self.is_public() {
            return match self.path {
                "/readyz" => vec![503],
                path if path.contains('{') => vec![404],
                _ => Vec::new(),
            };
        }
        let mut statuses = vec![400, 401, 403, 500, 503, 504];
        let has_body = operation.get("requestBody").is_some();
        let names_others = operation["requestBody"].to_string();
        if self.names_one()
            || names_others.contains("NewMembership")
            || names_others.contains("NewApiKey")
        {
            statuses.push(404);
        }
        if has_body {
            statuses.extend([408, 413, 415, 422]);
        }
        if self.method != "get" {
            statuses.push(409);
        }
        if matches!(self.method, "patch" | "delete") {
            statuses.push(412);
        }
        statuses
    }
}
