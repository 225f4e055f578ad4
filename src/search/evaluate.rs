//! What a question matches in one segment, as sets of bits. Words are looked for in four places, from the best to the
//! widest, and one evaluation answers for all of them: that is what relevance is made of.

use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::query::{EnableScoring, PhrasePrefixQuery, Query, Scorer};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocSet, Searcher, SeekDangerResult, SegmentReader, TERMINATED,
    Term as IndexTerm,
};

use super::Tree;
use super::bits::Bits;
use super::fold;
use super::ids::Ids;
use super::index::{Fields, TextField, column, kind_number, unsigned};
use super::language::values::Range;
use super::numbers;
use super::query::{Question, title_keys};
use super::rows;
use super::rule::{Check, Rule};
use super::walk;
use super::words::Term;

/// A phrase's last part may begin this many different parts per segment; more are not looked at.
const PREFIX_EXPANSIONS: u32 = 1_000;
/// Where words may stand: title, name, labels, file names.
const PLACES: usize = 4;
/// One step to a document far ahead costs about as much as reading so many of a list in a row.
const SEEK: u32 = 16;
/// The same where words have to stand in a row.
const SEEK_PHRASE: u32 = 2;
/// The same in a column of numbers.
const SEEK_NUMBER: u32 = 4;

/// What matches, and from how few places: with the words in any place, without file names, without labels too, in the
/// title alone. Each set holds the next; one set alone is the same for all places.
struct Graded(Vec<Bits>);

impl Graded {
    fn widest(&self) -> &Bits {
        &self.0[0]
    }

    fn of(&self, grade: usize) -> &Bits {
        self.0.get(grade).unwrap_or(&self.0[0])
    }

    fn join(&mut self, other: &Self, how: impl Fn(&mut Bits, &Bits)) {
        for grade in 1..other.0.len() {
            if self.0.len() == grade {
                self.0.push(self.0[0].clone());
            }
        }
        for (grade, bits) in self.0.iter_mut().enumerate() {
            how(bits, other.of(grade));
        }
    }
}

/// Documents outside of these need not be answered for.
#[derive(Clone, Copy)]
struct Among<'b> {
    bits: &'b Bits,
    count: u32,
}

impl<'b> Among<'b> {
    fn of(bits: &'b Bits) -> Self {
        let count = bits.count();
        Self { bits, count }
    }

    /// Whether it is cheaper to ask about each of them than to read a list of that length.
    fn are_few(&self, listed: u32, step: u32) -> bool {
        u64::from(self.count) * u64::from(step) < u64::from(listed)
    }
}

/// What a question matches.
pub struct Matched {
    pub hits: Bits,
    /// For relevance: the hits in [`LEVELS`] parts, the worst first.
    pub levels: Vec<Bits>,
}

/// In the file names or further away, in labels, in the name, in the title, the exact title.
const LEVELS: usize = PLACES + 1;

/// What questions are asked of.
pub struct View<'s> {
    pub searcher: &'s Searcher,
    pub fields: &'s Fields,
    pub ids: &'s Ids,
    pub tree: &'s Tree,
    pub numbers: numbers::Reader<'s>,
}

pub struct Evaluator<'v> {
    pub view: &'v View<'v>,
    pub segment: &'v SegmentReader,
}

