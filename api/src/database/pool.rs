//! The connections that serve: opened as they are needed, lent for one statement or one transaction, and taken back only
//! from work that ended. What was given up in the middle loses its connection, and the database ends it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, QueueMode, RecycleResult};
use futures_util::StreamExt;
use futures_util::future::join_all;
use sea_orm::sea_query::Values;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};
use sea_orm::{ConnAcquireErr, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use tokio::time::{sleep, timeout};

use super::fault::is_connection_lost;

/// A PostgreSQL connection that idled this long is asked whether it lives before it is used. A busy one is not: each
/// that breaks in use costs its one statement, and makes all others suspect.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);
/// How often connections that are too old or too idle are looked for.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);
/// Lets PostgreSQL look each second, while a statement runs, whether anybody still waits for it, unless the role or the
/// URL says how often. Not a parameter of the start: PgBouncer refuses those.
const CHECK_CONNECTION: &str = "SELECT set_config(name, '1s', false) FROM pg_settings \
     WHERE name = 'client_connection_check_interval' AND setting = '0'";
/// Who waited so long for a connection is named in the log.
const LONG_WAIT: Duration = Duration::from_secs(2);
/// How many of its own steps SQLite takes between two looks at whether a statement is still wanted.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// How often a pool that closes looks whether what is lent has come back.
const CLOSE_PERIOD: Duration = Duration::from_millis(5);

/// Takes the rows of a statement one by one, until it has enough.
pub(crate) trait Visit: FnMut(QueryResult) -> ControlFlow<()> {}

impl<F: FnMut(QueryResult) -> ControlFlow<()>> Visit for F {}

/// Where the connections of a pool lead to.
#[derive(Clone)]
pub(super) enum Source {
    Postgres(PgConnectOptions),
    Sqlite(SqliteConnectOptions),
}

/// How many connections a pool has, and how long it waits and they live.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    /// Most of them.
    pub most: u32,
    /// So many are kept open even when nothing uses them.
    pub least: u32,
    /// Longest wait for a free one.
    pub acquire_timeout: Duration,
    /// How long an unused one stays open, if not for ever.
    pub idle_timeout: Option<Duration>,
    /// How long one lives before it is replaced, if not for ever.
    pub max_lifetime: Option<Duration>,
}

impl PoolLimits {
    /// The same for one connection, opened when it is first needed.
    pub(super) fn of_one(self) -> Self {
        Self {
            most: 1,
            least: 0,
            ..self
        }
    }
}

/// A pool of connections.
#[derive(Clone)]
pub struct Pool {
    connections: managed::Pool<Opener>,
    limits: PoolLimits,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Pool");
        shown.field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// How a pool stands, in connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// Which pool: `requests` and `background`, or on SQLite `readers` and `writer`.
    pub pool: &'static str,
    /// Open, and in use.
    pub used: u32,
    /// Open, and not in use.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}

impl Pool {
    /// A pool that has no connection yet. Its upkeep runs on the runtime that makes it.
    pub(super) fn new(source: Source, limits: PoolLimits) -> Result<Self, managed::BuildError> {
        let opener = Opener {
            source,
            limits,
            losses: AtomicU64::new(0),
        };
        let connections = managed::Pool::builder(opener)
            .max_size(usize::try_from(limits.most).unwrap_or(usize::MAX))
            .queue_mode(QueueMode::Lifo)
            .build()?;
        let pool = Self {
            connections,
            limits,
        };
        pool.start_upkeep();
        Ok(pool)
    }

