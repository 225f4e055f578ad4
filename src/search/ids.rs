//! The torrents' ids in memory, four bytes a document: in the index they lie packed in a way that takes longer to read
//! one by one than everything else that sorting a common word's hits does.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tantivy::columnar::ColumnValues;
use tantivy::index::SegmentId;
use tantivy::{Searcher, SegmentReader};

use super::index::column;
use super::walk;

type Column = Arc<dyn ColumnValues<u64>>;

/// The ids of each segment that has been asked for.
#[derive(Default)]
pub struct Ids(Mutex<HashMap<SegmentId, Column>>);

impl Ids {
    /// By documents of `segment`, which is one of `searcher`'s.
    pub fn of(&self, searcher: &Searcher, segment: &SegmentReader) -> tantivy::Result<Column> {
        if let Some(kept) = self.0.lock().get(&segment.segment_id()) {
            return Ok(kept.clone());
        }
        let ids = unpacked(walk::full(segment.fast_fields().u64(column::ID)?));
        let mut kept = self.0.lock();
        // Segments are merged away.
        kept.retain(|id, _| {
            let mut there = searcher.segment_readers().iter();
            there.any(|segment| segment.segment_id() == *id)
        });
        kept.insert(segment.segment_id(), ids.clone());
        Ok(ids)
    }
}

/// The same values; as they are where they lie too far apart.
fn unpacked(column: Column) -> Column {
    let mut values = vec![0; column.num_vals() as usize];
    column.get_range(0, &mut values);
    let least = values.iter().copied().min().unwrap_or_default();
    let most = values.iter().copied().max().unwrap_or_default();
    if u32::try_from(most - least).is_err() {
        return column;
    }
    Arc::new(Unpacked {
        least,
        most,
        above: values.iter().map(|value| (value - least) as u32).collect(),
    })
}

struct Unpacked {
    least: u64,
    most: u64,
    /// What each value is more than the least.
    above: Box<[u32]>,
}

impl ColumnValues<u64> for Unpacked {
    fn get_val(&self, doc: u32) -> u64 {
        self.least + u64::from(self.above[doc as usize])
    }

    fn min_value(&self) -> u64 {
        self.least
    }

    fn max_value(&self) -> u64 {
        self.most
    }

    fn num_vals(&self) -> u32 {
        self.above.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<u64>);

    impl ColumnValues<u64> for Given {
        fn get_val(&self, doc: u32) -> u64 {
            self.0[doc as usize]
        }

        fn min_value(&self) -> u64 {
            self.0.iter().copied().min().unwrap_or_default()
        }

        fn max_value(&self) -> u64 {
            self.0.iter().copied().max().unwrap_or_default()
        }

        fn num_vals(&self) -> u32 {
            self.0.len() as u32
        }
    }

    #[test]
    fn what_is_kept_is_what_the_column_says() {
        let far = u64::from(u32::MAX);
        for values in [
            vec![],
            vec![7],
            vec![9, 3, 4, 3],
            vec![5, 5 + far],
            vec![5, 6 + far],
            vec![0, u64::MAX],
        ] {
            let kept = unpacked(Arc::new(Given(values.clone())));
            let said: Vec<u64> = (0..kept.num_vals()).map(|doc| kept.get_val(doc)).collect();
            assert_eq!(said, values);
            let mut many = vec![0; values.len()];
            let docs: Vec<u32> = (0..kept.num_vals()).rev().collect();
            kept.get_vals(&docs, &mut many);
            assert!(many.iter().eq(values.iter().rev()));
        }
    }
}
