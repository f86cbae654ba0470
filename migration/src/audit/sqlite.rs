//! The audit triggers for SQLite, made per table from its columns, with nothing newer than SQLite 3.38.

use sea_orm_migration::prelude::*;

use super::Audited;

/// What the triggers of all tables share: a maker of UUIDv7, and the row by which they notice `OR REPLACE`.
pub fn shared() -> String {
    // `fresh` drops tables only.
    format!(
        "DROP VIEW IF EXISTS uuid_v7;
         CREATE VIEW uuid_v7 AS {};
         CREATE TABLE audit_probe (id integer NOT NULL PRIMARY KEY CHECK (id = 1), replaced integer NOT NULL);
         INSERT INTO audit_probe VALUES (1, 0);",
        uuid_v7()
    )
}

pub const DROP_SHARED: &str = "DROP TABLE audit_probe; DROP VIEW uuid_v7;";

pub const IMMUTABLE_EVENTS: &str = "
CREATE TRIGGER events_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'UPDATE on events is refused: events stay as they are'); END;
CREATE TRIGGER events_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'DELETE on events is refused: events stay as they are'); END;
CREATE TRIGGER events_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM events WHERE aggregate_id = NEW.aggregate_id AND aggregate_version = NEW.aggregate_version)
BEGIN
  INSERT OR IGNORE INTO audit_probe VALUES (1, 1);
  SELECT RAISE(ABORT, 'REPLACE on events is refused: events stay as they are')
    WHERE (SELECT replaced FROM audit_probe);
END;";

/// The triggers of one table.
pub fn triggers(audited: &Audited) -> String {
    [
        refuse_replace(audited),
        guard_update(audited),
        record_insert(audited),
        record_update(audited),
        record_delete(audited),
    ]
    .concat()
}

pub fn drop_triggers(audited: &Audited) -> String {
    let table = audited.table;
    let names = [
        "not_replaced",
        "not_replaced_by_update",
        "audit_version",
        "audit_insert",
        "audit_update",
        "audit_delete",
    ];
    let made = |name: &&str| *name != "not_replaced_by_update" || !keys(audited).is_empty();
    let drops = names.into_iter().filter(made);
    drops
        .map(|name| format!("DROP TRIGGER {table}_{name};"))
        .collect()
}

/// The columns of each unique constraint.
fn keys(audited: &Audited) -> Vec<Vec<String>> {
    let indexes = audited.definition.get_indexes().iter();
    indexes
        .filter(|index| index.is_unique_key())
        .map(|index| index.get_index_spec().get_column_names())
        .collect()
}

/// `OR REPLACE` removes rows without firing their DELETE triggers. Where a statement meets a row that is in its way,
/// these find out by the probe whether it would do that: a statement's conflict clause overrides those in its triggers.
/// Any other statement goes on to fail, or to be ignored, by itself.
fn refuse_replace(audited: &Audited) -> String {
    let table = audited.table;
    let keys = keys(audited);
    let same_keys: Vec<_> = keys
        .iter()
        .map(|columns| {
            let same: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} = NEW.{column}"))
                .collect();
            format!("({})", same.join(" AND "))
        })
        .collect();
    let same_key = same_keys.join(" OR ");
    let or_same_key: String = same_keys.iter().map(|same| format!(" OR {same}")).collect();
    let key_columns = keys.concat().join(", ");
    let body = format!(
        "BEGIN
           INSERT OR IGNORE INTO audit_probe VALUES (1, 1);
           SELECT RAISE(ABORT, 'REPLACE on {table} is refused: the trail would not tell of it')
             WHERE (SELECT replaced FROM audit_probe);
         END;"
    );
    let insert = format!(
        "CREATE TRIGGER {table}_not_replaced BEFORE INSERT ON {table}
         WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id{or_same_key})
         {body}"
    );
    // By its id alone no row is replaced by an update: ids do not change.
    if keys.is_empty() {
        return insert;
    }
    format!(
        "{insert}
         CREATE TRIGGER {table}_not_replaced_by_update BEFORE UPDATE OF {key_columns} ON {table}
         WHEN EXISTS (SELECT 1 FROM {table} WHERE id <> OLD.id AND ({same_key}))
         {body}"
    )
}

fn guard_update(audited: &Audited) -> String {
    let table = audited.table;
    format!(
        "CREATE TRIGGER {table}_audit_version BEFORE UPDATE OF id, version ON {table}
         WHEN NEW.id IS NOT OLD.id OR NEW.version NOT IN (OLD.version, OLD.version + 1)
         BEGIN
           SELECT RAISE(ABORT, 'the id of a row never changes') WHERE NEW.id IS NOT OLD.id;
           SELECT RAISE(ABORT, 'the version of a row grows by one with each change');
         END;"
    )
}

