//! A filter as an index query. The viewer's rule is a clause of every one.

use std::ops::Bound;

use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term as IndexTerm};

use super::filter::{Kind, Who};
use super::index::{Fields, TextField, kind_number, unsigned};
use super::words::{Term, Words};
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};

/// A phrase's last part may begin this many different parts per segment; more are not looked at.
const PREFIX_EXPANSIONS: u32 = 1_000;

/// A [`super::Filter`] with everything resolved that does not depend on the index: what makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub words: Words,
    /// The chosen category.
    pub category: Option<CategoryId>,
    /// Sorted, each once.
    pub tags: Vec<TagId>,
    pub uploader: Option<UserId>,
    /// Whether anonymous uploads may match `uploader`.
    pub sees_anonymous: bool,
    pub kind: Option<Kind>,
    pub needs_seeds: Option<Timestamp>,
    pub newer_than: Option<TorrentId>,
}

impl Question {
    pub fn new(filter: &super::Filter, words: Words, who: Who) -> Self {
        let mut tags = filter.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        Self {
            words,
            category: filter.category,
            tags,
            uploader: filter.uploader,
            // The same for everybody where it does not matter, so that one answer serves all.
            sees_anonymous: filter
                .uploader
                .is_some_and(|uploader| who.sees_anonymous_of(uploader)),
            kind: filter.kind,
            needs_seeds: filter.needs_seeds,
            newer_than: filter.newer_than,
        }
    }

    pub fn is_wordless(&self) -> bool {
        self.words == Words::default()
    }
}

/// Where words may stand, best place first.
const PLACES: usize = 4;

fn places(fields: &Fields) -> [TextField; PLACES] {
    [fields.title, fields.name, fields.labels, fields.files]
}

/// What a question's hits match, and what they must not match: tantivy's own exclusion asks phrases about documents
/// they have passed, which they take for a fault.
pub struct Hits {
    pub with: Box<dyn Query>,
    pub without: Option<Box<dyn Query>>,
    /// What swarm numbers must say, which are not in the index.
    pub needs_seeds: Option<Timestamp>,
}

/// The query of a question. `category` is the chosen one with those below it.
pub fn build(
    searcher: &Searcher,
    fields: &Fields,
    question: &Question,
    category: Option<&[CategoryId]>,
) -> Hits {
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    if let Some(rule) = visible(searcher, fields) {
        clauses.push((Occur::Must, rule));
    }
    let places = places(fields);
    for term in &question.words.with {
        clauses.push((Occur::Must, found_in(&places, term)));
    }
    if let Some(ids) = category {
        let ids = ids.iter().map(|id| number(fields.category, id.0)).collect();
        clauses.push((Occur::Must, any(ids)));
    }
    for tag in &question.tags {
        clauses.push((Occur::Must, number(fields.tag, tag.0)));
    }
    if let Some(uploader) = question.uploader {
        let field = if question.sees_anonymous {
            fields.owner
        } else {
            fields.shown_owner
        };
        clauses.push((Occur::Must, number(field, uploader.0)));
    }
    if let Some(kind) = question.kind {
        let term = IndexTerm::from_field_u64(fields.kind, kind_number(kind));
        clauses.push((Occur::Must, exact(term)));
    }
    if let Some(id) = question.newer_than {
        let seen = IndexTerm::from_field_u64(fields.id, unsigned(id.0));
        let newer = RangeQuery::new(Bound::Excluded(seen), Bound::Unbounded);
        clauses.push((Occur::Must, Box::new(newer)));
    }
    let excluded = question.words.without.iter();
    let excluded: Vec<_> = excluded.map(|term| found_in(&places, term)).collect();
    Hits {
        with: match clauses.is_empty() {
            true => Box::new(AllQuery),
            false => Box::new(BooleanQuery::new(clauses)),
        },
        without: (!excluded.is_empty()).then(|| any(excluded)),
        needs_seeds: question.needs_seeds,
    }
}

