//! What the OpenAPI document says, and that the tests know all of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Backend, Stage, collections, mutations};

/// Every operation of the document: its method, its path and what is said of it.
pub fn operations(document: &Value) -> Vec<(reqwest::Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method = method.to_uppercase().parse().expect("a method");
            operations.push((method, path.clone(), operation.clone()));
        }
    }
    assert!(
        operations.len() > 25,
        "the document has all of its operations"
    );
    operations
}

#[test]
fn every_mutating_route_has_a_case() {
    let table = mutations::all();
    let cases: BTreeSet<_> = table
        .iter()
        .map(|mutation| (mutation.method.to_string(), mutation.route.to_owned()))
        .collect();
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    let routes: BTreeSet<_> = operations(&document)
        .into_iter()
        .filter(|(method, ..)| !method.is_safe())
        .map(|(method, path, _)| (method.to_string(), path))
        .collect();
    let missing: Vec<_> = routes.difference(&cases).collect();
    assert!(
        missing.is_empty(),
        "no case in tests/src/mutations for {missing:?}"
    );
    let gone: Vec<_> = cases.difference(&routes).collect();
    assert!(
        gone.is_empty(),
        "cases in tests/src/mutations for routes that do not exist: {gone:?}"
    );
}

/// One whose collection is not known would be for keys of everything only.
#[test]
fn every_operation_needs_the_scope_of_its_collection() {
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    for (method, path, operation) in operations(&document) {
        let Some(rest) = path.strip_prefix("/v1/") else {
            continue;
        };
        let collection = rest.split('/').next().expect("a collection");
        let action = if method.is_safe() { "read" } else { "write" };
        let scope = format!("{collection}:{action}");
        assert_eq!(
            operation["security"],
            serde_json::json!([{"bearer": [scope]}, {"api_key": [scope]}]),
            "{method} {path}: is its resource in the product?"
        );
        assert_eq!(
            operation["tags"],
            serde_json::json!([collection]),
            "{method} {path}"
        );
    }
}

#[test]
fn the_committed_document_is_the_one_that_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let committed = fs::read_to_string(path).expect("docs/openapi.json; run `make docs`");
    let made = api::app::openapi(&api::Product::default()).expect("the document");
    let made = serde_json::to_string_pretty(&made).expect("its text");
    assert!(
        committed.trim_end() == made,
        "docs/openapi.json is not what the code makes; run `make docs`"
    );
}

/// Pages that are written by hand, and would go without what is new.
#[test]
fn the_pages_tell_of_every_collection_scope_and_field() {
    let page = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../docs")
            .join(name);
        fs::read_to_string(path).expect(name)
    };
    let (rest, concepts) = (page("rest.md"), page("concepts.md"));
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    for (method, path, operation) in operations(&document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        let body = resolved(&document, &content["schema"]);
        for name in body["properties"].as_object().into_iter().flatten() {
            let field = format!("`{}`", name.0);
            assert!(
                rest.contains(&field),
                "docs/rest.md: {method} {path}: {field}"
            );
        }
    }
    for collection in collections() {
        let path = format!("\n`/v1/{collection}`");
        assert!(rest.contains(&path), "docs/rest.md: a section of{path}");
        let scope = format!("`{collection}`");
        let scopes = |page: &str| {
            let mut passages = page
                .split("\n\n")
                .filter(|text| text.contains("`api-keys`"));
            passages.any(|text| text.contains(&scope))
        };
        assert!(scopes(&rest), "docs/rest.md: the scopes of {scope}");
        assert!(scopes(&concepts), "docs/concepts.md: the scopes of {scope}");
    }
    let count = format!("1 to {}, each once", api::values::scope::Scope::all().len());
    assert!(rest.contains(&count), "docs/rest.md: {count}");
}

