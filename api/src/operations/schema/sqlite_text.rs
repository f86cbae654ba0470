//! The text of SQLite's `CREATE` statements, which is all that its catalog keeps: read so that what means the same reads
//! the same.

use std::collections::BTreeMap;

use crate::operations::words::words;

/// The words as a text again.
pub fn text(words: &[String]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| words.get(index));
        let is_tight = match before.map(String::as_str) {
            None | Some("(") => true,
            Some(before) => {
                matches!(word.as_str(), ")" | "," | ";") || (word == "(" && is_function(before))
            }
        };
        if !is_tight {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

fn is_function(word: &str) -> bool {
    ![
        "in",
        "and",
        "or",
        "not",
        "check",
        "default",
        "references",
        "on",
        "key",
        "unique",
        "as",
        "when",
    ]
    .contains(&word)
        && word.starts_with(|first: char| first.is_alphabetic())
}

/// What a `CREATE TABLE` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TableText {
    /// The columns, in their order, each with its aspects.
    pub columns: Vec<(String, BTreeMap<String, String>)>,
    /// The constraints, of columns and of the table.
    pub constraints: Vec<ConstraintText>,
    /// What stands behind the brackets: `without rowid`, `strict`.
    pub options: String,
}

/// A constraint that a `CREATE TABLE` says.
#[derive(Debug, PartialEq, Eq)]
pub struct ConstraintText {
    /// Its name, or one made of what it is on.
    pub name: String,
    /// Whether it is a foreign key.
    pub is_foreign_key: bool,
    /// What it says, where a table says it: a column's is led by `(column)`.
    pub definition: String,
}

/// Reads a `CREATE TABLE`.
pub fn table(table: &str, sql: &str) -> TableText {
    let words = words(sql);
    let mut read = TableText::default();
    let Some(open) = words.iter().position(|word| word == "(") else {
        return read;
    };
    let close = open + group_length(&words[open..]);
    read.options = text(&words[close..]);
    let inner = words.get(open + 1..close.saturating_sub(1));
    for item in split(inner.unwrap_or_default()) {
        match item.first().map(String::as_str) {
            None => {}
            Some("constraint" | "primary" | "unique" | "check" | "foreign") => {
                read.add_constraint(table, None, item);
            }
            Some(column) => read.add_column(table, column, &item[1..]),
        }
    }
    read
}

impl TableText {
    fn add_column(&mut self, table: &str, column: &str, words: &[String]) {
        let starts: Vec<usize> = clause_starts(words);
        let end_of_type = starts.first().copied().unwrap_or(words.len());
        let mut aspects = BTreeMap::from([
            ("type".to_owned(), text(&words[..end_of_type])),
            ("null".to_owned(), "NULL".to_owned()),
        ]);
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(words.len());
            let clause = &words[*start..end];
            match clause[0].as_str() {
                "null" => {}
                "not" => drop(aspects.insert("null".to_owned(), "NOT NULL".to_owned())),
                "default" => drop(aspects.insert("default".to_owned(), text(&clause[1..]))),
                "collate" => drop(aspects.insert("collation".to_owned(), text(&clause[1..]))),
                "generated" | "as" => {
                    drop(aspects.insert("generated".to_owned(), text(clause)));
                }
                _ => self.add_constraint(table, Some(column), clause),
            }
        }
        self.columns.push((column.to_owned(), aspects));
    }

    fn add_constraint(&mut self, table: &str, column: Option<&str>, words: &[String]) {
        let (name, rule) = match words {
            [first, name, rule @ ..] if first == "constraint" => (Some(name.clone()), rule),
            rule => (None, rule),
        };
        let what = rule.first().map_or("", String::as_str);
        let is_foreign_key = matches!(what, "foreign" | "references");
        let suffix = match what {
            "primary" => "pkey",
            "unique" => "key",
            "foreign" | "references" => "fkey",
            _ => "check",
        };
        let base = match (column, what) {
            (Some(column), kind) if kind != "primary" => format!("{table}_{column}_{suffix}"),
            _ => format!("{table}_{suffix}"),
        };
        // A name is the best there is to tell one from the other; those without get one by their place.
        let mut name = name.unwrap_or_else(|| base.clone());
        let mut count = 1;
        while self.constraints.iter().any(|other| other.name == name) {
            count += 1;
            name = format!("{base}_{count}");
        }
        let definition = match column {
            Some(column) => format!("({column}) {}", text(rule)),
            None => text(rule),
        };
        self.constraints.push(ConstraintText {
            name,
            is_foreign_key,
            definition,
        });
    }
}

