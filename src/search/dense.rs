//! What matches much of a segment, as a row of bits: looking whether a document is among them is then one look, where
//! the lists of a common word in four fields have to be walked side by side.

use std::sync::Arc;

use tantivy::query::{BooleanQuery, EmptyQuery, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError,
};

use super::walk::holds;

/// Below one hit in so many documents the lists themselves are shorter.
const SPARSE: u32 = 64;
/// A step in several lists costs as much as so many bits.
const STEP: u32 = 8;
const WORD: u32 = u64::BITS;

/// What matches when one of several ways does.
#[derive(Debug)]
struct Dense(Vec<Box<dyn Query>>);

impl Clone for Dense {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|way| way.box_clone()).collect())
    }
}

/// Matches what any of them does; of none, nothing.
pub fn any_of(ways: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match ways.is_empty() {
        true => Box::new(EmptyQuery),
        false => Box::new(Dense(ways)),
    }
}

impl Query for Dense {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let ways: tantivy::Result<Vec<_>> = self.0.iter().map(|way| way.weight(scoring)).collect();
        let union = match self.0.as_slice() {
            [way] => way.weight(scoring)?,
            _ => BooleanQuery::union(self.clone().0).weight(scoring)?,
        };
        Ok(Box::new(DenseWeight {
            ways: Arc::new(ways?),
            union,
        }))
    }
}

struct DenseWeight {
    ways: Arc<Vec<Box<dyn Weight>>>,
    union: Box<dyn Weight>,
}

impl Weight for DenseWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let list = self.union.scorer(segment, boost)?;
        if list.size_hint() < segment.max_doc() / SPARSE {
            return Ok(list);
        }
        Ok(Box::new(DenseScorer {
            ways: self.ways.clone(),
            segment: segment.clone(),
            left: (segment.max_doc() / SPARSE / STEP).max(3),
            docs: Docs::List(list),
        }))
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(segment, 1.0)?;
        if holds(&mut scorer, doc) {
            Ok(Explanation::new("Dense", 1.0))
        } else {
            Err(TantivyError::InvalidArgument(format!(
                "document {doc} does not match"
            )))
        }
    }
}

enum Docs {
    List(Box<dyn Scorer>),
    Bits(Bits),
}

/// Walks the lists until that has cost more than the bits would: beside a rare word few steps are asked for.
struct DenseScorer {
    ways: Arc<Vec<Box<dyn Weight>>>,
    segment: SegmentReader,
    /// Steps in the lists.
    left: u32,
    docs: Docs,
}

impl DenseScorer {
    fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.make_bits();
        }
    }

    fn make_bits(&mut self) {
        let Docs::List(list) = &self.docs else { return };
        let from = list.doc();
        let mut bits = Bits::new(self.segment.max_doc());
        for way in self.ways.iter() {
            match way.scorer(&self.segment, 1.0) {
                Ok(mut docs) => bits.add(docs.as_mut()),
                // The list goes on; what cannot be read is found out by those that may say so.
                Err(_) => {
                    self.left = u32::MAX;
                    return;
                }
            }
        }
        bits.from(from);
        self.docs = Docs::Bits(bits);
    }
}

impl DocSet for DenseScorer {
    fn advance(&mut self) -> DocId {
        self.spend();
        match &mut self.docs {
            Docs::List(list) => list.advance(),
            Docs::Bits(bits) => bits.advance(),
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.spend();
        match &mut self.docs {
            Docs::List(list) => list.seek(target),
            Docs::Bits(bits) => bits.seek(target),
        }
    }

    fn fill_buffer(&mut self, buffer: &mut [DocId; COLLECT_BLOCK_BUFFER_LEN]) -> usize {
        self.make_bits();
        match &mut self.docs {
            Docs::List(list) => list.fill_buffer(buffer),
            Docs::Bits(bits) => bits.fill_buffer(buffer),
        }
    }

    fn doc(&self) -> DocId {
        match &self.docs {
            Docs::List(list) => list.doc(),
            Docs::Bits(bits) => bits.doc(),
        }
    }

    fn size_hint(&self) -> u32 {
        match &self.docs {
            Docs::List(list) => list.size_hint(),
            Docs::Bits(bits) => bits.size_hint(),
        }
    }
}

impl Scorer for DenseScorer {
    fn score(&mut self) -> Score {
        1.0
    }
}

struct Bits {
    words: Vec<u64>,
    /// What is left of the word that `doc` is in, `doc` itself not included.
    rest: u64,
    doc: DocId,
    count: u32,
}

impl Bits {
    fn new(max_doc: DocId) -> Self {
        Self {
            words: vec![0; max_doc.div_ceil(WORD) as usize],
            rest: 0,
            doc: TERMINATED,
            count: 0,
        }
    }

