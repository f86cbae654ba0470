//! The caller of a request: who acts, with which credential, from where, and how they write.

use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::database::Database;
use crate::http::answer::Answer;
use crate::http::body::Fingerprint;
use crate::http::idempotency::IdempotencyKey;
use crate::http::peer::peer;
use crate::http::request::{self, RequestIds};
use crate::http::state::State;
use crate::ledger::event::Origin;
use crate::ledger::unit_of_work::UnitOfWork;
use crate::problem::Problem;
use crate::values::principal::Principal;

/// The authenticated caller of a request.
#[derive(Clone)]
pub struct Caller {
    principal: Rc<Principal>,
    request: HttpRequest,
    state: web::Data<State>,
}

impl Caller {
    /// What the credential stands for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The acting person's id.
    pub fn user_id(&self) -> Uuid {
        self.principal.user_id
    }

    /// Notes the organization that the request is about, if it is about one, for its log line.
    pub fn concerns(&self, organization_id: impl Into<Option<Uuid>>) {
        if let Some(id) = organization_id.into() {
            request::record_organization(&self.request, id);
        }
    }

    /// What all requests share.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.state.database
    }

    /// Runs `work` in one transaction and answers with what it returns, once per `Idempotency-Key`.
    ///
    /// # Errors
    /// What `work` returned; those of [`UnitOfWork::run`] and of the idempotency key.
    pub async fn write(
        &self,
        work: impl AsyncFn(&mut UnitOfWork<'_>) -> Result<Answer, Problem>,
    ) -> Result<HttpResponse, Problem> {
        let key = self.idempotency_key()?;
        let origin = self.origin();
        let answer = UnitOfWork::run(self.database(), &origin, async |unit| {
            let Some(key) = &key else {
                return work(unit).await;
            };
            if let Some(answer) = key.stored(unit).await? {
                return Ok(answer);
            }
            let answer = work(unit).await?;
            key.store(unit, &answer).await?;
            Ok(answer)
        });
        Ok(answer.await?.into_response())
    }

    /// What the events of this request say of it.
    fn origin(&self) -> Origin {
        let ids = RequestIds::of(&self.request);
        let mut metadata = Map::new();
        metadata.insert(
            "api_key_id".to_owned(),
            Value::String(self.principal.api_key_id.to_string()),
        );
        Origin {
            user_id: Some(self.principal.user_id),
            source: "api",
            correlation_id: Some(ids.correlation_id),
            causation_id: ids.causation_id,
            ip_address: self.ip_address(),
            user_agent: self.user_agent(),
            metadata,
        }
    }

    /// The peer's address.
    pub fn ip_address(&self) -> Option<String> {
        peer(&self.request).map(|address| address.to_string())
    }

    /// The peer's program, as it says, cut to what the column takes.
    pub fn user_agent(&self) -> Option<String> {
        let header = self
            .request
            .headers()
            .get(actix_web::http::header::USER_AGENT)?;
        Some(header.to_str().ok()?.chars().take(500).collect())
    }

    fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        if self.request.method() != Method::POST {
            return Ok(None);
        }
        let mut values = self.request.headers().get_all("idempotency-key");
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let text = value.to_str().ok().filter(|text| {
            (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        });
        let (Some(text), None) = (text, values.next()) else {
            let detail = "Must be sent once, with 1 to 255 visible ASCII characters.";
            return Err(Problem::bad_parameter(
                "Idempotency-Key",
                "invalid-key",
                detail,
            ));
        };
        let fingerprint = self.request.extensions().get::<Fingerprint>().cloned();
        let fingerprint =
            fingerprint.ok_or_else(|| Problem::internal("a POST without a body that was read"))?;
        self.state
            .running
            .enter(self.principal.api_key_id, text, fingerprint.0)
            .map(Some)
    }
}

/// The authentication middleware has put the principal there; without it there is no caller.
impl FromRequest for Caller {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Rc<Principal>>().cloned();
        let caller = principal
            .zip(State::of(request))
            .map(|(principal, state)| Self {
                principal,
                request: request.clone(),
                state,
            });
        std::future::ready(caller.ok_or_else(Problem::unauthenticated))
    }
}
