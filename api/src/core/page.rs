//! Lists: pages by keyset, so that rows that come or go between two pages are neither skipped nor repeated.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::caller::Caller;
use super::input::{Fault, Field, parse_id};
use super::problem::{Kind, Problem};
use super::resource::Resource;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The resources.
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// How many resources a page has: 1 to 200, 50 unless asked otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub u64);

impl Field for Limit {
    const REQUIRED: bool = false;

    fn absent() -> Result<Self, Fault> {
        Ok(Self(50))
    }

    fn present(value: &Value) -> Result<Self, Fault> {
        let digits = value
            .as_str()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(limit @ 1..=200) => Ok(Self(limit)),
            _ => Err(Fault::new(
                "out-of-range",
                "Must be a whole number from 1 to 200.",
            )),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .minimum(Some(1))
            .maximum(Some(200))
            .default(Some(50.into()))
            .into()
    }
}

/// Where a page starts: the list it belongs to, and the sort key of the last resource before it. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<String>);

impl Cursor {
    /// The cursor after a resource of `list` with this sort key.
    pub fn new(list: &str, key: impl IntoIterator<Item = String>) -> Self {
        Self(std::iter::once(list.to_owned()).chain(key).collect())
    }

    /// The sort key, if the cursor belongs to `list`.
    ///
    /// # Errors
    /// `bad-cursor` otherwise.
    pub fn key(&self, list: &str) -> Result<&[String], Problem> {
        match self.0.split_first() {
            Some((own, key)) if own == list => Ok(key),
            _ => Err(bad_cursor()),
        }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(Value::from(self.0.clone()).to_string())
    }

    /// Reads a cursor that this server gave.
    ///
    /// # Errors
    /// `bad-cursor` for anything else.
    pub fn decode(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad_cursor())?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|_| bad_cursor())
    }
}

/// Answers with a page of the rows that `select` finds, in the order of their ids, which are made in the
/// order of time; one statement.
///
/// # Errors
/// `bad-cursor` for a cursor of another list; the database's.
pub async fn oldest_first<R: Resource, T: Serialize>(
    caller: &Caller,
    request: &HttpRequest,
    select: Select<R>,
    (limit, cursor): (Limit, Option<CursorText>),
    view: impl Fn(R::Model) -> T,
) -> Result<HttpResponse, Problem> {
    let mut select = select.order_by_asc(R::id_column()).limit(limit.0 + 1);
    if let Some(cursor) = cursor {
        let cursor = cursor.decode()?;
        let [id] = cursor.key(R::AGGREGATE)? else {
            return Err(bad_cursor());
        };
        let id = parse_id(id).ok_or_else(bad_cursor)?;
        select = select.filter(R::id_column().gt(id));
    }
    let rows = select.all(&caller.database().reader()).await?;
    let cursor = |row: &R::Model| Cursor::new(R::AGGREGATE, [R::id(row).to_string()]);
    respond(request, limit, rows, cursor, view)
}

/// The refusal of a cursor that this list did not give.
pub fn bad_cursor() -> Problem {
    Problem::new(
        Kind::BadCursor,
        "This cursor does not belong to this list. Start again without one.",
    )
}

/// The text of a cursor, not looked at until the list is known.
#[derive(Clone, Debug)]
pub struct CursorText(String);

impl CursorText {
    /// The cursor.
    ///
    /// # Errors
    /// `bad-cursor` where this server did not give it.
    pub fn decode(&self) -> Result<Cursor, Problem> {
        Cursor::decode(&self.0)
    }
}

impl Field for CursorText {
    fn present(value: &Value) -> Result<Self, Fault> {
        match value {
            Value::String(text) => Ok(Self(text.clone())),
            other => Err(Fault::wrong_type("one value", other)),
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .into()
    }
}

/// Answers with a page, made of rows of which one more than `limit` was asked for.
///
/// # Errors
/// `internal` where the views have no JSON form.
pub fn respond<Row, T: Serialize>(
    request: &HttpRequest,
    limit: Limit,
    mut rows: Vec<Row>,
    cursor: impl Fn(&Row) -> Cursor,
    view: impl Fn(Row) -> T,
) -> Result<HttpResponse, Problem> {
    let wanted = usize::try_from(limit.0).map_err(Problem::internal)?;
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor = rows.last().filter(|_| more).map(|row| cursor(row).encode());
    let mut response = HttpResponse::Ok();
    if let Some(next) = &next_cursor {
        response.insert_header((
            header::LINK,
            format!("<{}>; rel=\"next\"", next_link(request, next)),
        ));
    }
    Ok(response.json(Page {
        data: rows.into_iter().map(view).collect(),
        next_cursor,
    }))
}

/// The same request with another cursor (RFC 8288 takes a relative reference).
fn next_link(request: &HttpRequest, cursor: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let others = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name != "cursor");
    query.extend_pairs(others).append_pair("cursor", cursor);
    format!("{}?{}", request.path(), query.finish())
}
