//! Publishing: from uploaded bytes to a row, its blob, its files and its tags, in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{self, Bytes};

use tokio::sync::Semaphore;

use super::Title;
use super::queries::{self, Existing, InsertError, NewTorrent};
use crate::bittorrent::metainfo::{self, Metainfo, Rule};
use crate::clock::{Clock, Timestamp};
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::ids::{CategoryId, TagId, TorrentId, UserId};
use crate::settings::PrivateFlag;
use crate::tags::{self, TagName};

/// The way in for .torrents, for the site and for commands.
pub struct Intake {
    db: Db,
    clock: Clock,
    /// Hashing 10 MB takes a core for tens of milliseconds: a few at a time.
    parsing: Arc<Semaphore>,
}

impl Intake {
    pub fn new(db: Db, clock: Clock) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            db,
            clock,
            parsing: Arc::new(Semaphore::new(threads)),
        }
    }
}

/// What the uploader says about a torrent; the rest stands in the file.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The torrent's name when left empty.
    pub title: Option<Title>,
    pub category: CategoryId,
    pub tags: Vec<TagName>,
    pub description: String,
    pub anonymous: bool,
}

impl Draft {
    /// Nothing but where it belongs: the title is the torrent's own name.
    pub fn plain(category: CategoryId) -> Self {
        Self {
            title: None,
            category,
            tags: Vec::new(),
            description: String::new(),
            anonymous: false,
        }
    }
}

#[derive(Debug)]
pub enum Verdict {
    Added(Added),
    /// One of its hashes is in the catalogue already.
    Known(Existing),
    Refused(Refused),
}

#[derive(Debug)]
pub struct Added {
    pub id: TorrentId,
    pub title: String,
    /// Tracker URLs that were in the file and are not served.
    pub foreign_trackers: usize,
}

#[derive(Debug)]
pub struct Refused {
    /// Names the rule and the place, and the fix.
    pub sentence: String,
    pub too_large: bool,
    /// For counting by reason.
    pub rule: &'static str,
}

/// Parses, checks and stores one .torrent. Everything that belongs together is one transaction; the answer comes
/// after its commit.
pub async fn publish(
    intake: &Intake,
    policy: PrivateFlag,
    by: UserId,
    bytes: Bytes,
    draft: &Draft,
) -> Result<Verdict> {
    let prepared = match prepare(intake, policy, by, bytes, draft).await? {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(Verdict::Refused(refused)),
    };
    let mut tx = intake.db.write().await?;
    let tag_ids =
        tags::queries::resolve_or_create(&mut tx, &prepared.tags, intake.clock.now()).await?;
    match queries::insert(&mut tx, &prepared.new, &tag_ids).await {
        Ok(id) => {
            tx.commit().await?;
            tracing::info!(torrent = %id, user = %by, "published");
            Ok(prepared.added(id))
        }
        Err(InsertError::Known) => {
            drop(tx);
            let mut conn = intake.db.read().await?;
            let existing = queries::existing(&mut conn, &prepared.new).await?;
            // Deleted in this very moment: the next try goes through.
            existing.map(Verdict::Known).ok_or(Error::Busy)
        }
        Err(InsertError::NoCategory) => Err(Error::Unprocessable(
            "That category is gone. Choose another.".to_owned(),
        )),
        Err(InsertError::Database(e)) => Err(e.into()),
    }
}

/// A torrent that may be stored.
pub struct Prepared {
    pub new: NewTorrent,
    pub tags: Vec<TagName>,
    foreign_trackers: usize,
}

impl Prepared {
    /// For callers that made the metainfo themselves.
    pub fn of(
        metainfo: &Metainfo,
        draft: &Draft,
        by: UserId,
        at: Timestamp,
    ) -> anyhow::Result<Self> {
        let title = draft
            .title
            .clone()
            .unwrap_or_else(|| Title::of_name(&metainfo.name));
        Ok(Self {
            new: NewTorrent::of(metainfo, &title, draft, by, at)?,
            tags: draft.tags.clone(),
            foreign_trackers: metainfo.outer.foreign_trackers,
        })
    }

    fn added(&self, id: TorrentId) -> Verdict {
        Verdict::Added(Added {
            id,
            title: self.new.title().to_owned(),
            foreign_trackers: self.foreign_trackers,
        })
    }
}

