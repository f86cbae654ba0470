//! Lists: pages by keyset, so that rows that come or go between two pages are neither skipped nor repeated.

use std::ops::ControlFlow;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use crate::access::caller::Caller;
use crate::access::visibility::Shown;
use crate::ledger::resource::Row;
use crate::problem::{Kind, Problem};
use crate::values::characters;
use crate::values::input::{Fault, Field, parse_id};
use crate::values::text::SearchText;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The resources.
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// Which page of a list: how many resources, and where it goes on.
pub type Place = (Limit, Option<CursorText>);

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
pub async fn oldest_first<R: Shown>(
    caller: &Caller,
    request: &HttpRequest,
    select: Select<R::Entity>,
    (limit, cursor): Place,
) -> Result<HttpResponse, Problem> {
    let mut select = select.order_by_asc(R::id_column());
    if let Some(cursor) = cursor {
        let cursor = cursor.decode()?;
        let [id] = cursor.key(R::AGGREGATE)? else {
            return Err(bad_cursor());
        };
        let id = parse_id(id).ok_or_else(bad_cursor)?;
        select = select.filter(R::id_column().gt(id));
    }
    let cursor = |row: &Row<R>| Cursor::new(R::AGGREGATE, [R::id_of(row).to_string()]);
    let view = |row| R::seen_by(caller, row);
    respond(caller, request, select, limit, cursor, view).await
}

/// The condition that one of these columns has the text in it, in any case of letters.
pub fn any_contains<const COLUMNS: usize>(
    caller: &Caller,
    columns: [impl ColumnTrait; COLUMNS],
    text: &SearchText,
) -> Condition {
    let operator = match caller.database().backend() {
        DbBackend::Postgres => BinOper::Custom("~"),
        _ => BinOper::Custom("REGEXP"),
    };
    // A regular expression that names all cases of each letter, and not `ILIKE`: that folds by the database's locale,
    // SQLite's `LIKE` folds A to Z, and PostgreSQL's trigram index serves both.
    let pattern = characters::in_any_case(text.as_ref());
    let contains = columns
        .iter()
        .map(|column| Expr::col(column.as_column_ref()).binary(operator, pattern.clone()));
    contains.fold(Condition::any(), Condition::add)
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

/// How many bytes of JSON the resources of a page may have, before it ends although `limit` asks for more: 1 MiB. One
/// resource is always there.
const LARGEST_PAGE: usize = 1_048_576;

/// Answers with a page of what `select` finds in its order, in one statement. Rows are turned into JSON as they come, so
/// that no more of them is in memory than the answer has.
///
/// # Errors
/// The database's; `internal` where a view has no JSON form.
pub async fn respond<E: EntityTrait, T: Serialize>(
    caller: &Caller,
    request: &HttpRequest,
    select: Select<E>,
    limit: Limit,
    cursor: impl Fn(&E::Model) -> Cursor,
    view: impl Fn(E::Model) -> T,
) -> Result<HttpResponse, Problem> {
    let reader = caller.database().reader();
    let statement = select
        .limit(limit.0 + 1)
        .build(reader.get_database_backend());
    let mut gathering = Gathering::new(limit, cursor, view);
    let visited = reader
        .visit(&statement, &mut |row| gathering.take(&row))
        .await;
    visited?;
    let (data, next_cursor) = gathering.finish()?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = &next_cursor {
        response.insert_header((
            header::LINK,
            format!("<{}>; rel=\"next\"", next_link(request, next)),
        ));
    }
    Ok(response.json(Page { data, next_cursor }))
}

/// A page while its rows come in.
struct Gathering<C, V> {
    wanted: u64,
    cursor: C,
    view: V,
    data: Vec<Box<RawValue>>,
    bytes: usize,
    last: Option<Cursor>,
    more: bool,
    failure: Option<Problem>,
}

impl<C, V> Gathering<C, V> {
    fn new(limit: Limit, cursor: C, view: V) -> Self {
        Self {
            wanted: limit.0,
            cursor,
            view,
            data: Vec::new(),
            bytes: 0,
            last: None,
            more: false,
            failure: None,
        }
    }

    /// Takes a row; breaks where the page is full, or the row is faulty.
    fn take<M: FromQueryResult, T: Serialize>(&mut self, row: &QueryResult) -> ControlFlow<()>
    where
        C: Fn(&M) -> Cursor,
        V: Fn(M) -> T,
    {
        if self.data.len() as u64 == self.wanted {
            self.more = true;
            // The last one that was asked for: the statement ends here by itself.
            return ControlFlow::Continue(());
        }
        match self.add(row) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => {
                self.more = true;
                ControlFlow::Break(())
            }
            Err(problem) => {
                self.failure = Some(problem);
                ControlFlow::Break(())
            }
        }
    }

    /// Adds a row, unless the page would become too large.
    fn add<M: FromQueryResult, T: Serialize>(&mut self, row: &QueryResult) -> Result<bool, Problem>
    where
        C: Fn(&M) -> Cursor,
        V: Fn(M) -> T,
    {
        let row = M::from_query_result(row, "")?;
        let cursor = (self.cursor)(&row);
        let json = serde_json::value::to_raw_value(&(self.view)(row)).map_err(Problem::internal)?;
        let bytes = self.bytes + json.get().len();
        if bytes > LARGEST_PAGE && !self.data.is_empty() {
            return Ok(false);
        }
        self.bytes = bytes;
        self.data.push(json);
        self.last = Some(cursor);
        Ok(true)
    }

    fn finish(self) -> Result<(Vec<Box<RawValue>>, Option<String>), Problem> {
        let next = self.last.filter(|_| self.more);
        match self.failure {
            Some(problem) => Err(problem),
            None => Ok((self.data, next.map(|cursor| cursor.encode()))),
        }
    }
}

/// The same request with another cursor (RFC 8288 takes a relative reference).
fn next_link(request: &HttpRequest, cursor: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let others = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name != "cursor");
    query.extend_pairs(others).append_pair("cursor", cursor);
    format!("{}?{}", request.path(), query.finish())
}
