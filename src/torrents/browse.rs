//! The listing: filters, order and place in the URL, found by `search`, shown as rows.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::asked::Asked;
use super::listing::{self, RowView};
use super::tools::Tools;
use super::{queries, url};
use crate::accounts::Viewer;
use crate::bittorrent::infohash::Infohash;
use crate::categories::{self, Category};
use crate::error::Result;
use crate::search::{Found, Kind, SortKey, Who};
use crate::tags;
use crate::web::filters::number;
use crate::web::flash::Flash;
use crate::web::render::Page;

const ROWS: usize = 50;

#[derive(Serialize)]
pub struct Column {
    key: &'static str,
    label: &'static str,
    url: String,
    active: bool,
    direction: &'static str,
}

#[derive(Serialize)]
struct Chip {
    label: String,
    remove_url: String,
}

#[derive(Serialize)]
struct Pager {
    first_url: Option<String>,
    previous_url: Option<String>,
    next_url: Option<String>,
    page_text: String,
}

#[derive(Serialize)]
struct CategoryFacet {
    name: String,
    icon: String,
    count: u64,
    url: String,
    active: bool,
    children: Vec<CategoryFacet>,
}

#[derive(Serialize)]
struct Facet {
    name: String,
    count: u64,
    url: String,
    active: bool,
}

#[derive(Serialize)]
struct FacetsView {
    all_url: String,
    category_chosen: bool,
    categories: Vec<CategoryFacet>,
    tags: Vec<Facet>,
    kinds: Vec<Facet>,
}

#[derive(Serialize)]
struct ListingPage {
    heading: String,
    words: String,
    total: u64,
    total_text: String,
    order_text: String,
    columns: Vec<Column>,
    rows: Vec<RowView>,
    chips: Vec<Chip>,
    clear_url: String,
    pager: Pager,
    facets: FacetsView,
    tools: Tools,
    notices: Vec<Flash>,
}

impl Page for ListingPage {
    const TEMPLATE: &'static str = "browse/listing.html";
    const SECTION: &'static str = "browse";
    fn title(&self) -> String {
        if self.chips.is_empty() {
            String::new()
        } else {
            self.heading.clone()
        }
    }
}

/// `GET /`
pub async fn listing(viewer: Viewer) -> Result<HttpResponse> {
    let started = Instant::now();
    let app = &viewer.app;
    let mut conn = app.db.read().await?;
    let categories = categories::queries::all(&mut conn).await?;
    let (asked, mut notices) =
        Asked::read(&mut conn, &categories, viewer.req.query_string()).await?;
    if let Some(infohash) = Infohash::parse_any(&asked.words) {
        if let Some(found) = queries::by_infohash(&mut conn, infohash).await? {
            return Ok(viewer.redirect(&url(found.id, &found.title)));
        }
        notices.push(Flash::warn("No torrent here has that infohash."));
    }
    drop(conn);
    let who = viewer
        .user()
        .map_or(Who::Guest, |user| Who::of(user.id, user.role));
    let (search, filter, sort, cursor) = (
        app.search.clone(),
        asked.filter(app.clock.now()),
        asked.sort,
        asked.cursor.clone(),
    );
    let found =
        web::block(move || search.page(who, &filter, sort, cursor.as_ref(), ROWS)).await??;
    notices.extend(
        found
            .notices
            .iter()
            .map(|notice| Flash::warn(notice.to_string())),
    );
    if let Some((done, all)) = app.search.progress() {
        notices.push(Flash::warn(format!(
            "The search index is catching up: {} of {} torrents so far.",
            number(i64::try_from(done).unwrap_or(i64::MAX)),
            number(i64::try_from(all).unwrap_or(i64::MAX))
        )));
    }
    let mut conn = app.db.read().await?;
    let mut rows = listing::rows(&viewer, &mut conn, &categories, &found.ids).await?;
    listing::mark_new(&mut rows, asked.marked_after);
    let facet_tags: Vec<_> = found.facets.tags.iter().map(|(id, _)| *id).collect();
    let tag_names = tags::queries::by_ids(&mut conn, &facet_tags).await?;
    drop(conn);
    let total = i64::try_from(found.total).unwrap_or(i64::MAX);
    let page = ListingPage {
        heading: asked.heading(),
        words: asked.words.clone(),
        total: found.total,
        total_text: format!(
            "{} {}",
            number(total),
            if total == 1 { "torrent" } else { "torrents" }
        ),
        order_text: asked.order_text().to_owned(),
        columns: columns(&asked),
        chips: chips(&asked),
        clear_url: "/torrents".to_owned(),
        pager: pager(&asked, &found, rows.len()),
        facets: FacetsView {
            all_url: asked.with_category(None),
            category_chosen: asked.category.is_some(),
            categories: category_facets(&asked, &categories, &found),
            tags: found
                .facets
                .tags
                .iter()
                .filter_map(|(id, count)| {
                    let name = tag_names.iter().find(|tag| tag.id == *id)?.name.clone();
                    let active = asked.tags.iter().any(|tag| tag.id == *id);
                    let url = if active {
                        asked.without_tag(&name)
                    } else {
                        asked.with_tag(&name)
                    };
                    Some(Facet {
                        name,
                        count: *count,
                        url,
                        active,
                    })
                })
                .collect(),
            kinds: found
                .facets
                .kinds
                .iter()
                .map(|(kind, count)| {
                    let active = asked.kind == Some(*kind);
                    Facet {
                        name: kind.as_str().to_owned(),
                        count: *count,
                        url: asked.with_kind(if active { None } else { Some(*kind) }),
                        active,
                    }
                })
                .collect(),
        },
        tools: Tools::of(&viewer, &asked),
        rows,
        notices,
    };
    viewer.page_framed(StatusCode::OK, &page, |frame| {
        frame.search_words.clone_from(&page.words);
        frame.elapsed_ms = i64::try_from(started.elapsed().as_millis()).ok();
    })
}

