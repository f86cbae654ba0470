//! Opens the database: one pool on PostgreSQL; on SQLite one writing connection, and readers that cannot write.

use std::{fs, io, path::PathBuf, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection, PgConnection, SqliteConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use tokio::time::timeout;

use super::{
    DatabaseUrlError, Storage,
    fault::is_full,
    session,
    url::{SqliteFile, Target},
};
use crate::cli::config::DatabaseSettings;

/// How long a SQLite connection waits for a lock that another process holds.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A PostgreSQL connection that idled this long is asked whether it lives before it is used. A busy one is not: each
/// that breaks in use fails the one request that has it, and is replaced.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);
/// Pauses between tries to connect at start; they grow and are spread, so that many servers do not come at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The spread adds as much again at most: five seconds.
const LONGEST_PAUSE: Duration = Duration::from_millis(2500);
/// The oldest PostgreSQL that is supported, as it counts itself.
const OLDEST_POSTGRES: u32 = 150_000;
const OLDEST_POSTGRES_MAJOR: u32 = OLDEST_POSTGRES / 10_000;

/// The connections of a process. On PostgreSQL reader and writer are the same pool.
#[derive(Clone, Debug)]
pub struct Pools {
    /// For reading; on SQLite these connections refuse to write.
    pub reader: DatabaseConnection,
    /// For transactions that write; on SQLite one connection, so that writers queue here and not on the file's lock.
    pub writer: DatabaseConnection,
    /// For what runs beside the requests; on PostgreSQL one connection, opened when it is first needed. A connection
    /// dies with the runtime that opened it, and each worker of the server has a runtime of its own: what still has to
    /// be written when the workers have ended needs a connection that none of them opened.
    pub background: DatabaseConnection,
    /// What is known of the place where it is kept.
    pub storage: Storage,
}

impl Pools {
    /// Which database this is.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// How each pool stands.
    pub fn usage(&self) -> Vec<PoolUsage> {
        let named = match self.backend() {
            DbBackend::Sqlite => [("readers", &self.reader), ("writer", &self.writer)],
            _ => [("requests", &self.reader), ("background", &self.background)],
        };
        let usage = named.map(
            |(pool, connection)| match connection.get_database_backend() {
                DbBackend::Sqlite => PoolUsage::of(pool, connection.get_sqlite_connection_pool()),
                _ => PoolUsage::of(pool, connection.get_postgres_connection_pool()),
            },
        );
        usage.into()
    }

    /// Waits for connections in use and closes all. On SQLite this folds the write-ahead log into the file.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.reader.close_by_ref().await?;
        self.writer.close_by_ref().await?;
        self.background.close_by_ref().await
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

impl PoolUsage {
    fn of<D: sqlx::Database>(pool: &'static str, connections: &sqlx::Pool<D>) -> Self {
        // The two are not counted at one moment.
        let open = connections.size();
        let idle = u32::try_from(connections.num_idle())
            .unwrap_or(open)
            .min(open);
        Self {
            pool,
            used: open - idle,
            idle,
            limit: connections.options().get_max_connections(),
        }
    }
}

/// Why the database could not be opened. Holds no password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL was not understood.
    #[error("the database URL {0}")]
    Url(#[from] DatabaseUrlError),
    /// The directory of the SQLite file is missing and could not be made.
    #[error("the directory {} for the database cannot be created", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no SQLite file, and the URL does not ask for one to be made.
    #[error("there is no database file {}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite file could not be opened.
    #[error("the database file {} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// There is no space for it.
    #[error("the disk of the database file {} is full, or takes nothing for another reason", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// PostgreSQL could not be reached, or refused.
    #[error("cannot connect to PostgreSQL at {address}")]
    Server {
        /// Host and port, or the socket.
        address: String,
        /// What the driver or the server said.
        source: sqlx::Error,
    },
    /// PostgreSQL did not answer in time.
    #[error("PostgreSQL at {address} did not answer within {} s", limit.as_secs_f64())]
    Timeout {
        /// Host and port, or the socket.
        address: String,
        /// `ROLLBOOK_DATABASE_CONNECT_TIMEOUT`.
        limit: Duration,
    },
    /// Another process holds the lock of those who migrate.
    #[error("another process has been migrating this database for longer than {} s", limit.as_secs_f64())]
    Locked {
        /// `ROLLBOOK_MIGRATION_LOCK_TIMEOUT`.
        limit: Duration,
    },
    /// What is prepared on a connection is not there any more when it is next used.
    #[error(
        "between here and PostgreSQL at {address} a pooler gives one connection to several clients by turns, such as PgBouncer in transaction mode"
    )]
    Shared {
        /// Host and port, or the socket.
        address: String,
    },
    /// A PostgreSQL that lacks what the schema needs.
    #[error("PostgreSQL {found} at {address} is too old")]
    TooOld {
        /// Host and port, or the socket.
        address: String,
        /// Its major version.
        found: u32,
    },
}

