//! What the database is made of.

use async_trait::async_trait;
use sea_orm::DbErr;

use super::{Check, Conclusion, Examination, Findings, Severity};
use crate::operations::migration::{MigrationError, irreversible, misfitting};
use crate::operations::schema::{Difference, compare};

pub(super) struct Migrations;

#[async_trait(?Send)]
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
        let mut found = misfitting(&examination.product.migrations, examination.database).await?;
        match irreversible(&examination.product.migrations, examination.database).await {
            Ok(more) => found.extend(more),
            Err(error) => {
                let conclusion = not_tried(error)?;
                if found.is_empty() {
                    return Ok(conclusion);
                }
            }
        }
        let mut findings = Findings::default();
        for finding in found {
            findings.push(|| format!("{}: {}", finding.migration, finding.message));
        }
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            "all migrations fit",
            ["migration does not fit", "migrations do not fit"],
        ))
    }
}

/// What is no fault of this database: it cannot be looked at, here or by this version.
fn not_tried(error: MigrationError) -> Result<Conclusion, DbErr> {
    match error {
        MigrationError::ReadOnly => Ok(Conclusion::good(
            "not looked at: migrations cannot be tried in a database that is read-only; ask the primary",
        )),
        MigrationError::Ahead { .. } => Ok(Conclusion::good(
            "not compared: the database is newer than this version",
        )),
        MigrationError::NotAllowed(_) => Ok(Conclusion {
            severity: Severity::Warning,
            mend: Some(
                "run it by the role that migrates, or give this one the right: GRANT CREATE ON DATABASE … TO …",
            ),
            ..Conclusion::good(
                "not compared: this role may not make a schema in the database, and migrations are tried in one",
            )
        }),
        error => Err(error.into()),
    }
}

pub(super) struct SchemaDrift;

#[async_trait(?Send)]
impl Check for SchemaDrift {
    fn name(&self) -> &'static str {
        "schema-drift"
    }

    fn description(&self) -> &'static str {
        "Tables, columns, constraints, indexes and triggers are what the migrations make, and nothing is beside them"
    }

    fn mend(&self) -> &'static str {
        "see `rollbook schema diff`, which has the statements that mend it"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let differences = match compare(&examination.product.migrations, examination.database).await
        {
            Ok(comparison) => comparison.differences,
            Err(error) => return not_tried(error),
        };
        let is_bad = |difference: &Difference| difference.severity == Severity::Error;
        let severity = match differences.iter().any(is_bad) {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let mut findings = Findings::default();
        for difference in differences {
            findings.push(|| difference.to_string());
        }
        let none = "the schema is what the migrations make";
        let some = [
            "difference from what the migrations make",
            "differences from what the migrations make",
        ];
        Ok(Conclusion::of(findings, severity, none, some))
    }
}
