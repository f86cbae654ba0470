//! The five verbs of a collection, for every resource: list, create, read, update and remove one.
//!
//! What differs from resource to resource is said by [`Rules`]. A handler that does something else is written by hand,
//! and named beside the verbs in [`verbs!`](crate::verbs).

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::{self, Guard};
use actix_web::{Handler, HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{IntoCondition, LockType};
use sea_orm::{ColumnTrait, QueryFilter, Select};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::OpenApiFactory;
use uuid::Uuid;

use super::answer::Answer;
use super::body::Body;
use super::caller::Caller;
use super::clock;
use super::conditional::{self, Precondition};
use super::input::{Field, Input};
use super::openapi::MAY_REPEAT;
use super::page::{self, Page, Place};
use super::problem::Problem;
use super::query::{Id, Query};
use super::resource::{Resource, Row};
use super::scope::{Action, Collection, Scope};
use super::tenancy;
use super::unit_of_work::UnitOfWork;
use super::verb::Verb;
use super::visibility::{Shown, Visible};

/// A resource of which there is a list. Made by [`#[resource]`](crate::resource).
pub trait Listed: Resource {
    /// What narrows the list.
    type List: Input + IntoParams + 'static;

    /// Narrows a select to what is asked for, and says which page of it.
    fn narrow(
        list: Self::List,
        caller: &Caller,
        select: Select<Self::Entity>,
    ) -> (Select<Self::Entity>, Place);
}

/// A resource that is made by a request. Made by [`#[resource]`](crate::resource).
pub trait Made: Shown {
    /// What one is made from.
    type New: Input + ToSchema + 'static;
}

/// A resource that is changed by a merge patch. Made by [`#[resource]`](crate::resource).
pub trait Edited: Shown {
    /// The merge patch.
    type Edit: Input + ToSchema + 'static;

    /// Whether it changes what is a system admin's to change.
    fn is_for_system_admins(edit: &Self::Edit) -> bool;

    /// Changes the row, and says what happened to it.
    ///
    /// # Errors
    /// Those of the columns.
    fn apply(edit: &Self::Edit, row: &mut Row<Self>) -> Result<Verb, Problem>;
}

/// Who changes a resource, and what else happens then. As it stands, admins of the organization that a row belongs to do,
/// and whom the scope was granted; of what belongs to none, system admins.
#[expect(
    async_fn_in_trait,
    reason = "requests are answered on the thread that took them"
)]
pub trait Rules: Visible {
    /// Whether the caller may make this row.
    async fn may_create(caller: &Caller, row: &Row<Self>) -> Result<(), Problem> {
        let permitted = require_write::<Self>(caller, Self::organization(row)).await;
        permitted.map_err(|problem| problem.naming("/organization_id"))
    }

    /// Whether the caller may change the row with this id, that they see.
    async fn may_change(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        let row = find::<Self>(caller, id).await?;
        require_write::<Self>(caller, Self::organization(&row)).await
    }

    /// Whether the caller may remove the row with this id.
    async fn may_remove(caller: &Caller, id: Uuid) -> Result<(), Problem> {
        Self::may_change(caller, id).await
    }

    /// What else has to be true or done in the transaction in which the row is made, before it is.
    async fn before_create(work: &mut UnitOfWork<'_>, row: &Row<Self>) -> Result<(), Problem> {
        match Self::organization(row) {
            Some(id) => tenancy::lock_organization(work, id, LockType::Share)
                .await
                .map(drop),
            None => Ok(()),
        }
    }

    /// What else is done in the transaction in which the row was made.
    async fn after_create(
        work: &mut UnitOfWork<'_>,
        caller: &Caller,
        row: &Row<Self>,
    ) -> Result<(), Problem> {
        let _ = (work, caller, row);
        Ok(())
    }

    /// Whether the caller may make of the row what it becomes; it is locked.
    fn may_become(caller: &Caller, before: &Row<Self>, after: &Row<Self>) -> Result<(), Problem> {
        let _ = (caller, before, after);
        Ok(())
    }

    /// Makes the row a tombstone, at this moment.
    fn bury(row: &mut Row<Self>, now: DateTime<Utc>);

