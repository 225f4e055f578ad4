//! A set of a segment's documents, a bit each. A million of them are 125 kB: joining two sets takes microseconds and
//! looking one up a nanosecond, where lists of a common word's documents have to be walked side by side.

use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId};

const WORD: u32 = u64::BITS;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Beyond the last document there are only zeros.
    words: Vec<u64>,
}

impl Bits {
    pub fn none(documents: u32) -> Self {
        Self {
            words: vec![0; documents.div_ceil(WORD) as usize],
        }
    }

    pub fn all(documents: u32) -> Self {
        let mut words = vec![u64::MAX; documents.div_ceil(WORD) as usize];
        if let (Some(last), rest @ 1..) = (words.last_mut(), documents % WORD) {
            *last = (1 << rest) - 1;
        }
        Self { words }
    }

    /// Documents beyond the segment's are not taken.
    pub fn insert(&mut self, doc: DocId) {
        if let Some(word) = self.words.get_mut((doc / WORD) as usize) {
            *word |= 1 << (doc % WORD);
        }
    }

    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub fn keep(&mut self, others: &Self) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word &= other;
        }
    }

    pub fn add(&mut self, others: &Self) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word |= other;
        }
    }

    pub fn remove(&mut self, others: &Self) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word &= !other;
        }
    }

    /// Keeps those of which `so` says yes.
    pub fn retain(&mut self, so: impl Fn(DocId) -> bool) {
        for (n, word) in (0..).zip(&mut self.words) {
            for doc in Ones(*word) {
                if !so(n * WORD + doc) {
                    *word &= !(1 << doc);
                }
            }
        }
    }

    /// In rising order.
    pub fn iter(&self) -> impl Iterator<Item = DocId> {
        (0..)
            .zip(&self.words)
            .flat_map(|(n, word)| Ones(*word).map(move |doc| n * WORD + doc))
    }

    /// Hands out all of them, block by block: each block in rising order, the blocks in falling order if `backwards`.
    pub fn in_blocks(&self, backwards: bool, mut take: impl FnMut(&[DocId])) {
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        // Filled from its end towards its beginning where the later come first.
        let empty = match backwards {
            true => COLLECT_BLOCK_BUFFER_LEN..COLLECT_BLOCK_BUFFER_LEN,
            false => 0..0,
        };
        let mut filled = empty.clone();
        let words = self.words.len();
        for step in 0..words {
            let n = if backwards { words - 1 - step } else { step };
            let word = self.words[n];
            let more = word.count_ones() as usize;
            if filled.len() + more > COLLECT_BLOCK_BUFFER_LEN {
                take(&block[filled]);
                filled = empty.clone();
            }
            let at = match backwards {
                true => filled.start - more,
                false => filled.end,
            };
            filled = filled.start.min(at)..filled.end.max(at + more);
            for (place, doc) in block[at..at + more].iter_mut().zip(Ones(word)) {
                *place = n as u32 * WORD + doc;
            }
        }
        if !filled.is_empty() {
            take(&block[filled]);
        }
    }
}

/// The places of a word's ones.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let at = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const DOCUMENTS: u32 = 700;

    fn bits(docs: &BTreeSet<DocId>) -> Bits {
        let mut bits = Bits::none(DOCUMENTS);
        docs.iter().for_each(|doc| bits.insert(*doc));
        bits
    }

    fn docs(bits: &Bits) -> BTreeSet<DocId> {
        bits.iter().collect()
    }

    fn some() -> impl Strategy<Value = BTreeSet<DocId>> {
        prop_oneof![
            prop::collection::btree_set(0..DOCUMENTS, 0..20),
            prop::collection::btree_set(0..DOCUMENTS, 200..600),
        ]
    }

    proptest! {
        #[test]
        fn bits_are_a_set(a in some(), b in some()) {
            let (left, right) = (bits(&a), bits(&b));
            prop_assert_eq!(left.count() as usize, a.len());
            prop_assert_eq!(docs(&left), a.clone());
            let with = |change: fn(&mut Bits, &Bits)| {
                let mut changed = left.clone();
                change(&mut changed, &right);
                docs(&changed)
            };
            prop_assert_eq!(with(Bits::keep), &a & &b);
            prop_assert_eq!(with(Bits::add), &a | &b);
            prop_assert_eq!(with(Bits::remove), &a - &b);
            let mut kept = left.clone();
            kept.retain(|doc| b.contains(&doc));
            prop_assert_eq!(docs(&kept), &a & &b);
        }

        #[test]
        fn blocks_hold_each_once_and_in_order(a in some()) {
            for backwards in [false, true] {
                let mut blocks: Vec<Vec<DocId>> = Vec::new();
                bits(&a).in_blocks(backwards, |block| blocks.push(block.to_vec()));
                prop_assert!(blocks.iter().all(|block| !block.is_empty() && block.len() <= COLLECT_BLOCK_BUFFER_LEN));
                if backwards {
                    blocks.reverse();
                }
                prop_assert_eq!(blocks.concat(), a.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn all_are_no_more_than_there_are() {
        for documents in [0, 1, 63, 64, 65, 128, 700] {
            assert_eq!(Bits::all(documents).count(), documents);
        }
    }
}
