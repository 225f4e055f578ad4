//! Folding: how text becomes the terms that are compared, the same when a torrent is indexed and when a query is
//! read. NFKD, marks stripped, lower case; every other character separates. Changing anything here changes what
//! the index holds: raise `index::FORMAT`.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A part is cut here: nobody types more of one, and a dictionary of terms stays small.
const PART_CHARS: usize = 64;
/// Longer joined runs are not words that anybody types together.
const JOINED_CHARS: usize = 48;
/// How many runs a hyphen, dot or the like may tie into one joined word (`u.s.a.`).
const TIED_RUNS: usize = 3;
const KEY_BYTES: usize = 120;
/// What is looked for inside words is compared in pieces of this many characters.
pub const GRAM: usize = 3;

/// Letters and digits in a row. `tied`: one character that is no space stands between this run and the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// `s`, `01`, `e`, `02` of `S01E02`; one part per character in scripts that put no spaces between words.
    pub parts: Vec<String>,
    pub tied: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digits,
    Letters,
    /// A part of its own, so that a phrase finds any piece of a text without spaces.
    Alone,
}

pub fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    // What separates this run from the one before: how many characters, and whether a space is among them.
    let (mut gap, mut spaced) = (0_usize, false);
    let mut chars = 0;
    for c in folded(text) {
        let Some(class) = class(c) else {
            gap += 1;
            spaced |= c.is_whitespace() || c.is_control();
            last = None;
            continue;
        };
        if gap > 0 || runs.is_empty() {
            runs.push(Run {
                parts: Vec::new(),
                tied: gap == 1 && !spaced && !runs.is_empty(),
            });
            (gap, spaced) = (0, false);
        }
        let Some(run) = runs.last_mut() else {
            continue;
        };
        match run.parts.last_mut() {
            Some(part) if last == Some(class) && class != Class::Alone => {
                if chars < PART_CHARS {
                    part.push(c);
                    chars += 1;
                }
            }
            _ => {
                run.parts.push(c.to_string());
                chars = 1;
            }
        }
        last = Some(class);
    }
    runs
}

/// The parts of a text in their order.
pub fn parts(text: &str) -> Vec<String> {
    runs(text).into_iter().flat_map(|run| run.parts).collect()
}

/// What can be found as one word although it is more than one part: runs of several parts, and runs tied by one
/// character (`wifi` of `Wi-Fi`, `2404` of `24.04`).
pub fn joined(runs: &[Run]) -> Vec<String> {
    let mut words = Vec::new();
    for (start, first) in runs.iter().enumerate() {
        let mut word = String::new();
        let mut parts = 0;
        for (n, run) in runs.iter().enumerate().skip(start).take(TIED_RUNS) {
            if n > start && !run.tied {
                break;
            }
            parts += run.parts.len();
            word.extend(run.parts.iter().map(String::as_str));
            if word.chars().count() > JOINED_CHARS {
                break;
            }
            if parts > 1 {
                words.push(word.clone());
            }
        }
        debug_assert!(!first.parts.is_empty());
    }
    words
}

/// A typed word joined, if a text could hold it so.
pub fn joined_word(runs: &[Run]) -> Option<String> {
    let tied = runs.iter().skip(1).all(|run| run.tied);
    if runs.is_empty() || runs.len() > TIED_RUNS || !tied {
        return None;
    }
    let word: String = runs.iter().flat_map(|run| &run.parts).cloned().collect();
    (word.chars().count() <= JOINED_CHARS).then_some(word)
}

/// What names are ordered and called equal by: the parts, numbers by their value (`part 2` before `part 10`).
pub fn key(text: &str) -> String {
    let mut key = String::new();
    for part in parts(text) {
        let before = key.len();
        if !key.is_empty() {
            key.push(' ');
        }
        if part.bytes().all(|b| b.is_ascii_digit()) {
            let digits = part.trim_start_matches('0');
            // The number of digits first: a longer number is a larger one. `:` follows `9`.
            key.push(match u8::try_from(digits.len()) {
                Ok(n) if n <= 9 => char::from(b'0' + n),
                _ => ':',
            });
            key.push_str(digits);
        } else {
            key.push_str(&part);
        }
        if key.len() > KEY_BYTES {
            key.truncate(before);
            break;
        }
    }
    key
}

fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c) && !is_invisible(*c))
        .flat_map(char::to_lowercase)
        .flat_map(|c| {
            let (first, second) = spelled(c);
            std::iter::once(first).chain(second)
        })
}

/// Letters that NFKD leaves whole and that people type without.
fn spelled(c: char) -> (char, Option<char>) {
    match c {
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'þ' => ('t', Some('h')),
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ł' => ('l', None),
        'ı' => ('i', None),
        'ς' => ('σ', None),
        _ => (c, None),
    }
}

/// Soft hyphens, zero-width spaces and joiners: on no keyboard and in no eye.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

fn class(c: char) -> Option<Class> {
    if c.is_ascii() {
        return match c {
            '0'..='9' => Some(Class::Digits),
            'a'..='z' | 'A'..='Z' => Some(Class::Letters),
            _ => None,
        };
    }
    if !c.is_alphanumeric() {
        return None;
    }
    Some(match c {
        // Thai, Lao; Burmese; Khmer; Han, kana and their extensions.
        '\u{0e00}'..='\u{0eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fdf}'
        | '\u{3005}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Class::Alone,
        _ if c.is_numeric() => Class::Digits,
        _ => Class::Letters,
    })
}

/// The pieces of one run; none of a shorter one.
pub fn grams(run: &str) -> Vec<String> {
    let chars: Vec<char> = run.chars().collect();
    chars
        .windows(GRAM)
        .map(|gram| gram.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_lose_case_marks_and_width() {
        assert_eq!(parts("Café CRÈME"), ["cafe", "creme"]);
        assert_eq!(parts("Straße STRASSE"), ["strasse", "strasse"]);
        assert_eq!(parts("ｆｕｌｌ ﬁle Ⅳ"), ["full", "file", "iv"]);
        assert_eq!(parts("İstanbul Øre Łódź"), ["istanbul", "ore", "lodz"]);
        assert_eq!(parts("soft\u{ad}hyphen"), ["softhyphen"]);
    }

    #[test]
    fn digits_and_letters_part() {
        assert_eq!(parts("S01E02"), ["s", "01", "e", "02"]);
        assert_eq!(parts("ubuntu-24.04"), ["ubuntu", "24", "04"]);
        assert_eq!(parts(" !?… "), Vec::<String>::new());
    }

    #[test]
    fn scripts_without_spaces_part_at_every_character() {
        assert_eq!(parts("Debian中文版"), ["debian", "中", "文", "版"]);
        assert_eq!(parts("データ"), ["テ", "ー", "タ"]);
    }

    #[test]
    fn what_is_tied_can_be_typed_together() {
        let words = |text: &str| joined(&runs(text));
        assert_eq!(words("Wi-Fi"), ["wifi"]);
        assert_eq!(words("24.04 x"), ["2404"]);
        assert_eq!(words("u.s.a."), ["us", "usa", "sa"]);
        assert_eq!(words("S01"), ["s01"]);
        assert!(words("one two - three").is_empty());
        assert_eq!(joined_word(&runs("wi-fi")), Some("wifi".to_owned()));
        assert_eq!(joined_word(&runs("wifi")), Some("wifi".to_owned()));
        assert_eq!(joined_word(&runs("a-b-c-d")), None);
    }

    #[test]
    fn names_order_by_the_value_of_their_numbers() {
        assert!(key("Part 2") < key("Part 10"));
        assert!(key("part 9") < key("Part X"));
        assert_eq!(key("Part-02"), key("part 2"));
        assert!(key("Zebra") > key("ábc"));
        assert!(key(&"long ".repeat(200)).len() <= KEY_BYTES);
    }

    proptest! {
        /// Text that is folded already stays as it is: a query built from an indexed term finds it.
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = parts(&text);
            prop_assert_eq!(parts(&once.join(" ")), once);
        }
    }
}
