//! All SQL of torrents but the listing's.

use std::collections::HashMap;

use anyhow::Context;
use sqlx::QueryBuilder;

use super::Title;
use super::publish::Draft;
use crate::bittorrent::files;
use crate::bittorrent::infohash::{Infohash, InfohashV1, InfohashV2};
use crate::bittorrent::metainfo::{Kind, Metainfo};
use crate::clock::Timestamp;
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Tx, violates_unique};
use crate::ids::{CategoryId, TagId, TorrentId, UserId};
use crate::{exec, on, outbox};

/// Everything of a new torrent, in the shapes of the columns.
pub struct NewTorrent {
    infohash_v1: Option<Vec<u8>>,
    infohash_v2: Option<Vec<u8>>,
    name: String,
    title: String,
    description: String,
    category_id: CategoryId,
    uploader_id: UserId,
    anonymous: bool,
    private: bool,
    size: i64,
    file_count: i64,
    piece_length: i64,
    piece_count: i64,
    source: Option<String>,
    created_by: Option<String>,
    metainfo_created_at: Option<i64>,
    web_seeds: String,
    at: Timestamp,
    info: Vec<u8>,
    kept: Vec<u8>,
    packed_files: Vec<u8>,
}

impl NewTorrent {
    pub fn of(
        metainfo: &Metainfo,
        title: &Title,
        draft: &Draft,
        uploader_id: UserId,
        at: Timestamp,
    ) -> anyhow::Result<Self> {
        let shown = metainfo.files.iter().filter(|f| !f.pad).count();
        Ok(Self {
            infohash_v1: metainfo.infohash_v1.map(|h| h.as_bytes().to_vec()),
            infohash_v2: metainfo.infohash_v2.map(|h| h.as_bytes().to_vec()),
            name: metainfo.name.clone(),
            title: title.as_str().to_owned(),
            description: draft.description.clone(),
            category_id: draft.category,
            uploader_id,
            anonymous: draft.anonymous,
            private: metainfo.private,
            size: i64::try_from(metainfo.size)?,
            file_count: i64::try_from(shown)?,
            piece_length: i64::try_from(metainfo.piece_length)?,
            piece_count: i64::try_from(metainfo.piece_count)?,
            source: metainfo.source.as_deref().map(without_nul),
            created_by: metainfo.outer.created_by.as_deref().map(without_nul),
            metainfo_created_at: metainfo.outer.created_at,
            web_seeds: serde_json::to_string(&metainfo.outer.web_seeds)?,
            at,
            info: metainfo.info.clone(),
            kept: metainfo.outer.kept.clone(),
            packed_files: files::pack(&metainfo.files),
        })
    }
}

/// How many torrents one statement stores: some twenty parameters each.
pub const AT_ONCE: usize = 64;

impl NewTorrent {
    /// Whether both have a hash, and the same.
    pub fn shares_a_hash_with(&self, other: &Self) -> bool {
        let same = |a: &Option<Vec<u8>>, b: &Option<Vec<u8>>| a.is_some() && a == b;
        same(&self.infohash_v1, &other.infohash_v1) || same(&self.infohash_v2, &other.infohash_v2)
    }

