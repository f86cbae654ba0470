//! Events: the trail. Read by those who may; written by nobody but the unit of work and the database's own triggers.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::DateTime;
use entity::events::{Column, Entity, Model};
use entity::sea_orm_active_enums::MembershipRole;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, DbBackend, Order, QueryFilter, QueryOrder, Select};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::tenancy::{Reason, all_rows};
use crate::collections::page::{self, Cursor, CursorText, Limit, Page};
use crate::http::conditional;
use crate::http::query::{Id, Query};
use crate::problem::Problem;
use crate::values::clock;
use crate::values::input::parse_id;
use crate::values::scope::{Action, Collection, Scope};
use crate::values::text::{Address, AggregateType, EventType, Identifier, Tag, Timestamp};
use crate::{enum_field, input};

/// Their name in paths and scopes.
pub const COLLECTION: Collection = Collection::named("events");
/// What they are, for the OpenAPI document.
pub const DESCRIPTION: &str = "The audit trail.";
const READ: Scope = Scope::Of(COLLECTION, Action::Read);

/// An event: that something changed, what, by whom, and in which request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// What happened, such as `USER.SUSPENDED`.
    pub event_type: String,
    /// To what kind of thing: `organization`, `user`, `membership`, `api_key`.
    pub aggregate_type: String,
    /// To which one.
    pub aggregate_id: Uuid,
    /// Its version from then on; counts 1, 2, 3 and never skips.
    pub aggregate_version: i64,
    /// `new` where it was made, `old` and `new` where it was changed, `old` where it was deleted.
    #[schema(value_type = Object)]
    pub data: Value,
    /// More about how it came about, such as the API key's id.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// The ids that it touches, by kind.
    #[schema(value_type = Object)]
    pub tags: Value,
    /// Who did it; null for the command line and for changes made in the database itself.
    pub user_id: Option<Uuid>,
    /// The organization that it belongs to.
    pub organization_id: Option<Uuid>,
    /// The session in which it was done.
    pub session_id: Option<String>,
    /// The request, or what its sender called the whole.
    pub correlation_id: Option<String>,
    /// What caused it, in its sender's words.
    pub causation_id: Option<String>,
    /// `api`, `cli`, or `database` for a change that went past both.
    pub source: String,
    /// The form of the event.
    pub version: Option<String>,
    /// From which address.
    pub ip_address: Option<String>,
    /// By which program, as that says.
    pub user_agent: Option<String>,
    /// When it happened.
    pub event_timestamp: Timestamp,
    /// When it was written.
    pub created_at: Timestamp,
}

impl crate::ledger::resource::View for Event {
    const PATH: &'static str = "/v1/events";

    fn id(&self) -> Uuid {
        self.id
    }

    /// An event never changes.
    fn version(&self) -> i64 {
        1
    }
}

impl From<Model> for Event {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            event_type: row.event_type,
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            aggregate_version: row.aggregate_version,
            data: row.data,
            metadata: row.metadata,
            tags: row.tags,
            user_id: row.user_id,
            organization_id: row.organization_id,
            session_id: row.session_id,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            source: row.source,
            version: row.version,
            ip_address: row.ip_address,
            user_agent: row.user_agent,
            event_timestamp: row.event_timestamp.into(),
            created_at: row.created_at.into(),
        }
    }
}

/// Which way a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A request to a server.
    Api,
    /// A command on the machine.
    Cli,
    /// A change that went past both, as the database's own triggers told it.
    Database,
}

impl Source {
    /// Not as a value: that `database` is rare and `api` is not decides which way the database goes.
    fn condition(self) -> SimpleExpr {
        Expr::cust(match self {
            Self::Api => "events.source = 'api'",
            Self::Cli => "events.source = 'cli'",
            Self::Database => "events.source = 'database'",
        })
    }
}

enum_field!(Direction, Source);

