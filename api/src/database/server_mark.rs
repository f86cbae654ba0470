//! Servers that have one SQLite file open know of each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// That a server has a SQLite file open, for as long as this lives: a lock on a file beside it, shared by all who do.
/// The system takes the lock back from a process that was killed, so the file itself says nothing.
#[derive(Debug)]
pub struct ServerMark {
    _file: File,
    is_alone: bool,
}

impl ServerMark {
    /// Marks the file as served.
    ///
    /// # Errors
    /// Where the file beside it cannot be made, or the file system has no locks.
    pub fn leave(database: &Path) -> io::Result<Self> {
        let file = open(&beside(database))?;
        let is_alone = match file.try_lock() {
            // Others must see it, and be able to leave their own.
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        // Nobody holds it alone for longer than the moment between these lines.
        file.lock_shared()?;
        Ok(Self {
            _file: file,
            is_alone,
        })
    }

    /// Whether no other server had the file open.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-served");
    path.into()
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
