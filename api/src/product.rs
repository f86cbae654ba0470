//! A product: Rollbook itself, or what somebody builds on it.

use sea_orm_migration::MigratorTrait;

use crate::collections::kind;
use crate::collections::verbs::Rules;
use crate::database::Migrations;
use crate::ledger::registry::{Part, Registry, Routed};
use crate::resources::api_keys::ApiKey;
use crate::resources::events;
use crate::resources::memberships::Membership;
use crate::resources::organizations::Organization;
use crate::resources::users::User;

/// What a program is, as a value: its name, what its database is made of, and what its API offers. Everything that has to
/// know of each resource takes it from here.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     rollbook::Product::default().run()
/// }
/// ```
#[derive(Clone)]
pub struct Product {
    /// What the program is called.
    pub name: &'static str,
    /// The commit that it was built of; empty where that is not known.
    pub commit: &'static str,
    /// What its database is made of.
    pub migrations: Migrations,
    /// What its API offers.
    pub registry: Registry,
}

impl Product {
    /// One that has nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            commit: "",
            migrations: Migrations::default(),
            registry: Registry::default(),
        }
    }

    /// With another name.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// With the commit that it was built of; see [`commit!`](crate::commit).
    pub fn built_of(self, commit: &'static str) -> Self {
        Self { commit, ..self }
    }

    /// With migrations. Their names begin with the day on which they were written, and all of them are applied in that order.
    pub fn migrations<M: MigratorTrait>(self, _: M) -> Self {
        Self {
            migrations: self.migrations.and::<M>(),
            ..self
        }
    }

    /// With a resource.
    pub fn resource<R: Rules + Routed>(self) -> Self {
        Self {
            registry: self.registry.with(kind::part::<R>()),
            ..self
        }
    }
}

/// Rollbook: organizations, users, memberships, API keys, and their trail.
impl Default for Product {
    fn default() -> Self {
        let product = Self::new("rollbook")
            .migrations(migration::Migrator)
            .resource::<Organization>()
            .resource::<User>()
            .resource::<Membership>()
            .resource::<ApiKey>();
        Self {
            registry: product.registry.with(Part {
                collection: events::COLLECTION,
                description: events::DESCRIPTION,
                routes: events::routes,
                resource: None,
            }),
            ..product
        }
    }
}
