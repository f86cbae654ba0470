//! Projects, requirements and comments for organizations: a product that is built on Rollbook.

mod comments;
pub mod entity;
mod migrations;
mod projects;
mod requirements;

use rollbook::Product;

/// Rollbook, with what this product adds to it.
pub fn product() -> Product {
    Product::default()
        .named("planner")
        .migrations(migrations::Migrator)
        .resource::<projects::Project>()
        .resource::<requirements::Requirement>()
        .resource::<comments::Comment>()
}
