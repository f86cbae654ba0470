//! Whether the schema of a database is the one that this build was written for.

use std::collections::BTreeSet;

use migration::Migrator;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement};
use sea_orm_migration::MigratorTrait;

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
    /// The database has migrations that this build does not know: it is newer.
    Ahead {
        /// Their names.
        unknown: Vec<String>,
    },
}

/// Compares the schema with the migrations of this build, in one statement.
pub async fn check<C: ConnectionTrait>(connection: &C) -> Result<SchemaState, DbErr> {
    let known = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    Ok(compare(known, applied(connection).await?))
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

/// Refuses every state but [`SchemaState::Current`].
pub async fn require_current<C: ConnectionTrait>(connection: &C) -> Result<(), SchemaError> {
    match check(connection).await? {
        SchemaState::Current => Ok(()),
        SchemaState::Behind { pending } => Err(SchemaError::Behind { pending }),
        SchemaState::Ahead { unknown } => Err(SchemaError::Ahead { unknown }),
    }
}

async fn applied<C: ConnectionTrait>(connection: &C) -> Result<BTreeSet<String>, DbErr> {
    let backend = connection.get_database_backend();
    #[expect(
        clippy::disallowed_methods,
        reason = "the table is the migrations' own and has no entity"
    )]
    let statement = Statement::from_string(backend, "SELECT version FROM seaql_migrations");
    match connection.query_all_raw(statement).await {
        Ok(rows) => rows.iter().map(|row| row.try_get("", "version")).collect(),
        Err(error) if is_missing_table(&error, backend) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn compare(known: Vec<String>, applied: BTreeSet<String>) -> SchemaState {
    let unknown: Vec<String> = applied
        .iter()
        .filter(|name| !known.contains(name))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return SchemaState::Ahead { unknown };
    }
    let pending: Vec<String> = known
        .into_iter()
        .filter(|name| !applied.contains(name))
        .collect();
    match pending.is_empty() {
        true => SchemaState::Current,
        false => SchemaState::Behind { pending },
    }
}

/// Whether a statement failed because there is no such table.
pub(crate) fn is_missing_table(error: &DbErr, backend: DbBackend) -> bool {
    let DbErr::Query(RuntimeErr::SqlxError(error)) = error else {
        return false;
    };
    let Some(error) = error.as_database_error() else {
        return false;
    };
    match backend {
        DbBackend::Postgres => error.code().as_deref() == Some("42P01"),
        _ => error.message().starts_with("no such table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn state(known: &[&str], applied: &[&str]) -> SchemaState {
        compare(names(known), names(applied).into_iter().collect())
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
    }
}
