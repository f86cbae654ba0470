//! The rules that rows have to keep, alone and together.

use async_trait::async_trait;
use sea_orm::{DbBackend, DbErr};

use super::{Check, Conclusion, Examination, Findings, Severity};

/// What is wrong with a row, as SQL.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The table.
    pub table: &'static str,
    /// What is wrong, in words.
    pub fault: &'static str,
    /// The condition that it is, on PostgreSQL.
    pub postgres: &'static str,
    /// The condition that it is, on SQLite.
    pub sqlite: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

const fn rule(table: &'static str, fault: &'static str, condition: &'static str) -> Rule {
    each(table, fault, condition, condition)
}

const fn each(
    table: &'static str,
    fault: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
) -> Rule {
    Rule {
        table,
        fault,
        postgres,
        sqlite,
        severity: Severity::Error,
    }
}

macro_rules! blank {
    ($table:literal, $column:literal) => {
        each(
            $table,
            concat!("its ", $column, " is blank"),
            concat!("btrim(", $column, r", E' \t\n\x0B\f\r') = ''"),
            concat!("trim(", $column, ", char(32, 9, 10, 11, 12, 13)) = ''"),
        )
    };
}

/// Every rule that a row can be told by.
pub const RULES: &[Rule] = &[
    each(
        "organizations",
        "its slug has more than lower-case letters, digits and hyphens",
        "slug !~ '^[a-z0-9-]+$'",
        "slug = '' OR slug GLOB '*[^a-z0-9-]*'",
    ),
    blank!("organizations", "name"),
    rule("organizations", "its version is less than 1", "version < 1"),
    rule(
        "organizations",
        "it has no active owner",
        "status <> 'deleted' AND NOT EXISTS (
           SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
           WHERE m.organization_id = checked.id AND m.role = 'owner' AND m.status = 'active' AND u.status = 'active')",
    ),
    each(
        "users",
        "their e-mail address has not the shape of one, or is not in lower case",
        r"email <> lower(email) OR email !~ '^[^@ \t\n\v\f\r]+@[^@ \t\n\v\f\r]+\.[^@ \t\n\v\f\r]+$'",
        "email <> lower(email) OR email NOT LIKE '_%@_%._%' OR email LIKE '%@%@%'
         OR email GLOB '*[' || char(32, 9, 10, 11, 12, 13) || ']*'",
    ),
    rule("users", "their password hash is empty", "password_hash = ''"),
    rule("users", "their failed sign-ins are less than 0", "failed_login_attempts < 0"),
    rule("users", "their version is less than 1", "version < 1"),
    Rule {
        severity: Severity::Warning,
        ..rule(
            "users",
            "they are active and a member of nothing",
            "status = 'active' AND role = 'user' AND NOT EXISTS (
               SELECT 1 FROM memberships m WHERE m.user_id = checked.id AND m.status <> 'removed')",
        )
    },
    rule("memberships", "its version is less than 1", "version < 1"),
    rule(
        "memberships",
        "it has left_at and is not removed, or is removed and has none",
        "(left_at IS NOT NULL) <> (status = 'removed')",
    ),
    blank!("api_keys", "name"),
    rule(
        "api_keys",
        "its key_id, key_hash or key_prefix is empty",
        "key_id = '' OR key_hash = '' OR key_prefix = ''",
    ),
    rule(
        "api_keys",
        "its usage_count or usage_limit is less than 0",
        "usage_count < 0 OR usage_limit < 0",
    ),
    rule(
        "api_keys",
        "it is an organization's and names none",
        "key_type = 'organization' AND organization_id IS NULL",
    ),
    rule("api_keys", "its version is less than 1", "version < 1"),
];

pub(super) struct DataConsistency;

#[async_trait(?Send)]
impl Check for DataConsistency {
    fn name(&self) -> &'static str {
        "data-consistency"
    }

    fn description(&self) -> &'static str {
        "Each organization has an active owner, and each row keeps the rules of its table"
    }

    fn mend(&self) -> &'static str {
        "change the rows by the API, as a system admin; a user who is a member of nothing can be invited, suspended or \
         deleted"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let (mut errors, mut warnings) = (Findings::default(), Findings::default());
        for (done, rule) in RULES.iter().enumerate() {
            examination.show(self.name(), done as u64, Some(RULES.len() as u64));
            let condition = match examination.backend {
                DbBackend::Sqlite => rule.sqlite,
                _ => rule.postgres,
            };
            let table = rule.table;
            let fault = rule.fault.replace('\'', "''");
            let id = examination.id("checked.id");
            let sql = format!(
                "SELECT '{table} ' || {id} || ': {fault}' FROM {table} AS checked WHERE {condition}"
            );
            let found = examination.findings(&sql).await?;
            match rule.severity {
                Severity::Error => errors.add(found),
                Severity::Warning | Severity::Info => warnings.add(found),
            }
        }
        let severity = match errors.total {
            0 => Severity::Warning,
            _ => Severity::Error,
        };
        errors.add(warnings);
        Ok(Conclusion::of(
            errors,
            severity,
            "all rows keep the rules",
            ["row breaks a rule", "rows break a rule"],
        ))
    }
}
