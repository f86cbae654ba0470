//! Authentication: a credential becomes a principal, in one statement, on every request. Nothing is cached, so that a key
//! that was revoked fails the next time it is used.

use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use chrono::{DateTime, FixedOffset};
use entity::sea_orm_active_enums::{ApiKeyStatus, UserRole, UserStatus};
use entity::{api_keys, users};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use crate::access::tenancy::{Reason, all_rows};
use crate::http::request;
use crate::http::state::State;
use crate::http::usage::Use;
use crate::problem::{Kind, Problem};
use crate::values::clock;
use crate::values::credential;
use crate::values::principal::Principal;
use crate::values::scope::{Action, Collection, Scope, Scopes};

/// Middleware of `/v1`: authenticates, and checks that the key's scopes reach the collection.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    match admit(&request).await {
        Ok(principal) => {
            request.extensions_mut().insert(Rc::new(principal));
            next.call(request)
                .await
                .map(ServiceResponse::map_into_left_body)
        }
        // Not as an error of the service: the request would be lost for the log.
        Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

async fn admit(request: &ServiceRequest) -> Result<Principal, Problem> {
    let state =
        State::of(request.request()).ok_or_else(|| Problem::internal("the server has no state"))?;
    let principal = principal(&state, request.request()).await?;
    request::record_caller(request.request(), &principal);
    // A collection that scopes do not name is for keys that may be used for everything.
    let scope = scope_of(request).unwrap_or(Scope::All);
    if !principal.scopes.allow(scope) {
        let detail = format!("This needs a key with the scope {scope}.");
        return Err(Problem::new(Kind::InsufficientScope, detail));
    }
    Ok(principal)
}

/// The scope that a request needs: its collection, and whether it reads or writes.
fn scope_of(request: &ServiceRequest) -> Option<Scope> {
    // What routing goes by, which is not what was sent: there `%6frganizations` is `organizations`.
    let collection = Collection::of_path(request.match_info().unprocessed())?;
    let action = if request.method() == Method::GET || request.method() == Method::HEAD {
        Action::Read
    } else {
        Action::Write
    };
    Some(Scope::Of(collection, action))
}

#[derive(FromQueryResult)]
struct KeyRow {
    id: Uuid,
    key_hash: String,
    scopes: Value,
    organization_id: Option<Uuid>,
    expires_at: Option<DateTime<FixedOffset>>,
    status: ApiKeyStatus,
    user_id: Uuid,
    user_status: UserStatus,
    user_role: UserRole,
}

async fn principal(state: &State, request: &HttpRequest) -> Result<Principal, Problem> {
    let key = presented(request)?;
    let key_id = credential::public_id(key).ok_or_else(Problem::unauthenticated)?;
    let row = find(state, key_id)
        .await?
        .ok_or_else(Problem::unauthenticated)?;
    // Of a key that was revoked, too: who uses it still? Not of one whose secret is wrong, which anybody can make up.
    if credential::matches(key, &row.key_hash) {
        request::record_api_key(request, row.id);
    }
    let now = clock::now();
    let good = credential::matches(key, &row.key_hash)
        && row.status == ApiKeyStatus::Active
        && row.expires_at.is_none_or(|end| end.to_utc() > now)
        && row.user_status == UserStatus::Active;
    if !good {
        return Err(Problem::unauthenticated());
    }
    state.usage.note(row.id, || Use::of(request, now));
    Ok(Principal {
        user_id: row.user_id,
        role: row.user_role,
        api_key_id: row.id,
        scopes: Scopes::of(&row.scopes),
        organization_id: row.organization_id,
        expires_at: row.expires_at,
    })
}

async fn find(state: &State, key_id: &str) -> Result<Option<KeyRow>, Problem> {
    let user = api_keys::Entity::belongs_to(users::Entity)
        .from(api_keys::Column::UserId)
        .to(users::Column::Id);
    let row = all_rows::<api_keys::Entity>(Reason::Visibility)
        .select_only()
        .columns([
            api_keys::Column::Id,
            api_keys::Column::KeyHash,
            api_keys::Column::Scopes,
            api_keys::Column::OrganizationId,
            api_keys::Column::ExpiresAt,
            api_keys::Column::Status,
            api_keys::Column::UserId,
        ])
        .column_as(users::Column::Status, "user_status")
        .column_as(users::Column::Role, "user_role")
        .join(JoinType::InnerJoin, user.into())
        .filter(api_keys::Column::KeyId.eq(key_id))
        .into_model::<KeyRow>()
        .one(&state.database.reader())
        .await?;
    Ok(row)
}

/// The one key that was sent, in `Authorization: Bearer` or in `X-Api-Key`. Clients that know both send it in both.
///
/// # Errors
/// `Problem::unauthenticated` where there is none, or more than one.
fn presented(request: &HttpRequest) -> Result<&str, Problem> {
    let headers = request.headers();
    let authorizations = headers.get_all(header::AUTHORIZATION).map(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let keys = headers
        .get_all("x-api-key")
        .map(|value| value.to_str().ok().map(str::trim));
    let mut sent = authorizations.chain(keys);
    // What cannot be read as a key is a credential all the same.
    let first = sent.next().ok_or_else(Problem::unauthenticated)?;
    if sent.any(|other| other != first) {
        let detail =
            "Two credentials that differ were sent. Send one, in Authorization or in X-Api-Key.";
        return Err(Problem::new(Kind::Unauthenticated, detail));
    }
    first.ok_or_else(Problem::unauthenticated)
}