    /// What else is done in the transaction in which the row was removed.
    async fn after_remove(work: &mut UnitOfWork<'_>, row: &Row<Self>) -> Result<(), Problem> {
        let _ = (work, row);
        Ok(())
    }
}

/// The scope that a key needs to do this in the resource's collection.
pub fn scope<R: Resource>(action: Action) -> Scope {
    let path = R::COLLECTION.trim_start_matches("/v1");
    Collection::of_path(path).map_or(Scope::All, |collection| Scope::Of(collection, action))
}

/// Refuses who may not write in the organization; or, where there is none, who is no system admin.
///
/// # Errors
/// `forbidden`; `not-found` for an organization that the caller does not see.
pub async fn require_write<R: Resource>(
    caller: &Caller,
    organization: Option<Uuid>,
) -> Result<(), Problem> {
    match organization {
        Some(id) => {
            let access = caller.access(id).await?;
            access.require_admin_or(scope::<R>(Action::Write))
        }
        None => caller.require_system_admin(),
    }
}

/// The row with this id, if it exists for the caller and is not gone.
///
/// # Errors
/// `not-found` otherwise.
pub async fn find<R: Visible>(caller: &Caller, id: Uuid) -> Result<Row<R>, Problem> {
    find_where::<R>(caller, R::id_column().eq(id)).await
}

/// The one row that fits, if it exists for the caller and is not gone.
///
/// # Errors
/// `not-found` otherwise.
pub async fn find_where<R: Visible>(
    caller: &Caller,
    which: impl IntoCondition,
) -> Result<Row<R>, Problem> {
    let select = R::visible(caller)
        .filter(which.into_condition())
        .filter(R::living());
    let row = select.one(&caller.database().reader()).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    caller.concerns(R::organization(&row));
    Ok(row)
}

/// Refuses a row that is gone: it may have gone since it was seen.
///
/// # Errors
/// `not-found`.
pub fn exists<R: Resource>(row: &Row<R>) -> Result<(), Problem> {
    match R::is_gone(row) {
        true => Err(Problem::not_found()),
        false => Ok(()),
    }
}

/// Removes every row that fits and is not gone yet, each with its event; a few statements however many there are.
///
/// # Errors
/// Those of [`UnitOfWork::update_all`].
pub async fn remove_all<R: Rules>(
    work: &mut UnitOfWork<'_>,
    which: impl IntoCondition,
) -> Result<(), Problem> {
    let which = R::living().add(which.into_condition());
    let now = clock::now();
    let removed = work.update_all::<R>(which, R::REMOVAL, |row| R::bury(row, now));
    removed.await.map(drop)
}

async fn list<R: Listed + Visible>(
    caller: Caller,
    query: Query<R::List>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (select, place) = R::narrow(query.0, &caller, R::listed(&caller));
    page::oldest_first::<R>(&caller, &request, select, place).await
}

async fn create<R: Made + Rules>(
    caller: Caller,
    body: Body<R::New>,
) -> Result<HttpResponse, Problem>
where
    R::New: IntoRow<R> + Clone,
{
    let row = body.0.into_row()?;
    R::may_create(&caller, &row).await?;
    caller
        .write(async |work| {
            R::before_create(work, &row).await?;
            let row = work.create::<R>(Verb::Created, row.clone()).await?;
            caller.concerns(R::organization(&row));
            R::after_create(work, &caller, &row).await?;
            Answer::created(&R::seen_by(&caller, row))
        })
        .await
}

async fn read<R: Visible>(
    caller: Caller,
    id: Id,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let row = find::<R>(&caller, id.0).await?;
    conditional::read(&request, &R::seen_by(&caller, row))
}

async fn update<R: Edited + Rules>(
    caller: Caller,
    id: Id,
    precondition: Precondition,
    body: Body<R::Edit>,
) -> Result<HttpResponse, Problem> {
    R::may_change(&caller, id.0).await?;
    if R::is_for_system_admins(&body.0) {
        caller.require_system_admin()?;
    }
    caller
        .write(async |work| {
            let row = work
                .update::<R>(id.0, |row| {
                    exists::<R>(row)?;
                    precondition.check(R::version_of(row))?;
                    let before = row.clone();
                    let verb = R::apply(&body.0, row)?;
                    R::may_become(&caller, &before, row)?;
                    Ok(verb)
                })
                .await?;
            Answer::ok(&R::seen_by(&caller, row))
        })
        .await
}

