//! Passwords: argon2id off the async threads, a few at a time, with a short queue and then "busy".

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::config;
use crate::error::{Error, Result};

/// Logins that may wait for a thread; each costs the memory of one hash while it runs.
const QUEUE: usize = 50;
/// Hashing is linear in the password; nobody types more.
const MAX_BYTES: usize = 1024;
pub const MIN_CHARS: usize = 8;

#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What an unknown user's password is compared with, so that both answers take the same time.
    dummy: Arc<str>,
}

impl Passwords {
    pub fn new(config: &config::Accounts) -> anyhow::Result<Self> {
        let params = Params::new(config.argon2_memory_kib, config.argon2_passes, 1, None)
            .map_err(|e| anyhow::anyhow!("accounts.argon2_*: {e}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = argon2
            .hash_password(crate::secrets::random_token().as_bytes())
            .map_err(|e| anyhow::anyhow!("hashing: {e}"))?
            .to_string();
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            argon2,
            running: Arc::new(Semaphore::new(threads)),
            waiting: Arc::new(Semaphore::new(threads + QUEUE)),
            dummy: dummy.into(),
        })
    }

    pub async fn hash(&self, password: &str) -> Result<String> {
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        self.run(move || {
            argon2
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|e| Error::Internal(anyhow::anyhow!("hashing a password: {e}")))
        })
        .await?
    }

    /// Whether the password fits the hash; with no hash (an unknown user) the same work is done for nothing.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).to_owned();
        let password = password.to_owned();
        let fits = self
            .run(move || {
                let parsed = PasswordHash::new(&hash)
                    .map_err(|e| Error::Internal(anyhow::anyhow!("a stored password hash: {e}")))?;
                // The parameters come from the hash, so old ones go on working.
                Ok::<_, Error>(
                    Argon2::default()
                        .verify_password(password.as_bytes(), &parsed)
                        .is_ok(),
                )
            })
            .await??;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = self
            .waiting
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::Busy)?;
        let turn = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Busy)?;
        // Held by the work and not by the request, which ends when its browser hangs up.
        let held = (place, turn);
        Ok(actix_web::web::block(move || {
            let _held = held;
            work()
        })
        .await?)
    }
}

/// What a new password must be: long enough and not one of those everybody tries first. `near` are words that
/// make it guessable: the member's name, the site's.
pub fn check_new(password: &str, near: &[&str]) -> Result<(), String> {
    if password.chars().count() < MIN_CHARS {
        return Err(format!(
            "A password has at least {MIN_CHARS} characters; a sentence of 15 or more is better."
        ));
    }
    if password.len() > MAX_BYTES {
        return Err(format!("A password has at most {MAX_BYTES} bytes."));
    }
    let start: String = password.chars().take(100).collect();
    if zxcvbn::zxcvbn(&start, near).guesses_log10() < 6.0 {
        return Err(
            "That password is among the first anybody would try. Take a longer or stranger one."
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_new;

    #[test]
    fn new_passwords() {
        for weak in [
            "short",
            "password1",
            "12345678",
            "qwertyuiop",
            "margaret",
            "margaret1",
        ] {
            assert!(check_new(weak, &["margaret"]).is_err(), "{weak}");
        }
        assert!(check_new("correct horse battery", &["ann"]).is_ok());
        assert!(check_new(&"long".repeat(300), &[]).is_err());
    }
}
