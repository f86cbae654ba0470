//! What is changed past the API, by raw SQL, is in the trail too.

use api::Product;
use api::ledger::registry::Registered;
use entity::events;
use rstest::rstest;
use sea_orm::{ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter};
use serde_json::json;
use tests::contract::is_shown_as_declared;
use tests::database::{Backend, TestDatabase, text_rows};
use uuid::Uuid;

use crate::migrations::fill;
use crate::operator::{API_KEY, MEMBERSHIP, ORGANIZATION, Operator, USER};

#[rstest]
#[tokio::test]
async fn a_new_row_is_told_with_every_field(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let mut event = operator.last_event_of(MEMBERSHIP).await;
    let id: Uuid = serde_json::from_value(event["id"].take()).unwrap();
    assert_eq!(id.get_version_num(), 7);
    let role = event["metadata"]["database_role"].take();
    assert_eq!(role.is_string(), backend == Backend::Postgres);
    let expected = json!({
        "id": null,
        "event_type": "MEMBERSHIP.CREATED",
        "aggregate_type": "membership",
        "aggregate_version": 1,
        "data": {"new": {
            "id": MEMBERSHIP, "user_id": USER, "organization_id": ORGANIZATION, "role": "member", "permissions": {},
            "status": "pending", "invitation_token": "[redacted]", "invitation_expires_at": null, "invited_by": null,
            "job_title": null, "department": null, "metadata": {}, "joined_at": null, "left_at": null, "version": 1,
            "created_at": "2026-11-21T10:00:00.000000Z", "updated_at": "2026-11-21T10:00:00.123000Z",
            "created_by": null, "updated_by": null,
        }},
        "metadata": {"database_role": null},
        "tags": {"membership": MEMBERSHIP, "organization": ORGANIZATION, "user": USER},
        "organization_id": ORGANIZATION,
        "user_id": null,
        "source": "database",
        "version": "1",
    });
    assert_eq!(event, expected);
}

/// What a migration says of a table to the triggers, and what its resource says to the server, is the same.
#[rstest]
#[tokio::test]
async fn the_triggers_know_every_column_of_every_table(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = TestDatabase::migrated(backend).await;
    let connection = database.connect().await;
    fill(backend, &connection).await;
    for resource in Product::default().registry.resources() {
        check_columns(resource, &connection).await;
    }
}

async fn check_columns(resource: &dyn Registered, connection: &DatabaseConnection) {
    let aggregate = resource.aggregate();
    if connection.get_database_backend() == DbBackend::Sqlite {
        let name = format!("{}_audit_delete", resource.table());
        let sql = format!("SELECT sql FROM sqlite_schema WHERE name = '{name}'");
        let removal = format!("'{}'", resource.event_type(resource.removal()));
        let sql = text_rows(connection, &sql).await.concat();
        assert!(sql.contains(&removal), "{removal} is not in {sql}");
    }
    let events = events::Entity::find()
        .filter(events::Column::AggregateType.eq(aggregate))
        .all(connection);
    for event in events.await.unwrap() {
        is_shown_as_declared(resource, &event.data["new"]);
    }
}

#[rstest]
#[tokio::test]
async fn a_change_grows_the_version_and_tells_what_changed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] recursive: bool,
) {
    let operator = Operator::at(backend).await;
    if backend == Backend::Sqlite {
        operator
            .does(&format!("PRAGMA recursive_triggers = {recursive}"))
            .await;
    }
    operator.fills().await;
    operator
        .does(
            "UPDATE users SET bio = 'x', email_verified = TRUE, locked_until = '2026-11-21T10:00:00+00:00'",
        )
        .await;
    assert_eq!(operator.version_of("users", USER).await, 2);
    let events = operator.events_of(USER).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["event_type"], "USER.UPDATED");
    assert_eq!(
        events[1]["data"],
        json!({
            "old": {"bio": null, "email_verified": false, "version": 1},
            "new": {"bio": "x", "email_verified": true, "version": 2},
        })
    );

    operator
        .does("UPDATE users SET bio = 'y', version = version + 1")
        .await;
    assert_eq!(operator.version_of("users", USER).await, 3);
    assert_eq!(
        operator.events_of(USER).await[2]["data"],
        json!({
            "old": {"bio": "x", "version": 2},
            "new": {"bio": "y", "version": 3},
        })
    );
}

#[rstest]
#[tokio::test]
async fn several_rows_at_once_are_each_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    operator
        .does("INSERT INTO organizations (name, slug) VALUES ('A', 'a'), ('B', 'b'), ('C', 'c')")
        .await;
    operator
        .does("UPDATE organizations SET city = 'Oslo' WHERE slug <> 'c'")
        .await;
    let told = text_rows(
        &operator.connection,
        "SELECT o.slug || ' ' || e.event_type FROM organizations o JOIN events e
         ON e.aggregate_id = o.id AND e.aggregate_version = o.version ORDER BY 1",
    );
    assert_eq!(
        told.await,
        [
            "a ORGANIZATION.UPDATED",
            "b ORGANIZATION.UPDATED",
            "c ORGANIZATION.CREATED"
        ]
    );
}

