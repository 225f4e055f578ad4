//! What the visitor should be told about their own input.

use super::language::Field;

/// What was left out, or understood in another way than it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The cursor did not fit; this is the first page.
    Cursor,
    /// Words and fields after this many were left out.
    TooManyWords {
        kept: usize,
    },
    /// A word or a value was cut to this many characters.
    LongWord {
        kept: usize,
    },
    /// Groups in groups in groups were left out.
    TooDeep,
    /// No letter or digit in it, so it was left out.
    NothingToFind(String),
    /// Too short to be looked for inside words: taken for a beginning.
    ShortInside(String),
    /// A word with a colon that looks like a field: searched for as words.
    UnknownField(String),
    /// Nothing behind the colon: searched for as a word.
    EmptyField(Field),
    /// Matches nothing.
    BadValue {
        field: Field,
        value: String,
    },
    UnknownCategory(String),
    UnknownTag(String),
    UnknownMember(String),
    UnknownHash(String),
}

/// What was typed, cut to what a message can hold.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cursor => {
                f.write_str("That link does not fit this listing; here is its first page.")
            }
            Self::TooManyWords { kept } => write!(
                f,
                "Only the first {kept} words and filters count; search for fewer at a time."
            ),
            Self::LongWord { kept } => write!(
                f,
                "Words are cut to {kept} characters; search for shorter ones."
            ),
            Self::TooDeep => {
                f.write_str("There are too many groups within groups; the innermost were left out.")
            }
            Self::NothingToFind(text) => write!(
                f,
                "“{}” has no letter or digit and was left out; search for words.",
                shown(text)
            ),
            Self::ShortInside(text) => write!(
                f,
                "“{}” is too short to be looked for inside words, so words that begin with it were; write three letters or more.",
                shown(text)
            ),
            Self::UnknownField(name) => {
                let known = Field::ALL.map(|field| format!("{}:", field.as_str()));
                write!(
                    f,
                    "There is no filter “{}:”, so it was searched for as words. The filters are {}.",
                    shown(name),
                    known.join(" ")
                )
            }
            Self::EmptyField(field) => write!(
                f,
                "Nothing follows “{}:”, so it was searched for as a word. It understands {}.",
                field.as_str(),
                field.understands()
            ),
            Self::BadValue { field, value } => write!(
                f,
                "“{}:{}” is not understood, so nothing matches it. “{}:” understands {}.",
                field.as_str(),
                shown(value),
                field.as_str(),
                field.understands()
            ),
            Self::UnknownCategory(name) => {
                write!(
                    f,
                    "There is no category “{}”, so nothing matches it.",
                    shown(name)
                )
            }
            Self::UnknownTag(name) => {
                write!(
                    f,
                    "There is no tag “{}”, so nothing matches it.",
                    shown(name)
                )
            }
            Self::UnknownHash(hash) => write!(
                f,
                "No torrent here has the infohash “{}”, so nothing matches it.",
                shown(hash)
            ),
            Self::UnknownMember(name) => {
                write!(
                    f,
                    "There is no member “{}”, so nothing matches it.",
                    shown(name)
                )
            }
        }
    }
}
