//! `DATABASE_URL`, checked when it is read and never shown: it may hold a password.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use migration::without_brackets;
use sea_orm::sqlx::{
    self, ConnectOptions, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// What a PostgreSQL URL may ask for. Others would be ignored by the driver, and a misspelt `sslmode` must not be.
const POSTGRES_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The URL of a database that Rollbook can use.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

/// Why a text is not a [`DatabaseUrl`]. Never holds the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DatabaseUrlError {
    /// Another database, or no URL at all.
    #[error("must begin with sqlite: or postgres: (or postgresql:)")]
    Scheme,
    /// SQLite's memory databases belong to one connection.
    #[error(
        "cannot be a SQLite database in memory, because readers and the writer are separate connections: name a file"
    )]
    InMemory,
    /// No path after `sqlite:`.
    #[error("names no file: write sqlite://data/rollbook.db?mode=rwc")]
    NoFile,
    /// `mode=ro` or `immutable=true`.
    #[error("cannot be read-only: leave out mode=ro and immutable")]
    ReadOnly,
    /// A parameter that the driver would ignore.
    #[error("has the unknown parameter {0}")]
    UnknownParameter(String),
    /// `statement-cache-capacity=0`: the driver gives each statement a name all the same, and never takes it back.
    #[error(
        "must have a statement-cache-capacity of at least 1: without the cache each statement stays prepared on the server"
    )]
    NoStatementCache,
    /// The driver does not understand it.
    #[error(
        "cannot be read ({0}); special characters in the user name and the password are written as %40 for @, %2F for / and so on"
    )]
    Unreadable(String),
}

/// What a [`DatabaseUrl`] points to.
pub(super) enum Target {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteFile>),
}

/// A SQLite database file.
pub(super) struct SqliteFile {
    pub(super) options: SqliteConnectOptions,
    pub(super) path: PathBuf,
    pub(super) create: bool,
}

impl DatabaseUrl {
    /// The URL itself, for a client that needs it whole.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Whether it names a PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.target(), Ok(Target::Postgres(_)))
    }

    /// The file, where it names one.
    pub fn file(&self) -> Option<PathBuf> {
        match self.target() {
            Ok(Target::Sqlite(file)) => Some(file.path),
            _ => None,
        }
    }

    /// Which database it is, for the log and for people: everything of the URL but what may be secret.
    pub fn shown(&self) -> String {
        match self.target() {
            Ok(Target::Sqlite(file)) => {
                let path = std::path::absolute(&file.path).unwrap_or(file.path);
                format!("the SQLite file {}", path.display())
            }
            Ok(Target::Postgres(options)) => {
                let user = options.get_username();
                format!(
                    "the PostgreSQL database {} at {} as {user}",
                    options.get_database().unwrap_or(user),
                    address(&options)
                )
            }
            Err(_) => "a database that cannot be named".to_owned(),
        }
    }

    /// The same, as PostgreSQL's own programs take it.
    pub fn postgres_environment(&self) -> PostgresEnvironment {
        let Ok(Target::Postgres(options)) = self.target() else {
            return PostgresEnvironment(Vec::new());
        };
        PostgresEnvironment::of(&options, self.0.expose_secret())
    }

    pub(super) fn target(&self) -> Result<Target, DatabaseUrlError> {
        let text = self.0.expose_secret();
        match text.split_once(':') {
            Some(("sqlite", _)) => Ok(Target::Sqlite(Box::new(sqlite_file(text)?))),
            Some(("postgres" | "postgresql", _)) => {
                let url = Url::parse(text)
                    .map_err(|error| unreadable(sqlx::Error::Configuration(error.into())))?;
                let options =
                    PgConnectOptions::from_url(&with_plain_host(url)).map_err(unreadable)?;
                check_parameters(text)?;
                Ok(Target::Postgres(Box::new(options)))
            }
            _ => Err(DatabaseUrlError::Scheme),
        }
    }
}

