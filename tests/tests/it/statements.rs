//! How many statements each operation costs: exactly as many as docs/performance.md says.

use std::collections::BTreeMap;

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{Answer, Backend, Caller, Stage, mutations, unique};

const DOCUMENT: &str = include_str!("../../../docs/performance.md");

/// What a request does in the database, one word for each step.
type Steps = Vec<&'static str>;

#[rstest]
#[tokio::test]
async fn every_operation_costs_what_the_documentation_says(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let mut measured = reads(&stage).await;
    measured.extend(repeats(&stage).await);
    for mutation in mutations::all() {
        let request = mutation.prepare(&stage).await;
        let (steps, answer) = measure(&stage, request.send()).await;
        answer.expect(mutation.status());
        measured.insert(mutation.name.to_owned(), steps);
    }
    let documented = documented(backend);
    for (name, steps) in &measured {
        let measured = (statements(steps), shown(steps));
        let known = documented.get(name);
        assert_eq!(known, Some(&measured), "docs/performance.md: {name}");
    }
    let names: Vec<_> = documented.keys().collect();
    let gone = names
        .iter()
        .find(|name| !measured.contains_key(name.as_str()));
    assert_eq!(gone, None, "docs/performance.md has a row for nothing");
}

#[rstest]
#[tokio::test]
async fn the_budgets_are_kept(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let stage = Stage::set(backend).await;
    for (name, steps) in reads(&stage).await {
        assert!(steps.len() <= 2, "{name}: {steps:?}");
    }
    let body = json!({"name": "New", "slug": unique()});
    let create = stage.outsider.post("/v1/organizations", body);
    let (steps, answer) = measure(&stage, create).await;
    answer.created();
    let of = |kind: &str| steps.iter().filter(|step| **step == kind).count();
    assert_eq!((of("BEGIN"), of("COMMIT")), (1, 1), "{steps:?}");
    assert!(of("INSERT") <= 4, "{steps:?}");
    let begin = steps.iter().position(|step| *step == "BEGIN");
    let inside = steps.len() - begin.expect("BEGIN") - 2;
    assert_eq!(inside, of("INSERT"), "nothing but inserts: {steps:?}");
}

/// Reads of each kind, by what the documentation calls them.
async fn reads(stage: &Stage) -> BTreeMap<String, Steps> {
    let owner = &stage.owner;
    let id = stage.organization;
    let organization = format!("/v1/organizations/{id}");
    let slug = owner.get(&organization).await.ok()["slug"].clone();
    let slug = slug.as_str().expect("a slug");
    let first = async |list: &str| {
        let page = owner.get(list).await.ok();
        format!("{list}/{}", tests::id_of(&page["data"][0]))
    };
    let mut measured = BTreeMap::new();
    for (name, path) in [
        ("reading one organization by its id", organization.clone()),
        (
            "reading one organization by its slug",
            format!("/v1/organizations/by-slug/{slug}"),
        ),
        ("reading one user", first("/v1/users").await),
        ("reading one membership", first("/v1/memberships").await),
        ("reading one API key", first("/v1/api-keys").await),
        ("reading one event", first("/v1/events").await),
        (
            "a page of organizations",
            "/v1/organizations?q=organ".to_owned(),
        ),
        (
            "a page of users",
            format!("/v1/users?organization_id={id}&q=e"),
        ),
        (
            "a page of memberships",
            format!("/v1/memberships?organization_id={id}"),
        ),
        (
            "a page of API keys",
            format!("/v1/api-keys?user_id={}", owner.user_id()),
        ),
        (
            "a page of events",
            format!("/v1/events?organization_id={id}&event_type=ORGANIZATION.*"),
        ),
    ] {
        let (steps, answer) = measure(stage, owner.get(&path)).await;
        answer.ok();
        measured.insert(name.to_owned(), steps);
    }
    let typo = stage.app.with_key("rbk_typo");
    let unknown = revoked(stage).await;
    let known = [("If-None-Match", "\"1\"")];
    for (name, caller, headers, status) in [
        ("reading what has not changed (304)", owner, &known[..], 304),
        ("a key with a typo (401)", &typo, &[], 401),
        ("a key that was revoked (401)", &unknown, &[], 401),
    ] {
        let request = caller.send(Method::GET, &organization, None, headers);
        let (steps, answer) = measure(stage, request).await;
        answer.expect(status);
        measured.insert(name.to_owned(), steps);
    }
    measured
}

async fn revoked(stage: &Stage) -> Caller {
    let user = stage.app.outsider().await;
    let key = stage.only_key_of(user.user_id()).await;
    let path = format!("/v1/api-keys/{key}");
    user.delete(&path).await.expect(204);
    user
}

/// What an `Idempotency-Key` costs: at first, and when the request is repeated.
async fn repeats(stage: &Stage) -> BTreeMap<String, Steps> {
    let mut measured = BTreeMap::new();
    let body = json!({"name": "New", "slug": unique()});
    for (name, replayed) in [
        (
            "somebody creates an organization, with an `Idempotency-Key`",
            None,
        ),
        ("the same request again", Some("true")),
    ] {
        let create = stage.outsider.send(
            Method::POST,
            "/v1/organizations",
            Some(body.clone()),
            &[("Idempotency-Key", "once")],
        );
        let (steps, answer) = measure(stage, create).await;
        answer.created();
        assert_eq!(answer.header("idempotency-replayed"), replayed);
        measured.insert(name.to_owned(), steps);
    }
    measured
}

async fn measure(stage: &Stage, request: impl Future<Output = Answer>) -> (Steps, Answer) {
    stage.app.probe.watch();
    let answer = request.await;
    let steps = stage.app.probe.steps();
    (steps.iter().map(|step| word(step)).collect(), answer)
}

fn word(step: &str) -> &'static str {
    if step.contains("pg_try_advisory_xact_lock") || step.contains("pg_advisory_xact_lock") {
        return "LOCK";
    }
    ["BEGIN", "SELECT", "INSERT", "UPDATE", "DELETE", "COMMIT"]
        .into_iter()
        .find(|word| step.starts_with(word))
        .unwrap_or_else(|| panic!("what is {step}?"))
}

fn statements(steps: &[&str]) -> usize {
    let frames = ["BEGIN", "COMMIT"];
    steps.iter().filter(|step| !frames.contains(step)).count()
}

/// `SELECT ×2, BEGIN, INSERT, COMMIT`.
fn shown(steps: &[&str]) -> String {
    let runs = steps.chunk_by(|first, second| first == second);
    let shown: Vec<_> = runs
        .map(|run| match run.len() {
            1 => run[0].to_owned(),
            length => format!("{} ×{length}", run[0]),
        })
        .collect();
    match shown[..] {
        [] => "none".to_owned(),
        _ => shown.join(", "),
    }
}

/// The rows of the document's table, as they are on this backend: `(LOCK)` is PostgreSQL's alone.
fn documented(backend: Backend) -> BTreeMap<String, (usize, String)> {
    let (_, section) = DOCUMENT
        .split_once("## What each operation costs")
        .expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.skip(2)
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, statements, steps] = cells[..] else {
                panic!("three cells in {line}");
            };
            let mut counts = statements.split(" / ");
            let sqlite = counts.next().expect("a number");
            let postgres = counts.next().unwrap_or(sqlite);
            let (count, steps) = match backend {
                Backend::Sqlite => (sqlite, steps.replace("(LOCK), ", "")),
                Backend::Postgres => (postgres, steps.replace("(LOCK)", "LOCK")),
            };
            (name.to_owned(), (count.parse().expect("a number"), steps))
        })
        .collect()
}
