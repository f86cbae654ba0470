//! What a schema is made of, in a form in which two of them can be compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::operations::Fingerprint;

/// A kind of thing in a schema. In this order they can be made: each stands on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// An extension of PostgreSQL.
    Extension,
    /// An enumeration, a domain or a composite type.
    Type,
    /// A function or procedure.
    Function,
    /// A table.
    Table,
    /// A column of a table.
    Column,
    /// A primary key, a unique constraint, a check or an exclusion.
    Constraint,
    /// An index that no constraint made.
    Index,
    /// A foreign key.
    ForeignKey,
    /// A view.
    View,
    /// A rewrite rule of PostgreSQL.
    Rule,
    /// A row security policy of PostgreSQL.
    Policy,
    /// A trigger.
    Trigger,
}

impl ObjectKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Type => "type",
            Self::Function => "function",
            Self::Table => "table",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Index => "index",
            Self::ForeignKey => "foreign key",
            Self::View => "view",
            Self::Rule => "rule",
            Self::Policy => "policy",
            Self::Trigger => "trigger",
        }
    }
}

/// What something in a schema is called. Names are written as SQL writes them: in quotes where they need quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// What it is.
    pub kind: ObjectKind,
    /// The table that it is on, where it is on one.
    pub table: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    /// Whether it goes with the table.
    pub fn is_part_of(&self, table: &str) -> bool {
        self.table.as_deref() == Some(table)
    }

    pub(super) fn table(name: &str) -> Self {
        Self {
            kind: ObjectKind::Table,
            table: None,
            name: name.to_owned(),
        }
    }
}

/// Something in a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// What there is to say of it, each under its name: `type`, `default`, `definition`.
    pub aspects: BTreeMap<String, String>,
    /// The statement that makes it; a column has none.
    pub create: String,
    /// The place of a column in its table.
    pub position: i32,
    /// What it means, where a migration says so; SQLite has no place for it.
    pub meaning: Option<String>,
}

impl Object {
    pub(super) fn aspect(&self, name: &str) -> Option<&str> {
        self.aspects.get(name).map(String::as_str)
    }
}

/// Everything in a schema but what the migrations need for themselves.
pub type Catalog = BTreeMap<ObjectName, Object>;

/// SHA-256, in hexadecimal, over the name of everything in a schema, with the types of columns and whether they may be
/// null. The words of expressions are left out, as are extensions: another server has others for the same.
pub fn fingerprint(catalog: &Catalog) -> String {
    let mut fingerprint = Fingerprint::default();
    let objects = catalog.iter();
    for (name, object) in objects.filter(|(name, _)| name.kind != ObjectKind::Extension) {
        let column = [object.aspect("type"), object.aspect("null")].map(Option::unwrap_or_default);
        let table = name.table.as_deref().unwrap_or_default();
        for part in [name.kind.word(), table, &name.name, column[0], column[1]] {
            fingerprint.text(part);
        }
    }
    fingerprint.finish()
}
