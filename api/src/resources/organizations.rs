//! Organizations: the tenants. Members read them, admins change them, owners delete them.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use entity::organizations::{Column, Entity, Model};
use entity::sea_orm_active_enums::{MembershipRole, OrganizationStatus, UserRole};
use entity::{api_keys, memberships};
use sea_orm::sea_query::{BinOper, Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::{api_keys as keys, memberships as members};
use crate::core::answer::Answer;
use crate::core::authorization::{Action, Collection, Scope};
use crate::core::body::Body;
use crate::core::caller::Caller;
use crate::core::characters;
use crate::core::clock;
use crate::core::conditional::{self, Precondition};
use crate::core::input::{Field, Patch};
use crate::core::json::JsonObject;
use crate::core::merge_patch;
use crate::core::page::{self, CursorText, Limit, Page};
use crate::core::problem::Problem;
use crate::core::query::{Id, Query};
use crate::core::resource::Resource;
use crate::core::text::{
    Domain, Email, Line20, Line50, Line100, Line255, Name, Paragraphs, SearchText, Slug, Timestamp,
    Url,
};
use crate::core::verb::Verb;
use crate::{audited_columns, enum_field, input, view};

const WRITE: Scope = Scope::Of(Collection::Organizations, Action::Write);

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// The name to show.
    pub name: String,
    /// What stands for it in a URL; unique.
    pub slug: String,
    /// What it is, in a few paragraphs.
    pub description: Option<String>,
    /// Its domain name.
    pub domain: Option<String>,
    /// Where to write to.
    pub email: Option<String>,
    /// Where to call.
    pub phone: Option<String>,
    /// Its page.
    pub website: Option<String>,
    /// Street and number.
    pub address_line1: Option<String>,
    /// More of the address.
    pub address_line2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State, province or region.
    pub state: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Settings that its applications keep.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Anything else that its applications keep.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// Whether it is in use.
    #[schema(inline)]
    pub status: OrganizationStatus,
    /// The plan it is on.
    pub subscription_tier: String,
    /// When the plan ends.
    pub subscription_expires_at: Option<Timestamp>,
    /// How often it was changed, its making included; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: Option<Uuid>,
    /// Who changed it last.
    pub updated_by: Option<Uuid>,
}

view!(Organization, "/v1/organizations");

impl From<Model> for Organization {
    fn from(row: Model) -> Self {
        let Model { deleted_at: _, .. } = row;
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            description: row.description,
            domain: row.domain,
            email: row.email,
            phone: row.phone,
            website: row.website,
            address_line1: row.address_line1,
            address_line2: row.address_line2,
            city: row.city,
            state: row.state,
            country: row.country,
            postal_code: row.postal_code,
            settings: row.settings,
            metadata: row.metadata,
            status: row.status,
            subscription_tier: row.subscription_tier,
            subscription_expires_at: row.subscription_expires_at.map(Timestamp::from),
            version: row.version,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            created_by: row.created_by,
            updated_by: row.updated_by,
        }
    }
}

impl Resource for Entity {
    const AGGREGATE: &'static str = "organization";
    const REMOVAL: Verb = Verb::Deleted;
    const SECRETS: &'static [Column] = &[];
    const BOOKKEEPING: &'static [Column] = &[];
    const UNIQUE: &'static [(&'static str, &'static str)] = &[("slug", "slug")];

    audited_columns!();

    fn organization(row: &Model) -> Option<Uuid> {
        Some(row.id)
    }

    fn touches(_: &Model) -> Vec<(&'static str, Uuid)> {
        Vec::new()
    }
}

input! {
    /// What a new organization is made from.
    pub struct NewOrganization {
        /// The name to show.
        pub name: Name,
        /// What stands for it in a URL: lower-case letters, digits and hyphens; unique.
        pub slug: Slug,
        /// What it is, in a few paragraphs.
        pub description: Option<Paragraphs>,
        /// Its domain name.
        pub domain: Option<Domain>,
        /// Where to write to.
        pub email: Option<Email>,
        /// Where to call.
        pub phone: Option<Line50>,
        /// Its page.
        pub website: Option<Url>,
        /// Street and number.
        pub address_line1: Option<Line255>,
        /// More of the address.
        pub address_line2: Option<Line255>,
        /// City.
        pub city: Option<Line100>,
        /// State, province or region.
        pub state: Option<Line100>,
        /// Country.
        pub country: Option<Line100>,
        /// Postal code.
        pub postal_code: Option<Line20>,
        /// Settings that its applications keep.
        pub settings: Option<JsonObject>,
        /// Anything else that its applications keep.
        pub metadata: Option<JsonObject>,
    }
}

