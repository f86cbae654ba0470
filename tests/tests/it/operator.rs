//! Somebody who writes past the API, as psql or sqlite3 would.

use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tests::database::{Backend, TestDatabase, execute, text_rows};
use uuid::Uuid;

pub const ORGANIZATION: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00a1);
pub const USER: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00b2);
pub const MEMBERSHIP: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00c3);
pub const API_KEY: Uuid = Uuid::from_u128(0x0192_f7a0_0000_7000_8000_0000_0000_00d4);
const TIMES: &str = "'2026-11-21T10:00:00+00:00', '2026-11-21T12:00:00.123+02:00'";

/// A migrated database, spoken to as psql or sqlite3 would.
pub struct Operator {
    pub backend: Backend,
    pub connection: DatabaseConnection,
    _database: TestDatabase,
}

impl Operator {
    pub async fn at(backend: Backend) -> Self {
        let database = TestDatabase::migrated(backend).await;
        let connection = database.connect().await;
        Self {
            backend,
            connection,
            _database: database,
        }
    }

    /// Runs SQL in which `{organization}`, `{user}`, `{membership}`, `{api_key}` and `{times}` stand for values.
    pub async fn try_to(&self, sql: &str) -> Result<(), String> {
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

    pub async fn does(&self, sql: &str) {
        self.try_to(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub async fn cannot(&self, sql: &str, reason: &str) {
        let refusal = self.try_to(sql).await.expect_err(sql);
        assert!(refusal.contains(reason), "{sql}: {refusal}");
    }

    /// An organization, a user, the membership that joins them and a key.
    pub async fn fills(&self) {
        self.does("INSERT INTO organizations (id, name, slug, created_at, updated_at) VALUES ({organization}, 'First', 'first', {times})").await;
        self.does("INSERT INTO users (id, email, created_at, updated_at) VALUES ({user}, 'first@example.org', {times})").await;
        self.does("INSERT INTO memberships (id, user_id, organization_id, invitation_token, created_at, updated_at)
                   VALUES ({membership}, {user}, {organization}, 'hush', {times})").await;
        self.does("INSERT INTO api_keys (id, key_id, key_hash, key_prefix, name, user_id, scopes, created_at, updated_at)
                   VALUES ({api_key}, 'k', 'hush', 'p', 'Key', {user}, '[\"*\", {\"a\": 1.5}]', {times})").await;
    }

    /// The events of an aggregate in the order of their versions.
    pub async fn events_of(&self, id: Uuid) -> Vec<Value> {
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

    pub async fn last_event_of(&self, id: Uuid) -> Value {
        self.events_of(id).await.pop().expect("an event")
    }

    pub async fn version_of(&self, table: &str, id: Uuid) -> i64 {
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
