//! Sets of torrents as bits: ids lie close together, and a set may hold most of the catalogue. In the order of ids, so
//! that what is taken out together lies together in the tables.

use std::collections::BTreeMap;

use crate::ids::TorrentId;

const WORDS: usize = 8;
const PIECE: i64 = 64 * WORDS as i64;

/// An eighth of a byte for each id in reach, 80 bytes for one far from all others.
#[derive(Default)]
pub struct IdSet {
    /// No piece is empty.
    pieces: BTreeMap<i64, [u64; WORDS]>,
}

impl IdSet {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn contains(&self, id: TorrentId) -> bool {
        let (piece, word, bit) = place(id);
        let piece = self.pieces.get(&piece);
        piece.is_some_and(|words| words[word] & bit != 0)
    }

    pub fn insert(&mut self, id: TorrentId) {
        let (piece, word, bit) = place(id);
        self.pieces.entry(piece).or_default()[word] |= bit;
    }

    /// Moves everything out of `other` into this one.
    pub fn append(&mut self, other: &mut Self) {
        for (piece, words) in std::mem::take(&mut other.pieces) {
            let own = self.pieces.entry(piece).or_default();
            for (own, more) in own.iter_mut().zip(words) {
                *own |= more;
            }
        }
    }

    pub fn clear(&mut self) {
        self.pieces.clear();
    }

    /// Takes out at most `most`, the lowest first.
    pub fn take(&mut self, most: usize) -> Vec<TorrentId> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(mut piece) = self.pieces.first_entry()
        {
            let first = piece.key() * PIECE;
            for (word, n) in piece.get_mut().iter_mut().zip(0i64..) {
                while *word != 0 && taken.len() < most {
                    taken.push(TorrentId(first + n * 64 + i64::from(word.trailing_zeros())));
                    *word &= *word - 1;
                }
            }
            if *piece.get() == [0; WORDS] {
                piece.remove();
            }
        }
        taken
    }
}

fn place(id: TorrentId) -> (i64, usize, u64) {
    let at = id.0.rem_euclid(PIECE);
    (id.0.div_euclid(PIECE), (at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = TorrentId> {
        prop_oneof![-600i64..2_000, Just(i64::MAX), Just(i64::MIN)].prop_map(TorrentId)
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            one in prop::collection::vec(id(), 0..300),
            two in prop::collection::vec(id(), 0..300),
            parts in prop::collection::vec(0usize..40, 0..20),
        ) {
            let (mut set, mut other) = (IdSet::default(), IdSet::default());
            one.iter().for_each(|id| set.insert(*id));
            two.iter().for_each(|id| other.insert(*id));
            set.append(&mut other);
            prop_assert!(other.is_empty());
            let mut model: BTreeSet<TorrentId> = one.into_iter().chain(two).collect();
            for most in parts.into_iter().chain([usize::MAX]) {
                prop_assert!(model.iter().all(|id| set.contains(*id)));
                let taken = set.take(most);
                let expected: Vec<TorrentId> = model.iter().copied().take(most).collect();
                prop_assert_eq!(&taken, &expected);
                for id in taken {
                    model.remove(&id);
                    prop_assert!(!set.contains(id));
                }
            }
            prop_assert!(set.is_empty());
        }
    }
}
