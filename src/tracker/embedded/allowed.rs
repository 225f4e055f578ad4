//! Which infohash belongs to which torrent, packed: about 28 bytes a hash, where a hash map takes 40 to 80. Sorted
//! pieces of a few hundred hashes, one for each way in which a hash can begin, so that an insertion moves a part of one
//! piece. Hashes are as good as random, so each lies near where its value says, and a look-up takes as long as in a map.
//! All 20 bytes are compared, and steps double: who chooses hashes makes a piece long, never wrong, and costs a few steps.

use std::collections::HashMap;

use super::request::ShortHash;
use super::swarm::Side;
use crate::ids::TorrentId;

/// One for each value of a hash's first twelve bits.
const PIECES: usize = 1 << 12;
/// What a piece keeps of a hash: all but its first byte.
const REST: usize = 19;
/// Ids below this fit into an entry, beside two bits.
const NEAR: u32 = 1 << 30;
const V2: u32 = 1 << 30;
const DELETED: u32 = 1 << 31;

/// What a hash stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub torrent: TorrentId,
    pub side: Side,
    pub deleted: bool,
}

pub struct AllowList {
    pieces: Vec<Vec<Entry>>,
    /// Torrents whose ids fit into no entry.
    far: HashMap<ShortHash, Allowed>,
    len: usize,
}

/// The rest of a hash, and an [`Allowed`] in 32 bits.
type Entry = [u8; REST + 4];

impl Default for AllowList {
    fn default() -> Self {
        Self {
            pieces: vec![Vec::new(); PIECES],
            far: HashMap::new(),
            len: 0,
        }
    }
}

impl AllowList {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, hash: &ShortHash) -> Option<Allowed> {
        let piece = &self.pieces[piece_of(hash)];
        match find(piece, hash) {
            Ok(at) => Some(unpack(&piece[at])),
            // Nearly always empty.
            Err(_) if self.far.is_empty() => None,
            Err(_) => self.far.get(hash).copied(),
        }
    }

    /// Takes the place of what the hash stood for.
    pub fn insert(&mut self, hash: &ShortHash, allowed: Allowed) {
        let piece = &mut self.pieces[piece_of(hash)];
        let replaced = match (find(piece, hash), pack(hash, allowed)) {
            (Ok(at), Some(entry)) => {
                piece[at] = entry;
                true
            }
            (Err(at), Some(entry)) => {
                if piece.len() == piece.capacity() {
                    // Doubling would leave a third of all memory unused.
                    piece.reserve_exact((piece.len() / 8).max(4));
                }
                piece.insert(at, entry);
                self.far.remove(hash).is_some()
            }
            (found, None) => {
                if let Ok(at) = found {
                    piece.remove(at);
                }
                self.far.insert(*hash, allowed).is_some() || found.is_ok()
            }
        };
        self.len += usize::from(!replaced);
    }
}

fn piece_of(hash: &ShortHash) -> usize {
    (usize::from(hash[0]) << 4) | usize::from(hash[1] >> 4)
}

