//! What commands print on standard output.

use std::io::{self, Write, stdout};

use clap::ValueEnum;
use serde::Serialize;

/// The form of an answer on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One line of JSON.
    Json,
}

/// Prints one line of JSON to standard output.
pub(super) fn print_json(answer: &impl Serialize) -> io::Result<()> {
    print(&serde_json::to_string(answer)?)
}

/// Prints to standard output. A reader that has seen enough, such as `head`, is no failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    match print_for_good(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Prints what is lost where nobody reads it.
pub(super) fn print_for_good(text: &str) -> io::Result<()> {
    let mut output = stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}
