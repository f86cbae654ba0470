//! What the file of a resource needs, for `use rollbook::prelude::*`.

pub use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
pub use chrono::{DateTime, Utc};
pub use sea_orm::sea_query::{IntoCondition, LockType};
pub use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
};
pub use utoipa::ToSchema;
pub use uuid::Uuid;

pub use crate::core::answer::Answer;
pub use crate::core::authorization::{Access, Organizations};
pub use crate::core::body::Body;
pub use crate::core::caller::Caller;
pub use crate::core::clock;
pub use crate::core::conditional::{self, Precondition};
pub use crate::core::input::{Field, Patch};
pub use crate::core::json::JsonObject;
pub use crate::core::page::Page;
pub use crate::core::problem::{Kind, Problem};
pub use crate::core::query::{Id, Query};
pub use crate::core::resource::{Resource, View};
pub use crate::core::rights::Rights;
pub use crate::core::scope::{Permissions, Scope, ScopeList, Scopes};
pub use crate::core::tenancy::{Reason, all_rows, lock_organization};
pub use crate::core::text::{
    Domain, Email, Language, Line20, Line50, Line100, Line255, Name, Paragraphs, Password, Slug,
    TimeZone, Timestamp, Url, Username,
};
pub use crate::core::unit_of_work::UnitOfWork;
pub use crate::core::verb::Verb;
pub use crate::core::verbs::{self, Ending, Rules};
pub use crate::core::visibility::{self, Shown, Visible};
pub use crate::{enum_column, enum_field, resource, verbs};
