//! A failure at any step of a mutation leaves nothing of it: no row, no event, no kept answer.
//!
//! The steps are those of the whole request, authentication to commit. What failed so is sent once more, and
//! succeeds as if nothing had been.

use rstest::rstest;
use tests::mutations::{self, Mutation};
use tests::{Backend, Request, Stage, unique};

#[rstest]
#[tokio::test]
async fn a_failure_at_any_step_leaves_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(0, 1, 2, 3)] quarter: usize,
) {
    let stage = Stage::set(backend).await;
    for mutation in mutations::quarter(quarter) {
        fails_at_every_step(&stage, &mutation, false).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_failure_at_any_step_leaves_no_kept_answer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(0, 1, 2, 3)] quarter: usize,
) {
    let stage = Stage::set(backend).await;
    let takes_keys = Mutation::takes_idempotency_keys;
    for mutation in mutations::quarter(quarter).filter(takes_keys) {
        fails_at_every_step(&stage, &mutation, true).await;
    }
}

/// One request is made to fail again and again: as nothing is left of it, it can be sent until it succeeds.
async fn fails_at_every_step(stage: &Stage, mutation: &Mutation, with_key: bool) {
    let steps = steps_of(stage, mutation, with_key).await;
    let request = mutation.prepare(stage).await;
    let (key, probe) = (unique(), &stage.app.probe);
    let before = stage.snapshot().await;
    for (index, step) in steps.iter().enumerate() {
        let what = format!("{}, failed at step {index}, {step},", mutation.name);
        // An error that is overlooked lets the rest go through; one that lasts meets whoever cleans up.
        for lasts in [false, true] {
            match lasts {
                false => probe.watch_and_fail_once_at(index),
                true => probe.watch_and_fail_at(index),
            }
            let answer = send(&request, with_key, &key).await;
            assert_eq!(probe.steps(), steps[..=index], "{what} went on");
            answer.is_problem(500, "internal");
            assert!(!answer.text.contains("injected"), "{answer:?}");
        }
        let after = stage.snapshot().await;
        after.is_unchanged_since(&before, &what);
    }
    let answer = send(&request, with_key, &key).await;
    answer.expect(mutation.status());
    assert_eq!(answer.header("idempotency-replayed"), None);
    let after = stage.snapshot().await;
    let appended = after.events_since(&before).len();
    assert_eq!(appended, request.events.len(), "{}", mutation.name);
}

/// What the request does in the database where nothing fails.
async fn steps_of(stage: &Stage, mutation: &Mutation, with_key: bool) -> Vec<String> {
    let request = mutation.prepare(stage).await;
    stage.app.probe.watch();
    let answer = send(&request, with_key, &unique()).await;
    let steps = stage.app.probe.steps();
    answer.expect(mutation.status());
    assert_eq!(steps.last().map(String::as_str), Some("COMMIT"));
    let begun = steps.iter().filter(|step| *step == "BEGIN").count();
    assert_eq!(begun, 1, "{} is one transaction: {steps:?}", mutation.name);
    steps
}

async fn send(request: &Request, with_key: bool, key: &str) -> tests::Answer {
    match with_key {
        true => request.send_with(&[("Idempotency-Key", key)]).await,
        false => request.send().await,
    }
}
