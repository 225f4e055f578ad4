//! Whether anything was committed, told without asking the database. SQLite answers every question on a thread of its
//! own, which costs a page more than the question itself.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// File systems write down a change to the nearest tick of the kernel's clock: a younger one could be followed by
/// another that looks the same.
const TICK: Duration = Duration::from_millis(20);
/// What another process commits is in its log before it counts, by as long as the disk takes: a mark that was taken in
/// between looks no different afterwards. So none holds for longer than this.
const HOLDS: Duration = Duration::from_millis(500);

/// While two are equal and the first [still holds](Self::still), nothing was committed between them.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Commits of this process.
    own: u64,
    log: Log,
    taken: Instant,
}

/// SQLite's write-ahead log: every commit by any process writes there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    file: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    written: (i64, i64),
}

impl Mark {
    pub(super) fn take(own: u64, log: &Path) -> Option<Self> {
        let log = std::fs::metadata(log).ok()?;
        let age = SystemTime::now().duration_since(log.modified().ok()?);
        let written = (log.mtime(), log.mtime_nsec());
        // Whole seconds are those of a file system that knows no better.
        if age.ok()? < TICK || written.1 == 0 {
            return None;
        }
        Some(Self {
            own,
            log: Log {
                file: log.ino(),
                bytes: log.size(),
                written,
            },
            taken: Instant::now(),
        })
    }

    /// Whether nothing was committed from this one to `now`.
    pub fn still(&self, now: &Self) -> bool {
        self.own == now.own && self.log == now.log && self.taken.elapsed() < HOLDS
    }
}

pub(super) fn log_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;
    use crate::exec;

    async fn settled(db: &Db) -> Mark {
        loop {
            if let Some(mark) = db.mark() {
                return mark;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn every_commit_is_seen_by_whomever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("x.db").display());
        let (db, other) = (
            Db::open(&url, 2).await.unwrap(),
            Db::open(&url, 1).await.unwrap(),
        );
        db.migrate().await.unwrap();
        const CHANGE: &str = "update revisions set value = value + 1";
        for _ in 0..20 {
            for writer in [&db, &other] {
                let before = settled(&db).await;
                assert!(before.still(&settled(&db).await));
                let mut tx = writer.write().await.unwrap();
                exec!(tx, CHANGE).unwrap();
                tx.commit().await.unwrap();
                assert!(!db.mark().is_some_and(|after| before.still(&after)));
                assert!(!before.still(&settled(&db).await));
            }
        }
        let before = settled(&db).await;
        tokio::time::sleep(HOLDS).await;
        assert!(!before.still(&settled(&db).await), "it holds no longer");
    }
}
