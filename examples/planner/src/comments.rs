//! Comments: what members say of a project or a requirement. Only who wrote one changes it or takes it back.

use rollbook::prelude::*;

use crate::entity::comments::{self, Model};

/// What somebody says of a project or a requirement.
#[resource(
    entity = comments,
    collection = "comments",
    aggregate = "comment",
    organization = organization_id,
    read = Viewer,
    write = Member,
    change = Author
)]
pub struct Comment {
    /// The organization of what it is about.
    #[new]
    #[filter]
    #[touches("organization", goes)]
    organization_id: Uuid,
    /// The project that it is about. One of `project_id` and `requirement_id`.
    #[new]
    #[filter]
    #[touches("project", goes)]
    project_id: Option<Uuid>,
    /// The requirement that it is about.
    #[new]
    #[filter]
    #[touches("requirement", goes)]
    requirement_id: Option<Uuid>,
    /// What it says.
    #[input]
    body: Paragraphs,
    #[hidden]
    #[ended]
    deleted_at: Option<Timestamp>,
}

impl Rules for Comment {
    async fn holds(_: &mut UnitOfWork<'_>, row: &Model) -> Result<(), Problem> {
        match row.project_id.is_some() == row.requirement_id.is_some() {
            false => Ok(()),
            true => Err(Problem::invalid(
                "/project_id",
                "either-or",
                "Give either project_id or requirement_id.",
            )),
        }
    }
}

verbs!(Comment: list, create, read, update, remove);
