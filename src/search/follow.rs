//! Following the catalogue: reads what changed after the index's position, writes it, commits the position with it.
//! Woken by every commit of this process and once a second for those of others. What cannot be continued is built
//! anew while the site serves.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::filter::Kind;
use super::index::{Opened, Position, Writer};
use super::rule::Flag;
use super::{Search, queries};
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, UserId};

/// Rows read at once.
const BATCH: i64 = 1_000;
/// A long catching up commits now and then: what is found grows, and a kill costs no more than this.
const COMMIT_EVERY: usize = 50_000;
const SAY_EVERY: Duration = Duration::from_secs(3);

/// A long catching up leaves a hundred megabytes of freed memory in the allocator's arenas, which glibc keeps for
/// itself until it is asked.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A change's place in the catalogue's history: changes of one transaction share the revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    pub revision: i64,
    /// The torrent.
    pub id: i64,
}

/// A torrent as the index takes it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub stamp: Stamp,
    pub state: String,
    pub title: String,
    pub name: String,
    pub category: CategoryId,
    pub owner: UserId,
    pub owner_name: String,
    pub anonymous: bool,
    pub private: bool,
    pub kind: Kind,
    pub has_web_seeds: bool,
    pub has_description: bool,
    /// Bytes.
    pub size: i64,
    pub created_at: Timestamp,
    pub tags: Vec<(TagId, String)>,
    pub files: Vec<String>,
}

impl Entry {
    fn is_deleted(&self) -> bool {
        self.state == "deleted"
    }

    pub fn flags(&self) -> Vec<Flag> {
        let has = |flag: Flag| match flag {
            Flag::Private => self.private,
            Flag::Anonymous => self.anonymous,
            Flag::V1 => self.kind != Kind::V2,
            Flag::V2 => self.kind != Kind::V1,
            Flag::WebSeed => self.has_web_seeds,
            Flag::Description => self.has_description,
            Flag::Tagged => !self.tags.is_empty(),
        };
        Flag::ALL.into_iter().filter(|flag| has(*flag)).collect()
    }

    pub fn text_bytes(&self) -> usize {
        let files: usize = self.files.iter().map(String::len).sum();
        self.title.len() + self.name.len() + files
    }
}

/// The next entries in the order of their changes.
pub struct Batch {
    pub entries: Vec<Entry>,
    /// Nothing comes after them.
    pub is_last: bool,
}

/// What follows; one at a time.
pub struct Follower {
    folder: PathBuf,
    writer_bytes: usize,
    writer: Option<Writer>,
    /// Up to where entries were handed to the writer. `None`: the index on disk has to be looked at first.
    position: Option<Position>,
    /// While an index is built from nothing: entries up to this revision cannot be in it yet.
    nothing_before: Option<i64>,
    uncommitted: usize,
    /// The catalogue's revision up to which everything is committed.
    seen: Option<i64>,
    catching_up: Option<CatchingUp>,
}

struct CatchingUp {
    done: u64,
    total: u64,
    said: Instant,
}

impl Follower {
    pub fn new(folder: PathBuf, writer_bytes: usize) -> Self {
        Self {
            folder,
            writer_bytes,
            writer: None,
            position: None,
            nothing_before: None,
            uncommitted: 0,
            seen: None,
            catching_up: None,
        }
    }

    /// Lets go of the index at a stop. Merges that run are given up: they are only about speed.
    pub fn stop(&mut self) {
        self.writer = None;
        self.drop_writer();
    }