/// Where the hash is, or belongs.
fn find(piece: &[Entry], hash: &ShortHash) -> Result<usize, usize> {
    let wanted = head(&hash[1..]);
    let compare = |at: usize| {
        let entry = &piece[at];
        let order = head(entry).cmp(&wanted);
        order.then_with(|| entry[8..REST].cmp(&hash[9..]))
    };
    let is_below = |at: usize| compare(at).is_lt();
    // The 32 bits after those that chose the piece, as a part of its length.
    let part = u128::from((wanted << 4) >> 32);
    let guess = ((part * piece.len() as u128) >> 32) as usize;
    let (mut low, mut high, mut step) = (0, piece.len(), 4);
    if guess < high && is_below(guess) {
        low = guess + 1;
        while low + step < high {
            if is_below(low + step) {
                low += step + 1;
                step *= 2;
            } else {
                high = low + step;
            }
        }
    } else {
        high = guess;
        while low + step < high {
            if is_below(high - step) {
                low = high - step + 1;
            } else {
                high -= step;
                step *= 2;
            }
        }
    }
    while low < high {
        let middle = low.midpoint(high);
        match is_below(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    match low < piece.len() && compare(low).is_eq() {
        true => Ok(low),
        false => Err(low),
    }
}

/// The first eight bytes, to compare at once.
fn head(bytes: &[u8]) -> u64 {
    let (head, _) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*head)
}

/// `None` where the id does not fit.
fn pack(hash: &ShortHash, allowed: Allowed) -> Option<Entry> {
    let id = u32::try_from(allowed.torrent.0).ok()?;
    if id >= NEAR {
        return None;
    }
    let side = match allowed.side {
        Side::V1 => 0,
        Side::V2 => V2,
    };
    let deleted = if allowed.deleted { DELETED } else { 0 };
    let mut entry = [0; REST + 4];
    entry[..REST].copy_from_slice(&hash[1..]);
    entry[REST..].copy_from_slice(&(id | side | deleted).to_le_bytes());
    Some(entry)
}

fn unpack(entry: &Entry) -> Allowed {
    let [.., a, b, c, d] = *entry;
    let word = u32::from_le_bytes([a, b, c, d]);
    Allowed {
        torrent: TorrentId(i64::from(word & (NEAR - 1))),
        side: if word & V2 == 0 { Side::V1 } else { Side::V2 },
        deleted: word & DELETED != 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tracker::embedded::held;

    /// Hashes of which many begin alike, in part or but for the last byte.
    fn hash() -> impl Strategy<Value = ShortHash> {
        let (begin, end) = (prop::sample::select(vec![0u8, 1, 0x7f, 0xff]), 0u8..8);
        (begin, 0u8..40, prop::bool::ANY, end).prop_map(|(first, second, fill, last)| {
            let mut hash = [if fill { 0xff } else { 0 }; 20];
            (hash[0], hash[1], hash[19]) = (first, second, last);
            hash
        })
    }

    fn allowed() -> impl Strategy<Value = Allowed> {
        let border = i64::from(NEAR);
        let ids = [0, 1, 1_000_000, border - 1, border, i64::MAX, -1];
        let ids = prop::sample::select(ids.to_vec());
        (ids, prop::bool::ANY, prop::bool::ANY).prop_map(|(id, v2, deleted)| Allowed {
            torrent: TorrentId(id),
            side: if v2 { Side::V2 } else { Side::V1 },
            deleted,
        })
    }

    proptest! {
        #[test]
        fn it_answers_as_a_map_does(steps in prop::collection::vec((hash(), allowed()), 0..1_500), other in hash()) {
            let (mut list, mut map) = (AllowList::default(), HashMap::new());
            for (hash, allowed) in steps {
                prop_assert_eq!(list.get(&hash), map.get(&hash).copied());
                list.insert(&hash, allowed);
                map.insert(hash, allowed);
                prop_assert_eq!(list.get(&hash), Some(allowed));
                prop_assert_eq!(list.len(), map.len());
            }
            for (hash, allowed) in &map {
                prop_assert_eq!(list.get(hash), Some(*allowed));
            }
            prop_assert_eq!(list.get(&other), map.get(&other).copied());
        }
    }

    #[test]
    fn a_hash_takes_what_the_head_of_the_module_says() {
        let hashes: Vec<ShortHash> = (0..500_000).map(|_| rand::random()).collect();
        let allowed = |at: usize| Allowed {
            torrent: TorrentId(at as i64),
            side: Side::V1,
            deleted: false,
        };
        let empty = held::bytes();
        let mut list = AllowList::default();
        for (at, hash) in hashes.iter().enumerate() {
            list.insert(hash, allowed(at));
        }
        let bytes = (held::bytes() - empty) as f64 / hashes.len() as f64;
        let begun = std::time::Instant::now();
        for (at, hash) in hashes.iter().enumerate() {
            assert_eq!(list.get(hash), Some(allowed(at)));
        }
        let took = begun.elapsed() / hashes.len() as u32;
        println!("{bytes:.1} bytes a hash, {took:?} a look-up");
        assert_eq!(list.len(), hashes.len());
        assert!(bytes <= 28.0);
    }
}
