//! What the search reads from the database: all its SQL. It writes nothing.
//!
//! Lists come as one text per row or per batch: sqlx pays for each row, and `string_agg` is the same on both.

use futures_util::TryStreamExt;

use super::filter::Kind;
use super::follow::{Batch, Entry, Stamp};
use super::names;
use super::numbers::Swarm;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};
use crate::on;

/// A batch ends early once it holds this many bytes of text.
const BATCH_BYTES: usize = 8_000_000;
/// Between the fields of an aggregated row, and between such rows: no tag has a control character.
const FIELD: &str = "\u{1f}";
const ROW: &str = "\u{1e}";

/// The database's name and the catalogue's revision.
pub async fn head(conn: &mut Conn) -> Result<(Vec<u8>, i64), sqlx::Error> {
    const SQL: &str = "select i.database_id, r.value from identity i cross join revisions r \
        where i.one = 1 and r.name = 'catalogue'";
    on!(conn, |c| sqlx::query_as(SQL).fetch_one(c).await)
}

/// Each category with its parent.
pub async fn categories(
    conn: &mut Conn,
) -> Result<Vec<(CategoryId, Option<CategoryId>)>, sqlx::Error> {
    const SQL: &str = "select id, parent_id from categories order by id";
    on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)
}

/// How many torrents changed after `revision`.
pub async fn count_after(conn: &mut Conn, revision: i64) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from torrents where revision > $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(revision)
        .fetch_one(c)
        .await)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: TorrentId,
    revision: i64,
    state: String,
    title: String,
    name: String,
    category_id: CategoryId,
    uploader_id: UserId,
    anonymous: bool,
    private: bool,
    size: i64,
    created_at: Timestamp,
    has_v1: bool,
    has_v2: bool,
    has_web_seeds: bool,
    has_description: bool,
    uploader: String,
    packed: Option<Vec<u8>>,
    tags: Option<String>,
}

const CHANGED_AFTER: &str = "select t.id, t.revision, t.state, t.title, t.name, t.category_id, t.uploader_id, t.anonymous, \
    t.private, t.size, t.created_at, (t.infohash_v1 is not null) as has_v1, (t.infohash_v2 is not null) as has_v2, \
    (t.web_seeds <> '[]') as has_web_seeds, \
    (t.description <> '') as has_description, u.name as uploader, f.packed, \
    (select string_agg(cast(g.id as text) || $4 || g.name, $5) from torrent_tags tt join tags g on g.id = tt.tag_id \
        where tt.torrent_id = t.id) as tags \
    from torrents t join users u on u.id = t.uploader_id \
    left join torrent_files f on f.torrent_id = t.id and t.state <> 'deleted' \
    where (t.revision, t.id) > ($1, $2) order by t.revision, t.id limit $3";

/// The next torrents in the order of their changes, `limit` at the most. File names are taken out row by row, so that
/// packed lists of a hundred thousand files are never held together.
pub async fn changed_after(
    conn: &mut Conn,
    after: Stamp,
    limit: i64,
) -> Result<Batch, sqlx::Error> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut cut = false;
    on!(conn, |c| {
        let mut rows = sqlx::query_as::<_, Row>(CHANGED_AFTER)
            .bind(after.revision)
            .bind(after.id)
            .bind(limit)
            .bind(FIELD)
            .bind(ROW)
            .fetch(c);
        while let Some(row) = rows.try_next().await? {
            let entry = entry(row);
            bytes += entry.text_bytes();
            entries.push(entry);
            if bytes >= BATCH_BYTES {
                cut = true;
                break;
            }
        }
    });
    let full = i64::try_from(entries.len()).is_ok_and(|n| n >= limit);
    Ok(Batch {
        entries,
        is_last: !cut && !full,
    })
}

fn entry(row: Row) -> Entry {
    let files = match &row.packed {
        Some(packed) => names::of_packed(packed).unwrap_or_else(|e| {
            tracing::warn!(
                torrent = row.id.0,
                "the file list cannot be read, so its names are not searched: {e}"
            );
            Vec::new()
        }),
        None => Vec::new(),
    };
    Entry {
        stamp: Stamp {
            revision: row.revision,
            id: row.id.0,
        },
        state: row.state,
        title: row.title,
        name: row.name,
        category: row.category_id,
        owner: row.uploader_id,
        owner_name: row.uploader,
        anonymous: row.anonymous,
        private: row.private,
        kind: match (row.has_v1, row.has_v2) {
            (true, true) => Kind::Hybrid,
            (false, true) => Kind::V2,
            _ => Kind::V1,
        },
        has_web_seeds: row.has_web_seeds,
        has_description: row.has_description,
        size: row.size,
        created_at: row.created_at,
        tags: row.tags.as_deref().map(tags).unwrap_or_default(),
        files,
    }
}

