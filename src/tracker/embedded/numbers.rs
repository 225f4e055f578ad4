//! The numbers of every swarm on their way into the tables: current ones when they changed, and a sample for the
//! past at most once in a quarter of an hour. Losing this memory loses nothing but the last samples. What is stored is
//! not remembered here, but where listings look it up (`search::Numbers`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::id_set::IdSet;
use super::queries::{self, NewNumbers, StoredNumbers};
use super::swarm::{Changed, Size, Swarms};
use crate::clock::Timestamp;
use crate::db::Db;
use crate::ids::TorrentId;
use crate::search::{Numbers, Swarm};
use crate::tracker::history::{self, Sample};

/// Torrents in one transaction.
const PART: usize = 300;
const LOAD: i64 = 5_000;

pub struct NumbersBook {
    /// As far as they are stored.
    shown: Arc<Numbers>,
    samples: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    quarter: i64,
    /// Torrents to sample now.
    due: IdSet,
    /// Torrents that have a sample of this quarter.
    done: IdSet,
    /// Those of them whose numbers changed since: their turn is the next quarter.
    later: IdSet,
}

impl NumbersBook {
    pub fn new(shown: Arc<Numbers>) -> Self {
        Self {
            shown,
            samples: Mutex::default(),
        }
    }

    /// Reads what an earlier run wrote, and lets the swarms carry it until clients are back.
    pub async fn load(&self, db: &Db, swarms: &Swarms) -> anyhow::Result<()> {
        let mut conn = db.read().await?;
        let mut id = TorrentId(0);
        while let Some((last, rows)) = queries::numbers_by_id(&mut conn, id, LOAD).await? {
            id = last;
            for row in rows {
                if row.size != Size::default() {
                    swarms.carry(row.torrent, row.size);
                }
                self.show(&row);
            }
        }
        Ok(())
    }

    pub fn completed(&self, torrent: TorrentId) -> i64 {
        self.shown
            .get(torrent)
            .map_or(0, |swarm| swarm.completed.into())
    }

    /// Notes rows that were written.
    pub fn wrote(&self, rows: &[StoredNumbers]) {
        let mut samples = self.samples.lock();
        for row in rows {
            self.show(row);
            samples.note(row.torrent);
        }
    }

    fn show(&self, row: &StoredNumbers) {
        let swarm = Swarm {
            seeders: row.size.seeders,
            leechers: row.size.leechers,
            completed: u32::try_from(row.completed.max(0)).unwrap_or(u32::MAX),
            updated_at: row.updated_at,
        };
        self.shown.set(row.torrent, swarm);
    }

    /// Writes the numbers that changed, at most [`PART`]; answers whether there may be more.
    pub async fn flush(
        &self,
        db: &Db,
        swarms: &Swarms,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let taken = swarms.take_changed(PART);
        let changed: Vec<NewNumbers> = taken
            .iter()
            .filter(|changed| !self.is_stored(changed))
            .map(|changed| NewNumbers {
                torrent: changed.torrent,
                size: changed.size,
                completed: 0,
            })
            .collect();
        if !changed.is_empty() {
            if let Err(error) = write(db, &changed, now).await {
                swarms.mark_changed(changed.iter().map(|row| row.torrent));
                return Err(error);
            }
            let written = |row: &NewNumbers| StoredNumbers {
                torrent: row.torrent,
                size: row.size,
                // What is shown of that never falls.
                completed: row.completed,
                updated_at: now,
            };
            self.wrote(&changed.iter().map(written).collect::<Vec<_>>());
        }
        Ok(taken.len() >= PART)
    }

    /// Whether what changed has changed back. What is shown may be a moment behind what is stored, and swarms do not
    /// know of every row: only where both agree nothing is written.
    fn is_stored(&self, changed: &Changed) -> bool {
        let size = changed.size;
        let shown = self.shown.get(changed.torrent);
        changed.was == Some(size)
            && shown.is_some_and(|s| (s.seeders, s.leechers) == (size.seeders, size.leechers))
    }

    /// Writes samples that are due, at most [`PART`]; answers whether there are more.
    pub async fn sample(
        &self,
        db: &Db,
        swarms: &Swarms,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let part = self.samples.lock().take(now);
        if part.is_empty() {
            return Ok(false);
        }
        let result = self.write_samples(db, swarms, &part, now).await;
        let mut samples = self.samples.lock();
        match result {
            Ok(()) => part.into_iter().for_each(|id| samples.done.insert(id)),
            Err(error) => {
                part.into_iter().for_each(|id| samples.due.insert(id));
                return Err(error);
            }
        }
        Ok(!samples.due.is_empty())
    }

    /// Lets the next [`Self::sample`] write what else waits for its quarter: this run ends.
    pub fn sample_everything(&self) {
        let mut samples = self.samples.lock();
        let Samples { due, later, .. } = &mut *samples;
        due.append(later);
    }

    async fn write_samples(
        &self,
        db: &Db,
        swarms: &Swarms,
        part: &[TorrentId],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let day = history::day_of(now);
        let mut tx = db.write().await?;
        let stored = queries::samples_of(&mut tx, day, part).await?;
        let stored: HashMap<TorrentId, Vec<u8>> = stored.into_iter().collect();
        let packed = |torrent: &TorrentId| {
            let counts = swarms.counts(*torrent).unwrap_or_default();
            let sample = Sample {
                at: now,
                seeders: counts.seeders,
                leechers: counts.leechers,
            };
            let packed = stored.get(torrent).map_or(&[][..], Vec::as_slice);
            (*torrent, history::put(packed, &sample))
        };
        let rows: Vec<(TorrentId, Vec<u8>)> = part.iter().map(packed).collect();
        queries::save_samples(&mut tx, day, &rows).await?;
        tx.commit().await
    }
}

