//! What differs between two schemas.

use std::collections::BTreeSet;

use serde::Serialize;

use super::catalog::{Catalog, Object, ObjectKind, ObjectName};
use crate::operations::Severity;

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It should be there, and is not.
    Missing,
    /// It is there, and should not be.
    Extra,
    /// It is not as it should be.
    Altered,
}

/// What is not as it should be in something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// What it is: `type`, `default`, `definition`.
    pub aspect: String,
    /// As the migrations make it.
    pub expected: Option<String>,
    /// As it is.
    pub found: Option<String>,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How.
    pub change: Change,
    /// What it is.
    pub object: ObjectKind,
    /// The table that it is on, where it is on one.
    pub table: Option<String>,
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is not as it should be, where it is altered.
    pub aspects: Vec<Aspect>,
    /// The SQL that mends it, one statement or several.
    pub mend: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let change = match self.change {
            Change::Missing => "missing",
            Change::Extra => "extra",
            Change::Altered => "altered",
        };
        write!(formatter, "{change} {} {}", self.object.word(), self.name)?;
        if let Some(table) = &self.table {
            write!(formatter, " on {table}")?;
        }
        let mut lead = ": ";
        for aspect in &self.aspects {
            write!(formatter, "{lead}{aspect}")?;
            lead = "; ";
        }
        Ok(())
    }
}

impl std::fmt::Display for Aspect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            aspect,
            expected,
            found,
        } = self;
        let (expected, found) = first_difference(
            expected.as_deref().unwrap_or("none"),
            found.as_deref().unwrap_or("none"),
        );
        write!(formatter, "{aspect} is {found}, should be {expected}")
    }
}

/// The first lines that differ: the body of a function is long.
fn first_difference<'a>(expected: &'a str, found: &'a str) -> (&'a str, &'a str) {
    if !expected.contains('\n') && !found.contains('\n') {
        return (expected, found);
    }
    let mut others = found.lines();
    for line in expected.lines() {
        match others.next() {
            Some(other) if other == line => {}
            other => return (line.trim(), other.unwrap_or("the end").trim()),
        }
    }
    ("the end", others.next().unwrap_or("the end").trim())
}

/// Says how something is mended: what is expected and what is there, each with all beside it.
pub type Mend = fn(Change, &ObjectName, &Catalog, &Catalog) -> String;

/// What differs, in an order in which it can be mended: what is extra goes first, those that stand on others before them.
pub fn between(expected: &Catalog, live: &Catalog, mend: Mend) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut tell = |change, name: &ObjectName, aspects| {
        differences.push(Difference {
            change,
            object: name.kind,
            table: name.table.clone(),
            name: name.name.clone(),
            severity: severity(change, name.kind),
            aspects,
            mend: mend(change, name, expected, live),
        });
    };
    let names: BTreeSet<&ObjectName> = expected.keys().chain(live.keys()).collect();
    for name in names.iter().rev() {
        if !expected.contains_key(*name) && !goes_with_table(name, live, expected) {
            tell(Change::Extra, name, Vec::new());
        }
    }
    for name in names {
        match (expected.get(name), live.get(name)) {
            (Some(wanted), None) if !comes_with_table(name, wanted, expected, live) => {
                tell(Change::Missing, name, Vec::new());
            }
            (Some(wanted), Some(found)) if wanted.aspects != found.aspects => {
                tell(Change::Altered, name, aspects(wanted, found));
            }
            _ => {}
        }
    }
    differences
}

/// Whether a table or view that is extra takes it along when it goes.
fn goes_with_table(name: &ObjectName, live: &Catalog, expected: &Catalog) -> bool {
    name.table.as_deref().is_some_and(|table| {
        [ObjectKind::Table, ObjectKind::View].iter().any(|kind| {
            let owner = ObjectName {
                kind: *kind,
                ..ObjectName::table(table)
            };
            live.contains_key(&owner) && !expected.contains_key(&owner)
        })
    })
}

/// Whether it comes with a table that is missing. A foreign key with a statement of its own comes later: the other table
/// may be missing too.
fn comes_with_table(
    name: &ObjectName,
    object: &Object,
    expected: &Catalog,
    live: &Catalog,
) -> bool {
    let comes_later = name.kind == ObjectKind::ForeignKey && !object.create.is_empty();
    !comes_later && goes_with_table(name, expected, live)
}

/// What is there beside the schema is somebody's own affair, unless it meddles with what the tables do.
fn severity(change: Change, kind: ObjectKind) -> Severity {
    use ObjectKind::{Constraint, ForeignKey, Policy, Rule, Trigger};
    match (change, kind) {
        (Change::Extra, Constraint | ForeignKey | Policy | Rule | Trigger) => Severity::Error,
        (Change::Extra, _) => Severity::Warning,
        _ => Severity::Error,
    }
}

fn aspects(wanted: &Object, found: &Object) -> Vec<Aspect> {
    let names: BTreeSet<&String> = wanted.aspects.keys().chain(found.aspects.keys()).collect();
    names
        .into_iter()
        .filter(|name| wanted.aspects.get(*name) != found.aspects.get(*name))
        .map(|name| Aspect {
            aspect: name.clone(),
            expected: wanted.aspects.get(name).cloned(),
            found: found.aspects.get(name).cloned(),
        })
        .collect()
}