impl Evaluator<'_> {
    /// The viewer's rule is a part of every question: only what is published is found.
    pub fn matched(&self, question: &Question, by_relevance: bool) -> tantivy::Result<Matched> {
        let documents = self.segment.max_doc();
        let mut all = Bits::all(documents);
        let published = self.view.fields.published();
        // The count includes what is deleted but not merged away yet, as `documents` does.
        if self
            .segment
            .inverted_index(published.field())?
            .doc_freq(&published)?
            < documents
        {
            all = Bits::none(documents);
            self.add_term(&mut all, &published, None)?;
        }
        let grades = if by_relevance { PLACES } else { 1 };
        let mut found = self.all(&question.all, Among::of(&all), grades)?;
        if let Some(alive) = self.segment.alive_bitset() {
            for bits in &mut found.0 {
                bits.retain(|doc| alive.is_alive(doc));
            }
        }
        let levels = match by_relevance {
            true => self.levels(question, &found)?,
            false => Vec::new(),
        };
        Ok(Matched {
            hits: found.0.swap_remove(0),
            levels,
        })
    }

    /// A level higher for each set that a document is in.
    fn levels(&self, question: &Question, found: &Graded) -> tantivy::Result<Vec<Bits>> {
        let documents = self.segment.max_doc();
        let mut exact = Bits::none(documents);
        for key in title_keys(&question.all) {
            let key = IndexTerm::from_field_text(self.view.fields.title_key, &key);
            self.add_term(&mut exact, &key, Some(Among::of(found.widest())))?;
        }
        exact.keep(found.widest());
        let mut levels: Vec<Bits> = (0..PLACES).map(|grade| found.of(grade).clone()).collect();
        for grade in 1..PLACES {
            let (wider, narrower) = levels.split_at_mut(grade);
            wider[grade - 1].remove(&narrower[0]);
        }
        levels.push(Bits::none(documents));
        for grade in (0..PLACES).rev() {
            let mut raised = levels[grade].clone();
            raised.keep(&exact);
            levels[grade].remove(&exact);
            levels[grade + 1].add(&raised);
        }
        debug_assert_eq!(levels.len(), LEVELS);
        Ok(levels)
    }

    fn graded(&self, rule: &Rule, among: Among<'_>, grades: usize) -> tantivy::Result<Graded> {
        let fields = self.view.fields;
        let mut bits = Bits::none(self.segment.max_doc());
        match rule {
            Rule::All(rules) => return self.all(rules, among, grades),
            Rule::Any(rules) => {
                let mut found = Graded(vec![bits]);
                for rule in rules {
                    found.join(&self.graded(rule, among, grades)?, Bits::add);
                }
                return Ok(found);
            }
            Rule::Words(term) => return self.words(term, among, grades),
            Rule::Not(rule) => {
                bits.add(among.bits);
                bits.remove(self.graded(rule, among, 1)?.widest());
            }
            Rule::File(term) => self.add_text(&mut bits, fields.files, term, among)?,
            Rule::Size(range) => self.add_within(&mut bits, column::SIZE, *range, among)?,
            Rule::Created { from, before } => {
                if let Some(to) = unsigned(before.0).checked_sub(1) {
                    let from = unsigned(from.0);
                    let range = Range { from, to };
                    self.add_within(&mut bits, column::CREATED_AT, range, among)?;
                }
            }
            Rule::NewerThan(id) => {
                let (from, to) = (unsigned(id.0).saturating_add(1), u64::MAX);
                self.add_within(&mut bits, column::ID, Range { from, to }, among)?;
            }
            Rule::Swarm(check) => {
                bits.add(among.bits);
                self.check(&mut bits, *check)?;
            }
            rule => {
                for term in self.terms(rule) {
                    self.add_term(&mut bits, &term, Some(among))?;
                }
            }
        }
        Ok(Graded(vec![bits]))
    }

    /// The fewest first, and each only among those that are left.
    fn all(&self, rules: &[Rule], among: Among<'_>, grades: usize) -> tantivy::Result<Graded> {
        let mut found = Graded(vec![among.bits.clone()]);
        let mut order: Vec<(u64, &Rule)> = Vec::with_capacity(rules.len());
        for rule in rules {
            let expected = if rules.len() == 1 {
                0
            } else {
                self.expected(rule)?
            };
            order.push((expected, rule));
        }
        order.sort_by_key(|(expected, _)| *expected);
        for (_, rule) in order {
            let left = Among::of(found.widest());
            if left.count == 0 {
                break;
            }
            let next = self.graded(rule, left, grades)?;
            found.join(&next, Bits::keep);
        }
        Ok(found)
    }

    fn words(&self, term: &Term, among: Among<'_>, grades: usize) -> tantivy::Result<Graded> {
        let fields = self.view.fields;
        let none = || Bits::none(self.segment.max_doc());
        if let Term::Inside(pieces) = term {
            // Title and name are looked into together.
            let found = self.pieces(pieces, among)?;
            return Ok(match grades {
                1 => Graded(vec![found]),
                _ => Graded(vec![found.clone(), found.clone(), found, none()]),
            });
        }
        let mut found = none();
        let mut narrower = Vec::with_capacity(grades);
        for (n, place) in [fields.title, fields.name, fields.labels, fields.files]
            .into_iter()
            .enumerate()
        {
            self.add_text(&mut found, place, term, among)?;
            if grades > 1 && n + 1 < PLACES {
                narrower.push(found.clone());
            }
        }
        narrower.push(found);
        narrower.reverse();
        Ok(Graded(narrower))
    }

    fn pieces(&self, pieces: &[String], among: Among<'_>) -> tantivy::Result<Bits> {
        let mut found = among.bits.clone();
        for piece in pieces {
            let mut bits = Bits::none(self.segment.max_doc());
            let left = Among::of(&found);
            self.add_row(
                &mut bits,
                self.view.fields.inside,
                &fold::grams(piece),
                left,
            )?;
            found.keep(&bits);
        }
        Ok(found)
    }

    /// The ways in which a term may stand in a text.
    fn add_text(
        &self,
        bits: &mut Bits,
        place: TextField,
        term: &Term,
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        match term {
            Term::Word { parts, joined } => {
                self.add_row(bits, place.parts, parts, among)?;
                if let Some(joined) = joined {
                    let joined = |field| IndexTerm::from_field_text(field, joined);
                    self.add_term(bits, &joined(place.joined), Some(among))?;
                    // One part alone is not repeated in the field of joined words.
                    if parts.len() > 1 {
                        self.add_term(bits, &joined(place.parts), Some(among))?;
                    }
                }
                Ok(())
            }
            Term::Phrase(parts) => self.add_row(bits, place.parts, parts, among),
            Term::Prefix(parts) => match parts.as_slice() {
                [part] => self.add_prefix(bits, place.parts, part, among),
                parts => self.add_row_prefix(bits, place.parts, parts, among),
            },
            // Only titles and names are looked into.
            Term::Inside(_) => Ok(()),
        }
    }

    /// These parts, one after the other.
    fn add_row(
        &self,
        bits: &mut Bits,
        field: Field,
        parts: &[String],
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        if let [part] = parts {
            return self.add_term(bits, &IndexTerm::from_field_text(field, part), Some(among));
        }
        let index = self.segment.inverted_index(field)?;
        let mut row = Vec::with_capacity(parts.len());
        for term in terms(field, parts) {
            let Some(part) = index.get_term_info(&term)? else {
                return Ok(());
            };
            row.push(part);
        }
        let mut rarest: Vec<&TermInfo> = row.iter().collect();
        rarest.sort_unstable_by_key(|part| part.doc_freq);
        // Where a row stands in one place, it need not be looked for in the next.
        let mut left = among.bits.clone();
        left.remove(bits);
        for part in rarest {
            let mut listed = Bits::none(self.segment.max_doc());
            add_list(&mut listed, &index, part, Some(Among::of(&left)))?;
            left.keep(&listed);
        }
        Ok(rows::add(bits, &index, &row, &left)?)
    }

    fn add_row_prefix(
        &self,
        bits: &mut Bits,
        field: Field,
        parts: &[String],
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let mut query = PhrasePrefixQuery::new(terms(field, parts));
        query.set_max_expansions(PREFIX_EXPANSIONS);
        self.add_scored(bits, &query, among)
    }

    fn add_scored(
        &self,
        bits: &mut Bits,
        query: &dyn Query,
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(self.view.searcher))?;
        add_matching(bits, weight.scorer(self.segment, 1.0)?.as_mut(), among);
        Ok(())
    }

    fn add_prefix(
        &self,
        bits: &mut Bits,
        field: Field,
        part: &str,
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        let index = self.segment.inverted_index(field)?;
        let mut terms = index.terms().range().ge(part).into_stream()?;
        while let Some((key, info)) = terms.next() {
            if !key.starts_with(part.as_bytes()) {
                break;
            }
            add_list(bits, &index, info, Some(among))?;
        }
        Ok(())
    }

    fn add_term(
        &self,
        bits: &mut Bits,
        term: &IndexTerm,
        among: Option<Among<'_>>,
    ) -> tantivy::Result<()> {
        let index = self.segment.inverted_index(term.field())?;
        match index.get_term_info(term)? {
            Some(info) => add_list(bits, &index, &info, among),
            None => Ok(()),
        }
    }

    fn add_within(
        &self,
        bits: &mut Bits,
        name: &str,
        range: Range,
        among: Among<'_>,
    ) -> tantivy::Result<()> {
        let values = walk::full(self.segment.fast_fields().u64(name)?);
        let (least, most) = (values.min_value(), values.max_value());
        if range.from > range.to || range.to < least || most < range.from {
            return Ok(());
        }
        // Also where all values are one: a column of no bits a value would be misread below.
        if range.from <= least && most <= range.to {
            bits.add(among.bits);
            return Ok(());
        }
        let documents = self.segment.max_doc();
        if among.are_few(documents, SEEK_NUMBER) {
            for doc in among
                .bits
                .iter()
                .filter(|doc| range.holds(values.get_val(*doc)))
            {
                bits.insert(doc);
            }
            return Ok(());
        }
        let mut rows = Vec::new();
        values.get_row_ids_for_value_range(range.from..=range.to, 0..documents, &mut rows);
        rows.into_iter().for_each(|doc| bits.insert(doc));
        Ok(())
    }

    fn check(&self, bits: &mut Bits, check: Check) -> tantivy::Result<()> {
        let ids = self.view.ids.of(self.view.searcher, self.segment)?;
        bits.retain(|doc| check.holds(self.view.numbers.get(ids.get_val(doc))));
        Ok(())
    }

    /// Of rules that are looked up: any of these is a match.
    fn terms(&self, rule: &Rule) -> Vec<IndexTerm> {
        let fields = self.view.fields;
        let number = |field, id: i64| IndexTerm::from_field_u64(field, unsigned(id));
        match rule {
            Rule::Category(id) => {
                let ids = self.view.tree.from(*id);
                ids.iter().map(|id| number(fields.category, id.0)).collect()
            }
            Rule::Tag(id) => vec![number(fields.tag, id.0)],
            Rule::Uploaders(ids) => ids
                .iter()
                .map(|id| number(fields.shown_owner, id.0))
                .collect(),
            Rule::Owners(ids) => ids.iter().map(|id| number(fields.owner, id.0)).collect(),
            Rule::Kind(kind) => vec![IndexTerm::from_field_u64(fields.kind, kind_number(*kind))],
            Rule::Flag(flag) => vec![IndexTerm::from_field_text(fields.flag, flag.as_str())],
            Rule::Torrent(id) => vec![number(fields.id, id.0)],
            _ => Vec::new(),
        }
    }

    /// About how many documents a rule matches: what is cheap to know of that.
    fn expected(&self, rule: &Rule) -> tantivy::Result<u64> {
        let fields = self.view.fields;
        let documents = u64::from(self.segment.max_doc());
        Ok(match rule {
            Rule::All(rules) => {
                let mut least = documents;
                for rule in rules {
                    least = least.min(self.expected(rule)?);
                }
                least
            }
            Rule::Any(rules) => {
                let mut sum = 0;
                for rule in rules {
                    sum += self.expected(rule)?;
                }
                sum
            }
            Rule::Words(term) => {
                let mut sum = 0;
                for place in [fields.title, fields.name, fields.labels, fields.files] {
                    sum += self.expected_text(place, term)?;
                }
                sum
            }
            Rule::File(term) => self.expected_text(fields.files, term)?,
            Rule::Size(_) | Rule::Created { .. } | Rule::NewerThan(_) => documents,
            Rule::Not(_) => documents + 1,
            // Looked up one by one.
            Rule::Swarm(_) => documents + 2,
            rule => {
                let mut sum = 0;
                for term in self.terms(rule) {
                    sum += self.frequency(&term)?;
                }
                sum
            }
        })
    }

    fn expected_text(&self, place: TextField, term: &Term) -> tantivy::Result<u64> {
        let parts = match term {
            Term::Word { parts, .. } | Term::Phrase(parts) => parts.as_slice(),
            Term::Prefix(parts) => match parts.as_slice() {
                [_] => return Ok(u64::from(self.segment.max_doc()) / 8),
                [row @ .., _] => row,
                [] => return Ok(0),
            },
            Term::Inside(_) => return Ok(u64::from(self.segment.max_doc()) / 8),
        };
        let mut least = u64::MAX;
        for part in parts {
            let term = IndexTerm::from_field_text(place.parts, part);
            least = least.min(self.frequency(&term)?);
        }
        Ok(least)
    }

    fn frequency(&self, term: &IndexTerm) -> tantivy::Result<u64> {
        let index = self.segment.inverted_index(term.field())?;
        Ok(u64::from(index.doc_freq(term)?))
    }
}

