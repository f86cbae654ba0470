//! What surrounds every request: its ids, its time limit, its log line, its metrics, and the one form of every error.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use tracing::Instrument;
use uuid::Uuid;

use super::caller::Principal;
use super::clock;
use super::problem::{self, Kind, Problem};
use super::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The ids by which a request is found again.
#[derive(Clone, Debug)]
pub struct RequestIds {
    /// The client's, or one that was made.
    pub request_id: String,
    /// The client's, or the request's id.
    pub correlation_id: String,
    /// The client's.
    pub causation_id: Option<String>,
}

impl RequestIds {
    /// The ids that the middleware has put there.
    pub fn of(request: &HttpRequest) -> Self {
        let known = request.extensions().get::<Self>().cloned();
        known.unwrap_or_else(|| Self::read(request))
    }

    fn read(request: &HttpRequest) -> Self {
        let header = |name: &str| {
            let text = request.headers().get(name)?.to_str().ok()?;
            let visible =
                (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            visible.then(|| text.to_owned())
        };
        let request_id = header("x-request-id").unwrap_or_else(|| clock::new_id().to_string());
        Self {
            correlation_id: header("x-correlation-id").unwrap_or_else(|| request_id.clone()),
            causation_id: header("x-causation-id"),
            request_id,
        }
    }
}

/// Who acted, for the log line.
#[derive(Clone, Copy)]
struct Actor {
    user_id: Uuid,
    organization_id: Option<Uuid>,
}

/// What is learnt of a request on its way, for its log line; it outlives a request that is given up.
#[derive(Clone, Default)]
struct Learnt(Rc<Cell<Option<Actor>>>);

/// Notes the caller for the request's log line.
pub fn record_caller(request: &HttpRequest, principal: &Principal) {
    if let Some(learnt) = request.extensions().get::<Learnt>() {
        learnt.0.set(Some(Actor {
            user_id: principal.user_id,
            organization_id: principal.organization_id,
        }));
    }
}

/// Notes the organization that a request is about, for its log line.
pub fn record_organization(request: &HttpRequest, organization_id: Uuid) {
    if let Some(learnt) = request.extensions().get::<Learnt>() {
        learnt.0.set(learnt.0.get().map(|actor| Actor {
            organization_id: Some(organization_id),
            ..actor
        }));
    }
}

/// The outermost middleware.
pub async fn surround(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let start = Instant::now();
    let ids = RequestIds::read(request.request());
    let learnt = Learnt::default();
    request.extensions_mut().insert(ids.clone());
    request.extensions_mut().insert(learnt.clone());
    let state = State::of(request.request());
    let method = request.method().clone();
    // What can be read can be asked for its head alone; the connection remembers to leave the body out.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }

    let route = request.match_pattern();
    let outcome = |status| Outcome {
        method,
        route: route.unwrap_or_else(|| "unmatched".to_owned()),
        status,
        actor: learnt.0.get(),
    };

    // The request itself must not be held here: routing needs it for itself alone.
    let limit = state
        .as_ref()
        .map_or(Duration::MAX, |state| state.limits.answer_time);
    let span = tracing::info_span!("request", request_id = %ids.request_id);
    let answer = tokio::time::timeout(limit, next.call(request).instrument(span)).await;
    let mut response = match answer.unwrap_or_else(|_| Err(too_slow().into())) {
        Ok(response) => into_problem(response, &ids.request_id),
        Err(error) => {
            let problem = problem_of(&error);
            finish(
                state.as_ref(),
                &ids,
                start,
                &outcome(problem.kind().status()),
            );
            return Err(problem.at(&ids.request_id).into());
        }
    };
    if let Ok(value) = HeaderValue::from_str(&ids.request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    finish(state.as_ref(), &ids, start, &outcome(response.status()));
    Ok(response)
}

fn too_slow() -> Problem {
    Problem::new(
        Kind::Timeout,
        "The server took too long to answer. The request may have taken effect, whole, or not at all.",
    )
}

/// An error of ours as it is, and one of the framework's own as the problem it means.
fn problem_of(error: &actix_web::Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => problem::from_framework(error.as_response_error().status_code()),
    }
}

/// Gives an error answer its final form: the problem document with the request's id.
fn into_problem(
    response: ServiceResponse<impl MessageBody + 'static>,
    request_id: &str,
) -> ServiceResponse<BoxBody> {
    match response.response().error().map(problem_of) {
        Some(problem) => {
            let (request, _) = response.into_parts();
            ServiceResponse::new(request, problem.at(request_id).error_response())
        }
        None => response.map_into_boxed_body(),
    }
}

/// What the log line says of how a request went.
struct Outcome {
    method: Method,
    route: String,
    status: StatusCode,
    actor: Option<Actor>,
}

fn finish(state: Option<&web::Data<State>>, ids: &RequestIds, start: Instant, outcome: &Outcome) {
    let duration = start.elapsed();
    let status = outcome.status.as_u16();
    if let Some(state) = state {
        state
            .metrics
            .request(outcome.method.as_str(), &outcome.route, status, duration);
    }
    tracing::info!(
        request_id = %ids.request_id,
        method = %outcome.method,
        route = outcome.route,
        status,
        duration_ms = duration.as_secs_f64() * 1000.0,
        actor = outcome.actor.map(|actor| tracing::field::display(actor.user_id)),
        organization = outcome.actor.and_then(|actor| actor.organization_id).map(tracing::field::display),
        "request"
    );
}
