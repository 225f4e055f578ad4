//! The numbers of every swarm, fetched at a steady pace: in one long answer where the tracker's list is not much longer
//! than ours, by infohash otherwise. Only what changed is written, in small transactions, with a sample for the past.
//!
//! Memory holds what was last heard: about 100 bytes for every infohash that has ever had a peer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::Torrust;
use super::api::Swarm;
use super::queries::{self, Heard, Owned};
use crate::clock::Timestamp;
use crate::db::revisions::{self, Revision};
use crate::ids::TorrentId;
use crate::tracker::embedded::queries as samples;
use crate::tracker::history::{self, Sample};

type Hash = [u8; 20];

/// Rows in one transaction at first; a quarter where that takes longer than a page should wait.
const PART: usize = 64;
const LEAST: usize = 16;
const HELD: Duration = Duration::from_millis(20);
/// Rows come at this pace, so that pages hardly feel it: 100,000 of them in 20 s.
const ROW: Duration = Duration::from_micros(200);
/// Infohashes whose torrents are looked up at once.
const MET: usize = 250;
/// The tracker's list may be this much longer than ours before we ask by infohash.
const MUCH_LONGER: u64 = 8;
const FOREIGN: u64 = 10_000;
/// Infohashes in one question: the URL stays below the 8 kB that proxies take.
const ASKED: usize = 150;
const PAGE: i64 = 1_500;
const LOAD: i64 = 5_000;

/// What was last heard.
#[derive(Default)]
pub struct Numbers {
    loaded: bool,
    heard: HashMap<Hash, Known>,
    /// What this round found and has not written yet.
    changed: HashMap<Hash, Known>,
    /// Infohashes of others that this tracker serves too.
    foreign: HashSet<Hash>,
    /// How far the catalogue's changes have been followed: a hash may be another torrent's by now.
    followed: Option<(i64, TorrentId)>,
    round: u32,
    part: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    torrent: TorrentId,
    seeders: u32,
    leechers: u32,
    reported: u32,
    completed: i64,
    /// In which round it was last in an answer.
    round: u32,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Swarms in the tracker's answer.
    pub swarms: u64,
    /// Infohashes whose numbers were written.
    pub written: u64,
}

impl Numbers {
    /// Forgets what is known: another node may have written since.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Follows the catalogue: hashes that are no longer nobody's, and those whose torrent was deleted and uploaded anew.
    async fn follow(&mut self, tracker: &Torrust) -> anyhow::Result<()> {
        let mut after = match self.followed {
            Some(after) => after,
            None if self.heard.is_empty() && self.foreign.is_empty() => {
                let mut conn = tracker.db.read().await?;
                (
                    revisions::current(&mut conn, Revision::Catalogue).await?,
                    TorrentId(0),
                )
            }
            None => (i64::MIN, TorrentId(0)),
        };
        loop {
            let mut conn = tracker.db.read().await?;
            let rows = queries::changed_after(&mut conn, after, LOAD).await?;
            drop(conn);
            let Some(last) = rows.last() else {
                break;
            };
            after = (last.revision, last.id);
            for row in rows {
                for hash in row.v1.into_iter().chain(row.v2) {
                    let Ok(hash) = Hash::try_from(hash.as_slice()) else {
                        continue;
                    };
                    self.foreign.remove(&hash);
                    if let Some(known) = self.heard.get_mut(&hash)
                        && known.torrent != row.id
                    {
                        *known = known.of_another(row.id);
                    }
                }
            }
        }
        self.followed = Some(after);
        Ok(())
    }

    /// Fetches the numbers of all swarms and writes those that changed.
    pub async fn refresh(&mut self, tracker: &Torrust) -> anyhow::Result<Round> {
        let theirs = tracker.api.stats().await?.torrents;
        if !self.loaded {
            self.load(tracker).await?;
        }
        self.round = self.round.wrapping_add(1);
        let mut conn = tracker.db.read().await?;
        let ours = queries::listed(&mut conn).await?.unsigned_abs();
        drop(conn);
        self.follow(tracker).await?;
        let mut round = Round::default();
        if theirs <= ours.saturating_mul(MUCH_LONGER).saturating_add(FOREIGN) {
            let mut list = tracker.api.all_swarms().await?;
            while let Some(swarms) = list.next().await? {
                round.swarms += swarms.len() as u64;
                self.take(tracker, swarms).await?;
            }
        } else {
            self.ask_for_ours(tracker, &mut round).await?;
        }
        self.settle_absent();
        round.written = self.write_changed(tracker).await?;
        let mut tx = tracker.db.write().await?;
        queries::set_counted(&mut tx, tracker.clock.now()).await?;
        tx.commit().await?;
        Ok(round)
    }

