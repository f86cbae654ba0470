//! The tables: projects, requirements, comments.

use rollbook::migration::audit::{self, Audited};
use rollbook::migration::support::*;
use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

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
        let named = |table, column| index(table, &[column, "id"]);
        let indexes = [
            (named("projects", "organization_id"), pages),
            (named("projects", "lead_id"), "the projects of somebody"),
            (named("requirements", "organization_id"), pages),
            (
                named("requirements", "project_id"),
                "what a project has to achieve",
            ),
            (
                named("requirements", "parent_id"),
                "the parts of a requirement",
            ),
            (
                named("requirements", "assignee_id"),
                "what somebody works on",
            ),
            (named("comments", "organization_id"), pages),
            (named("comments", "project_id"), "what is said of a project"),
            (
                named("comments", "requirement_id"),
                "what is said of a requirement",
            ),
        ];
        create_indexes(manager, indexes).await
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
    let own = "projects";
    let mut status = enumeration("status", "project_status", PROJECT_STATUS.iter().copied());
    let columns = [
        names(uuid("organization_id"), own, "organizations")
            .comment("Whose it is")
            .take(),
        string_len("slug", 100)
            .comment("Name for URLs, unique in the organization")
            .take(),
        string_len("name", 255).comment("Name for people").take(),
        text_null("description")
            .comment("What it is about, in plain text")
            .take(),
        names(uuid_null("lead_id"), own, "users")
            .comment("Who answers for it")
            .take(),
        status
            .default("active")
            .comment("Whether it is worked on")
            .take(),
        deleted_at(),
    ];
    let meaning = "Projects: what an organization works on";
    let table = audited_table(own, meaning, backend, columns)
        .index(&mut unique(own, &["organization_id", "slug"]))
        .check(not_blank(own, "name", backend))
        .take();
    Audited::of("project", own, table)
}

/// What the trail needs to know of the table.
pub fn requirements(backend: DbBackend) -> Audited {
    let own = "requirements";
    let mut priority = enumeration("priority", "requirement_priority", PRIORITY.iter().copied());
    let status = REQUIREMENT_STATUS.iter().copied();
    let mut status = enumeration("status", "requirement_status", status);
    let columns = [
        names(uuid("organization_id"), own, "organizations")
            .comment("Whose it is")
            .take(),
        names(uuid("project_id"), own, "projects")
            .comment("The project that has it")
            .take(),
        names(uuid_null("parent_id"), own, own)
            .comment("What it is a part of")
            .take(),
        string_len("title", 255)
            .comment("What has to be achieved, in a line")
            .take(),
        text_null("description")
            .comment("The same at length, in plain text")
            .take(),
        priority
            .default("medium")
            .comment("How much it matters")
            .take(),
        status.default("open").comment("How far it has come").take(),
        names(uuid_null("assignee_id"), own, "users")
            .comment("Who works on it")
            .take(),
        deleted_at(),
    ];
    let meaning = "Requirements: what a project has to achieve";
    let table = audited_table(own, meaning, backend, columns);
    Audited::of("requirement", own, table)
}

fn comments(backend: DbBackend) -> Audited {
    let own = "comments";
    let columns = [
        names(uuid("organization_id"), own, "organizations")
            .comment("Whose it is")
            .take(),
        names(uuid_null("project_id"), own, "projects")
            .comment("What it is about")
            .take(),
        names(uuid_null("requirement_id"), own, "requirements")
            .comment("Or this")
            .take(),
        text("body").comment("What it says, in plain text").take(),
        deleted_at(),
    ];
    let one = "(project_id IS NULL) <> (requirement_id IS NULL)";
    let meaning = "Comments: what members say of a project or a requirement";
    let table = audited_table(own, meaning, backend, columns)
        .check(check(own, "subject", one))
        .take();
    Audited::of("comment", own, table)
}

fn names(column: ColumnDef, table: &str, target: &str) -> ColumnDef {
    references(column, table, target, Reference::Restrict)
}

fn deleted_at() -> ColumnDef {
    let meaning = "When it was deleted; null while it is not";
    timestamp_with_time_zone_null("deleted_at")
        .comment(meaning)
        .take()
}