/// The levels of relevance above "all words are somewhere", each narrower than the one before: without file names,
/// without labels, in the title alone, the exact title.
pub fn levels(fields: &Fields, words: &Words) -> Vec<Box<dyn Query>> {
    let places = places(fields);
    let mut levels: Vec<Box<dyn Query>> = (1..PLACES)
        .rev()
        .map(|narrow| {
            let all = words
                .with
                .iter()
                .map(|term| (Occur::Must, found_in(&places[..narrow], term)))
                .collect();
            Box::new(BooleanQuery::new(all)) as Box<dyn Query>
        })
        .collect();
    let key = title_key(words);
    levels.push(exact(IndexTerm::from_field_text(fields.title_key, &key)));
    levels
}

/// The key of a title that consists of exactly these words.
pub fn title_key(words: &Words) -> String {
    let parts: Vec<&str> = words
        .with
        .iter()
        .flat_map(|term| {
            let (Term::Word { parts, .. } | Term::Prefix(parts) | Term::Phrase(parts)) = term;
            parts.iter().map(String::as_str)
        })
        .collect();
    super::fold::key(&parts.join(" "))
}

/// What the viewer may find: what is published. `None` while nothing else is in the index, so that counting all
/// torrents is no walk through them.
fn visible(searcher: &Searcher, fields: &Fields) -> Option<Box<dyn Query>> {
    let published = fields.published();
    let all: u64 = searcher
        .segment_readers()
        .iter()
        .map(|segment| u64::from(segment.max_doc()))
        .sum();
    // Both numbers count what is deleted but not merged away yet.
    if searcher.doc_freq(&published).is_ok_and(|n| n == all) {
        return None;
    }
    Some(exact(published))
}

fn found_in(places: &[TextField], term: &Term) -> Box<dyn Query> {
    let mut ways = Vec::new();
    for place in places {
        match term {
            Term::Word { parts, joined } => {
                ways.push(in_a_row(place.parts, parts));
                if let Some(joined) = joined {
                    ways.push(exact(IndexTerm::from_field_text(place.joined, joined)));
                    // One part alone is not repeated in the field of joined words.
                    if parts.len() > 1 {
                        ways.push(exact(IndexTerm::from_field_text(place.parts, joined)));
                    }
                }
            }
            Term::Phrase(parts) => ways.push(in_a_row(place.parts, parts)),
            Term::Prefix(parts) => ways.push(beginning(place.parts, parts)),
        }
    }
    any(ways)
}

fn in_a_row(field: Field, parts: &[String]) -> Box<dyn Query> {
    match parts {
        [] => Box::new(EmptyQuery),
        [part] => exact(IndexTerm::from_field_text(field, part)),
        parts => Box::new(PhraseQuery::new(terms(field, parts))),
    }
}

fn beginning(field: Field, parts: &[String]) -> Box<dyn Query> {
    match parts {
        [] => Box::new(EmptyQuery),
        [part] => {
            // No part contains the last of all characters.
            let end = format!("{part}{}", char::MAX);
            Box::new(RangeQuery::new(
                Bound::Included(IndexTerm::from_field_text(field, part)),
                Bound::Excluded(IndexTerm::from_field_text(field, &end)),
            ))
        }
        parts => {
            let mut query = PhrasePrefixQuery::new(terms(field, parts));
            query.set_max_expansions(PREFIX_EXPANSIONS);
            Box::new(query)
        }
    }
}

fn terms(field: Field, parts: &[String]) -> Vec<IndexTerm> {
    parts
        .iter()
        .map(|part| IndexTerm::from_field_text(field, part))
        .collect()
}

fn number(field: Field, id: i64) -> Box<dyn Query> {
    exact(IndexTerm::from_field_u64(field, unsigned(id)))
}

fn exact(term: IndexTerm) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn any(mut ways: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    if ways.len() == 1 {
        return ways.swap_remove(0);
    }
    Box::new(BooleanQuery::union(ways))
}
