//! The companion's row, and its numbers: all their SQL.

use sqlx::QueryBuilder;

use crate::clock::Timestamp;
use crate::db::dialect::lower_hex;
use crate::db::{Conn, Tx};
use crate::ids::TorrentId;
use crate::{exec, on};

/// In place of a sentinel's time: it was posted, and what was answered is not known.
pub const IN_DOUBT: Timestamp = Timestamp(0);

/// What is known of the companion; shared by all nodes.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Companion {
    pub listed: bool,
    pub private: bool,
    /// Empty: none was posted yet.
    pub sentinel: String,
    /// Since when it is the one, or [`IN_DOUBT`].
    pub sentinel_at: Timestamp,
    pub queued_at: Option<Timestamp>,
    pub counted_at: Option<Timestamp>,
    pub ailing_since: Option<Timestamp>,
    pub ailing_why: String,
}

pub async fn find(conn: &mut Conn) -> Result<Option<Companion>, sqlx::Error> {
    const SQL: &str = "select listed, private, sentinel, sentinel_at, queued_at, counted_at, ailing_since, ailing_why \
        from companion where one = 1";
    on!(conn, |c| sqlx::query_as(SQL).fetch_optional(c).await)
}

/// There is a companion from now on, of this mode. When it was of another, everything is sent anew.
pub async fn engage(tx: &mut Tx, listed: bool, private: bool) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into companion (one, listed, private, sentinel, sentinel_at, ailing_why) \
        values (1, $1, $2, '', 0, '') on conflict (one) do update set \
        queued_at = case when companion.listed = excluded.listed and companion.private = excluded.private \
        then companion.queued_at end, listed = excluded.listed, private = excluded.private";
    exec!(tx, SQL, listed, private).map(drop)
}

/// There is none any more: nothing is written for it, and the next one is told everything. The sentinel stays, so
/// that the tracker is left with no key of nobody's when it is used again.
pub async fn dismiss(tx: &mut Tx) -> Result<(), sqlx::Error> {
    const SQL: &str = "update companion set listed = $1, private = $1, queued_at = null, counted_at = null, \
        ailing_since = null, ailing_why = '' where one = 1";
    exec!(tx, "delete from outbox")?;
    exec!(tx, "delete from companion_swarms")?;
    exec!(tx, SQL, false).map(drop)
}

pub async fn set_sentinel(tx: &mut Tx, sentinel: &str, at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "update companion set sentinel = $1, sentinel_at = $2 where one = 1";
    exec!(tx, SQL, sentinel, at).map(drop)
}

/// Everything is to be sent anew.
pub async fn want_everything(tx: &mut Tx) -> Result<(), sqlx::Error> {
    exec!(tx, "update companion set queued_at = null where one = 1").map(drop)
}

/// Everything stands in the outbox now.
pub async fn set_queued(tx: &mut Tx, at: Timestamp) -> Result<(), sqlx::Error> {
    exec!(tx, "update companion set queued_at = $1 where one = 1", at).map(drop)
}

pub async fn set_counted(tx: &mut Tx, at: Timestamp) -> Result<(), sqlx::Error> {
    exec!(tx, "update companion set counted_at = $1 where one = 1", at).map(drop)
}

/// Notes that the tracker fails, from its first failure on, or works again.
pub async fn set_ailing(tx: &mut Tx, ailing: Option<(Timestamp, &str)>) -> Result<(), sqlx::Error> {
    const FAILS: &str = "update companion set ailing_since = coalesce(ailing_since, $1), ailing_why = $2 where one = 1";
    const WORKS: &str = "update companion set ailing_since = null, ailing_why = '' where one = 1";
    match ailing {
        Some((since, why)) => exec!(tx, FAILS, since, why).map(drop),
        None => exec!(tx, WORKS).map(drop),
    }
}

/// What was last heard of an infohash.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Heard {
    pub infohash: Vec<u8>,
    pub torrent_id: TorrentId,
    pub seeders: i64,
    pub leechers: i64,
    pub reported: i64,
    pub completed: i64,
}

/// Everything heard, in the order of its key after `after`.
pub async fn heard_after(
    conn: &mut Conn,
    after: &(TorrentId, Vec<u8>),
    limit: i64,
) -> Result<Vec<Heard>, sqlx::Error> {
    const SQL: &str = "select infohash, torrent_id, seeders, leechers, reported, completed from companion_swarms \
        where (torrent_id, infohash) > ($1, $2) order by torrent_id, infohash limit $3";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(after.0)
        .bind(&after.1)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// Which torrent an infohash is of, and what has been completed of it so far.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Owned {
    pub infohash: Vec<u8>,
    pub torrent_id: TorrentId,
    pub completed: i64,
    /// A hybrid's other infohash.
    pub sibling: Option<Vec<u8>>,
}

