//! PostgreSQL: what its catalog says of the current schema, and the statements that mend it.

#![expect(
    clippy::disallowed_methods,
    reason = "the system catalog has no entities; nothing in the statements comes from outside"
)]

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::catalog::{Catalog, Object, ObjectKind, ObjectName};
use super::difference::Change;

/// Everything in the current schema, one row each: kind, table, name, place, statement that makes it, aspects, meaning.
///
/// The current schema is the first on the search path, so the catalog writes its names without it; where it writes them
/// with it nevertheless, [`rename_schema`] makes them equal. What belongs to an extension is the extension's own affair,
/// and what backs a constraint is told by the constraint.
const CATALOG: &str = r"
WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema()),
of_extensions AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
relations AS (
  SELECT c.*, quote_ident(c.relname) AS shown FROM pg_class c
  WHERE c.relnamespace = (SELECT oid FROM here) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND NOT EXISTS (SELECT FROM of_extensions e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
),
tables AS (SELECT * FROM relations WHERE relkind IN ('r', 'p', 'f'))
SELECT 'extension' AS kind, NULL AS on_table, quote_ident(extname) AS name, 0 AS place,
       'CREATE EXTENSION ' || quote_ident(extname) AS made_by, '{}'::jsonb AS aspects, NULL AS meaning
FROM pg_extension
UNION ALL
SELECT 'type', NULL, quote_ident(typname), 0,
       CASE typtype
         WHEN 'e' THEN format('CREATE TYPE %I AS ENUM (%s)', typname, enum.labels)
         WHEN 'd' THEN format('CREATE DOMAIN %I AS %s', typname, format_type(typbasetype, typtypmod))
         ELSE '' END,
       jsonb_strip_nulls(jsonb_build_object(
         'kind', CASE typtype WHEN 'e' THEN 'enumeration' WHEN 'd' THEN 'domain' ELSE 'other' END,
         'values', enum.labels)), NULL
FROM pg_type t
LEFT JOIN LATERAL (
  SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) AS labels
  FROM pg_enum WHERE enumtypid = t.oid) enum ON true
