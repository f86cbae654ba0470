//! The audit triggers for PostgreSQL: generic functions, told by trigger arguments what is special about a table.

use super::Audited;

/// The functions.
///
/// `audit_record` writes the trail with its owner's rights, so that a role which may change a row need not be able to
/// write events of its own making; hence the pinned search path, and nobody else may hang it on a table.
pub const SHARED: &str = r#"
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END $$;

-- The trigger calls it only where an audited column, the version or the id changes.
CREATE OR REPLACE FUNCTION audit_guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'the id of a row never changes'
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, COLUMN = 'id';
  ELSIF NEW.version = OLD.version THEN
    NEW.version := OLD.version + 1;
  ELSIF NEW.version <> OLD.version + 1 THEN
    RAISE EXCEPTION 'the version of a row grows by one with each change'
      USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, COLUMN = 'version';
  END IF;
  RETURN NEW;
END $$;

-- The named fields of a row, in the form in which the API shows them.
CREATE OR REPLACE FUNCTION audit_shown(fields jsonb, names text[], secret text[], times text[])
RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_object_agg(key, CASE
    WHEN value = 'null' THEN value
    WHEN key = ANY (secret) THEN '"[redacted]"'
    WHEN key = ANY (times) THEN coalesce(
      to_jsonb(to_char((value #>> '{}')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), value)
    ELSE value END)
  FROM jsonb_each(fields) WHERE key = ANY (names)
$$;

-- Arguments: aggregate type, name of its end, bookkeeping columns, secret columns.
CREATE OR REPLACE FUNCTION audit_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  bookkeeping CONSTANT text[] := TG_ARGV[2];
  secret CONSTANT text[] := TG_ARGV[3];
  next_version bigint;
  latest bigint;
  verb text;
  old_row jsonb;
  new_row jsonb;
  subject jsonb;
  names text[];
  times text[];
  moment bytea;
BEGIN
  IF TG_OP = 'INSERT' THEN
    next_version := NEW.version;
    verb := 'CREATED';
    IF next_version <> 1 THEN
      RAISE EXCEPTION 'a new row has version 1'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, COLUMN = 'version';
    END IF;
    SELECT max(aggregate_version) INTO latest FROM events WHERE aggregate_id = NEW.id;
    IF latest > 1 THEN
      RAISE EXCEPTION 'the id belongs to a row that is gone'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, COLUMN = 'id';
    END IF;
  ELSE
    next_version := OLD.version + 1;
    verb := CASE TG_OP WHEN 'UPDATE' THEN 'UPDATED' ELSE TG_ARGV[1] END;
    SELECT aggregate_version INTO latest FROM events WHERE aggregate_id = OLD.id AND aggregate_version = next_version;
  END IF;
  IF latest = next_version THEN
    RETURN NULL; -- told already
  END IF;

  old_row := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
  new_row := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
  subject := coalesce(new_row, old_row);
  names := ARRAY(SELECT key FROM jsonb_object_keys(subject) AS key
                 WHERE key <> ALL (bookkeeping) AND old_row -> key IS DISTINCT FROM new_row -> key);
  times := ARRAY(SELECT attname FROM pg_attribute
                 WHERE attrelid = TG_RELID AND atttypid = 'timestamptz'::regtype);
  -- A UUIDv7: milliseconds in front of random bits, then the version.
  moment := substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3);

  INSERT INTO events (id, event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata, tags,
                      organization_id, source, version)
  VALUES (
    encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING moment FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
    upper(TG_ARGV[0]) || '.' || verb,
    TG_ARGV[0],
    (subject ->> 'id')::uuid,
    next_version,
    CASE WHEN old_row IS NULL THEN '{}' ELSE jsonb_build_object('old', audit_shown(old_row, names, secret, times)) END
      || CASE WHEN new_row IS NULL THEN '{}' ELSE jsonb_build_object('new', audit_shown(new_row, names, secret, times)) END,
    jsonb_build_object('database_role', session_user),
    jsonb_strip_nulls(jsonb_build_object(
      'organization', subject -> 'organization_id', 'user', subject -> 'user_id', TG_ARGV[0], subject -> 'id')),
    CASE TG_ARGV[0] WHEN 'organization' THEN subject ->> 'id' ELSE subject ->> 'organization_id' END::uuid,
    'database',
    '1');
  RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION audit_record() FROM PUBLIC;

DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION audit_record() SET search_path = %I, pg_temp', current_schema());
END $$;
"#;

pub const DROP_SHARED: &str = "
DROP FUNCTION audit_record();
DROP FUNCTION audit_shown(jsonb, text[], text[], text[]);
DROP FUNCTION audit_guard_version();
DROP FUNCTION audit_refuse();";

pub const IMMUTABLE_EVENTS: &str = "
CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON events
  FOR EACH ROW EXECUTE FUNCTION audit_refuse('events stay as they are');
CREATE TRIGGER events_not_truncated BEFORE TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('events stay as they are');";

/// The triggers of one table. Their conditions keep bookkeeping from costing anything.
pub fn triggers(audited: &Audited) -> String {
    let Audited {
        aggregate,
        removal,
        table,
        ..
    } = audited;
    let names = audited.column_names();
    let old = row("OLD", &names);
    let new = row("NEW", &names);
    let bookkeeping = audited.bookkeeping.join(",");
    let secret = audited.secret.join(",");
    let record = format!(
        "FOR EACH ROW EXECUTE FUNCTION audit_record('{aggregate}', '{removal}', '{{{bookkeeping}}}', '{{{secret}}}')"
    );
    let when = "FOR EACH ROW WHEN (OLD.version <> NEW.version)";
    format!(
        "CREATE TRIGGER {table}_audit_version BEFORE UPDATE ON {table}
           FOR EACH ROW WHEN ({old} IS DISTINCT FROM {new}) EXECUTE FUNCTION audit_guard_version();
         CREATE TRIGGER {table}_audit_insert AFTER INSERT ON {table} {record};
         CREATE TRIGGER {table}_audit_update AFTER UPDATE ON {table} {};
         CREATE TRIGGER {table}_audit_delete AFTER DELETE ON {table} {record};
         CREATE TRIGGER {table}_not_truncated BEFORE TRUNCATE ON {table}
           FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse('the trail would not tell of it');",
        record.replacen("FOR EACH ROW", when, 1),
    )
}

pub fn drop_triggers(audited: &Audited) -> String {
    let table = audited.table;
    [
        "audit_version",
        "audit_insert",
        "audit_update",
        "audit_delete",
        "not_truncated",
    ]
    .map(|name| format!("DROP TRIGGER {table}_{name} ON {table};"))
    .concat()
}

fn row(side: &str, names: &[String]) -> String {
    let fields: Vec<_> = names.iter().map(|name| format!("{side}.{name}")).collect();
    format!("({})", fields.join(", "))
}
