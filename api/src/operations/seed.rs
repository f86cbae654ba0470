//! Believable data to try with, made as the API makes it: through the unit of work, each change with its event.
//!
//! Names, addresses, roles and all other values follow from the seed; ids and times are those of the moment.

use std::collections::BTreeSet;

use entity::sea_orm_active_enums::{MembershipRole, MembershipStatus, UserStatus};
use entity::{memberships, organizations, users};
use fake::Fake;
use fake::faker::address::en::{CityName, StateName};
use fake::faker::company::en::CompanyName;
use fake::faker::job::en::{Field as JobField, Title};
use fake::faker::name::en::{FirstName, LastName};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::{ColumnTrait, IntoActiveModel, QueryFilter};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::tenancy::{Reason, all_rows};
use crate::database::Database;
use crate::ledger::event::Origin;
use crate::ledger::resource::{ActiveRow, Resource, Row};
use crate::ledger::unit_of_work::UnitOfWork;
use crate::ledger::verb::Verb;
use crate::operations::Progress;
use crate::problem::Problem;
use crate::resources;
use crate::resources::memberships::Membership;
use crate::resources::organizations::{NewOrganization, Organization};
use crate::resources::users::User;
use crate::values::input::Field;
use crate::values::text::{Email, Name};

/// Rows and changes of one transaction.
const BATCH: usize = 200;

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Organizations.
    pub organizations: usize,
    /// Users; each is a member of an organization or two.
    pub users: usize,
    /// Events, at least: rows are changed again and again until there are so many.
    pub events: usize,
    /// What all values follow from.
    pub seed: u64,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seeded {
    /// Organizations.
    pub organizations: usize,
    /// Users.
    pub users: usize,
    /// Memberships.
    pub memberships: usize,
    /// Events.
    pub events: usize,
}

/// Why nothing, or not all, was made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The same was made before.
    #[error("this database was seeded with {seed} before; nothing was changed")]
    Again {
        /// The seed.
        seed: u64,
    },
    /// Somebody has to own the organizations.
    #[error("organizations need at least one user to own them")]
    NoOwner,
    /// A transaction failed; those before it stay.
    #[error("{}; what was made before stays", .0.detail())]
    Failed(#[from] Problem),
}

/// Makes it, batch by batch.
///
/// # Errors
/// Where the seed was used before; where the database fails in the middle.
pub async fn seed(
    database: &Database,
    amount: Amount,
    progress: &Progress,
) -> Result<Seeded, SeedError> {
    if amount.organizations > 0 && amount.users == 0 {
        return Err(SeedError::NoOwner);
    }
    let mut seeding = Seeding {
        database,
        amount,
        origin: Origin {
            source: "cli",
            metadata: Map::from_iter([
                ("command".to_owned(), Value::from("seed")),
                ("seed".to_owned(), Value::from(amount.seed)),
            ]),
            ..Origin::default()
        },
        rng: StdRng::seed_from_u64(amount.seed),
        made: Seeded::default(),
    };
    seeding.run(progress).await
}

struct Seeding<'a> {
    database: &'a Database,
    amount: Amount,
    origin: Origin,
    rng: StdRng,
    made: Seeded,
}

