//! Rows of torrents: the listing's SELECT, written once, and the row as every page shows it.

use serde::Serialize;
use sqlx::QueryBuilder;

use super::url;
use crate::accounts::Visit;
use crate::bookmarks::queries as bookmarks;
use crate::categories::Category;
use crate::db::{Conn, Handle};
use crate::error::Result;
use crate::ids::{TorrentId, UserId};
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

/// One row of the listing's SELECT, as the JSON array it arrives in.
#[derive(serde::Deserialize)]
struct Row(
    i64,         // id
    String,      // title
    i64,         // category_id
    i64,         // uploader_id
    String,      // uploader's name
    i64,         // anonymous
    i64,         // private
    i64,         // kind: 1 v1, 2 v2, 3 hybrid
    i64,         // size
    i64,         // created_at
    Option<i64>, // seeders
    Option<i64>, // leechers
    Option<i64>, // completed
);

/// Tags of a row; the torrent's page has all.
const TAGS: usize = 3;

const COLUMNS: &str = "t.id, t.title, t.category_id, t.uploader_id, u.name, \
    case when t.anonymous then 1 else 0 end, case when t.private then 1 else 0 end, \
    (case when t.infohash_v1 is null then 0 else 1 end) + (case when t.infohash_v2 is null then 0 else 2 end), \
    t.size, t.created_at, s.seeders, s.leechers, s.completed";
const TABLES: &str =
    "torrents t join users u on u.id = t.uploader_id left join swarms s on s.torrent_id = t.id";

/// The published ones of these torrents, in this order. All rows come as one: sqlx pays per row.
pub async fn rows(
    visit: &Visit,
    conn: &mut Conn,
    categories: &[Category],
    ids: &[TorrentId],
) -> Result<Vec<RowView>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = json_rows(conn, ids).await?;
    let tags = crate::tags::queries::of_torrents(conn, ids).await?;
    let bookmarked = match visit.user() {
        Some(user) => Some(bookmarks::among(conn, user.id, ids).await?),
        None => None,
    };
    let may_download = visit.settings.may_download(visit.role());
    let mut views: Vec<RowView> = rows
        .into_iter()
        .filter_map(|row| {
            let category = categories.iter().find(|c| c.id.0 == row.2)?;
            let mut view = view(row, category, may_download, visit);
            view.bookmarked = bookmarked.as_ref().map(|all| all.contains(&view.id));
            view.tags = tags
                .get(&view.id)
                .into_iter()
                .flatten()
                .take(TAGS)
                .map(Link::to_tag)
                .collect();
            Some(view)
        })
        .collect();
    let place = |id: TorrentId| ids.iter().position(|other| *other == id);
    views.sort_by_key(|view| place(view.id));
    Ok(views)
}

async fn json_rows(conn: &mut Conn, ids: &[TorrentId]) -> Result<Vec<Row>> {
    // Both gather JSON arrays into one, each under its own names.
    let (agg, array) = match conn.handle() {
        Handle::Sqlite(_) => ("json_group_array", "json_array"),
        Handle::Postgres(_) => ("json_agg", "json_build_array"),
    };
    let text: Option<String> = crate::on!(conn, |c: B| {
        let mut q = QueryBuilder::<B>::new("select cast(");
        q.push(agg)
            .push("(")
            .push(array)
            .push("(")
            .push(COLUMNS)
            .push(")) as text) from ")
            .push(TABLES);
        q.push(" where t.state = 'published' and t.id in (");
        let mut list = q.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        q.push(")");
        q.build_query_scalar().fetch_one(c).await
    })?;
    Ok(serde_json::from_str(text.as_deref().unwrap_or("[]")).map_err(anyhow::Error::from)?)
}

fn view(row: Row, category: &Category, may_download: bool, visit: &Visit) -> RowView {
    let id = TorrentId(row.0);
    let (anonymous, private) = (row.5 == 1, row.6 == 1);
    let kind = match row.7 {
        2 => "v2",
        3 => "hybrid",
        _ => "v1",
    };
    let own = super::may_change(visit, UserId(row.3));
    let mut badges = Vec::new();
    if kind != "v1" {
        badges.push(Badge { text: kind, kind });
    }
    if private {
        badges.push(Badge {
            text: "private",
            kind: "private",
        });
    }
    RowView {
        id,
        url: url(id, &row.1),
        title: row.1,
        category: CategoryLink::of(category),
        size: row.8,
        created_at: row.9,
        seeders: row.10,
        leechers: row.11,
        completed: row.12,
        download_url: may_download.then(|| format!("/torrents/{id}/download")),
        magnet: (may_download && !private).then(|| format!("/torrents/{id}/magnet")),
        badges,
        uploader: (!anonymous || own).then(|| Link {
            url: format!("/members/{}", urlencode(&row.4)),
            name: row.4,
        }),
        tags: Vec::new(),
        kind,
        private,
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
