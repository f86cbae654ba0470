//! Whether what is written now will be there later: the file is the one that was opened, and its disk takes more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::DbErr;

use super::fault::{Fault, FileLost, classify};

/// With less than this nothing can be written that is worth the name: a transaction of SQLite takes a few pages.
#[cfg(unix)]
const LEAST_SPACE: u64 = 64 * 1024;

/// What a database's connections share of what they know about the place where it is kept.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// The file of SQLite.
    file: Option<Arc<OpenFile>>,
    /// Whether something was to be written and found no space.
    was_full: Arc<AtomicBool>,
}

/// The file that a path named when it was opened.
#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number of a file. Never found out by opening it: to close it again would take the locks away that SQLite
/// holds on it in this process.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(drop)
}

impl Storage {
    /// Of a file that was opened just now.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        // What the process calls its directory may change; what it has opened does not.
        let path = std::path::absolute(path)?;
        let identity = identity(&path)?;
        Ok(Self {
            file: Some(Arc::new(OpenFile { path, identity })),
            ..Self::default()
        })
    }

    /// Whether the file is still there. One look at its directory entry, so cheap that each statement can afford it.
    ///
    /// # Errors
    /// [`FileLost`].
    pub fn find(&self) -> Result<(), FileLost> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        match identity(&file.path) {
            Ok(found) if found == file.identity => Ok(()),
            _ => Err(FileLost {
                path: file.path.clone(),
            }),
        }
    }

    /// Whether nothing more can be written, as far as that is known without writing.
    pub fn is_full(&self) -> bool {
        self.was_full.load(Ordering::Relaxed) || self.has_no_space()
    }

    /// Whether something was to be written and found no space, since it was last known that there is some.
    pub fn was_full(&self) -> bool {
        self.was_full.load(Ordering::Relaxed)
    }

    /// Learns from what came of a statement.
    pub(super) fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &result
            && classify(error) == Fault::Full
        {
            self.was_full.store(true, Ordering::Relaxed);
        }
        result
    }

    /// There is space. Not known by any little change: one that overwrites what is there may pass on a full disk.
    pub fn has_taken(&self) {
        self.was_full.store(false, Ordering::Relaxed);
    }

    /// Of PostgreSQL's disk nothing can be seen from here.
    #[cfg(unix)]
    fn has_no_space(&self) -> bool {
        use nix::sys::statvfs::statvfs;
        use nix::unistd::geteuid;
        let Some(file) = &self.file else {
            return false;
        };
        let Ok(disk) = statvfs(&file.path) else {
            return false;
        };
        // What is kept back for root is free for nobody else.
        let blocks = match geteuid().is_root() {
            true => disk.blocks_free(),
            false => disk.blocks_available(),
        };
        // Some file systems do not count.
        disk.blocks() > 0 && blocks.saturating_mul(disk.fragment_size()) < LEAST_SPACE
    }

    #[cfg(not(unix))]
    fn has_no_space(&self) -> bool {
        false
    }
}
