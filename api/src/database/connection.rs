//! The database as the rest of the program sees it: a reader that cannot write, and transactions that only the unit of
//! work and the upkeep of bookkeeping open.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

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
        self.pools.reader.get_database_backend()
    }

    /// For reading, outside any transaction.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            connection: &self.pools.reader,
            storage: &self.pools.storage,
            probe: self.probe.as_deref(),
            activity: &self.activity,
        }
    }

    /// Opens a transaction for writing; on SQLite it takes the write lock at once (`BEGIN IMMEDIATE`), so that it cannot
    /// lose what it has read to another writer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that begins a transaction"
    )]
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, DbErr> {
        let probe = self.probe.as_deref();
        check(probe, Step::Begin)?;
        let storage = &self.pools.storage;
        storage.find()?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.pools.writer.begin_with_options(options).await;
        Ok(Transaction {
            transaction: storage.note(begun)?,
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
    connection: &'a DatabaseConnection,
    storage: &'a Storage,
    probe: Option<&'a dyn Probe>,
    activity: &'a Activity,
}

fn refused() -> DbErr {
    DbErr::Custom(
        "a reader does not write: audited rows are written by the unit of work".to_owned(),
    )
}

#[async_trait]
impl ConnectionTrait for Reader<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(refused())
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(refused())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        self.storage.find()?;
        timed(self.activity, self.connection.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        self.storage.find()?;
        timed(self.activity, self.connection.query_all_raw(statement)).await
    }

    /// Without `RETURNING` an insert or an update has to be executed, and that is refused.
    fn support_returning(&self) -> bool {
        false
    }
}

/// An open transaction. Only the core holds one.
pub(crate) struct Transaction<'a> {
    transaction: DatabaseTransaction,
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
        self.storage.note(self.transaction.commit().await)?;
        // Only now: what was committed into a file that was gone by then is not there.
        Ok(self.storage.find()?)
    }

    /// Takes it all back, and waits until that is done: a transaction that is only dropped is rolled back later.
    pub(crate) async fn rollback(self) {
        if let Err(error) = self.transaction.rollback().await {
            tracing::warn!(%error, "a rollback failed; the connection is given up and the database rolls back by itself");
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "passes on what the core executes"
        )]
        let execution = self.transaction.execute_raw(statement);
        self.storage.note(timed(self.activity, execution).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        check(self.probe, Step::Statement(sql))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "passes on what the core executes"
        )]
        let execution = self.transaction.execute_unprepared(sql);
        self.storage.note(timed(self.activity, execution).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        self.storage
            .note(timed(self.activity, self.transaction.query_one_raw(statement)).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        check(self.probe, Step::Statement(&statement.sql))?;
        self.storage
            .note(timed(self.activity, self.transaction.query_all_raw(statement)).await)
    }
}