/// A connection as the environment variables of libpq.
#[derive(Debug)]
pub struct PostgresEnvironment(Vec<(&'static str, SecretString)>);

impl PostgresEnvironment {
    fn of(options: &PgConnectOptions, url: &str) -> Self {
        let mut variables = Vec::new();
        let host = match options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => options.get_host().to_owned(),
        };
        variables.push(("PGHOST", host));
        variables.push(("PGPORT", options.get_port().to_string()));
        variables.push(("PGUSER", options.get_username().to_owned()));
        let database = options.get_database().unwrap_or(options.get_username());
        variables.push(("PGDATABASE", database.to_owned()));
        let Ok(parsed) = Url::parse(url) else {
            return Self(Vec::new());
        };
        if let Some(password) = parsed.password() {
            let decoded = percent_encoding::percent_decode_str(password);
            variables.push(("PGPASSWORD", decoded.decode_utf8_lossy().into_owned()));
        }
        for (name, value) in parsed.query_pairs() {
            let variable = match name.as_ref() {
                "password" => "PGPASSWORD",
                "sslmode" | "ssl-mode" => "PGSSLMODE",
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
                "sslcert" | "ssl-cert" => "PGSSLCERT",
                "sslkey" | "ssl-key" => "PGSSLKEY",
                _ => continue,
            };
            variables.push((variable, value.into_owned()));
        }
        let secret = |(name, value): (_, String)| (name, value.into());
        Self(variables.into_iter().map(secret).collect())
    }

    /// Each variable with its value.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &SecretString)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        let mut variables = self.0.iter();
        let database = variables.find(|(name, _)| *name == "PGDATABASE");
        database.map_or("", |(_, value)| value.expose_secret())
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Self(text.into());
        url.target()?;
        Ok(url)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DatabaseUrl([redacted])")
    }
}

/// Names the host as resolvers take it. The brackets around an IPv6 address and percent-encoding are the URL's (RFC 3986,
/// 3.2.2), and the driver leaves both where they are. A host among the parameters goes before, as it always does.
fn with_plain_host(mut url: Url) -> Url {
    let decoded = |name: &str| {
        let name = percent_encoding::percent_decode_str(name).decode_utf8();
        name.ok().map(|name| name.into_owned())
    };
    let host = match url.host() {
        Some(Host::Ipv6(address)) => Some(address.to_string()),
        Some(Host::Domain(name)) if !name.is_empty() => decoded(name),
        _ => None,
    };
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let parameters = parameters.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "host" => without_brackets(&value).to_owned(),
            _ => value,
        };
        (name, value)
    });
    let host = host.map(|host| ("host".to_owned(), host));
    let parameters: Vec<(String, String)> = host.into_iter().chain(parameters).collect();
    url.query_pairs_mut().clear().extend_pairs(parameters);
    url
}

/// Where a PostgreSQL is, as people read it: its socket, or host and port.
pub(super) fn address(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        // Without the brackets the port would be a part of the address.
        None if host.contains(':') => format!("[{host}]:{port}"),
        None => format!("{host}:{port}"),
    }
}

fn sqlite_file(text: &str) -> Result<SqliteFile, DatabaseUrlError> {
    let options: SqliteConnectOptions = text.parse().map_err(unreadable)?;
    let path = options.get_filename().to_owned();
    let asks = |parameter: &str| parameters(text).any(|pair| pair == parameter);
    // A name that begins with "file:" is a URI to SQLite and could say all of this again.
    if text.contains(":memory:") || asks("mode=memory") || path.starts_with("file:") {
        return Err(DatabaseUrlError::InMemory);
    }
    if path == Path::new("") || path == Path::new("/") {
        return Err(DatabaseUrlError::NoFile);
    }
    if asks("mode=ro") || asks("immutable=true") || asks("immutable=1") {
        return Err(DatabaseUrlError::ReadOnly);
    }
    let create = asks("mode=rwc");
    Ok(SqliteFile {
        options,
        path,
        create,
    })
}

fn check_parameters(text: &str) -> Result<(), DatabaseUrlError> {
    for pair in parameters(text) {
        let name = pair.split('=').next().unwrap_or_default();
        let known = POSTGRES_PARAMETERS.contains(&name)
            || name.starts_with("options[")
            || name.starts_with("options%5B");
        if pair == "statement-cache-capacity=0" {
            return Err(DatabaseUrlError::NoStatementCache);
        }
        if known || name.is_empty() {
            continue;
        }
        // Anything but a word may be the rest of a password with a question mark in it.
        let is_word = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        return Err(match is_word {
            true => DatabaseUrlError::UnknownParameter(name.to_owned()),
            false => DatabaseUrlError::Unreadable("invalid parameters".to_owned()),
        });
    }
    Ok(())
}

fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let query = text.split_once('?').map_or("", |(_, query)| query);
    query.split('&')
}

