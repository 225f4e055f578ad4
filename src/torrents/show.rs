//! A torrent's page, one folder of its files at a time; and what is left of a deleted one.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::download::magnet;
use super::listing::{CategoryLink, Link};
use super::queries::{self, Torrent};
use super::{id_of, may_change, url};
use crate::accounts::Viewer;
use crate::bittorrent::files::{self, Entry};
use crate::bittorrent::infohash::Infohash;
use crate::bookmarks::queries as bookmarks;
use crate::categories::{self, Category};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::ids::CategoryId;
use crate::tags;
use crate::tracker::{self, Health, Tracker, chart};
use crate::web::filters::{number, urlencode};
use crate::web::flash::Flash;
use crate::web::markdown;
use crate::web::render::Page;

/// Entries of a folder on one page, so that 50,000 files work without script.
const ENTRIES: usize = 500;
const HISTORY_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

#[derive(Serialize)]
struct TorrentView {
    id: i64,
    url: String,
    title: String,
    name: String,
    category: Option<CategoryLink>,
    tags: Vec<Link>,
    uploader: Option<Link>,
    anonymous: bool,
    created_at: i64,
    edited_at: Option<i64>,
    size: i64,
    file_count: i64,
    kind: &'static str,
    private: bool,
    infohash_v1: Option<String>,
    infohash_v2: Option<String>,
    piece_length: i64,
    piece_count: i64,
    created_by: Option<String>,
    source: Option<String>,
    made_at: Option<i64>,
    web_seeds: Vec<String>,
    downloads: i64,
    description_html: String,
}

#[derive(Serialize)]
struct SwarmView {
    seeders: Option<i64>,
    leechers: Option<i64>,
    completed: Option<i64>,
    checked_at: Option<i64>,
    /// The tracker has yet to learn of the torrent.
    waiting: bool,
    /// The tracker does not answer at the moment.
    away: bool,
    /// The trackers are others', which tell nothing.
    public: bool,
    history_svg: Option<String>,
    history_label: String,
    history_text: String,
}

#[derive(Serialize)]
struct Actions {
    download_url: Option<String>,
    magnet: Option<String>,
    edit_url: Option<String>,
    delete_url: Option<String>,
    login_url: Option<String>,
    /// Whether the viewer has marked it; guests mark nothing.
    bookmarked: Option<bool>,
}

#[derive(Serialize)]
struct FolderView {
    name: String,
    url: String,
    size: i64,
    count: i64,
}

#[derive(Serialize)]
struct FileView {
    name: String,
    size: i64,
    icon: &'static str,
}

#[derive(Serialize)]
struct FilePager {
    first_url: Option<String>,
    previous_url: Option<String>,
    next_url: Option<String>,
    page_text: String,
}

#[derive(Serialize)]
struct FilesView {
    path: Vec<Link>,
    folders: Vec<FolderView>,
    files: Vec<FileView>,
    total_size: i64,
    total_count: i64,
    hidden_pads: i64,
    pager: Option<FilePager>,
}

#[derive(Serialize)]
struct ShowPage {
    crumbs: Vec<Link>,
    torrent: TorrentView,
    swarm: SwarmView,
    actions: Actions,
    files: FilesView,
    notices: Vec<Flash>,
}

impl Page for ShowPage {
    const TEMPLATE: &'static str = "torrents/show.html";
    const SECTION: &'static str = "browse";
    fn title(&self) -> String {
        self.torrent.title.clone()
    }
}

#[derive(Serialize)]
struct GonePage {
    title: String,
    deleted_at: i64,
    deleted_by: Option<String>,
    reason: String,
    infohash_v1: Option<String>,
    infohash_v2: Option<String>,
    search_url: String,
}

impl Page for GonePage {
    const TEMPLATE: &'static str = "torrents/gone.html";
    const SECTION: &'static str = "browse";
    fn title(&self) -> String {
        self.title.clone()
    }
}

