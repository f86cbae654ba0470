//! The trail stays as it is, and no audited row goes without a word.

use rstest::rstest;
use tests::database::Backend;

use crate::operator::{ORGANIZATION, Operator, USER};

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
            for (table, _) in tests::tables::audited() {
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
