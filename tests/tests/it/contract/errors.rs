//! Each row of the error table is answered somewhere, in the one form that errors have.

mod provocations;

use std::collections::BTreeSet;

use api::problem::Kind;
use rstest::rstest;
use serde_json::Value;
use tests::{Answer, Backend, Stage};

use provocations::{faulty_requests, held_up_requests, refusals};

/// Rows of the contract's table that come with what they are about.
const NOT_YET: [&str; 4] = [
    "ip-not-allowed",
    "mfa-required",
    "rate-limited",
    "usage-limit-reached",
];

#[rstest]
#[tokio::test]
async fn each_problem_is_whole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(faulty_requests, refusals, held_up_requests)] table: provocations::Table,
) {
    let stage = Stage::set(backend).await;
    for provocation in table() {
        let answer = (provocation.provoke)(&stage).await;
        let problem = answer.is_problem(provocation.status, provocation.slug);
        is_whole(&answer, &problem);
        let pointers: BTreeSet<_> = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| error["pointer"].as_str().expect("a pointer"))
            .collect();
        let wanted: BTreeSet<_> = provocation.pointers.iter().copied().collect();
        assert_eq!(pointers, wanted, "{answer:?}");
        let errors = problem["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(errors, wanted.len(), "each is named once: {answer:?}");

        let path = problem["type"].as_str().expect("a path");
        let page = stage.app.anonymous().get(path).await;
        let title = problem["title"].as_str().expect("a title");
        assert!(page.expect(200).text.contains(title), "{page:?}");
    }
}

#[test]
fn each_kind_of_problem_is_provoked() {
    let provoked: BTreeSet<_> = [faulty_requests(), refusals(), held_up_requests()]
        .iter()
        .flatten()
        .map(|provocation| (provocation.slug, provocation.status))
        .collect();
    let known: BTreeSet<_> = Kind::ALL
        .iter()
        .map(|kind| (kind.slug(), kind.status().as_u16()))
        .collect();
    assert_eq!(
        provoked, known,
        "a kind of problem without a row in contract/errors/provocations.rs"
    );
    let early = known.iter().find(|(slug, _)| NOT_YET.contains(slug));
    assert_eq!(early, None, "take it off the list of what comes later");
}

/// Nothing but the members that the contract names, each with something in it.
fn is_whole(answer: &Answer, problem: &Value) {
    let members: Vec<_> = problem.as_object().expect("an object").keys().collect();
    let allowed = ["detail", "errors", "instance", "status", "title", "type"];
    let known = |name: &&&String| allowed.contains(&name.as_str());
    assert_eq!(members.iter().filter(known).count(), members.len());
    for name in ["detail", "instance", "title", "type"] {
        let text = problem[name].as_str();
        assert!(
            text.is_some_and(|text| !text.trim().is_empty()),
            "{answer:?}"
        );
    }
    for error in problem["errors"].as_array().into_iter().flatten() {
        let members: Vec<_> = error.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["code", "detail", "pointer"], "{answer:?}");
        assert!(!error["detail"].as_str().expect("text").is_empty());
    }
    assert_ne!(
        problem.get("errors"),
        Some(&serde_json::json!([])),
        "left out where empty"
    );
    let wanted = match answer.status {
        401 => Some("www-authenticate"),
        405 => Some("allow"),
        503 => Some("retry-after"),
        _ => None,
    };
    if let Some(name) = wanted {
        assert!(
            answer.header(name).is_some(),
            "{name} is missing: {answer:?}"
        );
    }
}