    async fn load(&mut self, tracker: &Torrust) -> anyhow::Result<()> {
        let mut after = (TorrentId(i64::MIN), Vec::new());
        loop {
            let mut conn = tracker.db.read().await?;
            let rows = queries::heard_after(&mut conn, &after, LOAD).await?;
            drop(conn);
            let Some(last) = rows.last() else {
                break;
            };
            after = (last.torrent_id, last.infohash.clone());
            // A hash that is another torrent's by now stands there twice: the newer one comes later.
            for row in rows {
                if let Ok(hash) = Hash::try_from(row.infohash.as_slice()) {
                    self.heard.insert(hash, Known::of(&row));
                }
            }
        }
        self.loaded = true;
        Ok(())
    }

    async fn ask_for_ours(&mut self, tracker: &Torrust, round: &mut Round) -> anyhow::Result<()> {
        let mut before = TorrentId(i64::MAX);
        loop {
            let mut conn = tracker.db.read().await?;
            let rows = queries::listed_before(&mut conn, before, PAGE).await?;
            drop(conn);
            let Some((last, ..)) = rows.last() else {
                return Ok(());
            };
            before = *last;
            let hashes: Vec<String> = rows
                .into_iter()
                .flat_map(|(_, v1, v2)| v1.into_iter().chain(v2))
                .collect();
            for asked in hashes.chunks(ASKED) {
                let swarms = tracker.api.swarms_of(asked).await?;
                round.swarms += swarms.len() as u64;
                self.take(tracker, swarms).await?;
            }
        }
    }

    /// Takes a part of an answer in: what changed waits for [`Self::write_changed`].
    async fn take(&mut self, tracker: &Torrust, swarms: Vec<Swarm>) -> anyhow::Result<()> {
        let mut unknown: Vec<(Hash, Swarm)> = Vec::new();
        for swarm in swarms {
            let mut hash = Hash::default();
            let digits = swarm.info_hash.as_bytes();
            if data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut hash) != Ok(hash.len()) {
                anyhow::bail!("the tracker names an infohash that is none");
            }
            match self.heard.get_mut(&hash) {
                Some(known) => {
                    known.round = self.round;
                    if !known.says(&swarm) {
                        self.changed.insert(hash, known.after(&swarm, self.round));
                    }
                }
                None if self.foreign.contains(&hash) => {}
                None => unknown.push((hash, swarm)),
            }
        }
        for part in unknown.chunks(MET) {
            self.meet(tracker, part).await?;
        }
        Ok(())
    }

    /// Finds out whose these infohashes are.
    async fn meet(&mut self, tracker: &Torrust, unknown: &[(Hash, Swarm)]) -> anyhow::Result<()> {
        let hashes: Vec<Vec<u8>> = unknown.iter().map(|(hash, _)| hash.to_vec()).collect();
        let mut conn = tracker.db.read().await?;
        let owners = queries::owners(&mut conn, &hashes).await?;
        drop(conn);
        let owners: HashMap<&[u8], &Owned> =
            owners.iter().map(|o| (o.infohash.as_slice(), o)).collect();
        for (hash, swarm) in unknown {
            let Some(owned) = owners.get(&hash[..]) else {
                self.foreign.insert(*hash);
                continue;
            };
            let new = Known::new(owned);
            // Both count from here on, and what one counts is never added to the other.
            if let Some(Ok(sibling)) = owned.sibling.as_deref().map(Hash::try_from)
                && !self.heard.contains_key(&sibling)
            {
                self.changed.entry(sibling).or_insert(new);
            }
            self.changed.insert(*hash, new.after(swarm, self.round));
        }
        Ok(())
    }

    /// Those in no answer of this round have nobody in their swarm.
    fn settle_absent(&mut self) {
        let absent = self
            .heard
            .iter()
            .filter(|(_, known)| known.round != self.round && !known.is_empty())
            .map(|(hash, known)| (*hash, known.after(&Swarm::empty(), self.round)));
        self.changed.extend(absent);
    }

    /// Writes what changed, torrent by torrent: neighbours share the pages of every table, where the tracker's order,
    /// by infohash, would touch other ones with each row. Answers how many rows there were.
    async fn write_changed(&mut self, tracker: &Torrust) -> Result<u64, sqlx::Error> {
        let mut rows: Vec<(Hash, Known)> = self.changed.drain().collect();
        rows.sort_unstable_by_key(|(hash, known)| (known.torrent, *hash));
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let size = self.part.unwrap_or(PART);
            let (now, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let begun = Instant::now();
            store(tracker, now).await?;
            let took = begun.elapsed();
            self.part = Some(next_part(size, took));
            self.heard.extend(now.iter().copied());
            // On a slow machine pages have it for half as long at the least.
            let pace = u32::try_from(now.len()).map_or(Duration::ZERO, |rows| ROW * rows);
            let rest = pace.saturating_sub(took).max(took.min(HELD) / 2);
            tokio::time::sleep(rest).await;
        }
        Ok(rows.len() as u64)
    }
}

/// Rows for the next transaction, given how long one of `part` took.
fn next_part(part: usize, took: Duration) -> usize {
    if took > HELD {
        (part / 4).max(LEAST)
    } else if took * 8 < HELD {
        (part * 4).min(PART)
    } else {
        part
    }
}

