//! `rollbook doctor reconcile`: what was changed behind the trail's back is recorded as what is, and the check of the
//! promise is green again.

use api::operations::Severity;
use api::operations::doctor::Options;
use rstest::rstest;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tests::database::{Backend, execute, text_rows};
use tests::{TestApp, content, run, told};
use uuid::Uuid;

use crate::doctor::examine;

/// Runs SQL with every trigger and foreign key off; the schema is afterwards what it was.
pub async fn behind_the_trail(connection: &DatabaseConnection, backend: Backend, sql: &str) {
    let run = async |sql: &str| {
        execute(connection, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    if backend == Backend::Postgres {
        run(&format!(
            "SET session_replication_role = replica; {sql}; SET session_replication_role = DEFAULT"
        ))
        .await;
        return;
    }
    let triggers = |column: &str| {
        format!("SELECT {column} FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    };
    let made = text_rows(connection, &triggers("sql")).await;
    run("PRAGMA foreign_keys = OFF").await;
    for name in text_rows(connection, &triggers("name")).await {
        run(&format!("DROP TRIGGER {name}")).await;
    }
    run(sql).await;
    for trigger in made {
        run(&trigger).await;
    }
    run("PRAGMA foreign_keys = ON").await;
}

/// A server with an organization of which the trail has three versions.
struct Scene {
    backend: Backend,
    app: TestApp,
    connection: DatabaseConnection,
    organization: Uuid,
    member: Uuid,
    membership: Uuid,
}

impl Scene {
    async fn at(backend: Backend) -> Self {
        let app = TestApp::start(backend).await;
        let organization = app.organization(&app.system_admin).await;
        let member = app.outsider().await;
        let membership = app.join(organization, &member, "member").await;
        for city in ["Basel", "Bern"] {
            let path = format!("/v1/organizations/{organization}");
            let patch = json!({"city": city, "settings": {"number": 1e17}});
            app.system_admin.patch(&path, patch).await.ok();
        }
        let connection = app.database.connect().await;
        Self {
            backend,
            app,
            connection,
            organization,
            member: member.user_id(),
            membership,
        }
    }

    async fn tampers(&self, sql: &str) {
        let sql = sql
            .replace("{organization}", &self.backend.id(self.organization))
            .replace("{member}", &self.backend.id(self.member))
            .replace("{membership}", &self.backend.id(self.membership));
        behind_the_trail(&self.connection, self.backend, &sql).await;
    }

    async fn patches(&self, fields: Value) {
        let path = format!("/v1/organizations/{}", self.organization);
        self.app.system_admin.patch(&path, fields).await.ok();
    }

    fn reconcile(&self, id: Uuid) -> (i32, String, String) {
        let id = id.to_string();
        let arguments = ["doctor", "reconcile", &id, "--reason", "found on a Monday"];
        told(&run(
            &self.app.database.url(),
            &[&arguments[..], &["--format", "json"]].concat(),
            "",
        ))
    }

    /// The checks that find something wrong.
    async fn wrong(&self) -> Vec<&'static str> {
        let report = examine(&self.app.database, &Options::default()).await;
        let wrong = report
            .results
            .into_iter()
            .filter(|result| !result.passed && result.severity == Severity::Error);
        wrong.map(|result| result.name).collect()
    }

    /// All events of an aggregate, by version: type, source, data and metadata.
    async fn events(&self, id: Uuid) -> Vec<Value> {
        self.app.events_of(id).await
    }
}

#[rstest]
#[case::a_column("UPDATE organizations SET city = 'Geneva' WHERE id = {organization}", json!({"city": "Bern"}), json!({"city": "Geneva"}))]
#[case::json("UPDATE organizations SET settings = '{\"number\": 2}' WHERE id = {organization}", json!({"settings": {"number": 100_000_000_000_000_000_i64}}), json!({"settings": {"number": 2}}))]
#[case::to_nothing("UPDATE organizations SET city = NULL WHERE id = {organization}", json!({"city": "Bern"}), json!({"city": null}))]
#[case::version_ahead("UPDATE organizations SET version = 9 WHERE id = {organization}", json!({}), json!({}))]
#[case::version_behind("UPDATE organizations SET version = 1, city = 'Geneva' WHERE id = {organization}", json!({"city": "Bern"}), json!({"city": "Geneva"}))]
#[tokio::test]
async fn a_changed_row_is_recorded_as_it_is_and_goes_on(
    #[case] sql: &str,
    #[case] old: Value,
    #[case] new: Value,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    assert_eq!(scene.wrong().await, [""; 0]);
    scene.tampers(sql).await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);

    let (code, text, error) = scene.reconcile(scene.organization);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.organization).await;
    let event = events.last().unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(event["event_type"], "ORGANIZATION.UPDATED");
    assert_eq!(event["aggregate_version"], 4);
    let with_version = |mut fields: Value, version: i64| {
        fields["version"] = version.into();
        fields
    };
    assert_eq!(
        event["data"],
        json!({"old": with_version(old, 3), "new": with_version(new, 4)})
    );
    assert_eq!(event["source"], "cli");
    assert_eq!(event["user_id"], Value::Null);
    assert_eq!(event["organization_id"], json!(scene.organization));
    let metadata = &event["metadata"];
    assert_eq!(metadata["command"], "doctor reconcile");
    assert_eq!(metadata["reason"], "found on a Monday");
    let actor = metadata["actor"].as_str().unwrap();
    assert!(
        actor
            .strip_prefix("system:")
            .is_some_and(|name| !name.is_empty()),
        "{actor}"
    );

    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["event_id"], event["id"]);
    assert_eq!(answer["aggregate_type"], "organization");
    assert_eq!(answer["aggregate_id"], json!(scene.organization));
    assert_eq!(answer["aggregate_version"], 4);
    assert_eq!(answer["data"], event["data"]);

    // The row goes on from there, with its guards.
    scene.patches(json!({"city": "Lugano"})).await;
    execute(&scene.connection, "UPDATE organizations SET phone = '1'")
        .await
        .unwrap();
    assert_eq!(scene.wrong().await, [""; 0]);
    assert_eq!(scene.events(scene.organization).await.len(), 6);
}

