//! Variables that look like settings and are none: misspelt, they would leave a default in force without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use clap::{Command, CommandFactory};

use super::Cli;

const PREFIX: &str = "ROLLBOOK_";
/// Rollbook's own tests and scripts have theirs under this prefix; no setting of the binary will ever begin so.
const OF_TESTS: &str = "ROLLBOOK_TEST_";

/// Variables of the environment or of `.env` that are no settings.
#[derive(Debug, thiserror::Error)]
#[error("{} no setting", named(.0))]
pub(super) struct UnknownSettings(Vec<Unknown>);

#[derive(Debug)]
struct Unknown {
    name: String,
    is_in_file: bool,
    nearest: Option<String>,
}

fn named(unknown: &[Unknown]) -> String {
    let names = unknown.iter().map(|one| match one.is_in_file {
        true => format!("{} in .env", one.name),
        false => one.name.clone(),
    });
    let names: Vec<String> = names.collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

impl UnknownSettings {
    pub(super) fn hint(&self) -> String {
        let nearest = self.0.iter().filter_map(|one| {
            let nearest = one.nearest.as_ref()?;
            Some(format!("for {} say {nearest}, if you mean that", one.name))
        });
        let mut lines: Vec<String> = nearest.collect();
        lines.push("docs/configuration.md has all settings; take away what is none".to_owned());
        lines.join("\n  ")
    }
}

/// Refuses what begins like a setting and is none, of the environment and of `.env`, whose names are given.
pub(super) fn refuse(in_file: &BTreeSet<String>) -> Result<(), UnknownSettings> {
    let variables = env::vars_os().map(|(name, value)| {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        (text(name), text(value))
    });
    let unknown = unknown(&variables.collect(), in_file, &known(&Cli::command()));
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(UnknownSettings(unknown)),
    }
}

fn unknown(
    variables: &BTreeMap<String, String>,
    in_file: &BTreeSet<String>,
    known: &BTreeSet<String>,
) -> Vec<Unknown> {
    let services = services(variables);
    let is_ours = |name: &str| name.to_uppercase().starts_with(PREFIX);
    let is_expected = |name: &str| {
        known.contains(name)
            // There the case of letters makes no difference.
            || cfg!(windows) && known.contains(&name.to_uppercase())
            || name.starts_with(OF_TESTS)
            || services.iter().any(|service| is_of_service(name, service))
    };
    let found = variables
        .keys()
        .filter(|name| is_ours(name) && !is_expected(name));
    let unknown = found.map(|name| Unknown {
        name: name.clone(),
        is_in_file: in_file.contains(name),
        nearest: nearest(name, known),
    });
    unknown.collect()
}

/// The variables that settings are read from.
fn known(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?;
        Some(variable.to_string_lossy().into_owned())
    });
    own.chain(command.get_subcommands().flat_map(known))
        .collect()
}

/// The setting that is written most alike, whether it has the prefix or not.
fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let bare = |name: &str| {
        let name = name.to_uppercase();
        name.strip_prefix(PREFIX).unwrap_or(&name).to_owned()
    };
    let wanted = bare(name);
    let words = |name: &str| -> BTreeSet<String> { name.split('_').map(str::to_owned).collect() };
    #[expect(clippy::cast_precision_loss, reason = "names have few words")]
    let alike = |setting: &String| {
        let setting = bare(setting);
        let (ours, theirs) = (words(&wanted), words(&setting));
        let shared = ours.intersection(&theirs).count() as f64;
        // The one sees letters that changed places, the next names that begin alike, the last words that are the same.
        strsim::normalized_damerau_levenshtein(&wanted, &setting)
            + strsim::jaro_winkler(&wanted, &setting)
            + shared / ours.union(&theirs).count() as f64
    };
    let most = known
        .iter()
        .max_by(|one, other| alike(one).total_cmp(&alike(other)));
    most.cloned()
}

/// Kubernetes tells each container of the services beside it, by variables that begin with a service's name: a service
/// called `rollbook` is told by `ROLLBOOK_SERVICE_HOST`, `ROLLBOOK_PORT` and more, always these three among them.
fn services(variables: &BTreeMap<String, String>) -> Vec<String> {
    let services = variables.keys().filter_map(|name| {
        let service = name.strip_suffix("_SERVICE_HOST")?;
        let port = variables.get(&format!("{service}_PORT"))?;
        let is_complete = variables.contains_key(&format!("{service}_SERVICE_PORT"));
        (is_complete && port.contains("://")).then(|| service.to_owned())
    });
    services.collect()
}

fn is_of_service(name: &str, service: &str) -> bool {
    name.strip_prefix(service).is_some_and(|rest| {
        rest == "_PORT"
            || ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"]
                .iter()
                .any(|part| rest.starts_with(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest_to(name: &str) -> String {
        nearest(name, &known(&Cli::command())).expect("there are settings")
    }

    #[test]
    fn the_nearest_setting_is_told() {
        for (name, expected) in [
            ("ROLLBOOK_EVN", "ROLLBOOK_ENV"),
            ("ROLLBOOK_ENVIRONMENT", "ROLLBOOK_ENV"),
            ("rollbook_env", "ROLLBOOK_ENV"),
            ("ROLLBOOK_DATABASE_URL", "DATABASE_URL"),
            ("ROLLBOOK_DB_URL", "DATABASE_URL"),
            ("ROLLBOOK_URL", "DATABASE_URL"),
            ("ROLLBOOK_LISTENS", "ROLLBOOK_LISTEN"),
            ("ROLLBOOK_LISTEN_ADDRESS", "ROLLBOOK_LISTEN"),
            ("ROLLBOOK_LOG_LEVEL", "ROLLBOOK_LOG"),
            ("ROLLBOOK_LOG_FORMATT", "ROLLBOOK_LOG_FORMAT"),
            ("ROLLBOOK_MIGRATIONS", "ROLLBOOK_MIGRATE"),
            (
                "ROLLBOOK_MAX_CONNECTIONS",
                "ROLLBOOK_DATABASE_MAX_CONNECTIONS",
            ),
            ("ROLLBOOK_BODYLIMIT", "ROLLBOOK_BODY_LIMIT"),
        ] {
            assert_eq!(nearest_to(name), expected, "{name}");
        }
    }

    fn unknown_of(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let unknown = unknown(&variables, &BTreeSet::new(), &known(&Cli::command()));
        unknown.into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn what_kubernetes_says_of_services_is_no_setting_and_no_mistake() {
        let told = [
            ("ROLLBOOK_API_PORT", "tcp://10.0.0.1:80"),
            ("ROLLBOOK_API_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("ROLLBOOK_API_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("ROLLBOOK_API_SERVICE_HOST", "10.0.0.1"),
            ("ROLLBOOK_API_SERVICE_PORT", "80"),
            ("ROLLBOOK_API_SERVICE_PORT_HTTP", "80"),
        ];
        assert_eq!(unknown_of(&told), Vec::<String>::new());
        // Of these alone none is Kubernetes'.
        for variable in told {
            assert_eq!(unknown_of(&[variable]), [variable.0]);
        }
        assert_eq!(
            unknown_of(&[("ROLLBOOK_PORT", "8080")]),
            ["ROLLBOOK_PORT"],
            "somebody's hope"
        );
    }
}
