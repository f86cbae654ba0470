//! The database as the rest of the program sees it: a reader that cannot write, and transactions that only the unit of
//! work and the upkeep of bookkeeping open.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Mutex;

use super::pool::{Lease, Pool, Visit};
use super::{Activity, PoolUsage, Pools, Storage};

/// One thing that is about to be asked of the database.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A transaction begins.
    Begin,
    /// A statement runs; its SQL, without the values.
    Statement(&'a str),
    /// A transaction commits.
    Commit,
}

/// Sees each step before it is taken and may refuse it: how tests count statements and make each of them fail.
pub trait Probe: Send + Sync {
    /// Called before the step; an error takes the place of the step.
    fn before(&self, step: Step<'_>) -> Result<(), DbErr>;
}

/// The pools, and the probe if there is one.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    probe: Option<Arc<dyn Probe>>,
    activity: Activity,
}

impl Database {
    /// The database behind these pools.
    pub fn new(pools: Pools) -> Self {
        Self {
            pools,
            probe: None,
            activity: Activity::default(),
        }
    }

    /// The same database with each step shown to `probe` first.
    pub fn with_probe(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = Some(probe);
        self
    }

    /// The same database for what runs beside the requests: on connections that outlive the server's workers, and
    /// unseen by the probe.
    pub fn in_background(mut self) -> Self {
        self.pools.writer = self.pools.background.clone();
        self.probe = None;
        self
    }

    /// What is counted of the work with it.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// What is known of the place where it is kept.
    pub fn storage(&self) -> &Storage {
        &self.pools.storage
    }

    /// How each pool of connections stands.
    pub fn pool_usage(&self) -> Vec<PoolUsage> {
        self.pools.usage()
    }

    /// Which of the two it is.
    pub fn backend(&self) -> DbBackend {
        self.pools.backend()
    }

    /// For reading, outside any transaction.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            pool: &self.pools.reader,
            storage: &self.pools.storage,
            probe: self.probe.as_deref(),
            activity: &self.activity,
        }
    }

    /// Opens a transaction for writing; on SQLite it takes the write lock at once (`BEGIN IMMEDIATE`), so that it cannot
    /// lose what it has read to another writer.
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, DbErr> {
        let probe = self.probe.as_deref();
        check(probe, Step::Begin)?;
        let storage = &self.pools.storage;
        storage.find()?;
        Ok(Transaction {
            backend: self.backend(),
            lease: Mutex::new(storage.note(self.pools.writer.begin().await)?),
            storage,
            probe,
            activity: &self.activity,
        })
    }
}

fn check(probe: Option<&dyn Probe>, step: Step<'_>) -> Result<(), DbErr> {
    probe.map_or(Ok(()), |probe| probe.before(step))
}

/// Runs a statement and counts it where it is slow.
async fn timed<T>(
    activity: &Activity,
    statement: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let start = Instant::now();
    let result = statement.await;
    activity.count_statement(start.elapsed());
    result
}

/// A connection for reading. It refuses to execute anything that is not a query.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pool: &'a Pool,
    storage: &'a Storage,
    probe: Option<&'a dyn Probe>,
    activity: &'a Activity,
}

impl Reader<'_> {
    /// Gives the rows of a query to `visit` one by one, until it has enough or there are no more. Where the connection
    /// turns out to be lost, the query is run once more on another one.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn visit(
        &self,
        statement: &Statement,
        visit: &mut impl Visit,
    ) -> Result<(), DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        self.storage.find()?;
        timed(self.activity, self.pool.read(statement, visit)).await
    }
}

fn refused() -> DbErr {
    DbErr::Custom(
        "a reader does not write: audited rows are written by the unit of work".to_owned(),
    )
}

#[async_trait]
impl ConnectionTrait for Reader<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.backend()
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(refused())
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(refused())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut found = None;
        self.visit(&statement, &mut first_into(&mut found)).await?;
        Ok(found)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut rows = Vec::new();
        self.visit(&statement, &mut all_into(&mut rows)).await?;
        Ok(rows)
    }

    /// Without `RETURNING` an insert or an update has to be executed, and that is refused.
    fn support_returning(&self) -> bool {
        false
    }
}

/// Keeps the first row. The others are passed over, so that the statement comes to its end.
fn first_into(
    found: &mut Option<QueryResult>,
) -> impl FnMut(QueryResult) -> ControlFlow<()> + Send {
    |row| {
        found.get_or_insert(row);
        ControlFlow::Continue(())
    }
}

fn all_into(rows: &mut Vec<QueryResult>) -> impl FnMut(QueryResult) -> ControlFlow<()> + Send {
    |row| {
        rows.push(row);
        ControlFlow::Continue(())
    }
}

/// An open transaction. Only the core holds one.
pub(crate) struct Transaction<'a> {
    backend: DbBackend,
    lease: Mutex<Lease>,
    storage: &'a Storage,
    probe: Option<&'a dyn Probe>,
    activity: &'a Activity,
}

impl Transaction<'_> {
    /// Makes it all durable.
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        if let Err(error) = check(self.probe, Step::Commit) {
            self.rollback().await;
            return Err(error);
        }
        self.storage.note(self.lease.into_inner().commit().await)?;
        // Only now: what was committed into a file that was gone by then is not there.
        Ok(self.storage.find()?)
    }

    /// Takes it all back, and waits until that is done: for one that is only dropped nobody waits.
    pub(crate) async fn rollback(self) {
        if let Err(error) = self.lease.into_inner().roll_back().await {
            tracing::warn!(%error, "a rollback failed; the connection is given up and the database rolls back by itself");
        }
    }

    async fn visit(&self, statement: &Statement, visit: &mut impl Visit) -> Result<(), DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        let mut lease = self.lease.lock().await;
        self.storage
            .note(timed(self.activity, lease.fetch(statement, visit)).await)
    }
}

#[async_trait]
impl ConnectionTrait for Transaction<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        let mut lease = self.lease.lock().await;
        self.storage
            .note(timed(self.activity, lease.execute(&statement)).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        check(self.probe, Step::Statement(sql))?;
        let mut lease = self.lease.lock().await;
        self.storage
            .note(timed(self.activity, lease.run(sql)).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut found = None;
        self.visit(&statement, &mut first_into(&mut found)).await?;
        Ok(found)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut rows = Vec::new();
        self.visit(&statement, &mut all_into(&mut rows)).await?;
        Ok(rows)
    }
}
