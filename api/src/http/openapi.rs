//! The OpenAPI document: what the routes declare, completed with what is the same everywhere.
//!
//! Routes say their path, their input and their success; the common parameters, headers, errors and examples are added
//! here, once, to each operation that has them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::http::openapi_components::{self as components, reference};
use crate::http::openapi_examples::{example, give_parameter_example};
use crate::http::openapi_schemas as schemas;
use crate::ledger::registry::Registry;
use crate::problem::{FieldError, Kind, ProblemDocument};
use crate::values::scope::{Action, Collection, Scope};

/// What an endpoint of the core says of itself where its body has a column of a unique set; gone from the document.
pub const MAY_REPEAT: &str = "x-may-repeat";

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

const DESCRIPTION: &str = "Organizations, users, memberships, API keys and an audit trail that an auditor believes: every \
change and its event are committed together or not at all.\n\nEvery error is a problem document (RFC 9457); its `type` is a \
path with a page that explains it. A method that a path does not take gets 405, with the methods that it takes in `Allow`. \
Lists are paged by `limit` and `cursor`. PATCH takes a JSON merge patch (RFC 7396). A POST with an `Idempotency-Key` takes \
effect once, however often it is sent. What you may not see does not exist for you: 404.";

/// What belongs to no collection.
const SYSTEM: (&str, &str) = ("system", "The server itself. Needs no key.");

fn titled(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}

/// The document before any route is known.
pub fn base(name: &str, registry: &Registry) -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("API key")
        .description(Some("An API key, as `Authorization: Bearer rbk_…`."));
    let api_key = ApiKeyValue::with_description("X-Api-Key", "An API key, as `X-Api-Key: rbk_…`.");
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()))
        .security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(api_key)))
        .schema("Problem", ProblemDocument::schema())
        .schema("FieldError", FieldError::schema());
    let mut license = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    let info = InfoBuilder::new()
        .title(titled(name))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license));
    let server = ServerBuilder::new()
        .url("/")
        .description(Some("The server that this document came from."));
    let collections = registry.parts().iter();
    let collections = collections.map(|part| (part.collection.name(), part.description));
    let tags = collections.chain([SYSTEM]).map(|(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    });
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server.build()]))
        .tags(Some(tags))
        .components(Some(components.build()))
        .build()
}

/// The methods of each path, as `Allow` lists them.
pub fn methods(document: &Value) -> BTreeMap<String, Vec<&'static str>> {
    let mut methods = BTreeMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
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
    schemas::tidy(&mut document["components"]["schemas"]);
    document["components"]["headers"] = components::headers();
    document["components"]["parameters"] = components::parameters();
    document["components"]["examples"] = components::problem_examples();
    let known = document["components"]["schemas"].clone();
    let mut responses = json!({});
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get_mut(method) else {
                continue;
            };
            let description = Operation::of(path, method, operation, &known);
            description.complete(operation, &known);
            for (status, kinds) in description.problems() {
                let name = components::response_name(&kinds);
                operation["responses"][status.to_string()] = reference("responses", &name);
                responses[name] = components::problem_response(&kinds);
            }
        }
    }
    document["components"]["responses"] = responses;
    Ok(document)
}

struct Operation {
    id: String,
    path: String,
    method: &'static str,
    has_body: bool,
    /// Whether its body says which organization it is about.
    names_organization: bool,
    /// Whether its body has what may be there already.
    may_repeat: bool,
    /// None where no key is needed.
    scope: Option<Scope>,
}

impl Operation {
    fn of(path: &str, method: &'static str, operation: &Value, schemas: &Value) -> Self {
        let action = match method {
            "get" => Action::Read,
            _ => Action::Write,
        };
        // As authentication has it: what belongs to no collection is for keys that may be used for everything.
        let scope = path
            .strip_prefix("/v1")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|path| {
                Collection::of_path(path)
                    .map_or(Scope::All, |collection| Scope::Of(collection, action))
            });
        Self {
            id: operation["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            path: path.to_owned(),
            method,
            has_body: operation.get("requestBody").is_some(),
            may_repeat: operation[MAY_REPEAT] == true,
            names_organization: !body_field(operation, schemas, "organization_id").is_null(),
            scope,
        }
    }

