//! The listing: filters, order and place in the URL, found by `search`, shown as rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::asked::{Asked, Chip, FormView};
use super::help::{self, Example};
use super::listing::{self, Link, RowView};
use super::nothing::{self, Nothing};
use super::pager::{self, Pager};
use super::tools::Tools;
use super::{queries, url};
use crate::accounts::{self, UserName, Viewer};
use crate::bittorrent::infohash::Infohash;
use crate::categories::{self, Category};
use crate::db::Reading;
use crate::error::Result;
use crate::ids::TagId;
use crate::search::{Found, Kind, SortKey, Who};
use crate::tags::Tag;
use crate::web::filters::number;
use crate::web::flash::Flash;
use crate::web::pager::counted;
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

/// All that a listing shows.
#[derive(Serialize)]
pub struct ListingPage {
    heading: String,
    words: String,
    total: u64,
    total_text: String,
    order_text: String,
    columns: Vec<Column>,
    rows: Vec<RowView>,
    chips: Vec<Chip>,
    clear_url: String,
    form: FormView,
    examples: [Example; help::EXAMPLES],
    /// The member whose name was typed, with their uploads.
    member: Option<Link>,
    nothing: Option<Nothing>,
    pager: Pager,
    facets: FacetsView,
    tools: Tools,
    notices: Vec<Flash>,
    #[serde(skip)]
    started: Instant,
}

/// What is asked for is a page, or lies elsewhere.
pub enum Listed {
    Page(Box<ListingPage>),
    Elsewhere(String),
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

/// `GET /` and `GET /torrents`
pub async fn listing(viewer: Viewer) -> Result<HttpResponse> {
    match list(&viewer).await? {
        Listed::Page(page) => show(&viewer, &page),
        Listed::Elsewhere(url) => Ok(viewer.redirect(&url)),
    }
}

/// Renders it.
pub fn show(viewer: &Viewer, page: &ListingPage) -> Result<HttpResponse> {
    viewer.page_framed(StatusCode::OK, page, |frame| {
        frame.search_words.clone_from(&page.words);
        frame.elapsed_ms = i64::try_from(page.started.elapsed().as_millis()).ok();
    })
}

/// Reads what is asked for, finds it and gathers all that is shown of it.
pub async fn list(viewer: &Viewer) -> Result<Listed> {
    let started = Instant::now();
    let app = &viewer.app;
    let mut reading = app.db.reading();
    let catalogue = app.cache.now(&mut reading).await?;
    let (asked, mut notices) = Asked::read(
        &mut reading,
        &catalogue.categories,
        viewer.req.query_string(),
    )
    .await?;
    if asked.from_form {
        return Ok(Listed::Elsewhere(asked.url()));
    }
    let infohashes = Infohash::all_in(&asked.pasted);
    for infohash in &infohashes {
        if let Some(found) = queries::by_pasted_infohash(reading.conn().await?, *infohash).await? {
            return Ok(Listed::Elsewhere(url(found.id, &found.title)));
        }
    }
    if !infohashes.is_empty() {
        notices.push(Flash::warn("No torrent here has that infohash."));
    }
    let member = member(&mut reading, &asked).await?;
    reading.let_go();
    let (asked, found, nothing) = search(viewer, asked).await?;
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
    let categories = &catalogue.categories;
    let mut rows = listing::rows(viewer, &mut reading, &catalogue, &found.ids).await?;
    listing::mark_new(&mut rows, asked.marked_after);
    let facet_tags: Vec<_> = found.facets.tags.iter().map(|(id, _)| *id).collect();
    let tag_names = catalogue.tags(&mut reading, &facet_tags).await?;
    drop(reading);
    let total = i64::try_from(found.total).unwrap_or(i64::MAX);
    Ok(Listed::Page(Box::new(ListingPage {
        heading: asked.heading(),
        words: asked.text(),
        total: found.total,
        total_text: counted(total, "torrent", "torrents"),
        order_text: asked.order_text().to_owned(),
        columns: columns(&asked),
        chips: asked.chips(),
        clear_url: "/torrents".to_owned(),
        form: asked.form(categories::groups(categories)),
        examples: help::examples(),
        member,
        nothing,
        pager: pager::of(&asked, &found, rows.len(), ROWS),
        facets: facets(&asked, categories, &tag_names, &found),
        tools: Tools::of(viewer, &asked),
        rows,
        notices,
        started,
    })))
}

/// The member of this name, where a name is all that was typed.
async fn member(reading: &mut Reading<'_>, asked: &Asked) -> Result<Option<Link>> {
    let Some(name) = asked
        .only_word()
        .and_then(|word| UserName::parse(word).ok())
    else {
        return Ok(None);
    };
    let found = accounts::queries::by_name(reading.conn().await?, name.as_str()).await?;
    Ok(found.map(|user| Link {
        url: asked.of_member(&user.name),
        name: user.name,
    }))
}

/// The page, and where there is none, why.
async fn search(viewer: &Viewer, asked: Asked) -> Result<(Asked, Found, Option<Nothing>)> {
    let who = viewer
        .user()
        .map_or(Who::Guest, |user| Who::of(user.id, user.role));
    let search = viewer.app.search.clone();
    let now = viewer.app.clock.now();
    if asked.page.is_none_or(|page| page < 2) {
        let (filter, cursor) = (asked.filter(now), asked.cursor.as_ref());
        if let Some(found) = search.known_page(who, &filter, asked.sort, cursor, ROWS) {
            return Ok((asked, found, None));
        }
    }
    let answer = web::block(move || -> anyhow::Result<_> {
        let (filter, sort) = (asked.filter(now), asked.sort);
        let numbered = match asked.page {
            Some(page @ 2..) => search.page_behind(who, &filter, sort, (page - 1) * ROWS, ROWS)?,
            _ => None,
        };
        let found = match numbered {
            Some(found) => found,
            // Also where a number is beyond the last page.
            None => search.page(who, &filter, sort, asked.cursor.as_ref(), ROWS)?,
        };
        let nothing = match found.total == 0 && !asked.is_everything() {
            true => Some(nothing::explain(&search, who, &asked, now)?),
            false => None,
        };
        Ok((asked, found, nothing))
    });
    Ok(answer.await??)
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

fn facets(
    asked: &Asked,
    categories: &[Category],
    tags: &HashMap<TagId, Arc<Tag>>,
    found: &Found,
) -> FacetsView {
    let tag = |(id, count): &(TagId, u64)| {
        let name = tags.get(id)?.name.clone();
        let active = asked.has_tag(*id);
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
    };
    let kind = |(kind, count): &(Kind, u64)| {
        let active = asked.kind() == Some(*kind);
        Facet {
            name: kind.as_str().to_owned(),
            count: *count,
            url: asked.with_kind(if active { None } else { Some(*kind) }),
            active,
        }
    };
    FacetsView {
        all_url: asked.with_category(None),
        category_chosen: asked.category().is_some(),
        categories: category_facets(asked, categories, found),
        tags: found.facets.tags.iter().filter_map(tag).collect(),
        kinds: found.facets.kinds.iter().map(kind).collect(),
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
        active: asked.category().is_some_and(|c| c.id == category.id),
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
