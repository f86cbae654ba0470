//! `Idempotency-Key`: a POST that is sent twice takes effect once, and gets the first answer again.

use std::collections::BTreeMap;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::database::execute;
use tests::mutations::{self, Mutation};
use tests::{Answer, Backend, Caller, Stage, unique};
use tokio::task::JoinSet;

const ORGANIZATIONS: &str = "/v1/organizations";

async fn posts(caller: &Caller, path: &str, body: &Value, key: &str) -> Answer {
    let headers = [("Idempotency-Key", key)];
    caller
        .send(Method::POST, path, Some(body.clone()), &headers)
        .await
}

fn organization() -> Value {
    json!({"name": "New", "slug": unique()})
}

/// What a repeat must show again.
fn shown(answer: &Answer) -> (u16, &str, Vec<Option<&str>>) {
    let names = ["etag", "location", "content-type"];
    let headers = names.map(|name| answer.header(name));
    (answer.status, &answer.text, headers.to_vec())
}

#[rstest]
#[tokio::test]
async fn a_repeat_gets_the_first_answer_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let table = mutations::all();
    let posting = table.iter().filter(|case| case.method == Method::POST);
    for mutation in posting {
        let request = mutation.prepare(&stage).await;
        let key = unique();
        let headers = [("Idempotency-Key", key.as_str())];
        let first = request.send_with(&headers).await;
        first.created();
        assert_eq!(first.header("idempotency-replayed"), None);
        let before = stage.snapshot().await;
        for _ in 0..2 {
            let again = request.send_with(&headers).await;
            assert_eq!(shown(&again), shown(&first), "{}", mutation.name);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        }
        let after = stage.snapshot().await;
        after.is_unchanged_since(&before, &format!("{}, repeated,", mutation.name));
    }
}

#[rstest]
#[tokio::test]
async fn a_repeat_shows_a_new_key_again_that_the_database_does_not_know(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let body = json!({"name": "a key", "scopes": ["organizations:read"]});
    let key = unique();
    let first = posts(&stage.owner, "/v1/api-keys", &body, &key).await;
    let text = first.created()["key"].as_str().expect("a key").to_owned();
    let again = posts(&stage.owner, "/v1/api-keys", &body, &key).await;
    assert_eq!(again.created()["key"], json!(text));
    let caller = stage.app.with_key(&text);
    caller.get(ORGANIZATIONS).await.ok();

    let kept = stage.snapshot().await.idempotency_keys;
    let [kept] = &kept[..] else {
        panic!("one answer is kept: {kept:?}");
    };
    let (id, secret) = text[4..].split_once('_').expect("an id and a secret");
    for (column, value) in kept {
        let Some(bytes) = value.as_array() else {
            continue;
        };
        let byte = |byte: &Value| byte.as_u64().and_then(|byte| byte.try_into().ok());
        let bytes: Vec<u8> = bytes.iter().filter_map(byte).collect();
        for hidden in [text.as_str(), id, secret, &secret[..16], key.as_str()] {
            let found = bytes
                .windows(hidden.len())
                .any(|at| at == hidden.as_bytes());
            assert!(!found, "{hidden} is in clear in {column}");
        }
    }
    assert!(kept["answer"].as_array().is_some_and(|it| it.len() > 100));
}

#[rstest]
#[tokio::test]
async fn another_request_under_the_same_key_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let (owner, body) = (&stage.owner, organization());
    posts(owner, ORGANIZATIONS, &body, "k").await.created();
    let before = stage.snapshot().await;
    let other = posts(owner, ORGANIZATIONS, &organization(), "k").await;
    other.is_problem(422, "idempotency-mismatch");
    let key = json!({"name": "a key", "scopes": ["users:read"]});
    let elsewhere = posts(owner, "/v1/api-keys", &key, "k").await;
    elsewhere.is_problem(422, "idempotency-mismatch");
    let after = stage.snapshot().await;
    after.is_unchanged_since(&before, "a mismatch");
    let again = posts(owner, ORGANIZATIONS, &body, "k").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[rstest]
#[tokio::test]
async fn a_key_belongs_to_the_credential_that_sent_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let same_person = stage.app.key_for(stage.owner.user_id(), json!({})).await;
    let mut made = Vec::new();
    for caller in [&stage.owner, &stage.outsider, &same_person] {
        let answer = posts(caller, ORGANIZATIONS, &organization(), "k").await;
        assert_eq!(answer.header("idempotency-replayed"), None);
        made.push(tests::id_of(&answer.created()));
    }
    made.dedup();
    assert_eq!(made.len(), 3, "each has an organization of its own");
}

