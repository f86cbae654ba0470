//! How the server listens, and the limits it keeps: flags and environment variables with their defaults.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};

use crate::setting::{cores, listen_address, timeout, whole, yes_or_no};

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