fn terms(field: Field, parts: &[String]) -> Vec<IndexTerm> {
    parts
        .iter()
        .map(|part| IndexTerm::from_field_text(field, part))
        .collect()
}

/// A term's documents; without `among` all of them.
fn add_list(
    bits: &mut Bits,
    index: &InvertedIndexReader,
    info: &TermInfo,
    among: Option<Among<'_>>,
) -> tantivy::Result<()> {
    if let Some(among) = among.filter(|among| among.are_few(info.doc_freq, SEEK)) {
        let mut list = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        for doc in among.bits.iter() {
            if list.doc() < doc {
                list.seek(doc);
            }
            if list.doc() == doc {
                bits.insert(doc);
            }
        }
        return Ok(());
    }
    let mut list = index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
    while let docs @ [_, ..] = list.docs() {
        docs.iter().for_each(|doc| bits.insert(*doc));
        list.advance();
    }
    Ok(())
}

fn add_matching(bits: &mut Bits, docs: &mut dyn Scorer, among: Among<'_>) {
    let first = docs.doc();
    if first == TERMINATED {
        return;
    }
    if among.are_few(docs.size_hint(), SEEK_PHRASE) {
        // Nothing matches before this one.
        let mut bound = first;
        for doc in among.bits.iter() {
            if doc < bound {
                continue;
            }
            if doc == first {
                bits.insert(doc);
                continue;
            }
            match docs.seek_danger(doc) {
                SeekDangerResult::Found => bits.insert(doc),
                SeekDangerResult::SeekLowerBound(next) => bound = next,
            }
        }
        return;
    }
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let filled = docs.fill_buffer(&mut block);
        block[..filled].iter().for_each(|doc| bits.insert(*doc));
        if filled < block.len() {
            return;
        }
    }
}
