//! The settings: each is a flag and an environment variable with a default, parsed once into a type that cannot be wrong.
//!
//! `.env.example` and `docs/configuration.md` describe the same list; a test below compares the former.

use std::{net::SocketAddr, thread::available_parallelism, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    core::log::{LogFilter, LogFormat},
    database::DatabaseUrl,
};

/// A day: no request, connection attempt or shutdown of ours sensibly takes longer.
const LONGEST_TIMEOUT: u64 = 86_400;
/// A year: the longest life or idleness of a connection that can be asked for.
const LONGEST_LIFETIME: u64 = 31_536_000;

/// Where the database is and how its pool behaves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// The database, as sqlite://FILE?mode=rwc or postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full
    #[arg(
        id = "database_url",
        long = "database-url",
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://data/rollbook.db?mode=rwc",
        hide_env_values = true,
        global = true
    )]
    pub url: DatabaseUrl,

    /// Most connections for requests; beside them PostgreSQL gets one for background work, SQLite the one writer
    #[arg(
        hide_short_help = true,
        long = "database-max-connections",
        env = "ROLLBOOK_DATABASE_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 16,
        value_parser = whole::<u32>(1, 10_000),
        global = true
    )]
    pub max_connections: u32,

    /// Connections that are kept open even when nothing uses them
    #[arg(
        hide_short_help = true,
        long = "database-min-connections",
        env = "ROLLBOOK_DATABASE_MIN_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 0,
        value_parser = whole::<u32>(0, 10_000),
        global = true
    )]
    pub min_connections: u32,

    /// Longest wait for a free connection, before the answer is 503
    #[arg(
        hide_short_help = true,
        long = "database-acquire-timeout",
        env = "ROLLBOOK_DATABASE_ACQUIRE_TIMEOUT",
        value_name = "SECONDS",
        default_value = "3",
        value_parser = timeout,
        global = true
    )]
    pub acquire_timeout: Duration,

    /// How long an unused connection stays open; 0: for ever (PostgreSQL)
    #[arg(
        hide_short_help = true,
        long = "database-idle-timeout",
        env = "ROLLBOOK_DATABASE_IDLE_TIMEOUT",
        value_name = "SECONDS",
        default_value = "600",
        value_parser = lifetime,
        global = true
    )]
    pub idle_timeout: Duration,

    /// How long a connection lives before it is replaced; 0: for ever (PostgreSQL)
    #[arg(
        hide_short_help = true,
        long = "database-max-lifetime",
        env = "ROLLBOOK_DATABASE_MAX_LIFETIME",
        value_name = "SECONDS",
        default_value = "1800",
        value_parser = lifetime,
        global = true
    )]
    pub max_lifetime: Duration,

    /// Longest wait for an answer to one try to connect at start (PostgreSQL)
    #[arg(
        hide_short_help = true,
        long = "database-connect-timeout",
        env = "ROLLBOOK_DATABASE_CONNECT_TIMEOUT",
        value_name = "SECONDS",
        default_value = "10",
        value_parser = timeout,
        global = true
    )]
    pub connect_timeout: Duration,

    /// The server aborts a statement that runs longer; 0: never, as PgBouncer needs it (PostgreSQL, not for migrations)
    #[arg(
        hide_short_help = true,
        long = "database-statement-timeout",
        env = "ROLLBOOK_DATABASE_STATEMENT_TIMEOUT",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = lifetime,
        global = true
    )]
    pub statement_timeout: Duration,

    /// How long the first connection is tried again where the database is away; 0: once (PostgreSQL)
    #[arg(
        hide_short_help = true,
        long = "database-connect-retry",
        env = "ROLLBOOK_DATABASE_CONNECT_RETRY",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = lifetime,
        global = true
    )]
    pub connect_retry: Duration,

    /// Longest wait for another process that migrates
    #[arg(
        hide_short_help = true,
        long = "migration-lock-timeout",
        env = "ROLLBOOK_MIGRATION_LOCK_TIMEOUT",
        value_name = "SECONDS",
        default_value = "300",
        value_parser = timeout,
        global = true
    )]
    pub migration_lock_timeout: Duration,
}

impl DatabaseSettings {
    /// The default settings for a database.
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            max_connections: 16,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(1800),
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            connect_retry: Duration::from_secs(30),
            migration_lock_timeout: Duration::from_secs(300),
        }
    }
}

/// What a database is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// To develop and to try: its data may be lost.
    #[default]
    Development,
    /// To rely on: what would destroy its data wants to be told twice.
    Production,
}

/// What the database is for.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Safety")]
pub struct EnvironmentSettings {
    /// What the database is for; in production, what destroys data has to be confirmed, and nothing is made up
    #[arg(
        long = "env",
        env = "ROLLBOOK_ENV",
        value_name = "ENVIRONMENT",
        default_value = "development",
        value_enum,
        global = true
    )]
    pub environment: Environment,
}

