//! What surrounds every request: its ids, its time limit, its log line, its metrics, and the one form of every error.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use tracing::Instrument;
use uuid::Uuid;

use crate::http::in_flight::Sending;
use crate::http::peer::peer;
use crate::http::state::State;
use crate::problem::{self, Kind, Problem};
use crate::values::clock;
use crate::values::principal::Principal;

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

/// Who did what to what, by their ids: what a leaked key is traced by.
#[derive(Clone, Copy, Default)]
struct Facts {
    /// The key that was presented, whether or not it was good.
    api_key_id: Option<Uuid>,
    /// The person, where the key was good.
    user_id: Option<Uuid>,
    organization_id: Option<Uuid>,
}

/// What is learnt of a request on its way, for its log line; it outlives a request that is given up.
#[derive(Clone, Default)]
struct Learnt(Rc<Cell<Facts>>);

fn learn(request: &HttpRequest, more: impl FnOnce(Facts) -> Facts) {
    if let Some(Learnt(facts)) = request.extensions().get::<Learnt>() {
        facts.set(more(facts.get()));
    }
}

/// Notes the key that was presented for the request's log line; also one that is refused, as it was revoked.
pub fn record_api_key(request: &HttpRequest, api_key_id: Uuid) {
    learn(request, |facts| Facts {
        api_key_id: Some(api_key_id),
        ..facts
    });
}

/// Notes the caller for the request's log line.
pub fn record_caller(request: &HttpRequest, principal: &Principal) {
    learn(request, |facts| Facts {
        user_id: Some(principal.user_id),
        organization_id: principal.organization_id,
        ..facts
    });
}

/// Notes the organization that a request is about, for its log line.
pub fn record_organization(request: &HttpRequest, organization_id: Uuid) {
    learn(request, |facts| Facts {
        organization_id: Some(organization_id),
        ..facts
    });
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
    let answering = state.as_ref().map(|state| state.in_flight.begin());
    let method = request.method().clone();
    // What can be read can be asked for its head alone; the connection remembers to leave the body out.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }

    let route = request.match_pattern();
    let client = peer(request.request());
    let resource = id_within(request.path());
    let outcome = |status| Outcome {
        method,
        route: route.unwrap_or_else(|| "unmatched".to_owned()),
        status,
        client,
        resource,
        facts: learnt.0.get(),
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
    limit_caching(&mut response);
    let mut outcome = outcome(response.status());
    // What was made is named where it is to be found.
    let location = response.headers().get(header::LOCATION);
    let made = location.and_then(|location| id_within(location.to_str().ok()?));
    outcome.resource = outcome.resource.or(made);
    finish(state.as_ref(), &ids, start, &outcome);
    Ok(response.map_body(|_, body| Sending::of(body, answering)))
}

/// The id of the resource that a path names. Nothing else of a path is logged: who mistypes may have put a secret there.
fn id_within(path: &str) -> Option<Uuid> {
    path.split('/').find_map(|part| Uuid::try_parse(part).ok())
}

/// Says what may be kept of an answer, where its handler did not: nothing, unless it has an `ETag` to ask again by. That is
/// kept by the client alone, for the credential that it was given to (RFC 9111, 5.2.2).
fn limit_caching(response: &mut ServiceResponse<BoxBody>) {
    if response.headers().contains_key(header::CACHE_CONTROL) {
        return;
    }
    let is_read = response.request().method() == Method::GET;
    let is_good = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    if is_read && is_good && headers.contains_key(header::ETAG) {
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        headers.append(
            header::VARY,
            HeaderValue::from_static("Authorization, X-Api-Key"),
        );
    } else {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
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
    client: Option<IpAddr>,
    resource: Option<Uuid>,
    facts: Facts,
}

fn finish(state: Option<&web::Data<State>>, ids: &RequestIds, start: Instant, outcome: &Outcome) {
    let duration = start.elapsed();
    let status = outcome.status.as_u16();
    if let Some(state) = state {
        state
            .metrics
            .request(outcome.method.as_str(), &outcome.route, status, duration);
    }
    let id = |id: Option<Uuid>| id.map(tracing::field::display);
    tracing::info!(
        request_id = %ids.request_id,
        method = %outcome.method,
        route = outcome.route,
        status,
        duration_ms = duration.as_secs_f64() * 1000.0,
        client = outcome.client.map(tracing::field::display),
        api_key = id(outcome.facts.api_key_id),
        actor = id(outcome.facts.user_id),
        organization = id(outcome.facts.organization_id),
        resource = id(outcome.resource),
        "request"
    );
}
