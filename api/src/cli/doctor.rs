//! `rollbook doctor`: looks whether the database is what Rollbook left in it.

use std::io;

use clap::{Args, Subcommand};
use sea_orm::{DatabaseConnection, DbErr};
use serde_json::{Value, json};
use tracing_subscriber::util::TryInitError;
use uuid::Uuid;

use super::{
    config::{DatabaseSettings, LogSettings},
    output::{OutputFormat, print, print_json},
};
use crate::{
    database::{
        ConnectError, Database, Pools, SchemaError, close, connect, connect_for_examination,
        require_current,
    },
    http::log,
    operations::{
        Progress, Severity,
        doctor::{self, CheckResult, Options, ReconcileError, Reconciled, Report},
    },
    product::Product,
    values::{input::Field, text::Line255},
};

/// Check the data and the trail: references, rules, events, and that each row is what its events say
#[derive(Args, Debug)]
#[command(
    after_long_help = "It reads everything in one snapshot and changes nothing; servers go on meanwhile. Exit status: 0 \
                        nothing is wrong (there may be warnings), 1 something is, 2 bad usage or settings, 4 there are \
                        warnings (--strict)."
)]
pub(super) struct DoctorCommand {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// Run these checks alone: names, separated by commas
    #[arg(long, value_name = "CHECK", value_delimiter = ',', value_parser = check_name)]
    only: Vec<String>,

    /// End with 4 where there are warnings
    #[arg(long)]
    strict: bool,

    /// Show what is checked, and check nothing
    #[arg(long)]
    list: bool,

    /// Size of a table with its indexes above which it is told (SQLite: of the file)
    #[arg(
        long,
        env = "ROLLBOOK_TABLE_SIZE_LIMIT",
        value_name = "BYTES",
        default_value_t = 1 << 30
    )]
    table_size_limit: u64,

    /// Form of the answer: for people, or one line of JSON
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_enum,
        global = true
    )]
    format: OutputFormat,

    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Reconcile(ReconcileArguments),
}

/// Record a row as it is, where it is not what its events say: one more event says what it should have been and why
#[derive(Args, Debug)]
#[command(
    after_long_help = "It takes nothing back and changes no event; of the row it sets the version. Of a row that is gone it \
                        records the end, of one without events the beginning; where events contradict each other, that \
                        somebody saw it. Servers go on meanwhile. Exit status: 0 recorded, 1 nothing to reconcile or \
                        failed, 2 bad usage or settings."
)]
struct ReconcileArguments {
    /// The id that audit-completeness tells
    #[arg(value_name = "ID")]
    id: Uuid,

    /// Why it is taken as it is, for whoever reads the trail: one line
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Line255,
}

fn reason(text: &str) -> Result<Line255, String> {
    Line255::present(&Value::from(text)).map_err(|fault| fault.detail)
}

#[derive(Debug, thiserror::Error)]
#[error("there is no such check; there are: {0}")]
struct UnknownCheck(String);

fn check_name(text: &str) -> Result<String, UnknownCheck> {
    let names: Vec<&str> = doctor::list().into_iter().map(|(name, _)| name).collect();
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(UnknownCheck(names.join(", "))),
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DoctorError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the database failed")]
    Database(#[from] DbErr),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error("something is wrong: {0} of the checks found it")]
    Found(usize),
    #[error("nothing is wrong, but something should be looked at: {0} of the checks found it")]
    Warned(usize),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl DoctorError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(error) => Some(error.hint()),
            Self::Schema(error) => error.hint(),
            Self::Reconcile(ReconcileError::Unknown(_)) => {
                Some("`rollbook doctor --only audit-completeness` names the ids".to_owned())
            }
            _ => None,
        }
    }
}

