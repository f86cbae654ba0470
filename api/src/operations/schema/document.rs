//! The page that tells what the schema is, made of what the migrations make: it cannot say what is not so.
//!
//! What tables, columns and indexes mean stands beside them in the migrations, and PostgreSQL keeps it as comments.

use std::collections::BTreeSet;

use sea_orm::{DatabaseConnection, DbBackend};

use super::catalog::{Catalog, Object, ObjectKind, ObjectName};
use super::{made, made_on};
use crate::database::Migrations;
use crate::operations::migration::{MigrationError, Trial};

/// The page, with a place for each part that is made.
const TEMPLATE: &str = include_str!("document.md");

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// SQLite keeps no comments.
    #[error("only PostgreSQL keeps what tables and columns mean")]
    Sqlite,
    /// A migration made something and said nothing of what it is.
    #[error("nothing says what these mean: {}", what.join(", "))]
    Meaningless {
        /// Their names.
        what: Vec<String>,
    },
    /// The migrations cannot be tried.
    #[error(transparent)]
    Trial(#[from] MigrationError),
}

/// Writes the page as Markdown, of what all migrations make on trial beside this database.
///
/// # Errors
/// A database that is not PostgreSQL; a table, column or index without a meaning; the database's own.
pub async fn document(
    migrations: &Migrations,
    database: &DatabaseConnection,
) -> Result<String, DocumentError> {
    if database.get_database_backend() != DbBackend::Postgres {
        return Err(DocumentError::Sqlite);
    }
    let names = migrations.names();
    let memory = Trial::in_memory().await.map_err(MigrationError::from)?;
    let sqlite = made_on(migrations, memory, &names).await;
    Page {
        catalog: made(migrations, database, &names).await?,
        sqlite: sqlite.map_err(MigrationError::from)?,
    }
    .write()
}

struct Page {
    catalog: Catalog,
    sqlite: Catalog,
}

impl Page {
    fn write(&self) -> Result<String, DocumentError> {
        let what = self.without_meaning();
        if !what.is_empty() {
            return Err(DocumentError::Meaningless { what });
        }
        let tables: Vec<String> = self.tables().map(|table| self.table(table)).collect();
        Ok(TEMPLATE
            .replace("{{diagram}}", &self.diagram())
            .replace("{{tables}}", &tables.join("\n"))
            .replace("{{enumerations}}", &self.enumerations())
            .replace("{{types}}", &self.types())
            .replace("{{alone}}", &self.alone()))
    }

    fn without_meaning(&self) -> Vec<String> {
        let needs_meaning = |kind| {
            matches!(
                kind,
                ObjectKind::Table | ObjectKind::Column | ObjectKind::Index
            )
        };
        let objects = self.catalog.iter();
        objects
            .filter(|(name, object)| needs_meaning(name.kind) && object.meaning.is_none())
            .map(|(name, _)| full_name(name))
            .collect()
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        let tables = self.catalog.keys();
        tables
            .filter(|name| name.kind == ObjectKind::Table)
            .map(|name| name.name.as_str())
    }

