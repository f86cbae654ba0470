//! When, from where and how often API keys were used: gathered in memory and written now and then.
//!
//! Writing on each request would make every read a write; so the columns lag behind by up to [`INTERVAL`], and what was
//! gathered since the last write is lost where the process is killed. They are bookkeeping, not audited.

#![expect(
    clippy::disallowed_methods,
    reason = "bookkeeping columns are written here, without an event"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use entity::api_keys::{self, Column};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::{Database, Transaction};
use crate::http::peer::peer;

/// How often what was gathered is written.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// One use of a key.
#[derive(Clone, Debug)]
pub struct Use {
    moment: DateTime<Utc>,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl Use {
    /// The use of a key by this request.
    pub fn of(request: &HttpRequest, moment: DateTime<Utc>) -> Self {
        let agent = request.headers().get(actix_web::http::header::USER_AGENT);
        Self {
            moment,
            ip: peer(request).map(|address| address.to_string()),
            user_agent: agent
                .and_then(|agent| agent.to_str().ok())
                .map(|agent| agent.chars().take(500).collect()),
        }
    }
}

#[derive(Clone, Debug)]
struct Gathered {
    last: Use,
    count: i32,
    /// When the first of these uses was noted.
    since: Instant,
}

/// What was gathered and not yet written, by key.
#[derive(Clone, Default)]
pub struct Usage(Arc<Mutex<HashMap<Uuid, Gathered>>>);

impl Usage {
    /// Notes a use.
    pub fn note(&self, api_key_id: Uuid, this: impl FnOnce() -> Use) {
        let this = this();
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gathered
            .entry(api_key_id)
            .and_modify(|known| {
                known.last = this.clone();
                known.count = known.count.saturating_add(1);
            })
            .or_insert(Gathered {
                last: this,
                count: 1,
                since: Instant::now(),
            });
    }

    /// For how long the oldest use has waited to be written; zero where none waits.
    pub fn lag(&self) -> Duration {
        let gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = gathered.values().map(|key| key.since.elapsed());
        waits.max().unwrap_or_default()
    }

    /// Writes what was gathered. What cannot be written is kept for the next time, and logged.
    pub async fn write(&self, database: &Database) {
        let gathered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() {
            return;
        }
        let transaction = match write_all(database, &gathered).await {
            Ok(transaction) => transaction,
            Err(error) => {
                tracing::warn!(%error, "the use of API keys could not be written; it is kept for the next time");
                return self.put_back(gathered);
            }
        };
        // Where a commit fails nobody can know whether it took place: a use is rather missed than counted twice.
        if let Err(error) = transaction.commit().await {
            tracing::warn!(%error, "the use of API keys may not have been written");
        }
    }

    fn put_back(&self, gathered: HashMap<Uuid, Gathered>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, older) in gathered {
            let (count, since) = (older.count, older.since);
            current
                .entry(id)
                .and_modify(|newer| {
                    newer.count = newer.count.saturating_add(count);
                    newer.since = since;
                })
                .or_insert(older);
        }
    }
}

/// One transaction, left to be committed, the keys in the order of their ids: two processes that write at once wait for each other and do not
/// deadlock.
async fn write_all<'a>(
    database: &'a Database,
    gathered: &HashMap<Uuid, Gathered>,
) -> Result<Transaction<'a>, DbErr> {
    let mut sorted: Vec<_> = gathered.iter().collect();
    sorted.sort_unstable_by_key(|(id, _)| **id);
    let transaction = database.begin().await?;
    for (id, key) in sorted {
        if let Err(error) = write_one(&transaction, *id, key).await {
            transaction.rollback().await;
            return Err(error);
        }
    }
    Ok(transaction)
}

async fn write_one(
    connection: &impl ConnectionTrait,
    id: Uuid,
    key: &Gathered,
) -> Result<(), DbErr> {
    let last_used_at = Func::coalesce([Expr::col(Column::LastUsedAt), Expr::val(key.last.moment)]);
    let newer = match connection.get_database_backend() {
        sea_orm::DbBackend::Sqlite => {
            Func::cust("max").args([last_used_at.into(), Expr::val(key.last.moment)])
        }
        _ => Func::greatest([last_used_at.into(), Expr::val(key.last.moment)]),
    };
    // The column is an int4: it stays at its greatest value rather than fail.
    let room = i32::MAX - key.count;
    let count = Expr::case(Expr::col(Column::UsageCount).gt(room), Expr::val(i32::MAX))
        .finally(Expr::col(Column::UsageCount).add(key.count));
    api_keys::Entity::update_many()
        .col_expr(Column::LastUsedAt, newer.into())
        .col_expr(Column::LastUsedIp, Expr::val(key.last.ip.clone()))
        .col_expr(
            Column::LastUsedUserAgent,
            Expr::val(key.last.user_agent.clone()),
        )
        .col_expr(Column::UsageCount, count.into())
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await
        .map(|_| ())
}