input! {
    /// Which events to list. All that is given must fit.
    pub struct ListEvents {
        /// Those that belong to this organization.
        pub organization_id: Option<Uuid>,
        /// Those that this person did.
        pub user_id: Option<Uuid>,
        /// Those of this kind of thing.
        pub aggregate_type: Option<AggregateType>,
        /// Those of this one.
        pub aggregate_id: Option<Uuid>,
        /// Those of this type; `USER.*` for a family. Repeat it for several.
        pub event_type: Vec<EventType>,
        /// Those of this request, or of what its sender called the whole.
        pub correlation_id: Option<Identifier>,
        /// Those that this API key did, by its id.
        pub api_key_id: Option<Uuid>,
        /// Those that came from here: `api`, `cli`, or `database` for changes that went past both.
        pub source: Option<Source>,
        /// Those from this address, IPv4 or IPv6 in any spelling.
        pub ip_address: Option<Address>,
        /// Those that touch this id, as `kind:id`. Repeat it: all must fit.
        pub tag: Vec<Tag>,
        /// Those at this time or later.
        pub from: Option<Timestamp>,
        /// Those before this time.
        pub to: Option<Timestamp>,
        /// Newest first (`desc`) unless `asc`.
        pub order: Option<Direction>,
        /// How many, at most.
        pub limit: Limit,
        /// Where to go on: the `next_cursor` of the page before.
        pub cursor: Option<CursorText>,
    }
}

/// The events that exist for the caller: those of the organizations whose trail they may read.
fn visible(caller: &Caller) -> Select<Entity> {
    all_rows::<Entity>(Reason::Visibility).filter(
        caller
            .organizations_as(MembershipRole::Admin, READ)
            .contain(Column::OrganizationId),
    )
}

/// List the events that you may read.
#[utoipa::path(tag = "events", params(ListEvents), responses((status = 200, body = Page<Event>)))]
#[get("/events")]
async fn list_events(
    caller: Caller,
    query: Query<ListEvents>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.concerns(query.0.organization_id);
    let direction = query.0.order.unwrap_or(Direction::Desc);
    let limit = query.0.limit;
    let order = match direction {
        Direction::Asc => Order::Asc,
        Direction::Desc => Order::Desc,
    };
    let mut select = visible(&caller)
        .filter(query.0.condition(caller.database().backend()))
        .order_by(Column::EventTimestamp, order.clone())
        .order_by(Column::Id, order);
    if let Some(cursor) = &query.0.cursor {
        select = select.filter(after(&cursor.decode()?, direction)?);
    }
    let cursor = |row: &Model| cursor_of(row, direction);
    page::respond(&caller, &request, select, limit, cursor, Event::from).await
}

fn list_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "events asc",
        Direction::Desc => "events desc",
    }
}

fn cursor_of(row: &Model, direction: Direction) -> Cursor {
    Cursor::new(
        list_name(direction),
        [
            clock::rfc3339(row.event_timestamp.to_utc()),
            row.id.to_string(),
        ],
    )
}

/// What comes after the cursor: a later (or earlier) time, or the same time and a greater (or smaller) id.
fn after(cursor: &Cursor, direction: Direction) -> Result<Condition, Problem> {
    let [time, id] = cursor.key(list_name(direction))? else {
        return Err(page::bad_cursor());
    };
    let time = DateTime::parse_from_rfc3339(time).map_err(|_| page::bad_cursor())?;
    let id = parse_id(id).ok_or_else(page::bad_cursor)?;
    let (bound, later, next) = match direction {
        Direction::Asc => (
            Column::EventTimestamp.gte(time),
            Column::EventTimestamp.gt(time),
            Column::Id.gt(id),
        ),
        Direction::Desc => (
            Column::EventTimestamp.lte(time),
            Column::EventTimestamp.lt(time),
            Column::Id.lt(id),
        ),
    };
    // The bound alone would be too much, the rest alone is an `or` that no index serves.
    Ok(Condition::all()
        .add(bound)
        .add(Condition::any().add(later).add(next)))
}

