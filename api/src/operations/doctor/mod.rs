//! Is the database what Rollbook left in it? Checks that read the data and trust no constraint and no trigger.
//!
//! All checks of a run see one consistent snapshot and change nothing. What they read comes in batches, so that the size
//! of the trail costs time and no memory. To add a check: a type in one of the files here, and its line in [`checks`].

mod fold;
mod reconcile;
mod relations;
mod rules;
mod schema;
mod storage;
mod trail;

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, QueryResult, Statement, TransactionTrait,
};
use serde::Serialize;

use super::Severity;
use crate::operations::Progress;
use crate::product::Product;

pub use reconcile::{ReconcileError, Reconciled, reconcile};
pub use relations::{all_references, unique_sets};
pub use rules::RULES;

/// How many findings of a check are told one by one; the message has the number of all.
pub const SHOWN: usize = 20;

/// What is looked for, and how much is too much.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the checks to run; all where it is empty.
    pub only: Vec<String>,
    /// The size of a table, with its indexes, above which it is told, in bytes.
    pub table_size_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            table_size_limit: 1 << 30,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Its name.
    pub name: &'static str,
    /// What it looks for.
    pub description: &'static str,
    /// Whether it found nothing.
    pub passed: bool,
    /// How bad it is.
    pub severity: Severity,
    /// What it found, in a line.
    pub message: String,
    /// The first findings, one by one.
    pub details: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Found nothing.
    pub passed: usize,
    /// Found something that should be looked at.
    pub warnings: usize,
    /// Found something wrong, or could not look.
    pub errors: usize,
}

/// What all checks found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong; warnings may be there.
    pub overall: bool,
    /// How many checks ended how.
    pub summary: Summary,
    /// The checks, in their order.
    pub results: Vec<CheckResult>,
}

/// What a check concludes.
#[derive(Clone, Debug)]
pub struct Conclusion {
    severity: Severity,
    message: String,
    details: Vec<String>,
    /// What to do about it, where that is not what the check says.
    mend: Option<&'static str>,
}

impl Conclusion {
    fn good(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Info,
            message: message.into(),
            details: Vec::new(),
            mend: None,
        }
    }

    fn not_here(backend: &str) -> Self {
        Self::good(format!(
            "only {backend} has this; there is nothing to check here"
        ))
    }

    /// Good where there is no finding. What some are called is said for one and for several.
    fn of(findings: Findings, severity: Severity, none: &str, some: [&str; 2]) -> Self {
        match findings.total {
            0 => Self {
                details: findings.shown,
                ..Self::good(none)
            },
            total => Self {
                severity,
                message: format!("{total} {}", some[usize::from(total > 1)]),
                details: findings.shown,
                mend: None,
            },
        }
    }
}

/// Findings: all are counted, the first are kept.
#[derive(Clone, Debug, Default)]
struct Findings {
    total: u64,
    shown: Vec<String>,
}

impl Findings {
    fn push(&mut self, finding: impl FnOnce() -> String) {
        self.total += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(finding());
        }
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        let room = SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(other.shown.into_iter().take(room));
    }
}

/// One thing to look for.
#[async_trait(?Send)]
trait Check: Sync {
    fn name(&self) -> &'static str;
    fn description(&self) -> &'static str;
    /// What to do where it finds something.
    fn mend(&self) -> &'static str;
    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr>;
}

/// Every check, in the order in which they are run.
fn checks() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(schema::Migrations),
        Box::new(schema::SchemaDrift),
        Box::new(relations::ForeignKeys),
        Box::new(relations::UniqueSets),
        Box::new(rules::DataConsistency),
        Box::new(trail::EventIntegrity),
        Box::new(trail::AuditCompleteness),
        Box::new(storage::IndexUsage),
        Box::new(storage::TableSizes),
        Box::new(storage::BloatAndVacuum),
        Box::new(storage::IntegrityCheck),
        Box::new(storage::ForeignKeyCheck),
    ]
}

/// The name and the description of every check.
pub fn list() -> Vec<(&'static str, &'static str)> {
    let checks = checks();
    checks
        .iter()
        .map(|check| (check.name(), check.description()))
        .collect()
}

/// What a check may use.
struct Examination<'a> {
    product: &'a Product,
    /// The database outside the snapshot: for what reads no data.
    database: &'a DatabaseConnection,
    snapshot: &'a DatabaseTransaction,
    backend: DbBackend,
    options: &'a Options,
    progress: &'a Progress,
}

