//! What one query matches and another does not. tantivy's own exclusion asks phrases about documents they have passed,
//! which they take for a fault.

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use super::walk::holds;

#[derive(Debug)]
pub struct Except {
    with: Box<dyn Query>,
    without: Box<dyn Query>,
}

impl Clone for Except {
    fn clone(&self) -> Self {
        Self {
            with: self.with.box_clone(),
            without: self.without.box_clone(),
        }
    }
}

impl Except {
    pub fn query(with: Box<dyn Query>, without: Box<dyn Query>) -> Box<dyn Query> {
        Box::new(Self { with, without })
    }
}

impl Query for Except {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(ExceptWeight {
            with: self.with.weight(scoring)?,
            without: self.without.weight(scoring)?,
        }))
    }
}

struct ExceptWeight {
    with: Box<dyn Weight>,
    without: Box<dyn Weight>,
}

impl Weight for ExceptWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut scorer = ExceptScorer {
            with: self.with.scorer(segment, boost)?,
            without: self.without.scorer(segment, boost)?,
        };
        scorer.pass_excluded();
        Ok(Box::new(scorer))
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(segment, 1.0)?;
        if holds(&mut scorer, doc) {
            Ok(Explanation::new("Except", 1.0))
        } else {
            Err(TantivyError::InvalidArgument(format!(
                "document {doc} does not match"
            )))
        }
    }
}

struct ExceptScorer {
    with: Box<dyn Scorer>,
    without: Box<dyn Scorer>,
}

impl ExceptScorer {
    fn pass_excluded(&mut self) -> DocId {
        let mut doc = self.with.doc();
        while doc != TERMINATED && holds(&mut self.without, doc) {
            doc = self.with.advance();
        }
        doc
    }
}

impl DocSet for ExceptScorer {
    fn advance(&mut self) -> DocId {
        self.with.advance();
        self.pass_excluded()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.with.seek(target);
        self.pass_excluded()
    }

    fn doc(&self) -> DocId {
        self.with.doc()
    }

    fn size_hint(&self) -> u32 {
        self.with.size_hint()
    }

    fn cost(&self) -> u64 {
        self.with.cost().saturating_add(self.without.cost())
    }
}

impl Scorer for ExceptScorer {
    fn score(&mut self) -> Score {
        1.0
    }
}
