//! Problem documents: what every refusal and every failure looks like from outside (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use crate::database::{FULL, Fault, LOST, classify};

macro_rules! problem_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $status:ident, $slug:literal, $title:literal, $help:literal;)*) => {
        /// Each kind of problem that the API answers with; the table of `/problems/{slug}`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[doc = $doc])* $name,)* }

        impl Kind {
            /// Every kind, in the order of their statuses.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The last segment of the problem's `type`.
            pub fn slug(self) -> &'static str { match self { $(Kind::$name => $slug,)* } }
            /// The HTTP status it is answered with.
            pub fn status(self) -> StatusCode { match self { $(Kind::$name => StatusCode::$status,)* } }
            /// The short summary, the same for every occurrence.
            pub fn title(self) -> &'static str { match self { $(Kind::$name => $title,)* } }
            /// What it means and what to do, for the problem's page.
            pub fn help(self) -> &'static str { match self { $(Kind::$name => $help,)* } }
        }
    };
}

problem_kinds! {
    /// What was sent is no HTTP request.
    MalformedRequest = BAD_REQUEST, "malformed-request", "Not an HTTP request",
        "What arrived is no HTTP/1.1 request that the server understands: its request line, a header or the framing of its body is not of its form. The connection is closed. Look at what sends it, and at proxies in between.";
    /// The body is not JSON.
    MalformedJson = BAD_REQUEST, "malformed-json", "The body is not valid JSON",
        "The request's body could not be read as one JSON document in UTF-8. The detail names the line and the column. Mend the body and send it again.";
    /// A path, query or header parameter is wrong.
    BadParameter = BAD_REQUEST, "bad-parameter", "A parameter is not valid",
        "A query parameter or a header is unknown, repeated or not of its form. The list of errors names each one.";
    /// A cursor was not made by this list.
    BadCursor = BAD_REQUEST, "bad-cursor", "The cursor is not valid",
        "A cursor is only good for the list, the order and the server that gave it. Start again without one.";
    /// No valid credential.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "No valid credential",
        "Send an API key as `Authorization: Bearer <key>` or as `X-Api-Key: <key>`. A key that is missing, mistyped, unknown, inactive, revoked or expired gets this same answer, and so does the key of a person who is not active.";
    /// The caller may see it but not do this.
    Forbidden = FORBIDDEN, "forbidden", "Not allowed",
        "You may see this resource but not do this to it. Ask an owner or an admin of the organization, or a system admin.";
    /// The key's scopes do not reach.
    InsufficientScope = FORBIDDEN, "insufficient-scope", "The key's scopes do not allow this",
        "The API key lacks the scope that this needs, or tries to make or widen a key beyond itself. Use a key with that scope.";
    /// It does not exist for this caller.
    NotFound = NOT_FOUND, "not-found", "Not found",
        "There is nothing here that you may see. What belongs to others, what was deleted and what never was get the same answer.";
    /// The path exists, the method does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "This path does not take this method. The `Allow` header lists those that it takes.";
    /// The head or the body came too slowly.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive",
        "The request's head or body did not arrive within the time limit. Nothing was changed. Send it again.";
    /// A unique value is taken.
    AlreadyExists = CONFLICT, "already-exists", "Already exists",
        "Another one has this value already, and it must be unique. The list of errors names the field.";
    /// The organization would be left without an active owner.
    LastOwner = CONFLICT, "last-owner", "The last owner must stay",
        "An organization always has an active owner. Make someone else an owner first, or delete the organization.";
    /// The same idempotency key is at work.
    IdempotencyInProgress = CONFLICT, "idempotency-in-progress", "The same request is still running",
        "A request with this Idempotency-Key is running at this moment. Wait, and send it again: you will get its answer.";
    /// The resource's state does not allow it.
    StateConflict = CONFLICT, "state-conflict", "The resource's state does not allow this",
        "The change does not fit the state that the resource is in now. The detail says which. Read it again and decide anew.";
    /// If-Match did not match.
    VersionConflict = PRECONDITION_FAILED, "version-conflict", "The resource has changed",
        "The resource is no longer at the version that `If-Match` names. Nothing was changed. Read it again and repeat the change on the new version.";
    /// The body is larger than the limit.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large",
        "The request's body is larger than the server's limit, 1 MiB unless it was set otherwise.";
    /// The body's media type is not taken.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The media type is not supported",
        "Send `Content-Type: application/json` (a PATCH also takes `application/merge-patch+json`), in UTF-8 and without a content coding.";
    /// The body's content is not valid.
    Invalid = UNPROCESSABLE_ENTITY, "invalid", "The body is not valid",
        "The body is JSON, but not of the form that is asked for. The list of errors names every faulty field by its JSON pointer, unknown fields included.";
    /// An idempotency key came with another request.
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency-mismatch", "The Idempotency-Key belongs to another request",
        "This Idempotency-Key was used within the last 24 hours for another path or another body. Use a new key for a new request.";
    /// The head of the request is larger than the limit.
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "The head of the request is too large",
        "The request line and the headers together have more than the server reads, 128 KiB. Send fewer or shorter headers; long cookies are a common reason.";
    /// A fault of the server.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "The server failed. The log has the cause beside the request id of this answer. Nothing was changed unless the detail says otherwise.";
    /// The database cannot be reached, or all its connections are busy.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Unavailable for the moment",
        "The database cannot be reached, or all connections to it are in use. Wait for as long as `Retry-After` says and send the request again; a POST with an Idempotency-Key is safe to repeat.";
    /// The answer took too long.
    Timeout = GATEWAY_TIMEOUT, "timeout", "The answer took too long",
        "The server gave up on this request after its time limit. It may or may not have taken effect, whole in either case; a POST with an Idempotency-Key is safe to repeat.";
}