    /// Which database this is.
    pub fn backend(&self) -> DbBackend {
        match self.connections.manager().source {
            Source::Postgres(_) => DbBackend::Postgres,
            Source::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// How it stands.
    pub(super) fn usage(&self, pool: &'static str) -> PoolUsage {
        let status = self.connections.status();
        let count = |connections| u32::try_from(connections).unwrap_or(u32::MAX);
        PoolUsage {
            pool,
            used: count(status.size.saturating_sub(status.available)),
            idle: count(status.available),
            limit: self.limits.most,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// The database's, and that no connection was free in time.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let mut lease = self.acquire().await?;
        let answer = lease.connection()?.driver.ping().await;
        lease.settle(answer, DbErr::Query)
    }

    /// Runs SQL without values on one of its connections, outside any transaction: what sets a connection up.
    ///
    /// # Errors
    /// The database's, and that no connection was free in time.
    pub async fn run(&self, sql: &str) -> Result<(), DbErr> {
        self.acquire().await?.run(sql).await.map(drop)
    }

    /// Runs a query, and once more on another connection where this one turns out to be lost before it gave a row.
    pub(super) async fn read(
        &self,
        statement: &Statement,
        visit: &mut impl Visit,
    ) -> Result<(), DbErr> {
        let mut seen = false;
        let mut noting = |row| {
            seen = true;
            visit(row)
        };
        let outcome = self.acquire().await?.fetch(statement, &mut noting).await;
        match outcome {
            Err(error) if is_connection_lost(&error) && !seen => self.suspect_all(&error),
            outcome => return outcome,
        }
        self.acquire().await?.fetch(statement, visit).await
    }

    /// Begins a transaction, on another connection where the first turns out to be lost: nothing was done on it.
    pub(super) async fn begin(&self) -> Result<Lease, DbErr> {
        let mut lease = self.acquire().await?;
        match lease.begin().await {
            Err(error) if is_connection_lost(&error) => self.suspect_all(&error),
            outcome => return outcome.map(|()| lease),
        }
        drop(lease);
        let mut lease = self.acquire().await?;
        lease.begin().await?;
        Ok(lease)
    }

    /// Waits for connections in use, and closes all. On SQLite closing the last one folds the write-ahead log into the
    /// file.
    pub async fn close(&self) {
        loop {
            close_all(self.connections.retain(|_, _| false).removed).await;
            if self.connections.status().size == 0 {
                break self.connections.close();
            }
            sleep(CLOSE_PERIOD).await;
        }
    }

    async fn acquire(&self) -> Result<Lease, DbErr> {
        let too_late = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let start = Instant::now();
        let connection = timeout(self.limits.acquire_timeout, self.connections.get()).await;
        let waited = start.elapsed();
        if waited >= LONG_WAIT {
            tracing::warn!(
                waited_s = waited.as_secs_f64(),
                "waited long for a connection"
            );
        }
        match connection {
            Ok(Ok(connection)) => Ok(Lease::of(connection)),
            Ok(Err(PoolError::Backend(error))) => Err(DbErr::Conn(runtime(error))),
            Ok(Err(PoolError::Closed)) => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
            }
            Ok(Err(_)) | Err(_) => Err(too_late),
        }
    }

    /// What ended one connection may have ended all: each is asked for a sign of life before it is used again.
    fn suspect_all(&self, error: &DbErr) {
        tracing::warn!(%error, "a connection to the database was lost; trying once more on another one");
        let losses = &self.connections.manager().losses;
        losses.fetch_add(1, Ordering::Relaxed);
    }

    fn start_upkeep(&self) {
        let PoolLimits {
            least,
            idle_timeout,
            max_lifetime,
            ..
        } = self.limits;
        if least == 0 && idle_timeout.is_none() && max_lifetime.is_none() {
            return;
        }
        let (pool, limits) = (self.connections.weak(), self.limits);
        tokio::spawn(async move {
            loop {
                {
                    let Some(connections) = pool.upgrade() else {
                        return;
                    };
                    let pool = Self {
                        connections,
                        limits,
                    };
                    if pool.connections.is_closed() {
                        return;
                    }
                    pool.look_after().await;
                }
                sleep(UPKEEP_PERIOD).await;
            }
        });
    }

    /// Closes what is too old or too idle, and opens what is missing.
    async fn look_after(&self) {
        let least = usize::try_from(self.limits.least).unwrap_or(usize::MAX);
        let mut left = self.connections.status().size;
        let removed = self.connections.retain(|connection, _| {
            let idle = connection.is_idle_too_long(&self.limits) && left > least;
            let keep = !idle && !connection.is_too_old(&self.limits);
            left -= usize::from(!keep);
            keep
        });
        close_all(removed.removed).await;
        let missing = least.saturating_sub(left);
        for opened in join_all((0..missing).map(|_| self.acquire())).await {
            if let Err(error) = opened {
                tracing::debug!(%error, "a connection to keep could not be opened");
            }
        }
    }
}

/// By then their work is done: what does not close cleanly fails nothing.
async fn close_all(connections: Vec<Pooled>) {
    for connection in connections {
        let closed = match connection.driver {
            Driver::Postgres(connection) => connection.close().await,
            Driver::Sqlite(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "a connection did not close cleanly");
        }
    }
}

/// Opens the connections of a pool, and says which may be used again.
struct Opener {
    source: Source,
    limits: PoolLimits,
    /// How often a connection was found lost.
    losses: AtomicU64,
}

impl Manager for Opener {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Pooled, sqlx::Error> {
        let losses = self.losses.load(Ordering::Relaxed);
        let abandoned = Arc::new(AtomicBool::new(false));
        let driver = match &self.source {
            Source::Postgres(options) => {
                let mut connection = options.connect().await?;
                match connection.execute(CHECK_CONNECTION).await {
                    Ok(_) => {}
                    // Not every system that PostgreSQL runs on can do it.
                    Err(error @ sqlx::Error::Database(_)) => {
                        tracing::debug!(%error, "PostgreSQL does not look for who waits");
                    }
                    Err(error) => return Err(error),
                }
                Driver::Postgres(connection)
            }
            Source::Sqlite(options) => {
                let mut connection = options.connect().await?;
                let abandoned = abandoned.clone();
                connection
                    .lock_handle()
                    .await?
                    .set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
                        !abandoned.load(Ordering::Relaxed)
                    });
                Driver::Sqlite(connection)
            }
        };
        let now = Instant::now();
        Ok(Pooled {
            driver,
            opened: now,
            returned: now,
            losses,
            abandoned,
        })
    }

