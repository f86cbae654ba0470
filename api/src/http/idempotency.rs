//! `Idempotency-Key`: a POST that is sent twice takes effect once.
//!
//! The answer is written in the mutation's own transaction, so that neither can be without the other. What is kept is
//! encrypted under a key that is derived from the `Idempotency-Key`, of which only a hash is stored: an answer can show a
//! new API key, and the database must not know that.

#![expect(
    clippy::disallowed_methods,
    reason = "the kept answers are bookkeeping of the core, not audited rows"
)]

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use chrono::Duration;
use entity::idempotency_keys::{self, Column};
use hkdf::Hkdf;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Set, Statement};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::database::Database;
use crate::http::answer::Answer;
use crate::ledger::unit_of_work::UnitOfWork;
use crate::problem::{Kind, Problem};
use crate::values::clock;

/// For how long a repeat gets the first answer.
pub const LIFETIME: Duration = Duration::hours(24);

/// The keys whose requests are running in this process.
#[derive(Clone, Default)]
pub struct Running(Arc<Mutex<HashSet<Holder>>>);

/// A credential, and the hash of an `Idempotency-Key` that it sent.
type Holder = (Uuid, Vec<u8>);

/// One request's `Idempotency-Key`, held against a second request with the same one until it is dropped.
pub struct IdempotencyKey {
    credential_id: Uuid,
    key_hash: Vec<u8>,
    request_hash: Vec<u8>,
    secret: String,
    running: Running,
}

impl Running {
    /// Takes the key for one request.
    ///
    /// # Errors
    /// `idempotency-in-progress` where another request of this process holds it.
    pub fn enter(
        &self,
        credential_id: Uuid,
        secret: &str,
        request_hash: Vec<u8>,
    ) -> Result<IdempotencyKey, Problem> {
        let key_hash = Sha256::digest(secret.as_bytes()).to_vec();
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !running.insert((credential_id, key_hash.clone())) {
            return Err(in_progress());
        }
        Ok(IdempotencyKey {
            credential_id,
            key_hash,
            request_hash,
            secret: secret.to_owned(),
            running: self.clone(),
        })
    }
}

impl Drop for IdempotencyKey {
    fn drop(&mut self) {
        let mut running = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&(self.credential_id, self.key_hash.clone()));
    }
}

fn in_progress() -> Problem {
    Problem::new(
        Kind::IdempotencyInProgress,
        "A request with this Idempotency-Key is running. Wait, and send it again.",
    )
}

impl IdempotencyKey {
    /// The answer that was given before, if this is a repeat.
    ///
    /// # Errors
    /// `idempotency-mismatch` for a repeat with other content; `idempotency-in-progress` while another process of a
    /// PostgreSQL deployment is at it.
    pub(crate) async fn stored(
        &self,
        work: &mut UnitOfWork<'_>,
    ) -> Result<Option<Answer>, Problem> {
        if work.transaction().get_database_backend() == DbBackend::Postgres {
            self.lock_across_processes(work).await?;
        }
        let Some(kept) = work
            .one(idempotency_keys::Entity::find().filter(self.row()))
            .await?
        else {
            return Ok(None);
        };
        if kept.expires_at.to_utc() <= clock::now() {
            let delete = idempotency_keys::Entity::delete_many()
                .filter(self.row())
                .exec(work.transaction())
                .await;
            delete.map_err(|error| work.failed(error))?;
            return Ok(None);
        }
        if kept.request_hash != self.request_hash {
            return Err(Problem::new(
                Kind::IdempotencyMismatch,
                "This Idempotency-Key was used for another request. Use a new key for a new request.",
            ));
        }
        self.decrypt(&kept.answer)
            .map(|answer| Some(answer.replay()))
    }

