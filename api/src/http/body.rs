//! The JSON body of a request: read within its limits, and parsed with every fault at once.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::state::State;
use crate::problem::{Kind, Problem};
use crate::values::input::{Fields, Input};
use crate::values::json::DEEPEST;

/// A body of this form.
pub struct Body<T>(pub T);

/// SHA-256 of a request's method, path and body: what makes a repeat a repeat.
#[derive(Clone)]
pub struct Fingerprint(pub Vec<u8>);

impl<T: Input + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            check_media_type(&request)?;
            let body = read(&request, payload).await?;
            request
                .extensions_mut()
                .insert(fingerprint(&request, &body));
            parse(&body).map(Body)
        })
    }
}

/// Reads the form from a body's bytes.
fn parse<T: Input>(body: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
    let Value::Object(members) = value else {
        let fault = crate::values::input::Fault::wrong_type("an object", &value);
        return Err(Problem::invalid("", fault.code, fault.detail));
    };
    Fields::parse(&members).map_err(|errors| Problem::faulty(Kind::Invalid, errors))
}

/// Says why a body is not read. What the parser finds too deep may well be JSON.
fn not_json(error: &serde_json::Error) -> Problem {
    if error.to_string().starts_with("recursion limit exceeded") {
        let detail = format!("Must not be nested deeper than {DEEPEST} levels.");
        return Problem::invalid("", "too-deep", detail);
    }
    let detail = format!("The body is not JSON: {error}.");
    Problem::new(Kind::MalformedJson, detail)
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    let mut allowed = vec!["application/json"];
    if request.method() == Method::PATCH {
        allowed.push("application/merge-patch+json");
    }
    let mut values = request.headers().get_all(header::CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else {
        return refuse(&format!("Send one Content-Type: {}.", allowed.join(" or ")));
    };
    let value = value.to_str().unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !allowed.contains(&essence.as_str()) {
        return refuse(&format!(
            "This takes Content-Type: {}.",
            allowed.join(" or ")
        ));
    }
    let other_charset = parts
        .filter_map(|part| part.split_once('='))
        .any(|(name, value)| {
            name.eq_ignore_ascii_case("charset")
                && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    if other_charset {
        return refuse("JSON is sent in UTF-8.");
    }
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refuse("Send the body without a content coding.");
    }
    Ok(())
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<BytesMut, Problem> {
    let state = State::of(request).ok_or_else(|| Problem::internal("the server has no state"))?;
    let limit = state.limits.body_size;
    let too_large = || {
        Problem::new(
            Kind::BodyTooLarge,
            format!("The body may have at most {limit} bytes."),
        )
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    let reading = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| Problem::new(Kind::MalformedJson, "The body was cut off."))?;
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    match tokio::time::timeout(state.limits.body_time, reading).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(
            Kind::RequestTimeout,
            "The body did not arrive in time. Send the request again.",
        )),
    }
}

fn fingerprint(request: &HttpRequest, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [
        request.method().as_str(),
        request.path(),
        request.query_string(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(body);
    Fingerprint(hash.finalize().to_vec())
}