impl DoctorCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), DoctorError> {
        if self.list && self.verb.is_none() {
            return self.show_list();
        }
        log::start(&self.log.filter, self.log.format)?;
        if let Some(Verb::Reconcile(arguments)) = &self.verb {
            return self.reconcile(product, arguments).await;
        }
        let database = connect_for_examination(&self.database).await?;
        let outcome = self.examine(product, &database).await;
        close(database).await;
        let report = outcome?;
        match self.format {
            OutputFormat::Json => print_json(&report)?,
            OutputFormat::Text => print(&as_text(&report))?,
        }
        match report.summary.warnings {
            _ if !report.overall => Err(DoctorError::Found(report.summary.errors)),
            warnings @ 1.. if self.strict => Err(DoctorError::Warned(warnings)),
            _ => Ok(()),
        }
    }

    async fn reconcile(
        &self,
        product: &Product,
        arguments: &ReconcileArguments,
    ) -> Result<(), DoctorError> {
        let pools = connect(&self.database).await?;
        let outcome = self.record(product, arguments, &pools).await;
        pools.close().await;
        let reconciled = outcome?;
        match self.format {
            OutputFormat::Json => print_json(&reconciled)?,
            OutputFormat::Text => print(&recorded(&reconciled))?,
        }
        Ok(())
    }

    async fn record(
        &self,
        product: &Product,
        arguments: &ReconcileArguments,
        pools: &Pools,
    ) -> Result<Reconciled, DoctorError> {
        let database = Database::new(pools.clone());
        require_current(&product.migrations, &database.reader()).await?;
        let reason = arguments.reason.clone();
        Ok(doctor::reconcile(product, &database, arguments.id, reason).await?)
    }

    async fn examine(
        &self,
        product: &Product,
        database: &DatabaseConnection,
    ) -> Result<Report, DoctorError> {
        match require_current(&product.migrations, database).await {
            // What is newer is told by the check of the migrations.
            Ok(()) | Err(SchemaError::Ahead { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let options = Options {
            only: self.only.clone(),
            table_size_limit: self.table_size_limit,
        };
        let examined = doctor::examine(product, database, &options, Progress::default());
        Ok(examined.await?)
    }

    fn show_list(&self) -> Result<(), DoctorError> {
        let list = doctor::list();
        match self.format {
            OutputFormat::Text => {
                for (name, description) in list {
                    print(&format!("{name}\n  {description}"))?;
                }
            }
            OutputFormat::Json => {
                let checks: Vec<_> = list
                    .into_iter()
                    .map(|(name, description)| json!({"name": name, "description": description}))
                    .collect();
                print_json(&json!({ "checks": checks }))?;
            }
        }
        Ok(())
    }
}

/// What was recorded, in a line: of a change the columns, of a contradiction what it was.
fn recorded(reconciled: &Reconciled) -> String {
    let Reconciled {
        aggregate_type,
        aggregate_id,
        aggregate_version,
        event_type,
        data,
        acknowledged,
        ..
    } = reconciled;
    let mut told: Vec<String> = match (data["old"].as_object(), data["new"].as_object()) {
        (Some(_), Some(new)) => new
            .keys()
            .filter(|name| *name != "version")
            .cloned()
            .collect(),
        (None, _) => vec!["it had no event".to_owned()],
        (_, None) => vec!["its row is gone".to_owned()],
    };
    told.extend_from_slice(acknowledged);
    if told.is_empty() {
        told.push("version".to_owned());
    }
    let told = told.join("; ");
    format!(
        "{aggregate_type} {aggregate_id}: recorded as version {aggregate_version} by {event_type}: {told}"
    )
}

fn as_text(report: &Report) -> String {
    let mut lines: Vec<String> = Vec::new();
    for result in &report.results {
        let CheckResult {
            name,
            message,
            details,
            mend,
            ..
        } = result;
        let word = match (result.passed, result.severity) {
            (true, _) => "ok     ",
            (false, Severity::Error) => "ERROR  ",
            (false, _) => "WARNING",
        };
        lines.push(format!("{word} {name}: {message}"));
        lines.extend(details.iter().map(|detail| format!("          {detail}")));
        lines.extend(mend.iter().map(|mend| format!("        → {mend}")));
    }
    let summary = report.summary;
    let overall = if report.overall { "PASS" } else { "FAIL" };
    lines.push(format!(
        "{overall}: {} passed, {} warnings, {} errors",
        summary.passed, summary.warnings, summary.errors
    ));
    lines.join("\n")
}