impl ConnectError {
    /// Whether it may be gone by itself after a while: the server is away, starts, or has no connection left.
    fn may_pass(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Server { source, .. } => match source.as_database_error() {
                Some(said) => said
                    .code()
                    .is_some_and(|code| code.starts_with("57P") || code == "53300"),
                // Whoever stands before a server that is away takes the connection and ends it.
                None => matches!(source, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)),
            },
            _ => false,
        }
    }

    /// What the driver or the server said.
    fn cause(&self) -> Option<String> {
        std::error::Error::source(self).map(ToString::to_string)
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Url(_) => "see DATABASE_URL in docs/configuration.md".to_owned(),
            Self::Directory { .. } | Self::File { .. } => {
                "check the path in DATABASE_URL and who may write there".to_owned()
            }
            Self::Full { .. } => "disk full: make space on it, then run this again".to_owned(),
            Self::Shared { .. } => {
                "set pool_mode = session in PgBouncer (for this database or user) and restart it, or connect to PostgreSQL directly; see PgBouncer in docs/operations.md".to_owned()
            }
            Self::MissingFile { .. } => {
                "check the path in DATABASE_URL, or add ?mode=rwc to it to create the file"
                    .to_owned()
            }
            Self::Server { source, .. } if is_missing_database(source) => {
                "create the database first, for example by createdb".to_owned()
            }
            Self::Server { .. } | Self::Timeout { .. } => {
                "check DATABASE_URL, and that the server runs and lets this host in".to_owned()
            }
            Self::Locked { .. } => {
                "wait for it, or give more time by ROLLBOOK_MIGRATION_LOCK_TIMEOUT".to_owned()
            }
            Self::TooOld { .. } => format!("use PostgreSQL {OLDEST_POSTGRES_MAJOR} or later"),
        }
    }
}

/// Opens the pools of a server. Fails where the database cannot be reached now; when it goes away later, the pools
/// recover by themselves.
pub async fn connect(settings: &DatabaseSettings) -> Result<Pools, ConnectError> {
    match settings.url.target()? {
        Target::Sqlite(file) => {
            let writer = sqlite_writer(&file, settings).await?;
            let reader = sqlite_readers(&file, settings).await?;
            let storage = Storage::of_file(&file.path);
            Ok(Pools {
                storage: storage.map_err(|error| cannot_open(&file, error.into()))?,
                reader,
                background: writer.clone(),
                writer,
            })
        }
        Target::Postgres(options) => {
            let options = with_statement_timeout(*options, settings.statement_timeout);
            let options = with_application_name(options);
            let pool = postgres_pool(&options, settings, settings.max_connections).await?;
            let background = postgres_pool_options(settings).connect_lazy_with(options);
            Ok(Pools {
                storage: Storage::default(),
                reader: pool.clone(),
                writer: pool,
                background: SqlxPostgresConnector::from_sqlx_postgres_pool(background),
            })
        }
    }
}

/// Opens the one connection that migrations run on: no statement of theirs is cut short.
pub(super) async fn connect_for_migrations(
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    match settings.url.target()? {
        Target::Sqlite(file) => sqlite_writer(&file, settings).await,
        Target::Postgres(options) => {
            postgres_pool(&with_application_name(*options), settings, 1).await
        }
    }
}

/// Closes what a command opened for itself. By then its work is done: what does not close cleanly fails nothing.
pub async fn close(connection: DatabaseConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the connections did not close cleanly");
    }
}

