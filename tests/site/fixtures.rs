//! Torrents in numbers, put straight into the table: for tests about what many rows do, where uploading each would
//! take minutes.

use seedbank::db::revisions::{self, Revision};
use seedbank::ids::{CategoryId, TagId, TorrentId, UserId};
use seedbank::{categories, on, tags};
use sqlx::QueryBuilder;

use crate::harness::Site;

/// The default tree, as set-up makes it.
pub async fn seed_categories(site: &Site) {
    let mut tx = site.app.db.write().await.unwrap();
    categories::seed_defaults(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn category(site: &Site, slug: &str) -> categories::Category {
    find_category(site, slug)
        .await
        .unwrap_or_else(|| panic!("no category {slug}"))
}

pub async fn find_category(site: &Site, slug: &str) -> Option<categories::Category> {
    let mut conn = site.app.db.read().await.unwrap();
    categories::queries::by_slug(&mut conn, slug).await.unwrap()
}

/// `count` published torrents; every seventh is anonymous.
pub async fn torrents(
    site: &Site,
    category: CategoryId,
    uploader: UserId,
    count: usize,
) -> Vec<TorrentId> {
    let mut tx = site.app.db.write().await.unwrap();
    let mut ids = Vec::new();
    for start in (0..count).step_by(500) {
        let rows = start..count.min(start + 500);
        let some: Vec<TorrentId> = on!(tx, |c: B| {
            let mut query = QueryBuilder::<B>::new(
                "insert into torrents (revision, state, infohash_v1, name, title, description, category_id, uploader_id, \
                 anonymous, private, size, file_count, piece_length, piece_count, web_seeds, created_at, updated_at) ",
            );
            query.push_values(rows, |mut row, i| {
                row.push_bind(0_i64)
                    .push_bind("published")
                    .push_bind(rand::random::<[u8; 20]>().to_vec())
                    .push_bind(format!("name-{i}"))
                    .push_bind(format!("Title {i}"))
                    .push_bind("")
                    .push_bind(category)
                    .push_bind(uploader)
                    .push_bind(i % 7 == 3)
                    .push_bind(false)
                    .push_bind(1_000_i64)
                    .push_bind(1_i64)
                    .push_bind(16_384_i64)
                    .push_bind(1_i64)
                    .push_bind("[]")
                    .push_bind(0_i64)
                    .push_bind(0_i64);
            });
            query.push(" returning id");
            query.build_query_scalar().fetch_all(c).await
        })
        .unwrap();
        ids.extend(some);
    }
    tx.commit().await.unwrap();
    ids
}

/// Makes the tags where needed and puts them on the torrents.
pub async fn tag(site: &Site, torrents: &[TorrentId], names: &str) -> Vec<TagId> {
    let mut tx = site.app.db.write().await.unwrap();
    let names = tags::parse_list(names).unwrap();
    let ids = tags::queries::resolve_or_create(&mut tx, &names, site.clock.now())
        .await
        .unwrap();
    for torrent in torrents {
        tags::queries::set_for_torrent(&mut tx, *torrent, &ids)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

/// The names of a torrent's tags.
pub async fn tags_of(site: &Site, torrent: TorrentId) -> Vec<String> {
    let mut conn = site.app.db.read().await.unwrap();
    let mut all = tags::queries::of_torrents(&mut conn, &[torrent])
        .await
        .unwrap();
    all.remove(&torrent)
        .unwrap_or_default()
        .into_iter()
        .map(|tag| tag.name)
        .collect()
}

pub async fn tag_named(site: &Site, name: &str) -> Option<tags::Tag> {
    let mut conn = site.app.db.read().await.unwrap();
    let name = tags::TagName::parse(name).unwrap();
    tags::queries::find(&mut conn, &name).await.unwrap()
}

/// One number out of the database.
pub async fn number(site: &Site, sql: &'static str, key: i64) -> i64 {
    let mut conn = site.app.db.read().await.unwrap();
    on!(conn, |c| sqlx::query_scalar(sql)
        .bind(key)
        .fetch_one(c)
        .await)
    .unwrap()
}

pub async fn catalogue_revision(site: &Site) -> i64 {
    let mut conn = site.app.db.read().await.unwrap();
    revisions::current(&mut conn, Revision::Catalogue)
        .await
        .unwrap()
}