fn columns(asked: &Asked) -> Vec<Column> {
    const COLUMNS: [(SortKey, &str); 6] = [
        (SortKey::Name, "Name"),
        (SortKey::Size, "Size"),
        (SortKey::Date, "Age"),
        (SortKey::Seeders, "Seeders"),
        (SortKey::Leechers, "Leechers"),
        (SortKey::Completed, "Completed"),
    ];
    COLUMNS
        .into_iter()
        .map(|(key, label)| {
            let active = asked.sort.key == key;
            // The first click brings the interesting end up: A before Z, but most seeders before none.
            let descending = if active {
                !asked.sort.descending
            } else {
                key != SortKey::Name
            };
            let shown_descending = asked.sort.descending && active;
            // The age column counts down as the date goes up.
            let ascending_arrow = if key == SortKey::Date {
                shown_descending
            } else {
                !shown_descending
            };
            Column {
                key: key.as_str(),
                label,
                url: asked.sorted(key, descending),
                active,
                direction: if ascending_arrow { "asc" } else { "desc" },
            }
        })
        .collect()
}

fn chips(asked: &Asked) -> Vec<Chip> {
    let mut chips = Vec::new();
    if !asked.words.is_empty() {
        chips.push(Chip {
            label: format!("“{}”", asked.words),
            remove_url: asked.without_words(),
        });
    }
    if let Some(category) = &asked.category {
        chips.push(Chip {
            label: category.name.clone(),
            remove_url: asked.with_category(None),
        });
    }
    for tag in &asked.tags {
        chips.push(Chip {
            label: format!("tag: {}", tag.name),
            remove_url: asked.without_tag(&tag.name),
        });
    }
    if let Some(uploader) = &asked.uploader {
        chips.push(Chip {
            label: format!("by {}", uploader.name),
            remove_url: asked.without_uploader(),
        });
    }
    if let Some(kind) = asked.kind {
        chips.push(Chip {
            label: kind_label(kind).to_owned(),
            remove_url: asked.with_kind(None),
        });
    }
    if asked.needs_seeds {
        chips.push(Chip {
            label: "needs seeds".to_owned(),
            remove_url: asked.needing_seeds(false),
        });
    }
    chips
}

/// What a listing is asked for, in a few words each.
pub fn chip_labels(asked: &Asked) -> Vec<String> {
    chips(asked).into_iter().map(|chip| chip.label).collect()
}

fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::V1 => "v1 only",
        Kind::Hybrid => "hybrid",
        Kind::V2 => "v2 only",
    }
}

fn pager(asked: &Asked, found: &Found, shown: usize) -> Pager {
    let first = i64::try_from(found.position)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let last = first
        .saturating_add(i64::try_from(shown).unwrap_or(0))
        .saturating_sub(1);
    let paged = found.previous.is_some() || found.next.is_some();
    Pager {
        first_url: (found.position > ROWS as u64).then(|| asked.at(None)),
        previous_url: found.previous.as_ref().map(|cursor| asked.at(Some(cursor))),
        next_url: found.next.as_ref().map(|cursor| asked.at(Some(cursor))),
        page_text: if paged {
            format!("{} to {}", number(first), number(last))
        } else {
            String::new()
        },
    }
}

fn category_facets(asked: &Asked, categories: &[Category], found: &Found) -> Vec<CategoryFacet> {
    let facet = |category: &Category, children: Vec<CategoryFacet>| CategoryFacet {
        name: category.name.clone(),
        icon: category.icon.clone(),
        count: found
            .facets
            .categories
            .iter()
            .find(|(id, _)| *id == category.id)
            .map_or(0, |(_, count)| *count),
        url: asked.with_category(Some(category)),
        active: asked.category.as_ref().is_some_and(|c| c.id == category.id),
        children,
    };
    categories
        .iter()
        .filter(|c| c.parent_id.is_none())
        .map(|parent| {
            let children = categories
                .iter()
                .filter(|c| c.parent_id == Some(parent.id))
                .map(|child| facet(child, Vec::new()))
                // An empty child says nothing, unless it is what was asked for.
                .filter(|child| child.count > 0 || child.active)
                .collect();
            facet(parent, children)
        })
        .collect()
}
