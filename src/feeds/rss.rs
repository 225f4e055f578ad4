//! A feed as a document: RSS 2.0 with the elements torrent clients look for, and what tells whether it has changed.
//!
//! `item` holds no element of another namespace that is called title, link, description, enclosure, author or guid:
//! qBittorrent goes by local names. It also stops reading where `lastBuildDate` has not changed, so that is the newest
//! change and never the time of the request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::HttpResponse;
use actix_web::http::header::{
    self, ETag, EntityTag, Header, HttpDate, IfModifiedSince, IfNoneMatch, LastModified,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::queries::Detail;
use crate::accounts::Visit;
use crate::categories::Category;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::torrents::listing::RowView;
use crate::web::filters::{bytes, number};
use crate::web::pager::counted;
use crate::web::xml::{escape, printable};

const TEMPLATE: &str = "feeds/rss.xml";
/// How long a reader may keep it, and asks to wait between two looks.
const HOLDS_S: u64 = 300;
/// Changes of this second may still be followed by others in the same, which no date tells apart.
const SETTLED_S: i64 = 2;

/// What the template shows. Its texts have been through [`printable`].
#[derive(Serialize)]
struct Document {
    title: String,
    link: String,
    address: String,
    description: String,
    version: &'static str,
    ttl_minutes: u64,
    changed: Option<String>,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    title: String,
    /// The torrent's page: stable, and what readers know an item by.
    page: String,
    /// The .torrent where it may be fetched, or else the page.
    link: String,
    torrent: Option<String>,
    published: String,
    category: String,
    size: i64,
    infohash: Option<String>,
    /// HTML, as `description` is by custom.
    description: String,
    attributes: Vec<(&'static str, String)>,
}

/// A torrent in a feed, and since when it has been there.
pub struct Entry<'r> {
    pub row: &'r RowView,
    pub detail: &'r Detail,
    pub since: Timestamp,
}

/// What a feed is called, and where the listing is that it is the twin of.
pub struct Channel<'a> {
    pub heading: &'a str,
    pub description: &'a str,
    /// Paths with queries; that of the feed without the key.
    pub listing: &'a str,
    pub feed: &'a str,
}

/// The answer: the document, or 304 where the reader has it already.
pub fn answer(
    visit: &Visit,
    categories: &[Category],
    channel: &Channel<'_>,
    entries: &[Entry<'_>],
) -> Result<HttpResponse> {
    let settings = &visit.settings;
    let changed = entries
        .iter()
        .map(|entry| entry.since.max(entry.detail.updated_at))
        .max()
        .filter(|at| visit.app.clock.now().since(*at) >= SETTLED_S);
    let document = Document {
        title: printable(&format!("{} – {}", settings.site_name, channel.heading)),
        link: settings.link(channel.listing),
        address: settings.link(channel.feed),
        description: printable(channel.description),
        version: env!("CARGO_PKG_VERSION"),
        ttl_minutes: HOLDS_S / 60,
        changed: changed.map(date),
        items: entries
            .iter()
            .map(|entry| item(visit, categories, entry))
            .collect(),
    };
    let tag = tag(&document);
    let modified = changed.map(|at| {
        let seconds = Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
        HttpDate::from(UNIX_EPOCH + seconds)
    });
    let known = is_known(visit, &tag, modified);
    let mut response = match known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    response
        .insert_header(ETag(tag))
        .insert_header((header::CACHE_CONTROL, format!("private, max-age={HOLDS_S}")))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("x-robots-tag", "noindex"));
    if let Some(modified) = modified {
        response.insert_header(LastModified(modified));
    }
    if known {
        return Ok(response.finish());
    }
    let templates = &visit.app.templates;
    let xml = templates.render(TEMPLATE, visit.frame(), &document)?;
    Ok(response
        .content_type("application/rss+xml; charset=utf-8")
        .body(xml))
}

