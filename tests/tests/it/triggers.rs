//! What is changed past the API, by raw SQL, is in the trail too, and the trail stays as it is.

use proptest::prelude::*;
use rstest::rstest;
use sea_orm::DatabaseConnection;
use serde_json::{Map, Value, json};
use tests::database::{Backend, TestDatabase, execute, text_rows};
use uuid::Uuid;

const ORGANIZATION: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00a1);
const USER: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00b2);
const MEMBERSHIP: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00c3);
const API_KEY: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00d4);
const TIMES: &str = "'2026-11-21T10:00:00+00:00', '2026-11-21T12:00:00.123+02:00'";

/// A migrated database, spoken to as psql or sqlite3 would.
struct Operator {
    backend: Backend,
    connection: DatabaseConnection,
    _database: TestDatabase,
}

impl Operator {
    async fn at(backend: Backend) -> Self {
        let database = TestDatabase::migrated(backend).await;
        let connection = database.connect().await;
        Self {
            backend,
            connection,
            _database: database,
        }
    }

    /// Runs SQL in which `{organization}`, `{user}`, `{membership}`, `{api_key}` and `{times}` stand for values.
    async fn try_to(&self, sql: &str) -> Result<(), String> {
        let mut sql = sql.replace("{times}", TIMES);
        for (name, id) in [
            ("organization", ORGANIZATION),
            ("user", USER),
            ("membership", MEMBERSHIP),
            ("api_key", API_KEY),
        ] {
            sql = sql.replace(&format!("{{{name}}}"), &self.backend.id(id));
        }
        execute(&self.connection, &sql)
            .await
            .map_err(|error| error.to_string())
    }