    /// Keeps the answer, in the transaction of what it answers.
    pub(crate) async fn store(
        &self,
        work: &mut UnitOfWork<'_>,
        answer: &Answer,
    ) -> Result<(), Problem> {
        let now = clock::now();
        let row = idempotency_keys::ActiveModel {
            credential_id: Set(self.credential_id),
            key_hash: Set(self.key_hash.clone()),
            request_hash: Set(self.request_hash.clone()),
            answer: Set(self.encrypt(answer)?),
            created_at: Set(now.fixed_offset()),
            expires_at: Set((now + LIFETIME).fixed_offset()),
        };
        let insert = idempotency_keys::Entity::insert(row)
            .exec_without_returning(work.transaction())
            .await;
        insert.map(|_| ()).map_err(|error| work.failed(error))
    }

    fn row(&self) -> sea_orm::Condition {
        sea_orm::Condition::all()
            .add(Column::CredentialId.eq(self.credential_id))
            .add(Column::KeyHash.eq(self.key_hash.clone()))
    }

    async fn lock_across_processes(&self, work: &mut UnitOfWork<'_>) -> Result<(), Problem> {
        let mut hash = Sha256::new();
        hash.update(self.credential_id.as_bytes());
        hash.update(&self.key_hash);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        let lock = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_try_advisory_xact_lock($1) AS free",
            [i64::from_be_bytes(first).into()],
        );
        let row = work.transaction().query_one_raw(lock).await;
        let row = row.map_err(|error| work.failed(error))?;
        match row.map(|row| row.try_get::<bool>("", "free")) {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(in_progress()),
            Some(Err(error)) => Err(work.failed(error)),
            None => Err(Problem::internal("a lock was asked for and no answer came")),
        }
    }

    /// The cipher of one answer. The salt makes each key new, so that the nonce may be fixed.
    fn cipher(&self, salt: &[u8]) -> Result<ChaCha20Poly1305, Problem> {
        let mut key = Key::default();
        Hkdf::<Sha256>::new(Some(salt), self.secret.as_bytes())
            .expand(b"rollbook idempotency answer 1", &mut key)
            .map_err(Problem::internal)?;
        Ok(ChaCha20Poly1305::new(&key))
    }

    fn encrypt(&self, answer: &Answer) -> Result<Vec<u8>, Problem> {
        let mut salt = [0_u8; SALT];
        getrandom::fill(&mut salt).map_err(Problem::internal)?;
        let plain = serde_json::to_vec(answer).map_err(Problem::internal)?;
        let payload = Payload {
            msg: &plain,
            aad: &self.request_hash,
        };
        let cipher = self
            .cipher(&salt)?
            .encrypt(&Nonce::default(), payload)
            .map_err(Problem::internal)?;
        Ok([salt.as_slice(), &cipher].concat())
    }

    fn decrypt(&self, kept: &[u8]) -> Result<Answer, Problem> {
        let (salt, cipher) = kept
            .split_at_checked(SALT)
            .ok_or_else(|| Problem::internal("a kept answer is cut off"))?;
        let payload = Payload {
            msg: cipher,
            aad: &self.request_hash,
        };
        let plain = self
            .cipher(salt)?
            .decrypt(&Nonce::default(), payload)
            .map_err(Problem::internal)?;
        serde_json::from_slice(&plain).map_err(Problem::internal)
    }
}

const SALT: usize = 32;

/// Removes the answers that are older than [`LIFETIME`]; called now and then in the background.
///
/// # Errors
/// The database's.
pub async fn remove_expired(database: &Database) -> Result<u64, sea_orm::DbErr> {
    let transaction = database.begin().await?;
    let expired = Expr::col(Column::ExpiresAt).lte(clock::now().fixed_offset());
    let result = idempotency_keys::Entity::delete_many()
        .filter(expired)
        .exec(&transaction)
        .await;
    match result {
        Ok(result) => transaction.commit().await.map(|()| result.rows_affected),
        Err(error) => {
            transaction.rollback().await;
            Err(error)
        }
    }
}
