//! What `q` means is not said.

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
    organization = organization_id
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

fn main() {}
