//! The migrations of Rollbook's database, oldest first, for PostgreSQL and for SQLite.

pub use connection::{connect, without_brackets};
pub use sea_orm_migration::prelude::*;

pub mod audit;
mod connection;
mod m20261121_000001_create_organizations;
mod m20261121_000002_create_users;
mod m20261121_000003_create_memberships;
mod m20261121_000004_create_events;
mod m20261121_000005_create_api_keys;
mod m20261121_000006_create_idempotency_keys;
mod m20261201_000007_find_events_by_client;
pub mod support;

/// The migrations with which a server of the version before goes on, while they are applied and afterwards. What such a
/// migration makes must be nothing that the version before could miss or trip over: an index, a table, a column that may
/// be left out and that no audited row is folded from. Which of them a migration is, is written down when it is applied,
/// for versions that do not know it.
const COMPATIBLE: &[&str] = &["m20261201_000007_find_events_by_client"];

/// Whether a server of the version before goes on with the migration of this name.
pub fn is_compatible(name: &str) -> bool {
    COMPATIBLE.contains(&name)
}

/// Brings a database from any earlier schema to this one, and back.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_organizations::Migration),
            Box::new(m20261121_000002_create_users::Migration),
            Box::new(m20261121_000003_create_memberships::Migration),
            Box::new(m20261121_000004_create_events::Migration),
            Box::new(m20261121_000005_create_api_keys::Migration),
            Box::new(m20261121_000006_create_idempotency_keys::Migration),
            Box::new(m20261201_000007_find_events_by_client::Migration),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compatible_is_a_migration() {
        let migrations = Migrator::migrations();
        for name in COMPATIBLE {
            let mut names = migrations.iter().map(|migration| migration.name());
            assert!(names.any(|known| known == *name), "{name}");
        }
    }
}