/// Opens connections that look only, and take their time: no statement of theirs is cut short. One can read in a
/// transaction while the other is used beside it.
pub async fn connect_for_examination(
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    match settings.url.target()? {
        Target::Sqlite(file) if !file.path.exists() => {
            Err(ConnectError::MissingFile { path: file.path })
        }
        Target::Sqlite(mut file) => {
            file.options = file.options.disable_statement_logging();
            sqlite_readers(&file, settings).await
        }
        Target::Postgres(options) => {
            // It is no news that these statements are slow.
            let options = with_application_name(*options).disable_statement_logging();
            postgres_pool(&options, settings, 2).await
        }
    }
}

async fn sqlite_writer(
    file: &SqliteFile,
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    prepare_file(file)?;
    let options = sqlite_options(file).create_if_missing(file.create);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(has_ended_its_transaction(connection)))
        .connect_with(options.journal_mode(SqliteJournalMode::Wal))
        .await
        .map_err(|source| cannot_open(file, source))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Whether a connection may be used again. Where a commit or a statement fails for want of space, SQLite rolls back by
/// itself, and the rollback of the driver fails. The driver believes from then on that a transaction is open, makes a mere
/// savepoint of the next one, and what is acknowledged then is never committed.
async fn has_ended_its_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback may still be on its way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

async fn sqlite_readers(
    file: &SqliteFile,
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    // Not opened read-only: a reader must be able to recover the write-ahead log after a crash.
    let options = sqlite_options(file)
        .create_if_missing(false)
        .pragma("query_only", "ON");
    let pool = SqlitePoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(|source| cannot_open(file, source))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

fn sqlite_options(file: &SqliteFile) -> SqliteConnectOptions {
    file.options
        .clone()
        .shared_cache(false)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
}

fn prepare_file(file: &SqliteFile) -> Result<(), ConnectError> {
    let path = file.path.clone();
    if !file.create {
        return match file.path.exists() {
            true => Ok(()),
            false => Err(ConnectError::MissingFile { path }),
        };
    }
    let Some(directory) = file.path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(directory).map_err(|source| ConnectError::Directory {
        path: directory.to_owned(),
        source,
    })
}

fn cannot_open(file: &SqliteFile, source: sqlx::Error) -> ConnectError {
    let path = file.path.clone();
    match is_full(&source) {
        true => ConnectError::Full { path, source },
        false => ConnectError::File { path, source },
    }
}

async fn postgres_pool(
    options: &PgConnectOptions,
    settings: &DatabaseSettings,
    max_connections: u32,
) -> Result<DatabaseConnection, ConnectError> {
    let mut first = single(options, settings).await?;
    let mut second = single(options, settings).await?;
    let kept = session::is_kept(&mut first, &mut second, settings.connect_timeout).await;
    for connection in [first, second] {
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "one of the first connections did not close cleanly");
        }
    }
    match kept {
        Ok(true) => {}
        Ok(false) => {
            let address = address(options);
            return Err(ConnectError::Shared { address });
        }
        Err(source) => {
            let address = address(options);
            return Err(ConnectError::Server { address, source });
        }
    }
    let pool = postgres_pool_options(settings)
        .max_connections(max_connections)
        .min_connections(settings.min_connections.min(max_connections))
        .connect_with(options.clone())
        .await
        .map_err(|source| ConnectError::Server {
            address: address(options),
            source,
        })?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// A pool of one connection that is opened when it is first needed.
fn postgres_pool_options(settings: &DatabaseSettings) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(unless_zero(settings.idle_timeout))
        .max_lifetime(unless_zero(settings.max_lifetime))
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for >= IDLE_BEFORE_PING {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// A connection of its own, outside any pool, where the database is PostgreSQL; with its address.
pub(super) async fn postgres_connection(
    settings: &DatabaseSettings,
) -> Result<Option<(PgConnection, String)>, ConnectError> {
    let Target::Postgres(options) = settings.url.target()? else {
        return Ok(None);
    };
    let options = with_application_name(*options);
    let connection = single(&options, settings).await?;
    Ok(Some((connection, address(&options))))
}

/// Connects, again and again where the server is away or starts: a pool would do so too, and then forget the reason.
async fn single(
    options: &PgConnectOptions,
    settings: &DatabaseSettings,
) -> Result<PgConnection, ConnectError> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(settings.connect_retry));
    let once = || connect_once(options, settings.connect_timeout);
    once.retry(pauses)
        .when(ConnectError::may_pass)
        .notify(|error, pause| {
            let pause_s = pause.as_secs_f64();
            tracing::warn!(%error, cause = error.cause(), pause_s, "trying again");
        })
        .await
}

