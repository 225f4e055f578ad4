//! The query language: any text to a tree of words and fields ([`parse`]), the tree ([`Node`]) to text again, values
//! of fields to typed bounds (`values`), and names to ids (`resolve`). Pages, feeds and forms all go through it.
//!
//! Terms side by side must all hold; `a | b` holds if either does and binds weaker, so `a b | c` is `(a b) | c`;
//! parentheses group; `-` before a word, field or group takes out what it matches.

mod lex;
mod parse;
mod resolve;
mod tree;
pub mod values;

pub use parse::{MAX_TERMS, all, any, not, parse};
pub use resolve::{Names, Wanted, resolve, wanted};
pub use tree::{Field, Node, Text, Value};
