//! The data directory belongs to one serving process at a time: two would fight over the search index, and with
//! SQLite each would keep a tracker of its own that does not know the other's peers.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, bail};

/// Held by a lock on a file in the directory, which any end of the process releases, `kill -9` too.
pub struct Held(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Makes the directory and takes hold of it.
pub fn hold(directory: &Path) -> anyhow::Result<Held> {
    match hold_if_free(directory)? {
        Some(held) => Ok(held),
        None => bail!(
            "another seedbank serves from the data directory {}, or builds its search index; stop it first, or give \
             this one a directory of its own with SEEDBANK__SERVER__DATA_DIR",
            directory.display()
        ),
    }
}

/// Like [`hold`]; `None` if another process holds the directory.
pub fn hold_if_free(directory: &Path) -> anyhow::Result<Option<Held>> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating the data directory {}", directory.display()))?;
    let path = directory.join("serve.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Held(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let held = hold(directory.path()).unwrap();
        let refused = hold(directory.path()).map(drop).unwrap_err().to_string();
        assert!(refused.contains(&directory.path().display().to_string()));
        drop(held);
        hold(directory.path()).unwrap();
    }
}
