//! A database of its own for each test, on either backend, gone with the test.
//!
//! Migrating takes longer than copying: PostgreSQL copies a migrated template that all test processes share, SQLite
//! the bytes of a migrated file.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    env, fs,
    hash::{Hash, Hasher},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use api::{
    Product,
    database::{DatabaseSettings, Migrations, connect_for_examination},
    operations::{
        Progress,
        doctor::{self, Options, Report},
        migration::fingerprint,
    },
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    sqlx::sqlite::SqliteJournalMode,
};
use sea_orm_migration::MigratorTraitSelf;
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuid::Uuid;

/// The environment variable that names the PostgreSQL server, as a URL to one of its databases.
const SERVER: &str = "ROLLBOOK_TEST_POSTGRES";

/// One of the two databases that everything must work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// An id as an SQL literal.
    pub fn id(self, id: Uuid) -> String {
        match self {
            Self::Sqlite => format!("x'{}'", id.simple()),
            Self::Postgres => format!("'{id}'"),
        }
    }
}

/// A database that a test has to itself.
pub struct TestDatabase {
    backend: Backend,
    url: String,
    storage: Storage,
}

enum Storage {
    /// The directory that goes with the value.
    Sqlite { _directory: TempDir },
    /// The name of the database on the server.
    Postgres { name: String },
}

impl TestDatabase {
    /// A database without a table.
    pub async fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::sqlite(None),
            Backend::Postgres => Self::postgres(None).await,
        }
    }

    /// A database with every migration of Rollbook applied.
    pub async fn migrated(backend: Backend) -> Self {
        Self::of(&Product::default().migrations, backend).await
    }

    /// A database with all of these migrations applied.
    pub async fn of(migrations: &Migrations, backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::sqlite(Some(&sqlite_template(migrations).await)),
            Backend::Postgres => {
                let template = postgres_template(migrations).await;
                Self::postgres(Some(&template)).await
            }
        }
    }

    /// A PostgreSQL of locale `C`, whose own folding knows the letters A to Z, with every migration applied.
    pub async fn of_locale_c() -> Self {
        let options = "template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'";
        let database = Self::postgres(Some(options)).await;
        let connection = database.connect().await;
        migrate(&Product::default().migrations, &connection).await;
        close(connection).await;
        database
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// What the server or a migration takes as `DATABASE_URL`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A single connection of its own, for raw SQL.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// What doctor finds, on connections of its own.
    pub async fn examine(&self, product: &Product, options: &Options) -> Report {
        let settings = DatabaseSettings::new(self.url.parse().expect("the test's URL"));
        let connection = connect_for_examination(&settings).await;
        let connection = connection.expect("the test's database");
        let report = doctor::examine(product, &connection, options, Progress::silent()).await;
        close(connection).await;
        report.expect("doctor's report")
    }

    fn sqlite(template: Option<&[u8]>) -> Self {
        let directory = TempDir::with_prefix("rollbook-test-").expect("a temporary directory");
        let file = directory.path().join("rollbook.db");
        if let Some(template) = template {
            fs::write(&file, template).expect("a copy of the template");
        }
        Self {
            backend: Backend::Sqlite,
            url: sqlite_url(&file),
            storage: Storage::Sqlite {
                _directory: directory,
            },
        }
    }

    async fn postgres(template: Option<&str>) -> Self {
        let name = format!("rollbook_test_{}", Uuid::now_v7().simple());
        let template = template.unwrap_or("template1");
        let server = connect(&server_url()).await;
        run(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        close(server).await;
        Self {
            backend: Backend::Postgres,
            url: url_of(&name),
            storage: Storage::Postgres { name },
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Storage::Postgres { name } = &self.storage else {
            return;
        };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // Dropping is not async, and the test's runtime may be on its way out.
        let dropped = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime to clean up in")
                .block_on(async {
                    let server = connect(&server_url()).await;
                    run(&server, &statement).await;
                    close(server).await;
                });
        })
        .join();
        // A second panic while a test unwinds would abort the whole run and hide the first.
        if dropped.is_err() && !thread::panicking() {
            panic!("the database {name} could not be dropped");
        }
    }
}