#[derive(Deserialize)]
pub struct Place {
    #[serde(default)]
    folder: String,
    #[serde(default)]
    page: Option<String>,
}

/// `GET /torrents/{id}` and `/torrents/{id}-words`
pub async fn torrent(
    viewer: Viewer,
    id: web::Path<String>,
    place: web::Query<Place>,
) -> Result<HttpResponse> {
    let id = id_of(&id).ok_or(Error::NotFound)?;
    let app = &viewer.app;
    let now = app.clock.now();
    let mut conn = app.db.read().await?;
    let torrent = queries::by_id(&mut conn, id)
        .await?
        .ok_or(Error::NotFound)?;
    if torrent.is_deleted() {
        return gone(&viewer, torrent);
    }
    let category = category_with_parent(&mut conn, torrent.category_id).await?;
    let tags = tags::queries::of_torrents(&mut conn, &[id])
        .await?
        .remove(&id)
        .unwrap_or_default();
    let numbers = app.tracker.numbers(&mut conn, id).await?;
    let waiting = app.tracker.awaits(&mut conn, id).await?;
    let samples =
        tracker::queries::history_of(&mut conn, id, now.plus(-HISTORY_DAYS * DAY_S).0 / DAY_S)
            .await?;
    let bookmarked = match viewer.user() {
        Some(user) => Some(
            bookmarks::among(&mut conn, user.id, &[id])
                .await?
                .contains(&id),
        ),
        None => None,
    };
    let packed = queries::packed_files(&mut conn, id)
        .await?
        .unwrap_or_default();
    drop(conn);

    let page = place
        .page
        .as_deref()
        .and_then(|p| p.parse().ok())
        .unwrap_or(1usize)
        .max(1);
    let (name, own_url) = (torrent.name.clone(), format!("/torrents/{id}"));
    let folder = place.into_inner().folder;
    let files = web::block(move || folder_view(&packed, &name, &own_url, &folder, page)).await??;
    let Some(files) = files else {
        return Err(Error::NotFound);
    };

    let own = may_change(&viewer, torrent.uploader_id);
    let may_download = viewer.settings.may_download(viewer.role());
    let show_uploader = !torrent.anonymous || own;
    let crumbs = crumbs(category.as_ref());
    let description_html = if torrent.description.trim().is_empty() {
        String::new()
    } else {
        markdown::render(&torrent.description)
    };
    let view = ShowPage {
        crumbs,
        swarm: SwarmView {
            seeders: numbers.as_ref().map(|n| n.seeders),
            leechers: numbers.as_ref().map(|n| n.leechers),
            completed: numbers.as_ref().map(|n| n.completed),
            checked_at: numbers.as_ref().map(|n| n.updated_at.0),
            waiting,
            away: matches!(app.tracker.health(), Health::Ailing { .. }),
            public: matches!(app.tracker, Tracker::Public(_)),
            history_svg: chart::svg(&samples, now),
            history_label: known_for(samples.first().map(|s| now.since(s.at))),
            history_text: chart::summary(&samples),
        },
        actions: Actions {
            download_url: may_download.then(|| format!("/torrents/{id}/download")),
            magnet: if may_download {
                magnet(&viewer, &torrent)?
            } else {
                None
            },
            edit_url: own.then(|| format!("/torrents/{id}/edit")),
            delete_url: own.then(|| format!("/torrents/{id}/delete")),
            bookmarked,
            login_url: (!may_download)
                .then(|| format!("/login?next={}", urlencode(&format!("/torrents/{id}")))),
        },
        torrent: TorrentView {
            id: id.0,
            url: url(id, &torrent.title),
            category: category
                .as_ref()
                .map(|(category, _)| CategoryLink::of(category)),
            tags: tags.iter().map(Link::to_tag).collect(),
            uploader: show_uploader.then(|| Link {
                name: torrent.uploader_name.clone(),
                url: format!("/members/{}", urlencode(&torrent.uploader_name)),
            }),
            anonymous: torrent.anonymous,
            created_at: torrent.created_at.0,
            edited_at: (torrent.updated_at > torrent.created_at).then_some(torrent.updated_at.0),
            size: torrent.size,
            file_count: torrent.file_count,
            kind: torrent.kind().as_str(),
            private: torrent.private,
            infohash_v1: torrent.infohash_v1().map(|h| h.to_string()),
            infohash_v2: torrent.infohash_v2().map(|h| h.to_string()),
            piece_length: torrent.piece_length,
            piece_count: torrent.piece_count,
            web_seeds: torrent.web_seeds()?,
            made_at: torrent.metainfo_created_at.filter(|at| *at > 0),
            created_by: torrent.created_by,
            source: torrent.source,
            downloads: torrent.downloads,
            description_html,
            title: torrent.title,
            name: torrent.name,
        },
        files,
        notices: Vec::new(),
    };
    viewer.page(&view)
}

