//! The five verbs as endpoints: what the server routes to, and what the OpenAPI document says of each.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::{self, Guard};
use actix_web::{Handler, HttpResponse, web};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::OpenApiFactory;
use uuid::Uuid;

use crate::access::rights::Rights;
use crate::access::visibility::Visible;
use crate::collections::page::Page;
use crate::collections::verbs::{self, Edited, Listed, Made, Rules};
use crate::http::openapi::MAY_REPEAT;
use crate::ledger::resource::Resource;
use crate::problem::Problem;
use crate::values::input::{Field, Input};

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
        let collection = R::COLLECTION.name();
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
    let handler = verbs::list::<R>;
    let get = (HttpMethod::Get, guard::Get());
    let mut endpoint = Endpoint::new::<R, _, _>(("list", &words), get, false, handler)
        .answers::<Page<R>>("200", &page);
    let parameters = R::List::into_params(|| None);
    endpoint.operation.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
    endpoint
}

/// `POST` to the collection.
pub fn create<R: Made + Rights + Rules + ToSchema>(words: &str) -> Endpoint {
    let words = words_or(words, format!("Create {}.", R::ONE));
    let handler = verbs::create::<R>;
    let post = (HttpMethod::Post, guard::Post());
    Endpoint::new::<R, _, _>(("create", &words), post, false, handler)
        .takes::<R, R::New>()
        .answers::<R>("201", &R::name())
}

/// `GET` of one.
pub fn read<R: Visible + ToSchema>(words: &str) -> Endpoint {
    let words = words_or(words, format!("Read one {}.", R::NOUN));
    let handler = verbs::read::<R>;
    let get = (HttpMethod::Get, guard::Get());
    Endpoint::new::<R, _, _>(("read", &words), get, true, handler).answers::<R>("200", &R::name())
}

/// `PATCH` of one.
pub fn update<R: Edited + Rights + Rules + ToSchema>(words: &str) -> Endpoint {
    let words = words_or(words, format!("Change {}.", R::ONE));
    let handler = verbs::update::<R>;
    let patch = (HttpMethod::Patch, guard::Patch());
    Endpoint::new::<R, _, _>(("update", &words), patch, true, handler)
        .takes::<R, R::Edit>()
        .answers::<R>("200", &R::name())
}

/// `DELETE` of one.
pub fn remove<R: Rights + Rules>(words: &str) -> Endpoint {
    let words = words_or(words, format!("Delete {}.", R::ONE));
    let handler = verbs::remove::<R>;
    let delete = (HttpMethod::Delete, guard::Delete());
    let mut endpoint = Endpoint::new::<R, _, _>(("delete", &words), delete, true, handler);
    endpoint.may_answer("204", ResponseBuilder::new());
    endpoint
}

/// The routes of a resource: which of the five verbs it has, each with its words where they are not the usual ones, and
/// then the handlers that are written by hand.
#[macro_export]
macro_rules! verbs {
    ($resource:ty: $($(#[doc = $words:literal])* $verb:ident),+ $(; $($handler:path),+)? $(,)?) => {
        impl $crate::ledger::registry::Routed for $resource {
            fn routes(config: &mut $crate::kit::ServiceConfig<'_>) {
                config
                    $(.service($crate::collections::endpoints::$verb::<$resource>(concat!($($words, "\n",)* ""))))+
                    $($(.service($handler))+)?;
            }
        }
    };
}
