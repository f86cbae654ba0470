//! The application as a value: what the server and the tests start.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, web};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::access::authentication;
use crate::app_settings::ServeSettings;
use crate::database::{Database, Pools};
use crate::http::idempotency::{self, Running};
use crate::http::in_flight::InFlight;
use crate::http::metrics::Metrics;
use crate::http::openapi;
use crate::http::request;
use crate::http::space;
use crate::http::state::{Document, Limits, State};
use crate::http::unparsed;
use crate::http::usage::{self, Usage};
use crate::ledger::registry::Registry;
use crate::product::Product;
use crate::resources;
use crate::values::password::Hasher;

/// How often kept answers that have expired are removed.
const CLEANING: Duration = Duration::from_secs(600);

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is closed may take to close.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What all requests to a server with this database and these settings share.
///
/// # Errors
/// Where the OpenAPI document has no JSON form.
pub fn state(product: &Product, database: Database, settings: &ServeSettings) -> io::Result<State> {
    let openapi = openapi(product)?;
    Ok(State {
        registry: Arc::new(product.registry.clone()),
        migrations: product.migrations.clone(),
        metrics: Metrics::new(database.activity(), &openapi),
        database,
        limits: Limits {
            body_size: settings.body_limit,
            body_time: settings.body_timeout,
            answer_time: settings.request_timeout,
        },
        hasher: Hasher::new(settings.password_hashers),
        running: Running::default(),
        in_flight: InFlight::default(),
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
    in_flight: InFlight,
}

impl App {
    /// Starts to answer on `listener`.
    ///
    /// # Errors
    /// Where the listener cannot be used.
    pub fn start(
        product: &Product,
        listener: TcpListener,
        pools: Pools,
        settings: &ServeSettings,
    ) -> io::Result<Self> {
        Self::start_with(
            listener,
            state(product, Database::new(pools), settings)?,
            settings,
        )
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
        let server = serve(listener, web::Data::new(state.clone()), settings)?;
        let in_flight = state.in_flight.clone();
        let state = State {
            database: state.database.clone().in_background(),
            ..state
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(upkeep(state, stopped));
        let upkeep = Upkeep { stop, task };
        Ok(Self {
            server,
            upkeep,
            in_flight,
        })
    }

    /// The requests that are not answered yet.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
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

/// The HTTP server. Built of the parts that `HttpServer` is built of: that one lets nothing between itself and its
/// connections, and so its refusals of what is no request stay without a body.
fn serve(
    listener: TcpListener,
    shared: web::Data<State>,
    settings: &ServeSettings,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let builder = Server::build()
        .workers(settings.workers)
        // Later than whoever stops it counts what is not answered by then: it looks once a second, and says nothing.
        .shutdown_timeout(settings.shutdown_timeout.as_secs_f64().ceil() as u64 + 1)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let registry = shared.registry.clone();
    let service = move || {
        let (app, _) = ActixApp::new()
            .wrap(from_fn(request::surround))
            .app_data(shared.clone())
            .into_utoipa_app()
            .configure(|config| routes(&registry, config))
            .split_for_parts();
        let app = app
            .default_service(web::to(resources::system::unmatched))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .h1_allow_half_closed(true)
            .local_addr(address)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(|stream: TcpStream| async move {
            let peer = stream.peer_addr().ok();
            Ok((unparsed::Connection::new(stream), Protocol::Http1, peer))
        })
        .and_then(http)
    };
    Ok(builder.listen("http", listener, service)?.run())
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
fn routes(registry: &Registry, config: &mut ServiceConfig<'_>) {
    resources::system::routes(config);
    config.service(
        scope::scope("/v1")
            .wrap(from_fn(authentication::authenticate))
            .configure(|config: &mut ServiceConfig<'_>| {
                for part in registry.parts() {
                    (part.routes)(config);
                }
            })
            .default_service(web::to(resources::system::unmatched)),
    );
}

/// The OpenAPI 3.1 document of the API, made from the routes.
///
/// # Errors
/// Where the document has no JSON form.
pub fn openapi(product: &Product) -> serde_json::Result<serde_json::Value> {
    let (_, document) = ActixApp::new()
        .into_utoipa_app()
        .openapi(openapi::base(product.name, &product.registry))
        .configure(|config| routes(&product.registry, config))
        .split_for_parts();
    openapi::complete(&document)
}
