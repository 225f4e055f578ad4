//! Finding torrents: a text index in the data directory, derived from the database and following it, swarm numbers
//! in memory, and one function from filter, sort and cursor to a page of ids with counts. Rows are read elsewhere,
//! by one query that checks visibility once more.
//!
//! `language` reads what was asked into a `rule`, `fold` and `words` turn text into terms, `index` holds them, `follow`
//! keeps it up to date, `evaluate` and `walk` answer, `page` puts the answer together.

mod bits;
mod check;
mod evaluate;
mod filter;
pub mod fold;
mod follow;
mod ids;
mod index;
pub mod language;
mod names;
mod notice;
mod numbers;
mod page;
pub mod queries;
mod query;
pub mod rebuild;
mod remembered;
mod rows;
pub mod rule;
mod spelling;
mod tokens;
mod track;
mod walk;
mod words;

#[cfg(test)]
mod model;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

pub use check::{Checked, Fault, Looking, Unusable, look};
pub use filter::{Cursor, Facets, Filter, Found, Kind, Notice, Sort, SortKey, Who};
pub use numbers::{Numbers, Swarm};
pub use page::MAX_LIMIT;

use crate::config;
use crate::counters::Counter;
use crate::db::Db;
use crate::ids::CategoryId;
use follow::{Follower, Step};
use index::Opened;
use numbers::Refresh;
use remembered::Remembered;

/// What other processes commit is seen this late.
const POLL: Duration = Duration::from_secs(1);
/// Commits that come together are followed together.
const GATHER: Duration = Duration::from_millis(100);
/// After a failure: a disk that is full or an index that another process writes does not heal at once.
const RETRY: Duration = Duration::from_secs(5);

pub struct Search {
    db: Db,
    /// Swarm numbers: sorted by here, shown on torrent pages, written through by the tracker.
    pub numbers: Arc<Numbers>,
    opened: RwLock<Arc<Opened>>,
    tree: RwLock<Arc<Tree>>,
    follower: Arc<tokio::sync::Mutex<Follower>>,
    refresh: tokio::sync::Mutex<Refresh>,
    progress: Mutex<Option<(u64, u64)>>,
    /// An answer failed: the index is looked at before it is followed any further.
    suspect: AtomicBool,
    remembered: Remembered,
    /// The catalogue's revision up to which everything can be found; -1 before the first look.
    followed: AtomicI64,
    failures: Counter,
}

/// Lets go of the index folder at the end of its scope, unless a batch is being written, whose thread ends by itself.
struct Release(Arc<tokio::sync::Mutex<Follower>>);

impl Drop for Release {
    fn drop(&mut self) {
        if let Ok(mut follower) = self.0.try_lock() {
            follower.stop();
        }
    }
}

/// Which category lies below which.
#[derive(Default)]
struct Tree {
    version: u64,
    parents: HashMap<CategoryId, CategoryId>,
    all: Vec<(CategoryId, Option<CategoryId>)>,
}

impl Search {
    /// Opens the index in `data_dir` as it is, which takes milliseconds; [`Self::run`] verifies, follows, rebuilds.
    /// An index that cannot be opened is empty until then.
    pub fn open(data_dir: &Path, db: Db, config: &config::Search) -> anyhow::Result<Arc<Self>> {
        let folder = index::folder(data_dir);
        rebuild::tidy(&folder)?;
        let opened = match Opened::open(&folder) {
            Ok(opened) => opened,
            // The follower finds out again and says why.
            Err(_) => Opened::empty()?,
        };
        Ok(Arc::new(Self {
            db,
            numbers: Arc::default(),
            opened: RwLock::new(Arc::new(opened)),
            tree: RwLock::default(),
            follower: Arc::new(tokio::sync::Mutex::new(Follower::new(
                folder,
                config.writer_bytes,
            ))),
            refresh: tokio::sync::Mutex::default(),
            progress: Mutex::new(Some((0, 0))),
            suspect: AtomicBool::new(false),
            remembered: Remembered::default(),
            followed: AtomicI64::new(-1),
            failures: Counter::default(),
        }))
    }

