//! The application as a value: what the server and the tests start.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use utoipa_actix_web::{AppExt, scope};

use crate::cli::config::ServeSettings;
use crate::core::idempotency::{self, Running};
use crate::core::metrics::Metrics;
use crate::core::password::Hasher;
use crate::core::state::{Document, Limits, State};
use crate::core::usage::{self, Usage};
use crate::core::{authentication, openapi, request, space};
use crate::database::{Database, Pools};
use crate::resources;

/// How often kept answers that have expired are removed.
const CLEANING: Duration = Duration::from_secs(600);

/// What all requests to a server with this database and these settings share.
///
/// # Errors
/// Where the OpenAPI document has no JSON form.
pub fn state(database: Database, settings: &ServeSettings) -> io::Result<State> {
    let openapi = openapi()?;
    Ok(State {
        metrics: Metrics::new(database.activity(), &openapi),
        database,
        limits: Limits {
            body_size: settings.body_limit,
            body_time: settings.body_timeout,
            answer_time: settings.request_timeout,
        },
        hasher: Hasher::new(settings.password_hashers),
        running: Running::default(),
        usage: Usage::default(),
        document: Arc::new(document(&openapi)?),
    })
}

fn document(openapi: &serde_json::Value) -> io::Result<Document> {
    Ok(Document {
        json: serde_json::to_string_pretty(openapi)?,
        methods: openapi::methods(openapi),
    })
}

/// A running server and what runs beside it.
pub struct App {
    /// The server; it stops when it is told to.
    pub server: Server,
    upkeep: Upkeep,
}

impl App {
    /// Starts to answer on `listener`.
    ///
    /// # Errors
    /// Where the listener cannot be used.
    pub fn start(
        listener: TcpListener,
        pools: Pools,
        settings: &ServeSettings,
    ) -> io::Result<Self> {
        Self::start_with(listener, state(Database::new(pools), settings)?, settings)
    }

    /// Starts to answer on `listener`, with a state that was made before.
    ///
    /// # Errors
    /// Where the listener cannot be used.
    pub fn start_with(
        listener: TcpListener,
        state: State,
        settings: &ServeSettings,
    ) -> io::Result<Self> {
        let shared = web::Data::new(state.clone());
        let server = HttpServer::new(move || {
            let (app, _) = ActixApp::new()
                .wrap(from_fn(request::surround))
                .app_data(shared.clone())
                .into_utoipa_app()
                .configure(routes)
                .split_for_parts();
            app.default_service(web::to(resources::system::unmatched))
        });
        let server = server
            .workers(settings.workers)
            .shutdown_timeout(settings.shutdown_timeout.as_secs_f64().ceil() as u64)
            .disable_signals()
            .listen(listener)?
            .run();
        let state = State {
            database: state.database.clone().in_background(),
            ..state
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(upkeep(state, stopped));
        let upkeep = Upkeep { stop, task };
        Ok(Self { server, upkeep })
    }

    /// The server, and what is to be finished after it.
    pub fn into_parts(self) -> (Server, Upkeep) {
        (self.server, self.upkeep)
    }
}

/// What runs beside a server.
pub struct Upkeep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Upkeep {
    /// Ends it and writes what was gathered; for after the server has stopped.
    pub async fn finish(self) {
        // Not aborted: what it is just writing would be lost.
        if self.stop.send(()).is_err() {
            tracing::error!("what runs beside the server had ended before it");
        } else if let Err(error) = self.task.await {
            tracing::error!(%error, "what runs beside the server failed at its end");
        }
    }
}

async fn upkeep(state: State, mut stop: oneshot::Receiver<()>) {
    let mut writing = tokio::time::interval(usage::INTERVAL);
    let mut cleaning = tokio::time::interval(CLEANING);
    loop {
        tokio::select! {
            told = &mut stop => {
                if told.is_ok() {
                    state.usage.write(&state.database).await;
                }
                return;
            }
            _ = writing.tick() => {
                state.usage.write(&state.database).await;
                look_for_space(&state.database).await;
            }
            _ = cleaning.tick() => match idempotency::remove_expired(&state.database).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "kept answers expired"),
                Err(error) => tracing::warn!(%error, "expired answers could not be removed"),
            },
        }
    }
}

/// Where the disk was full: nobody may come to write, because the server says that it is not ready.
async fn look_for_space(database: &Database) {
    if database.storage().was_full()
        && let Err(error) = space::try_to_write(database).await
    {
        tracing::warn!(%error, "the disk of the database is still full");
    }
}

/// Every route, once: the server and the document are made of it.
fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    resources::system::routes(config);
    config.service(
        scope::scope("/v1")
            .wrap(from_fn(authentication::authenticate))
            .configure(resources::organizations::routes)
            .configure(resources::users::routes)
            .configure(resources::memberships::routes)
            .configure(resources::api_keys::routes)
            .configure(resources::events::routes)
            .default_service(web::to(resources::system::unmatched)),
    );
}

/// The OpenAPI 3.1 document of the API, made from the routes.
///
/// # Errors
/// Where the document has no JSON form.
pub fn openapi() -> serde_json::Result<serde_json::Value> {
    let (_, document) = ActixApp::new()
        .into_utoipa_app()
        .openapi(openapi::base())
        .configure(routes)
        .split_for_parts();
    openapi::complete(&document)
}
