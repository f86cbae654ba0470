//! Organizations: the tenants. Members read them, admins change them, owners delete them.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use entity::organizations::{Column, Entity, Model};
use entity::sea_orm_active_enums::{MembershipRole, OrganizationStatus, UserRole};
use entity::{api_keys, memberships};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::memberships::Membership;
use super::{api_keys as keys, memberships as members};
use crate::core::answer::Answer;
use crate::core::authorization::{Action, Collection, Scope};
use crate::core::body::Body;
use crate::core::caller::Caller;
use crate::core::clock;
use crate::core::conditional::{self, Precondition};
use crate::core::input::Field;
use crate::core::json::JsonObject;
use crate::core::page::{self, Page};
use crate::core::problem::Problem;
use crate::core::query::{Id, Query};
use crate::core::text::{
    Domain, Email, Line20, Line50, Line100, Line255, Name, Paragraphs, Slug, Timestamp, Url,
};
use crate::core::verb::Verb;
use crate::{enum_column, enum_field, resource};

const WRITE: Scope = Scope::Of(Collection::Organizations, Action::Write);

/// An organization.
#[resource(
    entity = entity::organizations,
    collection = "organizations",
    aggregate = "organization",
    organization = id,
    search = "Those with this text in their name, in any case of letters."
)]
pub struct Organization {
    /// The name to show.
    #[input]
    #[search]
    name: Name,
    /// What stands for it in a URL: lower-case letters, digits and hyphens.
    #[input]
    #[unique]
    slug: Slug,
    /// What it is, in a few paragraphs.
    #[input]
    description: Option<Paragraphs>,
    /// Its domain name.
    #[input]
    domain: Option<Domain>,
    /// Where to write to.
    #[input]
    email: Option<Email>,
    /// Where to call.
    #[input]
    phone: Option<Line50>,
    /// Its page.
    #[input]
    website: Option<Url>,
    /// Street and number.
    #[input]
    address_line1: Option<Line255>,
    /// More of the address.
    #[input]
    address_line2: Option<Line255>,
    /// City.
    #[input]
    city: Option<Line100>,
    /// State, province or region.
    #[input]
    state: Option<Line100>,
    /// Country.
    #[input]
    country: Option<Line100>,
    /// Postal code.
    #[input]
    postal_code: Option<Line20>,
    /// Settings that its applications keep.
    #[input]
    #[default]
    settings: JsonObject,
    /// Anything else that its applications keep.
    #[input]
    #[default]
    metadata: JsonObject,
    /// Whether it is in use.
    #[edit(
        doc = "`suspended` closes it to its members, `active` opens it again.",
        admin, as = Switch, with = switch
    )]
    #[filter(without = OrganizationStatus::Deleted)]
    #[default(OrganizationStatus::Active)]
    status: OrganizationStatus,
    /// The plan it is on.
    #[edit(admin)]
    #[default("free")]
    subscription_tier: Line50,
    /// When the plan ends.
    #[edit(admin)]
    subscription_expires_at: Option<Timestamp>,
    #[hidden]
    deleted_at: Option<Timestamp>,
}

enum_column!(OrganizationStatus);
enum_field!(Switch);

/// What a status can be switched between; `deleted` comes by DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// In use.
    Active,
    /// Closed for the time being.
    Suspended,
}

fn switch(row: &mut Model, to: Switch) -> Result<Option<Verb>, Problem> {
    use OrganizationStatus::{Active, Deleted, Suspended};
    let (status, verb) = match (row.status, to) {
        (Active, Switch::Suspended) => (Suspended, Verb::Suspended),
        (Suspended, Switch::Active) => (Active, Verb::Reactivated),
        (Active, Switch::Active) | (Suspended, Switch::Suspended) | (Deleted, _) => {
            return Ok(None);
        }
    };
    row.status = status;
    Ok(Some(verb))
}

impl NewOrganization {
    /// An organization of which only the name is known; its slug is made from it.
    pub fn named(name: Name) -> Self {
        let slug = Slug::from_name(name.as_ref());
        Self::of(name, slug)
    }
}

/// The organizations that exist for the caller.
fn visible(caller: &Caller) -> Select<Entity> {
    let select = Entity::find().filter(caller.organizations().contain(Column::Id));
    match caller.principal().role {
        UserRole::User => select.filter(Column::Status.eq(OrganizationStatus::Active)),
        UserRole::Admin | UserRole::Auditor => select,
    }
}