/// How the server listens, and the limits it keeps.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServeSettings {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "ROLLBOOK_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    pub listen: SocketAddr,

    /// Threads that answer requests [default: one per core]
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_WORKERS",
        value_name = "COUNT",
        default_value_t = cores(),
        hide_default_value = true,
        value_parser = whole::<usize>(1, 1024)
    )]
    pub workers: usize,

    /// Longest time to answer a request, before the answer is 504
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_REQUEST_TIMEOUT",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = timeout
    )]
    pub request_timeout: Duration,

    /// Longest time a client may take to send a request's body
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_BODY_TIMEOUT",
        value_name = "SECONDS",
        default_value = "10",
        value_parser = timeout
    )]
    pub body_timeout: Duration,

    /// Largest body of a request, before the answer is 413
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_BODY_LIMIT",
        value_name = "BYTES",
        default_value_t = 1_048_576,
        value_parser = whole::<usize>(1024, 1_073_741_824)
    )]
    pub body_limit: usize,

    /// How long requests in flight may take to finish after SIGTERM or SIGINT
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_SHUTDOWN_TIMEOUT",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = timeout
    )]
    pub shutdown_timeout: Duration,

    /// How many passwords are hashed at once; each takes a core and 19 MiB for its time [default: one per core]
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_PASSWORD_HASHERS",
        value_name = "COUNT",
        default_value_t = cores(),
        hide_default_value = true,
        value_parser = whole::<usize>(1, 1024)
    )]
    pub password_hashers: usize,

    /// Apply pending migrations before listening
    #[arg(
        long,
        env = "ROLLBOOK_MIGRATE",
        value_parser = yes_or_no
    )]
    pub migrate: bool,

    /// What to do where the schema is not what the migrations make: warn and go on, refuse to start, or not look
    #[arg(
        hide_short_help = true,
        long,
        env = "ROLLBOOK_SCHEMA_DRIFT",
        value_name = "POLICY",
        default_value = "warn",
        value_enum
    )]
    pub schema_drift: SchemaDriftPolicy,
}

/// What a start makes of a schema that is not what the migrations make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SchemaDriftPolicy {
    /// It is logged.
    #[default]
    Warn,
    /// The server does not start.
    Refuse,
    /// Nobody looks.
    Ignore,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: cores(),
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            body_limit: 1_048_576,
            shutdown_timeout: Duration::from_secs(30),
            password_hashers: cores(),
            migrate: false,
            schema_drift: SchemaDriftPolicy::default(),
        }
    }
}

/// What is logged to standard error, and in which form.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// What is logged: error, warn, info, debug, trace or off, and TARGET=LEVEL for a part, separated by commas
    #[arg(
        hide_short_help = true,
        id = "log_filter",
        long = "log",
        env = "ROLLBOOK_LOG",
        value_name = "FILTER",
        default_value = "info",
        global = true
    )]
    pub filter: LogFilter,

    /// The form of the log: lines for people, or one JSON object per line
    #[arg(
        hide_short_help = true,
        id = "log_format",
        long = "log-format",
        env = "ROLLBOOK_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "pretty",
        value_enum,
        global = true
    )]
    pub format: LogFormat,
}

#[derive(Debug, thiserror::Error)]
enum NotAllowed {
    #[error("must be a whole number from {least} to {most}")]
    Whole { least: u64, most: u64 },
    #[error("must be true or false")]
    YesOrNo,
    #[error(
        "must be a number of seconds, more than 0 and at most {LONGEST_TIMEOUT}, such as 3 or 0.5"
    )]
    Timeout,
    #[error(
        "must be a number of seconds, at most {LONGEST_LIFETIME}, such as 600, or 0 for no limit"
    )]
    Lifetime,
    #[error("must be an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")]
    ListenAddress,
}

fn whole<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, NotAllowed> + Clone + Send + Sync {
    move |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or(NotAllowed::Whole { least, most })
    }
}

fn yes_or_no(text: &str) -> Result<bool, NotAllowed> {
    text.parse().map_err(|_| NotAllowed::YesOrNo)
}

fn timeout(text: &str) -> Result<Duration, NotAllowed> {
    match seconds(text, LONGEST_TIMEOUT) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(NotAllowed::Timeout),
    }
}

fn lifetime(text: &str) -> Result<Duration, NotAllowed> {
    seconds(text, LONGEST_LIFETIME).ok_or(NotAllowed::Lifetime)
}

fn seconds(text: &str, most: u64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    (duration <= Duration::from_secs(most)).then_some(duration)
}

fn listen_address(text: &str) -> Result<SocketAddr, NotAllowed> {
    text.parse().map_err(|_| NotAllowed::ListenAddress)
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests;