fn unreadable(error: sqlx::Error) -> DatabaseUrlError {
    let reason = error.to_string();
    let reason = reason.trim_start_matches("error with configuration: ");
    DatabaseUrlError::Unreadable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<DatabaseUrlError> {
        text.parse::<DatabaseUrl>().err()
    }

    #[test]
    fn files_and_servers_are_taken() {
        for text in [
            "sqlite://data/rollbook.db?mode=rwc",
            "sqlite:rollbook.db",
            "sqlite:///var/lib/rollbook/rollbook.db?mode=rw",
            "postgres://localhost/rollbook",
            "postgresql://u:p%40ss@db.example:5433/rollbook?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgres:///rollbook?host=/run/postgresql",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }

    /// Host, address in messages, and what libpq is told.
    fn host(text: &str) -> (String, String, String) {
        let url: DatabaseUrl = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let Ok(Target::Postgres(options)) = url.target() else {
            panic!("{text} is PostgreSQL");
        };
        let environment = url.postgres_environment();
        let mut variables = environment.variables();
        let told = variables.find(|(name, _)| *name == "PGHOST");
        let told = told.expect("a host").1.expose_secret().to_owned();
        (options.get_host().to_owned(), address(&options), told)
    }

    #[test]
    fn the_brackets_and_the_encoding_of_a_host_are_the_urls() {
        for (text, expected, shown) in [
            ("postgres://u:p@[::1]:5432/db", "::1", "[::1]:5432"),
            (
                "postgresql://u@[2001:DB8:0::7]/db",
                "2001:db8::7",
                "[2001:db8::7]:5432",
            ),
            (
                "postgres://[::ffff:192.0.2.1]:1/db",
                "::ffff:192.0.2.1",
                "[::ffff:192.0.2.1]:1",
            ),
            (
                "postgres://[::1]:1/db?sslmode=require&host=::2",
                "::2",
                "[::2]:1",
            ),
            ("postgres:///db?user=u&host=[::1]&port=7", "::1", "[::1]:7"),
            (
                "postgres:///db?hostaddr=fe80::1",
                "fe80::1",
                "[fe80::1]:5432",
            ),
            (
                "postgres://u@db%2Dnorth.example:1/db",
                "db-north.example",
                "db-north.example:1",
            ),
            ("postgres://u@192.0.2.1:1/db", "192.0.2.1", "192.0.2.1:1"),
        ] {
            let (host, address, told) = host(text);
            assert_eq!(
                (host.as_str(), address.as_str()),
                (expected, shown),
                "{text}"
            );
            assert_eq!(told, expected, "{text}");
        }
        for text in [
            "postgres://u:hunter2@[::1/db",
            "postgres://u:hunter2@[::g]/db",
        ] {
            assert!(
                matches!(refusal(text), Some(DatabaseUrlError::Unreadable(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_database_is_named_without_its_secrets() {
        let shown = |text: &str| text.parse::<DatabaseUrl>().expect("good").shown();
        assert_eq!(
            shown("postgres://rollbook:hunter2@[::1]:5433/trail?password=hunter2&sslmode=require"),
            "the PostgreSQL database trail at [::1]:5433 as rollbook"
        );
        let file = std::path::absolute("data/rollbook.db").expect("a path");
        assert_eq!(
            shown("sqlite://data/rollbook.db?mode=rwc"),
            format!("the SQLite file {}", file.display())
        );
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        use DatabaseUrlError::*;
        for (text, expected) in [
            ("", Scheme),
            ("mysql://localhost/rollbook", Scheme),
            ("data/rollbook.db", Scheme),
            ("sqlite::memory:", InMemory),
            ("sqlite://shared?mode=memory&cache=shared", InMemory),
            ("sqlite://", NoFile),
            ("sqlite://data/rollbook.db?mode=ro", ReadOnly),
            (
                "postgres://localhost/rollbook?sslmod=require",
                UnknownParameter("sslmod".to_owned()),
            ),
        ] {
            assert_eq!(refusal(text), Some(expected), "{text}");
        }
        assert_eq!(
            refusal("postgres://host/db?statement-cache-capacity=0"),
            Some(NoStatementCache)
        );
        assert!(matches!(
            refusal("postgres://u:p/w@host/db"),
            Some(Unreadable(_))
        ));
        assert!(matches!(
            refusal("postgres://host/db?sslmode=maybe"),
            Some(Unreadable(_))
        ));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_password() {
        let url: DatabaseUrl = "postgres://rollbook:hunter2hunter2@localhost/rollbook"
            .parse()
            .expect("good");
        assert!(!format!("{url:?}").contains("hunter2"));
        for text in [
            "postgres://u:hunter2/x@host/db",
            "postgress://u:hunter2@host/db",
            "postgres://u:hunter2@host:port/db",
            "postgres://u:hunter2@host/db?sslmode=maybe",
            "postgres://u:hunter2@host/db?colour=red",
            "postgres://u:12?hunter2@host/db",
        ] {
            let error = refusal(text).expect("refused");
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
