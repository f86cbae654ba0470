//! `rollbook bootstrap`: the first system admin, their organization and an API key.

use std::io::{self, BufRead, IsTerminal, stdin};

use clap::Args;
use entity::sea_orm_active_enums::{UserRole, UserStatus};
use entity::{organizations, users};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing_subscriber::util::TryInitError;
use uuid::Uuid;

use super::{
    config::{DatabaseSettings, LogSettings},
    output::{OutputFormat, print_for_good},
};
use crate::access::tenancy::{Reason, all_rows};
use crate::database::{ConnectError, Database, Pools, SchemaError, connect, require_current};
use crate::http::log;
use crate::ledger::event::Origin;
use crate::ledger::unit_of_work::UnitOfWork;
use crate::ledger::verb::Verb;
use crate::problem::Problem;
use crate::product::Product;
use crate::resources;
use crate::resources::api_keys::ApiKey;
use crate::resources::memberships::Membership;
use crate::resources::organizations::{NewOrganization, Organization};
use crate::resources::users::User;
use crate::values::clock;
use crate::values::credential::NewKey;
use crate::values::input::{Fault, Field};
use crate::values::password::Hasher;
use crate::values::scope::Scope;
use crate::values::text::{Email, Name, Password};

/// More than a password may have, in bytes: 1,024 characters of four bytes, and the end of the line.
const LONGEST_LINE: u64 = 4 * 1024 + 2;

/// Make the first system admin, with an organization that they own and an API key with scope *
#[derive(Args, Debug)]
#[command(
    after_long_help = "The key is printed once and cannot be read again. Where an admin exists already, nothing is \
                        changed and the exit status is 3."
)]
pub(super) struct BootstrapCommand {
    #[command(flatten)]
    arguments: BootstrapArguments,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

/// Who the first admin is.
#[derive(Args, Debug)]
pub struct BootstrapArguments {
    /// E-mail address of the admin
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,

    /// Read the admin's password from standard input, one line; without it the admin has a key only
    #[arg(long)]
    pub password_stdin: bool,

    /// Name of the organization [default: one made from the e-mail address]
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,

