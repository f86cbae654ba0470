//! The words that migrations share: columns, checks, references and indexes that mean the same on both backends.
//!
//! PostgreSQL's types refuse what does not belong into a column. SQLite's do not, so every table made by
//! [`create_table`] carries a check per column there that refuses the same.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, json_binary, timestamp_with_time_zone, uuid, uuid_null},
    sea_orm::DbBackend,
};

/// What the column `metadata` means in most tables.
pub const METADATA: &str = "What the product keeps with it, an object; changed by merge patch (RFC \
                            7396)";

/// White space that a name is trimmed of, as each backend writes it.
const POSTGRES_BLANKS: &str = r"E' \t\n\x0B\f\r'";
const SQLITE_BLANKS: &str = "char(32, 9, 10, 11, 12, 13)";

/// The primary key. The application sets it; the default serves other clients.
pub fn id(backend: DbBackend) -> ColumnDef {
    let default = match backend {
        DbBackend::Sqlite => "randomblob(16)",
        _ => "gen_random_uuid()",
    };
    uuid("id")
        .primary_key()
        .default(Expr::cust(default))
        .comment(
            "Identifier: of Rollbook a UUIDv7 (RFC 9562), so that its order is that of creation; \
                     of the default, for other programs, a random one",
        )
        .take()
}

/// The version of a row, which grows with each change.
pub fn version() -> ColumnDef {
    big_integer("version")
        .default(1)
        .comment("1 when it is made, one more with each change; the ETag of the resource")
        .take()
}

/// When a row was made.
pub fn created_at(backend: DbBackend) -> ColumnDef {
    moment("created_at", backend)
        .comment("When it was made, in UTC, to the microsecond")
        .take()
}

/// When a row was changed last.
pub fn updated_at(backend: DbBackend) -> ColumnDef {
    moment("updated_at", backend)
        .comment("When it was changed last, in UTC, to the microsecond")
        .take()
}

/// Who made a row.
pub fn created_by(table: &str) -> ColumnDef {
    author(references(
        uuid_null("created_by"),
        table,
        "users",
        Reference::Restrict,
    ))
}

/// Who changed a row last.
pub fn updated_by(table: &str) -> ColumnDef {
    author(references(
        uuid_null("updated_by"),
        table,
        "users",
        Reference::Restrict,
    ))
}

/// Says what `created_by` and `updated_by` mean.
pub fn author(mut column: ColumnDef) -> ColumnDef {
    let meaning = match column.get_column_name().as_str() {
        "created_by" => "Who made it; null where no user did: the command line, the database",
        _ => "Who changed it last; null where no user did",
    };
    column.comment(meaning).take()
}

/// A time that is now where the client does not say.
pub fn moment(name: &'static str, backend: DbBackend) -> ColumnDef {
    timestamp_with_time_zone(name)
        .default(Expr::cust(now(backend)))
        .take()
}

/// A JSON object that is empty where the client does not say.
pub fn json_object(name: &'static str) -> ColumnDef {
    json_binary(name).default("{}").take()
}

/// The present as an SQL expression; on SQLite in the text form in which the application writes times.
pub fn now(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => {
            // As the application's driver writes it: no fraction where it is zero, or equal times would differ as text.
            "replace(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '+00:00', '.000+', '+')"
        }
        _ => "now()",
    }
}

/// What a foreign key adds to its rows' life.
#[derive(Clone, Copy)]
pub enum Reference {
    /// The row that is named cannot go.
    Restrict,
    /// The row goes with the one it names.
    Cascade,
    /// Checked at the commit: the row that is named may be written later in the transaction.
    Deferred,
}

/// Makes a column a foreign key to the id of another table.
///
/// The schema builder loses the constraint's name on SQLite and knows no deferrable ones.
pub fn references(
    mut column: ColumnDef,
    table: &str,
    target: &str,
    reference: Reference,
) -> ColumnDef {
    let name = column.get_column_name();
    let rule = reference_rule(target, reference);
    column
        .extra(format!("CONSTRAINT {table}_{name}_fkey {rule}"))
        .take()
}

fn reference_rule(target: &str, reference: Reference) -> String {
    let suffix = match reference {
        Reference::Restrict => "",
        Reference::Cascade => " ON DELETE CASCADE",
        Reference::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    };
    format!("REFERENCES {target} (id){suffix}")
}