    /// Adds what is left of a list. Those that are there already count again.
    fn add(&mut self, docs: &mut dyn Scorer) {
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let filled = docs.fill_buffer(&mut block);
            for doc in &block[..filled] {
                if let Some(word) = self.words.get_mut((doc / WORD) as usize) {
                    *word |= 1 << (doc % WORD);
                }
            }
            self.count += filled as u32;
            if filled < COLLECT_BLOCK_BUFFER_LEN {
                return;
            }
        }
    }

    fn word(&self, n: u32) -> Option<u64> {
        self.words.get(n as usize).copied()
    }

    /// Moves to the first one from `doc` on.
    fn from(&mut self, doc: DocId) -> DocId {
        let n = doc / WORD;
        match self.word(n) {
            Some(word) => self.first_of(n, word & (u64::MAX << (doc % WORD))),
            None => self.end(),
        }
    }

    fn first_of(&mut self, mut n: u32, mut word: u64) -> DocId {
        while word == 0 {
            n += 1;
            word = match self.word(n) {
                Some(word) => word,
                None => return self.end(),
            };
        }
        self.doc = n * WORD + word.trailing_zeros();
        self.rest = word & (word - 1);
        self.doc
    }

    fn end(&mut self) -> DocId {
        self.rest = 0;
        self.doc = TERMINATED;
        TERMINATED
    }
}

impl DocSet for Bits {
    fn advance(&mut self) -> DocId {
        if self.doc == TERMINATED {
            return TERMINATED;
        }
        self.first_of(self.doc / WORD, self.rest)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc {
            return self.doc;
        }
        self.from(target)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.count
    }
}

impl Scorer for Bits {
    fn score(&mut self) -> Score {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tantivy::query::ConstScorer;

    use super::*;

    /// A list as tantivy's own, for `Bits` to be made of.
    struct List(Vec<DocId>, usize);

    impl DocSet for List {
        fn advance(&mut self) -> DocId {
            self.1 += 1;
            self.doc()
        }

        fn doc(&self) -> DocId {
            self.0.get(self.1).copied().unwrap_or(TERMINATED)
        }

        fn size_hint(&self) -> u32 {
            self.0.len() as u32
        }
    }

    proptest! {
        #[test]
        fn bits_move_as_a_list_does(
            docs in prop::collection::btree_set(0_u32..700, 0..300),
            steps in prop::collection::vec((any::<bool>(), 0_u32..200), 0..100),
        ) {
            let docs: Vec<DocId> = docs.into_iter().collect();
            let mut bits = Bits::new(700);
            let (even, odd): (Vec<_>, Vec<_>) = docs.iter().partition(|doc| *doc % 3 == 0);
            bits.add(&mut ConstScorer::new(List(odd, 0), 1.0));
            bits.add(&mut ConstScorer::new(List(even, 0), 1.0));
            bits.from(0);
            let mut list = List(docs, 0);
            prop_assert_eq!(bits.size_hint(), list.size_hint());
            prop_assert_eq!(bits.doc(), list.doc());
            for (seeks, by) in steps {
                if seeks && list.doc() != TERMINATED {
                    let to = list.doc() + by;
                    prop_assert_eq!(bits.seek(to), list.seek(to));
                } else {
                    prop_assert_eq!(bits.advance(), list.advance());
                }
                prop_assert_eq!(bits.doc(), list.doc());
            }
        }
    }
}
