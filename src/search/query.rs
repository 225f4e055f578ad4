//! A filter as an index query. The viewer's rule is a clause of every one.

use std::ops::Bound;

use tantivy::query::doc_predicate_query::FunctionPredicate;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery,
    TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, SegmentReader, Term as IndexTerm};

use super::dense::any_of;
use super::except::Except;
use super::filter::Who;
use super::fold;
use super::index::{Fields, TextField, column, kind_number, unsigned};
use super::language::values::Range;
use super::numbers::{Numbers, Snapshot};
use super::rule::{Check, Flag, Rule};
use super::walk;
use super::words::Term;
use super::{Filter, Tree};

/// A phrase's last part may begin this many different parts per segment; more are not looked at.
const PREFIX_EXPANSIONS: u32 = 1_000;

/// A [`Filter`] settled for a viewer: what makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub all: Vec<Rule>,
}

impl Question {
    pub fn new(filter: &Filter, who: Who) -> Self {
        let mut all = Vec::new();
        for rule in &filter.all {
            let rule = rule.settled(who);
            if !all.contains(&rule) {
                all.push(rule);
            }
        }
        Self { all }
    }

    pub fn is_wordless(&self) -> bool {
        !self.all.iter().any(Rule::reads_texts)
    }

    pub fn has_words(&self) -> bool {
        self.all.iter().any(Rule::has_words)
    }

    /// Whether the answer changes without the index.
    pub fn reads_numbers(&self) -> bool {
        self.all.iter().any(Rule::reads_numbers)
    }

    /// The question without the one rule of a kind that is a choice; `None` if there is none, or more than one.
    pub fn without(&self, is_choice: impl Fn(&Rule) -> bool) -> Option<Self> {
        let mut choices = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, rule)| is_choice(rule));
        let (at, _) = choices.next()?;
        if choices.next().is_some() {
            return None;
        }
        let mut all = self.all.clone();
        all.remove(at);
        Some(Self { all })
    }

    pub fn without_category(&self) -> Option<Self> {
        self.without(|rule| matches!(rule, Rule::Category(_)))
    }

    pub fn without_kind(&self) -> Option<Self> {
        self.without(|rule| matches!(rule, Rule::Kind(_)))
    }
}

/// Where words may stand, best place first.
const PLACES: usize = 4;

/// What a question's hits match, and what they must not match: tantivy's own exclusion asks phrases about documents
/// they have passed, which they take for a fault. Swarm numbers are looked up hit by hit.
pub struct Hits {
    pub with: Box<dyn Query>,
    pub without: Option<Box<dyn Query>>,
    pub checks: Vec<Check>,
}

/// Turns rules into queries of one index.
pub struct Builder<'i> {
    searcher: &'i Searcher,
    fields: &'i Fields,
    tree: &'i Tree,
    numbers: &'i Numbers,
}

impl<'i> Builder<'i> {
    pub fn new(
        searcher: &'i Searcher,
        fields: &'i Fields,
        tree: &'i Tree,
        numbers: &'i Numbers,
    ) -> Self {
        Self {
            searcher,
            fields,
            tree,
            numbers,
        }
    }

    pub fn hits(&self, question: &Question) -> Hits {
        let mut with = Vec::new();
        with.extend(visible(self.searcher, self.fields));
        let mut without = Vec::new();
        let mut checks = Vec::new();
        for rule in &question.all {
            match rule {
                Rule::Not(rule) => without.push(self.query(rule, PLACES)),
                Rule::Swarm(check) => checks.push(*check),
                rule => with.push(self.query(rule, PLACES)),
            }
        }
        Hits {
            with: all(with),
            without: (!without.is_empty()).then(|| any_of(without)),
            checks,
        }
    }

    /// The levels of relevance above "all words are somewhere", each narrower than the one before: without file names,
    /// without labels, in the title alone, the exact title. What takes out, and what is no word, stays as it is.
    pub fn levels(&self, question: &Question) -> Vec<Box<dyn Query>> {
        let narrowed = |places| {
            let rules = question.all.iter().filter(|rule| rule.has_words());
            any_of(vec![all(rules
                .map(|rule| self.query(rule, places))
                .collect())])
        };
        let mut levels: Vec<_> = (1..PLACES).rev().map(narrowed).collect();
        let keys = title_keys(&question.all);
        let exact_titles = keys
            .iter()
            .map(|key| exact(IndexTerm::from_field_text(self.fields.title_key, key)));
        levels.push(any(exact_titles.collect()));
        levels
    }