/// A named rule about rows, `<table>_<what>_check`.
pub fn check(table: &str, what: &str, rule: impl Into<String>) -> Check {
    Check::named(
        Alias::new(format!("{table}_{what}_check")),
        Expr::cust(rule.into()),
    )
}

/// The rule that a text has more than white space in it.
pub fn not_blank(table: &str, column: &str, backend: DbBackend) -> Check {
    let trimmed = match backend {
        DbBackend::Sqlite => format!("trim({column}, {SQLITE_BLANKS})"),
        _ => format!("btrim({column}, {POSTGRES_BLANKS})"),
    };
    check(table, column, format!("{trimmed} <> ''"))
}

/// The rule that a JSON column holds an object.
pub fn is_object(table: &str, column: &str, backend: DbBackend) -> Check {
    let rule = match backend {
        DbBackend::Sqlite => {
            format!("CASE WHEN json_valid({column}) THEN json_type({column}) = 'object' ELSE 0 END")
        }
        _ => format!("jsonb_typeof({column}) = 'object'"),
    };
    check(table, column, rule)
}

/// A unique constraint, `<table>_<columns>_key`.
pub fn unique(table: &str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut constraint = Index::create();
    constraint
        .unique()
        .name(format!("{table}_{}_key", columns.join("_")));
    for column in columns {
        constraint.col(*column);
    }
    constraint
}

/// An index, and what it serves: the second half of "serves …".
pub type Serving = (IndexCreateStatement, &'static str);

/// An index, `<table>_<columns>_idx`; a column may be followed by ` desc`.
pub fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut statement = Index::create();
    let mut name = table.to_owned();
    for column in columns {
        let (column, order) = match column.strip_suffix(" desc") {
            Some(column) => (column, IndexOrder::Desc),
            None => (*column, IndexOrder::Asc),
        };
        name = format!("{name}_{column}");
        statement.col((column, order));
    }
    statement.table(table).name(format!("{name}_idx")).take()
}

/// Creates a table; on SQLite with the checks that make its columns as strict as PostgreSQL's, on PostgreSQL with what
/// it and its columns mean.
pub async fn create_table(
    manager: &SchemaManager<'_>,
    mut table: TableCreateStatement,
    name: &str,
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        for column in table.get_columns().clone() {
            if let Some(rule) = sqlite_type_rule(&column) {
                let what = format!("{}_type", column.get_column_name());
                table.check(check(name, &what, rule));
            }
        }
    }
    let meanings = meanings(&table, name);
    manager.create_table(table).await?;
    describe(manager, meanings).await
}

fn meanings(table: &TableCreateStatement, name: &str) -> Vec<(String, String)> {
    let of_table = table
        .get_comment()
        .map(|text| (format!("TABLE {name}"), text.clone()));
    let of_columns = table.get_columns().iter().filter_map(|column| {
        let what = format!("COLUMN {name}.{}", column.get_column_name());
        let text = column.get_column_spec().comment.clone()?;
        Some((what, text))
    });
    of_table.into_iter().chain(of_columns).collect()
}

/// Writes down what things mean, each called as `COMMENT ON` calls it. SQLite has no place for it.
pub async fn describe(
    manager: &SchemaManager<'_>,
    meanings: impl IntoIterator<Item = (impl std::fmt::Display, impl AsRef<str>)>,
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let comments: String = meanings
        .into_iter()
        .map(|(what, text)| {
            let text = text.as_ref().replace('\'', "''");
            format!("COMMENT ON {what} IS '{text}';\n")
        })
        .collect();
    execute(manager, &comments).await
}

/// Adds columns to a table, with what [`create_table`] would have made of them.
pub async fn add_columns(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[ColumnDef],
) -> Result<(), DbErr> {
    let mut meanings = Vec::new();
    for column in columns {
        let name = column.get_column_name();
        let mut added = column.clone();
        if manager.get_database_backend() == DbBackend::Sqlite
            && let Some(rule) = sqlite_type_rule(column)
        {
            let others = column
                .get_column_spec()
                .extra
                .as_deref()
                .unwrap_or_default();
            added.extra(format!(
                "{others} CONSTRAINT {table}_{name}_type_check CHECK ({rule})"
            ));
        }
        if let Some(text) = &column.get_column_spec().comment {
            meanings.push((format!("COLUMN {table}.{name}"), text.clone()));
        }
        let add = Table::alter().table(table).add_column(added).take();
        manager.alter_table(add).await?;
    }
    describe(manager, meanings).await
}