input! {
    /// A merge patch of an organization.
    pub struct EditOrganization {
        /// The name to show.
        pub name: Patch<Name>,
        /// What stands for it in a URL: lower-case letters, digits and hyphens; unique.
        pub slug: Patch<Slug>,
        /// What it is, in a few paragraphs.
        pub description: Patch<Option<Paragraphs>>,
        /// Its domain name.
        pub domain: Patch<Option<Domain>>,
        /// Where to write to.
        pub email: Patch<Option<Email>>,
        /// Where to call.
        pub phone: Patch<Option<Line50>>,
        /// Its page.
        pub website: Patch<Option<Url>>,
        /// Street and number.
        pub address_line1: Patch<Option<Line255>>,
        /// More of the address.
        pub address_line2: Patch<Option<Line255>>,
        /// City.
        pub city: Patch<Option<Line100>>,
        /// State, province or region.
        pub state: Patch<Option<Line100>>,
        /// Country.
        pub country: Patch<Option<Line100>>,
        /// Postal code.
        pub postal_code: Patch<Option<Line20>>,
        /// Settings; merged, member by member.
        pub settings: Patch<JsonObject>,
        /// Anything else; merged, member by member.
        pub metadata: Patch<JsonObject>,
        /// `suspended` closes it to its members, `active` opens it again. System admins only.
        pub status: Patch<Switch>,
        /// The plan it is on. System admins only.
        pub subscription_tier: Patch<Line50>,
        /// When the plan ends. System admins only.
        pub subscription_expires_at: Patch<Option<Timestamp>>,
    }
}

/// What a status can be switched between; `deleted` comes by DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// In use.
    Active,
    /// Closed for the time being.
    Suspended,
}

enum_field!(Switch, OrganizationStatus);

input! {
    /// Which organizations to list.
    pub struct ListOrganizations {
        /// Those in this state; without it, those that are not deleted.
        pub status: Option<OrganizationStatus>,
        /// Those with this text in their name, in any case of letters.
        pub q: Option<SearchText>,
        /// How many, at most.
        pub limit: Limit,
        /// Where to go on: the `next_cursor` of the page before.
        pub cursor: Option<CursorText>,
    }
}

impl NewOrganization {
    /// An organization of which only the name is known; its slug is made from it.
    pub fn named(name: Name) -> Self {
        let slug = Slug::from_name(name.as_ref());
        Self {
            name,
            slug,
            description: None,
            domain: None,
            email: None,
            phone: None,
            website: None,
            address_line1: None,
            address_line2: None,
            city: None,
            state: None,
            country: None,
            postal_code: None,
            settings: None,
            metadata: None,
        }
    }

    /// The row to be, without what the unit of work sets.
    pub fn into_row(self) -> Model {
        let now = clock::now().fixed_offset();
        let object = |value: Option<JsonObject>| value.map_or_else(|| json!({}), Value::from);
        Model {
            id: Uuid::nil(),
            name: self.name.into(),
            slug: self.slug.into(),
            description: self.description.map(String::from),
            domain: self.domain.map(String::from),
            email: self.email.map(String::from),
            phone: self.phone.map(String::from),
            website: self.website.map(String::from),
            address_line1: self.address_line1.map(String::from),
            address_line2: self.address_line2.map(String::from),
            city: self.city.map(String::from),
            state: self.state.map(String::from),
            country: self.country.map(String::from),
            postal_code: self.postal_code.map(String::from),
            settings: object(self.settings),
            metadata: object(self.metadata),
            status: OrganizationStatus::Active,
            subscription_tier: "free".to_owned(),
            subscription_expires_at: None,
            deleted_at: None,
            version: 0,
            created_at: now,
            updated_at: now,
            created_by: None,
            updated_by: None,
        }
    }
}

