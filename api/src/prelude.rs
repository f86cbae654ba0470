//! What the file of a resource needs, for `use rollbook::prelude::*`.

pub use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
pub use chrono::{DateTime, Utc};
pub use sea_orm::sea_query::{IntoCondition, LockType};
pub use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
};
pub use utoipa::ToSchema;
pub use uuid::Uuid;

pub use crate::access::authorization::{Access, Organizations};
pub use crate::access::caller::Caller;
pub use crate::access::rights::Rights;
pub use crate::access::tenancy::{Reason, all_rows, lock_organization};
pub use crate::access::visibility::{self, Shown, Visible};
pub use crate::collections::page::Page;
pub use crate::collections::verbs::{self, Ending, Rules};
pub use crate::http::answer::Answer;
pub use crate::http::body::Body;
pub use crate::http::conditional::{self, Precondition};
pub use crate::http::query::{Id, Query};
pub use crate::ledger::resource::{Resource, View};
pub use crate::ledger::unit_of_work::UnitOfWork;
pub use crate::ledger::verb::Verb;
pub use crate::problem::{Kind, Problem};
pub use crate::values::clock;
pub use crate::values::input::{Field, Patch};
pub use crate::values::json::JsonObject;
pub use crate::values::scope::{Permissions, Scope, ScopeList, Scopes};
pub use crate::values::text::{
    Domain, Email, Language, Line20, Line50, Line100, Line255, Name, Paragraphs, Password, Slug,
    TimeZone, Timestamp, Url, Username,
};
pub use crate::{enum_column, enum_field, resource, verbs};