    async fn does(&self, sql: &str) {
        self.try_to(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn cannot(&self, sql: &str, reason: &str) {
        let refusal = self.try_to(sql).await.expect_err(sql);
        assert!(refusal.contains(reason), "{sql}: {refusal}");
    }

    /// An organization, a user, the membership that joins them and a key.
    async fn fills(&self) {
        self.does("INSERT INTO organizations (id, name, slug, created_at, updated_at) VALUES ({organization}, 'First', 'first', {times})").await;
        self.does("INSERT INTO users (id, email, created_at, updated_at) VALUES ({user}, 'first@example.org', {times})").await;
        self.does("INSERT INTO memberships (id, user_id, organization_id, invitation_token, created_at, updated_at)
                   VALUES ({membership}, {user}, {organization}, 'hush', {times})").await;
        self.does("INSERT INTO api_keys (id, key_id, key_hash, key_prefix, name, user_id, scopes, created_at, updated_at)
                   VALUES ({api_key}, 'k', 'hush', 'p', 'Key', {user}, '[\"*\", {\"a\": 1.5}]', {times})").await;
    }

    /// The events of an aggregate in the order of their versions.
    async fn events_of(&self, id: Uuid) -> Vec<Value> {
        let object = match self.backend {
            Backend::Postgres => "jsonb_build_object('id', id, 'event_type', event_type, 'aggregate_type', aggregate_type,
                'aggregate_version', aggregate_version, 'data', data, 'metadata', metadata, 'tags', tags,
                'organization_id', organization_id, 'user_id', user_id, 'source', source, 'version', version)::text",
            Backend::Sqlite => "json_object('id', hex(id), 'event_type', event_type, 'aggregate_type', aggregate_type,
                'aggregate_version', aggregate_version, 'data', json(data), 'metadata', json(metadata), 'tags', json(tags),
                'organization_id', hex(organization_id), 'user_id', hex(user_id), 'source', source, 'version', version)",
        };
        let id = self.backend.id(id);
        let query = format!(
            "SELECT {object} FROM events WHERE aggregate_id = {id} ORDER BY aggregate_version"
        );
        text_rows(&self.connection, &query)
            .await
            .iter()
            .map(|event| uniform(serde_json::from_str(event).unwrap()))
            .collect()
    }

    async fn last_event_of(&self, id: Uuid) -> Value {
        self.events_of(id).await.pop().expect("an event")
    }

    async fn version_of(&self, table: &str, id: Uuid) -> i64 {
        let query = format!(
            "SELECT CAST(version AS text) FROM {table} WHERE id = {}",
            self.backend.id(id)
        );
        text_rows(&self.connection, &query).await[0]
            .parse()
            .unwrap()
    }
}

/// Ids as hyphenated text or null, whichever backend they come from.
fn uniform(mut event: Value) -> Value {
    for field in ["id", "organization_id", "user_id"] {
        if let Some(text) = event[field].as_str() {
            event[field] = Uuid::parse_str(text).map_or(Value::Null, |id| json!(id));
        }
    }
    event
}

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
#[tokio::test]
async fn an_event_without_its_row_does_not_outlast_the_transaction(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let operator = Operator::at(backend).await;
    operator
        .cannot(
            "INSERT INTO events (event_type, aggregate_type, aggregate_id, aggregate_version, data, organization_id)
             VALUES ('ORGANIZATION.CREATED', 'organization', {organization}, 1, '{}', {organization})",
            "",
        )
        .await;
    assert!(operator.events_of(ORGANIZATION).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn events_stay_as_they_are(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let before = operator.events_of(USER).await;
    operator
        .cannot(
            "UPDATE events SET source = 'api'",
            "events stay as they are",
        )
        .await;
    operator
        .cannot("UPDATE events SET id = id", "events stay as they are")
        .await;
    operator
        .cannot("DELETE FROM events", "events stay as they are")
        .await;
    match backend {
        Backend::Postgres => {
            operator
                .cannot("TRUNCATE events", "events stay as they are")
                .await;
            for table in ["organizations", "users", "memberships", "api_keys"] {
                operator
                    .cannot(&format!("TRUNCATE {table} CASCADE"), "is refused")
                    .await;
            }
        }
        Backend::Sqlite => {
            let replace = "INSERT OR REPLACE INTO events SELECT * FROM events";
            operator.cannot(replace, "events stay as they are").await;
        }
    }
    assert_eq!(operator.events_of(USER).await, before);
}

/// `OR REPLACE` removes what is in its way without a word.
#[rstest]
#[tokio::test]
async fn sqlite_replaces_no_audited_row(#[values(false, true)] recursive: bool) {
    let operator = Operator::at(Backend::Sqlite).await;
    operator
        .does(&format!(
            "PRAGMA recursive_triggers = {recursive}; PRAGMA foreign_keys = off"
        ))
        .await;
    operator.fills().await;
    operator
        .does("INSERT INTO users (email) VALUES ('second@example.org')")
        .await;
    for replacement in [
        "INSERT OR REPLACE INTO organizations (id, name, slug) VALUES ({organization}, 'A', 'a')",
        "INSERT OR REPLACE INTO organizations (name, slug) VALUES ('A', 'first')",
        "REPLACE INTO memberships (user_id, organization_id) VALUES ({user}, {organization})",
        "UPDATE OR REPLACE users SET email = 'first@example.org' WHERE email = 'second@example.org'",
    ] {
        operator.cannot(replacement, "REPLACE on").await;
    }
    // The other ways to meet a row that is there are as they always were.
    operator
        .does("INSERT OR IGNORE INTO organizations (name, slug) VALUES ('A', 'first')")
        .await;
    operator
        .cannot(
            "INSERT INTO organizations (name, slug) VALUES ('A', 'first')",
            "organizations.slug",
        )
        .await;
    operator
        .does("INSERT INTO organizations (name, slug) VALUES ('A', 'first') ON CONFLICT (slug) DO UPDATE SET name = 'B'")
        .await;
    assert_eq!(operator.version_of("organizations", ORGANIZATION).await, 2);
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

/// Changes to a user: the column, the value as SQL, the value as the trail shows it.
fn change() -> impl Strategy<Value = (&'static str, String, Value)> {
    let text = "[a-zA-Z0-9 \"\\\\äß€😀]{0,12}";
    prop_oneof![
        text.prop_map(|text| ("bio", format!("'{text}'"), json!(text))),
        Just(("bio", "NULL".to_owned(), Value::Null)),
        text.prop_map(|text| ("last_name", format!("'{text}'"), json!(text))),
        any::<bool>().prop_map(|flag| ("mfa_enabled", flag.to_string(), json!(flag))),
        prop_oneof!["user", "auditor", "admin"].prop_map(|role| (
            "role",
            format!("'{role}'"),
            json!(role)
        )),
        (0_u32..1_000_000).prop_map(|micros| (
            "deleted_at",
            format!("'2026-11-21T10:00:00.{micros:06}+00:00'"),
            json!(format!("2026-11-21T10:00:00.{micros:06}Z")),
        )),
        Just(("created_by", "{user}".to_owned(), json!(USER))),
        Just(("created_by", "NULL".to_owned(), Value::Null)),
        (any::<i32>(), text).prop_map(|(number, text)| {
            let value =
                json!({"number": number, "nested": [null, true, {"text": text}], "half": 0.5});
            ("preferences", format!("'{value}'"), value)
        }),
        text.prop_map(|text| {
            let shown = json!("[redacted]");
            ("mfa_secret", format!("'{text}'"), shown)
        }),
        (0_u8..9).prop_map(|count| ("failed_login_attempts", count.to_string(), Value::Null)),
    ]
}

/// Applies changes, folds what the trail tells of them, and compares with the row as it should be.
async fn walk(backend: Backend, changes: &[(&'static str, String, Value)]) -> Value {
    let operator = Operator::at(backend).await;
    operator.fills().await;
    let mut expected = operator.events_of(USER).await[0]["data"]["new"].clone();
    for (step, (column, sql, shown)) in changes.iter().enumerate() {
        let version = if step % 3 == 0 {
            ", version = version"
        } else {
            ""
        };
        operator
            .does(&format!("UPDATE users SET {column} = {sql}{version}"))
            .await;
        if *column != "failed_login_attempts" {
            expected[column] = shown.clone();
        }
    }
    let events = operator.events_of(USER).await;
    let mut folded = Map::new();
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event["aggregate_version"], json!(position + 1));
        if position > 0 {
            for (name, old) in event["data"]["old"].as_object().unwrap() {
                assert_eq!(&folded[name], old);
            }
        }
        folded.extend(event["data"]["new"].as_object().unwrap().clone());
    }
    expected["version"] = json!(operator.version_of("users", USER).await);
    let folded = Value::Object(folded);
    assert_eq!(folded, expected);
    json!(
        events
            .iter()
            .map(|event| [&event["event_type"], &event["data"], &event["tags"]])
            .collect::<Vec<_>>()
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_trail_folds_to_the_row_alike_on_both_backends(changes in prop::collection::vec(change(), 1..25)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (sqlite, postgres) = runtime.block_on(async {
            (walk(Backend::Sqlite, &changes).await, walk(Backend::Postgres, &changes).await)
        });
        prop_assert_eq!(sqlite, postgres);
    }
}
