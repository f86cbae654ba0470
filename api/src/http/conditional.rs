//! Conditional requests: the version as entity tag (RFC 9110, section 13).

use std::future::{Ready, ready};
use std::sync::LazyLock;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use regex::Regex;

use crate::ledger::resource::View;
use crate::problem::{Kind, Problem};

/// What `If-Match` and `If-None-Match` take: `*`, or entity tags in a list whose empty elements say nothing (RFC 9110,
/// section 5.6.1.2).
pub const ENTITY_TAGS: &str =
    r#"^(\*|[ \t,]*(W/)?"[\x21\x23-\x7e]*"([ \t]*,[ \t]*((W/)?"[\x21\x23-\x7e]*")?)*)$"#;

/// The entity tag of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// 200 with `ETag` and the resource, or 304 where `If-None-Match` names its version.
///
/// # Errors
/// `bad-parameter` for a header that is no list of entity tags.
pub fn read<V: View>(request: &HttpRequest, view: &V) -> Result<HttpResponse, Problem> {
    let etag = etag(view.version());
    let unchanged =
        tags(request, &header::IF_NONE_MATCH)?.is_some_and(|tags| tags.match_weakly(&etag));
    Ok(match unchanged {
        true => HttpResponse::NotModified()
            .insert_header((header::ETAG, etag))
            .finish(),
        false => HttpResponse::Ok()
            .insert_header((header::ETAG, etag))
            .json(view),
    })
}

/// What `If-Match` demands of the version that is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(Option<Tags>);

impl Precondition {
    /// Reads `If-Match`.
    ///
    /// # Errors
    /// `bad-parameter` for a header that is no list of entity tags.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        tags(request, &header::IF_MATCH).map(Self)
    }

    /// # Errors
    /// `version-conflict` where the version is not the one that was named.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        match &self.0 {
            Some(tags) if !tags.match_strongly(&etag(version)) => Err(Problem::new(
                Kind::VersionConflict,
                format!(
                    "The resource is at version {version}, which If-Match does not name. Read it again."
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl FromRequest for Precondition {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Listed(Vec<String>),
}

impl Tags {
    /// Whether one of them is exactly this strong one: what `If-Match` asks. A weak one is never (RFC 9110, 13.1.1).
    fn match_strongly(&self, etag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|tag| tag == etag),
        }
    }

    /// Whether one of them is this one, `W/` left out: what `If-None-Match` asks (RFC 9110, 13.1.2).
    fn match_weakly(&self, etag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|tag| tag.trim_start_matches("W/") == etag),
        }
    }
}

/// The entity tags of a header, as they were sent.
fn tags(request: &HttpRequest, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    #[expect(
        clippy::expect_used,
        reason = "the patterns are constants, and a test builds them"
    )]
    static FORM: LazyLock<(Regex, Regex)> = LazyLock::new(|| {
        let pattern = |text| Regex::new(text).expect("a constant pattern");
        (pattern(ENTITY_TAGS), pattern(r#"(W/)?"[^"]*""#))
    });
    // The field's lines are one list (RFC 9110, section 5.3): a line may be empty where another one is not.
    let mut lines = Vec::new();
    for value in request.headers().get_all(name) {
        lines.push(value.to_str().map_err(|_| not_tags(name))?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let text = lines.join(",");
    if !FORM.0.is_match(&text) {
        return Err(not_tags(name));
    }
    let listed = FORM.1.find_iter(&text).map(|tag| tag.as_str().to_owned());
    Ok(Some(match text.as_str() {
        "*" => Tags::Any,
        _ => Tags::Listed(listed.collect()),
    }))
}

fn not_tags(name: &HeaderName) -> Problem {
    Problem::bad_parameter(
        name.as_str(),
        "invalid-etag",
        "Must be entity tags in double quotes, separated by commas, or *.",
    )
}