    async fn recycle(&self, connection: &mut Pooled, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if connection.is_too_old(&self.limits) || connection.is_idle_too_long(&self.limits) {
            return Err(managed::RecycleError::message("too old or too idle"));
        }
        let losses = self.losses.load(Ordering::Relaxed);
        let is_suspect =
            connection.losses != losses || connection.returned.elapsed() >= IDLE_BEFORE_PING;
        if is_suspect && matches!(connection.driver, Driver::Postgres(_)) {
            connection.driver.ping().await?;
            connection.losses = losses;
        }
        Ok(())
    }
}

/// A connection of a pool.
struct Pooled {
    driver: Driver,
    opened: Instant,
    returned: Instant,
    /// How often others had been found lost when this one was last known to live.
    losses: u64,
    /// Whether nobody waits for its statement any more; SQLite looks at it now and then, and ends the statement.
    abandoned: Arc<AtomicBool>,
}

impl Pooled {
    fn is_too_old(&self, limits: &PoolLimits) -> bool {
        let limit = limits.max_lifetime;
        limit.is_some_and(|limit| self.opened.elapsed() >= limit)
    }

    fn is_idle_too_long(&self, limits: &PoolLimits) -> bool {
        let limit = limits.idle_timeout;
        limit.is_some_and(|limit| self.returned.elapsed() >= limit)
    }
}

enum Driver {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Driver {
    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(connection) => connection.ping().await,
            Self::Sqlite(connection) => connection.ping().await,
        }
    }

