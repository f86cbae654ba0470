//! The migrations of this product. Rollbook's own come among them, in the order of their names.

mod m20261201_100001_create_planner;

use sea_orm_migration::prelude::*;

/// All of them, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261201_100001_create_planner::Migration)]
    }
}
