//! What is about the server itself: whether it lives, what it counts, and what it says of its API and its errors.

use actix_web::dev::ResourceDef;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::database::{self, SchemaState};
use crate::http::metrics::{Format, Standing};
use crate::http::state::State;
use crate::problem::{Kind, Problem};

/// What is the same for everybody may be kept by anybody, for a while: a new version of the server says something else.
const PUBLIC: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// That all is well.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
}

const WELCOME: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Rollbook</title>\n<h1>Rollbook ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>Organizations, users, memberships, API keys and their audit trail behind one REST API, under <code>/v1</code>.</p>\n\
<ul>\n\
<li><a href=\"/docs/\">/docs</a>: read and try the API</li>\n\
<li><a href=\"/openapi.json\">/openapi.json</a>: the API as an OpenAPI document, to generate clients from</li>\n\
<li><a href=\"/problems\">/problems</a>: what each kind of error means</li>\n\
<li><a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>, <a href=\"/metrics\">/metrics</a>: how the server is</li>\n\
</ul>\n</html>\n"
);

/// What this is, and where to go from here.
#[utoipa::path(tag = "system", responses((status = 200, body = String, content_type = "text/html")))]
#[get("/")]
async fn welcome() -> HttpResponse {
    html(WELCOME)
}

fn html(page: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(PUBLIC)
        .body(page.into())
}

/// Whether the process lives. It asks nothing of the database.
#[utoipa::path(tag = "system", responses((status = 200, body = Health)))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Whether the server can do its work: the database answers, and its schema is the expected one.
#[utoipa::path(tag = "system", responses((status = 200, body = Health)))]
#[get("/readyz")]
async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    readiness(&state).await.map_err(Problem::unavailable)?;
    Ok(HttpResponse::Ok().json(Health { status: "ok" }))
}

/// Nothing, or what keeps the server from doing its work.
async fn readiness(state: &State) -> Result<(), String> {
    let storage = state.database.storage();
    if let Err(error) = storage.find() {
        tracing::error!(%error, "the database cannot serve");
        return Err(database::LOST.to_owned());
    }
    if storage.is_full() {
        tracing::error!("the disk of the database is full");
        return Err(database::FULL.to_owned());
    }
    Err(
        match database::check(&state.migrations, &state.database.reader()).await {
            Ok(SchemaState::Current | SchemaState::Compatible { .. }) => return Ok(()),
            Ok(SchemaState::Behind { pending }) => {
                format!(
                    "schema: behind; run `rollbook migrate up` for {}.",
                    pending.join(", ")
                )
            }
            Ok(SchemaState::Ahead { unknown }) => {
                format!(
                    "schema: ahead; install a rollbook that knows {}.",
                    unknown.join(", ")
                )
            }
            Err(error) => {
                tracing::error!(%error, "the database cannot serve");
                "database: it cannot be reached, or all connections to it are in use.".to_owned()
            }
        },
    )
}

/// What the server counts, as Prometheus reads it. OpenMetrics where `Accept` names `application/openmetrics-text`.
#[utoipa::path(tag = "system", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn metrics(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let accept = request.headers().get(header::ACCEPT);
    let format = Format::wanted(accept.and_then(|accept| accept.to_str().ok()));
    let standing = Standing {
        is_ready: readiness(&state).await.is_ok(),
        pools: state.database.pool_usage(),
        hashing: state.hasher.running(),
        waiting_to_be_hashed: state.hasher.waiting(),
        usage_lag: state.usage.lag(),
    };
    let text = state.metrics.text(&standing, format)?;
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::VARY, "Accept"))
        .body(text))
}

/// The OpenAPI document of the API.
#[utoipa::path(tag = "system", responses((status = 200, body = Object)))]
#[get("/openapi.json")]
async fn openapi(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(PUBLIC)
        .body(state.document.json.clone())
}

/// What a kind of problem means and what to do about it.
#[utoipa::path(tag = "system", params(("slug" = inline(Kind), Path, description = "The last part of the problem's type")), responses((status = 200, body = String, content_type = "text/html")))]
#[get("/problems/{slug}")]
async fn problem_page(slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kind = Kind::ALL
        .iter()
        .find(|kind| kind.slug() == slug.as_str())
        .ok_or_else(Problem::not_found)?;
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<p>Status {status}, type <code>/problems/{slug}</code></p>\n<p>{help}</p>\n</html>\n",
        title = kind.title(),
        status = kind.status().as_u16(),
        slug = kind.slug(),
        help = kind.help().replace('&', "&amp;").replace('<', "&lt;"),
    );
    Ok(html(page))
}

/// Every problem, from `GET /problems/{slug}`'s sibling: the list of their pages.
#[utoipa::path(tag = "system", responses((status = 200, body = String, content_type = "text/html")))]
#[get("/problems")]
async fn problem_list() -> HttpResponse {
    let items: String = Kind::ALL
        .iter()
        .map(|kind| {
            format!(
                "<li><a href=\"/problems/{0}\">{0}</a>: {1}</li>\n",
                kind.slug(),
                kind.title()
            )
        })
        .collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Problems</title>\n\
         <h1>Problems</h1>\n<ul>\n{items}</ul>\n</html>\n"
    );
    html(page)
}

/// No route: 405 where the path takes other methods, else 404.
pub async fn unmatched(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let allowed = state
        .document
        .methods
        .iter()
        .find(|(pattern, _)| ResourceDef::new(pattern.as_str()).is_match(request.path()));
    let Some((_, methods)) = allowed else {
        return Err(Problem::not_found());
    };
    let methods = methods.join(", ");
    let problem = Problem::new(
        Kind::MethodNotAllowed,
        format!("This path takes {methods}."),
    );
    let value = HeaderValue::from_str(&methods).map_err(Problem::internal)?;
    Err(problem.header(header::ALLOW, value))
}

async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "/docs/"))
        .finish()
}

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(welcome)
        .service(healthz)
        .service(readyz)
        .service(metrics)
        .service(openapi)
        .service(problem_list)
        .service(problem_page)
        .route("/docs", web::get().to(docs))
        .map(|config| {
            config.service(
                SwaggerUi::new("/docs/{_:.*}")
                    .config(Config::from("/openapi.json").try_it_out_enabled(true)),
            )
        });
}