async fn write(db: &Db, rows: &[NewNumbers], now: Timestamp) -> Result<(), sqlx::Error> {
    let mut tx = db.write().await?;
    queries::save_numbers(&mut tx, rows, now).await?;
    tx.commit().await
}

impl Samples {
    fn note(&mut self, torrent: TorrentId) {
        if self.done.contains(torrent) {
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
            self.due.append(&mut self.later);
        }
        self.due.take(PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;
    use crate::tracker::embedded::announce::tests::{member, torrent};
    use crate::tracker::embedded::holdings::Most;
    use crate::tracker::embedded::request::Event;
    use crate::tracker::embedded::swarm::{Bounds, Owner, Side, Visit};
    use crate::tracker::{self, queries as stored};

    const NOW: Timestamp = Timestamp(1_700_000_000);
    const ONE: TorrentId = TorrentId(1);

    struct Run {
        db: Db,
        swarms: Swarms,
        book: NumbersBook,
    }

    impl Run {
        async fn begin(db: &Db) -> Self {
            let most = Most {
                torrents: 100,
                peers: 100,
            };
            let run = Self {
                db: db.clone(),
                swarms: Swarms::new(Bounds {
                    lifetime_s: 60,
                    total_peers: 100,
                    of_member: most,
                }),
                book: NumbersBook::new(Arc::default()),
            };
            run.book.load(db, &run.swarms).await.unwrap();
            run
        }

        fn announce(&self, member: u8, event: Event) {
            let visit = Visit {
                torrent: ONE,
                side: Side::V1,
                owner: Owner::Member(UserId(member.into())),
                peer_id: [member; 20],
                address: "10.0.0.1:7000".parse().unwrap(),
                seeding: true,
                event,
                numwant: 0,
                only: None,
                at: NOW,
            };
            self.swarms.announce(&visit).unwrap();
        }

        /// Seeders, and the seconds since [`NOW`] of when they were written.
        async fn flush(&self, second: i64) -> Option<(i64, i64)> {
            let now = NOW.plus(second);
            while self.book.flush(&self.db, &self.swarms, now).await.unwrap() {}
            let mut conn = self.db.read().await.unwrap();
            let found: Option<tracker::Numbers> = stored::numbers_of(&mut conn, ONE).await.unwrap();
            found.map(|n| (n.seeders, n.updated_at.since(NOW)))
        }
    }

    async fn database() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("a.db").display());
        let db = Db::open(&url, 2).await.unwrap();
        db.migrate().await.unwrap();
        let ann = member(&db, "ann", &"a".repeat(32)).await;
        torrent(&db, ann).await;
        (folder, db)
    }

    #[tokio::test]
    async fn what_changed_back_is_not_written_again() {
        let (_folder, db) = database().await;
        let run = Run::begin(&db).await;
        assert_eq!(run.flush(0).await, None);
        // Somebody came and went: that the swarm is empty is known from now on.
        run.announce(1, Event::Started);
        run.announce(1, Event::Stopped);
        assert_eq!(run.flush(1).await, Some((0, 1)));
        run.announce(1, Event::Started);
        assert_eq!(run.flush(2).await, Some((1, 2)));
        run.announce(2, Event::Started);
        run.announce(2, Event::Stopped);
        assert_eq!(run.flush(3).await, Some((1, 2)));
        // Where it is not sure what is stored, it is.
        run.swarms.mark_changed(std::iter::once(ONE));
        assert_eq!(run.flush(4).await, Some((1, 4)));
        run.swarms.mark_changed(std::iter::once(ONE));
        run.swarms
            .stored(ONE, run.swarms.counts(ONE).unwrap().size());
        assert_eq!(run.flush(5).await, Some((1, 4)));
    }

    #[tokio::test]
    async fn what_an_earlier_run_wrote_stands_until_it_is_forgotten() {
        let (_folder, db) = database().await;
        let run = Run::begin(&db).await;
        (1..=3).for_each(|member| run.announce(member, Event::Started));
        assert_eq!(run.flush(0).await, Some((3, 0)));
        let next = Run::begin(&db).await;
        assert_eq!(next.book.shown.get(ONE).unwrap().seeders, 3);
        next.announce(1, Event::Regular);
        next.swarms.returned(ONE, true);
        assert_eq!(next.flush(1).await, Some((3, 0)));
        next.swarms.forget_carried();
        assert_eq!(next.swarms.counts(ONE).unwrap().seeders, 1);
        assert_eq!(next.flush(2).await, Some((1, 2)));
        assert_eq!(next.book.shown.get(ONE).unwrap().seeders, 1);
        assert_eq!(next.flush(3).await, Some((1, 2)));
    }

    #[tokio::test]
    async fn a_torrent_is_sampled_once_a_quarter() {
        let (_folder, db) = database().await;
        let run = Run::begin(&db).await;
        run.announce(1, Event::Started);
        run.flush(0).await;
        let quarter = NOW.plus(900 - NOW.0 % 900);
        let sample = async |at| run.book.sample(&db, &run.swarms, at).await.unwrap();
        sample(quarter).await;
        run.announce(2, Event::Started);
        run.flush(1).await;
        let samples = || run.book.samples.lock();
        assert!(samples().due.is_empty() && !samples().later.is_empty());
        sample(quarter.plus(899)).await;
        assert!(!samples().later.is_empty(), "its turn is the next quarter");
        sample(quarter.plus(900)).await;
        assert!(samples().due.is_empty() && samples().later.is_empty());
    }
}
