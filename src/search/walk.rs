//! One walk over the hits of a query: counts them, tallies facets, and keeps the best few by a sort key. Keys are
//! turned into ranks (smaller comes first), so that one comparison of numbers serves every sort and direction.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::columnar::{BytesColumn, Column, ColumnIndex, ColumnValues, StrColumn, TermOrdHit};
use tantivy::query::{EnableScoring, Query, Scorer, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, Searcher, SegmentReader};

use super::filter::{Direction, Key, Place, Sort, SortKey};
use super::index::column;
use super::numbers::{Numbers, Reader, Swarm};
use super::query::Hits;
use crate::clock::Timestamp;

/// Which places to keep.
pub struct Best<'q> {
    pub sort: Sort,
    /// For relevance: each holds what the one before holds and is better for it.
    pub levels: &'q [Box<dyn Query>],
    /// Beyond this place, in this direction.
    pub bound: Option<(Direction, &'q Place)>,
    pub limit: usize,
}

#[derive(Default)]
pub struct Walked {
    pub total: u64,
    /// In the order of the listing, also when walked backwards.
    pub places: Vec<Place>,
    /// How many lie before the first of `places`.
    pub position: u64,
    /// By column value, where asked for.
    pub categories: HashMap<u64, u64>,
    pub tags: HashMap<u64, u64>,
    pub kinds: HashMap<u64, u64>,
}

#[derive(Clone, Copy, Default)]
pub struct Tallies {
    pub categories: bool,
    pub tags: bool,
    pub kinds: bool,
}

/// (rank, rank of the id): complemented when walking backwards, so that the smallest are always wanted.
type Ranked = (u64, u64);

pub fn walk(
    searcher: &Searcher,
    hits: &Hits,
    numbers: &Numbers,
    best: Option<&Best<'_>>,
    tallies: Tallies,
) -> tantivy::Result<Walked> {
    let scoring = || EnableScoring::disabled_from_searcher(searcher);
    let with = hits.with.weight(scoring())?;
    let without = match &hits.without {
        Some(query) => Some(query.weight(scoring())?),
        None => None,
    };
    let levels: Vec<Box<dyn Weight>> = best
        .iter()
        .flat_map(|best| best.levels)
        .map(|level| level.weight(scoring()))
        .collect::<tantivy::Result<_>>()?;
    let numbers = numbers.reader();
    let needs_seeds = hits.needs_seeds;
    let mut walked = Walked::default();
    let mut passed = 0;
    for segment in searcher.segment_readers() {
        let mut hits = with.scorer(segment, 1.0)?;
        let mut excluded = match &without {
            Some(weight) => Some(weight.scorer(segment, 1.0)?),
            None => None,
        };
        let mut tally = Tally::open(segment, tallies)?;
        let mut ranking = match best {
            Some(best) => Some(Ranking::open(segment, best, &levels, &numbers)?),
            None => None,
        };
        let needy = match needs_seeds {
            Some(silent_since) => {
                Some((full(segment.fast_fields().u64(column::ID)?), silent_since))
            }
            None => None,
        };
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let filled = hits.fill_buffer(&mut block);
            let mut kept = 0;
            for n in 0..filled {
                let doc = block[n];
                let alive = segment
                    .alive_bitset()
                    .is_none_or(|alive| alive.is_alive(doc));
                let wanted = alive && !excluded.as_mut().is_some_and(|docs| holds(docs, doc));
                block[kept] = doc;
                kept += usize::from(wanted);
            }
            if let Some((ids, silent_since)) = &needy {
                kept = keep_needy(&mut block[..kept], ids.as_ref(), &numbers, *silent_since);
            }
            let docs = &block[..kept];
            walked.total += docs.len() as u64;
            tally.count(docs);
            if let Some(ranking) = &mut ranking {
                ranking.take(docs);
            }
            if filled < COLLECT_BLOCK_BUFFER_LEN {
                break;
            }
        }
        tally.add_to(&mut walked);
        if let Some(ranking) = ranking {
            passed += ranking.top.passed;
            ranking.finish(&mut walked.places)?;
        }
    }
    if let Some(best) = best {
        arrange(&mut walked, best, passed);
    }
    Ok(walked)
}

