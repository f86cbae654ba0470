//! Answers of mutations: what is sent, and what is kept for a repeat under the same `Idempotency-Key`.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::http::conditional;
use crate::ledger::resource::View;
use crate::problem::Problem;

/// A successful answer, before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: Option<String>,
    #[serde(skip)]
    replayed: bool,
}

impl Answer {
    /// 201 with `Location`, `ETag` and the resource.
    ///
    /// # Errors
    /// `internal` where the view has no JSON form.
    pub fn created<V: View>(view: &V) -> Result<Self, Problem> {
        let location = format!("{}/{}", V::PATH, view.id());
        Ok(Self {
            location: Some(location),
            ..Self::with(StatusCode::CREATED, view)?
        })
    }

    /// 200 with `ETag` and the resource.
    ///
    /// # Errors
    /// `internal` where the view has no JSON form.
    pub fn ok<V: View>(view: &V) -> Result<Self, Problem> {
        Self::with(StatusCode::OK, view)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT.as_u16(),
            location: None,
            etag: None,
            body: None,
            replayed: false,
        }
    }

    fn with<V: View>(status: StatusCode, view: &V) -> Result<Self, Problem> {
        let body = serde_json::to_string(view).map_err(Problem::internal)?;
        let etag = Some(conditional::etag(view.version()));
        Ok(Self {
            status: status.as_u16(),
            location: None,
            etag,
            body: Some(body),
            replayed: false,
        })
    }

    /// The same answer, marked as given before.
    pub(super) fn replay(self) -> Self {
        Self {
            replayed: true,
            ..self
        }
    }

    /// The answer as it is sent.
    pub fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if self.replayed {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        match self.body {
            Some(body) => response.content_type("application/json").body(body),
            None => response.finish(),
        }
    }
}
