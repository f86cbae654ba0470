//! The migrations of a product: Rollbook's own, and those of whoever builds on it.

use migration::MigrationTrait;
use sea_orm_migration::{MigratorTrait, MigratorTraitSelf};

type Migrator = fn() -> Vec<Box<dyn MigrationTrait>>;

/// The migrations of a product, in the order of their names, which begin with the day on which they were written.
#[derive(Clone, Default)]
pub struct Migrations {
    migrators: Vec<Migrator>,
}

impl Migrations {
    /// Those of one migrator.
    pub fn of<M: MigratorTrait>() -> Self {
        Self::default().and::<M>()
    }

    /// With those of one more migrator.
    pub fn and<M: MigratorTrait>(mut self) -> Self {
        self.migrators.push(M::migrations);
        self
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Box<dyn MigrationTrait>> {
        let migrators = self.migrators.iter();
        let mut all: Vec<_> = migrators.flat_map(|migrations| migrations()).collect();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// Their names, oldest first.
    pub fn names(&self) -> Vec<String> {
        let all = self.all();
        all.iter()
            .map(|migration| migration.name().to_owned())
            .collect()
    }
}

/// So that what SeaORM has for migrators, its command line among it, takes these too.
impl MigratorTraitSelf for Migrations {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.all()
    }
}
