//! What a database error means: whose fault it is, whether to try again, and which constraint spoke.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// What is said of a full disk.
pub const FULL: &str = "Disk full: the disk of the database takes nothing more, so nothing was changed. Its operator has to make space.";
/// What is said of a file that is gone.
pub const LOST: &str = "The database file was removed or replaced while the server ran, so nothing is read or written. Restart the server on the file that is meant.";

/// What to do about a database error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A unique constraint refused it; the constraint's name (PostgreSQL) or its columns as `table.column` (SQLite).
    Unique(String),
    /// Another transaction was in the way: deadlock, serialization. The same transaction may succeed the next time.
    Contention,
    /// The database cannot be reached, or no connection was free in time.
    Unreachable,
    /// The disk of the database is full, or takes nothing for another reason.
    Full,
    /// The file of the database is another one than was opened, or gone.
    Lost,
    /// It took longer than a statement may, or somebody cancelled it.
    CutShort,
    /// Anything else: a fault of the program or of the data.
    Other,
}

/// Classifies a database error.
pub fn classify(error: &DbErr) -> Fault {
    match (driver_error(error), error) {
        (Some(error), _) => classify_driver(error),
        (None, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => Fault::Unreachable,
        (None, _) => Fault::Other,
    }
}

/// What the driver said, where it was the driver.
fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// What the database itself answered, where it did: not a fault on the way to it.
pub(super) fn answer(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    driver_error(error).and_then(sqlx::Error::as_database_error)
}

/// Whether PostgreSQL refused it for want of a right.
pub(crate) fn is_denied(error: &DbErr) -> bool {
    let code = answer(error).and_then(|error| error.code());
    code.as_deref() == Some("42501")
}

/// Whether the driver says that the disk is full.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    classify_driver(error) == Fault::Full
}

/// Whether another process holds the lock of the SQLite file: it may be gone by itself.
pub fn is_busy(error: &DbErr) -> bool {
    let code = answer(error).and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<u32>().ok());
    // SQLITE_BUSY and SQLITE_LOCKED, whatever they are extended by.
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// SQLITE_FULL, and the failures to write, to grow or to sync a file: a quota or a limit of the process is told so, and
/// so is the write-ahead log's index that found no space.
fn is_full_for_sqlite(code: &str) -> bool {
    // IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMOPEN, _SHMSIZE.
    matches!(
        code.parse::<u32>(),
        Ok(13 | 778 | 1034 | 1290 | 1546 | 4618 | 4874)
    )
}

fn classify_driver(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.is_unique_violation() {
                let constraint = error.constraint().map(str::to_owned);
                return Fault::Unique(constraint.unwrap_or_else(|| error.message().to_owned()));
            }
            match code.as_ref() {
                // PostgreSQL: serialization_failure, deadlock_detected, lock_not_available.
                "40001" | "40P01" | "55P03" => Fault::Contention,
                // PostgreSQL: query_canceled.
                "57014" => Fault::CutShort,
                // PostgreSQL: 53300 (too many connections), 25006 (read only, after a failover).
                "53300" | "25006" => Fault::Unreachable,
                code if ends_a_connection(code) => Fault::Unreachable,
                // PostgreSQL: disk_full.
                "53100" => Fault::Full,
                code if is_full_for_sqlite(code) => Fault::Full,
                // SQLite, primary result code: SQLITE_BUSY and SQLITE_LOCKED after the busy timeout; READONLY, IOERR, CANTOPEN.
                code => match code.parse::<u32>().map(|code| code & 0xff) {
                    Ok(5 | 6 | 8 | 10 | 14) => Fault::Unreachable,
                    _ => Fault::Other,
                },
            }
        }
        sqlx::Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<FileLost>()) => {
            Fault::Lost
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Unreachable,
        // A broken connection can surface as a message of the wrong kind in the middle of the protocol.
        sqlx::Error::Protocol(_) => Fault::Unreachable,
        _ => Fault::Other,
    }
}

/// Whether the connection on which it happened is of no use any more.
pub(super) fn is_connection_lost(error: &DbErr) -> bool {
    match driver_error(error) {
        // Or 25P03: idle in a transaction for longer than the server allows.
        Some(sqlx::Error::Database(error)) => error
            .code()
            .is_some_and(|code| ends_a_connection(&code) || code == "25P03"),
        Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => true,
        _ => false,
    }
}

/// PostgreSQL: class 08 (connection), and 57P0x (shutdown, also by pg_terminate_backend; idle for too long).
fn ends_a_connection(code: &str) -> bool {
    code.len() == 5 && (code.starts_with("08") || code.starts_with("57P0"))
}

/// The path names another file than the one that is open, or none: what is written goes nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the database file {} was removed or replaced while it was open", path.display())]
pub struct FileLost {
    pub(super) path: PathBuf,
}

impl From<FileLost> for DbErr {
    fn from(lost: FileLost) -> Self {
        let error = sqlx::Error::Io(io::Error::new(io::ErrorKind::NotFound, lost));
        Self::Conn(RuntimeErr::SqlxError(Arc::new(error)))
    }
}
