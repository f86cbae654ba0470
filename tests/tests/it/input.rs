//! Bad input: the right problem with every fault named, nothing changed, and never a fault of the server's own.

mod arbitrary;
mod bodies;
mod fields;
mod forms;
mod headers;
mod json_values;
mod parameters;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tests::{Answer, Backend, TestApp, collections, content, id_of, mutations};

/// A server with one resource of each kind, and the operations that change them.
struct Stage {
    app: TestApp,
    connection: DatabaseConnection,
    operations: Vec<Operation>,
}

/// An operation of the OpenAPI document that takes a body, on a resource that exists.
struct Operation {
    method: Method,
    path: String,
    fields: BTreeMap<String, Field>,
}

/// What the OpenAPI document says of one field.
#[derive(Clone)]
struct Field {
    schema: Value,
    required: bool,
    nullable: bool,
}

impl Stage {
    async fn set(backend: Backend) -> Self {
        let stage = tests::Stage::set(backend).await;
        let (app, organization) = (&stage.app, stage.organization);
        let user = app.outsider().await;
        let membership = app.join(organization, &user, "member").await;
        let keys = format!("/v1/api-keys?user_id={}", user.user_id());
        let keys = app.system_admin.get(&keys).await.ok();
        let mut ids = BTreeMap::from([
            ("organizations".to_owned(), organization),
            ("users".to_owned(), user.user_id()),
            ("memberships".to_owned(), membership),
            ("api-keys".to_owned(), id_of(&keys["data"][0])),
        ]);
        for collection in collections() {
            if !ids.contains_key(&collection)
                && let Some(creation) = mutations::creation(&collection)
            {
                let made = creation.prepare(&stage).await.send().await.created();
                ids.insert(collection, id_of(&made));
            }
        }
        let document = app.anonymous().get("/openapi.json").await.ok();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let operation = &item[method.as_str().to_lowercase()];
                let content = &operation["requestBody"]["content"]["application/json"];
                if content.is_object() {
                    let collection = path.split('/').nth(2).expect("a collection");
                    operations.push(Operation {
                        method,
                        path: path.replace("{id}", &ids[collection].to_string()),
                        fields: fields(&document, &content["schema"]),
                    });
                }
            }
        }
        assert_eq!(operations.len(), 2 * ids.len(), "POST and PATCH each");
        Self {
            app: stage.app,
            connection: stage.connection,
            operations,
        }
    }

    async fn content(&self) -> Vec<String> {
        content(&self.connection).await
    }

    /// Sends the body as the system admin, who may do everything.
    async fn send(&self, operation: &Operation, body: Value) -> Answer {
        self.app
            .system_admin
            .send(operation.method.clone(), &operation.path, Some(body), &[])
            .await
    }
}

impl Operation {
    /// The fields that `wanted` chooses.
    fn fields_where(&self, wanted: impl Fn(&Field) -> bool) -> BTreeSet<String> {
        let fields = self.fields.iter();
        fields
            .filter(|(_, field)| wanted(field))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The fields that take text of a certain form.
    fn text_fields(&self) -> BTreeSet<String> {
        self.fields_where(|field| field.schema["pattern"].is_string())
    }
}

/// A body with the same value for each of these fields.
fn body_of(names: &BTreeSet<String>, value: &Value) -> Value {
    let members = names.iter().map(|name| (name.clone(), value.clone()));
    Value::Object(members.collect())
}

/// The pointers to these fields.
fn pointers_to(names: &BTreeSet<String>) -> BTreeSet<String> {
    names.iter().map(|name| format!("/{name}")).collect()
}

/// The pointers that the problem names, each once.
#[track_caller]
fn pointers(problem: &Value) -> BTreeSet<String> {
    let errors = problem["errors"].as_array().expect("errors");
    let pointers: BTreeSet<String> = errors
        .iter()
        .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
        .collect();
    assert_eq!(pointers.len(), errors.len(), "{problem}");
    assert!(
        errors
            .iter()
            .all(|error| error["code"].is_string() && error["detail"].is_string()),
        "{problem}"
    );
    pointers
}

/// The codes that the problem gives.
fn codes(problem: &Value) -> BTreeSet<&str> {
    let errors = problem["errors"].as_array().expect("errors").iter();
    errors
        .map(|error| error["code"].as_str().expect("a code"))
        .collect()
}

/// The fields of a body's schema; of alternatives, what any of them has.
fn fields(document: &Value, schema: &Value) -> BTreeMap<String, Field> {
    let name = schema["$ref"].as_str().expect("a named schema");
    let schema = &document["components"]["schemas"][name.rsplit('/').next().expect("a name")];
    let alternatives = match schema["oneOf"].as_array() {
        Some(alternatives) => alternatives.clone(),
        None => vec![schema.clone()],
    };
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    for alternative in &alternatives {
        for (name, schema) in alternative["properties"].as_object().expect("properties") {
            let nullable = is_nullable(schema);
            let field = fields.entry(name.clone()).or_insert_with(|| Field {
                schema: schema.clone(),
                required: true,
                nullable,
            });
            field.nullable |= nullable;
        }
    }
    for (name, field) in &mut fields {
        let requires = |schema: &Value| {
            let required = schema["required"].as_array();
            required.is_some_and(|required| required.contains(&json!(name)))
        };
        field.required = alternatives.iter().all(requires);
    }
    fields
}

fn is_nullable(schema: &Value) -> bool {
    let null = json!("null");
    let listed = |list: &Value| list.as_array().is_some_and(|list| list.contains(&null));
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    listed(&schema["type"]) || alternatives.into_iter().any(|one| one["type"] == null)
}