/// The words of a bracket and all that is in it.
fn group_length(words: &[String]) -> usize {
    let mut depth = 0_usize;
    for (index, word) in words.iter().enumerate() {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    words.len()
}

/// What stands between the commas that are in no bracket.
fn split(words: &[String]) -> Vec<&[String]> {
    let mut items = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < words.len() {
        match words[at].as_str() {
            "(" => at += group_length(&words[at..]),
            "," => {
                items.push(&words[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    items.push(&words[start..]);
    items
}

/// Where the clauses of a column begin, behind its type.
fn clause_starts(words: &[String]) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let before = at
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        let next = words.get(at + 1).map_or("", String::as_str);
        let is_start = match words[at].as_str() {
            "constraint" => true,
            "primary" | "unique" | "check" | "references" => !is_named(words, at),
            "default" | "null" if before == "set" => false,
            "null" => !matches!(before, "not" | "default"),
            "not" => next == "null",
            "default" | "collate" | "generated" => true,
            "as" => before != "always",
            _ => false,
        };
        if is_start {
            starts.push(at);
        }
        at += match words[at].as_str() {
            "(" => group_length(&words[at..]),
            _ => 1,
        };
    }
    starts
}

/// Whether `constraint NAME` stands before it and begins the clause.
fn is_named(words: &[String], at: usize) -> bool {
    at >= 2 && words[at - 2] == "constraint"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_case_and_quotes_are_no_difference() {
        let plain = words("create table a (b text not null check (b <> 'It''s  B'))");
        let other = words(
            "CREATE TABLE \"a\" ( -- a note\n [B] TEXT NOT/* */NULL\n CHECK( `b`<>'It''s  B' ) )",
        );
        assert_eq!(plain, other);
        assert_eq!(
            text(&plain),
            "create table a(b text not null check (b <> 'It''s  B'))"
        );
        assert_ne!(
            plain,
            words("create table a (b text not null check (b <> 'it''s b'))")
        );
    }

    #[test]
    fn a_table_is_read_with_every_clause() {
        let read = table(
            "t",
            "CREATE TABLE t (id integer PRIMARY KEY, a varchar(3) NOT NULL DEFAULT (x(1, 2)) CONSTRAINT t_a_fkey
               REFERENCES u (id) ON DELETE SET NULL NOT DEFERRABLE, b text NULL DEFAULT NULL COLLATE nocase UNIQUE,
               c int GENERATED ALWAYS AS (a + 1) STORED, d text CHECK (d IN ('x, y', '(')),
               CHECK (a < b), CONSTRAINT \"Named Rule\" CHECK (c > 0)) WITHOUT ROWID, STRICT",
        );
        assert_eq!(read.options, "without rowid, strict");
        let told = |index: usize| {
            let (name, aspects) = &read.columns[index];
            let aspects: Vec<_> = aspects
                .iter()
                .map(|(aspect, value)| format!("{aspect}={value}"))
                .collect();
            format!("{name}: {}", aspects.join("; "))
        };
        assert_eq!(told(0), "id: null=NULL; type=integer");
        assert_eq!(
            told(1),
            "a: default=(x(1, 2)); null=NOT NULL; type=varchar(3)"
        );
        assert_eq!(
            told(2),
            "b: collation=nocase; default=null; null=NULL; type=text"
        );
        assert_eq!(
            told(3),
            "c: generated=generated always as (a + 1) stored; null=NULL; type=int"
        );
        assert_eq!(told(4), "d: null=NULL; type=text");
        let constraints: Vec<_> = read
            .constraints
            .iter()
            .map(|one| {
                (
                    one.name.as_str(),
                    one.is_foreign_key,
                    one.definition.as_str(),
                )
            })
            .collect();
        assert_eq!(
            constraints,
            [
                ("t_pkey", false, "(id) primary key"),
                (
                    "t_a_fkey",
                    true,
                    "(a) references u(id) on delete set null not deferrable"
                ),
                ("t_b_key", false, "(b) unique"),
                ("t_d_check", false, "(d) check (d in ('x, y', '('))"),
                ("t_check", false, "check (a < b)"),
                ("\"named rule\"", false, "check (c > 0)"),
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_ends_all_the_same() {
        for sql in [
            "",
            "CREATE TABLE t",
            "CREATE TABLE t (",
            "CREATE TABLE t (a 'open",
            "(()",
            "\"",
            "[é",
        ] {
            table("t", sql);
        }
    }
}
