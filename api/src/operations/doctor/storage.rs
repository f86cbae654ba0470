//! How the database keeps the data.

use async_trait::async_trait;
use sea_orm::DbErr;

use super::{Check, Conclusion, Examination, Findings, Severity};

/// An index of at least this size that nobody ever used is told, in bytes.
const UNUSED_INDEX: u64 = 1 << 20;
/// Dead rows that are told: more than so many, and more than a fifth of all.
const DEAD_ROWS: u64 = 10_000;
/// The age of a table's oldest transaction at which PostgreSQL comes near to refusing writes (at two thousand million).
const WARN_AGE: u64 = 1_000_000_000;

pub(super) struct IndexUsage;

#[async_trait(?Send)]
impl Check for IndexUsage {
    fn name(&self) -> &'static str {
        "index-usage"
    }

    fn description(&self) -> &'static str {
        "No index is there twice; those that nobody used are named, by the statistics (PostgreSQL)"
    }

    fn mend(&self) -> &'static str {
        "drop one of the two that are the same; statistics count since their last reset and on this server alone, so ask \
         the replicas before an index goes that nobody used"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        if !examination.is_postgres() {
            return Ok(Conclusion::not_here("PostgreSQL"));
        }
        let twice = "SELECT one.indexrelid::regclass || ' and ' || other.indexrelid::regclass || ' on ' ||
                one.indrelid::regclass || ' are the same (' || pg_size_pretty(pg_relation_size(other.indexrelid)) || ')'
            FROM pg_index one JOIN pg_index other
              ON one.indrelid = other.indrelid AND one.indexrelid < other.indexrelid AND one.indkey = other.indkey
             AND one.indclass = other.indclass AND one.indoption = other.indoption
             AND one.indcollation = other.indcollation
             AND coalesce(pg_get_expr(one.indexprs, one.indrelid), '') = coalesce(pg_get_expr(other.indexprs, other.indrelid), '')
             AND coalesce(pg_get_expr(one.indpred, one.indrelid), '') = coalesce(pg_get_expr(other.indpred, other.indrelid), '')
            JOIN pg_class c ON c.oid = one.indrelid
            WHERE c.relnamespace = current_schema()::regnamespace";
        let twice = examination.findings(twice).await?;
        let unused = format!(
            "SELECT indexrelname || ' on ' || relname || ' was never used (' ||
                    pg_size_pretty(pg_relation_size(indexrelid)) || ')'
             FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid)
             WHERE idx_scan = 0 AND NOT indisunique AND schemaname = current_schema()
               AND pg_relation_size(indexrelid) >= {UNUSED_INDEX}
             ORDER BY pg_relation_size(indexrelid) DESC"
        );
        let mut unused = examination.findings(&unused).await?;
        if twice.total > 0 {
            return Ok(Conclusion::of(
                twice,
                Severity::Warning,
                "",
                [
                    "pair of indexes are the same",
                    "pairs of indexes are the same",
                ],
            ));
        }
        let message = match unused.total {
            0 => "no index is there twice".to_owned(),
            count => format!("no index is there twice; {count} were never used"),
        };
        Ok(Conclusion {
            details: std::mem::take(&mut unused.shown),
            ..Conclusion::good(message)
        })
    }
}

pub(super) struct TableSizes;

#[async_trait(?Send)]
impl Check for TableSizes {
    fn name(&self) -> &'static str {
        "table-sizes"
    }

    fn description(&self) -> &'static str {
        "No table with its indexes is larger than --table-size-limit (SQLite: the whole file)"
    }

    fn mend(&self) -> &'static str {
        "nothing is wrong with a large table; look whether disk, backup time and memory still suit it, or raise the limit"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        let limit = examination.options.table_size_limit;
        let sql = match examination.is_postgres() {
            true => format!(
                "SELECT relname || ' has ' || pg_size_pretty(pg_total_relation_size(relid)) FROM pg_stat_user_tables
                 WHERE schemaname = current_schema() AND pg_total_relation_size(relid) > {limit}"
            ),
            false => format!(
                "SELECT 'the file has ' || (page_count * page_size) || ' bytes'
                 FROM pragma_page_count(), pragma_page_size() WHERE page_count * page_size > {limit}"
            ),
        };
        let findings = examination.findings(&sql).await?;
        let none = format!("nothing is larger than {limit} bytes");
        let some = ["is", "are"].map(|verb| format!("{verb} larger than {limit} bytes"));
        let some = [some[0].as_str(), some[1].as_str()];
        Ok(Conclusion::of(findings, Severity::Warning, &none, some))
    }
}

