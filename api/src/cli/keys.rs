//! `rollbook keys`: API keys for who has lost theirs, on the machine itself.

use std::io;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tracing_subscriber::util::TryInitError;
use uuid::Uuid;

use super::{
    config::{DatabaseSettings, LogSettings},
    output::{OutputFormat, print, print_for_good, print_json},
};
use crate::{
    database::{ConnectError, Database, Pools, SchemaError, connect, require_current},
    http::log,
    operations::keys::{self, KeysError, Made, Person, Wanted},
    product::Product,
    resources::api_keys::ApiKey,
    values::{
        clock,
        input::Field,
        scope::Scope,
        text::{Name, Timestamp},
    },
};

/// Make, list and revoke API keys without one: for who may use the database itself
#[derive(Args, Debug)]
#[command(
    after_long_help = "Each key and its end are in the trail: source cli, and in the metadata the command and who ran it. \
                        Servers go on meanwhile, and take a new key, and refuse a revoked one, from the next request \
                        on. Exit status: 0 done, 1 failed, 2 bad usage or settings."
)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    verb: Verb,

    /// Form of the answer: for people, or one line of JSON, as the API shows a key
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_enum,
        global = true
    )]
    format: OutputFormat,

    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key for a user; it is printed once and cannot be read again
    Create(CreateArguments),
    /// Show the keys of a user, or of all, without their secrets
    List(ListArguments),
    /// Take a key out of use, for good
    Revoke {
        /// The key's id, or its public part: what is between the first two underscores of rbk_…_…_…
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Args, Debug)]
struct CreateArguments {
    /// Whose key it is: it can do what they may
    #[arg(long, value_name = "EMAIL_OR_ID")]
    user: Person,

    /// What it is for
    #[arg(long, value_name = "NAME", default_value = "rollbook keys create", value_parser = field::<Name>)]
    name: Name,

    /// What it may be used for, such as events:read; repeat it for several
    #[arg(long = "scope", value_name = "SCOPE", default_value = "*", value_parser = field::<Scope>)]
    scopes: Vec<Scope>,

    /// The one organization that it is restricted to
    #[arg(long, value_name = "ID")]
    organization: Option<Uuid>,

    /// When it ends, such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = to_come)]
    expires_at: Option<Timestamp>,
}

#[derive(Args, Debug)]
struct ListArguments {
    /// Those of this user alone
    #[arg(long, value_name = "EMAIL_OR_ID")]
    user: Option<Person>,

    /// Revoked ones too
    #[arg(long)]
    revoked: bool,
}

fn field<T: Field>(text: &str) -> Result<T, String> {
    T::present(&Value::from(text)).map_err(|fault| fault.detail)
}

fn to_come(text: &str) -> Result<Timestamp, String> {
    match field::<Timestamp>(text)? {
        end if end.0 > clock::now() => Ok(end),
        _ => Err("Must be a time to come.".to_owned()),
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum KeysCommandError {
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
    #[error("the key was made, but could not be printed and is lost: revoke it")]
    Lost(#[source] io::Error),
}

impl KeysCommandError {
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Connect(error) => return Some(error.hint()),
            Self::Schema(error) => return error.hint(),
            Self::Keys(KeysError::UnknownKey(_)) | Self::Lost(_) => {
                "`rollbook keys list` shows all of them"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl KeysCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), KeysCommandError> {
        log::start(&self.log.filter, self.log.format)?;
        let pools = connect(&self.database).await?;
        let outcome = self.act(product, &pools).await;
        pools.close().await;
        outcome
    }

    async fn act(&self, product: &Product, pools: &Pools) -> Result<(), KeysCommandError> {
        let database = Database::new(pools.clone());
        require_current(&product.migrations, &database.reader()).await?;
        match &self.verb {
            Verb::Create(arguments) => {
                let made = keys::create(&database, &arguments.wanted()).await?;
                let answer = self.created(&made).map_err(io::Error::from);
                answer
                    .and_then(|answer| print_for_good(answer.expose_secret()))
                    .map_err(KeysCommandError::Lost)
            }
            Verb::List(ListArguments { user, revoked }) => {
                let list = keys::list(&database, user.as_ref(), *revoked).await?;
                Ok(self.show(&list)?)
            }
            Verb::Revoke { id } => {
                let key = keys::revoke(&database, id).await?;
                match self.format {
                    OutputFormat::Json => print_json(&key)?,
                    OutputFormat::Text => print(&format!("{} is revoked", key.id))?,
                }
                Ok(())
            }
        }
    }

    fn created(&self, made: &Made) -> Result<SecretString, serde_json::Error> {
        let text = match self.format {
            OutputFormat::Json => serde_json::to_string(&made.key)?,
            OutputFormat::Text => {
                let key = made.key.api_key();
                let note = match made.is_active {
                    true => "",
                    false => "\nThe user is not active: the key gives no access until they are.",
                };
                format!(
                    "id            {}\nuser          {}\nAPI key       {}\n\
                     The key is shown only now: keep it safe.{note}",
                    key.id, key.user_id, made.key.key
                )
            }
        };
        Ok(text.into())
    }

    fn show(&self, list: &[(ApiKey, String)]) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => {
                let keys: Vec<_> = list.iter().map(|(key, _)| key).collect();
                print_json(&json!({ "api_keys": keys }))
            }
            OutputFormat::Text if list.is_empty() => Ok(()),
            OutputFormat::Text => {
                let lines: Vec<String> = list.iter().map(|(key, email)| line(key, email)).collect();
                print(&lines.join("\n"))
            }
        }
    }
}

impl CreateArguments {
    fn wanted(&self) -> Wanted {
        let mut scopes = Vec::new();
        for scope in &self.scopes {
            if !scopes.contains(scope) {
                scopes.push(*scope);
            }
        }
        Wanted {
            user: self.user.clone(),
            name: self.name.clone(),
            scopes,
            organization: self.organization,
            expires_at: self.expires_at,
        }
    }
}

fn line(key: &ApiKey, email: &str) -> String {
    let scopes: Vec<&str> = key
        .scopes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let used = match key.last_used_at {
        Some(moment) => clock::rfc3339(moment.0),
        None => "never used".to_owned(),
    };
    let status = json!(key.status);
    format!(
        "{}  {}…  {:8}  {email}  {}  {used}  {}",
        key.id,
        key.key_prefix,
        status.as_str().unwrap_or_default(),
        scopes.join(","),
        key.name
    )
}
