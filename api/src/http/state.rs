//! What all requests share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};

use crate::database::{Database, Migrations};
use crate::http::idempotency::Running;
use crate::http::in_flight::InFlight;
use crate::http::metrics::Metrics;
use crate::http::usage::Usage;
use crate::ledger::registry::Registry;
use crate::values::password::Hasher;

/// What all requests share.
#[derive(Clone)]
pub struct State {
    /// What the API offers.
    pub registry: Arc<Registry>,
    /// What the database is made of.
    pub migrations: Migrations,
    /// The database.
    pub database: Database,
    /// Limits of a request.
    pub limits: Limits,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Idempotency keys whose requests are running.
    pub running: Running,
    /// Requests that are not answered yet.
    pub in_flight: InFlight,
    /// Uses of API keys that are not written yet.
    pub usage: Usage,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What `/openapi.json` shows, and which methods each path takes.
    pub document: Arc<Document>,
}

/// Limits of a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body_size: usize,
    /// Longest time to send the body.
    pub body_time: Duration,
    /// Longest time to answer.
    pub answer_time: Duration,
}

/// The OpenAPI document, ready to be sent.
pub struct Document {
    /// As JSON.
    pub json: String,
    /// The methods of each path, with `{parameters}`.
    pub methods: BTreeMap<String, Vec<&'static str>>,
}

impl State {
    /// The state of the server that received the request.
    pub fn of(request: &HttpRequest) -> Option<web::Data<Self>> {
        request.app_data::<web::Data<Self>>().cloned()
    }
}
