//! One walk over the hits of a question: counts them, tallies facets, and keeps the best few by a sort key. Keys are
//! turned into ranks (smaller comes first), so that one comparison of numbers serves every sort and direction.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::columnar::{BytesColumn, Column, ColumnIndex, ColumnValues, StrColumn, TermOrdHit};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, SegmentReader};

use super::bits::Bits;
use super::evaluate::{Evaluator, View};
use super::filter::{Direction, Key, Place, Sort, SortKey};
use super::index::column;
use super::numbers::{Reader, Swarm, Which};
use super::query::Question;

/// Which places to keep.
pub struct Best<'q> {
    pub sort: Sort,
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

impl Tallies {
    fn any(self) -> bool {
        self.categories || self.tags || self.kinds
    }
}

/// (rank, rank of the id): complemented when walking backwards, so that the smallest are always wanted.
type Ranked = (u64, u64);

pub fn walk(
    view: &View<'_>,
    question: &Question,
    best: Option<&Best<'_>>,
    tallies: Tallies,
) -> tantivy::Result<Walked> {
    let by_relevance = best.is_some_and(|best| best.sort.key == SortKey::Relevance);
    let mut walked = Walked::default();
    let mut passed = 0;
    for segment in view.searcher.segment_readers() {
        let matched = Evaluator { view, segment }.matched(question, by_relevance)?;
        let found = matched.hits.count();
        if found == 0 {
            continue;
        }
        walked.total += u64::from(found);
        if tallies.any() {
            let mut tally = Tally::open(segment, tallies)?;
            matched.hits.in_blocks(false, |docs| tally.count(docs));
            tally.add_to(&mut walked);
        }
        if let Some(best) = best {
            let mut ranking = Ranking::open(view, segment, best)?;
            if by_relevance {
                ranking.take_levels(&matched.levels);
            } else {
                ranking.take_all(&matched.hits);
            }
            passed += ranking.top.passed;
            ranking.finish(&mut walked.places)?;
        }
    }
    if let Some(best) = best {
        arrange(&mut walked, best, passed);
    }
    Ok(walked)
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
}

enum Keys<'s> {
    Number(Arc<dyn ColumnValues<u64>>),
    /// Of a torrent by its id.
    Swarm(&'s Reader<'s>, Which),
    /// Ordinals in the segment's dictionary of title keys, doubled and raised by one: a name that is not there has
    /// its place between two of them.
    Name(StrColumn, Arc<dyn ColumnValues<u64>>),
    /// What the documents are taken by.
    Level,
    /// With the sizes.
    Need(&'s Reader<'s>, Arc<dyn ColumnValues<u64>>),
}

