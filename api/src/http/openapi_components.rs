//! Parts of the OpenAPI document that many operations share: headers, common parameters, problems.

use serde_json::{Map, Value, json};

use crate::http::conditional::ENTITY_TAGS;
use crate::http::openapi_examples::{ID, REQUEST_ID};
use crate::problem::Kind;

const METRICS: &str = "# HELP rollbook_http_requests_total Requests that were answered.
# TYPE rollbook_http_requests_total counter
rollbook_http_requests_total{method=\"GET\",route=\"/v1/organizations/{id}\",status=\"200\"} 42
";

/// A reference to a shared part.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// References to shared headers.
pub fn header_references(names: &[&str]) -> Value {
    let members = names
        .iter()
        .map(|name| ((*name).to_owned(), reference("headers", name)));
    Value::Object(members.collect())
}

/// The headers of answers. Those that are required are never left out where they are named.
pub fn headers() -> Value {
    let header = |required: bool, description: &str, schema: Value, example: Value| json!({"required": required, "description": description, "schema": schema, "example": example});
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let etag =
        "The resource's version, in double quotes: what `If-Match` and `If-None-Match` take.";
    let request_id = "The request's id: the `X-Request-Id` that was sent, or one that was made. The log has it too.";
    let one_path = "^/v1/[a-z-]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
    let link = "The next page (RFC 8288); left out on the last one.";
    let replayed = "`true` where the answer was given before; else left out.";
    let location = format!("/v1/organizations/{ID}");
    let next =
        "</v1/organizations?limit=1&cursor=WyJvcmdhbml6YXRpb25zIiwiMDE4OTBhNWQiXQ>; rel=\"next\"";
    json!({
        "ETag": header(true, etag, text("^\"[1-9][0-9]*\"$"), "\"1\"".into()),
        "Location": header(true, "The path of what was created.", text(one_path), location.into()),
        "Link": header(false, link, text("^</v1/[^>]+>; rel=\"next\"$"), next.into()),
        "Idempotency-Replayed": header(false, replayed, json!({"type": "string", "enum": ["true"]}), "true".into()),
        "Cache-Control": header(true, "What may be kept: nothing; or, with an `ETag`, by the client alone and asked again each time.", json!({"type": "string"}), "no-store".into()),
        "X-Request-Id": header(true, request_id, text("^[\\x21-\\x7e]{1,128}$"), REQUEST_ID.into()),
        "WWW-Authenticate": header(true, "How to authenticate (RFC 9110).", text("^Bearer "), "Bearer realm=\"rollbook\"".into()),
        "Allow": header(true, "The methods that the path takes.", text("^[A-Z]+(, [A-Z]+)*$"), "GET, HEAD, POST".into()),
        "Retry-After": header(true, "Seconds to wait before sending the request again.", json!({"type": "integer", "minimum": 1}), 1.into()),
    })
}

/// The headers of requests.
pub fn parameters() -> Value {
    let parameter = |name: &str, description: &str, mut schema: Value, example: &str| {
        schema["examples"] = json!([example]);
        json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
    };
    let tags = json!({"type": "string", "pattern": ENTITY_TAGS});
    let key =
        json!({"type": "string", "pattern": "^[\\x21-\\x7e]+$", "minLength": 1, "maxLength": 255});
    // Any text: what is not of the form is not refused but replaced, so that no request fails for the sake of its log.
    let id = json!({"type": "string"});
    let form = "1 to 128 visible ASCII characters; anything else counts as not sent.";
    let entries = [
        parameter(
            "Idempotency-Key",
            "A repeat with the same key and body within 24 hours gets the first answer again and changes nothing. A key belongs to the credential that sent it.",
            key,
            "0d2b6c1e-order-4711",
        ),
        parameter(
            "If-Match",
            "The version that is to be changed, as its `ETag`; any other gets 412 and nothing is changed.",
            tags.clone(),
            "\"1\"",
        ),
        parameter(
            "If-None-Match",
            "The version that is known, as its `ETag`; it gets 304.",
            tags,
            "\"7\"",
        ),
        parameter(
            "X-Request-Id",
            &format!(
                "An id for this request, to find it again in answer and log; one is made where none is sent. {form}"
            ),
            id.clone(),
            REQUEST_ID,
        ),
        parameter(
            "X-Correlation-Id",
            &format!(
                "What the request is part of; its events carry it as `correlation_id`, else the request's id. {form}"
            ),
            id.clone(),
            "import-2030-01",
        ),
        parameter(
            "X-Causation-Id",
            &format!("What caused the request; its events carry it as `causation_id`. {form}"),
            id,
            "message-4711",
        ),
    ];
    let named = entries.map(|entry| {
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        (name, entry)
    });
    Value::Object(named.into_iter().collect())
}

/// An example of each kind of problem, by its slug.
pub fn problem_examples() -> Value {
    let named = Kind::ALL.iter().map(|kind| {
        let example = json!({"summary": kind.title(), "value": problem_example(*kind)});
        (kind.slug().to_owned(), example)
    });
    Value::Object(named.collect())
}

/// The name of the answer with one of these problems, which have one status.
pub fn response_name(kinds: &[Kind]) -> String {
    let slugs: Vec<_> = kinds.iter().map(|kind| kind.slug()).collect();
    slugs.join("-or-")
}

/// The answer with one of these problems, which have one status.
pub fn problem_response(kinds: &[Kind]) -> Value {
    let status = kinds.first().map_or(500, |kind| kind.status().as_u16());
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
    let headers: &[&str] = match status {
        401 => &["Cache-Control", "WWW-Authenticate", "X-Request-Id"],
        405 => &["Allow", "Cache-Control", "X-Request-Id"],
        503 => &["Cache-Control", "Retry-After", "X-Request-Id"],
        _ => &["Cache-Control", "X-Request-Id"],
    };
    let examples = kinds
        .iter()
        .map(|kind| (kind.slug().to_owned(), reference("examples", kind.slug())));
    json!({
        "description": titles.join("; or: "),
        "headers": header_references(headers),
        "content": {"application/problem+json": {
            "schema": reference("schemas", "Problem"),
            "examples": examples.collect::<Map<_, _>>(),
        }},
    })
}

fn problem_example(kind: Kind) -> Value {
    let (detail, errors): (&str, &[(&str, &str, &str)]) = match kind {
        Kind::Invalid => (
            "Not valid: /email, /nickname.",
            &[
                (
                    "/email",
                    "invalid-email",
                    "Must be an e-mail address such as name@example.com.",
                ),
                (
                    "/nickname",
                    "unknown-field",
                    "There is no such field here. Known: email, username.",
                ),
            ],
        ),
        Kind::BadParameter => (
            "Not valid: /limit.",
            &[(
                "/limit",
                "out-of-range",
                "Must be a whole number from 1 to 200.",
            )],
        ),
        Kind::AlreadyExists => (
            "Another organization has this slug already.",
            &[(
                "/slug",
                "already-exists",
                "Another organization has this slug already.",
            )],
        ),
        Kind::MalformedJson => (
            "The body is not JSON: expected `,` or `}` at line 3 column 5.",
            &[],
        ),
        Kind::Unauthenticated => ("No valid credential was sent.", &[]),
        Kind::Forbidden => ("This needs the role owner in the organization.", &[]),
        Kind::InsufficientScope => ("This needs a key with the scope organizations:write.", &[]),
        Kind::NotFound => ("There is nothing here that you may see.", &[]),
        Kind::MethodNotAllowed => ("This path takes GET, HEAD, POST.", &[]),
        other => (other.help(), &[]),
    };
    let errors: Vec<_> = errors
        .iter()
        .map(|(pointer, code, detail)| json!({"pointer": pointer, "code": code, "detail": detail}))
        .collect();
    let mut problem = json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": detail,
        "instance": REQUEST_ID,
    });
    if !errors.is_empty() {
        problem["errors"] = errors.into();
    }
    problem
}

/// An example of an answer that is not JSON.
pub fn text_example(path: &str) -> Value {
    let text = match path {
        "/metrics" => METRICS,
        "/" => "<!doctype html>\n<html lang=\"en\">\n<title>Rollbook</title>\n…\n</html>\n",
        "/problems" => "<!doctype html>\n<html lang=\"en\">\n<title>Problems</title>\n…\n</html>\n",
        _ => "<!doctype html>\n<html lang=\"en\">\n<title>Not found</title>\n…\n</html>\n",
    };
    text.into()
}