    /// Runs text without values.
    async fn run(&mut self, sql: &str) -> Result<ExecResult, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(sql);
        Ok(match self {
            Self::Postgres(connection) => connection.execute(sql).await?.into(),
            Self::Sqlite(connection) => connection.execute(sql).await?.into(),
        })
    }

    async fn execute(&mut self, statement: &Statement) -> Result<ExecResult, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(statement.sql.as_str());
        let values = values(statement);
        Ok(match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_with(sql, values);
                connection.execute(query).await?.into()
            }
            Self::Sqlite(connection) => {
                let query = sqlx::query_with(sql, values);
                connection.execute(query).await?.into()
            }
        })
    }

    /// Gives the rows to `visit`; true where it has seen all.
    async fn fetch(
        &mut self,
        statement: &Statement,
        visit: &mut impl Visit,
    ) -> Result<bool, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(statement.sql.as_str());
        let values = values(statement);
        match self {
            Self::Postgres(connection) => {
                let mut rows = connection.fetch(sqlx::query_with(sql, values));
                while let Some(row) = rows.next().await {
                    if visit(row?.into()).is_break() {
                        return Ok(false);
                    }
                }
            }
            Self::Sqlite(connection) => {
                let mut rows = connection.fetch(sqlx::query_with(sql, values));
                while let Some(row) = rows.next().await {
                    if visit(row?.into()).is_break() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

fn values(statement: &Statement) -> SqlxValues {
    let values = statement.values.clone();
    SqlxValues(values.unwrap_or_else(|| Values(Vec::new())))
}

fn runtime(error: sqlx::Error) -> RuntimeErr {
    RuntimeErr::SqlxError(error.into())
}

/// A connection on loan. Dropped between two statements it goes back to its pool; dropped in the middle of a statement
/// or of a transaction, or after it was lost, it is given up, and the database takes back what was not committed.
pub(super) struct Lease {
    connection: Option<Object<Opener>>,
    in_statement: bool,
    in_transaction: bool,
}

impl Lease {
    fn of(connection: Object<Opener>) -> Self {
        Self {
            connection: Some(connection),
            in_statement: false,
            in_transaction: false,
        }
    }

    /// The connection, from here to [`Self::settle`] in the middle of a statement.
    fn connection(&mut self) -> Result<&mut Pooled, DbErr> {
        self.in_statement = true;
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        }
    }

    fn settle<T>(
        &mut self,
        outcome: Result<T, sqlx::Error>,
        kind: fn(RuntimeErr) -> DbErr,
    ) -> Result<T, DbErr> {
        let outcome = outcome.map_err(|error| kind(runtime(error)));
        self.in_statement = match &outcome {
            Ok(_) => false,
            // What the database refused has ended; of anything else nothing is known.
            Err(error) => is_connection_lost(error) || !is_answer(error),
        };
        outcome
    }

    pub(super) async fn fetch(
        &mut self,
        statement: &Statement,
        visit: &mut impl Visit,
    ) -> Result<(), DbErr> {
        let outcome = self.connection()?.driver.fetch(statement, visit).await;
        let all = self.settle(outcome, DbErr::Query)?;
        self.in_statement = !all;
        Ok(())
    }

    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let outcome = self.connection()?.driver.execute(statement).await;
        self.settle(outcome, DbErr::Exec)
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let outcome = self.connection()?.driver.run(sql).await;
        self.settle(outcome, DbErr::Exec)
    }

    /// On SQLite it takes the write lock at once, so that it cannot lose what it has read to another writer.
    async fn begin(&mut self) -> Result<(), DbErr> {
        let begin = match self.connection()?.driver {
            Driver::Postgres(_) => "BEGIN",
            Driver::Sqlite(_) => "BEGIN IMMEDIATE",
        };
        self.in_transaction = true;
        self.run(begin).await?;
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        self.run("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    pub(super) async fn roll_back(mut self) -> Result<(), DbErr> {
        self.run("ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }
}

/// Whether it is the database's own answer to a statement, and not a fault on the way.
fn is_answer(error: &DbErr) -> bool {
    let (DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error else {
        return false;
    };
    matches!(error, RuntimeErr::SqlxError(error) if matches!(**error, sqlx::Error::Database(_)))
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if self.in_statement || self.in_transaction {
            let connection = Object::take(connection);
            connection.abandoned.store(true, Ordering::Relaxed);
        } else {
            connection.returned = Instant::now();
        }
    }
}
