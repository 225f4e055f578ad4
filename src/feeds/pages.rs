//! The feeds: the listing's twin, and one's bookmarks.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};

use super::queries::{self, Detail};
use super::rss::{self, Channel, Entry};
use super::{ITEMS, MOST_ITEMS};
use crate::accounts::{FeedReader, Visit, feed_keys};
use crate::bittorrent::infohash::Infohash;
use crate::bookmarks::queries as bookmarks;
use crate::clock::Timestamp;
use crate::db::Reading;
use crate::error::{Error, Result};
use crate::ids::TorrentId;
use crate::search::Who;
use crate::torrents;
use crate::torrents::asked::Asked;
use crate::torrents::cache::Catalogue;
use crate::torrents::listing::{self, RowView};
use crate::web::flash::Flash;
use crate::web::pager::{Seek, with_query};

/// What a feed's address says beside what its listing's does.
struct Wanted {
    /// The listing's own query.
    query: String,
    items: usize,
}

impl Wanted {
    fn read(query: &str) -> Result<Self> {
        let mut items = ITEMS;
        let mut rest = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                feed_keys::PARAMETER => {}
                "limit" => {
                    items = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=MOST_ITEMS).contains(n))
                        .ok_or_else(|| {
                            Error::Unprocessable(format!(
                                "`limit` is a number from 1 to {MOST_ITEMS}. Mend it in the feed's address."
                            ))
                        })?
                }
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        Ok(Self {
            query: rest.finish(),
            items,
        })
    }
}

/// `GET /torrents.rss`: what `/torrents` finds with the same parameters, the newest of it where no order is chosen.
pub async fn listing(reader: FeedReader) -> Result<HttpResponse> {
    let app = &reader.app;
    let wanted = Wanted::read(reader.req.query_string())?;
    let mut reading = app.db.reading();
    let catalogue = app.cache.now(&mut reading).await?;
    let (asked, notices) = Asked::read(&mut reading, &catalogue.categories, &wanted.query).await?;
    refuse_notices(&notices)?;
    let asked = asked.for_feed();
    let mut exact = None;
    for infohash in Infohash::all_in(&asked.pasted) {
        if exact.is_none() {
            exact = torrents::queries::by_pasted_infohash(reading.conn().await?, infohash).await?;
        }
    }
    reading.let_go();
    let ids = match exact {
        Some(found) => vec![found.id],
        None => {
            let who = reader
                .user()
                .map_or(Who::Guest, |user| Who::of(user.id, user.role));
            let (search, filter) = (app.search.clone(), asked.filter(app.clock.now()));
            let (sort, items) = (asked.sort, wanted.items);
            web::block(move || search.page(who, &filter, sort, None, items))
                .await??
                .ids
        }
    };
    let (rows, details) = read(&reader, &mut reading, &catalogue, &ids).await?;
    drop(reading);
    let entries = entries(&rows, &details, |row| Timestamp(row.created_at));
    let query = asked.query_string();
    let channel = Channel {
        heading: &asked.heading(),
        description: &format!("{}, {}.", asked.heading(), asked.order_text()),
        listing: &with_query("/torrents", &[&query]),
        feed: &with_query("/torrents.rss", &[&query]),
    };
    rss::answer(&reader, &catalogue.categories, &channel, &entries)
}

/// `GET /bookmarks.rss`: what the member has marked, as old as the mark.
pub async fn marked(reader: FeedReader) -> Result<HttpResponse> {
    let Some(user) = reader.user() else {
        return Err(Error::Forbidden(
            "Bookmarks are a member's own. Log in on the site and copy the feed's address from there.".to_owned(),
        ));
    };
    let wanted = Wanted::read(reader.req.query_string())?;
    let mut reading = reader.app.db.reading();
    let catalogue = reader.app.cache.now(&mut reading).await?;
    let marks = bookmarks::list(
        reading.conn().await?,
        user.id,
        &Seek::First,
        wanted.items as i64,
    )
    .await?;
    let ids: Vec<TorrentId> = marks.iter().map(|mark| mark.torrent_id).collect();
    let (rows, details) = read(&reader, &mut reading, &catalogue, &ids).await?;
    drop(reading);
    let since: HashMap<TorrentId, Timestamp> = marks
        .iter()
        .map(|mark| (mark.torrent_id, mark.created_at))
        .collect();
    let entries = entries(&rows, &details, |row| {
        since
            .get(&row.id)
            .copied()
            .unwrap_or(Timestamp(row.created_at))
    });
    let channel = Channel {
        heading: "Bookmarks",
        description: &format!("What {} has bookmarked.", user.name),
        listing: "/bookmarks",
        feed: "/bookmarks.rss",
    };
    rss::answer(&reader, &catalogue.categories, &channel, &entries)
}

/// A listing leaves out what it does not know and says so beside the rest. In a feed nobody would read that, and a
/// client that fetches by itself would fetch everything.
fn refuse_notices(notices: &[Flash]) -> Result<()> {
    match notices.first() {
        None => Ok(()),
        Some(notice) => Err(Error::Unprocessable(format!(
            "{} A feed leaves nothing out: copy its address from the site again.",
            notice.text
        ))),
    }
}

async fn read(
    visit: &Visit,
    reading: &mut Reading<'_>,
    catalogue: &Catalogue<'_>,
    ids: &[TorrentId],
) -> Result<(Vec<RowView>, HashMap<TorrentId, Detail>)> {
    let rows = listing::rows(visit, reading, catalogue, ids).await?;
    let details = queries::details(reading.conn().await?, ids).await?;
    Ok((rows, details))
}

fn entries<'r>(
    rows: &'r [RowView],
    details: &'r HashMap<TorrentId, Detail>,
    since: impl Fn(&RowView) -> Timestamp,
) -> Vec<Entry<'r>> {
    rows.iter()
        .filter_map(|row| {
            Some(Entry {
                row,
                // Deleted between the two queries: left out.
                detail: details.get(&row.id)?,
                since: since(row),
            })
        })
        .collect()
}
