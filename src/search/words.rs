//! What somebody typed as text, folded into the terms that are compared.

use super::fold;
use super::language::Text;

/// More parts in one than this cost more than they find.
const MAX_PARTS: usize = 48;

/// Parts are never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// The parts in a row, or the same letters as one word.
    Word {
        parts: Vec<String>,
        joined: Option<String>,
    },
    /// The parts in a row, the last one being the beginning of a part.
    Prefix(Vec<String>),
    /// The parts in a row.
    Phrase(Vec<String>),
    /// Each within some word of the title or the name; at least [`fold::GRAM`] characters each.
    Inside(Vec<String>),
}

impl Term {
    /// The parts as they were typed, one after the other.
    pub fn parts(&self) -> &[String] {
        match self {
            Self::Word { parts, .. }
            | Self::Prefix(parts)
            | Self::Phrase(parts)
            | Self::Inside(parts) => parts,
        }
    }
}

/// `None`: no letter or digit in it.
pub fn term(text: &Text) -> Option<Term> {
    let (Text::Word(typed) | Text::Phrase(typed) | Text::Prefix(typed) | Text::Inside(typed)) =
        text;
    let runs = fold::runs(typed);
    let mut parts: Vec<String> = runs.iter().flat_map(|run| run.parts.clone()).collect();
    if parts.is_empty() {
        return None;
    }
    parts.truncate(MAX_PARTS);
    Some(match text {
        Text::Word(_) => Term::Word {
            joined: fold::joined_word(&runs),
            parts,
        },
        Text::Phrase(_) => Term::Phrase(parts),
        Text::Prefix(_) => Term::Prefix(parts),
        Text::Inside(_) => match inside(&runs) {
            Some(pieces) => Term::Inside(pieces),
            // Scripts without spaces are compared character by character as it is.
            None => Term::Prefix(parts),
        },
    })
}

/// Whether every run is long enough to be looked for inside words.
fn inside(runs: &[fold::Run]) -> Option<Vec<String>> {
    let mut pieces = Vec::new();
    for run in runs.iter().take(MAX_PARTS) {
        let piece = run.parts.concat();
        if piece.chars().count() < fold::GRAM {
            return None;
        }
        pieces.push(piece);
    }
    Some(pieces)
}
