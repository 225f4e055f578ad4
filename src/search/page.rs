//! One page of a listing: question, bound, walk (or what is remembered of one), facets, cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tantivy::Searcher;

use super::filter::{Cursor, Direction, Facets, Filter, Found, Key, Kind, Notice, Place};
use super::filter::{Sort, SortKey, Who};
use super::index::{Opened, kind_number};
use super::query::{self, Question};
use super::remembered::{DEPTH, Generation, Listing};
use super::walk::{self, Best, Tallies, Walked};
use super::{Search, Tree, words};
use crate::ids::{CategoryId, TagId, TorrentId};

/// Longer pages are cut to this.
pub const MAX_LIMIT: usize = 1_000;
const TOP_TAGS: usize = 30;

pub fn page(
    search: &Search,
    who: Who,
    filter: &Filter,
    sort: Sort,
    cursor: Option<&Cursor>,
    limit: usize,
) -> anyhow::Result<Found> {
    let (words, mut notices) = words::read(&filter.words);
    let sort = match sort.key {
        SortKey::Relevance if words.with.is_empty() => Sort {
            key: SortKey::Date,
            ..sort
        },
        _ => sort,
    };
    let bound = cursor.and_then(|cursor| {
        let bound = cursor.read(sort);
        if bound.is_none() {
            notices.push(Notice::Cursor);
        }
        bound
    });
    let now = Now::of(search);
    let asked = Asked {
        search,
        now: &now,
        question: Question::new(filter, words, who),
        sort,
        limit: limit.clamp(1, MAX_LIMIT),
    };
    let (mut page, facets) = asked.answer(bound.as_ref())?;
    if page.places.is_empty() && page.total > 0 {
        // What the cursor pointed into is gone; the end that is nearest is better than nothing.
        let end = match bound {
            Some((Direction::After, _)) => Some((Direction::Before, Place::end(sort))),
            _ => None,
        };
        page = asked.answer(end.as_ref())?.0;
    }
    let first = page.places.first().filter(|_| page.position > 0);
    let after = page.position + page.places.len() as u64;
    let last = page.places.last().filter(|_| after < page.total);
    Ok(Found {
        previous: first.map(|place| Cursor::at(sort, Direction::Before, place)),
        next: last.map(|place| Cursor::at(sort, Direction::After, place)),
        ids: page
            .places
            .iter()
            .filter_map(|place| i64::try_from(place.id).ok().map(TorrentId))
            .collect(),
        total: page.total,
        position: page.position,
        facets,
        notices,
    })
}

/// How many `who` may find; nothing of it is remembered.
pub fn count(search: &Search, who: Who, filter: &Filter) -> anyhow::Result<u64> {
    let (words, _) = words::read(&filter.words);
    let now = Now::of(search);
    let asked = Asked {
        search,
        now: &now,
        question: Question::new(filter, words, who),
        sort: Sort::NEWEST,
        limit: 1,
    };
    let walked = asked.run(&asked.question, None, Tallies::default())?;
    Ok(walked.total)
}

impl Place {
    /// Past the last of every listing sorted so.
    fn end(sort: Sort) -> Self {
        let key = match sort.key {
            SortKey::Name if sort.descending => Key::Name(String::new()),
            SortKey::Name => Key::Name(char::MAX.to_string()),
            _ => Key::Rank(u64::MAX),
        };
        let id = if sort.descending { 0 } else { u64::MAX };
        Self { key, id }
    }
}

/// The index and the tree as they are at this moment, for the whole of one page.
struct Now {
    opened: Arc<Opened>,
    searcher: Searcher,
    tree: Arc<Tree>,
    generation: Generation,
}

impl Now {
    fn of(search: &Search) -> Self {
        let opened = search.opened();
        let searcher = opened.reader.searcher();
        let tree = search.tree();
        Self {
            generation: Generation {
                opened: opened.serial,
                commit: searcher.generation().generation_id(),
                tree: tree.version,
            },
            opened,
            searcher,
            tree,
        }
    }
}

struct Asked<'s> {
    search: &'s Search,
    now: &'s Now,
    question: Question,
    sort: Sort,
    limit: usize,
}

struct Page {
    places: Vec<Place>,
    total: u64,
    position: u64,
}