impl ListEvents {
    fn condition(&self, backend: DbBackend) -> Condition {
        let Self {
            organization_id,
            user_id,
            aggregate_type,
            aggregate_id,
            event_type,
            correlation_id,
            api_key_id,
            source,
            ip_address,
            tag,
            from,
            to,
            order: _,
            limit: _,
            cursor: _,
        } = self;
        let types = event_type
            .iter()
            .map(of_type)
            .fold(Condition::any(), Condition::add);
        let tags = tag
            .iter()
            .map(|tag| tagged(backend, tag))
            .fold(Condition::all(), Condition::add);
        Condition::all()
            .add_option(organization_id.map(|id| Column::OrganizationId.eq(id)))
            .add_option(user_id.map(|id| Column::UserId.eq(id)))
            .add_option(
                aggregate_type
                    .as_ref()
                    .map(|name| Column::AggregateType.eq(name.as_ref())),
            )
            .add_option(aggregate_id.map(|id| Column::AggregateId.eq(id)))
            .add_option(
                correlation_id
                    .as_ref()
                    .map(|id| Column::CorrelationId.is_in(spellings(id.as_ref()))),
            )
            .add_option(api_key_id.map(|id| done_by(backend, id)))
            .add_option(source.map(Source::condition))
            .add_option(ip_address.map(|address| Column::IpAddress.eq(address.0.to_string())))
            .add_option(from.map(|time| Column::EventTimestamp.gte(time.0)))
            .add_option(to.map(|time| Column::EventTimestamp.lt(time.0)))
            .add_option((!event_type.is_empty()).then_some(types))
            .add(tags)
    }
}

/// A type, or a family: the types of one kind of thing, which is indexed as such.
fn of_type(event_type: &EventType) -> SimpleExpr {
    match event_type.as_ref().strip_suffix(".*") {
        Some(family) => Column::AggregateType.eq(family.to_lowercase()),
        None => Column::EventType.eq(event_type.as_ref()),
    }
}

/// Whether the API key did it; in the words of the index, which serves no others.
fn done_by(backend: DbBackend, api_key_id: Uuid) -> SimpleExpr {
    let id = [api_key_id.to_string()];
    match backend {
        DbBackend::Sqlite => {
            Expr::cust_with_values("json_extract(events.metadata, '$.api_key_id') = ?", id)
        }
        _ => Expr::cust_with_values("(events.metadata ->> 'api_key_id') = $1", id),
    }
}

/// The id as it was given and, if it is a UUID in any form, as the server writes it.
fn spellings(id: &str) -> Vec<String> {
    let mut spellings = vec![id.to_owned()];
    spellings.extend(Uuid::try_parse(id).map(|id| id.to_string()));
    spellings.dedup();
    spellings
}

/// Whether the events touch what the tag names, however it spells the id.
fn tagged(backend: DbBackend, tag: &Tag) -> Condition {
    let (kind, id) = tag.as_ref().split_once(':').unwrap_or((tag.as_ref(), ""));
    spellings(id)
        .into_iter()
        .map(|id| touches(backend, kind, id))
        .fold(Condition::any(), Condition::add)
}

/// Whether the tags have the id under its kind, alone or among several.
fn touches(backend: DbBackend, kind: &str, id: String) -> SimpleExpr {
    match backend {
        DbBackend::Sqlite => Expr::cust_with_values(
            "EXISTS (SELECT 1 FROM json_each(events.tags, ?) AS tag WHERE tag.value = ?)",
            [format!("$.\"{kind}\""), id],
        ),
        _ => Expr::cust_with_values(
            "(events.tags @> $1 OR events.tags @> $2)",
            [json!({ kind: id }), json!({ kind: [id] })],
        ),
    }
}

/// Read one event.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path, description = "The event's id")), responses((status = 200, body = Event)))]
#[get("/events/{id}")]
async fn read_event(caller: Caller, id: Id, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let select = visible(&caller).filter(Column::Id.eq(id.0));
    let row = select
        .one(&caller.database().reader())
        .await?
        .ok_or_else(Problem::not_found)?;
    caller.concerns(row.organization_id);
    conditional::read(&request, &Event::from(row))
}

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_events).service(read_event);
}
