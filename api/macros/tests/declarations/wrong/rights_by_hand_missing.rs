//! Who changes rows is said to be written by hand, and is not.

use rollbook::values::text::{Line50, Name, Slug};
use rollbook::kit::uuid::Uuid;
use rollbook::resource;

#[path = "../projects.rs"]
mod projects;

/// A project.
#[resource(
    entity = projects,
    collection = "projects",
    aggregate = "project",
    organization = organization_id,
    read = Viewer,
    write = by_hand,
    search = "Those with this text in their name."
)]
pub struct Project {
    /// The organization that keeps it.
    #[new]
    #[filter]
    #[touches("organization", goes)]
    organization_id: Uuid,
    /// What stands for it in a URL.
    #[input]
    #[unique]
    slug: Slug,
    /// The name to show.
    #[input]
    #[search]
    name: Name,
    /// What it is about.
    #[input]
    summary: Option<Line50>,
    #[secret]
    token: Option<String>,
    /// Whether it is worked on.
    #[edit]
    #[default("active")]
    status: Line50,
}

impl rollbook::collections::verbs::Rules for Project {
    fn bury(
        _: &mut projects::Model,
        _: rollbook::prelude::DateTime<rollbook::prelude::Utc>,
    ) -> Result<(), rollbook::problem::Problem> {
        Ok(())
    }
}

rollbook::verbs!(Project: update);

fn main() {}
