//! The contract of a product's own resources, for whoever builds one: what Rollbook promises of its resources is tried on
//! theirs, over HTTP and on both backends. What is sent is made from the product's OpenAPI document and from its entities'
//! references, so that a resource is tried by being in the product.
//!
//! ```ignore
//! rollbook_tests::contract!(planner::product());
//! ```

use std::collections::BTreeSet;

use api::Product;
use api::ledger::registry::{Reference, Registered};
use api::ledger::verb::Verb;
use api::operations::doctor;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::{TestApp, id_of};
use crate::caller::{Answer, Caller};
use crate::database::{Backend, execute, text_rows};
use crate::stage::{Stage, email, unique};

/// Tries the contract of all that a product adds to Rollbook: a module of tests, each on both backends.
#[macro_export]
macro_rules! contract {
    ($product:expr) => {
        $crate::contract!($product;
            what_happens_is_told,
            a_repeated_request_takes_effect_once,
            a_wrong_request_changes_nothing,
            tenants_are_apart,
            a_failure_at_any_step_leaves_nothing,
            what_belongs_to_it_goes_with_it,
            a_change_past_the_api_is_told,
            what_is_declared_is_what_the_schema_has
        );
    };
    ($product:expr; $($check:ident),+) => {
        mod contract {
            use super::*;

            $(mod $check {
                use super::*;

                #[test]
                fn on_sqlite() {
                    $crate::contract::run($product, $crate::Backend::Sqlite, $crate::contract::$check);
                }

                #[test]
                fn on_postgres() {
                    $crate::contract::run($product, $crate::Backend::Postgres, $crate::contract::$check);
                }
            })+
        }
    };
}

/// Runs a check on a server of its own, and looks by `doctor` whether it left all in order.
pub fn run(product: Product, backend: Backend, check: impl AsyncFn(&Walk)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let walk = Walk::start(product, backend).await;
        assert!(
            walk.own().next().is_some(),
            "the product has no resource of its own"
        );
        check(&walk).await;
        walk.is_in_order().await;
    });
}

/// A server of the product, with two tenants that have nothing in common.
pub struct Walk {
    stage: Stage,
    document: Value,
    tenant: Tenant,
    other: Tenant,
}

/// An organization, and its owner.
struct Tenant {
    owner: Caller,
    organization: Uuid,
}

/// A row that was made.
struct Made {
    path: String,
    body: Value,
    row: Value,
}

impl Walk {
    async fn start(product: Product, backend: Backend) -> Self {
        let document = api::app::openapi(&product).expect("the document");
        let app = TestApp::start_product(product, backend).await;
        let stage = Stage::set_in(app).await;
        let owner = stage.app.outsider().await;
        Self {
            tenant: Tenant {
                owner: stage.owner.clone(),
                organization: stage.organization,
            },
            other: Tenant {
                organization: stage.app.organization(&owner).await,
                owner,
            },
            stage,
            document,
        }
    }

    /// What the product adds to Rollbook.
    fn own(&self) -> impl Iterator<Item = &dyn Registered> {
        let rollbook = Product::default();
        let known: Vec<_> = rollbook
            .registry
            .resources()
            .map(|one| one.aggregate())
            .collect();
        let all = self.stage.app.product.registry.resources();
        all.filter(move |resource| !known.contains(&resource.aggregate()))
    }

    /// Those of the resources that a request makes.
    fn made(&self) -> Vec<&dyn Registered> {
        let is_made = |one: &&dyn Registered| self.operation(*one, Method::POST).is_some();
        self.own().filter(is_made).collect()
    }

    async fn is_in_order(&self) {
        let product = &self.stage.app.product;
        let options = doctor::Options::default();
        let report = self.stage.app.database.examine(product, &options).await;
        let faults = report.results.iter().filter(|result| !result.passed);
        let faults: Vec<_> = faults
            .filter(|result| result.severity == api::operations::Severity::Error)
            .collect();
        assert!(faults.is_empty(), "doctor found: {faults:#?}");
    }

    fn operation(&self, resource: &dyn Registered, method: Method) -> Option<&Value> {
        let collection = resource.collection().name();
        let path = match method {
            Method::POST => format!("/v1/{collection}"),
            _ => format!("/v1/{collection}/{{id}}"),
        };
        self.document["paths"][path].get(method.as_str().to_lowercase())
    }