/// Who followed the advice of before, and put the row right by the API, has a break in the middle of the trail.
#[rstest]
#[tokio::test]
async fn a_break_in_the_middle_of_the_trail_is_acknowledged(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    scene
        .tampers("UPDATE organizations SET city = 'Geneva' WHERE id = {organization}")
        .await;
    scene.patches(json!({"city": "Lugano"})).await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);
    let (code, text, error) = scene.reconcile(scene.organization);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.organization).await;
    let event = events.last().unwrap();
    assert_eq!(
        event["data"],
        json!({"old": {"version": 4}, "new": {"version": 5}})
    );
    assert_eq!(
        event["metadata"]["acknowledged"],
        json!(["city was \"Bern\" before version 4, which says \"Geneva\""])
    );
    // Only what was before it: the next one is found again.
    scene
        .tampers("UPDATE organizations SET city = 'Zug' WHERE id = {organization}")
        .await;
    scene.patches(json!({"city": "Chur"})).await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);
}

#[rstest]
#[case::last("DELETE FROM events WHERE aggregate_id = {membership}", 1, 2)]
#[case::all(
    "DELETE FROM events WHERE aggregate_id = {membership}; UPDATE memberships SET version = 7 WHERE id = {membership}",
    1,
    2
)]
#[tokio::test]
async fn a_row_without_events_gets_its_first(
    #[case] sql: &str,
    #[case] version: i64,
    #[case] next: i64,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    scene.tampers(sql).await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);
    let (code, text, error) = scene.reconcile(scene.membership);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.membership).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event_type"], "MEMBERSHIP.CREATED");
    assert_eq!(events[0]["data"]["new"]["version"], version);
    assert_eq!(events[0]["data"]["new"]["user_id"], json!(scene.member));
    assert_eq!(events[0]["data"]["new"]["role"], "member");
    assert!(events[0]["data"].get("old").is_none());
    let tags = json!({"membership": scene.membership, "organization": scene.organization, "user": scene.member});
    assert_eq!(events[0]["tags"], tags);
    let path = format!("/v1/memberships/{}", scene.membership);
    let changed = scene
        .app
        .system_admin
        .patch(&path, json!({"job_title": "Cook"}));
    assert_eq!(changed.await.ok()["version"], next);
    assert_eq!(scene.wrong().await, [""; 0]);
}

#[rstest]
#[tokio::test]
async fn lost_newest_events_are_told_again_by_what_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    scene
        .tampers("DELETE FROM events WHERE aggregate_id = {organization} AND aggregate_version > 1")
        .await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);
    let (code, text, error) = scene.reconcile(scene.organization);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.organization).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["data"]["old"]["city"], Value::Null);
    assert_eq!(events[1]["data"]["new"]["city"], "Bern");
}

