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

/// Prints to standard output, without the panic of `println!` when it is closed.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut output = stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}
