//! File lists after parsing: a compact form for one database row, and one folder at a time for pages.

mod pack;
mod tree;

pub use pack::{PackedFile, Unreadable, pack, unpack};
pub use tree::{Entry, Listing, list};