/// A listed torrent with its infohashes, and where it stands in the order of changes.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Changed {
    pub id: TorrentId,
    pub revision: i64,
    pub v1: Option<Vec<u8>>,
    pub v2: Option<Vec<u8>>,
}

/// Listed torrents changed after the place (`revision`, `id`), in order.
pub async fn changed_after(
    conn: &mut Conn,
    after: (i64, TorrentId),
    limit: i64,
) -> Result<Vec<Changed>, sqlx::Error> {
    const SQL: &str = "select id, revision, infohash_v1 as v1, substr(infohash_v2, 1, 20) as v2 from torrents \
        where (revision, id) > ($1, $2) and state <> 'deleted' order by revision, id limit $3";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// The listed torrents among these infohashes of 20 bytes.
pub async fn owners(conn: &mut Conn, infohashes: &[Vec<u8>]) -> Result<Vec<Owned>, sqlx::Error> {
    if infohashes.is_empty() {
        return Ok(Vec::new());
    }
    on!(conn, |c: B| {
        let mut sql = QueryBuilder::<B>::new("");
        let (v1, v2) = ("infohash_v1", "substr(infohash_v2, 1, 20)");
        for (n, (hash, sibling)) in [(v1, v2), (v2, v1)].into_iter().enumerate() {
            if n > 0 {
                sql.push(" union all ");
            }
            sql.push(format_args!(
                "select {hash} as infohash, t.id as torrent_id, coalesce(s.completed, 0) as completed, \
                {sibling} as sibling from torrents t left join swarms s on s.torrent_id = t.id where t.state <> 'deleted' and {hash} in ("
            ));
            let mut list = sql.separated(", ");
            for infohash in infohashes {
                list.push_bind(infohash.clone());
            }
            list.push_unseparated(")");
        }
        sql.build_query_as().persistent(false).fetch_all(c).await
    })
}

pub async fn hear(tx: &mut Tx, rows: &[Heard]) -> Result<(), sqlx::Error> {
    on!(tx, |c: B| {
        let mut sql = QueryBuilder::<B>::new(
            "insert into companion_swarms (infohash, torrent_id, seeders, leechers, reported, completed) ",
        );
        sql.push_values(rows, |mut values, row| {
            values
                .push_bind(row.infohash.clone())
                .push_bind(row.torrent_id)
                .push_bind(row.seeders)
                .push_bind(row.leechers)
                .push_bind(row.reported)
                .push_bind(row.completed);
        });
        sql.push(
            " on conflict (torrent_id, infohash) do update set seeders = excluded.seeders, \
            leechers = excluded.leechers, reported = excluded.reported, completed = excluded.completed",
        );
        sql.build().persistent(false).execute(c).await.map(drop)
    })
}

/// A torrent's numbers as they now stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Stored {
    pub torrent_id: TorrentId,
    pub seeders: i64,
    pub leechers: i64,
}

/// Brings the numbers of these torrents up to what was heard: of a hybrid's two swarms the larger, never the sum.
pub async fn store(
    tx: &mut Tx,
    torrents: &[TorrentId],
    at: Timestamp,
) -> Result<Vec<Stored>, sqlx::Error> {
    on!(tx, |c: B| {
        let mut sql = QueryBuilder::<B>::new(
            "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) \
            select torrent_id, max(seeders), max(leechers), max(completed), ",
        );
        sql.push_bind(at)
            .push(" from companion_swarms where torrent_id in (");
        let mut ids = sql.separated(", ");
        for torrent in torrents {
            ids.push_bind(*torrent);
        }
        ids.push_unseparated(
            ") group by torrent_id on conflict (torrent_id) do update set seeders = excluded.seeders, \
            leechers = excluded.leechers, completed = case when swarms.completed > excluded.completed \
            then swarms.completed else excluded.completed end, updated_at = excluded.updated_at \
            returning torrent_id, seeders, leechers",
        );
        sql.build_query_as().persistent(false).fetch_all(c).await
    })
}

/// The infohashes of listed torrents with ids below `before`, the newest first, as the tracker writes them.
pub async fn listed_before(
    conn: &mut Conn,
    before: TorrentId,
    limit: i64,
) -> Result<Vec<(TorrentId, Option<String>, Option<String>)>, sqlx::Error> {
    // SQLite writes no bytes at all as an empty text.
    let sql = format!(
        "select id, nullif({}, ''), nullif({}, '') from torrents where id < $1 and state <> 'deleted' order by id desc limit $2",
        lower_hex(conn, "infohash_v1"),
        lower_hex(conn, "substr(infohash_v2, 1, 20)")
    );
    let sql = sqlx::AssertSqlSafe(sql);
    on!(conn, |c| sqlx::query_as(sql)
        .bind(before)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// How many hashes there are to ask for, about.
pub async fn listed(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from torrents where state <> 'deleted'";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)
}
