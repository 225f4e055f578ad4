//! The numbers of every swarm on their way into the tables: current ones when they changed, and a sample for the
//! past at most once in a quarter of an hour. Losing this memory loses nothing but the last samples.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use super::queries::{self, NewNumbers, StoredNumbers};
use super::swarm::{Counts, Swarms};
use crate::clock::Timestamp;
use crate::db::Db;
use crate::ids::TorrentId;
use crate::tracker::history::{self, Sample};

/// Torrents in one transaction.
const PART: usize = 300;
const LOAD: i64 = 5_000;

#[derive(Default)]
pub struct NumbersBook {
    known: Mutex<HashMap<TorrentId, Written>>,
    samples: Mutex<Samples>,
}

/// What stands in `swarms`: 24 bytes a torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    seeders: u32,
    leechers: u32,
    completed: i64,
}

#[derive(Default)]
struct Samples {
    quarter: i64,
    /// Torrents to sample now.
    due: HashSet<TorrentId>,
    /// Torrents that have a sample of this quarter.
    done: HashSet<TorrentId>,
    /// Those of them whose numbers changed since: their turn is the next quarter.
    later: HashSet<TorrentId>,
}

impl NumbersBook {
    /// Reads what an earlier run wrote, and lets the swarms carry it until clients are back.
    pub async fn load(&self, db: &Db, swarms: &Swarms) -> anyhow::Result<()> {
        let mut conn = db.read().await?;
        let mut id = TorrentId(0);
        while let Some((last, rows)) = queries::numbers_by_id(&mut conn, id, LOAD).await? {
            id = last;
            let mut known = self.known.lock();
            for row in rows {
                if row.seeders > 0 || row.leechers > 0 {
                    swarms.carry(row.torrent, row.seeders, row.leechers);
                }
                known.insert(row.torrent, Written::of(row));
            }
        }
        Ok(())
    }

    pub fn completed(&self, torrent: TorrentId) -> i64 {
        self.known.lock().get(&torrent).map_or(0, |w| w.completed)
    }

    /// Notes rows that were written together with `completed` counts.
    pub fn wrote(&self, rows: &[NewNumbers]) {
        let mut known = self.known.lock();
        let mut samples = self.samples.lock();
        for row in rows {
            let written = known.entry(row.torrent).or_default();
            written.completed += row.completed;
            (written.seeders, written.leechers) = (row.seeders, row.leechers);
            samples.note(row.torrent);
        }
    }

    /// Writes the numbers that changed, at most [`PART`]; answers whether there may be more.
    pub async fn flush(
        &self,
        db: &Db,
        swarms: &Swarms,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let taken = swarms.take_changed(PART);
        let changed: Vec<NewNumbers> = {
            let known = self.known.lock();
            let differs = |torrent: &TorrentId, counts: &Counts| {
                known
                    .get(torrent)
                    .is_none_or(|w| (w.seeders, w.leechers) != (counts.seeders, counts.leechers))
            };
            taken
                .iter()
                .filter(|(torrent, counts)| differs(torrent, counts))
                .map(|&(torrent, counts)| NewNumbers {
                    torrent,
                    seeders: counts.seeders,
                    leechers: counts.leechers,
                    completed: 0,
                })
                .collect()
        };
        if !changed.is_empty() {
            if let Err(error) = write(db, &changed, now).await {
                swarms.mark_changed(changed.iter().map(|row| row.torrent));
                return Err(error);
            }
            self.wrote(&changed);
        }
        Ok(taken.len() >= PART)
    }

    /// Writes samples that are due, at most [`PART`]; answers whether there are more.
    pub async fn sample(&self, db: &Db, now: Timestamp) -> Result<bool, sqlx::Error> {
        let part = self.samples.lock().take(now);
        if part.is_empty() {
            return Ok(false);
        }
        let result = self.write_samples(db, &part, now).await;
        let mut samples = self.samples.lock();
        match result {
            Ok(()) => samples.done.extend(part),
            Err(error) => {
                samples.due.extend(part);
                return Err(error);
            }
        }
        Ok(!samples.due.is_empty())
    }

    /// Lets the next [`Self::sample`] write what else waits for its quarter: this run ends.
    pub fn sample_everything(&self) {
        let mut samples = self.samples.lock();
        let Samples { due, later, .. } = &mut *samples;
        due.extend(later.drain());
    }

    async fn write_samples(
        &self,
        db: &Db,
        part: &[TorrentId],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let day = history::day_of(now);
        let mut tx = db.write().await?;
        let stored = queries::samples_of(&mut tx, day, part).await?;
        let stored: HashMap<TorrentId, Vec<u8>> = stored.into_iter().collect();
        let rows: Vec<(TorrentId, Vec<u8>)> = {
            let known = self.known.lock();
            part.iter()
                .map(|torrent| {
                    let written = known.get(torrent).copied().unwrap_or_default();
                    let sample = Sample {
                        at: now,
                        seeders: written.seeders,
                        leechers: written.leechers,
                    };
                    let packed = stored.get(torrent).map_or(&[][..], Vec::as_slice);
                    (*torrent, history::put(packed, &sample))
                })
                .collect()
        };
        queries::save_samples(&mut tx, day, &rows).await?;
        tx.commit().await
    }
}

async fn write(db: &Db, rows: &[NewNumbers], now: Timestamp) -> Result<(), sqlx::Error> {
    let mut tx = db.write().await?;
    queries::save_numbers(&mut tx, rows, now).await?;
    tx.commit().await
}

impl Written {
    fn of(row: StoredNumbers) -> Self {
        Self {
            seeders: row.seeders,
            leechers: row.leechers,
            completed: row.completed,
        }
    }
}

impl Samples {
    fn note(&mut self, torrent: TorrentId) {
        if self.done.contains(&torrent) {
            self.later.insert(torrent);
        } else {
            self.due.insert(torrent);
        }
    }

    fn take(&mut self, now: Timestamp) -> Vec<TorrentId> {
        let quarter = history::quarter_of(now);
        if quarter != self.quarter {
            self.quarter = quarter;
            self.done.clear();
            self.due.extend(self.later.drain());
        }
        let part: Vec<TorrentId> = self.due.iter().copied().take(PART).collect();
        for torrent in &part {
            self.due.remove(torrent);
        }
        part
    }
}
