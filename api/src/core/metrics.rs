//! Metrics, as Prometheus reads them.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::problem::Problem;
use crate::database::PoolUsage;

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

/// The metrics of one server.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram>,
    connections: Family<Connections, Gauge>,
    connection_limits: Family<Pool, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let durations =
            Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let mut registry = Registry::with_prefix("rollbook");
        registry.register(
            "http_requests",
            "Requests that were answered",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        let connections = Family::default();
        registry.register(
            "database_connections",
            "Connections to the database that are open",
            connections.clone(),
        );
        let connection_limits = Family::default();
        registry.register(
            "database_connections_limit",
            "Connections to the database that there may be",
            connection_limits.clone(),
        );
        Self {
            registry: Arc::new(registry),
            requests,
            durations,
            connections,
            connection_limits,
        }
    }
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

    /// All of them, in the OpenMetrics text format, with the pools of connections as they stand now.
    ///
    /// # Errors
    /// `internal` where they cannot be written as text.
    pub fn text(&self, pools: &[PoolUsage]) -> Result<String, Problem> {
        for usage in pools {
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
        Ok(text)
    }
}
