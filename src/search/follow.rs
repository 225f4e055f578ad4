//! Following the catalogue: reads what changed after the index's position, writes it, commits the position with it.
//! Woken by every commit of this process and once a second for those of others. What cannot be continued is built
//! anew in its place while the site serves; what somebody wants rebuilt, beside it (`rebuild`).

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::filter::Kind;
use super::index::{Opened, Position};
use super::rule::Flag;
use super::track::Track;
use super::{Search, check, queries, rebuild};
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, UserId};

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
    pub fn is_deleted(&self) -> bool {
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
    /// `None`: the index on disk has to be looked at first.
    current: Option<Track>,
    /// A new index on its way.
    beside: Option<Track>,
    /// The catalogue's revision up to which everything is committed.
    seen: Option<i64>,
}

/// Where a step left things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More is to be followed at once.
    Behind,
    /// Everything can be found that was committed when the step began; a new index is being built beside.
    Rebuilding,
    /// Everything can be found, and nothing is left to do.
    Done,
}

impl Follower {
    pub fn new(folder: PathBuf, writer_bytes: usize) -> Self {
        Self {
            folder,
            writer_bytes,
            current: None,
            beside: None,
            seen: None,
        }
    }

    /// Lets go of the index at a stop. Merges that run are given up: they are only about speed.
    pub fn stop(&mut self) {
        self.current = None;
        self.beside = None;
        self.seen = None;
    }

    /// Ends writing in good order; what was not committed is read again.
    fn let_go(&mut self) {
        self.seen = None;
        for mut track in self.current.take().into_iter().chain(self.beside.take()) {
            if let Err(e) = track.close() {
                tracing::warn!("closing the search index: {e:#}");
            }
        }
    }

    /// Goes on where the index on disk stands, if it is sound and of this database; otherwise begins a new one.
    fn settle(&mut self, search: &Search, start: Position, head: i64) -> anyhow::Result<()> {
        self.let_go();
        rebuild::tidy(&self.folder)?;
        let track = match check::sound(&self.folder, &start, head) {
            Ok((opened, position)) => {
                search.set_followed(position.stamp.revision);
                Track::continued(Arc::new(opened), position, self.writer_bytes)
            }
            Err(why) => {
                tracing::info!("building the search index anew: {why}");
                search.set_followed(0);
                let opened = Arc::new(Opened::create(&self.folder)?);
                Track::begun(opened, start, head, self.writer_bytes)
            }
        };
        search.replace(track.opened().clone());
        self.current = Some(track);
        Ok(())
    }

    /// Whether the database turned out to be another one than the index follows.
    fn is_astray(&self, start: &Position, head: i64) -> bool {
        self.current.as_ref().is_some_and(|track| {
            let position = track.position();
            position.source != start.source || position.stamp.revision > head
        })
    }

    /// Takes a batch into the index that answers.
    fn take(&mut self, search: &Search, batch: &Batch, head: i64) -> anyhow::Result<()> {
        let current = self.current.as_mut().context("no index to follow in")?;
        current.take(batch)?;
        search.set_progress(current.progress());
        if batch.is_last {
            current.finish_catching_up();
            search.set_progress(None);
            self.seen = Some(head);
            search.set_followed(head);
        }
        Ok(())
    }

    /// Takes a batch into the index beside; exchanges the two after the last.
    fn build(&mut self, search: &Search, batch: &Batch) -> anyhow::Result<Step> {
        let beside = self.beside.as_mut().context("no index to build")?;
        beside.take(batch)?;
        if let Some((done, total)) = beside.progress() {
            rebuild::report(&self.folder, done, total)?;
        }
        if !batch.is_last {
            return Ok(Step::Rebuilding);
        }
        beside.finish_catching_up();
        if !beside.look_after_merge()? {
            // The old one answers and follows meanwhile, and is asked about again in a second.
            return Ok(Step::Done);
        }
        self.exchange(search)?;
        Ok(Step::Done)
    }