WHERE typnamespace = (SELECT oid FROM here)
  AND (typtype IN ('e', 'd') OR EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c'))
  AND NOT EXISTS (SELECT FROM of_extensions e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
UNION ALL
SELECT 'function', NULL, format('%I(%s)', proname, pg_get_function_identity_arguments(p.oid)), 0,
       CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE '' END,
       jsonb_strip_nulls(jsonb_build_object(
         'kind', CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
         'definition', CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) END,
         'for everybody', CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'yes' ELSE 'no' END)), NULL
FROM pg_proc p
WHERE pronamespace = (SELECT oid FROM here)
  AND NOT EXISTS (SELECT FROM of_extensions e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL
SELECT 'table', NULL, shown, 0, '',
       jsonb_build_object(
         'kind', CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' ELSE 'foreign' END,
         'persistence', CASE relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
         'row security', CASE WHEN NOT relrowsecurity THEN 'off' WHEN relforcerowsecurity THEN 'forced' ELSE 'on' END), obj_description(oid, 'pg_class')
FROM tables
UNION ALL
SELECT 'view', NULL, shown, 0,
       format('CREATE %s %s AS %s', CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, shown,
              rtrim(pg_get_viewdef(oid, true), ';')),
       jsonb_build_object('kind', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
                          'definition', pg_get_viewdef(oid, true)), NULL
FROM relations WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'column', shown, quote_ident(attname), attnum, '',
       jsonb_strip_nulls(jsonb_build_object(
         'type', format_type(atttypid, atttypmod),
         'null', CASE WHEN attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
         'default', CASE WHEN attgenerated = '' THEN pg_get_expr(adbin, adrelid, true) END,
         'generated', CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid, true) END,
         'identity', CASE attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
         'collation', (SELECT quote_ident(collname) FROM pg_collation WHERE oid = attcollation
                       AND oid <> (SELECT typcollation FROM pg_type WHERE oid = atttypid)))), col_description(attrelid, attnum)
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT CASE contype WHEN 'f' THEN 'foreign-key' ELSE 'constraint' END, shown, quote_ident(conname), 0,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', shown, conname, pg_get_constraintdef(con.oid, true)),
       jsonb_build_object(
         'kind', CASE contype WHEN 'c' THEN 'check' WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique'
                 WHEN 'f' THEN 'foreign key' ELSE 'exclusion' END,
         'definition', pg_get_constraintdef(con.oid, true)), NULL
FROM tables JOIN pg_constraint con ON conrelid = tables.oid AND contype IN ('c', 'p', 'u', 'f', 'x')
UNION ALL
SELECT 'index', shown, quote_ident(i.relname), 0, pg_get_indexdef(i.oid, 0, true),
       jsonb_build_object('definition', pg_get_indexdef(i.oid, 0, true),
                          'state', CASE WHEN indisvalid AND indisready THEN 'valid' ELSE 'invalid' END), obj_description(i.oid, 'pg_class')
FROM relations JOIN pg_index ON indrelid = relations.oid JOIN pg_class i ON i.oid = indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger', shown, quote_ident(tgname), 0,
       pg_get_triggerdef(trigger.oid, true) || CASE tgenabled
         WHEN 'D' THEN format('; ALTER TABLE %s DISABLE TRIGGER %I', shown, tgname)
         WHEN 'R' THEN format('; ALTER TABLE %s ENABLE REPLICA TRIGGER %I', shown, tgname)
         WHEN 'A' THEN format('; ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', shown, tgname) ELSE '' END,
       jsonb_build_object('definition', pg_get_triggerdef(trigger.oid, true),
                          'fires', CASE tgenabled WHEN 'O' THEN 'in ordinary sessions' WHEN 'D' THEN 'never'
                                   WHEN 'R' THEN 'in replication' ELSE 'always' END), NULL
FROM relations JOIN pg_trigger trigger ON tgrelid = relations.oid AND NOT tgisinternal
UNION ALL
SELECT 'rule', shown, quote_ident(rulename), 0, pg_get_ruledef(rule.oid, true),
       jsonb_build_object('definition', pg_get_ruledef(rule.oid, true)), NULL
FROM relations JOIN pg_rewrite rule ON ev_class = relations.oid AND rulename <> '_RETURN'
UNION ALL
SELECT 'policy', shown, quote_ident(polname), 0,
       format('CREATE POLICY %I ON %s %s', polname, shown, definition), jsonb_build_object('definition', definition), NULL
FROM tables JOIN pg_policy policy ON polrelid = tables.oid
CROSS JOIN LATERAL (SELECT concat_ws(' ',
  CASE WHEN polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
  'FOR ' || CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
            ELSE 'ALL' END,
  'TO ' || (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(role) END, ', ')
            FROM unnest(polroles) AS role),
  'USING (' || pg_get_expr(polqual, polrelid, true) || ')',
  'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid, true) || ')') AS definition) told";

/// Reads the current schema.
///
/// # Errors
/// The database's.
pub async fn read(connection: &impl ConnectionTrait) -> Result<Catalog, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, CATALOG);
    let mut catalog = Catalog::new();
    for row in connection.query_all_raw(statement).await? {
        let kind: String = row.try_get("", "kind")?;
        let Some(kind) = kind_of(&kind) else {
            return Err(DbErr::Type(format!(
                "the catalog query has no kind {kind:?}"
            )));
        };
        let aspects: serde_json::Value = row.try_get("", "aspects")?;
        let aspects: BTreeMap<String, String> = serde_json::from_value(aspects)
            .map_err(|error| DbErr::Type(format!("the catalog cannot be read: {error}")))?;
        let name = ObjectName {
            kind,
            table: row.try_get("", "on_table")?,
            name: row.try_get("", "name")?,
        };
        let object = Object {
            aspects,
            create: row.try_get("", "made_by")?,
            position: row.try_get("", "place")?,
            meaning: row.try_get("", "meaning")?,
        };
        catalog.insert(name, object);
    }
    Ok(catalog)
}

fn kind_of(word: &str) -> Option<ObjectKind> {
    Some(match word {
        "extension" => ObjectKind::Extension,
        "type" => ObjectKind::Type,
        "function" => ObjectKind::Function,
        "table" => ObjectKind::Table,
        "column" => ObjectKind::Column,
        "constraint" => ObjectKind::Constraint,
        "index" => ObjectKind::Index,
        "foreign-key" => ObjectKind::ForeignKey,
        "view" => ObjectKind::View,
        "rule" => ObjectKind::Rule,
        "policy" => ObjectKind::Policy,
        "trigger" => ObjectKind::Trigger,
        _ => return None,
    })
}

