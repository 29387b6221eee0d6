//! Passwords: bcrypt over a peppered hash, on a bounded pool, so that a storm of sign-ins stops nothing else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha384;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::secrets::DerivedKey;

pub use super::password_policy::{PasswordProblem, check_password};

/// The cost where nothing else is configured: about a quarter of a second.
pub const DEFAULT_COST: u32 = 12;
/// How many may wait for their turn beyond those being hashed.
pub const DEFAULT_QUEUE: usize = 64;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    core: Arc<Core>,
    /// One permit a core: hashing is nothing but computing.
    working: Arc<Semaphore>,
    /// One permit for everybody who is being served or waits.
    admitted: Arc<Semaphore>,
}

struct Core {
    pepper: DerivedKey,
    cost: u32,
    /// Nobody's hash, of the same cost, for e-mail addresses that nobody has.
    dummy: String,
}

/// Why no answer was given.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("Too many people are signing in at this moment. Try again in a few seconds")]
    Busy,
    #[error("the stored password hash is damaged: {0}")]
    Stored(bcrypt::BcryptError),
    #[error("the password could not be hashed: {0}")]
    Hashing(bcrypt::BcryptError),
    #[error("the work was stopped before it was done")]
    Stopped,
    #[error("the password hash cost must be from 4 to 31, not {0}")]
    Cost(u32),
}

impl Passwords {
    /// `queue` is how many may wait; whoever comes beyond is told that the system is busy.
    pub fn new(pepper: DerivedKey, cost: u32, queue: usize) -> Result<Self, PasswordError> {
        if !(4..=31).contains(&cost) {
            return Err(PasswordError::Cost(cost));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Any well formed hash takes the same work as a real one, and this one fits no password anybody knows.
        let dummy = format!("$2b${cost:02}${}", "provost.dummy.salt....provost.dummy.hash...........u.");
        Ok(Self {
            core: Arc::new(Core { pepper, cost, dummy }),
            working: Arc::new(Semaphore::new(cores)),
            admitted: Arc::new(Semaphore::new(cores.saturating_add(queue).min(Semaphore::MAX_PERMITS))),
        })
    }

    /// The hash to store for a new password.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(password, |core, password| core.hash(password)).await
    }

    /// Whether the password is the one of the stored hash. Without one (unknown e-mail address) the answer is no
    /// after the same work, so that time does not tell who has an account.
    pub async fn verify(&self, password: String, stored: Option<&str>) -> Result<bool, PasswordError> {
        let stored = stored.map(str::to_owned);
        self.run(password, move |core, password| core.verify(password, stored.as_deref())).await
    }

    /// As [`Passwords::hash`], for the command line.
    pub fn hash_sync(&self, password: &str) -> Result<String, PasswordError> {
        self.core.hash(password)
    }

    /// As [`Passwords::verify`], for the command line.
    pub fn verify_sync(&self, password: &str, stored: Option<&str>) -> Result<bool, PasswordError> {
        self.core.verify(password, stored)
    }

    /// Whether a stored hash was made with another cost, to be renewed at the next sign-in.
    pub fn needs_rehash(&self, stored: &str) -> bool {
        stored.parse::<bcrypt::HashParts>().map_or(true, |parts| parts.get_cost() != self.core.cost)
    }

    async fn run<T: Send + 'static>(
        &self,
        password: String,
        work: impl FnOnce(&Core, &str) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let password = Zeroizing::new(password);
        let permits = self.permits().await?;
        let core = Arc::clone(&self.core);
        // The permits go along: whoever hangs up leaves the work running, and it still counts.
        let task = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            work(&core, &password)
        });
        task.await.map_err(|_| PasswordError::Stopped)?
    }

    async fn permits(&self) -> Result<[OwnedSemaphorePermit; 2], PasswordError> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let working = Arc::clone(&self.working).acquire_owned().await.map_err(|_| PasswordError::Stopped)?;
        Ok([admitted, working])
    }
}

impl Core {
    fn hash(&self, password: &str) -> Result<String, PasswordError> {
        bcrypt::non_truncating_hash(&*self.peppered(password), self.cost).map_err(PasswordError::Hashing)
    }

    fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, PasswordError> {
        let peppered = self.peppered(password);
        let fits = bcrypt::non_truncating_verify(&*peppered, stored.unwrap_or(&self.dummy));
        fits.map(|fits| fits && stored.is_some()).map_err(PasswordError::Stored)
    }

    /// 64 characters whatever the password: bcrypt looks at 72 bytes only.
    fn peppered(&self, password: &str) -> Zeroizing<String> {
        // HMAC fills a short key up with zeros to its block; doing so here leaves no error to handle.
        let mut block = Zeroizing::new([0; 128]);
        block[..32].copy_from_slice(self.pepper.bytes());
        let mut mac = Hmac::<Sha384>::new((&*block).into());
        mac.update(password.as_bytes());
        Zeroizing::new(BASE64.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::services::secrets::{KeyUse, PlatformSecret};

    fn passwords(cost: u32, queue: usize) -> Passwords {
        let pepper = PlatformSecret::generate().unwrap().derive(KeyUse::PasswordPepper);
        Passwords::new(pepper, cost, queue).unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn passwords_differ_to_their_last_byte() {
        let passwords = passwords(4, 1);
        let long = "👩🏽‍🏫".repeat(64);
        for password in ["", "x", "a\0b", "Passwort mit Umläuten", &"a".repeat(71), &"a".repeat(200), &long]
        {
            let hash = passwords.hash_sync(password).unwrap();
            assert!(passwords.verify_sync(password, Some(&hash)).unwrap(), "{password:?}");
            assert!(!passwords.verify_sync(&format!("{password}b"), Some(&hash)).unwrap(), "{password:?}");
        }
    }

    #[test]
    fn a_hash_is_salted_and_worthless_without_the_pepper() {
        let (here, elsewhere) = (passwords(4, 1), passwords(4, 1));
        let hash = here.hash_sync("a long enough password").unwrap();
        assert_ne!(hash, here.hash_sync("a long enough password").unwrap());
        assert!(!elsewhere.verify_sync("a long enough password", Some(&hash)).unwrap());
    }

    #[test]
    fn an_unknown_address_costs_the_same_and_never_opens() {
        let passwords = passwords(8, 1);
        let hash = passwords.hash_sync("a long enough password").unwrap();
        let fastest = |stored: Option<&str>| {
            let one = || {
                let start = Instant::now();
                assert!(!passwords.verify_sync("another password", stored).unwrap());
                start.elapsed()
            };
            (0..7).map(|_| one()).min().unwrap()
        };
        let (known, unknown) = (fastest(Some(&hash)), fastest(None));
        assert!(unknown < known * 2 && known < unknown * 2, "{known:?} {unknown:?}");
        assert!(unknown > Duration::from_micros(500), "{unknown:?}");
    }

    #[test]
    fn another_cost_asks_for_a_new_hash() {
        let (four, five) = (passwords(4, 1), passwords(5, 1));
        let hash = four.hash_sync("a long enough password").unwrap();
        assert!(!four.needs_rehash(&hash));
        assert!(five.needs_rehash(&hash));
        assert!(four.needs_rehash("damaged"));
        assert!(matches!(four.verify_sync("x", Some("damaged")), Err(PasswordError::Stored(_))));
        assert!(Passwords::new(four.core.pepper.clone(), 3, 1).is_err());
    }

    #[test]
    fn a_storm_is_served_up_to_the_queue_and_the_rest_told_at_once() {
        let passwords = passwords(8, 3);
        let places = passwords.admitted.available_permits();
        runtime().block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..places + 5 {
                let passwords = passwords.clone();
                tasks.spawn(async move { passwords.verify("some password".into(), None).await });
            }
            let results = tasks.join_all().await;
            let busy = results.iter().filter(|result| matches!(result, Err(PasswordError::Busy))).count();
            assert_eq!((busy, results.len() - busy), (5, places));
            assert!(passwords.verify("some password".into(), None).await.is_ok(), "places are free again");
        });
    }

    #[test]
    fn who_hangs_up_still_holds_the_place_until_the_work_is_done() {
        let passwords = passwords(10, 0);
        let places = passwords.admitted.available_permits();
        runtime().block_on(async {
            let work = passwords.hash("some password".into());
            assert!(tokio::time::timeout(Duration::from_millis(1), work).await.is_err());
            assert_eq!(passwords.admitted.available_permits(), places - 1);
            while passwords.admitted.available_permits() < places {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}