    /// The schema of what an operation takes.
    fn taken(&self, resource: &dyn Registered, method: Method) -> Option<&Value> {
        let operation = self.operation(resource, method)?;
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.document
            .pointer(schema["$ref"].as_str()?.strip_prefix('#')?)
    }

    /// What one can be made from: what is required and what is unique.
    async fn body(&self, tenant: &Tenant, resource: &dyn Registered) -> Value {
        let schema = self
            .taken(resource, Method::POST)
            .expect("what one is made from");
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.filter_map(Value::as_str);
        let unique = resource.unique().iter().flat_map(|(columns, _)| *columns);
        let mut body = Map::new();
        for name in required.chain(unique.copied()) {
            if let Some(property) = schema["properties"].get(name) {
                let value = self.value(tenant, resource, name, property).await;
                body.insert(name.to_owned(), value);
            }
        }
        Value::Object(body)
    }

    /// Makes one; where what is required alone will not do, with a row that it refers to.
    async fn make(&self, tenant: &Tenant, resource: &dyn Registered) -> Made {
        let body = self.body(tenant, resource).await;
        let path = format!("/v1/{}", resource.collection().name());
        let answer = tenant.owner.post(&path, body.clone()).await;
        if answer.status == 201 {
            return Made::of(path, body, &answer);
        }
        let own = references_of(resource);
        let schema = self
            .taken(resource, Method::POST)
            .expect("what one is made from");
        for reference in &own {
            let Some(property) = schema["properties"].get(&reference.column) else {
                continue;
            };
            if reference.target == resource.table() || body.get(&reference.column).is_some() {
                continue;
            }
            let mut body = body.clone();
            body[&reference.column] = self
                .value(tenant, resource, &reference.column, property)
                .await;
            let answer = tenant.owner.post(&path, body.clone()).await;
            if answer.status == 201 {
                return Made::of(path, body, &answer);
            }
        }
        panic!(
            "no {} can be made from {body}: {answer:?}",
            resource.aggregate()
        );
    }

    /// A value that the property takes: of a reference the id of such a row of the tenant.
    async fn value(
        &self,
        tenant: &Tenant,
        resource: &dyn Registered,
        name: &str,
        property: &Value,
    ) -> Value {
        let references = references_of(resource);
        let named = references.iter().find(|reference| reference.column == name);
        match named.map(|reference| reference.target.as_str()) {
            Some("organizations") => json!(tenant.organization),
            Some("users") => json!(tenant.owner.user_id()),
            Some(table) => {
                let mut all = self.stage.app.product.registry.resources();
                let target = all.find(|one| one.table() == table);
                let target = target.unwrap_or_else(|| panic!("the product has no table {table}"));
                Box::pin(self.make(tenant, target)).await.row["id"].clone()
            }
            None => any_value(property),
        }
    }
}

impl Made {
    fn of(collection: String, body: Value, answer: &Answer) -> Self {
        let row = answer.created();
        let path = format!("{collection}/{}", id_of(&row));
        assert_eq!(answer.header("location"), Some(path.as_str()));
        assert_eq!(answer.header("etag"), Some("\"1\""));
        Self { path, body, row }
    }

    fn id(&self) -> Uuid {
        id_of(&self.row)
    }
}

/// What a resource refers to, who made and changed it aside.
fn references_of(resource: &dyn Registered) -> Vec<Reference> {
    let mut references = resource.references();
    references
        .retain(|reference| !["created_by", "updated_by"].contains(&reference.column.as_str()));
    references
}

/// A value that a property without a reference takes.
fn any_value(property: &Value) -> Value {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    if let Some(choice) = choices.into_iter().find(|choice| choice["type"] != "null") {
        return any_value(choice);
    }
    if let Some(values) = property["enum"].as_array() {
        return values.last().cloned().unwrap_or_default();
    }
    let kind = match &property["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
        kind => Some(kind),
    };
    let known = property["examples"].get(0).cloned();
    match (kind.and_then(Value::as_str), property["format"].as_str()) {
        (Some("string"), None) => unique().into(),
        (Some("string"), Some("email")) => email().into(),
        (Some("string"), Some("date-time")) => "2030-01-31T12:00:00Z".into(),
        (Some("string"), _) => known.unwrap_or_else(|| unique().into()),
        (Some("integer"), _) => known.unwrap_or_else(|| 1.into()),
        (Some("boolean"), _) => true.into(),
        (Some("object"), _) => json!({"tried": true}),
        (Some("array"), _) => known.unwrap_or_else(|| json!([])),
        _ => Value::Null,
    }
}