async fn remove<R: Rules>(
    caller: Caller,
    id: Id,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    R::may_remove(&caller, id.0).await?;
    caller
        .write(async |work| {
            let bury = |row: &mut Row<R>| {
                exists::<R>(row)?;
                precondition.check(R::version_of(row))?;
                R::bury(row, clock::now());
                Ok(())
            };
            let row = match R::REMOVAL {
                // Of what is not only marked the event tells what it was.
                Verb::Deleted => work.remove::<R>(id.0, bury).await?,
                verb => {
                    let bury = |row: &mut Row<R>| bury(row).map(|()| verb);
                    work.update::<R>(id.0, bury).await?
                }
            };
            R::after_remove(work, &row).await?;
            Ok(Answer::no_content())
        })
        .await
}

/// What a row is made from with nothing else. Made by [`#[resource]`](crate::resource) where no column is `#[given]`.
pub trait IntoRow<R: Resource> {
    /// The row to be, without what the unit of work sets.
    ///
    /// # Errors
    /// Those of `blank`.
    fn into_row(self) -> Result<Row<R>, Problem>;
}

/// One verb of a collection, as the server and the OpenAPI document have it.
pub struct Endpoint {
    resource: actix_web::Resource,
    path: String,
    method: HttpMethod,
    operation: Operation,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Endpoint {
    fn new<R: Resource, H, Arguments>(
        (verb, words): (&str, &str),
        (method, guard): (HttpMethod, impl Guard + 'static),
        names_one: bool,
        handler: H,
    ) -> Self
    where
        H: Handler<Arguments, Output = Result<HttpResponse, Problem>>,
        Arguments: actix_web::FromRequest + 'static,
    {
        let collection = R::COLLECTION.trim_start_matches("/v1/");
        let path = match names_one {
            true => format!("/{collection}/{{id}}"),
            false => format!("/{collection}"),
        };
        let subject = match verb {
            "list" => collection.replace('-', "_"),
            _ => R::AGGREGATE.to_owned(),
        };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(format!("{verb}_{subject}")))
            .tag(collection)
            .summary(Some(words.trim()));
        if names_one {
            let id = ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .description(Some(format!("The {}'s id", R::NOUN)))
                .required(Required::True)
                .schema(Some(Uuid::schema()));
            operation = operation.parameter(id);
        }
        Self {
            resource: web::resource(path.as_str()).guard(guard).to(handler),
            path,
            method,
            operation: operation.build(),
            schemas: Vec::new(),
        }
    }

    fn answers<T: ToSchema>(mut self, status: &str, name: &str) -> Self {
        let response = ResponseBuilder::new().content("application/json", content_of(name));
        self.may_answer(status, response);
        self.names::<T>(name);
        self
    }

    fn takes<R: Resource, T: Input + ToSchema>(mut self) -> Self {
        let taken = T::properties();
        let is_taken = |column: &&str| taken.iter().any(|property| property.name == *column);
        let mut unique = R::UNIQUE.iter().flat_map(|(columns, _)| columns.iter());
        if unique.any(is_taken) {
            self.operation.extensions = Some(Extensions::from_iter([(MAY_REPEAT, true)]));
        }
        let name = T::name();
        let body = RequestBodyBuilder::new().content("application/json", content_of(&name));
        self.operation.request_body = Some(RefOr::T(body.build()));
        self.names::<T>(&name);
        self
    }

    fn may_answer(&mut self, status: &str, response: ResponseBuilder) {
        let responses = &mut self.operation.responses.responses;
        responses.insert(status.to_owned(), RefOr::T(response.build()));
    }

    fn names<T: ToSchema>(&mut self, name: &str) {
        self.schemas.push((name.to_owned(), T::schema()));
        T::schemas(&mut self.schemas);
    }
}

fn content_of(name: &str) -> utoipa::openapi::Content {
    let schema = Ref::from_schema_name(name);
    ContentBuilder::new().schema(Some(schema)).build()
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        self.resource.register(config);
    }
}

