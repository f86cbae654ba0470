//! Passwords: hashed with argon2id, off the threads that serve requests, a few at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

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
    at_once: usize,
    waiting: Arc<AtomicUsize>,
    memories: Arc<Memories>,
}

/// What nobody hashes in just now. It is kept, because it is hashed in on a thread of whichever worker was asked, and the
/// allocator keeps what each of many threads gave back: that would be many times what is ever in use.
#[derive(Default)]
struct Memories(Mutex<Vec<Vec<Block>>>);

impl Hasher {
    /// A hasher that does `at_once` passwords at a time.
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            at_once,
            waiting: Arc::default(),
            memories: Arc::default(),
        }
    }

    /// How many passwords are being hashed or checked just now.
    pub fn running(&self) -> usize {
        self.at_once.saturating_sub(self.turns.available_permits())
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The PHC string of a password, salt included.
    ///
    /// # Errors
    /// `unavailable` where too many are waiting.
    pub async fn hash(&self, password: &SecretString) -> Result<String, Problem> {
        let password = password.clone();
        self.run(move |memory| {
            let parameters =
                Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Problem::internal)?;
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
            let salt = Salt::generate();
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(argon2.params()).map_err(Problem::internal)?,
                salt: Some(salt),
                hash: Some(output(&argon2, &password, &salt, memory)?),
            };
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether it is the password that was hashed.
    ///
    /// # Errors
    /// `unavailable` where too many are waiting.
    pub async fn verify(&self, password: &SecretString, hash: &str) -> Result<bool, Problem> {
        let (password, hash) = (password.clone(), hash.to_owned());
        self.run(move |memory| {
            let hash = PasswordHash::new(&hash).map_err(Problem::internal)?;
            let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
                return Err(Problem::internal(
                    "a password's hash has no salt or no hash",
                ));
            };
            let algorithm =
                Algorithm::try_from(hash.algorithm.as_str()).map_err(Problem::internal)?;
            let version = hash.version.map(Version::try_from).transpose();
            let version = version.map_err(Problem::internal)?.unwrap_or_default();
            let parameters = Params::try_from(&hash).map_err(Problem::internal)?;
            let argon2 = Argon2::new(algorithm, version, parameters);
            // Outputs are compared in constant time.
            Ok(output(&argon2, &password, &salt, memory)? == expected)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.turn().await?;
        let memories = self.memories.clone();
        let result = tokio::task::spawn_blocking(move || {
            // Held by the work and not by the request: a request that is given up still computes to its end.
            let _turn = turn;
            let mut memory = memories.take();
            let result = work(&mut memory);
            memories.give_back(memory);
            result
        });
        result.await.map_err(Problem::internal)?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let _waits = Waits::among(&self.waiting);
        match tokio::time::timeout(LONGEST_WAIT, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("too many passwords are being hashed: a request waited in vain");
                Err(Problem::unavailable(
                    "Too many passwords are being hashed. Try again.",
                ))
            }
        }
    }
}

/// One that waits is counted, until it has its turn or is given up.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Memories {
    fn take(&self) -> Vec<Block> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    /// Nothing stays of the password: it was computed from it.
    fn give_back(&self, mut memory: Vec<Block>) {
        memory.fill(Block::new());
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(memory);
    }
}

fn output(
    argon2: &Argon2<'_>,
    password: &SecretString,
    salt: &Salt,
    memory: &mut Vec<Block>,
) -> Result<Output, Problem> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let length = argon2.params().output_len();
    let mut bytes = vec![0; length.unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
    argon2
        .hash_password_into_with_memory(
            password.expose_secret().as_bytes(),
            salt,
            &mut bytes,
            &mut memory[..blocks],
        )
        .map_err(Problem::internal)?;
    Output::new(&bytes).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

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

    /// The library computes in memory of its own: ours, which was used before, makes no difference.
    #[tokio::test]
    async fn the_library_takes_our_hash_and_we_take_the_librarys() {
        let hasher = Hasher::new(1);
        for text in ["first password", "second, in the same memory", ""] {
            let password = SecretString::from(text);
            let ours = hasher.hash(&password).await.unwrap();
            let hash = PasswordHash::new(&ours).unwrap();
            Argon2::default()
                .verify_password(text.as_bytes(), &hash)
                .unwrap();
            let smaller = Params::new(64, 1, 1, Some(24)).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2i, Version::V0x10, smaller);
            let theirs = argon2.hash_password(text.as_bytes()).unwrap().to_string();
            assert!(hasher.verify(&password, &theirs).await.unwrap());
            let other = SecretString::from("another");
            assert!(!hasher.verify(&other, &theirs).await.unwrap());
        }
        let damaged = "$argon2id$v=19$m=19456,t=2,p=1";
        assert!(
            hasher
                .verify(&SecretString::from("x"), damaged)
                .await
                .is_err()
        );
    }
}
