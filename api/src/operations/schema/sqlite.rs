//! SQLite: what its catalog says, and the statements that mend it.
//!
//! SQLite alters neither a column nor a constraint: a table that differs in one is rebuilt, in the steps that SQLite's
//! documentation gives (<https://www.sqlite.org/lang_altertable.html#otheralter>).

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::catalog::{Catalog, Object, ObjectKind, ObjectName};
use super::difference::Change;
use super::sqlite_text;
use crate::operations::words::{quote, words};

/// Reads the schema.
///
/// # Errors
/// The database's.
#[expect(
    clippy::disallowed_methods,
    reason = "the catalog has no entity; nothing in the statement comes from outside"
)]
pub async fn read(connection: &impl ConnectionTrait) -> Result<Catalog, DbErr> {
    let statement = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema
         WHERE name NOT LIKE 'sqlite|_%' ESCAPE '|' AND sql IS NOT NULL",
    );
    let mut catalog = Catalog::new();
    for row in connection.query_all_raw(statement).await? {
        let kind: String = row.try_get("", "type")?;
        let name = quote(&row.try_get::<String>("", "name")?);
        let table = quote(&row.try_get::<String>("", "tbl_name")?);
        let sql: String = row.try_get("", "sql")?;
        match kind.as_str() {
            "table" => add_table(&mut catalog, &name, &sql),
            "view" => add(&mut catalog, ObjectKind::View, None, name, sql),
            "index" => add(&mut catalog, ObjectKind::Index, Some(table), name, sql),
            _ => add(&mut catalog, ObjectKind::Trigger, Some(table), name, sql),
        }
    }
    Ok(catalog)
}

fn add(
    catalog: &mut Catalog,
    kind: ObjectKind,
    table: Option<String>,
    name: String,
    create: String,
) {
    let definition = sqlite_text::text(&words(&create));
    let object = Object {
        aspects: BTreeMap::from([("definition".to_owned(), definition)]),
        create,
        ..Object::default()
    };
    catalog.insert(ObjectName { kind, table, name }, object);
}

fn add_table(catalog: &mut Catalog, table: &str, create: &str) {
    let read = sqlite_text::table(table, create);
    let part = |kind, name: &str| ObjectName {
        kind,
        table: Some(table.to_owned()),
        name: name.to_owned(),
    };
    for (position, (name, aspects)) in (1..).zip(read.columns) {
        let column = Object {
            aspects,
            position,
            ..Object::default()
        };
        catalog.insert(part(ObjectKind::Column, &name), column);
    }
    for constraint in read.constraints {
        let kind = match constraint.is_foreign_key {
            true => ObjectKind::ForeignKey,
            false => ObjectKind::Constraint,
        };
        let object = Object {
            aspects: BTreeMap::from([("definition".to_owned(), constraint.definition)]),
            ..Object::default()
        };
        catalog.insert(part(kind, &constraint.name), object);
    }
    let object = Object {
        aspects: BTreeMap::from([("options".to_owned(), read.options)]),
        create: create.to_owned(),
        ..Object::default()
    };
    catalog.insert(ObjectName::table(table), object);
}

/// The SQL that mends a difference.
pub fn mend(change: Change, name: &ObjectName, expected: &Catalog, live: &Catalog) -> String {
    let own = &name.name;
    if let Some(table) = changed_table(name, expected, live) {
        return match (change, name.kind) {
            // It is gone before the table is rebuilt, or would hinder that.
            (Change::Extra, ObjectKind::Index) => format!("DROP INDEX {own};"),
            (Change::Extra, ObjectKind::Trigger) => format!("DROP TRIGGER {own};"),
            _ => rebuild(table, expected, live),
        };
    }
    let create = expected.get(name).map_or("", |object| &object.create);
    let kind = match name.kind {
        ObjectKind::Table => "TABLE",
        ObjectKind::View => "VIEW",
        ObjectKind::Index => "INDEX",
        _ => "TRIGGER",
    };
    match (change, name.kind) {
        (Change::Missing, ObjectKind::Table) => {
            let mut list = vec![create.to_owned()];
            list.extend(beside(own, expected));
            script(&list)
        }
        (Change::Missing, _) => format!("{create};"),
        (Change::Extra, ObjectKind::Table) => format!("DROP TABLE {own}; -- loses what is in it"),
        (Change::Extra, _) => format!("DROP {kind} {own};"),
        (Change::Altered, _) => script(&[format!("DROP {kind} {own}"), create.to_owned()]),
    }
}

/// The table that has to be rebuilt for this to be mended.
fn changed_table<'a>(name: &'a ObjectName, expected: &Catalog, live: &Catalog) -> Option<&'a str> {
    let table = match name.kind {
        ObjectKind::Table => &name.name,
        _ => name.table.as_ref()?,
    };
    let as_table = ObjectName::table(table);
    let is_there = expected.contains_key(&as_table) && live.contains_key(&as_table);
    let body = |catalog: &Catalog| -> Vec<(ObjectName, BTreeMap<String, String>)> {
        let parts = catalog.iter().filter(|(part, _)| match part.kind {
            ObjectKind::Column | ObjectKind::Constraint | ObjectKind::ForeignKey => {
                part.is_part_of(table)
            }
            _ => **part == as_table,
        });
        parts
            .map(|(part, object)| (part.clone(), object.aspects.clone()))
            .collect()
    };
    (is_there && body(expected) != body(live)).then_some(table)
}

fn rebuild(table: &str, expected: &Catalog, live: &Catalog) -> String {
    let create = expected
        .get(&ObjectName::table(table))
        .map_or("", |object| &object.create);
    let body = create.find('(').map_or("", |open| &create[open..]);
    let rebuilt = quote(&format!("{}_rebuilt", table.trim_matches('"')));
    let mut columns: Vec<_> = expected
        .iter()
        .filter(|(name, column)| {
            name.kind == ObjectKind::Column
                && name.is_part_of(table)
                && column.aspect("generated").is_none()
                && live.contains_key(*name)
        })
        .collect();
    columns.sort_by_key(|(_, column)| column.position);
    let columns: Vec<_> = columns.iter().map(|(name, _)| name.name.as_str()).collect();
    let columns = columns.join(", ");
    let mut list = vec![
        format!("CREATE TABLE {rebuilt} {body}"),
        format!("INSERT INTO {rebuilt} ({columns}) SELECT {columns} FROM {table}"),
        format!("DROP TABLE {table}"),
        format!("ALTER TABLE {rebuilt} RENAME TO {table}"),
    ];
    list.extend(beside(table, expected));
    // What names the table goes on to name it; and nothing is checked that is whole again at the end.
    format!(
        "PRAGMA foreign_keys = OFF;\nPRAGMA legacy_alter_table = ON;\n{}\nPRAGMA legacy_alter_table = OFF;\n\
         PRAGMA foreign_keys = ON;",
        script(&list)
    )
}

/// What is made beside a table and goes with it: its indexes and triggers.
fn beside(table: &str, expected: &Catalog) -> Vec<String> {
    expected
        .iter()
        .filter(|(name, _)| {
            matches!(name.kind, ObjectKind::Index | ObjectKind::Trigger) && name.is_part_of(table)
        })
        .map(|(_, object)| object.create.clone())
        .collect()
}

fn script(list: &[String]) -> String {
    let statements: String = list.iter().map(|one| format!("{one};\n")).collect();
    format!("BEGIN IMMEDIATE;\n{statements}COMMIT;")
}