#[rstest]
#[tokio::test]
async fn versions_and_ids_are_not_made_up(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let version = "grows by one with each change";
    operator
        .cannot("UPDATE users SET bio = 'x', version = version + 2", version)
        .await;
    operator
        .cannot("UPDATE users SET version = version - 1", version)
        .await;
    operator
        .cannot("UPDATE users SET version = 40", version)
        .await;
    operator
        .cannot(
            "UPDATE api_keys SET id = {user}",
            "id of a row never changes",
        )
        .await;
    operator
        .cannot(
            "INSERT INTO organizations (name, slug, version) VALUES ('A', 'a', 2)",
            "a new row has version 1",
        )
        .await;
    operator.does("DELETE FROM memberships").await;
    operator
        .cannot(
            "INSERT INTO memberships (id, user_id, organization_id) VALUES ({membership}, {user}, {organization})",
            "belongs to a row that is gone",
        )
        .await;
    assert_eq!(operator.version_of("users", USER).await, 1);
    assert_eq!(operator.events_of(USER).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn bookkeeping_is_silent(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let moment = "'2026-11-21T10:00:00+00:00'";
    operator
        .does(&format!(
            "UPDATE users SET last_login_ip = '::1', current_login_ip = '::1', last_login_at = {moment},
               current_login_at = {moment}, failed_login_attempts = 3, locked_until = {moment};
             UPDATE api_keys SET last_used_at = {moment}, last_used_ip = '::1', last_used_user_agent = 'a',
               usage_count = 3, usage_reset_at = {moment};
             UPDATE users SET email = email, version = version, settings = '{{ }}'"
        ))
        .await;
    for (table, id) in [("users", USER), ("api_keys", API_KEY)] {
        assert_eq!(operator.version_of(table, id).await, 1);
        assert_eq!(operator.events_of(id).await.len(), 1);
    }
    operator
        .does("UPDATE users SET last_name = 'Not bookkeeping', failed_login_attempts = 0")
        .await;
    let event = operator.last_event_of(USER).await;
    assert_eq!(
        event["data"]["new"],
        json!({"last_name": "Not bookkeeping", "version": 2})
    );
    assert!(
        operator.events_of(USER).await[0]["data"]["new"]
            .get("last_login_ip")
            .is_none()
    );
}

#[rstest]
#[case("users", "password_hash", USER)]
#[case("users", "password_reset_token", USER)]
#[case("users", "email_verification_token", USER)]
#[case("users", "mfa_secret", USER)]
#[case("memberships", "invitation_token", MEMBERSHIP)]
#[case("api_keys", "key_hash", API_KEY)]
#[tokio::test]
async fn secrets_are_not_told(
    #[case] table: &str,
    #[case] column: &str,
    #[case] id: Uuid,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    operator
        .does(&format!("UPDATE {table} SET {column} = 'hush once'"))
        .await;
    operator
        .does(&format!("UPDATE {table} SET {column} = 'hush twice'"))
        .await;
    let data = operator.last_event_of(id).await["data"].take();
    let redacted = "[redacted]";
    assert_eq!(
        data,
        json!({"old": {column: redacted, "version": 2}, "new": {column: redacted, "version": 3}})
    );
    if column != "key_hash" {
        operator
            .does(&format!("UPDATE {table} SET {column} = NULL"))
            .await;
        let data = operator.last_event_of(id).await["data"].take();
        assert_eq!(
            data,
            json!({"old": {column: redacted, "version": 3}, "new": {column: null, "version": 4}})
        );
    }
    let everything = format!("{:?}", operator.events_of(id).await);
    assert!(!everything.contains("hush"), "{everything}");
}

#[rstest]
#[tokio::test]
async fn the_end_of_a_row_is_told(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    // Takes the membership and the key with it.
    operator.does("DELETE FROM users").await;
    for (id, event_type) in [
        (USER, "USER.DELETED"),
        (MEMBERSHIP, "MEMBERSHIP.REMOVED"),
        (API_KEY, "API_KEY.REVOKED"),
    ] {
        let events = operator.events_of(id).await;
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["event_type"], event_type);
        assert_eq!(events[1]["aggregate_version"], 2);
        assert_eq!(events[1]["data"], json!({"old": events[0]["data"]["new"]}));
        assert_eq!(events[1]["tags"], events[0]["tags"]);
    }
    operator.cannot("DELETE FROM organizations", "").await;
}

#[tokio::test]
async fn both_backends_tell_the_same() {
    let mut told = Vec::new();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let operator = Operator::at(backend).await;
        operator.fills().await;
        operator.does("UPDATE api_keys SET organization_id = {organization}, scopes = '[]', require_mfa = TRUE").await;
        operator.does("UPDATE memberships SET status = 'removed', left_at = '2026-11-21T10:00:00.000001+00:00'").await;
        operator
            .does(
                "UPDATE organizations SET settings = '{\"b\": [1.50, 1000], \"a\": \"\\u00e9\\n\"}'",
            )
            .await;
        operator
            .does("DELETE FROM api_keys; DELETE FROM memberships; DELETE FROM users")
            .await;
        let mut events = Vec::new();
        for id in [ORGANIZATION, USER, MEMBERSHIP, API_KEY] {
            events.extend(operator.events_of(id).await);
        }
        for event in &mut events {
            event["id"].take();
            event["metadata"]["database_role"].take();
        }
        told.push(events);
    }
    assert_eq!([told[0].len(), told[1].len()], [10, 10]);
    for (sqlite, postgres) in told[0].iter().zip(&told[1]) {
        assert_eq!(sqlite, postgres);
    }
}

