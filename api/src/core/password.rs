//! Passwords: hashed with argon2id, off the threads that serve requests, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long a request waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Hashes and checks passwords, at most so many at once: more would only be slower, each with 19 MiB.
#[derive(Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
}

impl Hasher {
    /// A hasher that does `at_once` passwords at a time.
    pub fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }

    /// The PHC string of a password, salt included.
    ///
    /// # Errors
    /// `unavailable` where too many are waiting.
    pub async fn hash(&self, password: &SecretString) -> Result<String, Problem> {
        let password = password.clone();
        self.run(move || {
            let hash = argon2()?.hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(Problem::internal)
        })
        .await
    }

    /// Whether it is the password that was hashed.
    ///
    /// # Errors
    /// `unavailable` where too many are waiting.
    pub async fn verify(&self, password: &SecretString, hash: &str) -> Result<bool, Problem> {
        let (password, hash) = (password.clone(), hash.to_owned());
        self.run(move || {
            let hash = PasswordHash::new(&hash).map_err(Problem::internal)?;
            Ok(argon2()?
                .verify_password(password.expose_secret().as_bytes(), &hash)
                .is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.turn().await?;
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work and not by the request: a request that is given up still computes to its end.
            let _turn = turn;
            work()
        });
        result.await.map_err(Problem::internal)?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(LONGEST_WAIT, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Problem::unavailable(
                "Too many passwords are being hashed. Try again.",
            )),
        }
    }
}

fn argon2() -> Result<Argon2<'static>, Problem> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Problem::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_tells_its_password_from_another() {
        let hasher = Hasher::new(1);
        let password = SecretString::from("correct horse battery staple");
        let hash = hasher.hash(&password).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(hasher.verify(&password, &hash).await.unwrap());
        assert!(
            !hasher
                .verify(&SecretString::from("correct horse battery stapler"), &hash)
                .await
                .unwrap()
        );
    }
}
