//! The settings, their example file and their reference must agree.

use std::collections::BTreeMap;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, builder::Resettable};

use super::*;
use crate::cli::Cli;

#[derive(Debug, Parser)]
struct All {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    serve: ServeSettings,
    #[command(flatten)]
    log: LogSettings,
}

/// Each variable with its default; none where the machine decides.
fn known() -> BTreeMap<String, Option<String>> {
    fn gather(command: &clap::Command, found: &mut BTreeMap<String, Option<String>>) {
        for argument in command.get_arguments() {
            let Some(variable) = argument.get_env() else {
                continue;
            };
            let text = match argument.get_action() {
                ArgAction::SetTrue => Some("false".to_owned()),
                _ if argument.is_hide_default_value_set() => None,
                _ => argument
                    .get_default_values()
                    .first()
                    .map(|value| value.to_string_lossy().into_owned()),
            };
            found.insert(variable.to_string_lossy().into_owned(), text);
        }
        for inner in command.get_subcommands() {
            gather(inner, found);
        }
    }
    let mut found = BTreeMap::new();
    gather(&Cli::command(), &mut found);
    found
}

#[test]
fn the_example_lists_exactly_the_settings_with_their_defaults() {
    let example: BTreeMap<String, Option<String>> = include_str!("../../../../.env.example")
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
        .filter(|(name, _)| {
            name.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        })
        .map(|(name, value)| {
            (
                name.to_owned(),
                Some(value.to_owned()).filter(|value| !value.is_empty()),
            )
        })
        .collect();
    let known = known();
    assert_eq!(
        example.keys().collect::<Vec<_>>(),
        known.keys().collect::<Vec<_>>(),
        ".env.example and the settings differ: write down each in both"
    );
    assert_eq!(example, known, ".env.example has another default");
}

#[test]
fn the_reference_names_every_setting() {
    let reference = include_str!("../../../../docs/configuration.md");
    for variable in known().keys() {
        assert!(
            reference.contains(&format!("`{variable}`")),
            "{variable} is missing in docs/configuration.md"
        );
    }
}

#[test]
fn the_defaults_of_the_types_are_those_of_the_flags() {
    let url = "sqlite://data/rollbook.db?mode=rwc";
    // Whatever the environment of the test says.
    let command = All::command().mut_args(|argument| argument.env(Resettable::Reset));
    let matches = command.get_matches_from(["rollbook"]);
    let all = All::from_arg_matches(&matches).expect("the defaults are allowed");
    let database = DatabaseSettings::new(url.parse().expect("good"));
    assert_eq!(format!("{:?}", all.database), format!("{database:?}"));
    assert_eq!(
        format!("{:?}", all.serve),
        format!("{:?}", ServeSettings::default())
    );
    assert_eq!(
        format!("{:?}", all.log),
        format!("{:?}", LogSettings::default())
    );
}

#[test]
fn no_help_shows_the_url_of_the_environment() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").expect("a command");
    let url = serve
        .get_arguments()
        .find(|argument| argument.get_id() == "database_url")
        .expect("a setting");
    assert!(url.is_hide_env_values_set());
}
