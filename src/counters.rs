//! What is counted and timed: atomics that whoever does the work adds to, and that `metrics` reads. They name no
//! feature and no format, so that the database and the web can be measured without knowing who looks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are at this moment.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// One more, until what is answered is dropped: also when its task is.
    pub fn one(&self) -> One<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self)
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct One<'g>(&'g Gauge);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Upper bounds of the buckets in milliseconds, 1 ms to 10 s; what took longer is in one more.
pub const BOUNDS_MS: [f64; 13] = [
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0,
];
const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// Durations, by how long they were.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// A histogram as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// How many were no longer than each bound, and how many there were altogether.
    pub up_to: [u64; BUCKETS],
    pub sum_s: f64,
}

impl Histogram {
    pub fn observe(&self, took: Duration) {
        let ms = took.as_secs_f64() * 1e3;
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    pub fn read(&self) -> Snapshot {
        let mut up_to = [0; BUCKETS];
        let mut sum = 0;
        for (total, bucket) in up_to.iter_mut().zip(&self.buckets) {
            sum += bucket.load(Ordering::Relaxed);
            *total = sum;
        }
        Snapshot {
            up_to,
            sum_s: self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }
}

impl Snapshot {
    pub fn count(&self) -> u64 {
        self.up_to[BUCKETS - 1]
    }
}

/// Counters by a word that stands in the code, never in a request: so there are few, and none is made up. For what is
/// rare; a lock is fine.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// Counted from zero on, so that the first one is seen as a change.
    pub fn of(words: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Mutex::new(
            words.into_iter().map(|word| (word, 0)).collect(),
        ))
    }

    pub fn add_one(&self, word: &'static str) {
        *self.0.lock().entry(word).or_default() += 1;
    }

    pub fn read(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().iter().map(|(w, n)| (*w, *n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_that_holds_them() {
        let histogram = Histogram::default();
        for ms in [0, 1, 2, 10_000, 10_001, 3_600_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let read = histogram.read();
        assert_eq!(read.up_to[..3], [2, 3, 3]);
        assert_eq!(read.up_to[BUCKETS - 2..], [4, 6]);
        assert_eq!((read.count(), read.sum_s), (6, 3_620.004));
    }

    #[test]
    fn one_more_ends_with_its_scope() {
        let gauge = Gauge::default();
        let first = gauge.one();
        let second = gauge.one();
        assert_eq!(gauge.get(), 2);
        drop((first, second));
        assert_eq!(gauge.get(), 0);
    }
}
