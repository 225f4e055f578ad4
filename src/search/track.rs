//! An index that is being written, and how far into the catalogue's history it has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::follow::Batch;
use super::index::{Merge, Opened, Position, Writer};
use super::queries;
use crate::db::Conn;

/// Rows read at once.
const BATCH: i64 = 1_000;
/// A long catching up commits now and then: what is found grows, and a kill costs no more than this.
const COMMIT_EVERY: usize = 100_000;
/// So many times the memory is used for a whole index.
const WHOLE: usize = 5;
/// Segments of a smaller index than this are few, and merged as it grows.
const MERGED_FROM: u64 = 20_000;
const SAY_EVERY: Duration = Duration::from_secs(3);

pub struct Track {
    opened: Arc<Opened>,
    writer_bytes: usize,
    writer: Option<Writer>,
    /// Up to where entries were handed to the writer.
    position: Position,
    /// While an index is built from nothing: entries up to this revision cannot be in it yet.
    nothing_before: Option<i64>,
    uncommitted: usize,
    catching_up: Option<CatchingUp>,
    /// A whole index was written, and becomes one segment.
    merging: Option<Merge>,
}

struct CatchingUp {
    done: u64,
    total: u64,
    said: Instant,
}

impl Track {
    /// Goes on in an index that holds everything up to `position`.
    pub fn continued(opened: Arc<Opened>, position: Position, writer_bytes: usize) -> Self {
        Self {
            opened,
            writer_bytes,
            writer: None,
            position,
            nothing_before: None,
            uncommitted: 0,
            catching_up: None,
            merging: None,
        }
    }

    /// Begins with an empty index, while the catalogue is at revision `head`.
    pub fn begun(opened: Arc<Opened>, start: Position, head: i64, writer_bytes: usize) -> Self {
        Self {
            nothing_before: Some(head),
            ..Self::continued(opened, start, writer_bytes)
        }
    }

    pub fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    pub fn position(&self) -> &Position {
        &self.position
    }

    /// (done, total) while there is much to catch up with.
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.catching_up.as_ref().map(|p| (p.done, p.total))
    }

    /// Counts what is to be caught up with, unless it was counted.
    pub async fn measure(&mut self, conn: &mut Conn) -> Result<(), sqlx::Error> {
        if self.catching_up.is_none() {
            let total = queries::count_after(conn, self.position.stamp.revision).await?;
            self.catching_up = Some(CatchingUp {
                done: 0,
                total: u64::try_from(total).unwrap_or(0),
                said: Instant::now(),
            });
        }
        Ok(())
    }

    /// What comes next. A single batch is not worth being counted.
    pub async fn read(&mut self, conn: &mut Conn) -> Result<Batch, sqlx::Error> {
        let batch = queries::changed_after(conn, self.position.stamp, BATCH).await?;
        if !batch.is_last {
            self.measure(conn).await?;
        }
        Ok(batch)
    }

    /// Hands entries to the writer; commits when they are the last or many are waiting.
    pub fn take(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let (opened, bytes) = (&self.opened, self.writer_bytes);
                none.insert(match self.nothing_before {
                    Some(_) => Writer::open_wide(opened, bytes * WHOLE)?,
                    None => Writer::open(opened, bytes)?,
                })
            }
        };
        for entry in &batch.entries {
            let is_new = self
                .nothing_before
                .is_some_and(|revision| entry.stamp.revision <= revision);
            if !is_new {
                writer.remove(entry);
            }
            if !entry.is_deleted() {
                writer.add(entry)?;
            }
            self.position.stamp = entry.stamp;
        }
        self.uncommitted += batch.entries.len();
        // An index that was just begun is committed even if empty: that says whose it is.
        let begun = self.nothing_before.is_some();
        if self.uncommitted >= COMMIT_EVERY || batch.is_last && (begun || self.uncommitted > 0) {
            writer.commit(&self.position)?;
            self.opened.reader.reload()?;
            self.uncommitted = 0;
        }
        if batch.is_last
            && self.nothing_before.take().is_some()
            && self.opened.reader.searcher().num_docs() >= MERGED_FROM
        {
            self.merging = writer.merge_all(&self.opened)?;
        }
        self.report(batch.entries.len());
        Ok(())
    }

    /// Everything can be found. Gives back what a long catching up took, unless something is merged yet.
    pub fn finish_catching_up(&mut self) {
        if let Some(progress) = self.catching_up.take() {
            tracing::info!("search index: complete, {} torrents read", progress.done);
            if self.merging.is_none() {
                self.rest();
            }
        }
    }

    pub fn is_merging(&self) -> bool {
        self.merging.is_some()
    }

    /// Looks after the merge that began with the last batch of a whole index; whether it is over, or was never needed.
    pub fn look_after_merge(&mut self) -> anyhow::Result<bool> {
        let Some(merge) = &mut self.merging else {
            return Ok(true);
        };
        let Some(merged) = merge.as_mut().now_or_never() else {
            return Ok(false);
        };
        self.merging = None;
        match merged {
            Ok(_) => tracing::info!("search index: one segment"),
            // Only slower without.
            Err(e) => tracing::warn!("merging the search index: {e:#}"),
        }
        self.opened.reader.reload()?;
        self.rest();
        Ok(true)
    }

    fn rest(&mut self) {
        if let Err(e) = self.close() {
            tracing::warn!("closing the search index: {e:#}");
        }
        give_memory_back();
    }

    /// Lets go of the writer and its memory in good order; what comes next opens another.
    pub fn close(&mut self) -> anyhow::Result<()> {
        self.writer.take().map_or(Ok(()), Writer::close)
    }

    fn report(&mut self, read: usize) {
        if let Some(progress) = &mut self.catching_up {
            progress.done += read as u64;
            progress.total = progress.total.max(progress.done);
            if progress.said.elapsed() >= SAY_EVERY {
                progress.said = Instant::now();
                tracing::info!(
                    "search index: {} of {} torrents",
                    progress.done,
                    progress.total
                );
            }
        }
    }
}

/// A long catching up leaves a hundred megabytes of freed memory in the allocator's arenas, which glibc keeps for
/// itself until it is asked.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
