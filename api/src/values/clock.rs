//! The one source of time and of new ids. `clippy.toml` refuses the calls beneath anywhere else.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The present moment, in microseconds: what both databases keep, so that a value that was written equals the one that is read.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    to_microseconds(Utc::now())
}

/// The same moment without the nanoseconds that no database keeps; a leap second counts as the next second.
pub fn to_microseconds(moment: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(moment.timestamp_micros()).unwrap_or(moment)
}

/// RFC 3339 in UTC with microseconds and `Z`: the one form in which a time leaves, in answers and in events.
pub fn rfc3339(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// A new id: UUIDv7 (RFC 9562), ordered by the time of its making.
#[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
