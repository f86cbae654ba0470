//! Requirements: what a project has to achieve, each with those that it is divided into. Members keep them.

use rollbook::prelude::*;

use crate::entity::requirements::{self, Column, Entity, Model};
use crate::entity::sea_orm_active_enums::{RequirementPriority, RequirementStatus};

/// What a project has to achieve.
#[resource(
    entity = requirements,
    collection = "requirements",
    aggregate = "requirement",
    organization = organization_id,
    read = Viewer,
    write = Member,
    search = "Those with this text in their title, in any case of letters."
)]
pub struct Requirement {
    /// The organization of the project.
    #[new]
    #[filter]
    #[touches("organization", goes)]
    organization_id: Uuid,
    /// The project that it belongs to.
    #[new]
    #[filter]
    #[touches("project", goes)]
    project_id: Uuid,
    /// The requirement of the same project that it is a part of.
    #[input]
    #[filter]
    #[touches("requirement", goes)]
    parent_id: Option<Uuid>,
    /// What has to be achieved, in a line.
    #[input]
    #[search]
    title: Line255,
    /// The same in a few paragraphs.
    #[input]
    description: Option<Paragraphs>,
    /// How much it matters.
    #[input]
    #[filter]
    #[default(RequirementPriority::Medium)]
    priority: RequirementPriority,
    /// How far it has come.
    #[input]
    #[filter]
    #[default(RequirementStatus::Open)]
    status: RequirementStatus,
    /// Who works on it: a member of the organization.
    #[input]
    #[filter]
    #[touches("user", stays)]
    assignee_id: Option<Uuid>,
    #[hidden]
    #[ended]
    deleted_at: Option<Timestamp>,
}

enum_column!(RequirementPriority, RequirementStatus);

impl Rules for Requirement {
    async fn holds(work: &mut UnitOfWork<'_>, row: &Model) -> Result<(), Problem> {
        let Some(parent) = row.parent_id else {
            return Ok(());
        };
        let same_project = all_rows::<Entity>(Reason::Rule)
            .filter(Column::Id.eq(parent))
            .filter(Column::Id.ne(row.id))
            .filter(Column::ProjectId.eq(row.project_id));
        match work.one(same_project).await? {
            Some(_) => Ok(()),
            None => Err(Problem::invalid(
                "/parent_id",
                "another-project",
                "Must be another requirement of the same project.",
            )),
        }
    }
}

verbs!(Requirement: list, create, read, update, remove);
