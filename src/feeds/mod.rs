//! Feeds: the twin of a listing, as RSS 2.0 that feed readers and torrent clients understand, by the key of a member
//! instead of a cookie. What a feed holds is what the same member finds in the listing; `rss` writes it down.

pub mod pages;
mod queries;
mod rss;

/// Items where nobody says how many, and the most.
const ITEMS: usize = 100;
const MOST_ITEMS: usize = 250;
