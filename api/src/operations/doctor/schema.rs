//! What the database is made of.

use async_trait::async_trait;
use migration::Migrator;
use sea_orm::DbErr;

use super::{Check, Conclusion, Examination, Findings, Severity};
use crate::operations::migration::{MigrationError, validate};

pub(super) struct Migrations;

#[async_trait]
impl Check for Migrations {
    fn name(&self) -> &'static str {
        "migrations"
    }

    fn description(&self) -> &'static str {
        "The migrations of this version and those of the database fit together, and each can be rolled back"
    }

    fn mend(&self) -> &'static str {
        "see `rollbook migrate validate`"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let found = match validate::<Migrator>(examination.database).await {
            Ok(found) => found,
            Err(MigrationError::Database(error)) => return Err(error),
            Err(error) => return Err(DbErr::Custom(error.to_string())),
        };
        let mut findings = Findings::default();
        for finding in found {
            findings.push(|| format!("{}: {}", finding.migration, finding.message));
        }
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            "all migrations fit",
            "migrations do not fit",
        ))
    }
}