/// Runs the checks. One that itself fails is an error of its own, and the others go on.
///
/// # Errors
/// Where the snapshot cannot be taken.
pub async fn examine(
    product: &Product,
    database: &DatabaseConnection,
    options: &Options,
    progress: Progress,
) -> Result<Report, DbErr> {
    let snapshot = snapshot(database).await?;
    let mut results = Vec::new();
    for check in checks() {
        let name = check.name();
        if options.only.is_empty() || options.only.iter().any(|wanted| wanted == name) {
            results.push(
                run(
                    check.as_ref(),
                    product,
                    database,
                    &snapshot,
                    options,
                    &progress,
                )
                .await?,
            );
        }
    }
    snapshot.rollback().await?;
    let count = |of: fn(&CheckResult) -> bool| results.iter().filter(|result| of(result)).count();
    let summary = Summary {
        passed: count(|result| result.passed),
        warnings: count(|result| !result.passed && result.severity == Severity::Warning),
        errors: count(|result| !result.passed && result.severity == Severity::Error),
    };
    Ok(Report {
        overall: summary.errors == 0,
        summary,
        results,
    })
}

#[expect(clippy::disallowed_methods, reason = "a transaction that only reads")]
async fn snapshot(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    if database.get_database_backend() == DbBackend::Sqlite {
        return database.begin().await;
    }
    let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
    database
        .begin_with_config(Some(isolation), Some(access))
        .await
}

/// Within a savepoint: on PostgreSQL a statement that fails would end the whole snapshot.
#[expect(
    clippy::disallowed_methods,
    reason = "a savepoint in a transaction that only reads"
)]
async fn run(
    check: &dyn Check,
    product: &Product,
    database: &DatabaseConnection,
    snapshot: &DatabaseTransaction,
    options: &Options,
    progress: &Progress,
) -> Result<CheckResult, DbErr> {
    let savepoint = snapshot.begin().await?;
    let examination = Examination {
        product,
        database,
        snapshot: &savepoint,
        backend: database.get_database_backend(),
        options,
        progress,
    };
    examination.show(check.name(), 0, None);
    let outcome = check.run(&examination).await;
    savepoint.rollback().await?;
    let conclusion = outcome.unwrap_or_else(|error| Conclusion {
        severity: Severity::Error,
        message: format!("the check itself failed: {error}"),
        details: Vec::new(),
        mend: None,
    });
    let passed = conclusion.severity == Severity::Info;
    Ok(CheckResult {
        name: check.name(),
        description: check.description(),
        passed,
        severity: conclusion.severity,
        message: conclusion.message,
        details: conclusion.details,
        mend: (!passed).then(|| conclusion.mend.unwrap_or_else(|| check.mend())),
    })
}

impl Examination<'_> {
    fn show(&self, what: &str, done: u64, total: Option<u64>) {
        self.progress.show(what, done, total);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the checks ask in SQL what no entity says; nothing in it comes from outside"
    )]
    async fn rows(&self, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
        let statement = Statement::from_string(self.backend, sql);
        self.snapshot.query_all_raw(statement).await
    }

    async fn number(&self, sql: &str) -> Result<u64, DbErr> {
        let rows = self.rows(sql).await?;
        let number: Option<i64> = rows
            .first()
            .map(|row| row.try_get_by_index(0))
            .transpose()?;
        Ok(number.map_or(0, i64::unsigned_abs))
    }

    /// The rows of a query whose first column tells a finding as text.
    async fn findings(&self, sql: &str) -> Result<Findings, DbErr> {
        let sample = self.rows(&format!("{sql} LIMIT {}", SHOWN + 1)).await?;
        let total = match sample.len() > SHOWN {
            true => {
                self.number(&format!("SELECT count(*) FROM ({sql}) AS found"))
                    .await?
            }
            false => sample.len() as u64,
        };
        let texts = sample.iter().take(SHOWN).map(|row| row.try_get_by_index(0));
        Ok(Findings {
            total,
            shown: texts.collect::<Result<_, _>>()?,
        })
    }

    /// An id as text, hyphenated.
    fn id(&self, column: &str) -> String {
        match self.backend {
            DbBackend::Sqlite => format!(
                "lower(substr(hex({column}), 1, 8) || '-' || substr(hex({column}), 9, 4) || '-' || \
                 substr(hex({column}), 13, 4) || '-' || substr(hex({column}), 17, 4) || '-' || \
                 substr(hex({column}), 21))"
            ),
            _ => format!("({column})::text"),
        }
    }

    fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }
}