    /// Begins the index that somebody asked for, or gives it up when nobody asks any more.
    fn heed_requests(&mut self, start: Position, head: i64) -> anyhow::Result<()> {
        match (rebuild::is_requested(&self.folder), &mut self.beside) {
            (true, None) => {
                tracing::info!("building a search index beside the one that answers");
                let opened = Opened::create(&rebuild::beside(&self.folder))?;
                let track = Track::begun(Arc::new(opened), start, head, self.writer_bytes);
                self.beside = Some(track);
            }
            (false, Some(track)) => {
                tracing::info!("nobody asks for another search index any more");
                track.close()?;
                self.beside = None;
                rebuild::tidy(&self.folder)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The new index takes the place of the old one, which answered until now.
    fn exchange(&mut self, search: &Search) -> anyhow::Result<()> {
        let Some(mut made) = self.beside.take() else {
            return Ok(());
        };
        made.close()?;
        // Whatever fails from here on, the folder is looked at again.
        let seen = self.seen.take();
        if let Some(mut replaced) = self.current.take() {
            replaced.close()?;
        }
        rebuild::exchange(&self.folder)?;
        let opened = Arc::new(Opened::open(&self.folder)?);
        search.replace(opened.clone());
        let position = made.position().clone();
        self.current = Some(Track::continued(opened, position, self.writer_bytes));
        self.seen = seen;
        tracing::info!("the search index is a new one");
        Ok(())
    }

    /// What asked for an index that cannot be built is told so: a disk that is full would only be filled again.
    fn give_up(&mut self, why: &anyhow::Error) {
        tracing::error!("the search index is not rebuilt: {why:#}");
        if let Some(mut track) = self.beside.take()
            && let Err(e) = track.close()
        {
            tracing::warn!("closing the index that was being built: {e:#}");
        }
        if let Err(e) = rebuild::refuse(&self.folder, why) {
            tracing::warn!("leaving word of it: {e:#}");
        }
        if let Err(e) = rebuild::tidy(&self.folder) {
            tracing::warn!("removing what was built of it: {e:#}");
        }
    }
}

/// One step: reads and writes one batch, of a new index only when the one that answers is up to date.
///
/// Dropping the future loses nothing: the follower moves into the thread that writes and comes back with its position.
pub async fn step(search: &Arc<Search>) -> anyhow::Result<Step> {
    let mut follower = search.follower.clone().lock_owned().await;
    let (database_id, head) = queries::head(&mut search.db.read().await?).await?;
    let start = Position::start(&database_id);
    let suspect = search.take_suspicion();
    if follower.current.is_none() || suspect || follower.is_astray(&start, head) {
        let (search, start) = (search.clone(), start.clone());
        follower = tokio::task::spawn_blocking(move || {
            follower.settle(&search, start, head)?;
            anyhow::Ok(follower)
        })
        .await??;
    }
    if follower.seen == Some(head) {
        search.set_followed(head);
        if let Some(current) = &mut follower.current {
            current.look_after_merge()?;
        }
    } else {
        let mut conn = search.db.read().await?;
        search.set_categories(queries::categories(&mut conn).await?);
        let current = follower.current.as_mut().context("no index to follow in")?;
        let batch = current.read(&mut conn).await?;
        drop(conn);
        let search = search.clone();
        let taken = tokio::task::spawn_blocking(move || {
            let taken = follower.take(&search, &batch, head);
            if taken.is_err() {
                // The writer may be broken for good; the next step looks at what is on disk.
                follower.let_go();
            }
            taken.map(|()| (follower, batch.is_last))
        });
        let is_last;
        (follower, is_last) = taken.await??;
        if !is_last {
            return Ok(Step::Behind);
        }
    }
    if follower.beside.is_none() && !rebuild::is_requested(&follower.folder) {
        return Ok(Step::Done);
    }
    let heeded = tokio::task::spawn_blocking(move || {
        let heeded = follower.heed_requests(start, head);
        (follower, heeded)
    });
    let heeded_well;
    (follower, heeded_well) = heeded.await?;
    let batch = match (heeded_well, &mut follower.beside) {
        (Err(e), _) => Err(e),
        (Ok(()), None) => return Ok(Step::Done),
        (Ok(()), Some(track)) => {
            let mut conn = search.db.read().await?;
            if !track.is_merging() {
                track.measure(&mut conn).await?;
            }
            Ok(track.read(&mut conn).await?)
        }
    };
    let search = search.clone();
    tokio::task::spawn_blocking(move || {
        match batch.and_then(|batch| follower.build(&search, &batch)) {
            Ok(step) => step,
            Err(e) => {
                follower.give_up(&e);
                Step::Done
            }
        }
    })
    .await
    .map_err(Into::into)
}