/// What stops the stock generators of clients, or makes them drop an operation: a schema that contains itself, a choice
/// between objects, and an object of which nothing is said, which some take for one without members.
#[test]
fn every_schema_is_one_that_generators_of_clients_can_read() {
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut faults = Vec::new();
    for (name, schema) in schemas {
        look_for_riddles(name, schema, &mut faults);
        let mut seen = BTreeSet::new();
        collect_references(schema, schemas, &mut seen);
        if seen.contains(name.as_str()) {
            faults.push(format!("{name} contains itself"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn look_for_riddles(path: &str, schema: &Value, faults: &mut Vec<String>) {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let objects = choices.filter(|choice| choice.get("properties").is_some());
    if objects.count() > 1 {
        faults.push(format!("{path} is a choice between objects"));
    }
    let is_object = schema["type"] == "object"
        || schema["type"]
            .as_array()
            .is_some_and(|kinds| kinds.contains(&"object".into()));
    let says_nothing =
        schema.get("properties").is_none() && schema.get("additionalProperties").is_none();
    if is_object && says_nothing {
        faults.push(format!("{path} does not say what an object has"));
    }
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                look_for_riddles(&format!("{path}/{name}"), member, faults);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look_for_riddles(&format!("{path}/{index}"), item, faults);
            }
        }
        _ => {}
    }
}

fn collect_references<'a>(
    value: &'a Value,
    schemas: &'a serde_json::Map<String, Value>,
    seen: &mut BTreeSet<&'a str>,
) {
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|path| path.rsplit('/').next())
                && seen.insert(name)
            {
                collect_references(&schemas[name], schemas, seen);
            }
            members
                .values()
                .for_each(|member| collect_references(member, schemas, seen));
        }
        Value::Array(items) => {
            items
                .iter()
                .for_each(|item| collect_references(item, schemas, seen));
        }
        _ => {}
    }
}

#[test]
fn every_operation_shows_an_example_of_all_that_is_sent_and_answered() {
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    let mut without = Vec::new();
    for (method, path, operation) in operations(&document) {
        let mut look = |what: String, content: &Value| {
            for (media_type, media) in content.as_object().into_iter().flatten() {
                if !shows_an_example(media) {
                    without.push(format!("{method} {path}: {what} as {media_type}"));
                }
            }
        };
        look("the body".to_owned(), &operation["requestBody"]["content"]);
        let responses = operation["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{method} {path} succeeds somehow"
        );
        for (status, response) in responses {
            let response = resolved(&document, response);
            look(status.clone(), &response["content"]);
        }
    }
    assert!(without.is_empty(), "without an example: {without:#?}");
}

fn shows_an_example(media: &Value) -> bool {
    let examples = media["examples"].as_object();
    media
        .get("example")
        .is_some_and(|example| !example.is_null())
        || examples.is_some_and(|examples| !examples.is_empty())
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// A row cannot always have what another has: the document says so of making it, and of changing it.
#[rstest]
#[tokio::test]
async fn the_answer_to_what_another_has_is_in_the_document(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let admin = &stage.app.system_admin;
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    let documents = |method: &str, route: &str, answer: &tests::Answer| {
        let said = &document["paths"][route][method]["responses"][answer.status.to_string()];
        let said = &resolved(&document, said)["content"]["application/problem+json"]["examples"];
        assert!(answer.status < 500, "`UNIQUE` of its resource? {answer:?}");
        let slug = answer.json()["type"].as_str().map(str::to_owned);
        let slug = slug.and_then(|path| path.rsplit('/').next().map(str::to_owned));
        let known = answer.status < 300 || slug.is_some_and(|slug| said.get(slug).is_some());
        assert!(known, "{method} {route} does not say {answer:?}");
    };
    let mut conflicts = 0;
    for creation in collections()
        .iter()
        .filter_map(|name| mutations::creation(name))
    {
        let request = creation.prepare(&stage).await;
        let one = request.send().await.created();
        let again = request.send().await;
        documents("post", creation.route, &again);
        conflicts += usize::from(again.status == 409);
        let another = creation.prepare(&stage).await.send().await.created();
        let route = format!("{}/{{id}}", creation.route);
        let body = &document["paths"][&route]["patch"]["requestBody"]["content"];
        let body = resolved(&document, &body["application/json"]["schema"]);
        let fields = body["properties"].as_object().expect("fields").keys();
        for field in fields.filter(|field| !one[*field].is_null()) {
            let path = format!("{}/{}", creation.route, tests::id_of(&another));
            let answer = admin.patch(&path, json!({field: one[field]})).await;
            documents("patch", &route, &answer);
            conflicts += usize::from(answer.status == 409);
        }
    }
    assert!(conflicts > 4, "{conflicts}");
}

/// A reader who sends the example of a body is not told that it is malformed.
#[rstest]
#[tokio::test]
async fn the_examples_of_bodies_are_taken(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let document = api::app::openapi(&api::Product::default()).expect("the document");
    for mutation in mutations::all() {
        let operation = &document["paths"][mutation.route][mutation.method.as_str().to_lowercase()];
        for (media_type, media) in operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let request = mutation.prepare(&stage).await;
            let answer = stage
                .app
                .system_admin
                .request(mutation.method.clone(), &request.path)
                .header("Content-Type", media_type)
                .body(media["example"].to_string());
            let answer = tests::Answer::read(answer).await;
            assert!(
                ![400, 415, 422].contains(&answer.status) && answer.status < 500,
                "the example of {} {} as {media_type}: {answer:?}",
                mutation.method,
                mutation.route
            );
        }
    }
}
