//! Bookmarks: torrents a member keeps in mind. A deleted torrent is left out while it is deleted; the mark stays.

pub mod pages;
pub mod queries;

/// The most that one member may keep.
pub const MOST: i64 = 10_000;