    fn names_one(&self) -> bool {
        self.path.contains('{')
    }

    fn reads_one(&self) -> bool {
        self.method == "get" && self.names_one() && self.scope.is_some()
    }

    fn complete(&self, operation: &mut Value, schemas: &Value) {
        if let Some(members) = operation.as_object_mut() {
            members.remove(MAY_REPEAT);
        }
        self.complete_security(operation);
        self.complete_words(operation);
        self.complete_parameters(operation);
        self.complete_body(operation, schemas);
        self.complete_success(operation, schemas);
    }

    /// Either header, with a key that has the scope (OpenAPI 3.1 lets any scheme name what it needs).
    fn complete_security(&self, operation: &mut Value) {
        operation["security"] = match self.scope {
            None => json!([]),
            Some(scope) => {
                let scopes = [scope.to_string()];
                json!([{"bearer": scopes}, {"api_key": scopes}])
            }
        };
    }

    /// The first sentence of a route's documentation is its summary, the whole its description.
    fn complete_words(&self, operation: &mut Value) {
        let words = [&operation["summary"], &operation["description"]];
        let words = words.into_iter().filter_map(Value::as_str);
        let words = words.collect::<Vec<_>>().join("\n\n").replace(".\n", ". ");
        let summary = words.split(". ").next().unwrap_or_default();
        let needs = match self.scope {
            Some(scope) => format!("Needs a key with the scope `{scope}`."),
            None => "Needs no key.".to_owned(),
        };
        operation["summary"] = summary.trim_end_matches('.').into();
        operation["description"] = format!("{words}\n\n{needs}").into();
    }

    fn complete_parameters(&self, operation: &mut Value) {
        let mut parameters = match operation["parameters"].take() {
            Value::Array(parameters) => parameters,
            _ => Vec::new(),
        };
        for parameter in &mut parameters {
            schemas::tidy_parameter(parameter);
            give_parameter_example(parameter);
        }
        let common: &[&str] = match self.method {
            _ if self.scope.is_none() => &[],
            "post" => &["Idempotency-Key", "X-Correlation-Id", "X-Causation-Id"],
            "patch" | "delete" => &["If-Match", "X-Correlation-Id", "X-Causation-Id"],
            _ if self.names_one() => &["If-None-Match"],
            _ => &[],
        };
        let ids = self.scope.map(|_| "X-Request-Id");
        let common = common.iter().copied().chain(ids);
        parameters.extend(common.map(|name| reference("parameters", name)));
        operation["parameters"] = Value::Array(parameters);
    }

    fn complete_body(&self, operation: &mut Value, schemas: &Value) {
        let content = operation.pointer_mut("/requestBody/content");
        let Some(content) = content.and_then(Value::as_object_mut) else {
            return;
        };
        if let Some(media) = content.get_mut("application/json") {
            media["example"] = example(&media["schema"], schemas);
            let media = media.clone();
            if self.method == "patch" {
                content.insert("application/merge-patch+json".to_owned(), media);
            }
        }
        operation["requestBody"]["required"] = true.into();
    }

