//! Answers kept for as long as they hold: facets until the index changes, and the first places of listings without
//! words, which are what most visitors look at. Small catalogues need none of it and keep only facets.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::filter::{Direction, Facets, Place, Sort, SortKey};
use super::query::Question;

/// How many places are kept of a listing, and how many listings and facets.
pub const DEPTH: usize = 2_000;
const LISTINGS: usize = 64;
const FACETS: usize = 512;
/// Swarm numbers change without the index.
const NUMBERS_HOLD: Duration = Duration::from_secs(1);
/// In a catalogue smaller than this a walk is as cheap as remembering.
const WORTH_FROM: u64 = 20_000;

/// What an answer was made from: which opening of the index, its commit, the category tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    pub opened: u64,
    pub commit: u64,
    pub tree: u64,
}

/// The first places of a listing.
pub struct Listing {
    pub total: u64,
    /// At most [`DEPTH`].
    pub places: Vec<Place>,
    pub made: Instant,
}

type Kept<K, V> = Mutex<HashMap<K, (Generation, V)>>;

/// Facets, and when they were counted.
struct Counted {
    facets: Facets,
    made: Instant,
}

pub struct Remembered {
    facets: Kept<Question, Counted>,
    listings: Kept<(Question, Sort), Arc<Listing>>,
    turn: Mutex<()>,
    worth_from: AtomicU64,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            facets: Mutex::default(),
            listings: Mutex::default(),
            turn: Mutex::default(),
            worth_from: AtomicU64::new(WORTH_FROM),
        }
    }
}

impl Remembered {
    pub fn is_worth_it(&self, torrents: u64) -> bool {
        torrents >= self.worth_from.load(Ordering::Relaxed)
    }

    /// Remembers listings of a catalogue of any size.
    #[cfg(test)]
    pub fn always(&self) {
        self.worth_from.store(0, Ordering::Relaxed);
    }

    /// Held while a listing is made: those who want the same wait for it instead of making it again.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    pub fn facets(&self, question: &Question, now: Generation) -> Option<Facets> {
        let facets = self.facets.lock();
        let (generation, kept) = facets.get(question)?;
        let fresh = question.needs_seeds.is_none() || kept.made.elapsed() < NUMBERS_HOLD;
        (*generation == now && fresh).then(|| kept.facets.clone())
    }

    pub fn keep_facets(&self, question: Question, now: Generation, facets: Facets) {
        let made = Instant::now();
        let counted = Counted { facets, made };
        keep(&mut self.facets.lock(), FACETS, question, now, counted);
    }

    pub fn listing(
        &self,
        question: &Question,
        sort: Sort,
        now: Generation,
    ) -> Option<Arc<Listing>> {
        let listings = self.listings.lock();
        let (made, listing) = listings.get(&(question.clone(), sort))?;
        let moves = question.needs_seeds.is_some()
            || matches!(
                sort.key,
                SortKey::Seeders | SortKey::Leechers | SortKey::Completed | SortKey::Need
            );
        let fresh = !moves || listing.made.elapsed() < NUMBERS_HOLD;
        (*made == now && fresh).then(|| listing.clone())
    }

    pub fn keep_listing(
        &self,
        question: Question,
        sort: Sort,
        now: Generation,
        listing: Arc<Listing>,
    ) {
        let mut listings = self.listings.lock();
        keep(&mut listings, LISTINGS, (question, sort), now, listing);
    }
}

fn keep<K: Eq + Hash, V>(
    map: &mut HashMap<K, (Generation, V)>,
    most: usize,
    key: K,
    now: Generation,
    value: V,
) {
    if map.len() >= most {
        map.retain(|_, (made, _)| *made == now);
    }
    if map.len() >= most {
        map.clear();
    }
    map.insert(key, (now, value));
}

impl Listing {
    /// A page of it with the number of places before; `None` if it reaches beyond what is kept.
    pub fn page(
        &self,
        sort: Sort,
        bound: Option<&(Direction, Place)>,
        limit: usize,
    ) -> Option<(&[Place], u64)> {
        let kept_all = self.places.len() as u64 == self.total;
        let order = |place: &Place, bound: &Place| place.compare(bound, sort.descending);
        let (start, end) = match bound {
            None => (0, limit),
            Some((Direction::After, bound)) => {
                let start = self.places.partition_point(|p| order(p, bound).is_le());
                (start, start + limit)
            }
            Some((Direction::Before, bound)) => {
                let end = self.places.partition_point(|p| order(p, bound).is_lt());
                if end == self.places.len() && !kept_all {
                    return None;
                }
                (end.saturating_sub(limit), end)
            }
        };
        if end > self.places.len() && !kept_all {
            return None;
        }
        let end = end.min(self.places.len());
        Some((&self.places[start.min(end)..end], start as u64))
    }
}