/// The name of the current schema; none on SQLite.
///
/// # Errors
/// The database's.
pub async fn current_schema(connection: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let statement =
        Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS name");
    match connection.query_one_raw(statement).await? {
        Some(row) => row.try_get("", "name"),
        None => Ok(None),
    }
}

/// Writes another schema's name where an object names the one that it was read from. That name must be like no other.
pub fn rename_schema(object: &mut Object, from: &str, to: &str) {
    let qualifier = (format!("{from}."), format!("{}.", quoted(to)));
    let rename = |text: &mut String| {
        *text = text.replace(&qualifier.0, &qualifier.1).replace(from, to);
    };
    object.aspects.values_mut().for_each(rename);
    rename(&mut object.create);
}

/// As `quote_ident` does, for the names of schemas.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// The SQL that mends a difference.
pub fn mend(change: Change, name: &ObjectName, expected: &Catalog, live: &Catalog) -> String {
    match change {
        Change::Missing => make(name, expected),
        Change::Extra => drop(name, live),
        Change::Altered => alter(name, expected, live),
    }
}

fn statements(list: &[String]) -> String {
    list.iter().map(|one| format!("{one};\n")).collect()
}

/// One after the other, and all or none.
fn together(list: &[String]) -> String {
    match list {
        [one] => format!("{one};"),
        several => format!("BEGIN;\n{}COMMIT;", statements(several)),
    }
}

fn make(name: &ObjectName, expected: &Catalog) -> String {
    match name.kind {
        ObjectKind::Table => together(&make_table(&name.name, expected)),
        ObjectKind::Column => {
            let table = table_of(name);
            let column = expected
                .get(name)
                .map(column_definition)
                .unwrap_or_default();
            format!("ALTER TABLE {table} ADD COLUMN {} {column};", name.name)
        }
        ObjectKind::Function => together(&make_function(name, expected)),
        _ => format!("{};", created_by(name, expected)),
    }
}

/// The table with all that comes with it; its foreign keys come later.
fn make_table(table: &str, expected: &Catalog) -> Vec<String> {
    let mut columns: Vec<_> = parts(table, ObjectKind::Column, expected).collect();
    columns.sort_by_key(|(_, column)| column.position);
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, column)| format!("{} {}", name.name, column_definition(column)))
        .collect();
    let mut made = vec![format!("CREATE TABLE {table} ({})", columns.join(", "))];
    for kind in [
        ObjectKind::Constraint,
        ObjectKind::Index,
        ObjectKind::Rule,
        ObjectKind::Policy,
        ObjectKind::Trigger,
    ] {
        made.extend(parts(table, kind, expected).map(|(_, part)| part.create.clone()));
    }
    if let Some(object) = expected.get(&ObjectName::table(table)) {
        made.extend(row_security(table, object));
    }
    made
}

fn make_function(name: &ObjectName, expected: &Catalog) -> Vec<String> {
    let Some(function) = expected.get(name) else {
        return Vec::new();
    };
    let routine = match function.aspect("kind") {
        Some("procedure") => "PROCEDURE",
        _ => "FUNCTION",
    };
    let privilege = match function.aspect("for everybody") {
        Some("yes") => format!("GRANT EXECUTE ON {routine} {} TO PUBLIC", name.name),
        _ => format!("REVOKE EXECUTE ON {routine} {} FROM PUBLIC", name.name),
    };
    let definition = function.create.trim_end();
    vec![definition.to_owned(), privilege]
}

fn drop(name: &ObjectName, live: &Catalog) -> String {
    let statement = drop_statement(name, live);
    match name.kind {
        ObjectKind::Table | ObjectKind::Column => {
            format!("{statement}; -- loses what is in it")
        }
        _ => format!("{statement};"),
    }
}

