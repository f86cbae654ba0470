//! Rows that name rows which are not there, and rows of which there may be one only.

use async_trait::async_trait;
use entity::{events, idempotency_keys};
use sea_orm::DbErr;

use super::{Check, Conclusion, Examination, Findings, Severity};
use crate::ledger::registry::{Reference, Registered, references};
use crate::product::Product;

/// Every reference of the schema, as the generated entities have them.
pub fn all_references(product: &Product) -> Vec<Reference> {
    let resources = product.registry.resources();
    let mut all: Vec<_> = resources.flat_map(Registered::references).collect();
    all.extend(references::<events::Entity>());
    all.extend(references::<idempotency_keys::Entity>());
    all
}

/// The columns of which each combination may be there once, as SQL; where one of them is null, any number may.
pub fn unique_sets(product: &Product) -> Vec<(String, Vec<&'static str>)> {
    fn set(table: &str, columns: &[&'static str]) -> (String, Vec<&'static str>) {
        let columns = columns.iter().map(|column| match (table, *column) {
            // One person has one address, in whatever case another program wrote it.
            ("users", "email") => "lower(email)",
            (_, column) => column,
        });
        (table.to_owned(), columns.collect())
    }
    let mut sets = Vec::new();
    for resource in product.registry.resources() {
        let table = resource.table();
        sets.push(set(&table, &["id"]));
        sets.extend(
            resource
                .unique()
                .iter()
                .map(|(columns, _)| set(&table, columns)),
        );
    }
    sets.push(set("events", &["id"]));
    sets.push(set("events", &["aggregate_id", "aggregate_version"]));
    sets.push(set("idempotency_keys", &["credential_id", "key_hash"]));
    sets
}

/// Columns whose values are told: the others are secrets, or say something of a person.
const TELLING: &[&str] = &[
    "id",
    "user_id",
    "organization_id",
    "aggregate_id",
    "slug",
    "key_id",
];

pub(super) struct ForeignKeys;

#[async_trait(?Send)]
impl Check for ForeignKeys {
    fn name(&self) -> &'static str {
        "foreign-key-constraints"
    }

    fn description(&self) -> &'static str {
        "Each row that a row refers to is there, read through the data"
    }

    fn mend(&self) -> &'static str {
        "restore the row that is missing from a backup, or take the reference away; then see by `rollbook schema diff` \
         whether the constraint is there"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let mut findings = Findings::default();
        let references = all_references(examination.product);
        for (done, reference) in references.iter().enumerate() {
            examination.show(self.name(), done as u64, Some(references.len() as u64));
            let Reference {
                table,
                column,
                target,
            } = reference;
            let (id, missing) = (
                examination.id("child.id"),
                examination.id(&format!("child.{column}")),
            );
            let sql = format!(
                "SELECT '{table} ' || {id} || ': {column} names {target} ' || {missing} || ', which is not there'
                 FROM {table} AS child
                 WHERE child.{column} IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM {target} AS parent WHERE parent.id = child.{column})"
            );
            findings.add(examination.findings(&sql).await?);
        }
        let none = format!(
            "all {} references name rows that are there",
            references.len()
        );
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            &none,
            [
                "row names a row that is not there",
                "rows name a row that is not there",
            ],
        ))
    }
}

pub(super) struct UniqueSets;

#[async_trait(?Send)]
impl Check for UniqueSets {
    fn name(&self) -> &'static str {
        "unique-constraints"
    }

    fn description(&self) -> &'static str {
        "What may be there once is there once; e-mail addresses in any case of letters"
    }

    fn mend(&self) -> &'static str {
        "decide which of the rows is right and change the others; then see by `rollbook schema diff` whether the \
         constraint is there"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let mut findings = Findings::default();
        let sets = unique_sets(examination.product);
        for (done, (table, columns)) in sets.iter().enumerate() {
            examination.show(self.name(), done as u64, Some(sets.len() as u64));
            let told: Vec<String> = columns
                .iter()
                .filter(|column| TELLING.contains(column))
                .map(|column| match *column {
                    "slug" | "key_id" => format!("' ' || {column}"),
                    _ => format!("' ' || {}", examination.id(column)),
                })
                .chain(std::iter::once("''".to_owned()))
                .collect();
            let list = columns.join(", ");
            let present: Vec<String> = columns
                .iter()
                .map(|column| format!("{column} IS NOT NULL"))
                .collect();
            let sql = format!(
                "SELECT '{table} ({list}):' || {} || ' ' || count(*) || ' times' FROM {table} WHERE {}
                 GROUP BY {list} HAVING count(*) > 1",
                told.join(" || "),
                present.join(" AND "),
            );
            findings.add(examination.findings(&sql).await?);
        }
        let none = format!("all {} unique sets are unique", sets.len());
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            &none,
            [
                "value is there more than once",
                "values are there more than once",
            ],
        ))
    }
}