impl OpenApiFactory for Endpoint {
    fn paths(&self) -> Paths {
        let item = PathItem::new(self.method.clone(), self.operation.clone());
        Paths::builder().path(self.path.clone(), item).build()
    }

    fn schemas(&self, schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(self.schemas.iter().cloned());
    }
}

/// The endpoints of a resource, each with what the document says of it.
pub mod endpoints {
    use super::*;

    fn words_or(words: &str, usual: String) -> String {
        match words.trim() {
            "" => usual,
            own => own.replace('\n', " ").replace("  ", " "),
        }
    }

    /// `GET` of the collection.
    pub fn list<R: Listed + Visible + ToSchema>(words: &str) -> Endpoint
    where
        Page<R>: ToSchema,
    {
        let page = format!("Page_{}", R::name());
        let usual = format!("List the {}s that you may see, oldest first.", R::NOUN);
        let words = words_or(words, usual);
        let handler = super::list::<R>;
        let get = (HttpMethod::Get, guard::Get());
        let mut endpoint = Endpoint::new::<R, _, _>(("list", &words), get, false, handler)
            .answers::<Page<R>>("200", &page);
        let parameters = R::List::into_params(|| None);
        endpoint.operation.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
        endpoint
    }

    /// `POST` to the collection.
    pub fn create<R: Made + Rules + ToSchema>(words: &str) -> Endpoint
    where
        R::New: IntoRow<R> + Clone,
    {
        let words = words_or(words, format!("Create {}.", with_article(R::NOUN)));
        let handler = super::create::<R>;
        let post = (HttpMethod::Post, guard::Post());
        Endpoint::new::<R, _, _>(("create", &words), post, false, handler)
            .takes::<R, R::New>()
            .answers::<R>("201", &R::name())
    }

    /// `GET` of one.
    pub fn read<R: Visible + ToSchema>(words: &str) -> Endpoint {
        let words = words_or(words, format!("Read one {}.", R::NOUN));
        let handler = super::read::<R>;
        let get = (HttpMethod::Get, guard::Get());
        Endpoint::new::<R, _, _>(("read", &words), get, true, handler)
            .answers::<R>("200", &R::name())
    }

    /// `PATCH` of one.
    pub fn update<R: Edited + Rules + ToSchema>(words: &str) -> Endpoint {
        let words = words_or(words, format!("Change {}.", with_article(R::NOUN)));
        let handler = super::update::<R>;
        let patch = (HttpMethod::Patch, guard::Patch());
        Endpoint::new::<R, _, _>(("update", &words), patch, true, handler)
            .takes::<R, R::Edit>()
            .answers::<R>("200", &R::name())
    }

    /// `DELETE` of one.
    pub fn remove<R: Rules>(words: &str) -> Endpoint {
        let words = words_or(words, format!("Delete {}.", with_article(R::NOUN)));
        let handler = super::remove::<R>;
        let delete = (HttpMethod::Delete, guard::Delete());
        let mut endpoint = Endpoint::new::<R, _, _>(("delete", &words), delete, true, handler);
        endpoint.may_answer("204", ResponseBuilder::new());
        endpoint
    }

    fn with_article(noun: &str) -> String {
        match noun.to_lowercase().starts_with(['a', 'e', 'i', 'o']) {
            true => format!("an {noun}"),
            false => format!("a {noun}"),
        }
    }
}

/// The routes of a resource: which of the five verbs it has, each with its words where they are not the usual ones, and
/// then the handlers that are written by hand.
#[macro_export]
macro_rules! verbs {
    ($resource:ty: $($(#[doc = $words:literal])* $verb:ident),+ $(; $($handler:path),+)? $(,)?) => {
        /// The routes of this file.
        pub fn routes(config: &mut $crate::kit::ServiceConfig<'_>) {
            config
                $(.service($crate::core::verbs::endpoints::$verb::<$resource>(concat!($($words, "\n",)* ""))))+
                $($(.service($handler))+)?;
        }
    };
}
