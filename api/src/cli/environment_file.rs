//! The optional file `.env` in the working directory: settings for those who do not set an environment.

use std::{collections::BTreeSet, fs, io, path::Path};

const FILE: &str = ".env";

/// Why `.env` could not be used. Shows nothing of its content, which may be secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvironmentFileError {
    #[error("the file {FILE} cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the file {FILE} is malformed{}", at_line(*line))]
    Malformed { line: Option<usize> },
}

impl EnvironmentFileError {
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Unreadable(_) => "make it readable, or move it away",
            Self::Malformed { .. } => {
                "each line is NAME=value or # a comment; a value with blanks or # in it stands in 'quotes'"
            }
        }
        .to_owned()
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(" in line {line}"))
}

/// Adds what `.env` says to the environment, where that does not say otherwise; gives the names that are in it.
pub(super) fn load() -> Result<BTreeSet<String>, EnvironmentFileError> {
    let names = || {
        let lines = dotenvy::from_path_iter(Path::new(FILE))?;
        lines.map(|line| Ok(line?.0)).collect()
    };
    match dotenvy::from_path(Path::new(FILE)).and_then(|()| names()) {
        Ok(names) => Ok(names),
        Err(error) if error.not_found() => Ok(BTreeSet::new()),
        Err(dotenvy::Error::Io(error)) => Err(EnvironmentFileError::Unreadable(error)),
        Err(dotenvy::Error::LineParse(text, _)) => Err(EnvironmentFileError::Malformed {
            line: fs::read_to_string(FILE)
                .ok()
                .and_then(|content| line_number(&content, &text)),
        }),
        Err(_) => Err(EnvironmentFileError::Malformed { line: None }),
    }
}

fn line_number(content: &str, faulty: &str) -> Option<usize> {
    let faulty = faulty.lines().next()?.trim();
    let index = content.lines().position(|line| line.trim() == faulty)?;
    Some(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faulty_line_is_named_and_not_shown() {
        let content = "A=1\n\nB='hunter2\n";
        let line = line_number(content, "B='hunter2");
        assert_eq!(line, Some(3));
        let error = EnvironmentFileError::Malformed { line };
        assert_eq!(error.to_string(), "the file .env is malformed in line 3");
    }
}