fn record_insert(audited: &Audited) -> String {
    let table = audited.table;
    let event = Event {
        audited,
        verb: "CREATED",
        subject: "NEW",
        version: "1",
    };
    let fields = fields(audited, "NULL", "NEW.", "");
    let insert = event.insert("json_object('new', json(new))", &fields, "");
    format!(
        "CREATE TRIGGER {table}_audit_insert AFTER INSERT ON {table}
         WHEN NEW.version <> 1
           OR (SELECT max(aggregate_version) FROM events WHERE aggregate_id = NEW.id) IS NOT 1
         BEGIN
           SELECT RAISE(ABORT, 'a new row has version 1') WHERE NEW.version <> 1;
           SELECT RAISE(ABORT, 'the id belongs to a row that is gone')
             WHERE EXISTS (SELECT 1 FROM events WHERE aggregate_id = NEW.id);
           {insert};
         END;"
    )
}

/// Where the version was left as it was, this trigger writes the event first, and then the version: the update of the
/// version finds the event in place, whether or not the connection lets triggers fire themselves.
fn record_update(audited: &Audited) -> String {
    let table = audited.table;
    let names = audited.column_names();
    let changed: Vec<_> = names
        .iter()
        .map(|name| format!("NEW.{name} IS NOT OLD.{name}"))
        .collect();
    let event = Event {
        audited,
        verb: "UPDATED",
        subject: "NEW",
        version: "OLD.version + 1",
    };
    let missing = "NOT EXISTS (SELECT 1 FROM events WHERE aggregate_id = NEW.id AND aggregate_version = OLD.version + 1)";
    let fields = fields(
        audited,
        "OLD.",
        "NEW.",
        "WHERE old IS NOT new OR (kind = 'secret' AND was IS NOT becomes)",
    );
    // The version always differs: alone, it is only a change where the statement itself set it.
    let insert = event.insert(
        "json_object('old', json(old), 'new', json(new))",
        &fields,
        &format!("WHERE (changes > 1 OR NEW.version <> OLD.version) AND {missing}"),
    );
    format!(
        "CREATE TRIGGER {table}_audit_update AFTER UPDATE OF {} ON {table}
         WHEN CASE WHEN NEW.version <> OLD.version THEN {missing} ELSE {} END
         BEGIN
           {insert};
           UPDATE {table} SET version = OLD.version + 1
             WHERE id = NEW.id AND version = OLD.version AND NOT {missing};
         END;",
        names.join(", "),
        changed.join(" OR "),
    )
}

fn record_delete(audited: &Audited) -> String {
    let table = audited.table;
    let event = Event {
        audited,
        verb: audited.removal,
        subject: "OLD",
        version: "OLD.version + 1",
    };
    let fields = fields(audited, "OLD.", "NULL", "");
    let insert = event.insert("json_object('old', json(old))", &fields, "");
    format!(
        "CREATE TRIGGER {table}_audit_delete AFTER DELETE ON {table}
         WHEN NOT EXISTS (SELECT 1 FROM events WHERE aggregate_id = OLD.id AND aggregate_version = OLD.version + 1)
         BEGIN
           {insert};
         END;"
    )
}

/// An event that a trigger writes.
struct Event<'a> {
    audited: &'a Audited,
    verb: &'a str,
    /// The side of the row that tells what it is: `OLD` or `NEW`.
    subject: &'a str,
    version: &'a str,
}

impl Event<'_> {
    fn insert(&self, data: &str, fields: &str, condition: &str) -> String {
        let Audited { aggregate, .. } = self.audited;
        let Self {
            verb,
            subject,
            version,
            ..
        } = self;
        let family = self.audited.family();
        let organization = match *aggregate {
            "organization" => format!("{subject}.id"),
            _ if self.audited.has_column("organization_id") => format!("{subject}.organization_id"),
            _ => "NULL".to_owned(),
        };
        let tags = self.tags();
        format!(
            "INSERT INTO events (id, event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata, tags,
                                 organization_id, source, version)
             SELECT (SELECT id FROM uuid_v7), '{family}.{verb}', '{aggregate}', {subject}.id, {version}, {data},
                    json_object('database_role', NULL), {tags}, {organization}, 'database', '1'
             FROM ({fields}) {condition}"
        )
    }

    fn tags(&self) -> String {
        let mut tags = vec![(self.audited.aggregate, "id")];
        for (tag, column) in [("organization", "organization_id"), ("user", "user_id")] {
            if self.audited.has_column(column) {
                tags.push((tag, column));
            }
        }
        let values: Vec<_> = tags
            .iter()
            .map(|(tag, column)| format!("SELECT '{tag}' AS tag, {}.{column} AS id", self.subject))
            .collect();
        format!(
            "(SELECT json_group_object(tag, {}) FROM ({}) WHERE id IS NOT NULL)",
            hyphenated("id"),
            values.join(" UNION ALL ")
        )
    }
}

