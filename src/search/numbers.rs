//! Swarm numbers in memory, dense by torrent id, 16 bytes a torrent: they change all the time and so are not in the
//! index; sorting reads them here. Loaded at start, written by the tracker, refreshed from what other nodes store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockReadGuard};

use super::queries;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::ids::TorrentId;

const CHUNK: usize = 4_096;
/// Rows read at once.
const BATCH: i64 = 5_000;
/// Other nodes' clocks may be behind, and a transaction commits after the moment it writes down.
const OVERLAP_S: i64 = 3;
/// After so long nothing older than the latest moment comes any more: what is known is not read each second.
const SETTLED: Duration = Duration::from_secs(30);
/// Ids past this are not kept (their numbers read as unknown): 1.6 GB of memory would be needed to get there.
const MAX_ID: usize = 100_000_000;

/// The last known numbers of one swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swarm {
    pub seeders: u32,
    pub leechers: u32,
    /// Once per member and torrent.
    pub completed: u32,
    pub updated_at: Timestamp,
}

impl Swarm {
    /// Nobody seeds, and somebody waits or nobody has been seen since that moment.
    pub fn needs_seeds(&self, silent_since: Timestamp) -> bool {
        self.seeders == 0 && (self.leechers > 0 || self.updated_at < silent_since)
    }
}

/// The numbers of torrents side by side, one kind behind the other: who sorts by one kind reads no other. Each is kept
/// raised by one, 0 is unknown.
struct Chunk {
    seeders: [AtomicU32; CHUNK],
    leechers: [AtomicU32; CHUNK],
    completed: [AtomicU32; CHUNK],
    /// Seconds, until 2106.
    updated_at: [AtomicU32; CHUNK],
}

#[derive(Default)]
pub struct Numbers {
    chunks: RwLock<Vec<Option<Arc<Chunk>>>>,
}

/// Reads many without locking for each.
pub(super) struct Reader<'n>(RwLockReadGuard<'n, Vec<Option<Arc<Chunk>>>>);

impl Numbers {
    /// `None`: nobody has announced yet, and nothing is known.
    pub fn get(&self, id: TorrentId) -> Option<Swarm> {
        self.reader().get(u64::try_from(id.0).ok()?)
    }

    /// Takes newer numbers; older ones change nothing. `completed` never falls.
    pub fn set(&self, id: TorrentId, swarm: Swarm) {
        let Some(index) = usize::try_from(id.0).ok().filter(|id| *id < MAX_ID) else {
            return;
        };
        let at = raised(u32::try_from(swarm.updated_at.0.max(0)).unwrap_or(u32::MAX));
        let (chunk, place) = (self.chunk(index / CHUNK), index % CHUNK);
        // Not one step: a reader in between sees numbers a moment apart.
        chunk.completed[place].fetch_max(raised(swarm.completed), Ordering::Relaxed);
        if chunk.updated_at[place].fetch_max(at, Ordering::Relaxed) <= at {
            chunk.seeders[place].store(raised(swarm.seeders), Ordering::Relaxed);
            chunk.leechers[place].store(raised(swarm.leechers), Ordering::Relaxed);
        }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        // Recursive: a waiting writer (a new chunk) must not stop a reader that already reads.
        Reader(self.chunks.read_recursive())
    }

    fn chunk(&self, n: usize) -> Arc<Chunk> {
        if let Some(Some(chunk)) = self.chunks.read_recursive().get(n) {
            return chunk.clone();
        }
        let mut chunks = self.chunks.write();
        if chunks.len() <= n {
            chunks.resize(n + 1, None);
        }
        chunks[n]
            .get_or_insert_with(|| Arc::new(Chunk::unknown()))
            .clone()
    }
}

impl Chunk {
    const fn unknown() -> Self {
        Self {
            seeders: [const { AtomicU32::new(0) }; CHUNK],
            leechers: [const { AtomicU32::new(0) }; CHUNK],
            completed: [const { AtomicU32::new(0) }; CHUNK],
            updated_at: [const { AtomicU32::new(0) }; CHUNK],
        }
    }

    /// Those of one torrent.
    fn at(&self, place: usize) -> Option<Swarm> {
        let number = |all: &[AtomicU32; CHUNK]| lowered(all[place].load(Ordering::Relaxed));
        Some(Swarm {
            seeders: number(&self.seeders)?,
            leechers: number(&self.leechers)?,
            completed: number(&self.completed)?,
            updated_at: Timestamp(i64::from(number(&self.updated_at)?)),
        })
    }

    fn all(&self, which: Which) -> &[AtomicU32; CHUNK] {
        match which {
            Which::Seeders => &self.seeders,
            Which::Leechers => &self.leechers,
            Which::Completed => &self.completed,
        }
    }
}

/// One of a swarm's numbers.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Seeders,
    Leechers,
    Completed,
}

