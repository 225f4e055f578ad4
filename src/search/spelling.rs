//! The nearest words that exist, for one that finds nothing: from the index's own dictionary of titles, names and
//! labels. Hidden torrents have words in it too, so what is offered is counted first.

use std::collections::HashMap;

use tantivy::Term;
use tantivy::query::FuzzyTermQuery;

use super::index::Opened;
use super::{Search, fold};

/// Shorter words are near to everything.
const SHORTEST: usize = 3;
/// From here on two changes are taken for a slip.
const LONG: usize = 5;
/// So many are looked at per field and segment.
const SEEN: usize = 2_000;
const NEAREST: usize = 3;

/// The nearest first, none of them the word itself; none for what is no single word.
pub fn nearest(search: &Search, word: &str) -> anyhow::Result<Vec<String>> {
    let parts = fold::parts(word);
    let [part] = parts.as_slice() else {
        return Ok(Vec::new());
    };
    let length = part.chars().count();
    if length < SHORTEST {
        return Ok(Vec::new());
    }
    let distance = if length < LONG { 1 } else { 2 };
    let mut near: Vec<(String, u64)> = alike(&search.opened(), part, distance)?
        .into_iter()
        .filter(|(other, _)| other != part)
        .collect();
    let first = part.chars().next();
    // Nearest, then those that begin alike (people know how a word begins), then the most frequent.
    near.sort_by_cached_key(|(other, count)| {
        (
            strsim::damerau_levenshtein(part, other),
            other.chars().next() != first,
            std::cmp::Reverse(*count),
            other.clone(),
        )
    });
    near.truncate(NEAREST);
    Ok(near.into_iter().map(|(other, _)| other).collect())
}

/// Words within a distance, with the number of documents that have them.
fn alike(opened: &Opened, part: &str, distance: u8) -> anyhow::Result<HashMap<String, u64>> {
    let fields = &opened.fields;
    let mut found: HashMap<String, u64> = HashMap::new();
    for field in [fields.title.parts, fields.name.parts, fields.labels.parts] {
        let term = Term::from_field_text(field, part);
        let automaton = || FuzzyTermQuery::new(term.clone(), distance, true).automaton();
        for segment in opened.reader.searcher().segment_readers() {
            let words = segment.inverted_index(field)?;
            let mut stream = words.terms().search(automaton()?).into_stream()?;
            let mut seen = 0;
            while seen < SEEN && stream.advance() {
                seen += 1;
                if let Ok(word) = std::str::from_utf8(stream.key()) {
                    *found.entry(word.to_owned()).or_default() +=
                        u64::from(stream.value().doc_freq);
                }
            }
        }
    }
    Ok(found)
}