    /// Form of the answer: for people, or one line of JSON with user_id, organization_id and api_key
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub format: OutputFormat,
}

/// What was made.
#[derive(Debug)]
pub struct Bootstrapped {
    /// The admin.
    pub user_id: Uuid,
    /// The organization that they own.
    pub organization_id: Uuid,
    /// The key, whole: this is its only appearance.
    pub api_key: SecretString,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// There is an admin, so nothing was changed.
    #[error("a system admin exists already; nothing was changed")]
    AdminExists,
    /// An argument that the rules of the API refuse.
    #[error("--{argument} {reason}")]
    Argument {
        /// The flag, without its hyphens.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard input would show what is typed.
    #[error("--password-stdin reads no password from a terminal, which would show it")]
    Terminal,
    /// Standard input could not be read, or is not text.
    #[error("the password cannot be read from standard input")]
    Unreadable(#[source] io::Error),
    /// The log did not start.
    #[error("the log cannot start")]
    Log(#[from] TryInitError),
    /// The database did not open.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The schema is another one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database or the program failed; nothing was changed.
    #[error("{}; nothing was changed", .0.detail())]
    Failed(#[from] Problem),
    /// All was made, but the key could not be shown.
    #[error("the admin was made, but the key could not be printed and is lost")]
    Output(#[source] io::Error),
}

impl BootstrapError {
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::AdminExists => "the admin makes further users and keys by the API",
            Self::Terminal => "pipe it in: rollbook bootstrap --password-stdin … < FILE",
            Self::Unreadable(_) => "it is one line of UTF-8 text, at most 1,024 characters",
            Self::Connect(error) => return Some(error.hint()),
            Self::Schema(error) => return error.hint(),
            Self::Argument { .. } => "see rollbook bootstrap --help",
            Self::Log(_) | Self::Failed(_) | Self::Output(_) => return None,
        };
        Some(hint.to_owned())
    }

    pub(super) fn is_bad_usage(&self) -> bool {
        matches!(
            self,
            Self::Argument { .. } | Self::Terminal | Self::Unreadable(_)
        )
    }
}

impl BootstrapCommand {
    pub(super) async fn run(self, product: &Product) -> Result<(), BootstrapError> {
        log::start(&self.log.filter, self.log.format)?;
        let password = self.arguments.password()?;
        let pools = connect(&self.database).await?;
        require_current(&product.migrations, &Database::new(pools.clone()).reader()).await?;
        let made = run(&self.arguments, password, &pools).await;
        pools.close().await;
        made?
            .answer(self.arguments.format)
            .map_err(io::Error::from)
            .and_then(|answer| print_for_good(answer.expose_secret()))
            .map_err(BootstrapError::Output)
    }
}

/// Makes the admin, their organization, their membership and their key, each with its event, in one transaction.
pub async fn run(
    arguments: &BootstrapArguments,
    password: Option<SecretString>,
    pools: &Pools,
) -> Result<Bootstrapped, BootstrapError> {
    let email: Email = argument("email", &arguments.email)?;
    let name: Name = match &arguments.organization {
        Some(name) => argument("organization", name)?,
        None => argument(
            "email",
            email.as_ref().split('@').next_back().unwrap_or_default(),
        )?,
    };
    let password_hash = match password {
        Some(password) => Some(hash(&password).await?),
        None => None,
    };
    let key = NewKey::generate().map_err(Problem::internal)?;
    let origin = Origin {
        source: "cli",
        metadata: Map::from_iter([("command".to_owned(), Value::from("bootstrap"))]),
        ..Origin::default()
    };
    let database = Database::new(pools.clone());
    let made = UnitOfWork::run(&database, &origin, async |work| {
        work.alone(ONLY_ONE).await?;
        let admins = all_rows::<users::Entity>(Reason::System)
            .filter(users::Column::Role.eq(UserRole::Admin))
            .filter(users::Column::Status.ne(UserStatus::Deleted))
            .limit(1);
        if work.one(admins).await?.is_some() {
            return Ok(None);
        }
        let admin = resources::users::system_admin(email.clone(), password_hash.clone())?;
        let admin = work.create::<User>(Verb::Created, admin).await?;
        let organization =
            free_slug(work, NewOrganization::named(name.clone()).into_row()?).await?;
        let organization = work
            .create::<Organization>(Verb::Created, organization)
            .await?;
        let membership = resources::memberships::founder(admin.id, organization.id)?;
        work.create::<Membership>(Verb::Created, membership).await?;
        let row = resources::api_keys::row(&key, admin.id, "bootstrap".to_owned(), &[Scope::All])?;
        work.create::<ApiKey>(Verb::Created, row).await?;
        Ok(Some((admin.id, organization.id)))
    });
    let (user_id, organization_id) = made.await?.ok_or(BootstrapError::AdminExists)?;
    Ok(Bootstrapped {
        user_id,
        organization_id,
        api_key: key.text.into(),
    })
}

/// Two that bootstrap at once: one does, the other finds the admin.
const ONLY_ONE: i64 = 0x726f_6c6c_626f_6f6b;

fn argument<T: Field>(argument: &'static str, text: &str) -> Result<T, BootstrapError> {
    let refused = |fault: Fault| BootstrapError::Argument {
        argument,
        reason: format!("{text:?}: {}", fault.detail),
    };
    T::present(&Value::from(text)).map_err(refused)
}

async fn hash(password: &SecretString) -> Result<String, BootstrapError> {
    let refused = |fault: Fault| BootstrapError::Argument {
        argument: "password-stdin",
        reason: fault.detail,
    };
    let password = Password::present(&Value::from(password.expose_secret())).map_err(refused)?;
    Ok(Hasher::new(1).hash(&password.0).await?)
}

/// The organization with a slug that nobody has yet.
async fn free_slug(
    work: &mut UnitOfWork<'_>,
    mut organization: organizations::Model,
) -> Result<organizations::Model, Problem> {
    let taken = all_rows::<organizations::Entity>(Reason::System)
        .filter(organizations::Column::Slug.eq(organization.slug.as_str()));
    if work.one(taken).await?.is_some() {
        let id = clock::new_id().simple().to_string();
        organization.slug = format!("{:.87}-{}", organization.slug, &id[id.len() - 12..]);
    }
    Ok(organization)
}

impl BootstrapArguments {
    fn password(&self) -> Result<Option<SecretString>, BootstrapError> {
        if !self.password_stdin {
            return Ok(None);
        }
        if stdin().is_terminal() {
            return Err(BootstrapError::Terminal);
        }
        let password = first_line(stdin().lock()).map_err(BootstrapError::Unreadable)?;
        Ok(Some(password))
    }
}

/// The first line without its end. What follows is left alone; what is too long for a password is cut where the rules
/// still see that it is too long.
fn first_line(input: impl BufRead) -> io::Result<SecretString> {
    let mut line = String::new();
    input.take(LONGEST_LINE).read_line(&mut line)?;
    let end = line.trim_end_matches('\n').trim_end_matches('\r').len();
    line.truncate(end);
    Ok(line.into())
}

/// The answer in JSON, in the order that the documentation gives.
#[derive(Serialize)]
struct JsonAnswer<'a> {
    user_id: Uuid,
    organization_id: Uuid,
    api_key: &'a str,
}

impl Bootstrapped {
    fn answer(&self, format: OutputFormat) -> Result<SecretString, serde_json::Error> {
        let Self {
            user_id,
            organization_id,
            api_key,
        } = self;
        let api_key = api_key.expose_secret();
        let text = match format {
            OutputFormat::Json => serde_json::to_string(&JsonAnswer {
                user_id: *user_id,
                organization_id: *organization_id,
                api_key,
            })?,
            OutputFormat::Text => format!(
                "user          {user_id}\norganization  {organization_id}\nAPI key       {api_key}\n\
                 The key is shown only now: keep it safe."
            ),
        };
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_as_it_is() {
        for (input, expected) in [
            ("correct horse\n", "correct horse"),
            ("correct horse\r\n", "correct horse"),
            (" blanks stay \nsecond line\n", " blanks stay "),
            ("no end", "no end"),
            ("", ""),
        ] {
            let password = first_line(input.as_bytes()).expect("text");
            assert_eq!(password.expose_secret(), expected, "{input:?}");
        }
        assert!(first_line(&b"\xff\xfe\n"[..]).is_err());
    }

    #[test]
    fn the_json_answer_is_one_line_and_debug_hides_the_key() {
        let made = Bootstrapped {
            user_id: Uuid::nil(),
            organization_id: Uuid::nil(),
            api_key: "rbk_secret".into(),
        };
        let answer = made.answer(OutputFormat::Json).expect("JSON");
        let nil = Uuid::nil();
        assert_eq!(
            answer.expose_secret(),
            format!(r#"{{"user_id":"{nil}","organization_id":"{nil}","api_key":"rbk_secret"}}"#)
        );
        assert!(!format!("{made:?}").contains("rbk_secret"));
    }
}