fn drop_statement(name: &ObjectName, live: &Catalog) -> String {
    let kind = live.get(name).and_then(|object| object.aspect("kind"));
    let own = &name.name;
    let table = table_of(name);
    match name.kind {
        ObjectKind::Extension => format!("DROP EXTENSION {own}"),
        ObjectKind::Type if kind == Some("domain") => format!("DROP DOMAIN {own}"),
        ObjectKind::Type => format!("DROP TYPE {own}"),
        ObjectKind::Function => match kind {
            Some("procedure") => format!("DROP PROCEDURE {own}"),
            Some("aggregate") => format!("DROP AGGREGATE {own}"),
            _ => format!("DROP FUNCTION {own}"),
        },
        ObjectKind::Table if kind == Some("foreign") => format!("DROP FOREIGN TABLE {own}"),
        ObjectKind::Table => format!("DROP TABLE {own}"),
        ObjectKind::Column => format!("ALTER TABLE {table} DROP COLUMN {own}"),
        ObjectKind::Constraint | ObjectKind::ForeignKey => {
            format!("ALTER TABLE {table} DROP CONSTRAINT {own}")
        }
        ObjectKind::Index => format!("DROP INDEX {own}"),
        ObjectKind::View if kind == Some("materialized view") => {
            format!("DROP MATERIALIZED VIEW {own}")
        }
        ObjectKind::View => format!("DROP VIEW {own}"),
        ObjectKind::Rule => format!("DROP RULE {own} ON {table}"),
        ObjectKind::Policy => format!("DROP POLICY {own} ON {table}"),
        ObjectKind::Trigger => format!("DROP TRIGGER {own} ON {table}"),
    }
}

fn alter(name: &ObjectName, expected: &Catalog, live: &Catalog) -> String {
    let (Some(wanted), Some(found)) = (expected.get(name), live.get(name)) else {
        return String::new();
    };
    match name.kind {
        ObjectKind::Column => alter_column(name, wanted, found, live),
        ObjectKind::Type => alter_type(name, wanted, found, live),
        ObjectKind::Function => together(&make_function(name, expected)),
        ObjectKind::Table => together(&alter_table(&name.name, wanted, found)),
        _ => together(&[drop_statement(name, live), wanted.create.clone()]),
    }
}

fn alter_table(table: &str, wanted: &Object, found: &Object) -> Vec<String> {
    let mut list = Vec::new();
    if wanted.aspect("persistence") != found.aspect("persistence") {
        list.push(match wanted.aspect("persistence") {
            Some("unlogged") => format!("ALTER TABLE {table} SET UNLOGGED"),
            _ => format!("ALTER TABLE {table} SET LOGGED"),
        });
    }
    if wanted.aspect("row security") != found.aspect("row security") {
        list.push(format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"));
        list.push(format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"));
        list.extend(row_security(table, wanted));
    }
    if wanted.aspect("kind") != found.aspect("kind") {
        list.push(format!(
            "-- {table} is {}, should be {}: copy its rows into one that the migrations make",
            found.aspect("kind").unwrap_or_default(),
            wanted.aspect("kind").unwrap_or_default()
        ));
    }
    list
}

fn row_security(table: &str, wanted: &Object) -> Vec<String> {
    let mut list = Vec::new();
    if let Some("on" | "forced") = wanted.aspect("row security") {
        list.push(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
    }
    if wanted.aspect("row security") == Some("forced") {
        list.push(format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"));
    }
    list
}

fn column_definition(column: &Object) -> String {
    let mut definition = column.aspect("type").unwrap_or_default().to_owned();
    let mut add = |clause: String| definition = format!("{definition} {clause}");
    if let Some(collation) = column.aspect("collation") {
        add(format!("COLLATE {collation}"));
    }
    if column.aspect("null") == Some("NOT NULL") {
        add("NOT NULL".to_owned());
    }
    if let Some(default) = column.aspect("default") {
        add(format!("DEFAULT {default}"));
    }
    if let Some(expression) = column.aspect("generated") {
        add(format!("GENERATED ALWAYS AS ({expression}) STORED"));
    }
    if let Some(when) = column.aspect("identity") {
        add(format!("GENERATED {when} AS IDENTITY"));
    }
    definition
}

fn alter_column(name: &ObjectName, wanted: &Object, found: &Object, live: &Catalog) -> String {
    let table = table_of(name);
    let column = &name.name;
    let differs = |aspect| wanted.aspect(aspect) != found.aspect(aspect);
    if differs("generated") || differs("identity") {
        let definition = column_definition(wanted);
        return together(&[
            format!("ALTER TABLE {table} DROP COLUMN {column} /* loses what is in it */"),
            format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"),
        ]);
    }
    let set_default = match wanted.aspect("default") {
        Some(default) => format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}"),
        None => format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"),
    };
    let set_null = match wanted.aspect("null") {
        Some("NOT NULL") => format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
        _ => format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"),
    };
    let mut list = Vec::new();
    if differs("type") || differs("collation") {
        let kind = wanted.aspect("type").unwrap_or_default();
        let collation = wanted
            .aspect("collation")
            .map_or(String::new(), |collation| format!(" COLLATE {collation}"));
        let around = Around::of(table, live);
        list.extend(around.drops);
        // A default of the old type may not be one of the new.
        list.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
        ));
        list.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}{collation} USING {column}::{kind}"
        ));
        if wanted.aspect("default").is_some() {
            list.push(set_default);
        }
        list.extend(around.creates);
    } else if differs("default") {
        list.push(set_default);
    }
    if differs("null") {
        list.push(set_null);
    }
    together(&list)
}

