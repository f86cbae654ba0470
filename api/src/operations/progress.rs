//! How far a long job has come, told on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a terminal is told how far it came.
const REDRAW: Duration = Duration::from_millis(100);

/// How far a long job has come: one line on a terminal that is written over, and nothing anywhere else.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    shown: Mutex<Option<Instant>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            shown: Mutex::default(),
        }
    }
}

impl Progress {
    /// Progress that nobody sees.
    pub fn silent() -> Self {
        Self {
            terminal: false,
            shown: Mutex::default(),
        }
    }

    /// Says what is done now, and how far it has come where that is known.
    pub fn show(&self, what: &str, done: u64, total: Option<u64>) {
        let mut shown = self.shown();
        let due = shown.is_none_or(|shown| shown.elapsed() >= REDRAW);
        if !self.terminal || !due {
            return;
        }
        *shown = Some(Instant::now());
        let far = match total {
            Some(0) | None => format!("{done}"),
            Some(total) => format!("{done} of {total} ({} %)", done.saturating_mul(100) / total),
        };
        // Where standard error is closed there is nobody left to tell.
        let _ = write!(stderr(), "\r\x1b[K{what}: {far}");
    }

    /// Waits for work that does not tell how far it has come, and asks for it meanwhile.
    pub async fn during<T>(
        &self,
        what: &str,
        total: Option<u64>,
        done: impl Fn() -> u64,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                () = tokio::time::sleep(REDRAW), if self.terminal => self.show(what, done(), total),
            }
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.shown().take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    fn shown(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