/// Everything up to the database.
pub async fn prepare(
    intake: &Intake,
    policy: PrivateFlag,
    by: UserId,
    bytes: Bytes,
    draft: &Draft,
) -> Result<Result<Prepared, Refused>> {
    let parsed = {
        // Held by the work and not by the request, which ends when its browser hangs up.
        let turn = intake
            .parsing
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Busy)?;
        web::block(move || {
            let _turn = turn;
            metainfo::parse(&bytes)
        })
        .await?
    };
    let metainfo = match parsed {
        Ok(metainfo) => metainfo,
        Err(refusal) => {
            return Ok(Err(Refused {
                sentence: refusal.to_string(),
                too_large: refusal.rule == Rule::TooLarge,
                rule: refusal.rule.slug(),
            }));
        }
    };
    if let Err(refused) = check_private(policy, &metainfo) {
        return Ok(Err(refused));
    }
    Ok(Ok(Prepared::of(&metainfo, draft, by, intake.clock.now())?))
}

/// The writer is held this long at the most by a batch.
const BATCH_TIME: Duration = Duration::from_millis(20);

/// Stores many, several to a transaction: for imports. Verdicts in the order of what was given.
pub async fn store_many(intake: &Intake, prepared: &[Prepared]) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::with_capacity(prepared.len());
    while verdicts.len() < prepared.len() {
        let started = Instant::now();
        let mut tx = intake.db.write().await?;
        let mut batch = Vec::new();
        let mut added = Vec::new();
        let mut rest = &prepared[verdicts.len()..];
        while !rest.is_empty() && started.elapsed() < BATCH_TIME {
            let (some, others) = rest.split_at(together(rest));
            rest = others;
            store_some(intake, &mut tx, some, &mut batch, &mut added).await?;
        }
        // One revision for all of them, taken last: two batches at once would lock each other out otherwise.
        queries::stamp(&mut tx, &added).await?;
        tx.commit().await?;
        verdicts.append(&mut batch);
        tokio::task::yield_now().await;
    }
    Ok(verdicts)
}

/// A statement takes no more bytes than this, or one torrent.
const STATEMENT_BYTES: usize = 8_000_000;

/// How many of the first share no hash, and fit into one statement.
fn together(prepared: &[Prepared]) -> usize {
    let most = prepared.len().min(queries::AT_ONCE);
    let mut bytes = prepared.first().map_or(0, |one| one.new.bytes());
    for n in 1..most {
        let one = &prepared[n].new;
        bytes += one.bytes();
        let known = |other: &Prepared| other.new.shares_a_hash_with(one);
        if bytes > STATEMENT_BYTES || prepared[..n].iter().any(known) {
            return n;
        }
    }
    most
}

async fn store_some(
    intake: &Intake,
    tx: &mut Tx,
    some: &[Prepared],
    verdicts: &mut Vec<Verdict>,
    added: &mut Vec<TorrentId>,
) -> Result<()> {
    let all: Vec<&NewTorrent> = some.iter().map(|one| &one.new).collect();
    let mut known = queries::existing_among(tx, &all).await?;
    let fresh: Vec<(usize, &Prepared)> = some
        .iter()
        .enumerate()
        .filter(|(place, _)| !known.contains_key(place))
        .collect();
    let mut tags = Vec::with_capacity(fresh.len());
    for (_, one) in &fresh {
        let ids = match one.tags.is_empty() {
            true => Vec::new(),
            false => tags::queries::resolve_or_create(tx, &one.tags, intake.clock.now()).await?,
        };
        tags.push(ids);
    }
    let rows: Vec<(&NewTorrent, &[TagId])> = fresh
        .iter()
        .zip(&tags)
        .map(|((_, one), tags)| (&one.new, &tags[..]))
        .collect();
    let mut ids = match queries::insert_unstamped(tx, &rows).await {
        Ok(ids) => ids.into_iter(),
        Err(InsertError::NoCategory) => {
            return Err(Error::Unprocessable("That category is gone.".to_owned()));
        }
        // Somebody uploads the same at this moment: the whole batch starts again.
        Err(InsertError::Known) => return Err(Error::Busy),
        Err(InsertError::Database(e)) => return Err(e.into()),
    };
    for (place, one) in some.iter().enumerate() {
        if let Some(existing) = known.remove(&place) {
            verdicts.push(Verdict::Known(existing));
        } else if let Some(id) = ids.next() {
            added.push(id);
            verdicts.push(one.added(id));
        }
    }
    Ok(())
}

fn check_private(policy: PrivateFlag, metainfo: &Metainfo) -> Result<(), Refused> {
    let sentence = match (policy, metainfo.private) {
        (PrivateFlag::Require, false) => {
            "This site takes private torrents only, and this one lacks the private flag. Set it when you make the \
             torrent: adding it here would change the infohash."
        }
        (PrivateFlag::Forbid, true) => {
            "This site takes public torrents only, and this one has the private flag. Make it again without the \
             flag: removing it here would change the infohash."
        }
        _ => return Ok(()),
    };
    Err(Refused {
        sentence: sentence.to_owned(),
        too_large: false,
        rule: "private-flag",
    })
}