    fn parts<'a>(&'a self, table: &'a str, kind: ObjectKind) -> Vec<(&'a ObjectName, &'a Object)> {
        let mut parts: Vec<_> = self
            .catalog
            .iter()
            .filter(|(name, _)| name.kind == kind && name.is_part_of(table))
            .collect();
        parts.sort_by_key(|(_, object)| object.position);
        parts
    }

    fn meaning(&self, name: &ObjectName) -> String {
        let object = self.catalog.get(name);
        let meaning = object.and_then(|object| object.meaning.as_deref());
        let meaning = meaning.unwrap_or_default();
        // Outside of code, Markdown takes it for HTML.
        cell(meaning).replace('<', "&lt;")
    }

    fn table(&self, table: &str) -> String {
        let mut text = format!(
            "### {table}\n\n{}.\n\n| column | type | null | default | meaning |\n| --- | --- | --- | --- | --- |\n",
            self.meaning(&ObjectName::table(table))
        );
        for (name, column) in self.parts(table, ObjectKind::Column) {
            let null = match column.aspect("null") {
                Some("NOT NULL") => "no",
                _ => "yes",
            };
            let default = column.aspect("default").map_or(String::new(), |default| {
                format!("`{}`", cell(without_type(default)))
            });
            text += &format!(
                "| `{}` | {} | {null} | {default} | {} |\n",
                name.name,
                column.aspect("type").unwrap_or_default(),
                self.meaning(name)
            );
        }
        text += &self.constraints(table);
        text += &self.references(table);
        text += &self.indexes(table);
        text += &self.triggers(table);
        text
    }

    fn constraints(&self, table: &str) -> String {
        let constraints = self.parts(table, ObjectKind::Constraint);
        let mut text = "\nConstraints:\n\n| constraint | says |\n| --- | --- |\n".to_owned();
        for (name, constraint) in constraints {
            text += &format!(
                "| `{}` | `{}` |\n",
                name.name,
                cell(constraint.aspect("definition").unwrap_or_default())
            );
        }
        text
    }

    fn references(&self, table: &str) -> String {
        let mut text = String::new();
        let keys: Vec<_> = self.foreign_keys().collect();
        for key in keys.iter().filter(|key| key.table == table) {
            text += &format!(
                "- `{}` names a row of [{}](#{}){}\n",
                key.column,
                key.target,
                key.target,
                key.rule()
            );
        }
        for key in keys.iter().filter(|key| key.target == table) {
            text += &format!(
                "- `{}.{}` names a row of it{}\n",
                key.table,
                key.column,
                key.rule()
            );
        }
        match text.is_empty() {
            true => "\nIt refers to no table, and no table to it.\n".to_owned(),
            false => format!("\nReferences:\n\n{text}"),
        }
    }

    fn foreign_keys(&self) -> impl Iterator<Item = ForeignKey<'_>> {
        let keys = self.catalog.iter();
        keys.filter(|(name, _)| name.kind == ObjectKind::ForeignKey)
            .filter_map(|(name, object)| {
                ForeignKey::read(name.table.as_deref()?, object.aspect("definition")?)
            })
    }

    fn indexes(&self, table: &str) -> String {
        let mut text = "\nIndexes:\n\n| index | on | serves |\n| --- | --- | --- |\n".to_owned();
        for (name, constraint) in self.parts(table, ObjectKind::Constraint) {
            let definition = constraint.aspect("definition").unwrap_or_default();
            let serves = match constraint.aspect("kind") {
                Some("primary key") => "finding a row by its key",
                Some("unique") => "keeping it unique, and finding a row by it",
                _ => continue,
            };
            let columns = definition.find('(').map_or("", |open| &definition[open..]);
            text += &format!("| `{}` | `{}` | {serves} |\n", name.name, cell(columns));
        }
        for (name, index) in self.parts(table, ObjectKind::Index) {
            let definition = index.aspect("definition").unwrap_or_default();
            let on = definition
                .split_once(" USING ")
                .map_or(definition, |(_, on)| on);
            let on = on.strip_prefix("btree ").unwrap_or(on);
            let alone = match self.sqlite.contains_key(name) {
                true => "",
                false => " (PostgreSQL alone)",
            };
            text += &format!(
                "| `{}` | `{}` | {}{alone} |\n",
                name.name,
                cell(on),
                self.meaning(name)
            );
        }
        text
    }

    fn triggers(&self, table: &str) -> String {
        let triggers = self.parts(table, ObjectKind::Trigger);
        if triggers.is_empty() {
            return "\nIt has no triggers.\n".to_owned();
        }
        let mut text =
            "\nTriggers, on PostgreSQL:\n\n| trigger | fires | calls |\n| --- | --- | --- |\n"
                .to_owned();
        for (name, trigger) in triggers {
            let definition = trigger.aspect("definition").unwrap_or_default();
            let lead = format!("CREATE TRIGGER {} ", name.name);
            let rest = definition.strip_prefix(&lead).unwrap_or(definition);
            let (fires, _) = rest.split_once(" ON ").unwrap_or((rest, ""));
            let calls = rest
                .split_once("EXECUTE FUNCTION ")
                .and_then(|(_, call)| call.split('(').next())
                .unwrap_or_default();
            text += &format!(
                "| `{}` | {} | `{calls}` |\n",
                name.name,
                fires.to_lowercase()
            );
        }
        text
    }

    fn enumerations(&self) -> String {
        let mut text = "| type | values | of |\n| --- | --- | --- |\n".to_owned();
        let types = self.catalog.iter();
        for (name, object) in types.filter(|(name, _)| name.kind == ObjectKind::Type) {
            let columns: Vec<String> = self
                .catalog
                .iter()
                .filter(|(column, object)| {
                    column.kind == ObjectKind::Column && object.aspect("type") == Some(&name.name)
                })
                .map(|(column, _)| format!("`{}`", full_name_of_part(column)))
                .collect();
            text += &format!(
                "| `{}` | {} | {} |\n",
                name.name,
                object
                    .aspect("values")
                    .unwrap_or_default()
                    .replace('\'', "`"),
                columns.join(", ")
            );
        }
        text
    }

    /// What the types of columns are on either backend.
    fn types(&self) -> String {
        let mut pairs = BTreeSet::new();
        for (name, column) in &self.catalog {
            if name.kind != ObjectKind::Column {
                continue;
            }
            let own = column.aspect("type").unwrap_or_default();
            let other = self
                .sqlite
                .get(name)
                .and_then(|column| column.aspect("type"));
            let is_enumeration = self
                .catalog
                .keys()
                .any(|object| object.kind == ObjectKind::Type && object.name == own);
            let own = match is_enumeration {
                true => "an enumeration",
                false => without_length(own),
            };
            pairs.insert((own, without_length(other.unwrap_or("none"))));
        }
        let mut text = "| PostgreSQL | SQLite |\n| --- | --- |\n".to_owned();
        for (own, other) in pairs {
            text += &format!("| {own} | `{other}` |\n");
        }
        text
    }

    /// What the one backend has and the other has not.
    fn alone(&self) -> String {
        let kinds = [
            ObjectKind::Extension,
            ObjectKind::Table,
            ObjectKind::View,
            ObjectKind::Function,
            ObjectKind::Index,
        ];
        let only = |one: &Catalog, other: &Catalog| -> String {
            let lines = one
                .keys()
                .filter(|name| kinds.contains(&name.kind) && !other.contains_key(*name))
                // It is PostgreSQL's own, and everywhere.
                .filter(|name| name.name != "plpgsql")
                .filter(|name| {
                    // What is on a table that is alone is no news.
                    name.table
                        .as_ref()
                        .is_none_or(|table| other.contains_key(&ObjectName::table(table)))
                });
            lines
                .map(|name| format!("- {} `{}`\n", name.kind.word(), name.name))
                .collect()
        };
        format!(
            "On PostgreSQL alone:\n\n{}\nOn SQLite alone:\n\n{}",
            only(&self.catalog, &self.sqlite),
            only(&self.sqlite, &self.catalog)
        )
    }

    fn diagram(&self) -> String {
        let mut text = "```mermaid\nerDiagram\n".to_owned();
        for key in self.foreign_keys() {
            let column = ObjectName {
                kind: ObjectKind::Column,
                table: Some(key.table.to_owned()),
                name: key.column.to_owned(),
            };
            let is_optional = self
                .catalog
                .get(&column)
                .is_some_and(|column| column.aspect("null") == Some("NULL"));
            let one = if is_optional { "o|" } else { "||" };
            text += &format!(
                "    {} }}o--{one} {} : {}\n",
                key.table, key.target, key.column
            );
        }
        for table in self.tables() {
            text += &format!("    {table} {{\n");
            for (name, column) in self.parts(table, ObjectKind::Column) {
                let mut marks = Vec::new();
                if self.is_in(table, &name.name, "primary key") {
                    marks.push("PK");
                }
                if self
                    .foreign_keys()
                    .any(|key| key.table == table && key.column == name.name)
                {
                    marks.push("FK");
                }
                if self.is_in(table, &name.name, "unique") {
                    marks.push("UK");
                }
                let word = without_length(column.aspect("type").unwrap_or_default());
                let line = format!(
                    "        {} {} {}",
                    word.replace(' ', "_"),
                    name.name,
                    marks.join(", ")
                );
                text += line.trim_end();
                text.push('\n');
            }
            text += "    }\n";
        }
        text + "```"
    }

    /// Whether a column is one of a key.
    fn is_in(&self, table: &str, column: &str, kind: &str) -> bool {
        let constraints = self.parts(table, ObjectKind::Constraint);
        constraints
            .iter()
            .filter(|(_, constraint)| constraint.aspect("kind") == Some(kind))
            .filter_map(|(_, constraint)| constraint.aspect("definition"))
            .any(|definition| {
                let inner = definition
                    .split_once('(')
                    .map_or("", |(_, rest)| rest.trim_end_matches(')'));
                inner.split(", ").any(|one| one == column)
            })
    }
}

