//! Where the database is and how its pool behaves: flags and environment variables with their defaults.

use std::time::Duration;

use clap::Args;

use super::url::DatabaseUrl;
use crate::setting::{lifetime, timeout, whole};

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
