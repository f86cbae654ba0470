//! What a statement of a migration does to who uses the database meanwhile, and to the data.
//!
//! Told by the statement's words, for the forms that migrations have. What is not recognized has no effect here, which
//! is why a plan shows every statement.

use std::collections::BTreeSet;

use sea_orm::DbBackend;
use serde::Serialize;

use crate::operations::words::words;

/// What a statement does beside what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// Nobody writes the table while the statement runs.
    BlocksWrites {
        /// The table.
        table: String,
    },
    /// Nobody reads or writes the table while the statement runs.
    BlocksAll {
        /// The table.
        table: String,
    },
    /// All rows of the table are read while it is blocked: takes longer the more there are.
    Scans {
        /// The table.
        table: String,
    },
    /// All rows of the table are written anew while it is blocked.
    Rewrites {
        /// The table.
        table: String,
    },
    /// Data is gone afterwards.
    LosesData {
        /// The table.
        table: String,
        /// The column, where it is not the whole table.
        column: Option<String>,
    },
}

impl std::fmt::Display for Effect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BlocksWrites { table } => write!(formatter, "blocks writes to {table}"),
            Self::BlocksAll { table } => write!(formatter, "blocks reads and writes of {table}"),
            Self::Scans { table } => write!(formatter, "reads all rows of {table}"),
            Self::Rewrites { table } => write!(formatter, "rewrites all rows of {table}"),
            Self::LosesData {
                table,
                column: None,
            } => {
                write!(formatter, "loses the data of {table}")
            }
            Self::LosesData {
                table,
                column: Some(column),
            } => {
                write!(formatter, "loses the data of {table}.{column}")
            }
        }
    }
}

/// Tells the effects of statements, one after the other: a table that an earlier one made is nobody's yet.
#[derive(Debug)]
pub struct Teller {
    backend: DbBackend,
    made: BTreeSet<String>,
}

impl Teller {
    /// For a backend, with no table made yet.
    pub fn new(backend: DbBackend) -> Self {
        Self {
            backend,
            made: BTreeSet::new(),
        }
    }

    /// The tables that were made so far.
    pub fn made(&self) -> impl Iterator<Item = &str> {
        self.made.iter().map(String::as_str)
    }

    /// The effects of the next statement; of several, where it is a text of several.
    pub fn effects(&mut self, statement: &str) -> Vec<Effect> {
        let mut effects: Vec<Effect> = Vec::new();
        for statement in split(statement) {
            for effect in self.effects_of_one(&statement) {
                if !effects.contains(&effect) {
                    effects.push(effect);
                }
            }
        }
        effects
    }

    fn effects_of_one(&mut self, words: &[String]) -> Vec<Effect> {
        let has = |phrase: &[&str]| position(words, phrase).is_some();
        let starts = |phrase: &[&str]| position(words, phrase) == Some(0);
        let after = |phrase: &[&str]| {
            let start = position(words, phrase)? + phrase.len();
            let rest = &words[start..];
            let skipped = rest
                .iter()
                .take_while(|word| ["if", "not", "exists", "only"].contains(&word.as_str()));
            rest.get(skipped.count()).cloned()
        };
        if starts(&["create", "table"]) {
            self.made.extend(after(&["create", "table"]));
            return Vec::new();
        }
        let blocks_writes = |table: String| Effect::BlocksWrites { table };
        let blocks_all = |table: String| Effect::BlocksAll { table };
        let scans = |table: String| Effect::Scans { table };
        let rewrites = |table: String| Effect::Rewrites { table };
        let mut effects: Vec<Option<Effect>> = Vec::new();
        if starts(&["drop", "table"]) {
            let table = after(&["drop", "table"]);
            effects.push(table.map(|table| Effect::LosesData {
                table,
                column: None,
            }));
        } else if starts(&["truncate"]) {
            let table = after(&["truncate", "table"]).or_else(|| after(&["truncate"]));
            effects.push(table.map(|table| Effect::LosesData {
                table,
                column: None,
            }));
        } else if starts(&["delete", "from"]) {
            let table = after(&["delete", "from"]);
            effects.push(table.map(|table| Effect::LosesData {
                table,
                column: None,
            }));
        } else if starts(&["update"]) {
            effects.push(after(&["update"]).map(rewrites));
        } else if starts(&["create"]) && has(&["index"]) && !has(&["concurrently"]) {
            effects.push(after(&["on"]).map(blocks_writes));
            effects.push(after(&["on"]).map(scans));
        } else if starts(&["create"]) && has(&["trigger"]) {
            effects.push(after(&["on"]).map(blocks_writes));
        } else if starts(&["drop", "trigger"]) {
            effects.push(after(&["on"]).map(blocks_all));
        } else if starts(&["alter", "table"]) {
            let table = after(&["alter", "table"]);
            effects.push(table.clone().map(blocks_all));
            if has(&["drop", "column"]) {
                let column = after(&["drop", "column"]);
                effects.push(
                    table
                        .clone()
                        .map(|table| Effect::LosesData { table, column }),
                );
            }
            let computed = [
                "gen_random_uuid",
                "random",
                "clock_timestamp",
                "nextval",
                "stored",
            ];
            let is_rewritten = has(&["type"])
                || has(&["add", "column"]) && computed.iter().any(|word| has(&[word]))
                || self.backend == DbBackend::Sqlite && has(&["drop", "column"]);
            let is_scanned = has(&["set", "not", "null"])
                || (has(&["add", "constraint"])
                    || has(&["add", "check"])
                    || has(&["add", "foreign"]))
                    && !has(&["not", "valid"])
                || has(&["add", "unique"])
                || has(&["add", "primary"]);
            if is_rewritten {
                effects.push(table.map(rewrites));
            } else if is_scanned {
                effects.push(table.map(scans));
            }
        } else if starts(&["vacuum", "full"]) || starts(&["cluster"]) {
            let table = after(&["vacuum", "full"]).or_else(|| after(&["cluster"]));
            effects.push(table.clone().map(blocks_all));
            effects.push(table.map(rewrites));
        }
        let effects = effects.into_iter().flatten();
        effects
            .filter(|effect| !self.made.contains(effect.table()))
            .collect()
    }
}

