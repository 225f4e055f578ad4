//! The secrets of this installation: generated at first start into the data directory (mode 600), never a default.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const FILE: &str = "session.key";

#[derive(Clone)]
pub struct Secrets {
    session_key: Vec<u8>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// The configured key, or the one in the data directory, generated when there is none.
    pub fn load(configured: &str, data_dir: &Path) -> anyhow::Result<Self> {
        if !configured.is_empty() {
            return Ok(Self {
                session_key: configured.as_bytes().to_vec(),
            });
        }
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                let key = BASE64URL_NOPAD
                    .decode(text.trim().as_bytes())
                    .with_context(|| format!("{} is damaged; remove it to have a new key made (everybody logs in again)", path.display()))?;
                if key.len() < 32 {
                    bail!(
                        "{} holds fewer than 32 bytes; remove it to have a new key made",
                        path.display()
                    );
                }
                Ok(Self { session_key: key })
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let key: [u8; 32] = rand::random();
                store(&path, &BASE64URL_NOPAD.encode(&key))
                    .with_context(|| format!("creating {}", path.display()))?;
                Ok(Self {
                    session_key: key.to_vec(),
                })
            }
            Err(e) => Err(e).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub fn session_key(&self) -> &[u8] {
        &self.session_key
    }

    /// HMAC-SHA-256 under the session key; `purpose` keeps one use's output useless for another.
    pub fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.session_key)
            .expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(data);
        mac.finalize().into_bytes().into()
    }
}

/// Writes it beside its place and then puts it there, so that a kill in between leaves no half of it, and nothing that
/// another process just put there is lost.
fn store(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::hard_link(&beside, path)?;
    fs::remove_file(&beside)
}

/// 256 random bits as text for a link or a cookie.
pub fn random_token() -> String {
    let bytes: [u8; 32] = rand::random();
    BASE64URL_NOPAD.encode(&bytes)
}

/// What is stored of a token: enough to recognise it, nothing to use.
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// An announce passkey: 32 characters `[0-9a-f]`, 128 random bits.
pub fn random_passkey() -> String {
    let bytes: [u8; 16] = rand::random();
    HEXLOWER.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a key, from a kill in the middle of the first start, kept the site from ever starting.
    #[test]
    fn a_key_is_there_as_a_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("session.new"), "half").unwrap();
        let first = Secrets::load("", directory.path()).unwrap();
        let second = Secrets::load("", directory.path()).unwrap();
        assert_eq!(first.session_key(), second.session_key());
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [FILE]);
        let path = directory.path().join(FILE);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(store(&path, "another").is_err());
    }
}
