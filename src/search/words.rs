//! What somebody typed, read: words, `"phrases"`, `-without`, `prefix*`. Any input is valid; what cannot be
//! searched for is said, never silently ignored.

use super::filter::Notice;
use super::fold;

/// More terms, or more parts in one, than this cost more than they find.
const MAX_TERMS: usize = 32;
const MAX_PARTS: usize = 48;

/// All of these at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Words {
    pub with: Vec<Term>,
    pub without: Vec<Term>,
}

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
}

/// Reads `text`; the notices say what was left out.
pub fn read(text: &str) -> (Words, Vec<Notice>) {
    let mut words = Words::default();
    let mut notices = Vec::new();
    let mut rest = text;
    while let Some(item) = next_item(&mut rest) {
        if words.with.len() + words.without.len() == MAX_TERMS {
            notices.push(Notice::TooManyWords { kept: MAX_TERMS });
            break;
        }
        match term(&item) {
            Some(term) if item.negated => push_once(&mut words.without, term),
            Some(term) => push_once(&mut words.with, term),
            None => notices.push(Notice::NothingToFind(shortened(item.text))),
        }
    }
    (words, notices)
}

struct Item<'t> {
    text: &'t str,
    negated: bool,
    quoted: bool,
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

/// Cuts the next word or quoted phrase off `rest`.
fn next_item<'t>(rest: &mut &'t str) -> Option<Item<'t>> {
    let mut text = rest.trim_start();
    if text.is_empty() {
        *rest = text;
        return None;
    }
    let negated = text.strip_prefix('-').filter(|after| {
        after
            .chars()
            .next()
            .is_some_and(|c| !c.is_whitespace() && c != '-')
    });
    if let Some(after) = negated {
        text = after;
    }
    let quoted = text.strip_prefix(is_quote);
    let (item, after) = match quoted {
        // A quote left open reaches to the end.
        Some(inside) => match inside.find(is_quote) {
            Some(end) => {
                let (phrase, after) = inside.split_at(end);
                (phrase, after.trim_start_matches(is_quote))
            }
            None => (inside, ""),
        },
        None => {
            let end = text.find(|c: char| c.is_whitespace() || is_quote(c));
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    *rest = after;
    Some(Item {
        text: item,
        negated: negated.is_some(),
        quoted: quoted.is_some(),
    })
}

fn term(item: &Item<'_>) -> Option<Term> {
    let runs = fold::runs(item.text);
    let mut parts: Vec<String> = runs.iter().flat_map(|run| run.parts.clone()).collect();
    if parts.is_empty() {
        return None;
    }
    parts.truncate(MAX_PARTS);
    Some(if item.quoted {
        Term::Phrase(parts)
    } else if item.text.ends_with('*') {
        Term::Prefix(parts)
    } else {
        Term::Word {
            joined: fold::joined_word(&runs),
            parts,
        }
    })
}

fn push_once(terms: &mut Vec<Term>, term: Term) {
    if !terms.contains(&term) {
        terms.push(term);
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(parts: &[&str], joined: &str) -> Term {
        Term::Word {
            parts: owned(parts),
            joined: Some(joined.to_owned()),
        }
    }

    fn owned(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn words_phrases_exclusion_prefix() {
        let (words, notices) =
            read("Ubuntu-24.04 \"Long  Term\" -beta -\"release candidate\" desk*");
        assert_eq!(
            words.with,
            [
                word(&["ubuntu", "24", "04"], "ubuntu2404"),
                Term::Phrase(owned(&["long", "term"])),
                Term::Prefix(owned(&["desk"])),
            ]
        );
        assert_eq!(
            words.without,
            [
                word(&["beta"], "beta"),
                Term::Phrase(owned(&["release", "candidate"])),
            ]
        );
        assert!(notices.is_empty());
    }

    #[test]
    fn odd_input_is_still_a_query() {
        assert_eq!(read("").0, Words::default());
        assert_eq!(read("a a A").0.with, [word(&["a"], "a")]);
        assert_eq!(
            read("\"open end").0.with,
            [Term::Phrase(owned(&["open", "end"]))]
        );
        assert_eq!(read("x\"y z\"").0.with.len(), 2);
        assert_eq!(read("wi-fi").0.with, [word(&["wi", "fi"], "wifi")]);
        let (words, notices) = read("- -- & x \"\" -");
        assert_eq!(words.with, [word(&["x"], "x")]);
        assert_eq!(notices.len(), 5);
        let (words, notices) = read(&(0..99).map(|n| format!("w{n} ")).collect::<String>());
        assert_eq!(words.with.len(), MAX_TERMS);
        assert_eq!(notices, [Notice::TooManyWords { kept: MAX_TERMS }]);
    }

    proptest! {
        #[test]
        fn anything_can_be_read(text in "\\PC{0,80}") {
            let (words, _) = read(&text);
            for term in words.with.iter().chain(&words.without) {
                let (Term::Word { parts, .. } | Term::Prefix(parts) | Term::Phrase(parts)) = term;
                prop_assert!(!parts.is_empty() && parts.iter().all(|p| !p.is_empty()));
            }
        }
    }
}