/// Moves the documents of torrents that need seeds to the front; how many there are.
fn keep_needy(
    docs: &mut [DocId],
    ids: &dyn ColumnValues<u64>,
    numbers: &Reader<'_>,
    silent_since: Timestamp,
) -> usize {
    let mut id_buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
    let id_buffer = &mut id_buffer[..docs.len()];
    ids.get_vals(docs, id_buffer);
    let mut kept = 0;
    for (n, id) in id_buffer.iter().enumerate() {
        let needy = numbers
            .get(*id)
            .is_some_and(|swarm| swarm.needs_seeds(silent_since));
        docs[kept] = docs[n];
        kept += usize::from(needy);
    }
    kept
}

/// Merges the segments' best into one listing's.
fn arrange(walked: &mut Walked, best: &Best<'_>, passed: u64) {
    let descending = best.sort.descending;
    walked
        .places
        .sort_unstable_by(|a, b| a.compare(b, descending));
    let backwards = matches!(best.bound, Some((Direction::Before, _)));
    if backwards {
        let surplus = walked.places.len().saturating_sub(best.limit);
        walked.places.drain(..surplus);
        walked.position = walked.total - passed - walked.places.len() as u64;
    } else {
        walked.places.truncate(best.limit);
        walked.position = passed;
    }
}

/// The best places of one segment.
struct Ranking<'s> {
    keys: Keys<'s>,
    ids: Arc<dyn ColumnValues<u64>>,
    sort: Sort,
    /// All ones when walking backwards.
    mask: u64,
    top: Top,
    id_buffer: [u64; COLLECT_BLOCK_BUFFER_LEN],
    rank_buffer: [u64; COLLECT_BLOCK_BUFFER_LEN],
}

enum Keys<'s> {
    Number(Arc<dyn ColumnValues<u64>>),
    Seeders(&'s Reader<'s>),
    Leechers(&'s Reader<'s>),
    Completed(&'s Reader<'s>),
    /// Ordinals in the segment's dictionary of title keys, doubled and raised by one: a name that is not there has
    /// its place between two of them.
    Name(StrColumn),
    Level(Vec<Box<dyn Scorer>>),
    /// With the sizes.
    Need(&'s Reader<'s>, Arc<dyn ColumnValues<u64>>),
}

impl<'s> Ranking<'s> {
    fn open(
        segment: &SegmentReader,
        best: &Best<'_>,
        levels: &[Box<dyn Weight>],
        numbers: &'s Reader<'s>,
    ) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        let keys = match best.sort.key {
            SortKey::Date => Keys::Number(full(columns.u64(column::CREATED_AT)?)),
            SortKey::Size => Keys::Number(full(columns.u64(column::SIZE)?)),
            SortKey::Seeders => Keys::Seeders(numbers),
            SortKey::Leechers => Keys::Leechers(numbers),
            SortKey::Completed => Keys::Completed(numbers),
            SortKey::Need => Keys::Need(numbers, full(columns.u64(column::SIZE)?)),
            SortKey::Name => Keys::Name(
                columns
                    .str(column::TITLE_KEY)?
                    .unwrap_or_else(|| StrColumn::wrap(BytesColumn::empty(segment.max_doc()))),
            ),
            SortKey::Relevance => Keys::Level(
                levels
                    .iter()
                    .map(|level| level.scorer(segment, 1.0))
                    .collect::<tantivy::Result<_>>()?,
            ),
        };
        let mut ranking = Self {
            keys,
            ids: full(columns.u64(column::ID)?),
            sort: best.sort,
            mask: 0,
            top: Top::new(best.limit),
            id_buffer: [0; COLLECT_BLOCK_BUFFER_LEN],
            rank_buffer: [0; COLLECT_BLOCK_BUFFER_LEN],
        };
        if let Some((direction, place)) = best.bound {
            if direction == Direction::Before {
                ranking.mask = u64::MAX;
            }
            let rank = match (&place.key, &ranking.keys) {
                (Key::Rank(rank), _) => *rank,
                (Key::Name(name), Keys::Name(names)) => {
                    directed(rank_of_name(names, name)?, best.sort.descending)
                }
                // A cursor of a name is read for a listing by name alone.
                (Key::Name(_), _) => 0,
            };
            ranking.top.bound = Some((
                rank ^ ranking.mask,
                directed(place.id, best.sort.descending) ^ ranking.mask,
            ));
        }
        Ok(ranking)
    }

    fn take(&mut self, docs: &[DocId]) {
        let ids = &mut self.id_buffer[..docs.len()];
        let ranks = &mut self.rank_buffer[..docs.len()];
        self.ids.get_vals(docs, ids);
        self.keys.ranks(docs, ids, self.sort.descending, ranks);
        for (id, rank) in ids.iter().zip(ranks) {
            let id = directed(*id, self.sort.descending);
            self.top.push((*rank ^ self.mask, id ^ self.mask));
        }
    }

    fn finish(self, places: &mut Vec<Place>) -> tantivy::Result<()> {
        let descending = self.sort.descending;
        for (rank, id) in self.top.kept() {
            let (rank, id) = (rank ^ self.mask, directed(id ^ self.mask, descending));
            let key = match &self.keys {
                Keys::Name(names) => {
                    let mut name = String::new();
                    names.ord_to_str(directed(rank, descending) / 2, &mut name)?;
                    Key::Name(name)
                }
                _ => Key::Rank(rank),
            };
            places.push(Place { key, id });
        }
        Ok(())
    }
}

