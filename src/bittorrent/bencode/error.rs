//! What is wrong with a document and where.

use std::fmt;

use super::{MAX_DEPTH, MAX_NODES};

/// The rule that the input breaks and the offset, in bytes from its start, where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    pub offset: usize,
    pub rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    InputTooLong,
    UnexpectedEnd,
    UnexpectedByte(u8),
    BadInteger(u8),
    LeadingZero,
    NegativeZero,
    IntegerTooLarge,
    BadLength(u8),
    StringTooLong,
    KeyNotString,
    KeyWithoutValue,
    DuplicateKey,
    TooDeep,
    TooManyValues,
    TrailingData,
}

impl Error {
    pub(super) fn new(offset: usize, rule: Rule) -> Self {
        Self { offset, rule }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.rule, self.offset)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |byte: u8| (byte as char).escape_default();
        match *self {
            Rule::InputTooLong => f.write_str("the input is longer than 2 GiB"),
            Rule::UnexpectedEnd => f.write_str("the input ends in the middle of a value"),
            Rule::UnexpectedByte(byte) => {
                write!(f, "no value can start with the byte `{}`", shown(byte))
            }
            Rule::BadInteger(byte) => write!(f, "an integer contains `{}`", shown(byte)),
            Rule::LeadingZero => f.write_str("a number has a leading zero"),
            Rule::NegativeZero => f.write_str("an integer is `-0`"),
            Rule::IntegerTooLarge => f.write_str("an integer does not fit in 64 bits"),
            Rule::BadLength(byte) => write!(f, "a string length contains `{}`", shown(byte)),
            Rule::StringTooLong => f.write_str("a string is longer than the rest of the input"),
            Rule::KeyNotString => f.write_str("a dictionary key is not a string"),
            Rule::KeyWithoutValue => f.write_str("a dictionary key has no value"),
            Rule::DuplicateKey => f.write_str("a dictionary has the same key twice"),
            Rule::TooDeep => write!(f, "values are nested deeper than {MAX_DEPTH} levels"),
            Rule::TooManyValues => write!(f, "there are more than {MAX_NODES} values"),
            Rule::TrailingData => f.write_str("there is data after the end"),
        }
    }
}