async fn store(tracker: &Torrust, rows: &[(Hash, Known)]) -> Result<(), sqlx::Error> {
    let now = tracker.clock.now();
    let heard: Vec<Heard> = rows.iter().map(|(hash, known)| known.heard(hash)).collect();
    // Sorted, so that rows are locked in one order, and each torrent is there once.
    let torrents: Vec<TorrentId> = rows
        .iter()
        .map(|(_, known)| (known.torrent, ()))
        .collect::<BTreeMap<_, _>>()
        .into_keys()
        .collect();
    let day = history::day_of(now);
    let mut tx = tracker.db.write().await?;
    queries::hear(&mut tx, &heard).await?;
    let stored = queries::store(&mut tx, &torrents, now).await?;
    let past: HashMap<TorrentId, Vec<u8>> = samples::samples_of(&mut tx, day, &torrents)
        .await?
        .into_iter()
        .collect();
    let past: Vec<(TorrentId, Vec<u8>)> = stored
        .iter()
        .map(|row| {
            let sample = sample(row.seeders, row.leechers, now);
            let packed = past.get(&row.torrent_id).map_or(&[][..], Vec::as_slice);
            (row.torrent_id, history::put(packed, &sample))
        })
        .collect();
    samples::save_samples(&mut tx, day, &past).await?;
    tx.commit().await
}

fn sample(seeders: i64, leechers: i64, at: Timestamp) -> Sample {
    let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
    Sample {
        at,
        seeders: count(seeders),
        leechers: count(leechers),
    }
}

impl Swarm {
    fn empty() -> Self {
        Self {
            info_hash: String::new(),
            seeders: 0,
            completed: 0,
            leechers: 0,
        }
    }
}

impl Known {
    fn new(owned: &Owned) -> Self {
        Self {
            torrent: owned.torrent_id,
            seeders: 0,
            leechers: 0,
            reported: 0,
            completed: owned.completed,
            round: 0,
        }
    }

    fn of(row: &Heard) -> Self {
        let count = |n: i64| u32::try_from(n).unwrap_or(0);
        Self {
            torrent: row.torrent_id,
            seeders: count(row.seeders),
            leechers: count(row.leechers),
            reported: count(row.reported),
            completed: row.completed,
            round: 0,
        }
    }

    /// The hash is another torrent's from now on: nobody is in its swarm yet, and what was completed before is not
    /// this one's.
    fn of_another(self, torrent: TorrentId) -> Self {
        Self {
            torrent,
            seeders: 0,
            leechers: 0,
            completed: 0,
            ..self
        }
    }

    fn is_empty(&self) -> bool {
        (self.seeders, self.leechers, self.reported) == (0, 0, 0)
    }

    fn says(&self, swarm: &Swarm) -> bool {
        (self.seeders, self.leechers, self.reported)
            == (swarm.seeders, swarm.leechers, swarm.completed)
    }

    /// The tracker's count of completed downloads falls to zero with each of its restarts; ours only grows.
    fn after(self, swarm: &Swarm, round: u32) -> Self {
        let more = if swarm.completed >= self.reported {
            swarm.completed - self.reported
        } else {
            swarm.completed
        };
        Self {
            seeders: swarm.seeders,
            leechers: swarm.leechers,
            reported: swarm.completed,
            completed: self.completed.saturating_add(i64::from(more)),
            round,
            ..self
        }
    }

    fn heard(&self, hash: &Hash) -> Heard {
        Heard {
            infohash: hash.to_vec(),
            torrent_id: self.torrent,
            seeders: i64::from(self.seeders),
            leechers: i64::from(self.leechers),
            reported: i64::from(self.reported),
            completed: self.completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(seeders: u32, completed: u32) -> Swarm {
        Swarm {
            seeders,
            completed,
            ..Swarm::empty()
        }
    }

    #[test]
    fn completed_only_grows() {
        let known = Known::new(&Owned {
            infohash: vec![0; 20],
            torrent_id: TorrentId(7),
            completed: 40,
            sibling: None,
        });
        let known = known.after(&swarm(3, 2), 1);
        assert_eq!((known.completed, known.reported), (42, 2));
        let known = known.after(&swarm(3, 5), 2);
        assert_eq!(known.completed, 45);
        // The tracker restarted, and one completed since.
        let known = known.after(&swarm(1, 1), 3);
        assert_eq!((known.completed, known.reported), (46, 1));
        // Nobody is there any more.
        let known = known.after(&Swarm::empty(), 4);
        assert_eq!(known.completed, 46);
        assert!(known.is_empty());
        assert_eq!(known.after(&swarm(1, 1), 5).completed, 47);
    }

    #[test]
    fn parts_shrink_where_writing_is_slow() {
        assert_eq!(next_part(PART, Duration::from_millis(100)), PART / 4);
        assert_eq!(next_part(LEAST, Duration::from_secs(1)), LEAST);
        assert_eq!(next_part(LEAST, Duration::from_millis(1)), LEAST * 4);
        assert_eq!(next_part(PART, Duration::from_millis(1)), PART);
        assert_eq!(next_part(32, Duration::from_millis(6)), 32);
    }
}