impl Keys<'_> {
    fn ranks(&mut self, docs: &[DocId], ids: &[u64], descending: bool, ranks: &mut [u64]) {
        match self {
            Self::Number(column) => {
                column.get_vals(docs, ranks);
                for rank in ranks {
                    *rank = directed(*rank, descending);
                }
            }
            Self::Seeders(numbers) => {
                for (rank, id) in ranks.iter_mut().zip(ids) {
                    *rank = rank_of_number(numbers.get(*id).map(|s| s.seeders), descending);
                }
            }
            Self::Leechers(numbers) => {
                for (rank, id) in ranks.iter_mut().zip(ids) {
                    *rank = rank_of_number(numbers.get(*id).map(|s| s.leechers), descending);
                }
            }
            Self::Completed(numbers) => {
                for (rank, id) in ranks.iter_mut().zip(ids) {
                    *rank = rank_of_number(numbers.get(*id).map(|s| s.completed), descending);
                }
            }
            Self::Need(numbers, sizes) => {
                sizes.get_vals(docs, ranks);
                for (rank, id) in ranks.iter_mut().zip(ids) {
                    *rank = match numbers.get(*id) {
                        Some(swarm) => directed(need(&swarm, *rank), descending),
                        None => u64::MAX,
                    };
                }
            }
            Self::Name(names) => {
                for (rank, doc) in ranks.iter_mut().zip(docs) {
                    let ordinal = names.ords().first(*doc).map_or(0, |ord| ord * 2 + 1);
                    *rank = directed(ordinal, descending);
                }
            }
            Self::Level(levels) => {
                for (rank, doc) in ranks.iter_mut().zip(docs) {
                    let reached = levels.iter_mut().map(|level| u64::from(holds(level, *doc)));
                    *rank = directed(reached.sum(), descending);
                }
            }
        }
    }
}

/// Whether `doc` is among `docs`, which are asked about rising documents.
fn holds(docs: &mut Box<dyn Scorer>, doc: DocId) -> bool {
    let at = docs.doc();
    at == doc || at < doc && docs.seek(doc) == doc
}

fn directed(value: u64, descending: bool) -> u64 {
    if descending { !value } else { value }
}

/// Unknown comes last in both directions.
fn rank_of_number(number: Option<u32>, descending: bool) -> u64 {
    match number {
        None => u64::MAX,
        Some(n) => {
            let n = u64::from(n);
            if descending {
                u64::from(u32::MAX) - n
            } else {
                n
            }
        }
    }
}

/// More is more needed: no seeder, then 31 bits of leechers, then 32 of what the size in steps of 64 KiB is short of.
/// Neither 0 nor the largest number: those are beyond the last in one direction or the other.
fn need(swarm: &Swarm, size: u64) -> u64 {
    let unseeded = u64::from(swarm.seeders == 0);
    let leechers = u64::from(swarm.leechers).min((1 << 31) - 2);
    let size = (size >> 16).min(u64::from(u32::MAX) - 1);
    unseeded << 63 | leechers << 32 | (u64::from(u32::MAX) - size)
}

