//! How far a long job has come, told on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often a terminal is told how far it came.
const REDRAW: Duration = Duration::from_millis(100);

/// How far a long job has come: one line on a terminal that is written over, and nothing anywhere else.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    shown: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            shown: None,
        }
    }
}

impl Progress {
    /// Progress that nobody sees.
    pub fn silent() -> Self {
        Self {
            terminal: false,
            shown: None,
        }
    }

    /// Says what is done now, and how far it has come where that is known.
    pub fn show(&mut self, what: &str, done: u64, total: Option<u64>) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= REDRAW);
        if !self.terminal || !due {
            return;
        }
        self.shown = Some(Instant::now());
        let far = match total {
            Some(0) | None => format!("{done}"),
            Some(total) => format!("{done} of {total} ({} %)", done.saturating_mul(100) / total),
        };
        // Where standard error is closed there is nobody left to tell.
        let _ = write!(stderr(), "\r\x1b[K{what}: {far}");
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
