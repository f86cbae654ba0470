//! Organizations: the tenants. Members read them, admins change them, owners delete them.

use actix_web::web;
use entity::organizations::{Column, Model};
use entity::sea_orm_active_enums::{MembershipRole, OrganizationStatus};
use serde_json::Value;

use super::memberships::{self as members, Membership};
use super::switch::Switch;
use crate::prelude::*;

/// An organization.
#[resource(
    entity = entity::organizations,
    collection = "organizations",
    description = "The tenants.",
    aggregate = "organization",
    organization = id,
    read = Viewer,
    write = by_hand,
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

impl Rights for Organization {
    async fn may_create(caller: &Caller, _: &Model) -> Result<(), Problem> {
        caller.require_unrestricted()
    }

    async fn may_change(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        let access = caller.access(id).await?;
        access.require_admin_or(Self::WRITE)
    }

    async fn may_remove(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        let access = caller.access(id).await?;
        access.require_role(MembershipRole::Owner)
    }
}

impl Ending for Organization {
    fn bury(row: &mut Model, now: DateTime<Utc>) -> Result<(), Problem> {
        row.status = OrganizationStatus::Deleted;
        row.deleted_at = Some(now.fixed_offset());
        Ok(())
    }
}

impl Rules for Organization {
    async fn before_create(_: &mut UnitOfWork<'_>, _: &Model) -> Result<(), Problem> {
        Ok(())
    }

    async fn after_create(
        work: &mut UnitOfWork<'_>,
        caller: &Caller,
        row: &Model,
    ) -> Result<(), Problem> {
        let owner = members::founder(caller.user_id(), row.id)?;
        let created = work.create::<Membership>(Verb::Created, owner).await;
        created.map(drop)
    }
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
    let which = Column::Slug.eq(slug.as_ref());
    let row = visibility::find_where::<Organization>(&caller, which).await?;
    conditional::read(&request, &Organization::from(row))
}

verbs! { Organization:
    list,
    /// Create an organization. You become its owner.
    create,
    read,
    update,
    /// Delete an organization. Its keys are revoked and its memberships removed; its events stay.
    remove;
    read_organization_by_slug
}
