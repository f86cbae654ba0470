//! Every operation that changes something, once at least: how it is prepared, what is sent, and which events it leaves.
//!
//! The table that the tests of the contract, of failures at each statement and of costs walk along. A new operation is
//! added here, and all of them apply to it.

mod api_keys;
mod memberships;
mod organizations;
mod users;

use std::pin::Pin;

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::caller::{Answer, Caller};
use crate::stage::Stage;

use api_keys::api_keys;
use memberships::memberships;
pub use organizations::organizations;
use users::users;

/// One way to use a mutating operation.
pub struct Mutation {
    /// Who does what.
    pub name: &'static str,
    pub method: Method,
    /// The path as the OpenAPI document has it.
    pub route: &'static str,
    prepare: Preparation,
}

type Preparation = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Request> + 'a>>;

/// A request that is ready to be sent once, and the events it must leave.
pub struct Request {
    pub caller: Caller,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    pub events: Vec<Expected>,
}

/// An event that a request must leave.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub event_type: &'static str,
    /// None for one that the request makes.
    pub aggregate_id: Option<Uuid>,
}

/// The whole table.
pub fn all() -> Vec<Mutation> {
    let tables = [organizations(), users(), memberships(), api_keys()];
    tables.into_iter().flatten().collect()
}

/// A quarter of the table: what a test does with each takes so long that it is shared out.
pub fn quarter(number: usize) -> impl Iterator<Item = Mutation> {
    all().into_iter().skip(number).step_by(4)
}

/// The first way to make something in a collection; of one that nobody makes anything in, none.
pub fn creation(collection: &str) -> Option<Mutation> {
    let route = format!("/v1/{collection}");
    let creates = |mutation: &Mutation| mutation.method == Method::POST && mutation.route == route;
    all().into_iter().find(creates)
}

impl Mutation {
    /// Makes what the request needs, anew each time.
    pub async fn prepare(&self, stage: &Stage) -> Request {
        let mut request = (self.prepare)(stage).await;
        request.method = self.method.clone();
        request
    }

    /// Whether an `Idempotency-Key` means something to it.
    pub fn takes_idempotency_keys(&self) -> bool {
        self.method == Method::POST
    }

    /// Whether `If-Match` means something to it.
    pub fn takes_preconditions(&self) -> bool {
        !self.takes_idempotency_keys()
    }

    /// The status of its success.
    pub fn status(&self) -> u16 {
        match self.method {
            Method::POST => 201,
            Method::PATCH => 200,
            _ => 204,
        }
    }
}

impl Request {
    pub async fn send(&self) -> Answer {
        self.send_with(&[]).await
    }

    pub async fn send_with(&self, headers: &[(&str, &str)]) -> Answer {
        self.send_as(&self.caller, headers).await
    }

    /// The same request by somebody else.
    pub async fn send_as(&self, caller: &Caller, headers: &[(&str, &str)]) -> Answer {
        let (method, body) = (self.method.clone(), self.body.clone());
        caller.send(method, &self.path, body, headers).await
    }
}

fn mutation(
    name: &'static str,
    method: Method,
    route: &'static str,
    prepare: Preparation,
) -> Mutation {
    Mutation {
        name,
        method,
        route,
        prepare,
    }
}

/// A request with a body.
fn request(caller: &Caller, path: impl Into<String>, body: Value) -> Request {
    Request {
        body: Some(body),
        ..deletion(caller, path)
    }
}

/// A request without a body.
fn deletion(caller: &Caller, path: impl Into<String>) -> Request {
    Request {
        caller: caller.clone(),
        method: Method::GET,
        path: path.into(),
        body: None,
        events: Vec::new(),
    }
}

impl Request {
    /// With an event of something that is made by it.
    fn makes(mut self, event_type: &'static str) -> Self {
        self.events.push(Expected {
            event_type,
            aggregate_id: None,
        });
        self
    }

    /// With an event of something that was there.
    fn changes(mut self, event_type: &'static str, aggregate_id: Uuid) -> Self {
        self.events.push(Expected {
            event_type,
            aggregate_id: Some(aggregate_id),
        });
        self
    }
}