fn item(visit: &Visit, categories: &[Category], entry: &Entry<'_>) -> Item {
    let (row, detail) = (entry.row, entry.detail);
    let page = visit.settings.link(&format!("/torrents/{}", row.id));
    let torrent = visit
        .torrent_url(row.id)
        .map(|path| visit.settings.link(&path));
    let infohash = detail.infohash_v1.as_deref().map(|h| HEXLOWER.encode(h));
    let category = categories.iter().find(|c| c.slug == row.category.slug);
    let swarm = [
        ("seeders", row.seeders),
        ("leechers", row.leechers),
        ("peers", row.seeders.zip(row.leechers).map(|(s, l)| s + l)),
        ("grabs", row.completed),
    ];
    let attributes = [
        ("category", category.map(|c| c.torznab.to_string())),
        ("size", Some(row.size.to_string())),
        ("files", Some(detail.file_count.to_string())),
        ("infohash", infohash.clone()),
    ]
    .into_iter()
    .chain(swarm.map(|(name, n)| (name, n.map(|n| n.to_string()))))
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    Item {
        title: printable(&row.title),
        link: torrent.clone().unwrap_or_else(|| page.clone()),
        page,
        torrent,
        published: date(entry.since),
        category: printable(&row.category.name),
        size: row.size,
        infohash,
        description: printable(&description(row, detail)),
        attributes,
    }
}

/// HTML by custom, so that names are escaped here and once more in the document. Readers that know no other place
/// look for "Size:" and "Seeders:" in it.
fn description(row: &RowView, detail: &Detail) -> String {
    let mut lines = vec![
        format!("Size: {}", bytes(row.size)),
        counted(detail.file_count, "file", "files"),
    ];
    let swarm = [
        ("Seeders", row.seeders),
        ("Leechers", row.leechers),
        ("Completed", row.completed),
    ];
    for (label, n) in swarm {
        lines.extend(n.map(|n| format!("{label}: {}", number(n))));
    }
    lines.push(format!("Category: {}", escape(&row.category.name)));
    if !row.tags.is_empty() {
        let names: Vec<String> = row.tags.iter().map(|tag| escape(&tag.name)).collect();
        lines.push(format!("Tags: {}", names.join(", ")));
    }
    lines.extend(
        row.uploader
            .as_ref()
            .map(|uploader| format!("Uploaded by {}", escape(&uploader.name))),
    );
    lines.join("<br>")
}

/// Changes with everything but swarm numbers, which change all the time: a weak tag says that the rest is the same.
fn tag(document: &Document) -> EntityTag {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    for text in [&document.title, &document.address, &document.description] {
        add(text);
    }
    add(document.changed.as_deref().unwrap_or_default());
    for item in &document.items {
        for text in [
            &item.title,
            &item.link,
            &item.published,
            &item.category,
            &item.size.to_string(),
        ] {
            add(text);
        }
    }
    let digest = digest.finalize();
    EntityTag::new_weak(BASE64URL_NOPAD.encode(&digest[..16]))
}

/// RFC 9110, 13.2.2: the tag decides where there is one.
fn is_known(visit: &Visit, tag: &EntityTag, modified: Option<HttpDate>) -> bool {
    let headers = visit.req.headers();
    if headers.contains_key(header::IF_NONE_MATCH) {
        return match IfNoneMatch::parse(&visit.req) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
            Err(_) => false,
        };
    }
    let known = IfModifiedSince::parse(&visit.req)
        .ok()
        .map(|since| SystemTime::from(since.0));
    modified
        .zip(known)
        .is_some_and(|(modified, known)| SystemTime::from(modified) <= known)
}

/// RFC 822 as RSS wants it, with a numeric offset.
fn date(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(at.0)
        .ok()
        .and_then(|at| at.format(&Rfc2822).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_a_numeric_offset() {
        assert_eq!(
            date(Timestamp(1_768_435_200)),
            "Thu, 15 Jan 2026 00:00:00 +0000"
        );
        assert_eq!(date(Timestamp(i64::MAX)), "");
    }
}
