//! The application as a value: what the server and the tests start.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use tokio::task::JoinHandle;
use utoipa_actix_web::{AppExt, scope};

use crate::cli::config::ServeSettings;
use crate::core::idempotency::{self, Running};
use crate::core::metrics::Metrics;
use crate::core::password::Hasher;
use crate::core::state::{Document, Limits, State};
use crate::core::usage::{self, Usage};
use crate::core::{authentication, openapi, request};
use crate::database::{Database, Pools};
use crate::resources;

/// How often kept answers that have expired are removed.
const CLEANING: Duration = Duration::from_secs(600);

/// What all requests to a server with this database and these settings share.
///
/// # Errors
/// Where the OpenAPI document has no JSON form.
pub fn state(database: Database, settings: &ServeSettings) -> io::Result<State> {
    Ok(State {
        database,
        limits: Limits {
            body_size: settings.body_limit,
            body_time: settings.body_timeout,
            answer_time: settings.request_timeout,
        },
        hasher: Hasher::new(settings.password_hashers),
        running: Running::default(),
        usage: Usage::default(),
        metrics: Metrics::default(),
        document: Arc::new(document()?),
    })
}

fn document() -> io::Result<Document> {
    let document = openapi()?;
    Ok(Document {
        json: serde_json::to_string_pretty(&document)?,
        methods: openapi::methods(&document),
    })
}

/// A running server and what runs beside it.
pub struct App {
    /// The server; it stops when it is told to.
    pub server: Server,
    state: State,
    upkeep: JoinHandle<()>,
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
        let upkeep = tokio::spawn(upkeep(State {
            database: state.database.clone().without_probe(),
            ..state.clone()
        }));
        Ok(Self {
            server,
            state,
            upkeep,
        })
    }

    /// The server, and what is to be finished after it.
    pub fn into_parts(self) -> (Server, Upkeep) {
        (
            self.server,
            Upkeep {
                state: self.state,
                task: self.upkeep,
            },
        )
    }
}

/// How often the last uses of keys are tried to be written at a stop: more often than a pool has connections by default.
const LAST_TRIES: u32 = 20;

/// What runs beside a server.
pub struct Upkeep {
    state: State,
    task: JoinHandle<()>,
}

impl Upkeep {
    /// Ends it and writes what was gathered; for after the server has stopped.
    pub async fn finish(self) {
        self.task.abort();
        // Connections that were opened by a worker are dead with it. Each that is tried leaves the pool, so that after
        // some tries a new one is opened.
        for _ in 0..LAST_TRIES {
            if self.state.usage.write(&self.state.database).await.is_ok() {
                return;
            }
        }
        write_usage(&self.state).await;
    }
}

async fn upkeep(state: State) {
    let mut writing = tokio::time::interval(usage::INTERVAL);
    let mut cleaning = tokio::time::interval(CLEANING);
    loop {
        tokio::select! {
            _ = writing.tick() => write_usage(&state).await,
            _ = cleaning.tick() => match idempotency::remove_expired(&state.database).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "kept answers expired"),
                Err(error) => tracing::warn!(%error, "expired answers could not be removed"),
            },
        }
    }
}

async fn write_usage(state: &State) {
    if let Err(error) = state.usage.write(&state.database).await {
        tracing::warn!(%error, "the use of API keys could not be written; it is kept for the next time");
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