fn rank_of_name(names: &StrColumn, name: &str) -> std::io::Result<u64> {
    Ok(match names.dictionary().term_ord_or_next(name)? {
        TermOrdHit::Exact(ord) => ord * 2 + 1,
        // Past the last one the dictionary names no ordinal of its own.
        TermOrdHit::Next(ord) => ord.min(names.num_terms() as u64) * 2,
    })
}

/// Keeps the `limit` smallest beyond the bound.
struct Top {
    limit: usize,
    bound: Option<Ranked>,
    /// Those up to the bound, itself included.
    passed: u64,
    /// Nothing from here on is wanted any more.
    end: Option<Ranked>,
    kept: Vec<Ranked>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bound: None,
            passed: 0,
            end: None,
            kept: Vec::new(),
        }
    }

    fn push(&mut self, place: Ranked) {
        if self.bound.is_some_and(|bound| place <= bound) {
            self.passed += 1;
            return;
        }
        if self.end.is_some_and(|end| place >= end) {
            return;
        }
        self.kept.push(place);
        // Sorting out once in a while is cheaper than keeping order.
        if self.kept.len() > self.limit * 2 {
            let (_, last, _) = self.kept.select_nth_unstable(self.limit);
            self.end = Some(*last);
            self.kept.truncate(self.limit);
        }
    }

    fn kept(&self) -> Vec<Ranked> {
        let mut kept = self.kept.clone();
        kept.sort_unstable();
        kept.truncate(self.limit);
        kept
    }
}

/// How often each value of the asked columns occurs among the hits of one segment.
struct Tally {
    categories: Option<Counted>,
    tags: Option<Counted>,
    kinds: Option<Counted>,
}

impl Tally {
    fn open(segment: &SegmentReader, wanted: Tallies) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        let open = |wanted: bool, name: &str| -> tantivy::Result<Option<Counted>> {
            Ok(match wanted {
                // A segment in which no torrent has a tag has no column of tags.
                true => columns.column_opt(name)?.map(Counted::new),
                false => None,
            })
        };
        Ok(Self {
            categories: open(wanted.categories, column::CATEGORY)?,
            tags: open(wanted.tags, column::TAG)?,
            kinds: open(wanted.kinds, column::KIND)?,
        })
    }

    fn count(&mut self, docs: &[DocId]) {
        for counted in [&mut self.categories, &mut self.tags, &mut self.kinds]
            .into_iter()
            .flatten()
        {
            counted.count(docs);
        }
    }

    fn add_to(self, walked: &mut Walked) {
        for (counted, sums) in [
            (self.categories, &mut walked.categories),
            (self.tags, &mut walked.tags),
            (self.kinds, &mut walked.kinds),
        ] {
            if let Some(counted) = counted {
                counted.add_to(sums);
            }
        }
    }
}

/// Ids lie close together, so a counter for each value between the smallest and the largest is cheap.
const DENSE: u64 = 1 << 18;

struct Counted {
    column: Column<u64>,
    first: u64,
    dense: Vec<u64>,
    sparse: HashMap<u64, u64>,
}

impl Counted {
    fn new(column: Column<u64>) -> Self {
        let first = column.min_value();
        let span = column.max_value().saturating_sub(first);
        let dense = if span < DENSE {
            vec![0; span as usize + 1]
        } else {
            Vec::new()
        };
        Self {
            column,
            first,
            dense,
            sparse: HashMap::new(),
        }
    }

    fn count(&mut self, docs: &[DocId]) {
        for doc in docs {
            for value in self.column.values_for_doc(*doc) {
                match self.dense.get_mut((value - self.first) as usize) {
                    Some(count) => *count += 1,
                    None => *self.sparse.entry(value).or_default() += 1,
                }
            }
        }
    }

    fn add_to(self, sums: &mut HashMap<u64, u64>) {
        let dense = (self.first..).zip(self.dense);
        for (value, count) in dense.chain(self.sparse) {
            if count > 0 {
                *sums.entry(value).or_default() += count;
            }
        }
    }
}

/// The values of a column that every document has.
fn full(column: Column<u64>) -> Arc<dyn ColumnValues<u64>> {
    match column.index {
        ColumnIndex::Full => column.values,
        _ => column.first_or_default_col(0),
    }
}
