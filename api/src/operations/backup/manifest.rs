//! What a backup has to have in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use entity::events;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryOrder, QuerySelect};
use sea_orm_migration::IntoSchemaManagerConnection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::access::tenancy::{Reason, all_rows};
use crate::database::Migrations;
use crate::operations::migration::History;
use crate::operations::schema::{self, fingerprint};
use crate::operations::{count_rows, data_tables};
use crate::values::clock;
use crate::values::credential::hexadecimal;

pub(super) const SQLITE: &str = "sqlite";
pub(super) const POSTGRES: &str = "postgres";

/// What a backup has in it; a JSON file beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version that made it.
    pub rollbook: String,
    /// `sqlite` or `postgres`.
    pub backend: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// The migrations that were applied, in their order.
    pub migrations: Vec<String>,
    /// The fingerprint of the schema as it was, drift and all.
    pub schema: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// The newest event.
    pub last_event: Option<LastEvent>,
    /// The size of the backup.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// The newest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// Its id.
    pub id: Uuid,
    /// Its time.
    pub event_timestamp: DateTime<Utc>,
}

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It could not be read.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is not what a manifest is.
    #[error("it is no manifest")]
    Malformed(#[from] serde_json::Error),
}

impl Manifest {
    /// The manifest's place beside a backup.
    pub fn path(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".manifest.json");
        PathBuf::from(name)
    }

    /// What a database has in it, as it is seen in one transaction; the file is not measured yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn of<'c, C>(connection: &'c C) -> Result<Self, DbErr>
    where
        C: ConnectionTrait,
        &'c C: IntoSchemaManagerConnection<'c>,
    {
        let mut rows = BTreeMap::new();
        for table in data_tables(connection).await? {
            let found = count_rows(connection, &table).await?;
            rows.insert(table, found);
        }
        // An older schema may have none.
        let last_event = match rows.contains_key("events") {
            true => last_event(connection).await?,
            false => None,
        };
        let backend = match connection.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        Ok(Self {
            rollbook: env!("CARGO_PKG_VERSION").to_owned(),
            backend: backend.to_owned(),
            made_at: clock::now(),
            // Whichever this build knows.
            migrations: History::read(&Migrations::default(), connection)
                .await?
                .applied(),
            schema: fingerprint(&schema::read(connection).await?),
            rows,
            last_event,
            bytes: 0,
            sha256: String::new(),
        })
    }

    /// Takes size and hash of a file in.
    pub(super) fn measure(&mut self, file: &Path) -> io::Result<()> {
        let mut hash = Hasher(Sha256::new());
        self.bytes = io::copy(&mut File::open(file)?, &mut hash)?;
        self.sha256 = hexadecimal(&hash.0.finalize());
        Ok(())
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }

    pub(super) fn read(path: &Path) -> Result<Self, ManifestError> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// What another database has otherwise.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        for (table, rows) in &self.rows {
            let there = found.rows.get(table).copied().unwrap_or_default();
            if there != *rows {
                return Some(format!("{table} has {there} rows instead of {rows}"));
            }
        }
        if self.migrations != found.migrations {
            return Some("its migrations are others".to_owned());
        }
        if self.schema != found.schema {
            return Some("its schema is another one".to_owned());
        }
        (self.last_event != found.last_event).then(|| "its last event is another one".to_owned())
    }
}

async fn last_event(connection: &impl ConnectionTrait) -> Result<Option<LastEvent>, DbErr> {
    let newest = all_rows::<events::Entity>(Reason::System)
        .select_only()
        .columns([events::Column::Id, events::Column::EventTimestamp])
        .order_by_desc(events::Column::EventTimestamp)
        .order_by_desc(events::Column::Id)
        .into_tuple::<(Uuid, DateTime<Utc>)>()
        .one(connection)
        .await?;
    Ok(newest.map(|(id, event_timestamp)| LastEvent {
        id,
        event_timestamp,
    }))
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
