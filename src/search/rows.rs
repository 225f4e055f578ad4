//! Parts that stand in a row: of documents that hold all of them, those that hold them one after the other.

use std::io;

use tantivy::DocSet;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::{Postings, TermInfo};
use tantivy::schema::IndexRecordOption;

use super::bits::Bits;

/// Adds those of `among` in which `row` stands; all of them hold each of its parts.
pub fn add(
    bits: &mut Bits,
    index: &InvertedIndexReader,
    row: &[TermInfo],
    among: &Bits,
) -> io::Result<()> {
    let record = IndexRecordOption::WithFreqsAndPositions;
    let mut parts = row
        .iter()
        .map(|part| index.read_postings_from_terminfo(part, record))
        .collect::<io::Result<Vec<_>>>()?;
    let (mut begins, mut next) = (Vec::new(), Vec::new());
    for doc in among.iter() {
        // Counted from the row's end, so that where the row stands each part has the same place.
        for (n, (part, behind)) in parts
            .iter_mut()
            .zip((0..row.len() as u32).rev())
            .enumerate()
        {
            if part.doc() < doc {
                part.seek(doc);
            }
            if n == 0 {
                part.positions_with_offset(behind, &mut begins);
            } else {
                part.positions_with_offset(behind, &mut next);
                keep_common(&mut begins, &next);
            }
            if begins.is_empty() {
                break;
            }
        }
        if !begins.is_empty() {
            bits.insert(doc);
        }
    }
    Ok(())
}

/// Both rise.
fn keep_common(places: &mut Vec<u32>, others: &[u32]) {
    let mut others = others.iter().copied().peekable();
    places.retain(|place| {
        while others.next_if(|other| other < place).is_some() {}
        others.peek() == Some(place)
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_common_stays(
            a in prop::collection::btree_set(0_u32..40, 0..20),
            b in prop::collection::btree_set(0_u32..40, 0..20),
        ) {
            let mut left: Vec<u32> = a.iter().copied().collect();
            let right: Vec<u32> = b.iter().copied().collect();
            keep_common(&mut left, &right);
            prop_assert!(left.iter().eq(a.intersection(&b)));
        }
    }
}