/// `GET /t/{infohash}`: the permanent address of a torrent, by any of its hashes.
pub async fn by_infohash(viewer: Viewer, text: web::Path<String>) -> Result<HttpResponse> {
    let infohash = Infohash::parse_any(&text).ok_or(Error::NotFound)?;
    let mut conn = viewer.app.db.read().await?;
    let found = queries::by_pasted_infohash(&mut conn, infohash)
        .await?
        .ok_or(Error::NotFound)?;
    Ok(viewer.redirect(&url(found.id, &found.title)))
}

fn gone(viewer: &Viewer, torrent: Torrent) -> Result<HttpResponse> {
    let page = GonePage {
        deleted_at: torrent.deleted_at.map_or(0, |at| at.0),
        // Who deleted an own anonymous upload would say whose it was.
        deleted_by: torrent.deleted_by_name.clone().filter(|name| {
            viewer.is_moderator() || !torrent.anonymous || *name != torrent.uploader_name
        }),
        reason: torrent.delete_reason.clone().unwrap_or_default(),
        infohash_v1: torrent.infohash_v1().map(|h| h.to_string()),
        infohash_v2: torrent.infohash_v2().map(|h| h.to_string()),
        search_url: format!("/torrents?q={}", urlencode(&torrent.title)),
        title: torrent.title,
    };
    viewer.page_with(StatusCode::GONE, &page)
}

/// How far back the chart goes: what is shown at the most, or less where less is known.
fn known_for(seconds: Option<i64>) -> String {
    let days = ((seconds.unwrap_or(0) + DAY_S - 1) / DAY_S).min(HISTORY_DAYS);
    match days {
        ..=1 => "last day".to_owned(),
        days => format!("last {days} days"),
    }
}

async fn category_with_parent(
    conn: &mut Conn,
    id: CategoryId,
) -> Result<Option<(Category, Option<Category>)>> {
    let Some(category) = categories::queries::by_id(conn, id).await? else {
        return Ok(None);
    };
    let parent = match category.parent_id {
        Some(parent) => categories::queries::by_id(conn, parent).await?,
        None => None,
    };
    Ok(Some((category, parent)))
}

fn crumbs(category: Option<&(Category, Option<Category>)>) -> Vec<Link> {
    let Some((category, parent)) = category else {
        return Vec::new();
    };
    parent
        .iter()
        .chain([category])
        .map(|c| Link {
            name: c.name.clone(),
            url: c.url(),
        })
        .collect()
}

