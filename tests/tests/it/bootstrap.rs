//! `rollbook bootstrap` and the start of the server, through the binary.

use rstest::rstest;
use serde_json::Value;
use tests::{Backend, ServerProcess, TestDatabase, content, run};

const BOOTSTRAP: [&str; 5] = [
    "bootstrap",
    "--email",
    "Root@Example.com",
    "--format",
    "json",
];

#[rstest]
#[tokio::test]
async fn it_makes_an_admin_once_with_every_event_and_a_key_that_works(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let first = run(&database.url(), &BOOTSTRAP, "");
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let text = String::from_utf8(first.stdout).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = made.as_object().unwrap().keys().collect();
    assert_eq!(names, ["api_key", "organization_id", "user_id"]);

    let before = content(&database.connect().await).await;
    let second = run(&database.url(), &BOOTSTRAP, "");
    assert_eq!(second.status.code(), Some(3), "{second:?}");
    assert!(second.stdout.is_empty(), "{second:?}");
    assert_eq!(content(&database.connect().await).await, before);

    let server = ServerProcess::start(&database.url(), &[]);
    let admin = server.caller(made["api_key"].as_str());
    let events = admin.get("/v1/events?order=asc").await.ok();
    let told: Vec<_> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["source"], "cli");
            event["event_type"].as_str().unwrap()
        })
        .collect();
    assert_eq!(
        told,
        [
            "USER.CREATED",
            "ORGANIZATION.CREATED",
            "MEMBERSHIP.CREATED",
            "API_KEY.CREATED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn of_two_at_once_one_makes_the_admin(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let url = database.url();
    let other = {
        let url = url.clone();
        std::thread::spawn(move || run(&url, &BOOTSTRAP, ""))
    };
    let one = run(&url, &BOOTSTRAP, "");
    let mut codes = [one.status.code(), other.join().unwrap().status.code()];
    codes.sort();
    assert_eq!(codes, [Some(0), Some(3)]);
}

#[rstest]
#[tokio::test]
async fn what_is_not_valid_is_refused_and_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let before = content(&database.connect().await).await;
    for (arguments, input) in [
        (
            vec!["bootstrap", "--email", "a@example.com", "--password-stdin"],
            "too short\n",
        ),
        (vec!["bootstrap", "--email", "nobody"], ""),
        (vec!["bootstrap"], ""),
        (
            vec![
                "bootstrap",
                "--email",
                "a@example.com",
                "--organization",
                " ",
            ],
            "",
        ),
    ] {
        let refused = run(&database.url(), &arguments, input);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {refused:?}");
    }
    assert_eq!(content(&database.connect().await).await, before);
}

#[rstest]
#[tokio::test]
async fn the_server_refuses_a_schema_that_is_behind_and_migrates_when_told_to(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::empty(backend).await;
    let refused = run(&database.url(), &["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("rollbook migrate up"), "{words}");

    let server = ServerProcess::start(&database.url(), &[("ROLLBOOK_MIGRATE", "true")]);
    server.caller(None).get("/readyz").await.ok();
}
