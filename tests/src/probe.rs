//! Counts the statements of a request, and makes any one of them fail.

use std::sync::Mutex;

use api::database::{Probe, Step};
use sea_orm::{DbErr, RuntimeErr};

/// Sees each step that the server takes in its database.
#[derive(Default)]
pub struct TestProbe(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    watching: bool,
    steps: Vec<String>,
    fail_at: Option<usize>,
    recovers: bool,
}

impl TestProbe {
    /// Notes the steps from now on.
    pub fn watch(&self) {
        *self.0.lock().unwrap() = Inner {
            watching: true,
            ..Inner::default()
        };
    }

    /// Notes the steps from now on, and lets the one with this index (from 0) and all after it fail.
    pub fn watch_and_fail_at(&self, step: usize) {
        *self.0.lock().unwrap() = Inner {
            watching: true,
            fail_at: Some(step),
            ..Inner::default()
        };
    }

    /// The same, but only that one step fails: an error that is overlooked would let the rest go through.
    pub fn watch_and_fail_once_at(&self, step: usize) {
        self.watch_and_fail_at(step);
        self.0.lock().unwrap().recovers = true;
    }

    /// Stops; the steps that were taken: `BEGIN`, a statement's SQL, `COMMIT`.
    pub fn steps(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap()).steps
    }
}

impl Probe for TestProbe {
    fn before(&self, step: Step<'_>) -> Result<(), DbErr> {
        let mut inner = self.0.lock().unwrap();
        if !inner.watching {
            return Ok(());
        }
        let index = inner.steps.len();
        inner.steps.push(match step {
            Step::Begin => "BEGIN".to_owned(),
            Step::Statement(sql) => sql.to_owned(),
            Step::Commit => "COMMIT".to_owned(),
        });
        match inner.fail_at {
            Some(first) if index == first || (index > first && !inner.recovers) => Err(
                DbErr::Exec(RuntimeErr::Internal(format!("injected at step {index}"))),
            ),
            _ => Ok(()),
        }
    }
}