/// Drops columns of a table.
pub async fn drop_columns(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[ColumnDef],
) -> Result<(), DbErr> {
    for column in columns {
        let name = Alias::new(column.get_column_name());
        let drop = Table::alter().table(table).drop_column(name).take();
        manager.alter_table(drop).await?;
    }
    Ok(())
}

/// A table with what every audited one has around its own columns: `id` before them, and behind them its version, its times
/// and its authors. Constraints are added to it.
pub fn audited_table(
    name: &'static str,
    meaning: &str,
    backend: DbBackend,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).comment(meaning).col(id(backend));
    for column in columns {
        table.col(column);
    }
    table
        .col(version())
        .col(created_at(backend))
        .col(updated_at(backend))
        .col(created_by(name))
        .col(updated_by(name))
        .check(check(name, "version", "version >= 1"))
        .take()
}

/// Drops a table with all that is on it.
pub async fn drop_table(manager: &SchemaManager<'_>, name: &'static str) -> Result<(), DbErr> {
    manager.drop_table(Table::drop().table(name).take()).await
}

/// Creates indexes one after the other.
pub async fn create_indexes<const N: usize>(
    manager: &SchemaManager<'_>,
    indexes: [Serving; N],
) -> Result<(), DbErr> {
    let mut meanings = Vec::new();
    for (index, serves) in indexes {
        let name = index.get_index_spec().get_name().unwrap_or_default();
        meanings.push((format!("INDEX {name}"), serves));
        manager.create_index(index).await?;
    }
    describe(manager, meanings).await
}

/// Creates a native enumeration on PostgreSQL; SQLite has a check on the column instead.
pub async fn create_enum(
    manager: &SchemaManager<'_>,
    name: &'static str,
    values: &[&'static str],
) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let values = values.iter().map(|value| Alias::new(*value));
    manager
        .create_type(
            extension::postgres::Type::create()
                .as_enum(name)
                .values(values)
                .to_owned(),
        )
        .await
}

/// Drops what [`create_enum`] made.
pub async fn drop_enum(manager: &SchemaManager<'_>, name: &'static str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    manager
        .drop_type(extension::postgres::Type::drop().name(name).to_owned())
        .await
}

/// Runs SQL as it stands, one statement or several.
pub async fn execute(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager
        .get_connection()
        .execute_unprepared(sql)
        .await
        .map(|_| ())
}

/// What PostgreSQL's type of the column would refuse, as an SQLite check.
fn sqlite_type_rule(column: &ColumnDef) -> Option<String> {
    let name = column.get_column_name();
    let text = format!("typeof({name}) = 'text'");
    // PostgreSQL has no NUL in text, and SQLite's length() stops at one.
    let plain_text = format!("{text} AND instr({name}, char(0)) = 0");
    let rule = match column.get_column_type()? {
        ColumnType::String(StringLen::N(length)) => {
            format!("{plain_text} AND length({name}) <= {length}")
        }
        ColumnType::Text => plain_text,
        ColumnType::Uuid => format!("typeof({name}) = 'blob' AND length({name}) = 16"),
        ColumnType::Blob => format!("typeof({name}) = 'blob'"),
        ColumnType::TimestampWithTimeZone => format!(
            "{text} AND {name} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' AND julianday({name}) IS NOT NULL"
        ),
        ColumnType::JsonBinary => format!("{text} AND json_valid({name})"),
        ColumnType::Boolean => format!("{name} IN (0, 1)"),
        ColumnType::Integer => {
            format!("typeof({name}) = 'integer' AND {name} BETWEEN -2147483648 AND 2147483647")
        }
        ColumnType::BigInteger => format!("typeof({name}) = 'integer'"),
        ColumnType::Enum { variants, .. } => {
            let values: Vec<_> = variants.iter().map(|value| format!("'{value}'")).collect();
            format!("{name} IN ({})", values.join(", "))
        }
        _ => return None,
    };
    match column.get_column_spec().nullable {
        Some(false) => Some(rule),
        _ => Some(format!("{name} IS NULL OR ({rule})")),
    }
}
