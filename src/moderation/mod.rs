//! Moderation: what is done to other people's things, written down (`log`), and the machinery for changes that
//! touch many torrents (`steps`). Names no other feature.

pub mod log;
pub mod pages;
pub mod steps;