/// The bytes of migrated files, by the hash of their migrations.
async fn sqlite_template(migrations: &Migrations) -> Arc<Vec<u8>> {
    static TEMPLATES: Mutex<BTreeMap<u64, Arc<Vec<u8>>>> = Mutex::const_new(BTreeMap::new());
    let hash = hash_of(migrations, DbBackend::Sqlite).await;
    let mut templates = TEMPLATES.lock().await;
    if let Some(template) = templates.get(&hash) {
        return template.clone();
    }
    let directory = TempDir::with_prefix("rollbook-template-").expect("a temporary directory");
    let file = directory.path().join("template.db");
    let connection = connect(&sqlite_url(&file)).await;
    migrate(migrations, &connection).await;
    close(connection).await;
    let template = Arc::new(fs::read(&file).expect("the migrated template"));
    templates.insert(hash, template.clone());
    template
}

/// The name of a database that is made once for all test processes.
async fn postgres_template(migrations: &Migrations) -> String {
    static MADE: Mutex<BTreeSet<String>> = Mutex::const_new(BTreeSet::new());
    let hash = hash_of(migrations, DbBackend::Postgres).await;
    let name = format!("rollbook_template_{hash:016x}");
    let mut made = MADE.lock().await;
    if !made.insert(name.clone()) {
        return name;
    }
    let server = connect(&server_url()).await;
    // Test processes start at once; one makes the template, the others wait for it.
    run(&server, "SELECT pg_advisory_lock(7240151)").await;
    // A template that takes connections is one whose making was broken off.
    let finished = format!(
        "SELECT datname::text FROM pg_database WHERE datname = '{name}' AND NOT datallowconn"
    );
    if text_rows(&server, &finished).await.is_empty() {
        run(&server, &format!("DROP DATABASE IF EXISTS {name}")).await;
        run(&server, &format!("CREATE DATABASE {name}")).await;
        let connection = connect(&url_of(&name)).await;
        migrate(migrations, &connection).await;
        close(connection).await;
        run(
            &server,
            &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        )
        .await;
    }
    close(server).await;
    name
}

async fn migrate(migrations: &Migrations, connection: &DatabaseConnection) {
    let applied = migrations.up(connection, None).await;
    applied.expect("the migrations to apply");
}

/// Tells one schema's template from another's on a server that outlives a run: by what the migrations do.
async fn hash_of(migrations: &Migrations, backend: DbBackend) -> u64 {
    let mut hasher = DefaultHasher::new();
    for migration in migrations.all() {
        let fingerprint = fingerprint(migration.as_ref(), backend).await;
        fingerprint
            .expect("what a migration does")
            .hash(&mut hasher);
    }
    hasher.finish()
}

fn server_url() -> String {
    env::var(SERVER).unwrap_or_else(|_| panic!("run `make test`, or set {SERVER}"))
}

/// The URL of another database of the server.
fn url_of(name: &str) -> String {
    let server = server_url();
    let (address, options) = match server.split_once('?') {
        Some((address, options)) => (address.to_owned(), format!("?{options}")),
        None => (server, String::new()),
    };
    let (host, _) = address.rsplit_once('/').unwrap_or_else(|| {
        panic!("{SERVER} names no database: postgres://user@host:port/postgres")
    });
    format!("{host}/{name}{options}")
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(10))
        });
    Database::connect(options)
        .await
        .unwrap_or_else(|error| panic!("no connection to a test database: {error}"))
}

async fn close(connection: DatabaseConnection) {
    connection.close().await.expect("the connection to close");
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    execute(connection, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Runs SQL as it stands, one statement or several.
pub async fn execute(connection: &DatabaseConnection, sql: &str) -> Result<(), DbErr> {
    connection.execute_unprepared(sql).await.map(|_| ())
}

/// The first column of each row of a query, which must be text.
pub async fn text_rows(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), sql);
    connection
        .query_all_raw(statement)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .iter()
        .map(|row| {
            row.try_get_by_index(0)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        })
        .collect()
}