fn folder_view(
    packed: &[u8],
    name: &str,
    own_url: &str,
    folder: &str,
    page: usize,
) -> anyhow::Result<Option<FilesView>> {
    let all = files::unpack(packed)?;
    let offset = (page - 1).saturating_mul(ENTRIES);
    let Some(listing) = files::list(&all, folder, offset, ENTRIES) else {
        return Ok(None);
    };
    let folder_url = |path: &str| {
        if path.is_empty() {
            format!("{own_url}#files")
        } else {
            format!("{own_url}?folder={}#files", urlencode(path))
        }
    };
    let mut path = vec![Link {
        name: name.to_owned(),
        url: folder_url(""),
    }];
    let mut so_far = String::new();
    for part in folder.split('/').filter(|part| !part.is_empty()) {
        if !so_far.is_empty() {
            so_far.push('/');
        }
        so_far.push_str(part);
        path.push(Link {
            name: part.to_owned(),
            url: folder_url(&so_far),
        });
    }
    let mut view = FilesView {
        path,
        folders: Vec::new(),
        files: Vec::new(),
        total_size: i64::try_from(listing.size)?,
        total_count: i64::try_from(listing.files)?,
        hidden_pads: i64::try_from(listing.pads)?,
        pager: None,
    };
    let shown = listing.entries.len();
    for entry in &listing.entries {
        match entry {
            Entry::Folder { name, files, size } => {
                let below = if folder.is_empty() {
                    (*name).to_owned()
                } else {
                    format!("{folder}/{name}")
                };
                view.folders.push(FolderView {
                    name: (*name).to_owned(),
                    url: folder_url(&below),
                    size: i64::try_from(*size)?,
                    count: i64::try_from(*files)?,
                });
            }
            Entry::File { name, size, .. } => view.files.push(FileView {
                name: (*name).to_owned(),
                size: i64::try_from(*size)?,
                icon: icon_of(name),
            }),
        }
    }
    if listing.total > ENTRIES {
        let at = |page: usize| format!("{own_url}?folder={}&page={page}#files", urlencode(folder));
        let last = offset + shown;
        view.pager = Some(FilePager {
            first_url: (page > 2).then(|| at(1)),
            previous_url: (page > 1).then(|| at(page - 1)),
            next_url: (last < listing.total).then(|| at(page + 1)),
            page_text: format!(
                "{} to {} of {}",
                number(i64::try_from(offset + 1)?),
                number(i64::try_from(last)?),
                number(i64::try_from(listing.total)?)
            ),
        });
    }
    Ok(Some(view))
}

/// A picture for a file's ending, from the interface's icons.
fn icon_of(name: &str) -> &'static str {
    let ending = name
        .rsplit_once('.')
        .map(|(_, e)| e.to_ascii_lowercase())
        .unwrap_or_default();
    match ending.as_str() {
        "iso" | "img" | "dmg" | "qcow2" | "vmdk" => "disc",
        "mkv" | "mp4" | "avi" | "webm" | "mov" | "ogv" | "m4v" | "mpg" | "mpeg" | "ts" => "film",
        "mp3" | "flac" | "ogg" | "opus" | "wav" | "m4a" | "aac" => "music",
        "pdf" | "epub" | "mobi" | "djvu" | "cbz" | "cbr" => "book",
        "jpg" | "jpeg" | "png" | "gif" | "webp" | "svg" | "tif" | "tiff" | "avif" | "jxl" => {
            "image"
        }
        "zip" | "tar" | "gz" | "xz" | "zst" | "bz2" | "7z" | "rar" | "tgz" | "warc" => "archive",
        "csv" | "tsv" | "parquet" | "json" | "jsonl" | "h5" | "hdf5" | "nc" | "sqlite" | "db"
        | "arrow" => "dataset",
        "exe" | "msi" | "deb" | "rpm" | "apk" | "appimage" | "jar" | "sh" | "bin" => "software",
        _ => "file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_claims_no_more_days_than_are_known() {
        assert_eq!(known_for(None), "last day");
        assert_eq!(known_for(Some(3_600)), "last day");
        assert_eq!(known_for(Some(2 * DAY_S + 1)), "last 3 days");
        assert_eq!(known_for(Some(31 * DAY_S)), "last 30 days");
    }
}