/// One row: the fields before and after as JSON objects, and how many there are.
fn fields(audited: &Audited, old: &str, new: &str, condition: &str) -> String {
    let side = |side: &str, name: &str| match (side, name) {
        ("NULL", _) => "NULL".to_owned(),
        // The statement may have left the version to the trigger.
        ("NEW.", "version") if old == "OLD." => "OLD.version + 1".to_owned(),
        _ => format!("{side}{name}"),
    };
    let rows: Vec<_> = audited
        .columns()
        .map(|column| {
            let name = column.get_column_name();
            let kind = kind(audited, column);
            let (was, becomes) = (side(old, &name), side(new, &name));
            format!("SELECT '{name}' AS name, '{kind}' AS kind, {was} AS was, {becomes} AS becomes")
        })
        .collect();
    format!(
        "SELECT json_group_object(name, json(old)) AS old, json_group_object(name, json(new)) AS new,
                count(*) AS changes
         FROM (SELECT name, kind, was, becomes, {} AS old, {} AS new FROM ({})) {condition}",
        shown("was"),
        shown("becomes"),
        rows.join(" UNION ALL ")
    )
}

/// How a column's values are shown.
fn kind(audited: &Audited, column: &ColumnDef) -> &'static str {
    if audited.secret.contains(&column.get_column_name().as_str()) {
        return "secret";
    }
    match column.get_column_type() {
        Some(ColumnType::Uuid) => "uuid",
        Some(ColumnType::TimestampWithTimeZone) => "time",
        Some(ColumnType::Boolean) => "bool",
        Some(ColumnType::JsonBinary) => "json",
        _ => "plain",
    }
}

/// A value as JSON text, in the form in which the API shows it.
fn shown(value: &str) -> String {
    let uuid = hyphenated(value);
    let time = utc(value);
    format!(
        "CASE WHEN {value} IS NULL THEN 'null'
              WHEN kind = 'secret' THEN '\"[redacted]\"'
              WHEN kind = 'uuid' THEN json_quote({uuid})
              WHEN kind = 'time' THEN json_quote({time})
              WHEN kind = 'bool' THEN CASE WHEN {value} THEN 'true' ELSE 'false' END
              WHEN kind = 'json' THEN json({value})
              ELSE json_quote({value}) END"
    )
}

fn hyphenated(value: &str) -> String {
    let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)]
        .map(|(start, length)| format!("substr(hex({value}), {start}, {length})"));
    format!("lower({})", parts.join(" || '-' || "))
}

/// A time in UTC with six digits of fraction. SQLite's own functions keep three, so the digits are taken as text.
fn utc(value: &str) -> String {
    let offset = format!(
        "CASE WHEN {value} GLOB '*Z' THEN 1
              WHEN {value} GLOB '*[+-][0-9][0-9]:[0-9][0-9]' THEN 6 ELSE 0 END"
    );
    let fraction = format!("substr({value}, 21, max(0, length({value}) - 20 - ({offset})))");
    format!(
        "coalesce(strftime('%Y-%m-%dT%H:%M:%S', substr({value}, 1, 19) || substr({value}, 1 + length({value}) - ({offset})))
                  || '.' || substr({fraction} || '000000', 1, 6) || 'Z', {value})"
    )
}

/// One row with a new UUIDv7. Bytes come out of a table of them: there is no other way from a number to a byte.
fn uuid_v7() -> String {
    let bytes: String = (0..=255).map(|byte| format!("{byte:02x}")).collect();
    let byte = |value: String| format!("substr(bytes, 1 + ({value}), 1)");
    let mut parts: Vec<_> = [40, 32, 24, 16, 8, 0]
        .map(|shift| byte(format!("(milliseconds >> {shift}) & 255")))
        .into();
    parts.push(byte("112 | (random() & 15)".to_owned()));
    parts.push("randomblob(1)".to_owned());
    parts.push(byte("128 | (random() & 63)".to_owned()));
    parts.push("randomblob(7)".to_owned());
    format!(
        "SELECT CAST({} AS BLOB) AS id
         FROM (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER)
                      AS milliseconds, x'{bytes}' AS bytes)",
        parts.join(" || ")
    )
}
