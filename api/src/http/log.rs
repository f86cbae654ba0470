//! The log: tracing to standard error, as lines for people or as one JSON object per line.
//!
//! Records of libraries that use `log` come through as well.

use std::{
    io::{IsTerminal, stderr},
    str::FromStr,
};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

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

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line per record, for people.
    #[default]
    Pretty,
    /// One JSON object per line, for collectors.
    Json,
}

/// What is logged: a list of directives that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

/// Why a text is not a [`LogFilter`].
#[derive(Debug, thiserror::Error)]
#[error("must be a level (off, error, warn, info, debug, trace) or a list such as info,sqlx=debug")]
pub struct LogFilterError;

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A single word that is no level would be the name of a target, and silence all others: "inof" logs nothing.
        let unclear = |directive: &str| {
            let directive = directive.trim();
            directive.is_empty()
                || !directive.contains(['=', '[']) && directive.parse::<LevelFilter>().is_err()
        };
        if text.split(',').any(unclear) || EnvFilter::try_new(text).is_err() {
            return Err(LogFilterError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl LogFilter {
    fn directives(&self) -> EnvFilter {
        // PostgreSQL notices each IF NOT EXISTS; its warnings stay. What cannot be read as HTTP is answered 400 by the
        // parser, which calls it an error: anybody could fill the log with those. A directive of the operator for one of
        // them comes later and wins.
        let quiet = "sqlx::postgres::notice=warn,actix_http::h1::dispatcher=off,actix_http::h1::decoder=off";
        EnvFilter::new(format!("{quiet},{}", self.0))
    }
}

/// Logs to standard error from now on.
pub fn start(filter: &LogFilter, format: LogFormat) -> Result<(), TryInitError> {
    tracing_subscriber::registry()
        .with(standard_error(format).with_filter(filter.directives()))
        .try_init()
}

fn standard_error(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    // Complaints about a closed standard error would go to standard error, and panic there.
    let layer = fmt::layer().with_writer(stderr).log_internal_errors(false);
    match format {
        LogFormat::Pretty => layer.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_directives() {
        for text in [
            "info",
            "OFF",
            "info,sqlx=debug",
            "api[request]=trace",
            "warn,api=debug",
        ] {
            assert!(text.parse::<LogFilter>().is_ok(), "{text}");
        }
        for text in [
            "",
            "inof",
            "info,sqlx",
            "api=loud",
            "warn, api=debug",
            "=,=",
        ] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
    }
}
