//! Compares the index with the database: every published torrent once, at its latest change, and nothing else.

use super::index::column;
use super::{Search, queries};
use crate::ids::TorrentId;

const BATCH: i64 = 20_000;
/// So many of each fault are named; all are counted.
const NAMED: usize = 20;

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

pub async fn check(search: &Search) -> anyhow::Result<Checked> {
    let opened = search.opened();
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
    let mut indexed = indexed.into_iter().peekable();
    let mut last = i64::MIN;
    loop {
        let rows = queries::stamps_after(&mut search.db.read().await?, last, BATCH).await?;
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