impl<'s> Ranking<'s> {
    fn open(view: &'s View<'s>, segment: &SegmentReader, best: &Best<'_>) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        let numbers = &view.numbers;
        let keys = match best.sort.key {
            SortKey::Date => Keys::Number(full(columns.u64(column::CREATED_AT)?)),
            SortKey::Size => Keys::Number(full(columns.u64(column::SIZE)?)),
            SortKey::Seeders => Keys::Swarm(numbers, Which::Seeders),
            SortKey::Leechers => Keys::Swarm(numbers, Which::Leechers),
            SortKey::Completed => Keys::Swarm(numbers, Which::Completed),
            SortKey::Need => Keys::Need(numbers, full(columns.u64(column::SIZE)?)),
            SortKey::Name => {
                let names = columns
                    .str(column::TITLE_KEY)?
                    .unwrap_or_else(|| StrColumn::wrap(BytesColumn::empty(segment.max_doc())));
                let ordinals = full(names.ords().clone());
                Keys::Name(names, ordinals)
            }
            SortKey::Relevance => Keys::Level,
        };
        let mut ranking = Self {
            keys,
            ids: view.ids.of(view.searcher, segment)?,
            sort: best.sort,
            mask: 0,
            top: Top::new(best.limit),
        };
        if let Some((direction, place)) = best.bound {
            if direction == Direction::Before {
                ranking.mask = u64::MAX;
            }
            let rank = match (&place.key, &ranking.keys) {
                (Key::Rank(rank), _) => *rank,
                (Key::Name(name), Keys::Name(names, _)) => {
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

    /// Torrents lie in the order in which they came: walked from the end that comes first, most of the rest is looked
    /// at and not wanted.
    fn goes_backwards(&self) -> bool {
        let by_time = matches!(self.sort.key, SortKey::Date | SortKey::Relevance);
        by_time && self.sort.descending == (self.mask == 0)
    }

    fn take_all(&mut self, hits: &Bits) {
        let mut ids = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut ranks = [0; COLLECT_BLOCK_BUFFER_LEN];
        hits.in_blocks(self.goes_backwards(), |docs| {
            let (ids, ranks) = (&mut ids[..docs.len()], &mut ranks[..docs.len()]);
            let known = self
                .keys
                .ranks(&*self.ids, docs, ids, self.sort.descending, ranks);
            for ((doc, id), rank) in docs.iter().zip(ids).zip(ranks) {
                let rank = *rank ^ self.mask;
                if self.top.may_want(rank) {
                    let id = if known { *id } else { self.ids.get_val(*doc) };
                    let id = directed(id, self.sort.descending) ^ self.mask;
                    self.top.push((rank, id));
                }
            }
        });
    }

    /// `levels`: the hits by relevance, the worst first.
    fn take_levels(&mut self, levels: &[Bits]) {
        let mut levels: Vec<(u64, &Bits)> = (0..)
            .zip(levels)
            .map(|(level, hits)| (directed(level, self.sort.descending) ^ self.mask, hits))
            .collect();
        levels.sort_by_key(|(rank, _)| *rank);
        for (rank, hits) in levels {
            if self.top.is_beyond(rank) {
                continue;
            }
            if self.top.is_passed(rank) {
                self.top.passed += u64::from(hits.count());
                continue;
            }
            let mut ids = [0; COLLECT_BLOCK_BUFFER_LEN];
            hits.in_blocks(self.goes_backwards(), |docs| {
                let ids = &mut ids[..docs.len()];
                self.ids.get_vals(docs, ids);
                for id in ids {
                    let id = directed(*id, self.sort.descending) ^ self.mask;
                    self.top.push((rank, id));
                }
            });
        }
    }

    fn finish(self, places: &mut Vec<Place>) -> tantivy::Result<()> {
        let descending = self.sort.descending;
        for (rank, id) in self.top.kept() {
            let (rank, id) = (rank ^ self.mask, directed(id ^ self.mask, descending));
            let key = match &self.keys {
                Keys::Name(names, _) => {
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
    /// Writes the documents' ranks; `true` where their ids had to be read for that, and were written too.
    fn ranks(
        &self,
        all_ids: &dyn ColumnValues<u64>,
        docs: &[DocId],
        ids: &mut [u64],
        descending: bool,
        ranks: &mut [u64],
    ) -> bool {
        match self {
            Self::Number(column) => {
                column.get_vals(docs, ranks);
                for rank in ranks {
                    *rank = directed(*rank, descending);
                }
                false
            }
            Self::Swarm(numbers, which) => {
                all_ids.get_vals(docs, ids);
                numbers.each(*which, ids, |n, number| {
                    ranks[n] = rank_of_number(number, descending);
                });
                true
            }
            Self::Need(numbers, sizes) => {
                all_ids.get_vals(docs, ids);
                sizes.get_vals(docs, ranks);
                for (rank, id) in ranks.iter_mut().zip(ids) {
                    *rank = match numbers.get(*id) {
                        Some(swarm) => directed(need(&swarm, *rank), descending),
                        None => u64::MAX,
                    };
                }
                true
            }
            Self::Name(_, ordinals) => {
                ordinals.get_vals(docs, ranks);
                for rank in ranks {
                    *rank = directed(*rank * 2 + 1, descending);
                }
                false
            }
            // Taken level by level.
            Self::Level => false,
        }
    }
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

    /// Whether anything of this rank can be among the best, or is to be counted as passed.
    fn may_want(&self, rank: u64) -> bool {
        !self.is_beyond(rank) || self.bound.is_some_and(|(bound, _)| rank <= bound)
    }

    /// Whether nothing of this rank is wanted any more.
    fn is_beyond(&self, rank: u64) -> bool {
        self.end.is_some_and(|(end, _)| rank > end)
    }

    /// Whether all of this rank come before what is wanted.
    fn is_passed(&self, rank: u64) -> bool {
        self.bound.is_some_and(|(bound, _)| rank < bound)
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
pub fn full(column: Column<u64>) -> Arc<dyn ColumnValues<u64>> {
    match column.index {
        ColumnIndex::Full => column.values,
        _ => column.first_or_default_col(0),
    }
}