impl Seeding<'_> {
    async fn run(&mut self, progress: &Progress) -> Result<Seeded, SeedError> {
        let rows = (0..self.amount.users)
            .map(|number| self.user(number))
            .collect::<Result<Vec<_>, _>>()?;
        if self.is_there(&rows).await? {
            return Err(SeedError::Again {
                seed: self.amount.seed,
            });
        }
        let users = self.make::<User>("users", &rows, progress).await?;
        self.made.users += users.len();
        let organizations = self.make_organizations(&users, progress).await?;
        let members = self.make_members(&users, &organizations, progress).await?;
        self.change(&users, &organizations, &members, progress)
            .await?;
        Ok(self.made)
    }

    fn user(&mut self, number: usize) -> Result<users::Model, Problem> {
        let first: String = FirstName().fake_with_rng(&mut self.rng);
        let last: String = LastName().fake_with_rng(&mut self.rng);
        let address = format!(
            "{}.{}.{number}@seed-{}.example.com",
            letters(&first),
            letters(&last),
            self.amount.seed
        );
        Ok(users::Model {
            status: UserStatus::Active,
            bio: Some(Title().fake_with_rng(&mut self.rng)),
            first_name: Some(first),
            last_name: Some(last),
            ..resources::users::invited(parsed::<Email>(&address)?)?
        })
    }

    async fn is_there(&self, rows: &[users::Model]) -> Result<bool, Problem> {
        let Some(first) = rows.first() else {
            return Ok(false);
        };
        let same = all_rows::<users::Entity>(Reason::System)
            .filter(users::Column::Email.eq(first.email.as_str()));
        Ok(same.one(&self.database.reader()).await?.is_some())
    }

    /// Makes rows of one kind, each with its event, batch by batch.
    async fn make<R: Resource>(
        &mut self,
        what: &str,
        rows: &[Row<R>],
        progress: &Progress,
    ) -> Result<Vec<Uuid>, Problem>
    where
        Row<R>: IntoActiveModel<ActiveRow<R>>,
    {
        let mut made = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let ids = UnitOfWork::run(self.database, &self.origin, async |work| {
                let mut ids = Vec::with_capacity(batch.len());
                for row in batch {
                    let row = work.create::<R>(Verb::Created, row.clone()).await?;
                    ids.push(R::id_of(&row));
                }
                Ok(ids)
            });
            made.extend(ids.await?);
            progress.show(what, made.len() as u64, Some(rows.len() as u64));
        }
        self.made.events += made.len();
        Ok(made)
    }

    /// Each with one of the users as its owner, in turn.
    async fn make_organizations(
        &mut self,
        users: &[Uuid],
        progress: &Progress,
    ) -> Result<Vec<(Uuid, Uuid)>, Problem> {
        let mut rows = Vec::with_capacity(self.amount.organizations);
        for (number, owner) in (0..self.amount.organizations).zip(users.iter().cycle()) {
            rows.push((self.organization(number)?, *owner));
        }
        let mut organizations = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let made = UnitOfWork::run(self.database, &self.origin, async |work| {
                let mut made = Vec::with_capacity(batch.len());
                for (row, owner) in batch {
                    let row = work
                        .create::<Organization>(Verb::Created, row.clone())
                        .await?;
                    let founder = resources::memberships::founder(*owner, row.id)?;
                    work.create::<Membership>(Verb::Created, founder).await?;
                    made.push((row.id, *owner));
                }
                Ok(made)
            });
            organizations.extend(made.await?);
            progress.show(
                "organizations",
                organizations.len() as u64,
                Some(rows.len() as u64),
            );
        }
        self.made.organizations += organizations.len();
        self.made.memberships += organizations.len();
        self.made.events += 2 * organizations.len();
        Ok(organizations)
    }

    fn organization(&mut self, number: usize) -> Result<organizations::Model, Problem> {
        let name: String = CompanyName().fake_with_rng(&mut self.rng);
        let tiers = ["free", "free", "free", "team", "enterprise"];
        let row = NewOrganization::named(parsed::<Name>(&name)?).into_row()?;
        Ok(organizations::Model {
            slug: format!("{:.60}-{number}-seed-{}", row.slug, self.amount.seed),
            city: Some(CityName().fake_with_rng(&mut self.rng)),
            state: Some(StateName().fake_with_rng(&mut self.rng)),
            subscription_tier: tiers[self.rng.random_range(0..tiers.len())].to_owned(),
            ..row
        })
    }

    /// Each user in an organization or two that they do not own.
    async fn make_members(
        &mut self,
        users: &[Uuid],
        organizations: &[(Uuid, Uuid)],
        progress: &Progress,
    ) -> Result<Vec<Uuid>, Problem> {
        let mut pairs: BTreeSet<(Uuid, Uuid)> = organizations
            .iter()
            .map(|(id, owner)| (*id, *owner))
            .collect();
        let mut rows = Vec::new();
        for user in users {
            for _ in 0..self.rng.random_range(1..=2) {
                if organizations.is_empty() {
                    break;
                }
                let (organization, _) =
                    organizations[self.rng.random_range(0..organizations.len())];
                let row = self.membership(*user, organization)?;
                if pairs.insert((organization, *user)) {
                    rows.push(row);
                }
            }
        }
        let members = self
            .make::<Membership>("memberships", &rows, progress)
            .await?;
        self.made.memberships += members.len();
        Ok(members)
    }

    fn membership(
        &mut self,
        user: Uuid,
        organization: Uuid,
    ) -> Result<memberships::Model, Problem> {
        let roles = [
            MembershipRole::Admin,
            MembershipRole::Member,
            MembershipRole::Member,
            MembershipRole::Viewer,
        ];
        let row = memberships::Model {
            role: roles[self.rng.random_range(0..roles.len())],
            job_title: Some(Title().fake_with_rng(&mut self.rng)),
            department: Some(JobField().fake_with_rng(&mut self.rng)),
            ..resources::memberships::founder(user, organization)?
        };
        // Some have not answered yet.
        Ok(match self.rng.random_ratio(1, 10) {
            true => memberships::Model {
                status: MembershipStatus::Pending,
                joined_at: None,
                ..row
            },
            false => row,
        })
    }

    /// Changes rows until there are as many events as were asked for.
    async fn change(
        &mut self,
        users: &[Uuid],
        organizations: &[(Uuid, Uuid)],
        members: &[Uuid],
        progress: &Progress,
    ) -> Result<(), Problem> {
        if users.is_empty() {
            return Ok(());
        }
        while self.made.events < self.amount.events {
            let wanted = (self.amount.events - self.made.events).min(BATCH);
            let changes: Vec<Change> = (0..wanted)
                .map(|number| {
                    let number = self.made.events + number;
                    self.any_change(number, users, organizations, members)
                })
                .collect();
            let made = UnitOfWork::run(self.database, &self.origin, async |work| {
                for change in &changes {
                    change.make(work).await?;
                }
                Ok(())
            });
            made.await?;
            self.made.events += changes.len();
            progress.show(
                "events",
                self.made.events as u64,
                Some(self.amount.events as u64),
            );
        }
        Ok(())
    }

    fn any_change(
        &mut self,
        number: usize,
        users: &[Uuid],
        organizations: &[(Uuid, Uuid)],
        members: &[Uuid],
    ) -> Change {
        let kind = self.rng.random_range(0..3);
        if kind == 0 && !organizations.is_empty() {
            let (id, _) = organizations[self.rng.random_range(0..organizations.len())];
            let city = CityName().fake_with_rng(&mut self.rng);
            return Change::Organization { id, city, number };
        }
        if kind == 1 && !members.is_empty() {
            let id = members[self.rng.random_range(0..members.len())];
            let title = Title().fake_with_rng(&mut self.rng);
            return Change::Membership { id, title, number };
        }
        let id = users[self.rng.random_range(0..users.len())];
        let bio = Title().fake_with_rng(&mut self.rng);
        Change::User { id, bio, number }
    }
}

