//! Finds out whether a disk that was full takes something again.

#![expect(
    clippy::disallowed_methods,
    reason = "what it writes is bookkeeping without a history, and it takes it away again"
)]

use entity::idempotency_keys;
use sea_orm::{ActiveModelTrait, DbErr, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use crate::database::Database;
use crate::values::clock;

/// More than a row of the trail takes, so that a full disk is not taken for one with space.
const SIZE: usize = 64 * 1024;

/// Writes something and takes it away again, in one transaction. From then on the database is known to have space.
///
/// # Errors
/// The database's.
pub async fn try_to_write(database: &Database) -> Result<(), DbErr> {
    // Noise: a database may compress what it is given.
    let mut noise = vec![0; SIZE];
    getrandom::fill(&mut noise).map_err(|error| DbErr::Custom(error.to_string()))?;
    let now = clock::now().fixed_offset();
    // Nobody has this credential, so nobody finds it.
    let row = idempotency_keys::Model {
        credential_id: Uuid::nil(),
        key_hash: clock::new_id().as_bytes().to_vec(),
        request_hash: Vec::new(),
        answer: noise,
        created_at: now,
        expires_at: now,
    };
    let id = (row.credential_id, row.key_hash.clone());
    let transaction = database.begin().await?;
    let written = async {
        let insert = idempotency_keys::Entity::insert(row.into_active_model().reset_all());
        insert.exec_without_returning(&transaction).await?;
        let delete = idempotency_keys::Entity::delete_by_id(id);
        delete.exec(&transaction).await
    };
    match written.await {
        Ok(_) => {
            transaction.commit().await?;
            database.storage().has_taken();
            Ok(())
        }
        Err(error) => {
            transaction.rollback().await;
            Err(error)
        }
    }
}
