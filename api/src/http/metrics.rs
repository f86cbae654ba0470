//! Metrics, as Prometheus reads them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::Value;

use crate::database::{Activity, PoolUsage};
use crate::problem::Problem;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pool {
    pool: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Connections {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Passwords {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// What is read at the moment of being asked.
pub struct Standing {
    /// Whether the server can do its work, as `/readyz` says.
    pub is_ready: bool,
    /// The pools of connections.
    pub pools: Vec<PoolUsage>,
    /// How many passwords are being hashed.
    pub hashing: usize,
    /// How many wait to be hashed.
    pub waiting_to_be_hashed: usize,
    /// For how long the oldest use of an API key has waited to be written.
    pub usage_lag: Duration,
}

/// The two forms in which metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text format, version 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The form to answer with: OpenMetrics only where it is asked for by name.
    pub fn wanted(accept: Option<&str>) -> Self {
        match accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Classic,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The metrics of one server.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram>,
    connections: Family<Connections, Gauge>,
    connection_limits: Family<Pool, Gauge>,
    ready: Gauge,
    passwords: Family<Passwords, Gauge>,
    usage_lag: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// The metrics of a server with this document, each route's series at zero: `rate()` and `increase()` see a first
    /// error only where there was a series before it.
    pub fn new(activity: &Activity, document: &Value) -> Self {
        let mut registry = Registry::with_prefix("rollbook");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(
                (|| Histogram::new(BUCKETS)) as fn() -> Histogram,
            ),
            connections: Family::default(),
            connection_limits: Family::default(),
            ready: Gauge::default(),
            passwords: Family::default(),
            usage_lag: Gauge::default(),
            registry: Arc::default(),
        };
        metrics.register(&mut registry);
        register_activity(&mut registry, activity);
        let build = Family::<Build, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&Build { version }).set(1);
        registry.register("build_info", "Which build this is; always 1", build);
        metrics.start_at_zero(document);
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests that were answered",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "database_connections",
            "Connections to the database that are open",
            self.connections.clone(),
        );
        registry.register(
            "database_connections_limit",
            "Connections to the database that there may be",
            self.connection_limits.clone(),
        );
        registry.register(
            "ready",
            "Whether the server can do its work, as /readyz says: 1 or 0",
            self.ready.clone(),
        );
        registry.register(
            "passwords",
            "Passwords that are being hashed, and that wait to be",
            self.passwords.clone(),
        );
        registry.register_with_unit(
            "api_key_usage_lag",
            "For how long the oldest use of an API key has waited to be written",
            Unit::Seconds,
            self.usage_lag.clone(),
        );
    }

    fn start_at_zero(&self, document: &Value) {
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let method = method.to_uppercase();
                let route = path.clone();
                let statuses = operation["responses"].as_object().into_iter().flatten();
                for status in statuses.filter_map(|(status, _)| status.parse().ok()) {
                    let (method, route) = (method.clone(), route.clone());
                    let series = Answered {
                        method,
                        route,
                        status,
                    };
                    drop(self.requests.get_or_create(&series));
                }
                drop(self.durations.get_or_create(&Route { method, route }));
            }
        }
    }
}

fn register_activity(registry: &mut Registry, activity: &Activity) {
    registry.register(
        "transaction_retries",
        "Transactions that were run again, because another one was in the way",
        activity.retries.clone(),
    );
    registry.register(
        "slow_statements",
        "Statements that took a second or longer",
        activity.slow_statements.clone(),
    );
    registry.register(
        "events_written",
        "Events that were committed with their changes, by type; without those that a trigger wrote",
        activity.events.clone(),
    );
}

const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Methods that get a label of their own; any other is one, as clients may invent what they like.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Metrics {
    /// Counts a request. `route` is the pattern, never the path: ids do not become labels.
    pub fn request(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("other")
            .to_owned();
        let route = route.to_owned();
        self.requests
            .get_or_create(&Answered {
                method: method.clone(),
                route: route.clone(),
                status,
            })
            .inc();
        self.durations
            .get_or_create(&Route { method, route })
            .observe(duration.as_secs_f64());
    }

    /// All of them, as things stand now.
    ///
    /// # Errors
    /// `internal` where they cannot be written as text.
    pub fn text(&self, standing: &Standing, format: Format) -> Result<String, Problem> {
        self.ready.set(standing.is_ready.into());
        for (state, count) in [
            ("running", standing.hashing),
            ("waiting", standing.waiting_to_be_hashed),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.passwords
                .get_or_create(&Passwords { state })
                .set(count);
        }
        self.usage_lag.set(standing.usage_lag.as_secs_f64());
        for usage in &standing.pools {
            let pool = usage.pool;
            for (state, count) in [("used", usage.used), ("idle", usage.idle)] {
                let connections = self.connections.get_or_create(&Connections { pool, state });
                connections.set(count.into());
            }
            let limit = self.connection_limits.get_or_create(&Pool { pool });
            limit.set(usage.limit.into());
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .map_err(Problem::internal)?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Classic => classic(&text),
        })
    }
}

/// The same in the classic text format, which the library does not write: what is said of a counter is said of
/// `<name>_total`, its samples' name, and neither units nor an end are marked.
fn classic(open_metrics: &str) -> String {
    let lines: Vec<_> = open_metrics.lines().collect();
    let counters: HashSet<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in lines {
        let described = ["# HELP ", "# TYPE "].iter().find_map(|kind| {
            let (name, words) = line.strip_prefix(kind)?.split_once(' ')?;
            counters
                .contains(name)
                .then(|| format!("{kind}{name}_total {words}\n"))
        });
        match described {
            Some(described) => text.push_str(&described),
            None if line.starts_with("# UNIT ") || line == "# EOF" => {}
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}
