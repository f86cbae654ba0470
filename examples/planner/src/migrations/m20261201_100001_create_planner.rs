//! The tables: projects, requirements, comments.

use rollbook::migration::audit::{self, Audited};
use rollbook::migration::support::*;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    enumeration, string_len, text, text_null, timestamp_with_time_zone_null, uuid, uuid_null,
};
use sea_orm_migration::sea_orm::DbBackend;

const PROJECT_STATUS: &[&str] = &["active", "archived"];
const PRIORITY: &[&str] = &["low", "medium", "high", "critical"];
const REQUIREMENT_STATUS: &[&str] = &["open", "in_progress", "done"];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        create_enum(manager, "project_status", PROJECT_STATUS).await?;
        create_enum(manager, "requirement_priority", PRIORITY).await?;
        create_enum(manager, "requirement_status", REQUIREMENT_STATUS).await?;
        for table in [projects(backend), requirements(backend), comments(backend)] {
            audit::create_table(manager, &table).await?;
        }
        let pages = "pages of what an organization has, in the order of their ids";
        create_indexes(
            manager,
            [
                (index("projects", &["organization_id", "id"]), pages),
                (index("projects", &["lead_id"]), "the projects of somebody"),
                (index("requirements", &["organization_id", "id"]), pages),
                (
                    index("requirements", &["project_id", "id"]),
                    "what a project has to achieve",
                ),
                (
                    index("requirements", &["parent_id"]),
                    "the parts of a requirement",
                ),
                (
                    index("requirements", &["assignee_id", "id"]),
                    "what somebody works on",
                ),
                (index("comments", &["organization_id", "id"]), pages),
                (
                    index("comments", &["project_id", "id"]),
                    "what is said of a project",
                ),
                (
                    index("comments", &["requirement_id", "id"]),
                    "what is said of a requirement",
                ),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["comments", "requirements", "projects"] {
            drop_table(manager, table).await?;
        }
        for name in [
            "requirement_status",
            "requirement_priority",
            "project_status",
        ] {
            drop_enum(manager, name).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn projects(backend: DbBackend) -> Audited {
    let table = audited_table(
        "projects",
        "Projects: what an organization works on",
        backend,
        [
            organization("projects"),
            string_len("slug", 100)
                .comment("Name for URLs, unique in the organization")
                .take(),
            string_len("name", 255).comment("Name for people").take(),
            text_null("description")
                .comment("What it is about, in plain text")
                .take(),
            names(
                uuid_null("lead_id"),
                "projects",
                "users",
                "Who answers for it",
            ),
            enumeration("status", "project_status", PROJECT_STATUS.iter().copied())
                .default("active")
                .comment("active or archived")
                .take(),
            deleted_at(),
        ],
    )
    .index(&mut unique("projects", &["organization_id", "slug"]))
    .check(not_blank("projects", "name", backend))
    .take();
    Audited::of("project", "projects", table)
}

/// What the trail needs to know of the table.
pub fn requirements(backend: DbBackend) -> Audited {
    let own = "requirements";
    let table = audited_table(
        own,
        "Requirements: what a project has to achieve",
        backend,
        [
            organization(own),
            names(
                uuid("project_id"),
                own,
                "projects",
                "The project that it belongs to",
            ),
            names(
                uuid_null("parent_id"),
                own,
                own,
                "The requirement that it is a part of",
            ),
            string_len("title", 255)
                .comment("What has to be achieved, in a line")
                .take(),
            text_null("description")
                .comment("The same at length, in plain text")
                .take(),
            enumeration("priority", "requirement_priority", PRIORITY.iter().copied())
                .default("medium")
                .comment("How much it matters")
                .take(),
            enumeration(
                "status",
                "requirement_status",
                REQUIREMENT_STATUS.iter().copied(),
            )
            .default("open")
            .comment("How far it has come")
            .take(),
            names(uuid_null("assignee_id"), own, "users", "Who works on it"),
            deleted_at(),
        ],
    );
    Audited::of("requirement", own, table)
}

fn comments(backend: DbBackend) -> Audited {
    let table = audited_table(
        "comments",
        "Comments: what members say of a project or a requirement",
        backend,
        [
            organization("comments"),
            names(
                uuid_null("project_id"),
                "comments",
                "projects",
                "The project that it is about",
            ),
            names(
                uuid_null("requirement_id"),
                "comments",
                "requirements",
                "The requirement that it is about",
            ),
            text("body").comment("What it says, in plain text").take(),
            deleted_at(),
        ],
    )
    .check(check(
        "comments",
        "subject",
        "(project_id IS NULL) <> (requirement_id IS NULL)",
    ))
    .take();
    Audited::of("comment", "comments", table)
}

fn organization(table: &str) -> ColumnDef {
    names(
        uuid("organization_id"),
        table,
        "organizations",
        "The organization that it belongs to",
    )
}

fn names(column: ColumnDef, table: &str, target: &str, meaning: &str) -> ColumnDef {
    references(column, table, target, Reference::Restrict)
        .comment(meaning)
        .take()
}

fn deleted_at() -> ColumnDef {
    timestamp_with_time_zone_null("deleted_at")
        .comment("When it was deleted; null while it is not")
        .take()
}