fn alter_type(name: &ObjectName, wanted: &Object, found: &Object, live: &Catalog) -> String {
    let own = &name.name;
    let (Some(wanted_values), Some(found_values)) =
        (wanted.aspect("values"), found.aspect("values"))
    else {
        return format!("-- {own} is another kind of type: drop what uses it, and make it anew");
    };
    let wanted_values: Vec<_> = wanted_values.split(", ").collect();
    let found_values: Vec<_> = found_values.split(", ").collect();
    let kept = wanted_values
        .iter()
        .filter(|value| found_values.contains(value));
    if kept.eq(found_values.iter()) {
        return statements(&added_values(own, &wanted_values, &found_values))
            .trim_end()
            .to_owned();
    }
    remake_type(own, &wanted.create, live)
}

/// Each value that is missing goes behind the one before it, which is there by then.
fn added_values(own: &str, wanted: &[&str], found: &[&str]) -> Vec<String> {
    let mut list = Vec::new();
    for (index, value) in wanted.iter().enumerate() {
        if found.contains(value) {
            continue;
        }
        let place = match index.checked_sub(1).and_then(|before| wanted.get(before)) {
            Some(before) => format!("AFTER {before}"),
            None => format!("BEFORE {}", found.first().copied().unwrap_or_default()),
        };
        list.push(format!("ALTER TYPE {own} ADD VALUE {value} {place}"));
    }
    list
}

/// PostgreSQL takes no value out of a type: another takes its place.
fn remake_type(own: &str, create: &str, live: &Catalog) -> String {
    let (mut drops, mut changes, mut creates) = (Vec::new(), Vec::new(), Vec::new());
    let mut tables: Vec<&str> = Vec::new();
    for (name, column) in live {
        if name.kind != ObjectKind::Column || column.aspect("type") != Some(own) {
            continue;
        }
        let table = table_of(name);
        if !tables.contains(&table) {
            let around = Around::of(table, live);
            drops.extend(around.drops);
            creates.extend(around.creates);
            tables.push(table);
        }
        let name = &name.name;
        changes.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT"
        ));
        changes.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {name} TYPE {own} USING {name}::text::{own}"
        ));
        if let Some(default) = column.aspect("default") {
            changes.push(format!(
                "ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {default}"
            ));
        }
    }
    let old = format!("{}_before_mend", own.trim_matches('"'));
    let mut list = drops;
    list.push(format!("ALTER TYPE {own} RENAME TO {old}"));
    list.push(create.to_owned());
    list.extend(changes);
    list.push(format!("DROP TYPE {old}"));
    list.extend(creates);
    together(&list)
}

/// What stands in the way of a column that changes its type, and comes back as it was.
struct Around {
    drops: Vec<String>,
    creates: Vec<String>,
}

impl Around {
    fn of(table: &str, live: &Catalog) -> Self {
        let triggers = parts(table, ObjectKind::Trigger, live);
        let checks = parts(table, ObjectKind::Constraint, live)
            .filter(|(_, object)| object.aspect("kind") == Some("check"));
        let indexes = parts(table, ObjectKind::Index, live)
            .filter(|(_, object)| object.create.contains(" WHERE "));
        let all: Vec<_> = triggers.chain(checks).chain(indexes).collect();
        Self {
            drops: all
                .iter()
                .map(|(name, _)| drop_statement(name, live))
                .collect(),
            creates: all
                .iter()
                .map(|(_, object)| object.create.clone())
                .collect(),
        }
    }
}

fn parts<'a>(
    table: &'a str,
    kind: ObjectKind,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a ObjectName, &'a Object)> {
    catalog
        .iter()
        .filter(move |(name, _)| name.kind == kind && name.is_part_of(table))
}

fn created_by<'a>(name: &ObjectName, catalog: &'a Catalog) -> &'a str {
    catalog.get(name).map_or("", |object| &object.create)
}

fn table_of(name: &ObjectName) -> &str {
    name.table.as_deref().unwrap_or_default()
}