/// List the organizations that you may see, oldest first.
#[utoipa::path(tag = "organizations", params(ListOrganizations), responses((status = 200, body = Page<Organization>)))]
#[get("/organizations")]
async fn list_organizations(
    caller: Caller,
    query: Query<ListOrganizations>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (select, place) = query.0.narrow(&caller, visible(&caller));
    page::oldest_first::<Organization>(&caller, &request, select, place).await
}

/// Create an organization. You become its owner.
#[utoipa::path(tag = "organizations", request_body = NewOrganization, responses((status = 201, body = Organization)))]
#[post("/organizations")]
async fn create_organization(
    caller: Caller,
    body: Body<NewOrganization>,
) -> Result<HttpResponse, Problem> {
    caller.require_unrestricted()?;
    let row = body.0.into_row()?;
    caller
        .write(async |work| {
            let organization = work
                .create::<Organization>(Verb::Created, row.clone())
                .await?;
            caller.concerns(organization.id);
            let owner = members::founder(caller.user_id(), organization.id)?;
            work.create::<Membership>(Verb::Created, owner).await?;
            Answer::created(&Organization::from(organization))
        })
        .await
}

/// Read one organization.
#[utoipa::path(tag = "organizations", params(("id" = Uuid, Path, description = "The organization's id")), responses((status = 200, body = Organization)))]
#[get("/organizations/{id}")]
async fn read_organization(
    caller: Caller,
    id: Id,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    find(&caller, &request, Column::Id.eq(id.0)).await
}

/// Read one organization by its slug.
#[utoipa::path(tag = "organizations", params(("slug" = inline(Slug), Path, description = "The organization's slug")), responses((status = 200, body = Organization)))]
#[get("/organizations/by-slug/{slug}")]
async fn read_organization_by_slug(
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let slug =
        Slug::present(&Value::String(path.into_inner())).map_err(|_| Problem::not_found())?;
    find(&caller, &request, Column::Slug.eq(slug.as_ref())).await
}

async fn find(
    caller: &Caller,
    request: &HttpRequest,
    which: sea_orm::sea_query::SimpleExpr,
) -> Result<HttpResponse, Problem> {
    let select = visible(caller)
        .filter(which)
        .filter(Column::Status.ne(OrganizationStatus::Deleted));
    let row = select
        .one(&caller.database().reader())
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.concerns(row.id);
    conditional::read(request, &Organization::from(row))
}

/// Change an organization.
#[utoipa::path(tag = "organizations", params(("id" = Uuid, Path, description = "The organization's id")), request_body = EditOrganization, responses((status = 200, body = Organization)))]
#[patch("/organizations/{id}")]
async fn update_organization(
    caller: Caller,
    id: Id,
    precondition: Precondition,
    body: Body<EditOrganization>,
) -> Result<HttpResponse, Problem> {
    caller.access(id.0).await?.require_admin_or(WRITE)?;
    if body.0.is_for_system_admins() {
        caller.require_system_admin()?;
    }
    caller
        .write(async |work| {
            let organization = work
                .update::<Organization>(id.0, |row| {
                    exists(row)?;
                    precondition.check(row.version)?;
                    body.0.apply(row)
                })
                .await?;
            Answer::ok(&Organization::from(organization))
        })
        .await
}

/// Delete an organization. Its keys are revoked and its memberships removed; its events stay.
#[utoipa::path(tag = "organizations", params(("id" = Uuid, Path, description = "The organization's id")), responses((status = 204)))]
#[delete("/organizations/{id}")]
async fn delete_organization(
    caller: Caller,
    id: Id,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    caller
        .access(id.0)
        .await?
        .require_role(MembershipRole::Owner)?;
    caller
        .write(async |work| {
            work.remove::<Organization>(id.0, |row| {
                exists(row)?;
                precondition.check(row.version)?;
                row.status = OrganizationStatus::Deleted;
                row.deleted_at = Some(clock::now().fixed_offset());
                Ok(())
            })
            .await?;
            keys::revoke_all(work, api_keys::Column::OrganizationId.eq(id.0)).await?;
            members::remove_all(work, memberships::Column::OrganizationId.eq(id.0)).await?;
            Ok(Answer::no_content())
        })
        .await
}

fn exists(row: &Model) -> Result<(), Problem> {
    if row.status == OrganizationStatus::Deleted {
        Err(Problem::not_found())
    } else {
        Ok(())
    }
}

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_organizations)
        .service(create_organization)
        .service(read_organization_by_slug)
        .service(read_organization)
        .service(update_organization)
        .service(delete_organization);
}
