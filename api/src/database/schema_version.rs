//! Whether the schema of a database is the one that this build was written for.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use super::fault::answer;
use super::migrations::Migrations;

/// How the schema of a database compares with the migrations of this build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration was applied, and no other.
    Current,
    /// Some were not applied yet: the database is older than this build, or empty.
    Behind {
        /// Their names, in the order in which they are to be applied.
        pending: Vec<String>,
    },
    /// The database has migrations that this build does not know, with each of which it goes on: it is newer by so little.
    Compatible {
        /// Their names.
        unknown: Vec<String>,
    },
    /// The database has migrations that this build does not know: it is newer.
    Ahead {
        /// Their names.
        unknown: Vec<String>,
    },
}

/// Compares the schema with the migrations of this build, in one statement.
pub async fn check<C: ConnectionTrait>(
    migrations: &Migrations,
    connection: &C,
) -> Result<SchemaState, DbErr> {
    Ok(compare(migrations.names(), applied(connection).await?))
}

/// Why a schema is refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database is older than this build, or empty.
    #[error(
        "the database schema is behind this version: pending {}",
        shown(pending)
    )]
    Behind {
        /// The migrations that are to be applied, in their order.
        pending: Vec<String>,
    },
    /// The database is newer than this build.
    #[error(
        "the database schema is ahead of this version, which does not know {}",
        shown(unknown)
    )]
    Ahead {
        /// The migrations that this build does not know.
        unknown: Vec<String>,
    },
    /// The state could not be read.
    #[error("the version of the database schema cannot be read")]
    Unreadable(#[from] DbErr),
}

impl SchemaError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Behind { .. } => Some(
                "run `rollbook migrate up`, or start with `rollbook serve --migrate`".to_owned(),
            ),
            Self::Ahead { .. } => Some("install the newer rollbook that applied them".to_owned()),
            Self::Unreadable(_) => None,
        }
    }
}

fn shown(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [name] => name.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

/// Refuses every state that this build cannot work with.
pub async fn require_current<C: ConnectionTrait>(
    migrations: &Migrations,
    connection: &C,
) -> Result<(), SchemaError> {
    match check(migrations, connection).await? {
        SchemaState::Current => Ok(()),
        SchemaState::Compatible { unknown } => {
            tracing::warn!(
                unknown = unknown.join(", "),
                "the database is newer than this version, which goes on with it; install the newer rollbook soon"
            );
            Ok(())
        }
        SchemaState::Behind { pending } => Err(SchemaError::Behind { pending }),
        SchemaState::Ahead { unknown } => Err(SchemaError::Ahead { unknown }),
    }
}

/// What was applied, each with whether a version that does not know it goes on.
async fn applied<C: ConnectionTrait>(connection: &C) -> Result<BTreeMap<String, bool>, DbErr> {
    match read(connection, WITH_RECORDS).await {
        // Another tool, or a version that knew of no such word, has applied all that is there.
        Err(error) if is_missing(&error) => match read(connection, WITHOUT_RECORDS).await {
            Err(error) if is_missing(&error) => Ok(BTreeMap::new()),
            result => result,
        },
        result => result,
    }
}

const WITH_RECORDS: &str = "SELECT applied.version, coalesce(record.compatible, false) AS compatible
    FROM seaql_migrations applied LEFT JOIN rollbook_migrations record ON record.version = applied.version";
const WITHOUT_RECORDS: &str = "SELECT version, false AS compatible FROM seaql_migrations";

async fn read<C: ConnectionTrait>(
    connection: &C,
    query: &str,
) -> Result<BTreeMap<String, bool>, DbErr> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tables are the migrations' own and have no entities"
    )]
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let rows = connection.query_all_raw(statement).await?;
    let pair =
        |row: &QueryResult| Ok((row.try_get("", "version")?, row.try_get("", "compatible")?));
    rows.iter().map(pair).collect()
}

fn compare(known: Vec<String>, applied: BTreeMap<String, bool>) -> SchemaState {
    let newer = applied.iter().filter(|(name, _)| !known.contains(name));
    let mut unknown = Vec::new();
    let mut all_compatible = true;
    for (name, compatible) in newer {
        unknown.push(name.clone());
        all_compatible &= compatible;
    }
    if !all_compatible {
        return SchemaState::Ahead { unknown };
    }
    let pending: Vec<String> = known
        .into_iter()
        .filter(|name| !applied.contains_key(name))
        .collect();
    match (pending.is_empty(), unknown.is_empty()) {
        (true, true) => SchemaState::Current,
        (true, false) => SchemaState::Compatible { unknown },
        (false, _) => SchemaState::Behind { pending },
    }
}

/// Whether a table or a column is not there.
pub(crate) fn is_missing(error: &DbErr) -> bool {
    let Some(error) = answer(error) else {
        return false;
    };
    matches!(error.code().as_deref(), Some("42P01" | "42703"))
        || error.message().starts_with("no such table")
        || error.message().starts_with("no such column")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What was applied; a name with a plus is compatible.
    fn state(known: &[&str], applied: &[&str]) -> SchemaState {
        let applied = applied
            .iter()
            .map(|name| (name.trim_end_matches('+').to_owned(), name.ends_with('+')));
        compare(names(known), applied.collect())
    }

    #[test]
    fn every_state_is_told() {
        assert_eq!(state(&["m1", "m2"], &["m2", "m1"]), SchemaState::Current);
        let pending = names(&["m1", "m2"]);
        assert_eq!(state(&["m1", "m2"], &[]), SchemaState::Behind { pending });
        let unknown = names(&["m3"]);
        assert_eq!(
            state(&["m1", "m2"], &["m1", "m3"]),
            SchemaState::Ahead { unknown }
        );
        let unknown = names(&["m2", "m3"]);
        assert_eq!(
            state(&["m1"], &["m1", "m2+", "m3+"]),
            SchemaState::Compatible {
                unknown: unknown.clone()
            }
        );
        assert_eq!(
            state(&["m1"], &["m1", "m2+", "m3"]),
            SchemaState::Ahead { unknown }
        );
        let pending = names(&["m2"]);
        assert_eq!(
            state(&["m1", "m2"], &["m1", "m3+"]),
            SchemaState::Behind { pending }
        );
    }
}
