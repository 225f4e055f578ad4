//! Compares the index with the database: every torrent that is not deleted once, at its latest change, and nothing
//! else. Before that, whether there is an index at all, whose it is, and whether its files are what was written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::index::{self, Opened, Position, column};
use super::queries;
use crate::db::Db;
use crate::ids::TorrentId;

const BATCH: i64 = 20_000;
/// So many of each fault are named; all are counted.
const NAMED: usize = 20;
/// A site that writes meanwhile may take away a file that was about to be read.
const TRIES: u32 = 4;
const RETRY: Duration = Duration::from_millis(250);

/// Why an index is of no use, as the end of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("there is none yet")]
    Missing,
    #[error("it cannot be opened: {0}")]
    Unreadable(String),
    #[error("it was never finished")]
    Unfinished,
    #[error("it was made by another version of the program")]
    OtherVersion,
    #[error("it is of another database")]
    OtherDatabase,
    #[error("it is ahead of the database, which must be a restored backup")]
    Ahead,
    #[error("its files are damaged: {0}")]
    Damaged(String),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// Every file is read and compared with its checksum.
    Verifying,
    /// Torrents compared, of about how many.
    Comparing { done: u64, total: u64 },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Torrents the database has, without deleted ones.
    pub stored: u64,
    pub indexed: u64,
    /// Changes that the index has yet to follow are no fault.
    pub not_yet_followed: u64,
    pub missing: Fault,
    /// In the index as they were before a change.
    pub outdated: Fault,
    /// In the index although deleted or unknown, or twice.
    pub surplus: Fault,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    pub count: u64,
    /// The first 20.
    pub ids: Vec<TorrentId>,
}

impl Checked {
    pub fn is_sound(&self) -> bool {
        self.missing.count + self.outdated.count + self.surplus.count == 0
    }
}

impl Fault {
    fn note(&mut self, id: i64) {
        self.count += 1;
        if self.ids.len() < NAMED {
            self.ids.push(TorrentId(id));
        }
    }
}

/// The index in `folder` with its position, if it is sound and of the database that `start` is of, at revision `head`.
pub fn sound(folder: &Path, start: &Position, head: i64) -> Result<(Opened, Position), Unusable> {
    if !folder.join("meta.json").exists() {
        return Err(Unusable::Missing);
    }
    let opened = Opened::open(folder).map_err(|e| Unusable::Unreadable(format!("{e:#}")))?;
    let position = opened.position.clone().ok_or(Unusable::Unfinished)?;
    if position.source != start.source {
        return Err(if position.database() == start.database() {
            Unusable::OtherVersion
        } else {
            Unusable::OtherDatabase
        });
    }
    if position.stamp.revision > head {
        return Err(Unusable::Ahead);
    }
    opened
        .verify()
        .map_err(|e| Unusable::Damaged(format!("{e:#}")))?;
    Ok((opened, position))
}

/// Compares the index in `data_dir` with the database; writes nothing, and does not mind a site that writes.
pub async fn look(
    data_dir: &Path,
    db: &Db,
    say: &(dyn Fn(Looking) + Sync),
) -> anyhow::Result<Result<Checked, Unusable>> {
    let folder = index::folder(data_dir);
    let mut tries = 0;
    loop {
        say(Looking::Verifying);
        // The index first: one that a site writes meanwhile is not ahead of what is read afterwards.
        let looked = folder.clone();
        let (database_id, _) = queries::head(&mut db.read().await?).await?;
        let start = Position::start(&database_id);
        let found = tokio::task::spawn_blocking(move || sound(&looked, &start, i64::MAX)).await?;
        tries += 1;
        match found {
            Ok((opened, position)) => {
                let (_, head) = queries::head(&mut db.read().await?).await?;
                if position.stamp.revision > head {
                    return Ok(Err(Unusable::Ahead));
                }
                return compare(Arc::new(opened), db, say).await.map(Ok);
            }
            Err(Unusable::Unreadable(_) | Unusable::Damaged(_) | Unusable::Missing)
                if tries < TRIES =>
            {
                tokio::time::sleep(RETRY).await;
            }
            Err(unusable) => return Ok(Err(unusable)),
        }
    }
}

/// Compares an index that is of this database.
pub async fn compare(
    opened: Arc<Opened>,
    db: &Db,
    say: &(dyn Fn(Looking) + Sync),
) -> anyhow::Result<Checked> {
    // The position first: what is read afterwards is at least as new.
    let followed = opened.committed_position()?.map_or(0, |p| p.stamp.revision);
    opened.reader.reload()?;
    let indexed = tokio::task::spawn_blocking(move || -> tantivy::Result<Vec<(i64, i64)>> {
        let mut found = Vec::new();
        for segment in opened.reader.searcher().segment_readers() {
            let ids = segment.fast_fields().u64(column::ID)?;
            let revisions = segment.fast_fields().u64(column::REVISION)?;
            for doc in segment.doc_ids_alive() {
                let value = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(0);
                found.push((value(ids.first(doc)), value(revisions.first(doc))));
            }
        }
        found.sort_unstable();
        Ok(found)
    })
    .await??;

    let mut checked = Checked {
        indexed: indexed.len() as u64,
        ..Checked::default()
    };
    let total = checked.indexed;
    let mut indexed = indexed.into_iter().peekable();
    let mut last = i64::MIN;
    loop {
        let (done, total) = (checked.stored, total.max(checked.stored));
        say(Looking::Comparing { done, total });
        let rows = queries::stamps_after(&mut db.read().await?, last, BATCH).await?;
        for row in &rows {
            last = row.stamp.id;
            while let Some((id, _)) = indexed.next_if(|(id, _)| *id < row.stamp.id) {
                checked.surplus.note(id);
            }
            let mut held = None;
            while let Some((id, revision)) = indexed.next_if(|(id, _)| *id == row.stamp.id) {
                if held.replace(revision).is_some() {
                    checked.surplus.note(id);
                }
            }
            checked.stored += u64::from(!row.is_deleted);
            match held {
                _ if row.stamp.revision > followed => checked.not_yet_followed += 1,
                None if !row.is_deleted => checked.missing.note(row.stamp.id),
                Some(_) if row.is_deleted => checked.surplus.note(row.stamp.id),
                Some(revision) if revision != row.stamp.revision => {
                    checked.outdated.note(row.stamp.id);
                }
                _ => {}
            }
        }
        if i64::try_from(rows.len()).is_ok_and(|n| n < BATCH) {
            break;
        }
    }
    for (id, _) in indexed {
        checked.surplus.note(id);
    }
    Ok(checked)
}
