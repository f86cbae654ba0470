//! `rollbook serve`: opens the database, refuses a schema that it does not know, and answers requests until it is told
//! to stop.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use actix_web::dev::Server;
use clap::Args;
use sea_orm::DatabaseConnection;
use tokio::{net::TcpSocket, time::timeout};
use tracing_subscriber::util::TryInitError;

use super::{
    config::{
        DatabaseSettings, EnvironmentSettings, LogSettings, SchemaDriftPolicy, ServeSettings,
    },
    describe,
    migrate::{self, MigrateError},
    output::print,
};
use crate::{
    app::App,
    database::{
        self, ConnectError, Database, Pools, SchemaError, ServerMark, connect, connect_for_upkeep,
        require_current,
    },
    http::{in_flight::InFlight, log},
    operations::{
        migration::MigrationError,
        schema::{Comparison, compare},
    },
    product::Product,
};

/// Connections that wait to be accepted; more are refused by the system.
const BACKLOG: u32 = 1024;
/// When all requests are done only a stuck connection is left to wait for: to write the last uses of keys, and to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Answer requests
#[derive(Args, Debug)]
#[command(
    after_long_help = "SIGTERM and SIGINT let requests in flight finish within the shutdown timeout; a second one ends \
                        the process at once. Exit status: 0 stopped with all requests answered, 1 failed or ended by a \
                        second signal, 2 bad settings, 5 the shutdown timeout was over before all were answered."
)]
pub(super) struct ServeCommand {
    #[command(flatten)]
    serve: ServeSettings,
    #[command(flatten)]
    environment: EnvironmentSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the schema is not what the migrations make: {first}{}", and_more(*.differences))]
    Drift { first: String, differences: usize },
    #[error("the schema cannot be compared with what the migrations make")]
    Compare(#[source] MigrationError),
    #[error("the server failed")]
    Server(#[source] io::Error),
    #[error("stopped at once by a second signal; requests in flight were cut off")]
    Interrupted,
    #[error(
        "the shutdown timeout of {} s was over before {requests} of the requests were answered",
        limit.as_secs_f64()
    )]
    Unfinished { requests: usize, limit: Duration },
}

impl ServeError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { source, .. } => listen_hint(source.kind()),
            Self::Migrate(error) => error.hint(),
            Self::Connect(error) => Some(error.hint()),
            Self::Schema(error) => error.hint(),
            Self::Drift { .. } => Some(
                "`rollbook schema diff` shows all of it and how to mend it; ROLLBOOK_SCHEMA_DRIFT=warn starts all the same"
                    .to_owned(),
            ),
            Self::Compare(_) => Some(
                "the role needs the right CREATE on the database for it; or choose ROLLBOOK_SCHEMA_DRIFT=warn or ignore"
                    .to_owned(),
            ),
            Self::Unfinished { .. } => Some(
                "ROLLBOOK_SHUTDOWN_TIMEOUT gives them more; what they had committed is there, and nothing of the others"
                    .to_owned(),
            ),
            Self::Log(_) | Self::Server(_) | Self::Interrupted => None,
        }
    }
}

fn and_more(differences: usize) -> String {
    match differences {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    }
}