#[rstest]
#[tokio::test]
async fn an_event_in_place_is_left_alone(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    let event = |version: u8, verb: &str| {
        format!(
            "INSERT INTO events (event_type, aggregate_type, aggregate_id, aggregate_version, data, organization_id)
             VALUES ('ORGANIZATION.{verb}', 'organization', {{organization}}, {version}, '{{}}', {{organization}});"
        )
    };
    for change in [
        event(1, "CREATED")
            + "INSERT INTO organizations (id, name, slug) VALUES ({organization}, 'A', 'a')",
        event(2, "SUSPENDED") + "UPDATE organizations SET status = 'suspended', version = 2",
        event(3, "REACTIVATED") + "UPDATE organizations SET status = 'active'",
    ] {
        operator.does(&format!("BEGIN; {change}; COMMIT")).await;
    }
    let events = operator.events_of(ORGANIZATION).await;
    let sources: Vec<_> = events
        .iter()
        .map(|event| event["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["system", "system", "system"]);
    assert_eq!(operator.version_of("organizations", ORGANIZATION).await, 3);
}

#[rstest]
#[case("2026-11-21T10:00:00+00:00", "2026-11-21T10:00:00.000000Z")]
#[case("2026-11-21T10:00:00.5+00:00", "2026-11-21T10:00:00.500000Z")]
#[case("2026-11-21T10:00:00.123+00:00", "2026-11-21T10:00:00.123000Z")]
#[case("2026-11-21T10:00:00.123456+00:00", "2026-11-21T10:00:00.123456Z")]
#[case("2026-11-21T23:30:00.999999-01:30", "2026-11-22T01:00:00.999999Z")]
#[case("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000000Z")]
#[case("2026-11-21T10:00:00.000001Z", "2026-11-21T10:00:00.000001Z")]
#[case("2026-11-21 10:00:00.25", "2026-11-21T10:00:00.250000Z")]
#[tokio::test]
async fn times_are_told_in_utc_to_the_microsecond(
    #[case] written: &str,
    #[case] told: &str,
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    if backend == Backend::Postgres {
        operator.does("SET TIME ZONE 'UTC'").await;
    }
    operator.fills().await;
    operator
        .does(&format!(
            "UPDATE organizations SET deleted_at = '{written}'"
        ))
        .await;
    if backend == Backend::Postgres {
        operator.does("SET TIME ZONE 'Asia/Kathmandu'").await;
    }
    operator
        .does("UPDATE organizations SET deleted_at = NULL")
        .await;
    let events = operator.events_of(ORGANIZATION).await;
    assert_eq!(events[1]["data"]["new"]["deleted_at"], told);
    assert_eq!(events[2]["data"]["old"]["deleted_at"], told);
}

/// Whoever may change a row is told of, even where it may not write events.
#[tokio::test]
async fn a_role_without_rights_to_the_trail_is_in_it() {
    let operator = Operator::at(Backend::Postgres).await;
    operator.fills().await;
    let role = format!("rollbook_clerk_{}", Uuid::now_v7().simple());
    operator
        .does(&format!(
            "CREATE ROLE {role}; GRANT SELECT, UPDATE ON users TO {role}; SET ROLE {role};
                        SET search_path = pg_temp; CREATE TEMPORARY TABLE events (id uuid)"
        ))
        .await;
    let change = operator
        .try_to("UPDATE public.users SET bio = 'by a clerk'")
        .await;
    let forgery = operator
        .try_to(
            "CREATE TEMPORARY TABLE forged (id uuid, version bigint);
                 CREATE TRIGGER forged AFTER INSERT ON forged FOR EACH ROW
                 EXECUTE FUNCTION public.audit_record('user', 'DELETED', '{}', '{}')",
        )
        .await;
    operator
        .does(&format!(
            "RESET ROLE; RESET search_path; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
        ))
        .await;
    change.unwrap();
    assert!(forgery.unwrap_err().contains("permission denied"));
    assert_eq!(
        operator.last_event_of(USER).await["data"]["new"]["bio"],
        "by a clerk"
    );
}