    /// Words have to stand in one of the first `places`.
    fn query(&self, rule: &Rule, places: usize) -> Box<dyn Query> {
        let fields = self.fields;
        match rule {
            Rule::All(rules) => self.all(rules, places),
            Rule::Any(rules) => any(rules.iter().map(|rule| self.query(rule, places)).collect()),
            Rule::Not(rule) => Except::query(Box::new(AllQuery), self.query(rule, PLACES)),
            Rule::Words(term) => self.words(term, places),
            Rule::File(term) => any(ways(fields.files, term)),
            Rule::Category(id) => {
                let ids = self.tree.from(*id);
                any(ids.iter().map(|id| number(fields.category, id.0)).collect())
            }
            Rule::Tag(id) => number(fields.tag, id.0),
            Rule::Uploaders(ids) => one_of(fields.shown_owner, ids.iter().map(|id| id.0)),
            Rule::Owners(ids) => one_of(fields.owner, ids.iter().map(|id| id.0)),
            Rule::Kind(kind) => exact(IndexTerm::from_field_u64(fields.kind, kind_number(*kind))),
            Rule::Flag(flag) => self.flag(*flag),
            Rule::Torrent(id) => number(fields.id, id.0),
            Rule::Size(range) => within(fields.size, *range),
            Rule::Created { from, before } => match unsigned(before.0) {
                0 => Box::new(EmptyQuery),
                before => {
                    let (from, to) = (unsigned(from.0), before - 1);
                    within(fields.created_at, Range { from, to })
                }
            },
            Rule::NewerThan(id) => {
                let (from, to) = (unsigned(id.0).saturating_add(1), u64::MAX);
                within(fields.id, Range { from, to })
            }
            Rule::Swarm(check) => swarm(self.numbers.snapshot(), *check),
        }
    }

    fn all(&self, rules: &[Rule], places: usize) -> Box<dyn Query> {
        let (without, with): (Vec<_>, Vec<_>) =
            rules.iter().partition(|rule| matches!(rule, Rule::Not(_)));
        let with = all(with
            .into_iter()
            .map(|rule| self.query(rule, places))
            .collect());
        if without.is_empty() {
            return with;
        }
        let without = without.into_iter().filter_map(|rule| match rule {
            Rule::Not(rule) => Some(self.query(rule, PLACES)),
            _ => None,
        });
        Except::query(with, any(without.collect()))
    }

    fn words(&self, term: &Term, places: usize) -> Box<dyn Query> {
        let fields = self.fields;
        if let Term::Inside(pieces) = term {
            // Title and name are looked into together.
            return match places {
                0 | 1 => Box::new(EmptyQuery),
                _ => all(pieces
                    .iter()
                    .map(|piece| in_a_row(fields.inside, &fold::grams(piece)))
                    .collect()),
            };
        }
        let texts = [fields.title, fields.name, fields.labels, fields.files];
        any_of(
            texts
                .into_iter()
                .take(places)
                .flat_map(|place| ways(place, term))
                .collect(),
        )
    }

    fn flag(&self, flag: Flag) -> Box<dyn Query> {
        exact(IndexTerm::from_field_text(self.fields.flag, flag.as_str()))
    }
}

/// Titles that consist of exactly these words: more than one where there are alternatives, and few.
pub fn title_keys(all: &[Rule]) -> Vec<String> {
    let mut titles = vec![Vec::new()];
    for rule in all {
        append(rule, &mut titles);
    }
    let mut keys: Vec<String> = titles
        .iter()
        .filter(|parts| !parts.is_empty())
        .map(|parts| fold::key(&parts.join(" ")))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

const MAX_TITLES: usize = 16;

fn append<'r>(rule: &'r Rule, titles: &mut Vec<Vec<&'r str>>) {
    match rule {
        Rule::All(rules) => rules.iter().for_each(|rule| append(rule, titles)),
        Rule::Any(rules) if rule.has_words() => {
            let before = std::mem::take(titles);
            for rule in rules {
                let mut ways = before.clone();
                append(rule, &mut ways);
                titles.extend(ways);
            }
            titles.truncate(MAX_TITLES);
        }
        Rule::Words(term) => {
            for title in titles {
                title.extend(term.parts().iter().map(String::as_str));
            }
        }
        _ => {}
    }
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

/// The ways in which a term may stand in a text.
fn ways(place: TextField, term: &Term) -> Vec<Box<dyn Query>> {
    let mut ways = Vec::new();
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
        // Only titles and names are looked into.
        Term::Inside(_) => {}
    }
    ways
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

fn one_of(field: Field, ids: impl Iterator<Item = i64>) -> Box<dyn Query> {
    let mut terms: Vec<_> = ids
        .map(|id| IndexTerm::from_field_u64(field, unsigned(id)))
        .collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => exact(terms.swap_remove(0)),
        _ => Box::new(TermSetQuery::new(terms)),
    }
}

fn within(field: Field, range: Range) -> Box<dyn Query> {
    if range == Range::ALL {
        return Box::new(AllQuery);
    }
    if range.from > range.to {
        return Box::new(EmptyQuery);
    }
    let bound = |n| Bound::Included(IndexTerm::from_field_u64(field, n));
    Box::new(RangeQuery::new(bound(range.from), bound(range.to)))
}

/// Swarm numbers among alternatives or exclusions: every document is looked at, hits or not.
fn swarm(numbers: Snapshot, check: Check) -> Box<dyn Query> {
    let of_segment = move |segment: &SegmentReader| {
        let ids = walk::full(segment.fast_fields().u64(column::ID)?);
        let numbers = numbers.clone();
        Ok(move |doc: DocId| check.holds(numbers.get(ids.get_val(doc))))
    };
    let query: tantivy::query::doc_predicate_query::DocPredicateQuery =
        FunctionPredicate::from(of_segment).into();
    Box::new(query)
}

/// Of none: everything.
fn all(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(AllQuery),
        1 => queries.swap_remove(0),
        _ => Box::new(BooleanQuery::new(
            queries
                .into_iter()
                .map(|query| (Occur::Must, query))
                .collect(),
        )),
    }
}

/// Of none: nothing.
fn any(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.swap_remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}
