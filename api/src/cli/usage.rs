//! How a bad setting is told: by its variable as well as its flag, with what is allowed, and without a secret.

use std::{error::Error, process::ExitCode};

use clap::{
    Arg, Command, CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{BAD_SETTINGS, Cli, complain};

pub(super) fn report(error: &clap::Error) -> ExitCode {
    match bad_setting(error) {
        Some((what, hint)) => complain(&what, hint.as_deref()),
        // Help and --version are "errors" too. A closed output is nobody to tell about.
        None => drop(error.print()),
    }
    match error.use_stderr() {
        true => ExitCode::from(BAD_SETTINGS),
        false => ExitCode::SUCCESS,
    }
}

fn bad_setting(error: &clap::Error) -> Option<(String, Option<String>)> {
    if !matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    ) {
        return None;
    }
    let flag = text_of(error, ContextKind::InvalidArg)?;
    let mut root = Cli::command();
    root.build();
    let setting = find(&root, &flag)?;
    let name = match (setting.get_env(), setting.get_long()) {
        (Some(variable), Some(long)) => format!("{} (or --{long})", variable.display()),
        _ => flag,
    };
    let value = match text_of(error, ContextKind::InvalidValue) {
        Some(value) if !setting.is_hide_env_values_set() => format!("cannot be '{value}'"),
        _ => "has a value that cannot be used".to_owned(),
    };
    let reason = allowed(error)
        .or_else(|| error.source().map(ToString::to_string))
        .map_or(String::new(), |reason| format!(" ({reason})"));
    let help = setting.get_help().map(ToString::to_string);
    Some((format!("{name} {value}{reason}"), help))
}

fn allowed(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::ValidValue)? {
        ContextValue::Strings(values) => Some(format!("allowed are {}", values.join(", "))),
        _ => None,
    }
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn find<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|argument| argument.to_string() == flag)
        .or_else(|| {
            command
                .get_subcommands()
                .find_map(|inner| find(inner, flag))
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(arguments).expect_err("refused");
        let (what, hint) = bad_setting(&error).expect("a bad setting");
        format!("{what}\n{}", hint.expect("a hint"))
    }

    #[test]
    fn a_bad_value_is_told_with_its_variable_and_what_is_allowed() {
        let text = complaint(&["rollbook", "serve", "--workers", "0"]);
        assert!(
            text.starts_with(
                "ROLLBOOK_WORKERS (or --workers) cannot be '0' (must be a whole number from 1 to 1024)"
            ),
            "{text}"
        );
        let text = complaint(&["rollbook", "migrate", "up", "--log-format", "xml"]);
        assert!(
            text.contains("cannot be 'xml' (allowed are pretty, json)"),
            "{text}"
        );
        let text = complaint(&["rollbook", "serve", "--body-timeout", "0"]);
        assert!(
            text.contains("cannot be '0' (must be a number of seconds"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_url_is_told_without_it() {
        for url in [
            "mysql://u:hunter2@host/db",
            "postgres://u:hunter2@host:port/db",
        ] {
            let text = complaint(&["rollbook", "serve", "--database-url", url]);
            assert!(
                text.starts_with("DATABASE_URL (or --database-url) has a value"),
                "{text}"
            );
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