/// Making, each change, and the end are answered, and told by one event each.
pub async fn what_happens_is_told(walk: &Walk) {
    for resource in walk.made() {
        let owner = &walk.tenant.owner;
        let made = walk.make(&walk.tenant, resource).await;
        assert_eq!(owner.get(&made.path).await.ok(), made.row);
        let listed = format!("/v1/{}?limit=200", resource.collection().name());
        let listed = owner.get(&listed).await.ok();
        let rows = listed["data"].as_array().expect("a page");
        assert!(rows.contains(&made.row), "{} is not listed", made.path);
        let mut told = vec!["CREATED".to_owned()];
        if walk.operation(resource, Method::PATCH).is_some() {
            change_each(walk, resource, &made, &mut told).await;
        }
        if walk.operation(resource, Method::DELETE).is_some() {
            owner.delete(&made.path).await.expect(204);
            owner.get(&made.path).await.is_problem(404, "not-found");
            owner.delete(&made.path).await.is_problem(404, "not-found");
            told.push(resource.removal().name().to_owned());
        }
        let events = walk.stage.app.events_of(made.id()).await;
        assert_eq!(events.len(), told.len(), "{events:#?}");
        for (index, (event, verb)) in events.iter().zip(&told).enumerate() {
            let family = format!("{}.", resource.aggregate().to_uppercase());
            let event_type = event["event_type"].as_str().unwrap_or_default();
            assert!(event_type.starts_with(&family), "{event}");
            // A change may have a word of its own.
            if verb != "UPDATED" {
                assert_eq!(event_type, format!("{family}{verb}"), "{event}");
            }
            assert_eq!(event["aggregate_version"], json!(index + 1), "{event}");
            assert_eq!(event["user_id"], json!(owner.user_id()), "{event}");
            assert_eq!(event["source"], "api", "{event}");
        }
    }
}

/// Each field of the merge patch alone: it is kept, and told with what it was.
async fn change_each(walk: &Walk, resource: &dyn Registered, made: &Made, told: &mut Vec<String>) {
    let owner = &walk.tenant.owner;
    let taken = walk
        .taken(resource, Method::PATCH)
        .expect("what changes one");
    for (name, property) in taken["properties"].as_object().into_iter().flatten() {
        let references = references_of(resource);
        let reference = references
            .iter()
            .find(|reference| reference.column == *name);
        // A row is no part of itself: which others fit is for the resource's own tests.
        if reference.is_some_and(|reference| reference.target == resource.table()) {
            continue;
        }
        let before = owner.get(&made.path).await.ok();
        let value = walk.value(&walk.tenant, resource, name, property).await;
        if before.get(name) == Some(&value) {
            continue;
        }
        let version = before["version"].as_i64().expect("a version");
        let answer = owner.patch(&made.path, json!({ name: value })).await;
        let after = answer.ok();
        assert_eq!(
            after["version"],
            json!(version + 1),
            "{name} of {}",
            made.path
        );
        assert_eq!(
            answer.header("etag"),
            Some(format!("\"{}\"", version + 1).as_str())
        );
        told.push("UPDATED".to_owned());
        let events = walk.stage.app.events_of(made.id()).await;
        let last = events.last().expect("an event");
        if let Some(old) = before.get(name) {
            assert_eq!(&last["data"]["old"][name], old, "{last}");
            assert_eq!(last["data"]["new"][name], after[name], "{last}");
        }
        let again = owner.patch(&made.path, json!({ name: value })).await.ok();
        assert_eq!(
            again["version"], after["version"],
            "{name} was changed to what it was"
        );
    }
}

