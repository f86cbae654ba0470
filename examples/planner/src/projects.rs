//! Projects: what an organization works on. Its members read them, its admins keep them.

use rollbook::prelude::*;

use crate::entity::projects;
use crate::entity::sea_orm_active_enums::ProjectStatus;

/// What an organization works on.
#[resource(
    entity = projects,
    collection = "projects",
    aggregate = "project",
    verbs("ARCHIVED"),
    organization = organization_id,
    read = Viewer,
    write = Admin,
    search = "Those with this text in their name, in any case of letters.",
    unique(organization_id, slug)
)]
pub struct Project {
    /// The organization that works on it.
    #[new]
    #[filter]
    #[touches("organization", goes)]
    organization_id: Uuid,
    /// What stands for it in a URL; unique in its organization.
    #[input]
    #[filter]
    slug: Slug,
    /// The name to show.
    #[input]
    #[search]
    name: Name,
    /// What it is about, in a few paragraphs.
    #[input]
    description: Option<Paragraphs>,
    /// Who answers for it: a member of the organization.
    #[input]
    #[filter]
    #[touches("user", stays)]
    lead_id: Option<Uuid>,
    /// Whether it is worked on.
    #[edit(with = switch)]
    #[filter]
    #[default(ProjectStatus::Active)]
    status: ProjectStatus,
    #[hidden]
    #[ended]
    deleted_at: Option<Timestamp>,
}

enum_column!(ProjectStatus);

/// Archiving has a word of its own in the trail.
fn switch(row: &mut projects::Model, to: ProjectStatus) -> Result<Option<Verb>, Problem> {
    let changed = row.status != to;
    row.status = to;
    Ok(changed.then_some(match to {
        ProjectStatus::Active => Verb::Reactivated,
        ProjectStatus::Archived => Verb::Own("ARCHIVED"),
    }))
}

impl Rules for Project {}

verbs!(Project: list, create, read, update, remove);
