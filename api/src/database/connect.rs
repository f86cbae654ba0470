//! Opens the database: one pool on PostgreSQL; on SQLite one writing connection, and readers that cannot write.

use std::{fs, io, path::PathBuf, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use sea_orm::{
    DatabaseConnection, DbBackend, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection, PgConnection, SqliteConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use tokio::time::timeout;

use super::settings::DatabaseSettings;
use super::{
    DatabaseUrlError, Pool, PoolUsage, Storage,
    fault::is_full,
    pool::{PoolLimits, Source},
    private_file, session,
    url::{SqliteFile, Target, address},
};

/// How long a SQLite connection waits for a lock that another process holds.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
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
    pub reader: Pool,
    /// For transactions that write; on SQLite one connection, so that writers queue here and not on the file's lock.
    pub writer: Pool,
    /// For what runs beside the requests; on PostgreSQL one connection, opened when it is first needed. A connection
    /// dies with the runtime that opened it, and each worker of the server has a runtime of its own: what still has to
    /// be written when the workers have ended needs a connection that none of them opened.
    pub background: Pool,
    /// What is known of the place where it is kept.
    pub storage: Storage,
}

impl Pools {
    /// Which database this is.
    pub fn backend(&self) -> DbBackend {
        self.writer.backend()
    }

    /// How each pool stands.
    pub fn usage(&self) -> Vec<PoolUsage> {
        let named = match self.backend() {
            DbBackend::Sqlite => [("readers", &self.reader), ("writer", &self.writer)],
            _ => [("requests", &self.reader), ("background", &self.background)],
        };
        named.map(|(name, pool)| pool.usage(name)).into()
    }

    /// Waits for connections in use and closes all. On SQLite this folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        self.background.close().await;
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
    /// There is no SQLite file.
    #[error("there is no database file {}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// Whether the URL asks for one to be made, which migrations do.
        is_made: bool,
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
    /// A pool could not be made.
    #[error("the pool of connections cannot be made")]
    Pool(#[from] deadpool::managed::BuildError),
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
            Self::MissingFile { is_made: true, .. } => {
                "run `rollbook migrate up`, which makes it, or check the path in DATABASE_URL"
                    .to_owned()
            }
            Self::MissingFile { is_made: false, .. } => {
                "check the path in DATABASE_URL; for a new database add ?mode=rwc to it, and run `rollbook migrate up`"
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
            Self::Pool(_) => "check the settings ROLLBOOK_DATABASE_…".to_owned(),
            Self::TooOld { .. } => format!("use PostgreSQL {OLDEST_POSTGRES_MAJOR} or later"),
        }
    }
}

/// Opens the pools of a server. Fails where the database cannot be reached now, and makes none: that is for migrations.
/// When it goes away later, the pools recover by themselves.
pub async fn connect(settings: &DatabaseSettings) -> Result<Pools, ConnectError> {
    match settings.url.target()? {
        Target::Sqlite(file) => {
            require_file(&file)?;
            let writer = sqlite_options(&file)
                .create_if_missing(false)
                .journal_mode(SqliteJournalMode::Wal);
            let first = writer.connect().await;
            let first = first.map_err(|source| cannot_open(&file, source))?;
            let reader = read_only(sqlite_options(&file));
            let limits = PoolLimits {
                idle_timeout: None,
                max_lifetime: None,
                ..limits(settings)
            };
            let writer = Pool::new(Source::Sqlite(writer), limits.of_one())?;
            let storage = Storage::of_file(&file.path);
            let pools = Pools {
                storage: storage.map_err(|error| cannot_open(&file, error.into()))?,
                reader: Pool::new(Source::Sqlite(reader), limits)?,
                background: writer.clone(),
                writer,
            };
            close_first(first.close().await);
            Ok(pools)
        }
        Target::Postgres(options) => {
            let options = with_statement_timeout(*options, settings.statement_timeout);
            let options = with_application_name(options);
            look(&options, settings).await?;
            let limits = limits(settings);
            let pool = Pool::new(Source::Postgres(options.clone()), limits)?;
            Ok(Pools {
                storage: Storage::default(),
                reader: pool.clone(),
                writer: pool,
                background: Pool::new(Source::Postgres(options), limits.of_one())?,
            })
        }
    }
}

fn limits(settings: &DatabaseSettings) -> PoolLimits {
    PoolLimits {
        most: settings.max_connections,
        least: settings.min_connections.min(settings.max_connections),
        acquire_timeout: settings.acquire_timeout,
        idle_timeout: unless_zero(settings.idle_timeout),
        max_lifetime: unless_zero(settings.max_lifetime),
    }
}

/// The first connection shows that there is a database; the pools open their own.
fn close_first(closed: Result<(), sqlx::Error>) {
    if let Err(error) = closed {
        tracing::debug!(%error, "the first connection did not close cleanly");
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

/// Opens one connection to a database that is there, for a command that changes something beside the unit of work.
pub(crate) async fn connect_for_upkeep(
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    if let Target::Sqlite(file) = settings.url.target()? {
        require_file(&file)?;
    }
    connect_for_migrations(settings).await
}

/// Opens what one looks at before one migrates. Where there is no SQLite file and one is to be made, that is nothing: an
/// empty database in memory, so that a look leaves no file behind.
pub(super) async fn connect_before_migrations(
    settings: &DatabaseSettings,
) -> Result<DatabaseConnection, ConnectError> {
    match settings.url.target()? {
        Target::Sqlite(file) if file.create && !file.path.exists() => {
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(SqliteConnectOptions::new().in_memory(true))
                .await
                .map_err(|source| cannot_open(&file, source))?;
            Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
        }
        _ => connect_for_migrations(settings).await,
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
        Target::Sqlite(mut file) => {
            require_file(&file)?;
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
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(read_only(sqlite_options(file)))
        .await
        .map_err(|source| cannot_open(file, source))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Not opened read-only: a reader must be able to recover the write-ahead log after a crash.
fn read_only(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.create_if_missing(false).pragma("query_only", "ON")
}

fn sqlite_options(file: &SqliteFile) -> SqliteConnectOptions {
    file.options
        .clone()
        .shared_cache(false)
        .foreign_keys(true)
        // For the lists' `q`: it has to find the same on both backends.
        .with_regexp()
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
}

fn require_file(file: &SqliteFile) -> Result<(), ConnectError> {
    match file.path.exists() {
        true => Ok(()),
        false => Err(ConnectError::MissingFile {
            path: file.path.clone(),
            is_made: file.create,
        }),
    }
}

fn prepare_file(file: &SqliteFile) -> Result<(), ConnectError> {
    if !file.create {
        return require_file(file);
    }
    if let Some(directory) = file.path.parent() {
        fs::create_dir_all(directory).map_err(|source| ConnectError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    }
    // SQLite would make it as the umask says. Its log and its shared memory get the mode that the file has.
    if !file.path.exists() {
        let made = private_file().create(true).open(&file.path);
        made.map_err(|source| cannot_open(file, sqlx::Error::Io(source)))?;
    }
    Ok(())
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
    look(options, settings).await?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(settings.acquire_timeout)
        .connect_with(options.clone())
        .await
        .map_err(|source| ConnectError::Server {
            address: address(options),
            source,
        })?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Looks whether the server is there, and whether a connection to it is a session of its own.
async fn look(options: &PgConnectOptions, settings: &DatabaseSettings) -> Result<(), ConnectError> {
    let mut first = single(options, settings).await?;
    let mut second = single(options, settings).await?;
    let kept = session::is_kept(&mut first, &mut second, settings.connect_timeout).await;
    for connection in [first, second] {
        close_first(connection.close().await);
    }
    let address = address(options);
    match kept {
        Ok(true) => Ok(()),
        Ok(false) => Err(ConnectError::Shared { address }),
        Err(source) => Err(ConnectError::Server { address, source }),
    }
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
    use std::ops::ControlFlow;

    use sea_orm::{DbErr, QueryResult, Statement};
    use tempfile::{TempDir, tempdir};

    use super::*;

    fn settings(directory: &TempDir, file: &str) -> DatabaseSettings {
        let path = directory.path().join(file);
        let url = format!("sqlite://{}", path.display());
        DatabaseSettings::new(url.parse().expect("a good URL"))
    }

    async fn pragma(pool: &Pool, name: &str) -> String {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let mut found = String::new();
        let mut visit = |row: QueryResult| {
            found = row.try_get_by_index::<i64>(0).map_or_else(
                |_| row.try_get_by_index(0).expect("text"),
                |number| number.to_string(),
            );
            ControlFlow::Continue(())
        };
        pool.read(&statement, &mut visit).await.expect("answered");
        found
    }

    async fn run(pool: &Pool, sql: &str) -> Result<(), DbErr> {
        let statement = Statement::from_string(DbBackend::Sqlite, sql.to_owned());
        pool.read(&statement, &mut |_| ControlFlow::Continue(()))
            .await
    }

    #[tokio::test]
    async fn sqlite_is_opened_as_documented() {
        let directory = tempdir().expect("a directory");
        let settings = settings(&directory, "made/on/the/way.db?mode=rwc");
        let migrations = connect_for_migrations(&settings).await.expect("made");
        close(migrations).await;
        let pools = connect(&settings).await.expect("connected");
        for pool in [&pools.reader, &pools.writer] {
            assert_eq!(pragma(pool, "journal_mode").await, "wal");
            assert_eq!(pragma(pool, "foreign_keys").await, "1");
            assert_eq!(pragma(pool, "synchronous").await, "1");
            assert_eq!(pragma(pool, "busy_timeout").await, "5000");
        }
        let made = run(&pools.writer, "CREATE TABLE notes (body text)").await;
        made.expect("written");
        let read = run(&pools.reader, "SELECT body FROM notes").await;
        read.expect("read");
        let refused = run(&pools.reader, "INSERT INTO notes VALUES ('x')").await;
        assert!(refused.is_err(), "readers must not write");
        pools.close().await;
    }

    #[tokio::test]
    async fn a_missing_file_is_not_made_unasked() {
        let directory = tempdir().expect("a directory");
        let absent = settings(&directory, "absent.db");
        let to_be_made = settings(&directory, "absent.db?mode=rwc");
        for error in [
            connect(&absent).await.expect_err("refused"),
            connect(&to_be_made).await.expect_err("refused"),
            connect_for_migrations(&absent).await.expect_err("refused"),
            connect_for_examination(&to_be_made)
                .await
                .expect_err("refused"),
        ] {
            assert!(matches!(error, ConnectError::MissingFile { .. }), "{error}");
            assert!(error.hint().contains("`rollbook migrate up`"), "{error}");
        }
        assert!(!directory.path().join("absent.db").exists());
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