impl Effect {
    /// The table that it is about.
    pub fn table(&self) -> &str {
        match self {
            Self::BlocksWrites { table }
            | Self::BlocksAll { table }
            | Self::Scans { table }
            | Self::Rewrites { table }
            | Self::LosesData { table, .. } => table,
        }
    }
}

fn position(words: &[String], phrase: &[&str]) -> Option<usize> {
    words.windows(phrase.len()).position(|window| {
        window
            .iter()
            .zip(phrase)
            .all(|(word, wanted)| word == wanted)
    })
}

/// The words of each statement of a text, without what stands in strings and in the bodies of triggers.
fn split(text: &str) -> Vec<Vec<String>> {
    let mut statements = vec![Vec::new()];
    // How deep in the body of a trigger of SQLite: BEGIN … CASE … END; …; END.
    let mut depth = 0_u32;
    for word in words(text) {
        let Some(statement) = statements.last_mut() else {
            break;
        };
        let is_trigger = statement.first().is_some_and(|first| first == "create")
            && statement.iter().any(|word| word == "trigger");
        match (word.as_str(), depth) {
            (";", 0) => statements.push(Vec::new()),
            ("begin", 0) if is_trigger => depth = 1,
            (_, 0) if is_name(&word) => statement.push(word.trim_matches('"').to_owned()),
            ("case", 1..) => depth += 1,
            ("end", 1..) => depth -= 1,
            _ => {}
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// A name, a keyword or a number; no string and no sign. What PostgreSQL has in square brackets reads as a name, too.
fn is_name(word: &str) -> bool {
    let is_empty = word == "\"\"";
    !is_empty
        && word
            .starts_with(|first: char| first.is_alphanumeric() || matches!(first, '_' | '.' | '"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(statement: &str) -> Vec<String> {
        let effects = Teller::new(DbBackend::Postgres).effects(statement);
        effects.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_form_has_its_effects() {
        let cases: [(&str, &[&str]); 15] = [
            (r#"CREATE TABLE "a" (id int)"#, &[]),
            (
                r#"CREATE TABLE IF NOT EXISTS a (id int); CREATE INDEX x ON a (id)"#,
                &[],
            ),
            (
                r#"CREATE UNIQUE INDEX "x" ON "users" ("a", "b")"#,
                &["blocks writes to users", "reads all rows of users"],
            ),
            ("CREATE INDEX CONCURRENTLY x ON users (a)", &[]),
            (
                r#"DROP TABLE IF EXISTS "users""#,
                &["loses the data of users"],
            ),
            ("TRUNCATE users", &["loses the data of users"]),
            (
                "DELETE FROM users WHERE id = 1",
                &["loses the data of users"],
            ),
            (
                r#"ALTER TABLE "users" DROP COLUMN "age""#,
                &[
                    "blocks reads and writes of users",
                    "loses the data of users.age",
                ],
            ),
            (
                "ALTER TABLE users ADD COLUMN age int",
                &["blocks reads and writes of users"],
            ),
            (
                "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid()",
                &[
                    "blocks reads and writes of users",
                    "rewrites all rows of users",
                ],
            ),
            (
                "ALTER TABLE users ALTER COLUMN age TYPE bigint",
                &[
                    "blocks reads and writes of users",
                    "rewrites all rows of users",
                ],
            ),
            (
                "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0)",
                &[
                    "blocks reads and writes of users",
                    "reads all rows of users",
                ],
            ),
            (
                "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0) NOT VALID",
                &["blocks reads and writes of users"],
            ),
            ("UPDATE users SET age = 1", &["rewrites all rows of users"]),
            (
                "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DELETE FROM users; END $$; -- DROP TABLE users;\n\
                 CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f('; DROP TABLE users')",
                &["blocks writes to users"],
            ),
        ];
        for (statement, effects) in cases {
            assert_eq!(told(statement), effects, "{statement}");
        }
    }

    #[test]
    fn the_body_of_a_trigger_is_not_run_by_the_migration() {
        let trigger = "CREATE TRIGGER t BEFORE DELETE ON events BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM users; END; DROP TABLE b";
        assert_eq!(
            told(trigger),
            ["blocks writes to events", "loses the data of b"]
        );
    }
}