async fn connect_once(
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<PgConnection, ConnectError> {
    let address = address(options);
    let connection = match timeout(limit, options.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(source)) => return Err(ConnectError::Server { address, source }),
        Err(_) => return Err(ConnectError::Timeout { address, limit }),
    };
    match connection.server_version_num() {
        Some(number) if number < OLDEST_POSTGRES => Err(ConnectError::TooOld {
            address,
            found: number / 10_000,
        }),
        _ => Ok(connection),
    }
}

fn with_application_name(options: PgConnectOptions) -> PgConnectOptions {
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("rollbook"),
    }
}

fn with_statement_timeout(options: PgConnectOptions, limit: Duration) -> PgConnectOptions {
    let in_url = options
        .get_options()
        .is_some_and(|text| text.contains("statement_timeout"));
    if limit.is_zero() || in_url {
        return options;
    }
    options.options([("statement_timeout", limit.as_millis().to_string())])
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn is_missing_database(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("3D000")
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests write to find out who may"
)]
mod tests {
    use sea_orm::{ConnectionTrait, Statement};
    use tempfile::{TempDir, tempdir};

    use super::*;

    fn settings(directory: &TempDir, file: &str) -> DatabaseSettings {
        let path = directory.path().join(file);
        let url = format!("sqlite://{}", path.display());
        DatabaseSettings::new(url.parse().expect("a good URL"))
    }

    async fn pragma(connection: &DatabaseConnection, name: &str) -> String {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = connection
            .query_one_raw(statement)
            .await
            .expect("answered")
            .expect("a row");
        row.try_get_by_index::<i64>(0).map_or_else(
            |_| row.try_get_by_index(0).expect("text"),
            |number| number.to_string(),
        )
    }

    #[tokio::test]
    async fn sqlite_is_opened_as_documented() {
        let directory = tempdir().expect("a directory");
        let pools = connect(&settings(&directory, "made/on/the/way.db?mode=rwc"))
            .await
            .expect("connected");
        for connection in [&pools.reader, &pools.writer] {
            assert_eq!(pragma(connection, "journal_mode").await, "wal");
            assert_eq!(pragma(connection, "foreign_keys").await, "1");
            assert_eq!(pragma(connection, "synchronous").await, "1");
            assert_eq!(pragma(connection, "busy_timeout").await, "5000");
        }
        pools
            .writer
            .execute_unprepared("CREATE TABLE notes (body text)")
            .await
            .expect("written");
        pools
            .reader
            .execute_unprepared("SELECT body FROM notes")
            .await
            .expect("read");
        let refused = pools
            .reader
            .execute_unprepared("INSERT INTO notes VALUES ('x')")
            .await;
        assert!(refused.is_err(), "readers must not write");
        pools.close().await.expect("closed");
    }

    #[tokio::test]
    async fn a_missing_file_is_not_made_unasked() {
        let directory = tempdir().expect("a directory");
        let error = connect(&settings(&directory, "absent.db"))
            .await
            .expect_err("refused");
        assert!(matches!(error, ConnectError::MissingFile { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_unreachable_server_is_told_at_once_and_without_the_password() {
        // Port 1 of this host: nothing listens there.
        let url = "postgres://rollbook:hunter2@127.0.0.1:1/rollbook?sslmode=disable";
        let settings = DatabaseSettings {
            connect_retry: Duration::ZERO,
            ..DatabaseSettings::new(url.parse().expect("a good URL"))
        };
        let error = connect(&settings).await.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "cannot connect to PostgreSQL at 127.0.0.1:1"
        );
        assert!(!format!("{error:?} {settings:?}").contains("hunter2"));
    }
}
