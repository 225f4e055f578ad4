//! Rows of torrents, as every page shows them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::cache::{Catalogue, Row};
use crate::accounts::Visit;
use crate::bittorrent::metainfo::Kind;
use crate::bookmarks::queries as bookmarks;
use crate::categories::Category;
use crate::db::Reading;
use crate::error::Result;
use crate::ids::{TagId, TorrentId};
use crate::tags::Tag;
use crate::web::filters::urlencode;

#[derive(Clone, Debug, Serialize)]
pub struct Link {
    pub name: String,
    pub url: String,
}

impl Link {
    pub fn to_tag(tag: &Tag) -> Self {
        Self {
            name: tag.name.clone(),
            url: tag.url(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct CategoryLink {
    pub name: String,
    pub slug: String,
    pub icon: String,
    pub url: String,
}

impl CategoryLink {
    pub fn of(category: &Category) -> Self {
        Self {
            name: category.name.clone(),
            slug: category.slug.clone(),
            icon: category.icon.clone(),
            url: category.url(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Badge {
    pub text: &'static str,
    pub kind: &'static str,
}

/// A torrent in a table.
#[derive(Clone, Debug, Serialize)]
pub struct RowView {
    pub id: TorrentId,
    pub url: String,
    pub title: String,
    pub category: CategoryLink,
    pub size: i64,
    pub created_at: i64,
    pub seeders: Option<i64>,
    pub leechers: Option<i64>,
    pub completed: Option<i64>,
    pub download_url: Option<String>,
    pub magnet: Option<String>,
    pub badges: Vec<Badge>,
    pub uploader: Option<Link>,
    pub tags: Vec<Link>,
    pub kind: &'static str,
    pub private: bool,
    /// Guests keep none.
    pub bookmarked: Option<bool>,
}

/// A head cell of a table with one order only: none of them sorts.
#[derive(Clone, Debug, Serialize)]
pub struct StillColumn {
    key: &'static str,
    label: &'static str,
    url: Option<String>,
    active: bool,
    direction: &'static str,
}

pub fn still_columns() -> [StillColumn; 6] {
    [
        ("name", "Name"),
        ("size", "Size"),
        ("date", "Age"),
        ("seeders", "Seeders"),
        ("leechers", "Leechers"),
        ("completed", "Completed"),
    ]
    .map(|(key, label)| StillColumn {
        key,
        label,
        url: None,
        active: false,
        direction: "desc",
    })
}

/// Tags of a row; the torrent's page has all.
const TAGS: usize = 3;

/// The published ones of these torrents, in this order.
pub async fn rows(
    visit: &Visit,
    reading: &mut Reading<'_>,
    catalogue: &Catalogue<'_>,
    ids: &[TorrentId],
) -> Result<Vec<RowView>> {
    let rows = catalogue.rows(reading, ids).await?;
    let tag_ids: BTreeSet<TagId> = rows.iter().flat_map(|row| row.tags.clone()).collect();
    let tag_ids: Vec<TagId> = tag_ids.into_iter().collect();
    let tags = catalogue.tags(reading, &tag_ids).await?;
    let bookmarked = match visit.user() {
        Some(user) if !ids.is_empty() => {
            Some(bookmarks::among(reading.conn().await?, user.id, ids).await?)
        }
        Some(_) => Some(HashSet::new()),
        None => None,
    };
    let views = rows.iter().filter_map(|row| {
        let mut view = view(row, catalogue.category(row.category)?, visit);
        view.bookmarked = bookmarked.as_ref().map(|all| all.contains(&row.id));
        let mut of_row: Vec<&Tag> = row
            .tags
            .iter()
            .filter_map(|id| tags.get(id).map(Arc::as_ref))
            .collect();
        of_row.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        view.tags = of_row.into_iter().take(TAGS).map(Link::to_tag).collect();
        Some(view)
    });
    Ok(views.collect())
}

fn view(row: &Row, category: &Category, visit: &Visit) -> RowView {
    let id = row.id;
    let may_download = visit.settings.may_download(visit.role());
    let kind = match row.kind {
        Kind::V1 => "v1",
        Kind::V2 => "v2",
        Kind::Hybrid => "hybrid",
    };
    let mut badges = Vec::new();
    if row.kind != Kind::V1 {
        badges.push(Badge { text: kind, kind });
    }
    if row.private {
        badges.push(Badge {
            text: "private",
            kind: "private",
        });
    }
    let swarm = visit.app.search.numbers.get(id);
    let own = super::may_change(visit, row.uploader);
    RowView {
        id,
        url: row.url.clone(),
        title: row.title.clone(),
        category: CategoryLink::of(category),
        size: row.size,
        created_at: row.created_at.0,
        seeders: swarm.map(|s| s.seeders.into()),
        leechers: swarm.map(|s| s.leechers.into()),
        completed: swarm.map(|s| s.completed.into()),
        download_url: may_download.then(|| format!("/torrents/{id}/download")),
        magnet: (may_download && !row.private).then(|| format!("/torrents/{id}/magnet")),
        badges,
        uploader: (!row.anonymous || own).then(|| Link {
            url: format!("/members/{}", urlencode(&row.uploader_name)),
            name: row.uploader_name.clone(),
        }),
        tags: Vec::new(),
        kind,
        private: row.private,
        bookmarked: None,
    }
}

/// Says of those that came after a torrent that they are new.
pub fn mark_new(rows: &mut [RowView], after: Option<TorrentId>) {
    let Some(after) = after else { return };
    let badge = Badge {
        text: "new",
        kind: "ok",
    };
    for row in rows.iter_mut().filter(|row| row.id > after) {
        row.badges.insert(0, badge.clone());
    }
}