impl EditOrganization {
    /// Whether it changes what is a system admin's to change.
    fn is_for_system_admins(&self) -> bool {
        self.status.is_set()
            || self.subscription_tier.is_set()
            || self.subscription_expires_at.is_set()
    }

    fn apply(&self, row: &mut Model) -> Result<Verb, Problem> {
        let Self {
            name,
            slug,
            description,
            domain,
            email,
            phone,
            website,
            address_line1,
            address_line2,
            city,
            state,
            country,
            postal_code,
            settings,
            metadata,
            status,
            subscription_tier,
            subscription_expires_at,
        } = self;
        name.apply(&mut row.name);
        slug.apply(&mut row.slug);
        description.apply_option(&mut row.description);
        domain.apply_option(&mut row.domain);
        email.apply_option(&mut row.email);
        phone.apply_option(&mut row.phone);
        website.apply_option(&mut row.website);
        address_line1.apply_option(&mut row.address_line1);
        address_line2.apply_option(&mut row.address_line2);
        city.apply_option(&mut row.city);
        state.apply_option(&mut row.state);
        country.apply_option(&mut row.country);
        postal_code.apply_option(&mut row.postal_code);
        merge_patch::apply("settings", settings, &mut row.settings)?;
        merge_patch::apply("metadata", metadata, &mut row.metadata)?;
        subscription_tier.apply(&mut row.subscription_tier);
        subscription_expires_at.apply_option(&mut row.subscription_expires_at);
        Ok(match (row.status, status.value()) {
            (OrganizationStatus::Active, Some(Switch::Suspended)) => {
                row.status = OrganizationStatus::Suspended;
                Verb::Suspended
            }
            (OrganizationStatus::Suspended, Some(Switch::Active)) => {
                row.status = OrganizationStatus::Active;
                Verb::Reactivated
            }
            _ => Verb::Updated,
        })
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

/// The condition that a column has the text in it, in any case of letters.
pub(super) fn contains(
    backend: DbBackend,
    column: impl ColumnTrait,
    text: &str,
) -> sea_orm::sea_query::SimpleExpr {
    let operator = match backend {
        DbBackend::Postgres => BinOper::Custom("~"),
        _ => BinOper::Custom("REGEXP"),
    };
    // A regular expression that names all cases of each letter, and not `ILIKE`: that folds by the database's locale,
    // SQLite's `LIKE` folds A to Z, and PostgreSQL's trigram index serves both.
    Expr::col(column.as_column_ref()).binary(operator, characters::in_any_case(text))
}

/// List the organizations that you may see, oldest first.
#[utoipa::path(tag = "organizations", params(ListOrganizations), responses((status = 200, body = Page<Organization>)))]
#[get("/organizations")]
async fn list_organizations(
    caller: Caller,
    query: Query<ListOrganizations>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Query(ListOrganizations {
        status,
        q,
        limit,
        cursor,
    }) = query;
    let mut select = visible(&caller);
    select = match status {
        Some(status) => select.filter(Column::Status.eq(status)),
        None => select.filter(Column::Status.ne(OrganizationStatus::Deleted)),
    };
    if let Some(text) = q {
        select = select.filter(contains(
            caller.database().backend(),
            Column::Name,
            text.as_ref(),
        ));
    }
    let place = (limit, cursor);
    page::oldest_first(&caller, &request, select, place, Organization::from).await
}

/// Create an organization. You become its owner.
#[utoipa::path(tag = "organizations", request_body = NewOrganization, responses((status = 201, body = Organization)))]
#[post("/organizations")]
async fn create_organization(
    caller: Caller,
    body: Body<NewOrganization>,
) -> Result<HttpResponse, Problem> {
    caller.require_unrestricted()?;
    let row = body.0.into_row();
    caller
        .write(async |work| {
            let organization = work.create::<Entity>(Verb::Created, row.clone()).await?;
            caller.concerns(organization.id);
            let owner = members::founder(caller.user_id(), organization.id);
            work.create::<memberships::Entity>(Verb::Created, owner)
                .await?;
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
                .update::<Entity>(id.0, |row| {
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
            work.remove::<Entity>(id.0, |row| {
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