    fn complete_success(&self, operation: &mut Value, schemas: &Value) {
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            response["headers"] = components::header_references(self.success_headers(status));
            if status == "201" {
                response["links"] = self.links();
            }
            let description = match status.as_str() {
                "201" => "Created",
                "204" => "Done; there is nothing to show",
                _ => "OK",
            };
            response["description"] = description.into();
            if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
                for (media_type, media) in content {
                    media["example"] = match media_type.as_str() {
                        "application/json" => example(&media["schema"], schemas),
                        _ => components::text_example(&self.path),
                    };
                }
            }
        }
        if self.reads_one() {
            let headers = components::header_references(&["Cache-Control", "ETag", "X-Request-Id"]);
            let unchanged =
                json!({"description": "`If-None-Match` names its version", "headers": headers});
            operation["responses"]["304"] = unchanged;
        }
    }

    /// What can be done next with what was created, by its id.
    fn links(&self) -> Value {
        let id = json!({"id": "$response.body#/id"});
        let one = self.id.strip_prefix("create_").unwrap_or_default();
        let links = ["read", "update", "delete"].map(|verb| {
            let operation = format!("{verb}_{one}");
            let link = json!({"operationId": operation, "parameters": id});
            (operation, link)
        });
        Value::Object(links.into_iter().collect())
    }

    fn success_headers(&self, status: &str) -> &'static [&'static str] {
        match (self.method, status) {
            _ if self.scope.is_none() => &["Cache-Control", "X-Request-Id"],
            (_, "201") => &[
                "Cache-Control",
                "ETag",
                "Location",
                "Idempotency-Replayed",
                "X-Request-Id",
            ],
            ("patch", _) => &["Cache-Control", "ETag", "X-Request-Id"],
            ("get", _) if self.names_one() => &["Cache-Control", "ETag", "X-Request-Id"],
            ("get", _) => &["Cache-Control", "Link", "X-Request-Id"],
            _ => &["Cache-Control", "X-Request-Id"],
        }
    }

    /// The problems that the operation can answer with, by status.
    fn problems(&self) -> BTreeMap<u16, Vec<Kind>> {
        let mut by_status = BTreeMap::<u16, Vec<Kind>>::new();
        let mut kinds = self.kinds();
        kinds.sort_by_key(|kind| Kind::ALL.iter().position(|known| known == kind));
        for kind in kinds {
            let status = kind.status().as_u16();
            by_status.entry(status).or_default().push(kind);
        }
        by_status
    }

    fn kinds(&self) -> Vec<Kind> {
        use Kind::*;
        if self.scope.is_none() {
            return match self.path.as_str() {
                "/readyz" => vec![Unavailable, Timeout],
                "/metrics" => vec![Internal],
                path if path.contains('{') => vec![NotFound],
                _ => Vec::new(),
            };
        }
        let mut kinds = vec![BadParameter, Unauthenticated, InsufficientScope];
        kinds.extend([MalformedRequest, RequestTimeout, HeadTooLarge]);
        kinds.extend([Internal, Unavailable, Timeout]);
        if self.method == "get" && !self.names_one() {
            kinds.push(BadCursor);
        }
        if self.names_one() || self.names_organization {
            kinds.push(NotFound);
        }
        if self.has_body {
            kinds.extend([MalformedJson, BodyTooLarge]);
            kinds.extend([UnsupportedMediaType, Invalid]);
        }
        match self.method {
            "post" => kinds.extend([Forbidden, IdempotencyInProgress, IdempotencyMismatch]),
            "patch" | "delete" => kinds.extend([Forbidden, VersionConflict]),
            _ => {}
        }
        kinds.extend(self.conflicts());
        kinds
    }

    /// The conflicts that come of what the operation is about.
    fn conflicts(&self) -> &'static [Kind] {
        use Kind::*;
        match self.id.as_str() {
            _ if self.may_repeat => &[AlreadyExists],
            "create_user" => &[AlreadyExists],
            "create_membership" => &[AlreadyExists, StateConflict],
            "update_user" => &[AlreadyExists, LastOwner, StateConflict],
            "update_membership" => &[LastOwner, StateConflict],
            "delete_user" | "delete_membership" => &[LastOwner],
            _ => &[],
        }
    }
}

/// The schema of a field of the body, null where there is none.
fn body_field<'a>(operation: &'a Value, schemas: &'a Value, name: &str) -> &'a Value {
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = match body["$ref"].as_str() {
        Some(reference) => &schemas[reference.rsplit('/').next().unwrap_or_default()],
        None => body,
    };
    &body["properties"][name]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Authentication refuses it to all keys but those for everything; the document does not say that it is open.
    #[test]
    fn what_belongs_to_no_collection_needs_a_key_for_everything() {
        for path in ["/v1/unknown", "/v1/unknown/{id}", "/v1"] {
            for method in METHODS {
                let mut operation = json!({});
                Operation::of(path, method, &operation, &Value::Null)
                    .complete_security(&mut operation);
                let security = json!([{"bearer": ["*"]}, {"api_key": ["*"]}]);
                assert_eq!(operation["security"], security, "{method} {path}");
            }
        }
        let mut operation = json!({});
        Operation::of("/v10/unknown", "get", &operation, &Value::Null)
            .complete_security(&mut operation);
        assert_eq!(operation["security"], json!([]));
    }
}