pub(super) struct BloatAndVacuum;

#[async_trait(?Send)]
impl Check for BloatAndVacuum {
    fn name(&self) -> &'static str {
        "bloat-and-vacuum"
    }

    fn description(&self) -> &'static str {
        "Dead rows are cleared away, and old transactions frozen in time (PostgreSQL)"
    }

    fn mend(&self) -> &'static str {
        "VACUUM (ANALYZE) the table; look for what keeps autovacuum off: long transactions, unused replication slots, its \
         settings"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        if !examination.is_postgres() {
            return Ok(Conclusion::not_here("PostgreSQL"));
        }
        let dead = format!(
            "SELECT relname || ' has ' || n_dead_tup || ' dead rows beside ' || n_live_tup FROM pg_stat_user_tables
             WHERE schemaname = current_schema() AND n_dead_tup > {DEAD_ROWS} AND n_dead_tup > n_live_tup / 5"
        );
        let mut findings = examination.findings(&dead).await?;
        let old = format!(
            "SELECT relname || ' has transactions that are ' || age(relfrozenxid) || ' old' FROM pg_class
             WHERE relkind IN ('r', 't', 'm') AND age(relfrozenxid) > {WARN_AGE}"
        );
        findings.add(examination.findings(&old).await?);
        let none = "no table has many dead rows, and none is near wraparound";
        Ok(Conclusion::of(
            findings,
            Severity::Warning,
            none,
            ["table wants to be vacuumed", "tables want to be vacuumed"],
        ))
    }
}

pub(super) struct IntegrityCheck;

#[async_trait(?Send)]
impl Check for IntegrityCheck {
    fn name(&self) -> &'static str {
        "integrity-check"
    }

    fn description(&self) -> &'static str {
        "SQLite's own integrity_check: pages, indexes and constraints are sound (SQLite)"
    }

    fn mend(&self) -> &'static str {
        "the file is damaged: stop the server, keep a copy, and restore a backup; look at the disk"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        if examination.is_postgres() {
            return Ok(Conclusion::not_here("SQLite"));
        }
        let mut findings = Findings::default();
        for row in examination.rows("PRAGMA integrity_check(100)").await? {
            let said: String = row.try_get_by_index(0)?;
            if said != "ok" {
                findings.push(|| said);
            }
        }
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            "the file is sound",
            ["fault in the file", "faults in the file"],
        ))
    }
}

pub(super) struct ForeignKeyCheck;

#[async_trait(?Send)]
impl Check for ForeignKeyCheck {
    fn name(&self) -> &'static str {
        "foreign-key-check"
    }

    fn description(&self) -> &'static str {
        "SQLite's own foreign_key_check (SQLite)"
    }

    fn mend(&self) -> &'static str {
        "as for foreign-key-constraints"
    }

    async fn run(&self, examination: &Examination<'_>) -> Result<Conclusion, DbErr> {
        if examination.is_postgres() {
            return Ok(Conclusion::not_here("SQLite"));
        }
        let sql =
            "SELECT \"table\" || ' row ' || coalesce(rowid, '?') || ' names a row of ' || parent
                   FROM pragma_foreign_key_check()";
        let findings = examination.findings(sql).await?;
        Ok(Conclusion::of(
            findings,
            Severity::Error,
            "all references hold",
            ["reference does not hold", "references do not hold"],
        ))
    }
}
