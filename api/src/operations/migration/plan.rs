//! What would be run, statement by statement, with what each does to those who use the database meanwhile.

use sea_orm::DatabaseConnection;
use serde::Serialize;

use super::effect::{Effect, Teller};
use super::recording::{self, Direction};
use super::{MigrationError, Target, run};
use crate::database::Migrations;

/// What would be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which way.
    pub direction: Direction,
    /// The migrations, in the order in which they would be run.
    pub migrations: Vec<PlannedMigration>,
}

/// One migration that would be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedMigration {
    /// Its name.
    pub name: String,
    /// Whether a server of the version before goes on while it is applied and afterwards.
    pub compatible: bool,
    /// Its statements.
    pub statements: Vec<PlannedStatement>,
}

/// One statement that would be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStatement {
    /// Its text.
    pub sql: String,
    /// What it does beside what it is for.
    pub effects: Vec<Effect>,
}

impl Plan {
    /// What would be run to get to the target. Changes nothing.
    ///
    /// # Errors
    /// A target that is none; a migration that does not tell its statements.
    pub async fn make(
        migrations: &Migrations,
        database: &DatabaseConnection,
        direction: Direction,
        target: &Target,
    ) -> Result<Self, MigrationError> {
        let names = match direction {
            Direction::Up => run::to_apply(migrations, database, target).await?,
            Direction::Down => run::to_roll_back(migrations, database, target).await?,
        };
        let backend = database.get_database_backend();
        let all = migrations.all();
        let mut teller = Teller::new(backend);
        let mut planned = Vec::new();
        for name in names {
            let Some(migration) = all.iter().find(|known| known.name() == name) else {
                continue;
            };
            let statements = recording::statements(migration.as_ref(), direction, backend)
                .await
                .map_err(|source| MigrationError::Failed {
                    name: name.clone(),
                    direction,
                    source,
                })?;
            let statements = statements.into_iter().map(|sql| PlannedStatement {
                effects: teller.effects(&sql),
                sql,
            });
            planned.push(PlannedMigration {
                compatible: migration::is_compatible(&name),
                name,
                statements: statements.collect(),
            });
        }
        Ok(Self {
            direction,
            migrations: planned,
        })
    }
}