/// The same request with the same `Idempotency-Key` gets the first answer.
pub async fn a_repeated_request_takes_effect_once(walk: &Walk) {
    for resource in walk.made() {
        let made = walk.make(&walk.tenant, resource).await;
        let mut body = made.body.clone();
        refresh(walk, resource, &mut body).await;
        let (key, path) = (unique(), format!("/v1/{}", resource.collection().name()));
        let headers = [("Idempotency-Key", key.as_str())];
        let owner = &walk.tenant.owner;
        let first = owner
            .send(Method::POST, &path, Some(body.clone()), &headers)
            .await;
        let before = walk.stage.snapshot().await;
        let again = owner.send(Method::POST, &path, Some(body), &headers).await;
        assert_eq!(again.created(), first.created());
        let after = walk.stage.snapshot().await;
        after.is_unchanged_since(&before, "a repeated request");
    }
}

/// New values for what is unique.
async fn refresh(walk: &Walk, resource: &dyn Registered, body: &mut Value) {
    let taken = walk
        .taken(resource, Method::POST)
        .expect("what one is made from");
    for name in resource.unique().iter().flat_map(|(columns, _)| *columns) {
        let is_reference = references_of(resource)
            .iter()
            .any(|reference| reference.column == *name);
        if let Some(property) = taken["properties"].get(name)
            && !is_reference
        {
            body[*name] = any_value(property);
        }
    }
}

/// Without a key, with a key for something else, with a field that there is not, of a version that is gone, of what is there
/// already: each is told, and nothing is changed.
pub async fn a_wrong_request_changes_nothing(walk: &Walk) {
    let app = &walk.stage.app;
    let owner = &walk.tenant.owner;
    let scopes = json!({"scopes": ["organizations:read"]});
    let elsewhere = app.key_for(owner.user_id(), scopes).await;
    for resource in walk.made() {
        let collection = format!("/v1/{}", resource.collection().name());
        let name = resource.collection().name();
        let scopes = json!({"scopes": [format!("{name}:read")]});
        let reader = app.key_for(owner.user_id(), scopes).await;
        let made = walk.make(&walk.tenant, resource).await;
        let before = walk.stage.snapshot().await;
        let anonymous = app.anonymous();
        anonymous
            .get(&made.path)
            .await
            .is_problem(401, "unauthenticated");
        let created = anonymous.post(&collection, made.body.clone()).await;
        created.is_problem(401, "unauthenticated");
        elsewhere
            .get(&made.path)
            .await
            .is_problem(403, "insufficient-scope");
        reader.get(&made.path).await.expect(200);
        let created = reader.post(&collection, made.body.clone()).await;
        created.is_problem(403, "insufficient-scope");
        let mut unknown = made.body.clone();
        unknown["no_such_field"] = 1.into();
        owner
            .post(&collection, unknown)
            .await
            .is_problem(422, "invalid");
        for given in ["id", "version", "created_by", "created_at"] {
            let mut set = made.body.clone();
            set[given] = made.row[given].clone();
            owner
                .post(&collection, set)
                .await
                .is_problem(422, "invalid");
        }
        if resource
            .unique()
            .iter()
            .any(|(columns, _)| columns.iter().all(|column| made.body.get(column).is_some()))
        {
            let again = owner.post(&collection, made.body.clone()).await;
            again.is_problem(409, "already-exists");
        }
        let stale = [("If-Match", "\"7\"")];
        for method in [Method::PATCH, Method::DELETE] {
            if walk.operation(resource, method.clone()).is_none() {
                continue;
            }
            let body = (method == Method::PATCH).then(|| json!({}));
            let answer = owner.send(method, &made.path, body, &stale).await;
            answer.is_problem(412, "version-conflict");
        }
        let after = walk.stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("a wrong request to {collection}"));
    }
}