    /// Follows catalogue and swarm numbers until `stop` says true (or is dropped).
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        // Also when the task is aborted: the next to open the folder must be able to write.
        let _release = Release(self.follower.clone());
        tokio::join!(
            self.follow_catalogue(stop.clone()),
            self.follow_numbers(stop)
        );
    }

    /// One page of what `who` may find. Takes processor time, mostly by the number of hits: a few ms for 100,000.
    /// `limit` is cut to 1..=[`MAX_LIMIT`].
    pub fn page(
        &self,
        who: Who,
        filter: &Filter,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> anyhow::Result<Found> {
        let found = page::page(self, who, filter, sort, cursor, limit);
        if found.is_err() {
            self.suspect.store(true, Ordering::Relaxed);
        }
        found
    }

    /// The same where it is known already, and takes no time.
    pub fn known_page(
        &self,
        who: Who,
        filter: &Filter,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Option<Found> {
        page::known_page(self, who, filter, sort, cursor, limit)
    }

    /// The page behind the first `places` of a listing, at most some thousand; `None` if there are no more than these.
    pub fn page_behind(
        &self,
        who: Who,
        filter: &Filter,
        sort: Sort,
        places: usize,
        limit: usize,
    ) -> anyhow::Result<Option<Found>> {
        let found = page::page_behind(self, who, filter, sort, places, limit);
        if found.is_err() {
            self.suspect.store(true, Ordering::Relaxed);
        }
        found
    }

    /// How many match: for questions that nobody asks twice, such as what is new to one member.
    pub fn count(&self, who: Who, filter: &Filter) -> anyhow::Result<u64> {
        let counted = page::count(self, who, filter);
        if counted.is_err() {
            self.suspect.store(true, Ordering::Relaxed);
        }
        counted
    }

    /// Words that exist, nearest to one that finds nothing. Whether they find anything that somebody may see is
    /// another question.
    pub fn nearest(&self, word: &str) -> anyhow::Result<Vec<String>> {
        spelling::nearest(self, word)
    }

    /// (done, total) while the index is being built or catches up with much: results are not complete meanwhile.
    /// (0, 0) before the first look at the database.
    pub fn progress(&self) -> Option<(u64, u64)> {
        *self.progress.lock()
    }

    /// The catalogue's revision up to which everything can be found; `None` before the first look at the database.
    pub fn followed(&self) -> Option<i64> {
        Some(self.followed.load(Ordering::Relaxed)).filter(|revision| *revision >= 0)
    }

    /// Torrents in the index.
    pub fn documents(&self) -> u64 {
        self.opened().reader.searcher().num_docs()
    }

    /// Times that following the catalogue failed.
    pub fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Follows everything committed so far; when it returns, it can be found.
    pub async fn refresh_now(self: &Arc<Self>) -> anyhow::Result<()> {
        while follow::step(self).await? == Step::Behind {}
        self.refresh_numbers().await
    }

    /// Compares the index with the database.
    pub async fn check(&self) -> anyhow::Result<Checked> {
        check::compare(self.opened(), &self.db, &|_| ()).await
    }

    async fn follow_catalogue(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut commits = self.db.commits();
        while !*stop.borrow() {
            commits.mark_unchanged();
            let failed = match follow::step(self).await {
                Ok(Step::Done) => false,
                Ok(Step::Behind | Step::Rebuilding) => continue,
                Err(e) => {
                    self.failures.add_one();
                    tracing::warn!("the search index does not follow the catalogue: {e:#}");
                    true
                }
            };
            let woken = async {
                // What failed is not tried again for every commit.
                if failed || commits.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(GATHER).await;
            };
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { return },
                () = woken => {}
                () = tokio::time::sleep(if failed { RETRY } else { POLL }) => {}
            }
        }
    }

    async fn follow_numbers(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(e) = self.refresh_numbers().await {
                tracing::warn!("swarm numbers are not refreshed: {e:#}");
            }
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn refresh_numbers(&self) -> anyhow::Result<()> {
        let mut refresh = self.refresh.lock().await;
        Ok(refresh.run(&self.db, &self.numbers).await?)
    }

    fn opened(&self) -> Arc<Opened> {
        self.opened.read().clone()
    }

    fn replace(&self, opened: Arc<Opened>) {
        *self.opened.write() = opened;
    }

    fn tree(&self) -> Arc<Tree> {
        self.tree.read().clone()
    }

    fn set_categories(&self, all: Vec<(CategoryId, Option<CategoryId>)>) {
        let mut tree = self.tree.write();
        if tree.all != all {
            let parents = all
                .iter()
                .filter_map(|(id, parent)| Some((*id, (*parent)?)))
                .collect();
            *tree = Arc::new(Tree {
                version: tree.version + 1,
                parents,
                all,
            });
        }
    }

    fn set_progress(&self, progress: Option<(u64, u64)>) {
        *self.progress.lock() = progress;
    }

    fn set_followed(&self, revision: i64) {
        self.followed.store(revision, Ordering::Relaxed);
    }

    fn take_suspicion(&self) -> bool {
        self.suspect.swap(false, Ordering::Relaxed)
    }
}

impl Tree {
    fn parent_of(&self, id: CategoryId) -> Option<CategoryId> {
        self.parents.get(&id).copied()
    }

    /// A category and those below it.
    fn from(&self, id: CategoryId) -> Vec<CategoryId> {
        let below = self.parents.iter().filter(|(_, parent)| **parent == id);
        std::iter::once(id)
            .chain(below.map(|(id, _)| *id))
            .collect()
    }
}
