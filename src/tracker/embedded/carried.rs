//! Peers that a run before this one counted, of one shard of the swarms: they stand in its numbers until clients are
//! back, and then fade. Two bytes a torrent, where ids lie close together.

use std::collections::HashMap;

use super::swarm::Size;
use crate::ids::TorrentId;

/// Torrents of the shard in one piece.
const PIECE: i64 = 256;
/// Numbers past what a byte holds are in a map of their own.
const LARGE: [u8; 2] = [u8::MAX; 2];

pub struct Carried {
    /// This shard's torrents are those whose ids leave `shard` when divided by `shards`.
    shard: i64,
    shards: i64,
    pieces: HashMap<i64, Box<[[u8; 2]; PIECE as usize]>>,
    large: HashMap<TorrentId, Size>,
    /// Nothing is carried any more; which torrents that changes is still to be told.
    faded: bool,
}

impl Carried {
    pub fn new(shard: usize, shards: usize) -> Self {
        Self {
            shard: shard as i64,
            shards: shards as i64,
            pieces: HashMap::new(),
            large: HashMap::new(),
            faded: false,
        }
    }

    pub fn get(&self, torrent: TorrentId) -> Size {
        match self.faded {
            true => Size::default(),
            false => self.held(torrent),
        }
    }

    pub fn set(&mut self, torrent: TorrentId, size: Size) {
        let bytes = small(size.seeders).zip(small(size.leechers));
        let bytes = bytes.map_or(LARGE, |(seeders, leechers)| [seeders, leechers]);
        match bytes {
            LARGE => self.large.insert(torrent, size),
            _ => self.large.remove(&torrent),
        };
        let (piece, at) = self.place(torrent);
        if bytes != [0, 0] || self.pieces.contains_key(&piece) {
            let piece = self.pieces.entry(piece);
            piece.or_insert_with(|| Box::new([[0, 0]; PIECE as usize]))[at] = bytes;
        }
    }

    /// One of the carried is here again, or is known to have left; answers whether there was one.
    pub fn take_one(&mut self, torrent: TorrentId, was_seeding: bool) -> bool {
        let mut size = self.get(torrent);
        let (first, second) = match was_seeding {
            true => (&mut size.seeders, &mut size.leechers),
            false => (&mut size.leechers, &mut size.seeders),
        };
        let one = if *first > 0 { first } else { second };
        let Some(fewer) = one.checked_sub(1) else {
            return false;
        };
        *one = fewer;
        self.set(torrent, size);
        true
    }

    pub fn fade(&mut self) {
        self.faded = true;
    }

    /// Of what has faded, at most `most` torrents that were not told yet.
    pub fn tell_faded(&mut self, most: usize) -> Vec<TorrentId> {
        let mut told = Vec::new();
        while self.faded && told.len() < most {
            let Some(&number) = self.pieces.keys().next() else {
                (self.pieces, self.large) = Default::default();
                break;
            };
            let Some(piece) = self.pieces.get_mut(&number) else {
                break;
            };
            let held = (0..PIECE).zip(piece.iter_mut());
            let held = held.filter(|(_, bytes)| **bytes != [0, 0]);
            let room = most - told.len();
            let before = told.len();
            told.extend(held.take(room).map(|(at, bytes)| {
                *bytes = [0, 0];
                TorrentId((number * PIECE + at) * self.shards + self.shard)
            }));
            if told.len() - before < room {
                self.pieces.remove(&number);
            }
        }
        told
    }

    fn held(&self, torrent: TorrentId) -> Size {
        let (piece, at) = self.place(torrent);
        match self.pieces.get(&piece).map(|piece| piece[at]) {
            None => Size::default(),
            Some(LARGE) => self.large.get(&torrent).copied().unwrap_or_default(),
            Some([seeders, leechers]) => Size {
                seeders: seeders.into(),
                leechers: leechers.into(),
            },
        }
    }

    fn place(&self, torrent: TorrentId) -> (i64, usize) {
        let in_shard = torrent.0.div_euclid(self.shards);
        let at = in_shard.rem_euclid(PIECE);
        (in_shard.div_euclid(PIECE), at as usize)
    }
}

fn small(n: u32) -> Option<u8> {
    u8::try_from(n).ok().filter(|n| *n < u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const fn size(seeders: u32, leechers: u32) -> Size {
        Size { seeders, leechers }
    }

    #[test]
    fn small_and_large_numbers_near_and_far() {
        let ids = [0, 1, 63, 64, 20_000, 1_000_000, i64::MAX, -7];
        let sizes = [size(1, 0), size(254, 254), size(255, 0), size(3, 4_000_000)];
        for (id, shard) in ids.map(|id: i64| (id, id.rem_euclid(64))) {
            let mut carried = Carried::new(shard as usize, 64);
            for size in sizes.into_iter().chain([Size::default()]).cycle().take(12) {
                carried.set(TorrentId(id), size);
                assert_eq!(carried.get(TorrentId(id)), size, "{id}");
            }
            assert_eq!(carried.get(TorrentId(id ^ 64)), Size::default());
        }
    }

    #[test]
    fn one_by_one_until_nobody_is_left() {
        let (mut carried, one) = (Carried::new(1, 64), TorrentId(65));
        carried.set(one, size(256, 1));
        assert!(carried.take_one(one, true) && carried.take_one(one, true));
        assert_eq!(carried.get(one), size(254, 1));
        assert!(carried.take_one(one, false) && carried.take_one(one, false));
        assert_eq!(carried.get(one), size(253, 0), "there was no other leecher");
        carried.set(one, Size::default());
        assert!(!carried.take_one(one, true));
    }

    #[test]
    fn what_faded_is_told_once() {
        let mut carried = Carried::new(5, 64);
        let ids = (0..2_000).map(|n| TorrentId(n * 64 * 3 + 5));
        let mut held: BTreeMap<TorrentId, Size> = ids.map(|id| (id, size(1, 300))).collect();
        for (id, size) in &held {
            carried.set(*id, *size);
        }
        assert!(carried.tell_faded(10).is_empty(), "nothing has faded");
        carried.fade();
        assert_eq!(carried.get(TorrentId(5)), Size::default());
        loop {
            let told = carried.tell_faded(300);
            assert!(told.len() == 300 || held.len() < 300);
            if told.is_empty() {
                break;
            }
            for id in told {
                assert!(held.remove(&id).is_some(), "{id}");
            }
        }
        assert!(held.is_empty() && carried.pieces.is_empty() && carried.large.is_empty());
    }
}