/// What is another tenant's is answered like what never was, is in no list, and cannot be referred to.
pub async fn tenants_are_apart(walk: &Walk) {
    for resource in walk.made() {
        let collection = format!("/v1/{}", resource.collection().name());
        let stranger = &walk.other.owner;
        let made = walk.make(&walk.tenant, resource).await;
        let before = walk.stage.snapshot().await;
        let never = format!("{collection}/{}", Uuid::now_v7());
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            if walk.operation(resource, method.clone()).is_none() {
                continue;
            }
            let body = (method == Method::PATCH).then(|| json!({}));
            let headers = [("X-Request-Id", "the-same")];
            let theirs = stranger
                .send(method.clone(), &made.path, body.clone(), &headers)
                .await;
            let nobodys = stranger.send(method, &never, body, &headers).await;
            theirs.is_problem(404, "not-found");
            assert_eq!(theirs.text, nobodys.text);
        }
        let listed = stranger.get(&format!("{collection}?limit=200")).await.ok();
        let rows = listed["data"].as_array().expect("a page");
        assert!(
            !rows.contains(&made.row),
            "{} is in another's list",
            made.path
        );
        let created = stranger.post(&collection, made.body.clone()).await;
        assert!([403, 404].contains(&created.status), "{created:?}");
        let after = walk.stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("a stranger at {collection}"));
        refer_across(walk, resource, &made).await;
    }
}

/// Each reference, to another tenant's row.
async fn refer_across(walk: &Walk, resource: &dyn Registered, made: &Made) {
    let collection = format!("/v1/{}", resource.collection().name());
    let taken = walk
        .taken(resource, Method::POST)
        .expect("what one is made from");
    for reference in references_of(resource) {
        let Some(property) = taken["properties"].get(&reference.column) else {
            continue;
        };
        let theirs = walk
            .value(&walk.other, resource, &reference.column, property)
            .await;
        let mut body = made.body.clone();
        refresh(walk, resource, &mut body).await;
        body[&reference.column] = theirs.clone();
        let before = walk.stage.snapshot().await;
        let answer = walk.tenant.owner.post(&collection, body).await;
        let problem = answer.is_problem(404, "not-found");
        let pointer = format!("/{}", reference.column);
        assert_eq!(problem["errors"][0]["pointer"], json!(pointer), "{problem}");
        let edited = walk.taken(resource, Method::PATCH);
        let is_edited =
            edited.is_some_and(|edited| edited["properties"].get(&reference.column).is_some());
        if is_edited {
            let edit = json!({ reference.column.as_str(): theirs });
            let answer = walk.tenant.owner.patch(&made.path, edit).await;
            answer.is_problem(404, "not-found");
        }
        let after = walk.stage.snapshot().await;
        after.is_unchanged_since(
            &before,
            &format!("{collection} across the wall by {pointer}"),
        );
    }
}

/// A failure at each statement of each mutation: no row, no event.
pub async fn a_failure_at_any_step_leaves_nothing(walk: &Walk) {
    for resource in walk.made() {
        let collection = format!("/v1/{}", resource.collection().name());
        let made = walk.make(&walk.tenant, resource).await;
        let mut body = made.body.clone();
        refresh(walk, resource, &mut body).await;
        fails_everywhere(walk, Method::POST, &collection, Some(body)).await;
        if let Some(edit) = an_edit(walk, resource, &made).await {
            fails_everywhere(walk, Method::PATCH, &made.path, Some(edit)).await;
        }
        if walk.operation(resource, Method::DELETE).is_some() {
            fails_everywhere(walk, Method::DELETE, &made.path, None).await;
        }
    }
}

/// A change that is one.
async fn an_edit(walk: &Walk, resource: &dyn Registered, made: &Made) -> Option<Value> {
    let taken = walk.taken(resource, Method::PATCH)?;
    let references = references_of(resource);
    for (name, property) in taken["properties"].as_object()? {
        let is_reference = references.iter().any(|reference| reference.column == *name);
        let value = any_value(property);
        if !is_reference && made.row.get(name).is_some_and(|old| *old != value) {
            return Some(json!({ name: value }));
        }
    }
    None
}

async fn fails_everywhere(walk: &Walk, method: Method, path: &str, body: Option<Value>) {
    let (owner, probe) = (&walk.tenant.owner, &walk.stage.app.probe);
    let before = walk.stage.snapshot().await;
    for step in 0.. {
        probe.watch_and_fail_once_at(step);
        let answer = owner.send(method.clone(), path, body.clone(), &[]).await;
        if probe.steps().len() <= step {
            assert!(answer.status < 300, "{method} {path}: {answer:?}");
            assert!(step > 3, "{method} {path} took {step} steps only");
            return;
        }
        answer.is_problem(500, "internal");
        let after = walk.stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("{method} {path}, failed at step {step},"));
    }
}