#[rstest]
#[case::membership(
    "DELETE FROM memberships WHERE id = {membership}",
    "MEMBERSHIP.REMOVED"
)]
#[tokio::test]
async fn a_lost_row_gets_the_event_of_its_end(
    #[case] sql: &str,
    #[case] event_type: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    let whole = scene.events(scene.membership).await[0]["data"]["new"].clone();
    scene.tampers(sql).await;
    assert_eq!(scene.wrong().await, ["audit-completeness"]);
    let (code, text, error) = scene.reconcile(scene.membership);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.membership).await;
    let event = events.last().unwrap();
    assert_eq!(event["event_type"], event_type);
    assert_eq!(event["data"], json!({"old": whole}));
    assert_eq!(event["organization_id"], json!(scene.organization));
    assert_eq!(event["tags"], events[0]["tags"]);
    assert_eq!(scene.reconcile(scene.membership).0, 1, "twice");
}

/// The references of its own events stay broken, which is not for this command to mend; the trail tells of the end.
#[rstest]
#[tokio::test]
async fn a_lost_organization_gets_the_event_of_its_end_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    scene
        .tampers("DELETE FROM organizations WHERE id = {organization}")
        .await;
    assert!(scene.wrong().await.contains(&"audit-completeness"));
    let (code, text, error) = scene.reconcile(scene.organization);
    assert_eq!(code, 0, "{text} {error}");
    assert!(!scene.wrong().await.contains(&"audit-completeness"));
    let events = scene.events(scene.organization).await;
    let event = events.last().unwrap();
    assert_eq!(event["event_type"], "ORGANIZATION.DELETED");
    assert_eq!(event["organization_id"], Value::Null);
    assert_eq!(event["data"]["old"]["city"], "Bern");
}

#[rstest]
#[tokio::test]
async fn a_tombstone_is_reconciled_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    let path = format!("/v1/users/{}", scene.member);
    scene.app.system_admin.delete(&path).await.expect(204);
    scene
        .tampers("UPDATE users SET version = version + 5 WHERE id = {member}")
        .await;
    assert!(scene.wrong().await.contains(&"audit-completeness"));
    let (code, text, error) = scene.reconcile(scene.member);
    assert_eq!(code, 0, "{text} {error}");
    assert_eq!(scene.wrong().await, [""; 0]);
    let events = scene.events(scene.member).await;
    assert_eq!(
        events.last().unwrap()["data"],
        json!({"old": {"version": 2}, "new": {"version": 3}})
    );
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_reconciled_is_refused_and_changes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    let before = content(&scene.connection).await;
    let id = scene.organization.to_string();
    let stranger = Uuid::now_v7().to_string();
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &[&id, "--reason", "none"],
            1,
            "there is nothing to reconcile",
        ),
        (
            &[&stranger, "--reason", "none"],
            1,
            "has no row and no event",
        ),
        (&[&id], 2, "--reason"),
        (&[&id, "--reason", "  "], 2, "--reason"),
        (&[&id, "--reason", &"x".repeat(256)], 2, "--reason"),
        (&["42", "--reason", "none"], 2, "42"),
    ];
    for (arguments, status, words) in cases {
        let arguments = [&["doctor", "reconcile"], arguments].concat();
        let (code, text, error) = told(&run(&scene.app.database.url(), &arguments, ""));
        assert_eq!(code, status, "{arguments:?}: {text} {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert_eq!(text, "", "{arguments:?}");
    }
    assert_eq!(content(&scene.connection).await, before);
}

/// The advice names the command, and doing as it says ends green.
#[rstest]
#[tokio::test]
async fn the_advice_of_doctor_leads_to_green(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let scene = Scene::at(backend).await;
    scene
        .tampers("UPDATE organizations SET city = 'Geneva' WHERE id = {organization}")
        .await;
    let doctor = || told(&run(&scene.app.database.url(), &["doctor"], ""));
    let (code, text, _) = doctor();
    assert_eq!(code, 1);
    assert!(
        text.contains("rollbook doctor reconcile ID --reason"),
        "{text}"
    );
    let id = scene.organization.to_string();
    let arguments = ["doctor", "reconcile", &id, "--reason", "moved"];
    let (code, text, error) = told(&run(&scene.app.database.url(), &arguments, ""));
    assert_eq!(code, 0, "{error}");
    assert_eq!(
        text,
        format!("organization {id}: recorded as version 4 by ORGANIZATION.UPDATED: city\n")
    );
    let (code, text, error) = doctor();
    assert_eq!(code, 0, "{text} {error}");
}
