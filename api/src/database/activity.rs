//! What is counted of the work with the database, for the metrics.

use std::collections::HashMap;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// A statement that took this long is slow; the log names those, too.
const SLOW: Duration = Duration::from_secs(1);

/// The type of an event, as a label.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EventType {
    event_type: String,
}

/// Counters that a database and its clones share.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Transactions that were run again, because another one was in the way.
    pub retries: Counter,
    /// Statements that took a second or longer, those that failed included.
    pub slow_statements: Counter,
    /// Events that were committed, by type. Those that a trigger writes are not seen here.
    pub events: Family<EventType, Counter>,
}

impl Activity {
    /// Counts the events of a transaction that was committed.
    pub(crate) fn count_events(&self, by_type: HashMap<String, u64>) {
        for (event_type, count) in by_type {
            let counter = self.events.get_or_create(&EventType { event_type });
            counter.inc_by(count);
        }
    }

    pub(super) fn count_statement(&self, took: Duration) {
        if took >= SLOW {
            self.slow_statements.inc();
        }
    }
}