/// A change; its number makes it one where all else is as it was.
enum Change {
    User {
        id: Uuid,
        bio: String,
        number: usize,
    },
    Organization {
        id: Uuid,
        city: String,
        number: usize,
    },
    Membership {
        id: Uuid,
        title: String,
        number: usize,
    },
}

impl Change {
    async fn make(&self, work: &mut UnitOfWork<'_>) -> Result<(), Problem> {
        match self {
            Self::User { id, bio, number } => {
                let change = work.update::<User>(*id, |row| {
                    row.bio = Some(format!("{bio} (edition {number})"));
                    Ok(Verb::Updated)
                });
                change.await.map(drop)
            }
            Self::Organization { id, city, number } => {
                let change = work.update::<Organization>(*id, |row| {
                    row.city = Some(city.clone());
                    row.metadata = json!({ "edition": number });
                    Ok(Verb::Updated)
                });
                change.await.map(drop)
            }
            Self::Membership { id, title, number } => {
                let change = work.update::<Membership>(*id, |row| {
                    row.job_title = Some(title.clone());
                    row.metadata = json!({ "edition": number });
                    Ok(Verb::Updated)
                });
                change.await.map(drop)
            }
        }
    }
}

/// What of a name goes into an address.
fn letters(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_lowercase()
}

fn parsed<T: Field>(text: &str) -> Result<T, Problem> {
    T::present(&Value::from(text))
        .map_err(|fault| Problem::internal(format!("{text:?}: {}", fault.detail)))
}