impl Asked<'_> {
    fn answer(&self, bound: Option<&(Direction, Place)>) -> anyhow::Result<(Page, Facets)> {
        let remembered = &self.search.remembered;
        let generation = self.now.generation;
        let torrents = self.now.searcher.num_docs();
        if !self.question.is_wordless() || !remembered.is_worth_it(torrents) {
            return self.walked(bound);
        }
        let listing = || remembered.listing(&self.question, self.sort, generation);
        let facets = || remembered.facets(&self.question, generation);
        let (listing, facets) = match (listing(), facets()) {
            (Some(listing), Some(facets)) => (listing, facets),
            _ => {
                let _turn = remembered.turn();
                match (listing(), facets()) {
                    (Some(listing), Some(facets)) => (listing, facets),
                    _ => self.make_listing()?,
                }
            }
        };
        match listing.page(self.sort, bound, self.limit) {
            Some((places, position)) => Ok((
                Page {
                    places: places.to_vec(),
                    total: listing.total,
                    position,
                },
                facets,
            )),
            None => self.walked(bound),
        }
    }

    fn make_listing(&self) -> anyhow::Result<(Arc<Listing>, Facets)> {
        let made = Instant::now();
        let (walked, facets) = self.walk(None, DEPTH)?;
        let listing = Arc::new(Listing {
            total: walked.total,
            places: walked.places,
            made,
        });
        self.search.remembered.keep_listing(
            self.question.clone(),
            self.sort,
            self.now.generation,
            listing.clone(),
        );
        Ok((listing, facets))
    }

    fn walked(&self, bound: Option<&(Direction, Place)>) -> anyhow::Result<(Page, Facets)> {
        let (walked, facets) = self.walk(bound, self.limit)?;
        Ok((
            Page {
                places: walked.places,
                total: walked.total,
                position: walked.position,
            },
            facets,
        ))
    }

    /// Walks for places, and for facets unless they are known.
    fn walk(
        &self,
        bound: Option<&(Direction, Place)>,
        limit: usize,
    ) -> anyhow::Result<(Walked, Facets)> {
        let known = self
            .search
            .remembered
            .facets(&self.question, self.now.generation);
        let levels = match self.sort.key {
            SortKey::Relevance => query::levels(&self.now.opened.fields, &self.question.words),
            _ => Vec::new(),
        };
        let best = Best {
            sort: self.sort,
            levels: &levels,
            bound: bound.map(|(direction, place)| (*direction, place)),
            limit,
        };
        let tallies = match known {
            Some(_) => Tallies::default(),
            None => Tallies {
                tags: true,
                categories: self.question.category.is_none(),
                kinds: self.question.kind.is_none(),
            },
        };
        let mut walked = self.run(&self.question, Some(&best), tallies)?;
        let facets = match known {
            Some(facets) => facets,
            None => self.facets(&mut walked)?,
        };
        Ok((walked, facets))
    }

    fn run(
        &self,
        question: &Question,
        best: Option<&Best<'_>>,
        tallies: Tallies,
    ) -> anyhow::Result<Walked> {
        let category = question.category.map(|id| self.now.tree.from(id));
        let hits = query::build(
            &self.now.searcher,
            &self.now.opened.fields,
            question,
            category.as_deref(),
        );
        let numbers = &self.search.numbers;
        Ok(walk::walk(
            &self.now.searcher,
            &hits,
            numbers,
            best,
            tallies,
        )?)
    }

    /// Makes facets of what a walk tallied; a chosen category or kind needs a walk without it.
    fn facets(&self, walked: &mut Walked) -> anyhow::Result<Facets> {
        let without = |change: fn(&mut Question), tallies| {
            let mut question = self.question.clone();
            change(&mut question);
            self.run(&question, None, tallies)
        };
        if self.question.category.is_some() {
            let tallies = Tallies {
                categories: true,
                ..Tallies::default()
            };
            walked.categories = without(|q| q.category = None, tallies)?.categories;
        }
        if self.question.kind.is_some() {
            let tallies = Tallies {
                kinds: true,
                ..Tallies::default()
            };
            walked.kinds = without(|q| q.kind = None, tallies)?.kinds;
        }
        let facets = Facets {
            categories: by_category(&walked.categories, &self.now.tree),
            tags: most_frequent(&walked.tags),
            kinds: [Kind::V1, Kind::Hybrid, Kind::V2]
                .into_iter()
                .filter_map(|kind| {
                    let count = walked.kinds.get(&kind_number(kind))?;
                    Some((kind, *count))
                })
                .collect(),
        };
        self.search.remembered.keep_facets(
            self.question.clone(),
            self.now.generation,
            facets.clone(),
        );
        Ok(facets)
    }
}

fn by_category(counts: &HashMap<u64, u64>, tree: &Tree) -> Vec<(CategoryId, u64)> {
    let mut sums: HashMap<CategoryId, u64> = HashMap::new();
    for (id, count) in counts {
        let Ok(id) = i64::try_from(*id).map(CategoryId) else {
            continue;
        };
        *sums.entry(id).or_default() += count;
        if let Some(parent) = tree.parent_of(id) {
            *sums.entry(parent).or_default() += count;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable();
    sums
}

fn most_frequent(counts: &HashMap<u64, u64>) -> Vec<(TagId, u64)> {
    let mut tags: Vec<(TagId, u64)> = counts
        .iter()
        .filter_map(|(id, count)| Some((TagId(i64::try_from(*id).ok()?), *count)))
        .collect();
    tags.sort_unstable_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
    tags.truncate(TOP_TAGS);
    tags
}
