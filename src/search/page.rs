//! One page of a listing: question, bound, walk (or what is remembered of one), facets, cursors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tantivy::Searcher;

use super::evaluate::View;
use super::filter::{Cursor, Direction, Facets, Filter, Found, Key, Kind, Notice, Place};
use super::filter::{Sort, SortKey, Who};
use super::index::{Opened, kind_number};
use super::query::Question;
use super::remembered::{DEPTH, Generation, Listing};
use super::walk::{self, Best, Tallies, Walked};
use super::{Search, Tree};
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
    let now = Now::of(search);
    let (asked, bound, notices) = Asked::of(search, &now, who, filter, sort, cursor, limit);
    let (mut page, facets) = asked.answer(bound.as_ref())?;
    if page.places.is_empty() && page.total > 0 {
        // What the cursor pointed into is gone; the end that is nearest is better than nothing.
        let end = match bound {
            Some((Direction::After, _)) => Some((Direction::Before, Place::end(asked.sort))),
            _ => None,
        };
        page = asked.answer(end.as_ref())?.0;
    }
    Ok(found(asked.sort, &page, facets, notices))
}

/// The page if nothing has to be walked for it.
pub fn known_page(
    search: &Search,
    who: Who,
    filter: &Filter,
    sort: Sort,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Option<Found> {
    let now = Now::of(search);
    let (asked, bound, notices) = Asked::of(search, &now, who, filter, sort, cursor, limit);
    let (listing, facets) = asked.remembered()?;
    let page = asked.page_of(&listing, bound.as_ref())?;
    (!page.places.is_empty()).then(|| found(asked.sort, &page, facets, notices))
}

fn found(sort: Sort, page: &Page, facets: Facets, notices: Vec<Notice>) -> Found {
    let first = page.places.first().filter(|_| page.position > 0);
    let after = page.position + page.places.len() as u64;
    let last = page.places.last().filter(|_| after < page.total);
    Found {
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
    }
}

/// The page behind the first `places` of a listing; `None` if there are no more than these.
pub fn page_behind(
    search: &Search,
    who: Who,
    filter: &Filter,
    sort: Sort,
    places: usize,
    limit: usize,
) -> anyhow::Result<Option<Found>> {
    let question = Question::new(filter, who);
    let sort = fitting(sort, &question);
    let asked = Asked {
        search,
        now: &Now::of(search),
        question,
        sort,
        limit: places + limit.clamp(1, MAX_LIMIT),
    };
    let (mut page, facets) = asked.answer(None)?;
    if page.places.len() <= places {
        return Ok(None);
    }
    page.places.drain(..places);
    page.position = places as u64;
    Ok(Some(found(sort, &page, facets, Vec::new())))
}

/// How many `who` may find; nothing of it is remembered.
pub fn count(search: &Search, who: Who, filter: &Filter) -> anyhow::Result<u64> {
    let asked = Asked {
        search,
        now: &Now::of(search),
        question: Question::new(filter, who),
        sort: Sort::NEWEST,
        limit: 1,
    };
    Ok(asked.run(&asked.question, None, Tallies::default())?.total)
}

/// Without words no match is better than another.
fn fitting(sort: Sort, question: &Question) -> Sort {
    match sort.key {
        SortKey::Relevance if !question.has_words() => Sort {
            key: SortKey::Date,
            ..sort
        },
        _ => sort,
    }
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

type Bound = Option<(Direction, Place)>;

impl<'s> Asked<'s> {
    fn of(
        search: &'s Search,
        now: &'s Now,
        who: Who,
        filter: &Filter,
        sort: Sort,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> (Self, Bound, Vec<Notice>) {
        let mut notices = Vec::new();
        let question = Question::new(filter, who);
        let sort = fitting(sort, &question);
        let bound = cursor.and_then(|cursor| {
            let bound = cursor.read(sort);
            if bound.is_none() {
                notices.push(Notice::Cursor);
            }
            bound
        });
        let limit = limit.clamp(1, MAX_LIMIT);
        let asked = Self {
            search,
            now,
            question,
            sort,
            limit,
        };
        (asked, bound, notices)
    }

    /// Whether it may be remembered at all.
    fn is_worth_it(&self) -> bool {
        let torrents = self.now.searcher.num_docs();
        self.question.is_wordless() && self.search.remembered.is_worth_it(torrents)
    }

    fn remembered(&self) -> Option<(Arc<Listing>, Facets)> {
        if !self.is_worth_it() {
            return None;
        }
        let remembered = &self.search.remembered;
        let generation = self.now.generation;
        let listing = remembered.listing(&self.question, self.sort, generation)?;
        Some((listing, remembered.facets(&self.question, generation)?))
    }

    fn page_of(&self, listing: &Listing, bound: Option<&(Direction, Place)>) -> Option<Page> {
        let (places, position) = listing.page(self.sort, bound, self.limit)?;
        Some(Page {
            places: places.to_vec(),
            total: listing.total,
            position,
        })
    }

    fn answer(&self, bound: Option<&(Direction, Place)>) -> anyhow::Result<(Page, Facets)> {
        if !self.is_worth_it() {
            return self.walked(bound);
        }
        let (listing, facets) = match self.remembered() {
            Some(known) => known,
            None => {
                let _turn = self.search.remembered.turn();
                match self.remembered() {
                    Some(known) => known,
                    None => self.make_listing()?,
                }
            }
        };
        match self.page_of(&listing, bound) {
            Some(page) => Ok((page, facets)),
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
        let best = Best {
            sort: self.sort,
            bound: bound.map(|(direction, place)| (*direction, place)),
            limit,
        };
        let tallies = match known {
            Some(_) => Tallies::default(),
            None => Tallies {
                tags: true,
                categories: self.question.without_category().is_none(),
                kinds: self.question.without_kind().is_none(),
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
        let view = View {
            searcher: &self.now.searcher,
            fields: &self.now.opened.fields,
            ids: &self.now.opened.ids,
            tree: &self.now.tree,
            numbers: self.search.numbers.reader(),
        };
        Ok(walk::walk(&view, question, best, tallies)?)
    }

    /// Makes facets of what a walk tallied; a chosen category or kind needs a walk without it.
    fn facets(&self, walked: &mut Walked) -> anyhow::Result<Facets> {
        if let Some(question) = self.question.without_category() {
            let tallies = Tallies {
                categories: true,
                ..Tallies::default()
            };
            walked.categories = self.run(&question, None, tallies)?.categories;
        }
        if let Some(question) = self.question.without_kind() {
            let tallies = Tallies {
                kinds: true,
                ..Tallies::default()
            };
            walked.kinds = self.run(&question, None, tallies)?.kinds;
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
