//! What can be done with a listing besides reading it: its feed, saving what it asks for, those in need of seeds.

use serde::Serialize;

use super::asked::Asked;
use crate::accounts::Visit;

/// A listing's feed, with the key of whoever looks.
#[derive(Clone, Debug, Serialize)]
pub struct FeedLink {
    pub url: String,
    /// The whole address, to be copied.
    pub address: String,
    pub title: String,
}

impl FeedLink {
    /// `query` is what the listing at `path` is asked for.
    pub fn of(visit: &Visit, path: &str, query: &str, title: String) -> Self {
        let url = visit.feed_url(path, query);
        Self {
            address: visit.settings.link(&url),
            url,
            title,
        }
    }

    /// The twin of a listing of torrents.
    pub fn of_listing(visit: &Visit, query: &str, title: String) -> Self {
        Self::of(visit, "/torrents.rss", query, title)
    }
}

/// A search that may be saved, with a name for it.
#[derive(Serialize)]
pub struct Savable {
    query: String,
    name: String,
}

#[derive(Serialize)]
pub struct Tools {
    feed: FeedLink,
    save: Option<Savable>,
    needs_seeds: bool,
    needs_seeds_url: String,
}

impl Tools {
    pub fn of(visit: &Visit, asked: &Asked) -> Self {
        let query = asked.query_string();
        Self {
            feed: FeedLink::of_listing(visit, &query, asked.heading()),
            save: visit.user().map(|_| Savable {
                name: asked
                    .heading()
                    .chars()
                    .take(crate::saved::NAME_CHARS)
                    .collect(),
                query,
            }),
            needs_seeds: asked.needs_seeds(),
            needs_seeds_url: asked.needing_seeds(!asked.needs_seeds()),
        }
    }
}