/// The slugs, which are the pages below `/problems`.
impl utoipa::PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .enum_values(Some(Kind::ALL.iter().map(|kind| kind.slug())))
            .into()
    }
}

impl ToSchema for Kind {}

/// One faulty field or parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field in the body; for a parameter, its name after a slash.
    pub pointer: String,
    /// A stable, machine-readable code.
    pub code: &'static str,
    /// What is wrong and what is allowed.
    pub detail: String,
}

/// An error answer on its way out.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    instance: String,
}

/// The document as it is sent (RFC 9457, section 3).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// The kind of problem: a path with a page that explains it.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    pub kind: String,
    /// The kind in a few words.
    pub title: &'static str,
    /// The HTTP status, again.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
    /// The request's id.
    pub instance: String,
    /// Every faulty field or parameter, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of `kind`; `detail` says what happened and what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            instance: String::new(),
        }))
    }

    /// The fault of one parameter.
    pub fn bad_parameter(name: &str, code: &'static str, detail: &str) -> Self {
        let error = FieldError {
            pointer: format!("/{name}"),
            code,
            detail: detail.to_owned(),
        };
        Self::faulty(Kind::BadParameter, vec![error])
    }

    /// The one answer to every credential that is not good.
    pub fn unauthenticated() -> Self {
        Self::new(Kind::Unauthenticated, "No valid credential was sent.")
    }

    /// Nothing here that the caller may see. Always the same bytes, but for the request's id.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "There is nothing here that you may see.")
    }

    /// The caller sees it, and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// The state of the resource does not allow the change.
    pub fn state_conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::StateConflict, detail)
    }

    /// One field of the body is not valid.
    pub fn invalid(
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::faulty(
            Kind::Invalid,
            vec![FieldError {
                pointer: pointer.into(),
                code,
                detail: detail.into(),
            }],
        )
    }

    /// Faulty fields (or parameters) of the request, all at once.
    pub fn faulty(kind: Kind, errors: Vec<FieldError>) -> Self {
        let named = errors
            .iter()
            .map(|error| match error.pointer.as_str() {
                "" => "the body",
                pointer => pointer,
            })
            .collect::<Vec<_>>()
            .join(", ");
        let mut problem = Self::new(kind, format!("Not valid: {named}."));
        problem.0.errors = errors;
        problem
    }

    /// A fault of the server. The cause goes to the log, never to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            Kind::Internal,
            "The server failed; its log has the cause beside this request's id.",
        )
    }

    /// The database cannot serve now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The same problem with a header of its own.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same problem with one faulty field named.
    pub fn field(
        mut self,
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        self.0.errors.push(FieldError {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        });
        self
    }

    /// The same problem; where nothing was found, with the field of the body that names it.
    pub fn naming(self, pointer: &str) -> Self {
        match self.kind() {
            Kind::NotFound => {
                self.field(pointer, "unknown", "This names nothing that you may see.")
            }
            _ => self,
        }
    }

    /// What kind of problem it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happened, in words.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The same problem, in the answer to this request.
    pub fn at(mut self, request_id: &str) -> Self {
        request_id.clone_into(&mut self.0.instance);
        self
    }

    fn document(&self) -> ProblemDocument {
        let kind = self.0.kind;
        ProblemDocument {
            kind: format!("/problems/{}", kind.slug()),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: self.0.detail.clone(),
            instance: self.0.instance.clone(),
            errors: self.0.errors.clone(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.0.kind.slug(), self.0.detail)
    }
}

impl std::error::Error for Problem {}

/// Handlers fail with a `Problem`; the request middleware sets the request's id.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.kind.status());
        for header in &self.0.headers {
            response.append_header(header.clone());
        }
        if self.0.kind == Kind::Unauthenticated {
            response.append_header((header::WWW_AUTHENTICATE, "Bearer realm=\"rollbook\""));
        }
        response.append_header((header::CACHE_CONTROL, "no-store"));
        response.append_header(("X-Request-Id", self.0.instance.as_str()));
        response
            .content_type("application/problem+json")
            .json(self.document())
    }
}

/// What a failure of the framework's own (a bad path, a bad payload, no route) is as a problem.
pub fn from_framework(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            Kind::MethodNotAllowed,
            "This path does not take this method.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::BodyTooLarge, "The body is larger than the limit.")
        }
        StatusCode::REQUEST_TIMEOUT => {
            Problem::new(Kind::RequestTimeout, "The request did not arrive in time.")
        }
        status if status.is_client_error() => {
            Problem::new(Kind::BadParameter, "The request could not be read.")
        }
        status => Problem::internal(format_args!("the framework answers {status}")),
    }
}

/// A database error that no rule of the resource explains.
impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        match classify(&error) {
            Fault::Unreachable => {
                tracing::error!(%error, "the database cannot serve");
                Problem::unavailable("The database cannot be reached or is too busy. Try again.")
            }
            Fault::Contention => {
                tracing::warn!(%error, "gave up on contention");
                Problem::unavailable("Others are changing the same rows. Try again.")
            }
            Fault::Full => {
                tracing::error!(%error, "the disk of the database is full");
                Problem::unavailable(FULL)
            }
            Fault::Lost => {
                tracing::error!(%error, "the database is not the one that was opened");
                Problem::unavailable(LOST)
            }
            Fault::CutShort => {
                tracing::error!(%error, "a statement was cut short");
                Problem::new(Kind::Timeout, "The database took too long to answer.")
            }
            Fault::Unique(_) | Fault::Other => Problem::internal(error),
        }
    }
}

impl Problem {
    /// Whether it says that the database is unreachable or busy.
    pub fn is_unavailable(&self) -> bool {
        self.kind() == Kind::Unavailable
    }
}