    /// Hands entries to the writer; commits when they are the last or many are waiting.
    fn take(&mut self, search: &Search, batch: &Batch) -> anyhow::Result<()> {
        let opened = search.opened();
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::open(&opened, self.writer_bytes)?),
        };
        let position = self
            .position
            .as_mut()
            .context("following from an unknown position")?;
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
            position.stamp = entry.stamp;
        }
        self.uncommitted += batch.entries.len();
        // An index that was just begun is committed even if empty: that says whose it is.
        let begun = self.nothing_before.is_some();
        if self.uncommitted >= COMMIT_EVERY || batch.is_last && (begun || self.uncommitted > 0) {
            writer.commit(position)?;
            opened.reader.reload()?;
            self.uncommitted = 0;
        }
        if batch.is_last {
            self.nothing_before = None;
        }
        Ok(())
    }

    /// Ends writing; what was not committed is read again.
    fn drop_writer(&mut self) {
        self.position = None;
        self.seen = None;
        self.catching_up = None;
        self.nothing_before = None;
        self.uncommitted = 0;
        self.close_writer();
    }

    /// Lets go of the writer and its memory; the next change opens another.
    fn close_writer(&mut self) {
        if let Some(writer) = self.writer.take()
            && let Err(e) = writer.close()
        {
            tracing::warn!("closing the search index: {e:#}");
        }
    }

    /// Goes on where the index on disk stands, if it is sound and of this database; otherwise begins a new one.
    fn settle(&mut self, search: &Search, start: Position, head: i64) -> anyhow::Result<()> {
        self.drop_writer();
        let why = match self.sound(&start, head) {
            Ok((opened, position)) => {
                search.replace(opened);
                search.set_followed(position.stamp.revision);
                self.position = Some(position);
                return Ok(());
            }
            Err(why) => why,
        };
        tracing::info!("building the search index anew: {why:#}");
        search.replace(Opened::create(&self.folder)?);
        search.set_followed(0);
        self.position = Some(start);
        self.nothing_before = Some(head);
        Ok(())
    }

    fn sound(&self, start: &Position, head: i64) -> anyhow::Result<(Opened, Position)> {
        ensure!(self.folder.exists(), "there is none yet");
        let opened = Opened::open(&self.folder)?;
        let position = opened.position.clone().context("it was never finished")?;
        ensure!(
            position.source == start.source,
            "it is of another database or version"
        );
        ensure!(
            position.stamp.revision <= head,
            "it is ahead of the database, which must be a restored backup"
        );
        opened.verify()?;
        Ok((opened, position))
    }

    /// Whether the database turned out to be another one than the index follows.
    fn is_astray(&self, start: &Position, head: i64) -> bool {
        self.position.as_ref().is_some_and(|position| {
            position.source != start.source || position.stamp.revision > head
        })
    }

    fn report(&mut self, search: &Search, read: usize) {
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
            search.set_progress(Some((progress.done, progress.total)));
        }
    }
}

/// One step: reads and writes one batch. Whether the index now holds everything that was committed when it began.
///
/// Dropping the future loses nothing: the follower moves into the thread that writes and comes back with its position.
pub async fn step(search: &std::sync::Arc<Search>) -> anyhow::Result<bool> {
    let mut follower = search.follower.clone().lock_owned().await;
    let (database_id, head) = queries::head(&mut search.db.read().await?).await?;
    let start = Position::start(&database_id);
    let suspect = search.take_suspicion();
    if follower.position.is_none() || suspect || follower.is_astray(&start, head) {
        let search = search.clone();
        follower = tokio::task::spawn_blocking(move || {
            follower.settle(&search, start, head)?;
            anyhow::Ok(follower)
        })
        .await??;
    }
    if follower.seen == Some(head) {
        search.set_followed(head);
        return Ok(true);
    }
    let after = follower
        .position
        .as_ref()
        .context("following from an unknown position")?
        .stamp;
    let mut conn = search.db.read().await?;
    search.set_categories(queries::categories(&mut conn).await?);
    if follower.catching_up.is_none() {
        let total = queries::count_after(&mut conn, after.revision).await?;
        follower.catching_up = (total > BATCH).then(|| CatchingUp {
            done: 0,
            total: u64::try_from(total).unwrap_or(0),
            said: Instant::now(),
        });
    }
    let batch = queries::changed_after(&mut conn, after, BATCH).await?;
    drop(conn);
    let search = search.clone();
    tokio::task::spawn_blocking(move || {
        let taken = follower.take(&search, &batch);
        match &taken {
            Ok(()) => {
                follower.report(&search, batch.entries.len());
                if batch.is_last {
                    if let Some(progress) = follower.catching_up.take() {
                        tracing::info!("search index: complete, {} torrents read", progress.done);
                        follower.close_writer();
                        give_memory_back();
                    }
                    search.set_progress(None);
                    follower.seen = Some(head);
                    search.set_followed(head);
                }
            }
            // The writer may be broken for good; the next step looks at what is on disk.
            Err(_) => follower.drop_writer(),
        }
        taken.map(|()| batch.is_last)
    })
    .await?
}