/// What is said to go with the organization does, with its event, and nothing else does.
pub async fn what_belongs_to_it_goes_with_it(walk: &Walk) {
    let mut rows = Vec::new();
    for resource in walk.made() {
        rows.push((resource, walk.make(&walk.tenant, resource).await));
    }
    let path = format!("/v1/organizations/{}", walk.tenant.organization);
    walk.tenant.owner.delete(&path).await.expect(204);
    for (resource, made) in rows {
        let tied = resource
            .ties()
            .iter()
            .any(|(aggregate, goes)| *aggregate == "organization" && *goes);
        let events = walk.stage.app.events_of(made.id()).await;
        let last = events.last().expect("an event");
        let removal = resource.event_type(resource.removal());
        assert_eq!(last["event_type"] == removal.as_str(), tied, "{last}");
    }
}

/// SQL that changes and deletes a row has its events, by the triggers.
pub async fn a_change_past_the_api_is_told(walk: &Walk) {
    for resource in walk.made() {
        let made = walk.make(&walk.tenant, resource).await;
        let table = resource.table();
        let connection = &walk.stage.connection;
        let id = walk.stage.app.database.backend().id(made.id());
        let change = format!("UPDATE {table} SET updated_by = NULL WHERE id = {id}");
        execute(connection, &change).await.expect(&change);
        let delete = format!("DELETE FROM {table} WHERE id = {id}");
        execute(connection, &delete).await.expect(&delete);
        let events = walk.stage.app.events_of(made.id()).await;
        let told: Vec<_> = events
            .iter()
            .map(|event| (&event["event_type"], &event["source"]))
            .collect();
        let of = |verb: Verb| json!(resource.event_type(verb));
        let removal = of(resource.removal());
        let wanted = [
            (&of(Verb::Created), &json!("api")),
            (&of(Verb::Updated), &json!("database")),
            (&removal, &json!("database")),
        ];
        assert_eq!(told, wanted, "{events:#?}");
        let last = events.last().expect("an event");
        is_shown_as_declared(resource, &last["data"]["old"]);
    }
}

/// What the triggers show of a row is what its resource says: all columns but bookkeeping, secrets redacted.
pub fn is_shown_as_declared(resource: &dyn Registered, shown: &Value) {
    let shown = shown.as_object().expect("a row");
    let told: BTreeSet<_> = shown.keys().map(String::as_str).collect();
    let columns = resource.columns().into_iter();
    let wanted = columns.filter(|column| !resource.bookkeeping().contains(column));
    assert_eq!(told, wanted.collect(), "{}", resource.table());
    for (column, value) in shown {
        let secret = resource.secrets().contains(&column.as_str()) && !value.is_null();
        assert_eq!(
            value == "[redacted]",
            secret,
            "{column} of {}",
            resource.table()
        );
    }
}

/// The unique sets that a resource names are those of its table.
pub async fn what_is_declared_is_what_the_schema_has(walk: &Walk) {
    for resource in walk.own() {
        let table = resource.table();
        let sets = match walk.stage.app.database.backend() {
                Backend::Postgres => format!(
                    "SELECT string_agg(attname::text, ',' ORDER BY place) FROM pg_index
                     CROSS JOIN unnest(indkey) WITH ORDINALITY AS key (number, place)
                     JOIN pg_attribute ON attrelid = indrelid AND attnum = number
                     WHERE indrelid = '{table}'::regclass AND indisunique AND NOT indisprimary GROUP BY indexrelid"
                ),
                Backend::Sqlite => format!(
                    "SELECT group_concat(name, ',') FROM (
                       SELECT list.name AS key, info.name FROM pragma_index_list('{table}') AS list,
                              pragma_index_info(list.name) AS info
                       WHERE list.origin = 'u' ORDER BY list.name, info.seqno)
                     GROUP BY key"
                ),
            };
        let there: BTreeSet<String> = text_rows(&walk.stage.connection, &sets)
            .await
            .into_iter()
            .collect();
        let declared = resource.unique().iter();
        let declared: BTreeSet<_> = declared.map(|(columns, _)| columns.join(",")).collect();
        assert_eq!(there, declared, "unique sets of {table}");
    }
}