impl Reader<'_> {
    /// Tells `take` one number of each torrent, in the order of their ids here; `None` is unknown. Ids that lie close
    /// together are quick.
    pub fn each(&self, which: Which, ids: &[u64], mut take: impl FnMut(usize, Option<u32>)) {
        let mut at = usize::MAX;
        let mut numbers: Option<&[AtomicU32; CHUNK]> = None;
        for (n, id) in ids.iter().enumerate() {
            let index = usize::try_from(*id).unwrap_or(usize::MAX);
            if index / CHUNK != at {
                at = index / CHUNK;
                let chunk = self.0.get(at).and_then(Option::as_deref);
                numbers = chunk.map(|chunk| chunk.all(which));
            }
            let number = numbers.map_or(0, |all| all[index % CHUNK].load(Ordering::Relaxed));
            take(n, lowered(number));
        }
    }

    pub fn get(&self, id: u64) -> Option<Swarm> {
        let index = usize::try_from(id).ok()?;
        self.0.get(index / CHUNK)?.as_ref()?.at(index % CHUNK)
    }
}

fn raised(number: u32) -> u32 {
    number.saturating_add(1)
}

fn lowered(kept: u32) -> Option<u32> {
    kept.checked_sub(1)
}

/// Where reading the `swarms` table stands.
#[derive(Default)]
pub(super) struct Refresh {
    /// The latest moment that was read, and when it was first.
    seen: Option<(i64, Instant)>,
}

impl Refresh {
    /// Reads what has been stored since the last call; everything at the first.
    pub async fn run(&mut self, db: &Db, numbers: &Numbers) -> Result<(), sqlx::Error> {
        let mut from = match self.seen {
            None => (i64::MIN, i64::MAX),
            // By now every clock is past that moment: nothing is written before it any more.
            Some((at, since)) if since.elapsed() > SETTLED => (at, i64::MAX),
            Some((at, _)) => (at - OVERLAP_S, i64::MAX),
        };
        loop {
            let rows = queries::swarms_from(&mut db.read().await?, from, BATCH).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            let at = last.swarm.updated_at.0;
            if self.seen.is_none_or(|(seen, _)| seen < at) {
                self.seen = Some((at, Instant::now()));
            }
            for row in &rows {
                numbers.set(row.id, row.swarm);
                from = (row.swarm.updated_at.0, row.id.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(seeders: u32, at: i64) -> Swarm {
        Swarm {
            seeders,
            leechers: seeders + 1,
            completed: seeders + 2,
            updated_at: Timestamp(at),
        }
    }

    #[test]
    fn unknown_is_not_zero_and_older_changes_nothing() {
        let numbers = Numbers::default();
        assert_eq!(numbers.get(TorrentId(5)), None);
        numbers.set(TorrentId(5), swarm(0, 100));
        assert_eq!(numbers.get(TorrentId(5)), Some(swarm(0, 100)));
        assert_eq!(numbers.get(TorrentId(6)), None);
        numbers.set(TorrentId(5), swarm(9, 101));
        numbers.set(TorrentId(5), swarm(3, 99));
        assert_eq!(numbers.get(TorrentId(5)), Some(swarm(9, 101)));
    }

    #[test]
    fn completed_never_falls() {
        let numbers = Numbers::default();
        let completed = |completed, at| Swarm {
            completed,
            ..swarm(0, at)
        };
        numbers.set(TorrentId(5), completed(7, 100));
        numbers.set(TorrentId(5), completed(6, 100));
        numbers.set(TorrentId(5), completed(0, 101));
        assert_eq!(numbers.get(TorrentId(5)), Some(completed(7, 101)));
        // Somebody's clock was put back.
        numbers.set(TorrentId(5), completed(8, 99));
        assert_eq!(numbers.get(TorrentId(5)), Some(completed(8, 101)));
    }

    #[test]
    fn one_number_of_many_is_what_each_says() {
        let numbers = Numbers::default();
        let ids = [9_000, 3, 4, 4_095, 4_096, 1_000_000, 5, u64::MAX];
        for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 3 != 1) {
            numbers.set(TorrentId(*id as i64), swarm(n as u32, 7));
        }
        let reader = numbers.reader();
        type Of = fn(Swarm) -> u32;
        let all: [(Which, Of); 3] = [
            (Which::Seeders, |swarm| swarm.seeders),
            (Which::Leechers, |swarm| swarm.leechers),
            (Which::Completed, |swarm| swarm.completed),
        ];
        for (which, of) in all {
            let mut told = Vec::new();
            reader.each(which, &ids, |n, number| told.push((n, number)));
            let expected = ids.iter().map(|id| reader.get(*id).map(of));
            assert_eq!(told, expected.enumerate().collect::<Vec<_>>());
        }
    }

    #[test]
    fn ids_may_lie_far_apart_or_make_no_sense() {
        let numbers = Numbers::default();
        for id in [0, 4_095, 4_096, 1_000_000, 99_999_999] {
            numbers.set(TorrentId(id), swarm(7, 1));
            assert_eq!(numbers.get(TorrentId(id)), Some(swarm(7, 1)), "{id}");
        }
        for id in [-1, i64::MAX, i64::MIN] {
            numbers.set(TorrentId(id), swarm(7, 1));
            assert_eq!(numbers.get(TorrentId(id)), None, "{id}");
        }
    }
}