    /// What most of its bytes are.
    pub fn bytes(&self) -> usize {
        self.info.len() + self.kept.len() + self.packed_files.len()
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// Postgres takes no NUL in text; outer strings may hold one.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    #[error("a torrent with one of these hashes is in the catalogue")]
    Known,
    #[error("no such category")]
    NoCategory,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The torrent, its blob, its files and its tags; stamped with a new catalogue revision.
pub async fn insert(
    tx: &mut Tx,
    new: &NewTorrent,
    tags: &[TagId],
) -> Result<TorrentId, InsertError> {
    let ids = insert_unstamped(tx, &[(new, tags)]).await?;
    stamp(tx, &ids).await?;
    ids.first().copied().ok_or(InsertError::Known)
}

/// The same for many, in as many statements as for one, and without the stamp, which must follow in the same
/// transaction: nobody learns of the torrents before. At most [`AT_ONCE`], of which no two share a hash.
pub async fn insert_unstamped(
    tx: &mut Tx,
    all: &[(&NewTorrent, &[TagId])],
) -> Result<Vec<TorrentId>, InsertError> {
    let Some((first, _)) = all.first() else {
        return Ok(Vec::new());
    };
    let ids = insert_rows(tx, all).await?;
    on!(tx, |c: B| {
        let mut query =
            QueryBuilder::<B>::new("insert into torrent_blobs (torrent_id, info, kept) ");
        query.push_values(ids.iter().zip(all), |mut row, (id, (new, _))| {
            row.push_bind(*id)
                .push_bind(&new.info[..])
                .push_bind(&new.kept[..]);
        });
        query.build().execute(c).await.map(drop)
    })?;
    on!(tx, |c: B| {
        let mut query = QueryBuilder::<B>::new("insert into torrent_files (torrent_id, packed) ");
        query.push_values(ids.iter().zip(all), |mut row, (id, (new, _))| {
            row.push_bind(*id).push_bind(&new.packed_files[..]);
        });
        query.build().execute(c).await.map(drop)
    })?;
    let tags: Vec<(TorrentId, TagId)> = ids
        .iter()
        .zip(all)
        .flat_map(|(id, (_, tags))| tags.iter().map(|tag| (*id, *tag)))
        .collect();
    add_tags(tx, &tags).await?;
    outbox::torrents(tx, &ids, first.at).await?;
    Ok(ids)
}

/// In the order of what was given.
async fn insert_rows(
    tx: &mut Tx,
    all: &[(&NewTorrent, &[TagId])],
) -> Result<Vec<TorrentId>, InsertError> {
    type Row = (TorrentId, Option<Vec<u8>>, Option<Vec<u8>>);
    type Hashes<'r> = (Option<&'r [u8]>, Option<&'r [u8]>);
    let inserted: Result<Vec<Row>, sqlx::Error> = on!(tx, |c: B| {
        let mut query = QueryBuilder::<B>::new(
            "insert into torrents (revision, state, infohash_v1, infohash_v2, name, title, description, category_id, \
             uploader_id, anonymous, private, size, file_count, piece_length, piece_count, source, created_by, \
             metainfo_created_at, web_seeds, created_at, updated_at) ",
        );
        query.push_values(all, |mut row, (new, _)| {
            row.push("0")
                .push("'published'")
                .push_bind(new.infohash_v1.as_deref())
                .push_bind(new.infohash_v2.as_deref())
                .push_bind(&new.name[..])
                .push_bind(&new.title[..])
                .push_bind(&new.description[..])
                .push_bind(new.category_id)
                .push_bind(new.uploader_id)
                .push_bind(new.anonymous)
                .push_bind(new.private)
                .push_bind(new.size)
                .push_bind(new.file_count)
                .push_bind(new.piece_length)
                .push_bind(new.piece_count)
                .push_bind(new.source.as_deref())
                .push_bind(new.created_by.as_deref())
                .push_bind(new.metainfo_created_at)
                .push_bind(&new.web_seeds[..])
                .push_bind(new.at)
                .push_bind(new.at);
        });
        query.push(" returning id, infohash_v1, infohash_v2");
        query.build_query_as().fetch_all(c).await
    });
    let rows = match inserted {
        Ok(rows) => rows,
        Err(e)
            if violates_unique(&e, "torrents", "infohash_v1")
                || violates_unique(&e, "torrents", "infohash_v2") =>
        {
            return Err(InsertError::Known);
        }
        Err(e)
            if e.as_database_error()
                .is_some_and(|e| e.is_foreign_key_violation()) =>
        {
            return Err(InsertError::NoCategory);
        }
        Err(e) => return Err(e.into()),
    };
    // In which order they come back is not promised.
    let of: HashMap<Hashes<'_>, TorrentId> = rows
        .iter()
        .map(|(id, v1, v2)| ((v1.as_deref(), v2.as_deref()), *id))
        .collect();
    all.iter()
        .map(|(new, _)| of.get(&(new.infohash_v1.as_deref(), new.infohash_v2.as_deref())))
        .map(|id| {
            id.copied()
                .ok_or(InsertError::Database(sqlx::Error::RowNotFound))
        })
        .collect()
}

async fn add_tags(tx: &mut Tx, tags: &[(TorrentId, TagId)]) -> Result<(), sqlx::Error> {
    // Each takes two parameters, of which a statement has some ten thousand at least.
    for some in tags.chunks(4_000) {
        on!(tx, |c: B| {
            let mut query =
                QueryBuilder::<B>::new("insert into torrent_tags (torrent_id, tag_id) ");
            query.push_values(some, |mut row, (torrent, tag)| {
                row.push_bind(*torrent).push_bind(*tag);
            });
            query.push(" on conflict do nothing");
            query.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Gives changed torrents the next catalogue revision; the last statements of their transaction, because the
/// revision's row stays locked until its end.
pub async fn stamp(tx: &mut Tx, ids: &[TorrentId]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let revision = revisions::bump(tx, Revision::Catalogue).await?;
    on!(tx, |c: B| {
        let mut query = QueryBuilder::<B>::new("update torrents set revision = ");
        query.push_bind(revision).push(" where id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        query.build().execute(c).await.map(drop)
    })
}

/// The torrent that has a hash already.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Existing {
    pub id: TorrentId,
    pub title: String,
}

/// Those of new torrents of which a hash is in the catalogue, by their places.
pub async fn existing_among(
    conn: &mut Conn,
    all: &[&NewTorrent],
) -> Result<HashMap<usize, Existing>, sqlx::Error> {
    type Row = (TorrentId, String, Option<Vec<u8>>, Option<Vec<u8>>);
    let mut rows: Vec<Row> = Vec::new();
    for column in ["infohash_v1", "infohash_v2"] {
        let hashes: Vec<&[u8]> = all
            .iter()
            .filter_map(|new| match column {
                "infohash_v1" => new.infohash_v1.as_deref(),
                _ => new.infohash_v2.as_deref(),
            })
            .collect();
        if hashes.is_empty() {
            continue;
        }
        let found: Vec<Row> = on!(conn, |c: B| {
            let mut query = QueryBuilder::<B>::new(
                "select id, title, infohash_v1, infohash_v2 from torrents where state <> 'deleted' and ",
            );
            query.push(column).push(" in (");
            let mut list = query.separated(", ");
            for hash in hashes {
                list.push_bind(hash);
            }
            query.push(")");
            query.build_query_as().fetch_all(c).await
        })?;
        rows.extend(found);
    }
    let same = |a: &Option<Vec<u8>>, b: &Option<Vec<u8>>| a.is_some() && a == b;
    let places = all.iter().enumerate().filter_map(|(place, new)| {
        let (id, title, ..) = rows
            .iter()
            .find(|(_, _, v1, v2)| same(v1, &new.infohash_v1) || same(v2, &new.infohash_v2))?;
        let (id, title) = (*id, title.clone());
        Some((place, Existing { id, title }))
    });
    Ok(places.collect())
}

/// Whether one of a new torrent's hashes is in the catalogue.
pub async fn existing(conn: &mut Conn, new: &NewTorrent) -> Result<Option<Existing>, sqlx::Error> {
    Ok(existing_among(conn, &[new]).await?.remove(&0))
}

/// The published torrent of a hash.
pub async fn by_infohash(
    conn: &mut Conn,
    infohash: Infohash,
) -> Result<Option<Existing>, sqlx::Error> {
    const V1: &str = "select id, title from torrents where infohash_v1 = $1 and state <> 'deleted'";
    const V2: &str = "select id, title from torrents where infohash_v2 = $1 and state <> 'deleted'";
    match infohash {
        Infohash::V1(hash) => on!(conn, |c| sqlx::query_as(V1)
            .bind(&hash.as_bytes()[..])
            .fetch_optional(c)
            .await),
        Infohash::V2(hash) => on!(conn, |c| sqlx::query_as(V2)
            .bind(&hash.as_bytes()[..])
            .fetch_optional(c)
            .await),
    }
}

/// The published torrent of a hash as people copy it: of v2 also the first 20 bytes, which is what clients show.
pub async fn by_pasted_infohash(
    conn: &mut Conn,
    infohash: Infohash,
) -> Result<Option<Existing>, sqlx::Error> {
    const TRUNCATED: &str = "select id, title from torrents where infohash_v2 between $1 and $2 and state <> 'deleted' \
        order by infohash_v2 limit 1";
    if let Some(found) = by_infohash(conn, infohash).await? {
        return Ok(Some(found));
    }
    let Infohash::V1(hash) = infohash else {
        return Ok(None);
    };
    let filled = |rest: u8| [&hash.as_bytes()[..], &[rest; 12]].concat();
    on!(conn, |c| sqlx::query_as(TRUNCATED)
        .bind(filled(0))
        .bind(filled(0xff))
        .fetch_optional(c)
        .await)
}

/// What a torrent's page shows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Torrent {
    pub id: TorrentId,
    pub state: String,
    infohash_v1: Option<Vec<u8>>,
    infohash_v2: Option<Vec<u8>>,
    pub name: String,
    pub title: String,
    pub description: String,
    pub category_id: CategoryId,
    pub uploader_id: UserId,
    pub uploader_name: String,
    pub anonymous: bool,
    pub private: bool,
    pub size: i64,
    pub file_count: i64,
    pub piece_length: i64,
    pub piece_count: i64,
    pub source: Option<String>,
    pub created_by: Option<String>,
    pub metainfo_created_at: Option<i64>,
    web_seeds: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub deleted_by_name: Option<String>,
    pub delete_reason: Option<String>,
    pub downloads: i64,
}

impl Torrent {
    pub fn is_deleted(&self) -> bool {
        self.state == "deleted"
    }

    pub fn infohash_v1(&self) -> Option<InfohashV1> {
        InfohashV1::from_slice(self.infohash_v1.as_deref()?)
    }

    pub fn infohash_v2(&self) -> Option<InfohashV2> {
        InfohashV2::from_slice(self.infohash_v2.as_deref()?)
    }

    pub fn kind(&self) -> Kind {
        match (self.infohash_v1.is_some(), self.infohash_v2.is_some()) {
            (true, true) => Kind::Hybrid,
            (false, true) => Kind::V2,
            _ => Kind::V1,
        }
    }

    pub fn web_seeds(&self) -> anyhow::Result<Vec<String>> {
        serde_json::from_str(&self.web_seeds)
            .with_context(|| format!("web seeds of torrent {}", self.id))
    }
}

/// A torrent in any state.
pub async fn by_id(conn: &mut Conn, id: TorrentId) -> Result<Option<Torrent>, sqlx::Error> {
    const SQL: &str = "select t.id, t.state, t.infohash_v1, t.infohash_v2, t.name, t.title, t.description, t.category_id, \
        t.uploader_id, u.name as uploader_name, t.anonymous, t.private, t.size, t.file_count, t.piece_length, \
        t.piece_count, t.source, t.created_by, t.metainfo_created_at, t.web_seeds, t.created_at, t.updated_at, \
        t.deleted_at, d.name as deleted_by_name, t.delete_reason, coalesce(n.count, 0) as downloads \
        from torrents t join users u on u.id = t.uploader_id left join users d on d.id = t.deleted_by \
        left join download_counts n on n.torrent_id = t.id where t.id = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// The packed file list.
pub async fn packed_files(conn: &mut Conn, id: TorrentId) -> Result<Option<Vec<u8>>, sqlx::Error> {
    const SQL: &str = "select packed from torrent_files where torrent_id = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// What a download is made of.
#[derive(sqlx::FromRow)]
pub struct Blob {
    pub name: String,
    pub info: Vec<u8>,
    pub kept: Vec<u8>,
}

pub async fn blob(conn: &mut Conn, id: TorrentId) -> Result<Option<Blob>, sqlx::Error> {
    const SQL: &str = "select t.name, b.info, b.kept from torrents t join torrent_blobs b on b.torrent_id = t.id \
        where t.id = $1 and t.state = 'published'";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// What an edit may change.
pub struct Change<'a> {
    pub title: &'a Title,
    pub description: &'a str,
    pub category_id: CategoryId,
    pub anonymous: bool,
    pub tags: &'a [TagId],
    pub at: Timestamp,
}

/// Changes a published torrent; `false` when it is none any more.
pub async fn update(tx: &mut Tx, id: TorrentId, change: &Change<'_>) -> Result<bool, InsertError> {
    const SQL: &str = "update torrents set title = $2, description = $3, category_id = $4, anonymous = $5, \
        updated_at = $6 where id = $1 and state = 'published'";
    const CLEAR: &str = "delete from torrent_tags where torrent_id = $1";
    let changed = exec!(
        tx,
        SQL,
        id,
        change.title.as_str(),
        change.description,
        change.category_id,
        change.anonymous,
        change.at
    );
    match changed {
        Ok(0) => return Ok(false),
        Ok(_) => {}
        Err(e)
            if e.as_database_error()
                .is_some_and(|e| e.is_foreign_key_violation()) =>
        {
            return Err(InsertError::NoCategory);
        }
        Err(e) => return Err(e.into()),
    }
    exec!(tx, CLEAR, id)?;
    let tags: Vec<(TorrentId, TagId)> = change.tags.iter().map(|tag| (id, *tag)).collect();
    add_tags(tx, &tags).await?;
    stamp(tx, &[id]).await?;
    Ok(true)
}

/// Deletes; the row stays as a note, the hash is free again. `false` when it was gone already.
pub async fn delete(
    tx: &mut Tx,
    id: TorrentId,
    by: UserId,
    reason: &str,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    const SQL: &str = "update torrents set state = 'deleted', deleted_at = $2, deleted_by = $3, delete_reason = $4 \
        where id = $1 and state <> 'deleted'";
    if exec!(tx, SQL, id, at, by, reason)? == 0 {
        return Ok(false);
    }
    outbox::torrent(tx, id, at).await?;
    stamp(tx, &[id]).await?;
    Ok(true)
}

/// Takes away the blobs of torrents deleted before `before`, a few at a time; tells how many went.
pub async fn purge_blobs(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
    const SQL: &str = "delete from torrent_blobs where torrent_id in (select b.torrent_id from torrent_blobs b \
        join torrents t on t.id = b.torrent_id where t.state = 'deleted' and t.deleted_at < $1 limit $2)";
    exec!(tx, SQL, before, limit)
}

/// How many published torrents a member has; anonymous ones only where they may be known.
pub async fn count_of(
    conn: &mut Conn,
    uploader: UserId,
    with_anonymous: bool,
) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from torrents where uploader_id = $1 and state = 'published' \
        and (anonymous = $2 or anonymous = $3)";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(uploader)
        .bind(false)
        .bind(with_anonymous)
        .fetch_one(c)
        .await)
}
