//! `rollbook completions` and `rollbook man`: what clap makes of the command line.

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// A manual page was asked for of what is no command.
#[derive(Debug, thiserror::Error)]
#[error("there is no command {command:?}")]
pub(super) struct NoSuchCommand {
    command: String,
    known: Vec<String>,
}

impl NoSuchCommand {
    pub(super) fn hint(&self) -> String {
        match self.known.is_empty() {
            true => "it has no commands of its own".to_owned(),
            false => format!("there are: {}", self.known.join(", ")),
        }
    }
}

/// The script that completes `rollbook` in a shell.
pub(super) fn completions(mut grammar: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    let name = grammar.get_name().to_owned();
    clap_complete::generate(shell, &mut grammar, name, &mut script);
    text(script)
}

/// The manual page of a command, in roff.
pub(super) fn page(mut grammar: Command, words: &[String]) -> Result<String, NoSuchCommand> {
    // Names each command in full, and gives it the flags that it has of those above it.
    grammar.build();
    let mut command = &grammar;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known = command
                .get_subcommands()
                .map(|known| known.get_name().to_owned());
            NoSuchCommand {
                command: words.join(" "),
                known: known.collect(),
            }
        })?;
    }
    let version = grammar.get_version().unwrap_or_default();
    // A page is long help: what `-h` leaves out belongs there.
    let whole = command
        .clone()
        .mut_args(|argument| argument.hide_short_help(false));
    let page = Man::new(whole).source(format!("{} {version}", grammar.get_name()));
    let mut written = Vec::new();
    // Memory takes whatever is written.
    drop(page.render(&mut written));
    Ok(text(written))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