/// A reference from a column to a row of a table.
struct ForeignKey<'a> {
    table: &'a str,
    column: &'a str,
    target: &'a str,
    suffix: &'a str,
}

impl<'a> ForeignKey<'a> {
    /// `FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE`
    fn read(table: &'a str, definition: &'a str) -> Option<Self> {
        let rest = definition.strip_prefix("FOREIGN KEY (")?;
        let (column, rest) = rest.split_once(") REFERENCES ")?;
        let (target, rest) = rest.split_once('(')?;
        let (_, suffix) = rest.split_once(')')?;
        Some(Self {
            table,
            column,
            target,
            suffix,
        })
    }

    fn rule(&self) -> &'static str {
        if self.suffix.contains("ON DELETE CASCADE") {
            "; where that is deleted, this goes with it"
        } else if self.suffix.contains("DEFERR") {
            ", which cannot be deleted; checked at the commit"
        } else {
            ", which cannot be deleted"
        }
    }
}

fn full_name(name: &ObjectName) -> String {
    format!("{} {}", name.kind.word(), full_name_of_part(name))
}

fn full_name_of_part(name: &ObjectName) -> String {
    match &name.table {
        Some(table) => format!("{table}.{}", name.name),
        None => name.name.clone(),
    }
}

/// `'UTC'` of `'UTC'::character varying`.
fn without_type(default: &str) -> &str {
    match default.rsplit_once("::") {
        Some((value, _)) if value.ends_with('\'') => value,
        _ => default,
    }
}

/// `character varying` of `character varying(255)`.
fn without_length(word: &str) -> &str {
    word.split('(').next().unwrap_or(word)
}

/// A text that does not end the cell of a table, with characters that cannot be seen as PostgreSQL escapes them.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for character in text.chars() {
        match character {
            '|' => cell.push_str("\\|"),
            '\n' => cell.push_str("\\n"),
            '\t' => cell.push_str("\\t"),
            '\r' => cell.push_str("\\r"),
            hidden if hidden.is_control() => cell += &format!("\\x{:02X}", u32::from(hidden)),
            visible => cell.push(visible),
        }
    }
    cell
}
