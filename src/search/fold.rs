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

/// A folded text: what separates is gone, and where parts and runs begin is known. The characters of a run, and of
/// runs that follow each other, stand side by side.
pub struct Folded {
    pub text: String,
    parts: Vec<Part>,
}

/// Bytes of the folded text.
#[derive(Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
    begins: Begins,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Run { tied: bool },
    Part,
}

/// Bytes of the folded text, and the steps from the position before.
pub struct Piece {
    pub start: usize,
    pub end: usize,
    pub step: usize,
}

impl Folded {
    pub fn of(text: &str) -> Self {
        // Most text is plain, and the long way takes several times as long.
        if text.is_ascii() {
            let plain = text.bytes().map(|b| char::from(b.to_ascii_lowercase()));
            Self::scan(text.len(), plain)
        } else {
            Self::scan(text.len(), folded(text))
        }
    }

    fn scan(bytes: usize, characters: impl Iterator<Item = char>) -> Self {
        let mut text = String::with_capacity(bytes);
        let mut parts: Vec<Part> = Vec::new();
        let mut last = None;
        // What separates this run from the one before: how many characters, and whether a space is among them.
        let (mut gap, mut spaced) = (0_usize, false);
        let mut chars = 0;
        for c in characters {
            let Some(class) = class(c) else {
                gap += 1;
                spaced |= c.is_whitespace() || c.is_control();
                last = None;
                continue;
            };
            let goes_on = last == Some(class) && class != Class::Alone;
            match parts.last_mut() {
                Some(part) if goes_on => {
                    if chars < PART_CHARS {
                        text.push(c);
                        part.end = text.len();
                        chars += 1;
                    }
                }
                _ => {
                    let begins = if gap > 0 || parts.is_empty() {
                        Begins::Run {
                            tied: gap == 1 && !spaced && !parts.is_empty(),
                        }
                    } else {
                        Begins::Part
                    };
                    (gap, spaced) = (0, false);
                    let start = text.len();
                    text.push(c);
                    let end = text.len();
                    parts.push(Part { start, end, begins });
                    chars = 1;
                }
            }
            last = Some(class);
        }
        Self { text, parts }
    }

    /// Where the parts lie.
    pub fn parts(&self) -> Vec<Piece> {
        let piece = |part: &Part| Piece {
            start: part.start,
            end: part.end,
            step: 1,
        };
        self.parts.iter().map(piece).collect()
    }

    fn part(&self, part: &Part) -> &str {
        &self.text[part.start..part.end]
    }

    fn runs(&self) -> impl Iterator<Item = &[Part]> {
        self.parts.chunk_by(|_, next| next.begins == Begins::Part)
    }

    /// Where the joined words lie.
    pub fn joined(&self) -> Vec<Piece> {
        let runs: Vec<&[Part]> = self.runs().collect();
        let mut words = Vec::new();
        for (start, first) in runs.iter().enumerate() {
            let mut parts = 0;
            for (n, run) in runs.iter().enumerate().skip(start).take(TIED_RUNS) {
                let (Some(from), Some(begin), Some(last)) =
                    (first.first(), run.first(), run.last())
                else {
                    break;
                };
                if n > start && begin.begins != (Begins::Run { tied: true }) {
                    break;
                }
                parts += run.len();
                let word = Piece {
                    start: from.start,
                    end: last.end,
                    step: 1,
                };
                if self.text[word.start..word.end].chars().count() > JOINED_CHARS {
                    break;
                }
                if parts > 1 {
                    words.push(word);
                }
            }
        }
        words
    }

    /// Where the pieces of runs lie; none of shorter runs.
    pub fn grams(&self) -> Vec<Piece> {
        let mut grams = Vec::new();
        let mut step = 1;
        let mut bounds = Vec::new();
        for run in self.runs() {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let text = &self.text[first.start..last.end];
            bounds.clear();
            bounds.extend(text.char_indices().map(|(at, _)| first.start + at));
            bounds.push(last.end);
            for gram in bounds.windows(GRAM + 1) {
                grams.push(Piece {
                    start: gram[0],
                    end: gram[GRAM],
                    step,
                });
                step = 1;
            }
            step = 2;
        }
        grams
    }
}

pub fn runs(text: &str) -> Vec<Run> {
    let folded = Folded::of(text);
    let run = |parts: &[Part]| Run {
        parts: parts.iter().map(|p| folded.part(p).to_owned()).collect(),
        tied: parts
            .first()
            .is_some_and(|first| first.begins == Begins::Run { tied: true }),
    };
    folded.runs().map(run).collect()
}

/// The parts of a text in their order.
pub fn parts(text: &str) -> Vec<String> {
    let folded = Folded::of(text);
    folded
        .parts
        .iter()
        .map(|part| folded.part(part).to_owned())
        .collect()
}

/// What can be found as one word although it is more than one part: runs of several parts, and runs tied by one
/// character (`wifi` of `Wi-Fi`, `2404` of `24.04`).
pub fn joined(text: &str) -> Vec<String> {
    let folded = Folded::of(text);
    let words = folded.joined();
    words
        .iter()
        .map(|word| folded.text[word.start..word.end].to_owned())
        .collect()
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
        let words = joined;
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

    /// Said again the plain way: what the pieces of a folded text must be.
    fn joined_runs(runs: &[Run]) -> Vec<String> {
        let mut words = Vec::new();
        for start in 0..runs.len() {
            let mut word = String::new();
            let mut parts = 0;
            for (n, run) in runs.iter().enumerate().skip(start).take(TIED_RUNS) {
                if n > start && !run.tied {
                    break;
                }
                parts += run.parts.len();
                word.push_str(&run.parts.concat());
                if word.chars().count() > JOINED_CHARS {
                    break;
                }
                if parts > 1 {
                    words.push(word.clone());
                }
            }
        }
        words
    }

    proptest! {
        #[test]
        fn pieces_are_those_of_the_runs(text in "[a-cA-C0-9é中 ._-]{0,60}") {
            let runs = runs(&text);
            prop_assert_eq!(joined(&text), joined_runs(&runs));
            let folded = Folded::of(&text);
            let found: Vec<&str> = folded.grams().iter().map(|g| &folded.text[g.start..g.end]).collect();
            let expected: Vec<String> = runs.iter().flat_map(|run| grams(&run.parts.concat())).collect();
            prop_assert_eq!(found, expected);
        }

        /// The short way for plain text is the same as the long one.
        #[test]
        fn plain_text_folds_as_any_other(text in "[ -~]{0,60}") {
            let long = Folded::scan(0, super::folded(&text));
            let short = Folded::of(&text);
            prop_assert_eq!(short.text, long.text);
            prop_assert_eq!(short.parts.len(), long.parts.len());
        }

        /// Text that is folded already stays as it is: a query built from an indexed term finds it.
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = parts(&text);
            prop_assert_eq!(parts(&once.join(" ")), once);
        }
    }
}