/// The answer of the one that took effect, by whom it was sent again at last.
#[rstest]
#[tokio::test]
async fn of_many_at_once_one_takes_effect(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    for round in 0..5 {
        let (body, key) = (organization(), format!("round-{round}"));
        let before = stage.snapshot().await;
        let mut requests = JoinSet::new();
        for _ in 0..12 {
            let (owner, body, key) = (stage.owner.clone(), body.clone(), key.clone());
            requests.spawn(async move { posts(&owner, ORGANIZATIONS, &body, &key).await });
        }
        let mut statuses = BTreeMap::<_, usize>::new();
        let mut texts = Vec::new();
        for answer in requests.join_all().await {
            let replayed = answer.header("idempotency-replayed").is_some();
            *statuses.entry((answer.status, replayed)).or_default() += 1;
            match answer.status {
                201 => texts.push(answer.text),
                _ => drop(answer.is_problem(409, "idempotency-in-progress")),
            }
        }
        assert_eq!(statuses.get(&(201, false)), Some(&1), "{statuses:?}");
        let last = posts(&stage.owner, ORGANIZATIONS, &body, &key).await;
        assert_eq!(last.header("idempotency-replayed"), Some("true"));
        assert!(texts.iter().all(|text| *text == last.text), "{texts:?}");
        let after = stage.snapshot().await;
        assert_eq!(after.events_since(&before).len(), 2, "one effect");
        assert_eq!(
            after.idempotency_keys.len(),
            before.idempotency_keys.len() + 1
        );
    }
}

#[rstest]
#[tokio::test]
async fn what_was_refused_leaves_the_key_free(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let (owner, body) = (&stage.owner, organization());
    posts(&stage.outsider, ORGANIZATIONS, &body, "taken")
        .await
        .created();
    let before = stage.snapshot().await;
    let taken = posts(owner, ORGANIZATIONS, &body, "k").await;
    taken.is_problem(409, "already-exists");
    let faulty = posts(owner, ORGANIZATIONS, &json!({"name": ""}), "k").await;
    faulty.is_problem(422, "invalid");
    let forbidden = json!({"email": "ada@example.com"});
    let forbidden = posts(owner, "/v1/users", &forbidden, "k").await;
    forbidden.is_problem(403, "forbidden");
    let after = stage.snapshot().await;
    after.is_unchanged_since(&before, "a refusal");

    let answer = posts(owner, ORGANIZATIONS, &organization(), "k").await;
    answer.created();
    assert_eq!(answer.header("idempotency-replayed"), None);
}

#[rstest]
#[tokio::test]
async fn after_a_day_a_key_is_as_good_as_new(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let first = posts(&stage.owner, ORGANIZATIONS, &organization(), "k").await;
    first.created();
    let kept = &stage.snapshot().await.idempotency_keys[0];
    let moment = |column: &str| {
        let text = kept[column].as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(text).expect("a time")
    };
    let lifetime = moment("expires_at") - moment("created_at");
    assert_eq!(lifetime, chrono::Duration::hours(24));

    let now = chrono::Utc::now();
    move_end(&stage, now + chrono::Duration::minutes(1)).await;
    let early = posts(&stage.owner, ORGANIZATIONS, &organization(), "k").await;
    early.is_problem(422, "idempotency-mismatch");
    move_end(&stage, now - chrono::Duration::seconds(1)).await;
    let second = posts(&stage.owner, ORGANIZATIONS, &organization(), "k").await;
    assert_ne!(second.created()["id"], first.created()["id"]);
    assert_eq!(second.header("idempotency-replayed"), None);
    assert_eq!(stage.snapshot().await.idempotency_keys.len(), 1);
}

/// Lets every kept answer expire at this time.
async fn move_end(stage: &Stage, end: chrono::DateTime<chrono::Utc>) {
    let end = end.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let sql = format!("UPDATE idempotency_keys SET expires_at = '{end}'");
    execute(&stage.connection, &sql).await.expect("to move it");
}

#[rstest]
#[tokio::test]
async fn a_key_of_the_wrong_form_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let before = stage.snapshot().await;
    let long = "k".repeat(256);
    let twice = [b"one".as_slice(), b"two"];
    for keys in [
        &[b"".as_slice()][..],
        &[long.as_bytes()],
        &[b"two words"],
        &["schlüssel".as_bytes()],
        &[b"\xff\xfe"],
        &twice,
    ] {
        let mut request = stage.owner.request(Method::POST, ORGANIZATIONS);
        for key in keys {
            request = request.header("Idempotency-Key", *key);
        }
        let answer = Answer::read(request.json(&organization())).await;
        let problem = answer.is_problem(400, "bad-parameter");
        assert_eq!(problem["errors"][0]["pointer"], "/Idempotency-Key");
    }
    let after = stage.snapshot().await;
    after.is_unchanged_since(&before, "a bad key");
    let longest = "k".repeat(255);
    posts(&stage.owner, ORGANIZATIONS, &organization(), &longest)
        .await
        .created();
}

/// It means something where a POST is repeated, and nothing elsewhere.
#[rstest]
#[tokio::test]
async fn a_change_and_a_deletion_take_no_key(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let stage = Stage::set(backend).await;
    let takes_none = |mutation: &&Mutation| !mutation.takes_idempotency_keys();
    for mutation in mutations::organizations().iter().filter(takes_none) {
        let request = mutation.prepare(&stage).await;
        let answer = request.send_with(&[("Idempotency-Key", "k")]).await;
        answer.expect(mutation.status());
    }
    assert!(stage.snapshot().await.idempotency_keys.is_empty());
}