fn tags(text: &str) -> Vec<(TagId, String)> {
    text.split(ROW)
        .filter_map(|tag| {
            let (id, name) = tag.split_once(FIELD)?;
            Some((TagId(id.parse().ok()?), name.to_owned()))
        })
        .collect()
}

/// The rows of `swarms` under a condition as one text.
macro_rules! swarms {
    ($where:literal) => {
        concat!(
            "select string_agg(cast(torrent_id as text) || ' ' || cast(seeders as text) || ' ' || \
            cast(leechers as text) || ' ' || cast(completed as text) || ' ' || cast(updated_at as text), ',') from \
            (select torrent_id, seeders, leechers, completed, updated_at from swarms where ",
            $where,
            " limit $3) s"
        )
    };
}

pub struct SwarmRow {
    pub id: TorrentId,
    pub swarm: Swarm,
}

/// Swarm numbers after (time, torrent), in that order, `limit` at the most. Fewer than `limit` of one moment may come
/// without those that follow: an empty answer is the end.
pub async fn swarms_from(
    conn: &mut Conn,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<SwarmRow>, sqlx::Error> {
    const SAME: &str = swarms!("updated_at = $1 and torrent_id > $2 order by torrent_id");
    const LATER: &str = swarms!("updated_at > $1 and $2 = $2 order by updated_at, torrent_id");
    // Two questions: SQLite looks at a pair of columns by the first of them alone, and a hundred thousand numbers of one
    // moment would be passed over again for each batch.
    for sql in [SAME, LATER] {
        let text: Option<String> = on!(conn, |c| sqlx::query_scalar(sql)
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_one(c)
            .await)?;
        if let Some(text) = text {
            return Ok(swarms_in(&text));
        }
    }
    Ok(Vec::new())
}

fn swarms_in(text: &str) -> Vec<SwarmRow> {
    let mut rows = Vec::new();
    for row in text.split(',') {
        let mut numbers = row.split(' ').map_while(|n| n.parse::<i64>().ok());
        let mut next = || numbers.next();
        let (Some(id), Some(seeders), Some(leechers), Some(completed), Some(at)) =
            (next(), next(), next(), next(), next())
        else {
            continue;
        };
        rows.push(SwarmRow {
            id: TorrentId(id),
            swarm: Swarm {
                seeders: counted(seeders),
                leechers: counted(leechers),
                completed: counted(completed),
                updated_at: Timestamp(at),
            },
        });
    }
    // Neither database promises the order inside an aggregate.
    rows.sort_unstable_by_key(|row| (row.swarm.updated_at, row.id));
    rows
}

fn counted(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

/// A torrent as the database has it, to compare the index with.
#[derive(Clone, Copy, Debug)]
pub struct StoredStamp {
    pub stamp: Stamp,
    pub is_deleted: bool,
}

/// The torrents after `id`, deleted ones too, in the order of their ids, `limit` at the most.
pub async fn stamps_after(
    conn: &mut Conn,
    id: i64,
    limit: i64,
) -> Result<Vec<StoredStamp>, sqlx::Error> {
    const SQL: &str = "select string_agg(cast(id as text) || ' ' || cast(revision as text) || ' ' || \
        case when state = 'deleted' then '1' else '0' end, ',') from \
        (select id, revision, state from torrents where id > $1 order by id limit $2) t";
    let text: Option<String> = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .bind(limit)
        .fetch_one(c)
        .await)?;
    let mut rows: Vec<StoredStamp> = text
        .iter()
        .flat_map(|text| text.split(','))
        .filter_map(|row| {
            let mut words = row.split(' ');
            Some(StoredStamp {
                stamp: Stamp {
                    id: words.next()?.parse().ok()?,
                    revision: words.next()?.parse().ok()?,
                },
                is_deleted: words.next()? == "1",
            })
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.stamp.id);
    Ok(rows)
}