fn listen_hint(kind: io::ErrorKind) -> Option<String> {
    let hint = match kind {
        io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or choose another port by ROLLBOOK_LISTEN"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: choose another by ROLLBOOK_LISTEN"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: choose another by ROLLBOOK_LISTEN"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl ServeCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), ServeError> {
        log::start(&self.log.filter, self.log.format)?;
        // First, so that a start that cannot succeed does not migrate.
        let reserved = reserve(self.serve.listen)?;
        // Before anything is done with it: it may be another one than was meant.
        tracing::info!("serving {}", self.database.url.shown());
        if self.serve.migrate {
            migrate::bring_up(product, &self.database).await?;
        }
        let pools = connect(&self.database).await?;
        let _mark = self.database.url.file().and_then(|file| leave_mark(&file));
        let outcome = self.look_and_answer(product, reserved, &pools).await;
        close(&pools).await;
        outcome
    }

    async fn look_and_answer(
        &self,
        product: &Product,
        reserved: TcpSocket,
        pools: &Pools,
    ) -> Result<(), ServeError> {
        require_current(&product.migrations, &Database::new(pools.clone()).reader()).await?;
        self.examine(product).await?;
        self.answer(product, reserved, pools).await
    }

    /// On one connection beside the pools: it waits for none that a worker will open.
    async fn examine(&self, product: &Product) -> Result<(), ServeError> {
        let compares = self.serve.schema_drift != SchemaDriftPolicy::Ignore;
        if !compares && !self.environment.is_production() {
            return Ok(());
        }
        let connection = connect_for_upkeep(&self.database).await?;
        self.note_environment(&connection).await;
        let outcome = self.look_for_drift(product, &connection).await;
        database::close(connection).await;
        outcome
    }

    async fn note_environment(&self, connection: &DatabaseConnection) {
        if let Err(error) = self.environment.note(connection).await {
            tracing::warn!(
                error = describe(&error),
                "the database could not be told that it is in production; `rollbook migrate up` with \
                 ROLLBOOK_ENV=production tells it"
            );
        }
    }

    async fn look_for_drift(
        &self,
        product: &Product,
        connection: &DatabaseConnection,
    ) -> Result<(), ServeError> {
        let is_refused = match self.serve.schema_drift {
            SchemaDriftPolicy::Ignore => return Ok(()),
            SchemaDriftPolicy::Warn => false,
            SchemaDriftPolicy::Refuse => true,
        };
        match compare(&product.migrations, connection).await {
            Ok(Comparison { differences, .. }) => {
                let Some(first) = differences.first() else {
                    return Ok(());
                };
                let error = ServeError::Drift {
                    first: first.to_string(),
                    differences: differences.len(),
                };
                if is_refused {
                    return Err(error);
                }
                tracing::warn!(
                    "{error}; `rollbook schema diff` shows all of it and how to mend it"
                );
                Ok(())
            }
            // What newer migrations make is not known here; that this version goes on with it was found before.
            Err(MigrationError::Ahead { .. }) => Ok(()),
            Err(error) if is_refused => Err(ServeError::Compare(error)),
            Err(error) => {
                tracing::warn!(
                    error = describe(&error),
                    "the schema cannot be compared with what the migrations make"
                );
                Ok(())
            }
        }
    }

    async fn answer(
        &self,
        product: &Product,
        reserved: TcpSocket,
        pools: &Pools,
    ) -> Result<(), ServeError> {
        let mut signals = Signals::new().map_err(ServeError::Server)?;
        let listener = self.listen(reserved)?;
        let address = listener.local_addr().map_err(ServeError::Server)?;
        let app = App::start(product, listener, pools.clone(), &self.serve)
            .map_err(ServeError::Server)?;
        let in_flight = app.in_flight();
        let (server, upkeep) = app.into_parts();
        if let Err(error) = print(&format!("rollbook listens on http://{address}")) {
            tracing::debug!(%error, "standard output is closed");
        }
        let limit = self.serve.shutdown_timeout;
        let outcome = run_until_stopped(server, &mut signals, limit, &in_flight).await;
        if timeout(CLOSE_LIMIT, upkeep.finish()).await.is_err() {
            tracing::warn!("stopped before the last uses of API keys were written");
        }
        outcome
    }

    fn listen(&self, reserved: TcpSocket) -> Result<TcpListener, ServeError> {
        let address = self.serve.listen;
        reserved
            .listen(BACKLOG)
            .and_then(tokio::net::TcpListener::into_std)
            .map_err(|source| ServeError::Listen { address, source })
    }
}

/// Says that another server has the same SQLite file open, and lets others know of this one while it runs.
fn leave_mark(file: &Path) -> Option<ServerMark> {
    match ServerMark::leave(file) {
        Ok(mark) => {
            if !mark.is_alone() {
                tracing::warn!(
                    file = %file.display(),
                    "another server has this database file open: they keep each other waiting, and repeated requests \
                     are told from new ones within one server only; run one server, or use PostgreSQL"
                );
            }
            Some(mark)
        }
        Err(error) => {
            tracing::debug!(%error, "whether another server has this database file open cannot be told");
            None
        }
    }
}

fn reserve(address: SocketAddr) -> Result<TcpSocket, ServeError> {
    let reserved = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restart must not wait for the connections of the process before it to be forgotten.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    reserved().map_err(|source| ServeError::Listen { address, source })
}

async fn run_until_stopped(
    server: Server,
    signals: &mut Signals,
    limit: Duration,
    in_flight: &InFlight,
) -> Result<(), ServeError> {
    let handle = server.handle();
    tokio::pin!(server);
    let signal = tokio::select! {
        outcome = &mut server => return outcome.map_err(ServeError::Server),
        signal = signals.next() => signal,
    };
    tracing::info!(signal, "stopping: requests in flight are finished first");
    let over = tokio::time::sleep(limit);
    let finished = async { tokio::join!(&mut server, handle.stop(true)) };
    tokio::pin!(finished);
    tokio::select! {
        (outcome, ()) = &mut finished => return outcome.map_err(ServeError::Server),
        () = over => {}
        _ = signals.next() => return Err(ServeError::Interrupted),
    }
    let requests = in_flight.count();
    if requests == 0 {
        // What is still open are connections that clients keep for later.
        return Ok(());
    }
    // The server ends them now, and gives their connections to the database back.
    tokio::select! {
        _ = &mut finished => {}
        _ = signals.next() => return Err(ServeError::Interrupted),
    }
    Err(ServeError::Unfinished { requests, limit })
}

async fn close(pools: &Pools) {
    match timeout(CLOSE_LIMIT, pools.close()).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("stopped while a database connection was still in use"),
    }
}

/// The signals that stop a server, caught from the moment this is made.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// The signal that stops a server where there are no others.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}
