//! Swarm numbers in memory, dense by torrent id, 16 bytes a torrent: they change all the time and so are not in the
//! index; sorting reads them here. Loaded at start, written by the tracker, refreshed from what other nodes store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Two words a torrent: seeders and leechers; completed and the time (0: unknown).
type Chunk = [[AtomicU64; 2]; CHUNK];

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
        // 1 at least, because 0 says unknown; seconds fit until 2106.
        let at = u32::try_from(swarm.updated_at.0.max(1)).unwrap_or(u32::MAX);
        let chunk = self.chunk(index / CHUNK);
        let [first, second] = &chunk[index % CHUNK];
        // Two words, not one step: a reader in between sees numbers a moment apart.
        let taken = second.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let completed = high(old).max(swarm.completed);
            Some(pack(completed, low(old).max(at))).filter(|new| low(old) <= at || *new != old)
        });
        if taken.is_ok_and(|old| low(old) <= at) {
            first.store(pack(swarm.seeders, swarm.leechers), Ordering::Relaxed);
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
            .get_or_insert_with(|| Arc::new([const { [const { AtomicU64::new(0) }; 2] }; CHUNK]))
            .clone()
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
    pub fn each(&self, which: Which, ids: &[u64], take: impl FnMut(usize, Option<u32>)) {
        // Chosen once for all of them.
        match which {
            Which::Seeders => self.each_by(|first, _| high(first), ids, take),
            Which::Leechers => self.each_by(|first, _| low(first), ids, take),
            Which::Completed => self.each_by(|_, second| high(second), ids, take),
        }
    }

    fn each_by(
        &self,
        number: impl Fn(u64, u64) -> u32,
        ids: &[u64],
        mut take: impl FnMut(usize, Option<u32>),
    ) {
        let number = |[first, second]: &[AtomicU64; 2]| {
            let first = first.load(Ordering::Relaxed);
            let second = second.load(Ordering::Relaxed);
            (low(second) != 0).then(|| number(first, second))
        };
        let mut at = usize::MAX;
        let mut chunk: Option<&Chunk> = None;
        for (n, id) in ids.iter().enumerate() {
            let index = usize::try_from(*id).unwrap_or(usize::MAX);
            if index / CHUNK != at {
                at = index / CHUNK;
                chunk = self.0.get(at).and_then(Option::as_deref);
            }
            take(n, chunk.and_then(|chunk| number(&chunk[index % CHUNK])));
        }
    }

    pub fn get(&self, id: u64) -> Option<Swarm> {
        let index = usize::try_from(id).ok()?;
        let chunk = self.0.get(index / CHUNK)?.as_ref()?;
        let [first, second] = &chunk[index % CHUNK];
        let (first, second) = (
            first.load(Ordering::Relaxed),
            second.load(Ordering::Relaxed),
        );
        (low(second) != 0).then(|| Swarm {
            seeders: high(first),
            leechers: low(first),
            completed: high(second),
            updated_at: Timestamp(i64::from(low(second))),
        })
    }
}

fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

fn low(word: u64) -> u32 {
    word as u32
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
