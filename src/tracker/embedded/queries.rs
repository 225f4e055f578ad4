//! The embedded tracker's SQL: who and what is allowed, the books, the numbers and their past.

use std::collections::BTreeMap;

use sqlx::QueryBuilder;

use super::accounting::{SessionKey, Totals};
use super::swarm::Size;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::ids::{TorrentId, UserId};
use crate::secrets::token_hash;
use crate::{exec, on};

/// Sums stop here instead of leaving what the column holds.
const FULL: i64 = 9_000_000_000_000_000_000;

/// A torrent as the allow-list needs it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TorrentRow {
    pub id: TorrentId,
    pub revision: i64,
    pub allowed: bool,
    pub infohash_v1: Option<Vec<u8>>,
    pub infohash_v2: Option<Vec<u8>>,
}

/// Torrents stamped after the place (`revision`, `id`), in order; one revision may have stamped many.
pub async fn torrents_after(
    conn: &mut Conn,
    revision: i64,
    id: TorrentId,
    limit: i64,
) -> Result<Vec<TorrentRow>, sqlx::Error> {
    const SQL: &str = "select id, revision, state <> 'deleted' as allowed, infohash_v1, infohash_v2 from torrents \
        where (revision, id) > ($1, $2) order by revision, id limit $3";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(revision)
        .bind(id)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// The catalogue by id, at most `limit` torrents after `id`, and the last of their ids. For the start: one row carries
/// them all, because reading row by row takes most of the time.
pub async fn torrents_by_id(
    conn: &mut Conn,
    id: TorrentId,
    limit: i64,
) -> anyhow::Result<Option<(TorrentId, Vec<TorrentRow>)>> {
    let hex = |column: &str| match conn {
        Conn::Sqlite(_) | Conn::SqliteTx(_) => format!("hex({column})"),
        Conn::Postgres(_) | Conn::PostgresTx(_) => format!("upper(encode({column}, 'hex'))"),
    };
    let sql = format!(
        "select max(id), string_agg(line, ';') from (select id, \
        cast(id as text) || ',' || cast(revision as text) || ',' || case when state <> 'deleted' then '1' else '0' end \
        || ',' || coalesce({}, '') || ',' || coalesce({}, '') as line \
        from torrents where id > $1 order by id limit $2) as page",
        hex("infohash_v1"),
        hex("infohash_v2")
    );
    let sql = sqlx::AssertSqlSafe(sql);
    let (last, lines): (Option<TorrentId>, Option<String>) = on!(conn, |c| sqlx::query_as(sql)
        .bind(id)
        .bind(limit)
        .fetch_one(c)
        .await)?;
    let (Some(last), Some(lines)) = (last, lines) else {
        return Ok(None);
    };
    let rows = lines.split(';').map(|line| {
        let mut parts = line.split(',');
        let mut part = || parts.next().unwrap_or_default();
        let row = (part(), part(), part(), part(), part());
        let (id, revision, allowed, v1, v2) = row;
        Ok(TorrentRow {
            id: TorrentId(id.parse()?),
            revision: revision.parse()?,
            allowed: allowed == "1",
            infohash_v1: from_hex(v1)?,
            infohash_v2: from_hex(v2)?,
        })
    });
    let rows = rows.collect::<anyhow::Result<_>>()?;
    Ok(Some((last, rows)))
}

fn from_hex(text: &str) -> anyhow::Result<Option<Vec<u8>>> {
    Ok(match text {
        "" => None,
        hex => Some(data_encoding::HEXUPPER.decode(hex.as_bytes())?),
    })
}

/// One torrent's stored numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredNumbers {
    pub torrent: TorrentId,
    pub size: Size,
    pub completed: i64,
    pub updated_at: Timestamp,
}

/// The numbers of at most `limit` torrents after `id`, as [`torrents_by_id`] reads them.
pub async fn numbers_by_id(
    conn: &mut Conn,
    id: TorrentId,
    limit: i64,
) -> anyhow::Result<Option<(TorrentId, Vec<StoredNumbers>)>> {
    const SQL: &str = "select max(torrent_id), string_agg(line, ';') from (select torrent_id, \
        cast(torrent_id as text) || ',' || cast(seeders as text) || ',' || cast(leechers as text) || ',' \
        || cast(completed as text) || ',' || cast(updated_at as text) as line from swarms where torrent_id > $1 order by torrent_id limit $2) as page";
    let (last, lines): (Option<TorrentId>, Option<String>) = on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .bind(limit)
        .fetch_one(c)
        .await)?;
    let (Some(last), Some(lines)) = (last, lines) else {
        return Ok(None);
    };
    let rows = lines.split(';').map(|line| {
        let mut parts = line.split(',');
        let mut part = || parts.next().unwrap_or_default().parse::<i64>();
        Ok(StoredNumbers {
            torrent: TorrentId(part()?),
            size: Size {
                seeders: u32::try_from(part()?)?,
                leechers: u32::try_from(part()?)?,
            },
            completed: part()?,
            updated_at: Timestamp(part()?),
        })
    });
    let rows = rows.collect::<anyhow::Result<_>>()?;
    Ok(Some((last, rows)))
}

/// Whether this passkey was somebody's once.
pub async fn is_retired(conn: &mut Conn, passkey: &str) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select count(*) from retired_passkeys where passkey_hash = $1";
    let found: i64 = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(token_hash(passkey))
        .fetch_one(c)
        .await)?;
    Ok(found > 0)
}

/// What is stored of a session and of its member's transfer.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct BookRow {
    pub place: i64,
    pub uploaded: Option<i64>,
    pub downloaded: Option<i64>,
    pub session_at: Option<Timestamp>,
    pub transfer_at: Option<Timestamp>,
    pub sessions_purged_at: Option<Timestamp>,
    /// Since when the torrent is here, and the member.
    pub published_at: Option<Timestamp>,
    pub joined_at: Option<Timestamp>,
}

/// What is stored of sessions, each named by its place.
pub async fn books(
    conn: &mut Conn,
    keys: &[(i64, &SessionKey)],
) -> Result<Vec<BookRow>, sqlx::Error> {
    let mut rows = Vec::with_capacity(keys.len());
    for keys in portions(keys) {
        rows.append(&mut books_of(conn, keys).await?);
    }
    Ok(rows)
}

async fn books_of(
    conn: &mut Conn,
    keys: &[(i64, &SessionKey)],
) -> Result<Vec<BookRow>, sqlx::Error> {
    on!(conn, |c: B| {
        let mut sql = QueryBuilder::<B>::new("with k (place, torrent, member, peer, client) as (");
        sql.push_values(keys, |mut row, &(place, key)| {
            row.push_bind(place)
                .push_bind(key.torrent)
                .push_bind(key.user)
                .push_bind(key.peer_id.to_vec())
                .push_bind(key.client_key.clone());
        });
        sql.push(
            ") select k.place, s.uploaded, s.downloaded, s.last_at as session_at, x.last_at as transfer_at, \
            x.sessions_purged_at, t.created_at as published_at, u.created_at as joined_at from k \
            left join announce_sessions s on s.torrent_id = k.torrent and s.user_id = k.member and s.peer_id = k.peer \
            and s.client_key = k.client \
            left join transfers x on x.torrent_id = k.torrent and x.user_id = k.member \
            left join torrents t on t.id = k.torrent left join users u on u.id = k.member",
        );
        sql.build_query_as().fetch_all(c).await
    })
}

/// Rows in portions of a few fixed sizes, so that each statement's text is one of a few, and stays prepared.
fn portions<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    const SIZES: [usize; 5] = [256, 64, 16, 4, 1];
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|&size| size <= rows.len())?;
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
}

/// A session's new baseline.
pub struct Baseline<'a> {
    pub key: &'a SessionKey,
    pub totals: Totals,
    pub at: Timestamp,
}

pub async fn save_baselines(tx: &mut Tx, rows: &[Baseline<'_>]) -> Result<(), sqlx::Error> {
    for rows in portions(rows) {
        on!(tx, |c: B| {
            let mut sql = QueryBuilder::<B>::new(
                "insert into announce_sessions (torrent_id, user_id, peer_id, client_key, uploaded, downloaded, last_at) ",
            );
            sql.push_values(rows, |mut values, row| {
                values
                    .push_bind(row.key.torrent)
                    .push_bind(row.key.user)
                    .push_bind(row.key.peer_id.to_vec())
                    .push_bind(row.key.client_key.clone())
                    .push_bind(row.totals.uploaded)
                    .push_bind(row.totals.downloaded)
                    .push_bind(row.at);
            });
            sql.push(
            " on conflict (torrent_id, user_id, peer_id, client_key) do update set uploaded = excluded.uploaded, \
            downloaded = excluded.downloaded, last_at = excluded.last_at",
        );
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// What a batch adds to a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addition {
    pub totals: Totals,
    /// Whether the row is to say that it was used now.
    pub touches: bool,
}

/// By torrent and member. Sorted, so that rows are locked in one order.
pub type Additions = BTreeMap<(TorrentId, UserId), Addition>;

pub async fn add_to_transfers(
    tx: &mut Tx,
    additions: &Additions,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let (touched, others): (Vec<_>, Vec<_>) =
        additions.iter().partition(|(_, added)| added.touches);
    // What is in an index is left alone where it may be: a row then costs a third.
    for (additions, also) in [(touched, ", last_at = excluded.last_at"), (others, "")] {
        for additions in portions(&additions) {
            on!(tx, |c: B| {
                let mut sql = QueryBuilder::<B>::new(
                    "insert into transfers (torrent_id, user_id, uploaded, downloaded, first_at, last_at) ",
                );
                sql.push_values(additions, |mut row, &((torrent, user), added)| {
                    row.push_bind(*torrent)
                        .push_bind(*user)
                        .push_bind(added.totals.uploaded)
                        .push_bind(added.totals.downloaded)
                        .push_bind(at)
                        .push_bind(at);
                });
                sql.push(" on conflict (torrent_id, user_id) do update set uploaded = ");
                push_sum(&mut sql, "transfers.uploaded", "excluded.uploaded");
                sql.push(", downloaded = ");
                push_sum(&mut sql, "transfers.downloaded", "excluded.downloaded");
                sql.push(also);
                sql.build().execute(c).await.map(drop)
            })?;
        }
    }
    Ok(())
}

pub async fn add_to_users(
    tx: &mut Tx,
    additions: &BTreeMap<UserId, Totals>,
) -> Result<(), sqlx::Error> {
    let additions: Vec<_> = additions.iter().collect();
    for additions in portions(&additions) {
        on!(tx, |c: B| {
            let mut sql = QueryBuilder::<B>::new("with d (id, up, down) as (");
            sql.push_values(additions, |mut row, &(user, added)| {
                row.push_bind(*user)
                    .push_bind(added.uploaded)
                    .push_bind(added.downloaded);
            });
            sql.push(") update users set uploaded = ");
            push_sum(&mut sql, "users.uploaded", "d.up");
            sql.push(", downloaded = ");
            push_sum(&mut sql, "users.downloaded", "d.down");
            sql.push(" from d where users.id = d.id");
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// `a + b`, staying at [`FULL`]: one forged counter must not make a sum that no row can hold.
fn push_sum<B: sqlx::Database>(sql: &mut QueryBuilder<B>, a: &str, b: &str) {
    sql.push(format_args!(
        "case when {a} > {FULL} - {b} then {FULL} else {a} + {b} end"
    ));
}

/// Notes the first completion; `false` when it was noted before.
pub async fn complete(
    tx: &mut Tx,
    torrent: TorrentId,
    user: UserId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    const SQL: &str = "update transfers set completed_at = $3 where torrent_id = $1 and user_id = $2 and completed_at is null";
    let changed = exec!(tx, SQL, torrent, user, at)?;
    Ok(changed > 0)
}

/// A torrent's numbers as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNumbers {
    pub torrent: TorrentId,
    pub size: Size,
    /// Added to what is stored.
    pub completed: i64,
}

/// What is stored of how often these were completed.
pub async fn completed_of(
    conn: &mut Conn,
    torrents: &[TorrentId],
) -> Result<Vec<(TorrentId, i64)>, sqlx::Error> {
    let mut rows = Vec::with_capacity(torrents.len());
    for torrents in portions(torrents) {
        let mut some: Vec<(TorrentId, i64)> = on!(conn, |c: B| {
            let mut sql = QueryBuilder::<B>::new(
                "select torrent_id, completed from swarms where torrent_id in (",
            );
            let mut ids = sql.separated(", ");
            for torrent in torrents {
                ids.push_bind(*torrent);
            }
            ids.push_unseparated(")");
            sql.build_query_as().fetch_all(c).await
        })?;
        rows.append(&mut some);
    }
    Ok(rows)
}

pub async fn save_numbers(
    tx: &mut Tx,
    rows: &[NewNumbers],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    for rows in portions(rows) {
        on!(tx, |c: B| {
            let mut sql = QueryBuilder::<B>::new(
                "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) ",
            );
            sql.push_values(rows, |mut values, row| {
                values
                    .push_bind(row.torrent)
                    .push_bind(i64::from(row.size.seeders))
                    .push_bind(i64::from(row.size.leechers))
                    .push_bind(row.completed)
                    .push_bind(at);
            });
            sql.push(
            " on conflict (torrent_id) do update set seeders = excluded.seeders, leechers = excluded.leechers, \
            completed = swarms.completed + excluded.completed, updated_at = excluded.updated_at",
        );
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// The packed rows of one day for these torrents; those without one are missing.
pub async fn samples_of(
    conn: &mut Conn,
    day: i64,
    torrents: &[TorrentId],
) -> Result<Vec<(TorrentId, Vec<u8>)>, sqlx::Error> {
    on!(conn, |c: B| {
        let mut sql =
            QueryBuilder::<B>::new("select torrent_id, samples from swarm_history where day = ");
        sql.push_bind(day).push(" and torrent_id in (");
        let mut ids = sql.separated(", ");
        for torrent in torrents {
            ids.push_bind(*torrent);
        }
        ids.push_unseparated(")");
        sql.build_query_as().persistent(false).fetch_all(c).await
    })
}

pub async fn save_samples(
    tx: &mut Tx,
    day: i64,
    rows: &[(TorrentId, Vec<u8>)],
) -> Result<(), sqlx::Error> {
    for rows in portions(rows) {
        on!(tx, |c: B| {
            let mut sql =
                QueryBuilder::<B>::new("insert into swarm_history (torrent_id, day, samples) ");
            sql.push_values(rows, |mut values, (torrent, packed)| {
                values
                    .push_bind(*torrent)
                    .push_bind(day)
                    .push_bind(packed.clone());
            });
            sql.push(" on conflict (torrent_id, day) do update set samples = excluded.samples");
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Forgets the sessions last stored before `before`, among at most `limit` after `from`, in the order of their keys, and
/// notes whose they were. Answers how many, and where to go on; `None` at the end. It looks at every session in turn,
/// because an index of when they were stored would be written with every announce.
pub async fn purge_sessions(
    tx: &mut Tx,
    before: Timestamp,
    from: Option<&SessionKey>,
    limit: i64,
    at: Timestamp,
) -> Result<(u64, Option<SessionKey>), sqlx::Error> {
    const UP_TO: &str = "select torrent_id, user_id, peer_id, client_key from announce_sessions \
        where (torrent_id, user_id, peer_id, client_key) > ($1, $2, $3, $4) \
        order by torrent_id, user_id, peer_id, client_key limit 1 offset $5";
    const NOTE: &str = "update transfers set sessions_purged_at = $10 where (torrent_id, user_id) in \
        (select torrent_id, user_id from announce_sessions \
        where (torrent_id, user_id, peer_id, client_key) > ($1, $2, $3, $4) \
        and (torrent_id, user_id, peer_id, client_key) <= ($5, $6, $7, $8) and last_at < $9)";
    const FORGET: &str = "delete from announce_sessions \
        where (torrent_id, user_id, peer_id, client_key) > ($1, $2, $3, $4) \
        and (torrent_id, user_id, peer_id, client_key) <= ($5, $6, $7, $8) and last_at < $9";
    let first = SessionKey {
        torrent: TorrentId(0),
        user: UserId(0),
        peer_id: [0; 20],
        client_key: String::new(),
    };
    // Behind every key.
    let last = SessionKey {
        torrent: TorrentId(i64::MAX),
        ..first.clone()
    };
    let from = from.unwrap_or(&first);
    type Row = (TorrentId, UserId, Vec<u8>, String);
    let up_to: Option<Row> = on!(tx, |c| sqlx::query_as(UP_TO)
        .bind(from.torrent)
        .bind(from.user)
        .bind(from.peer_id.as_slice())
        .bind(from.client_key.as_str())
        .bind(limit - 1)
        .fetch_optional(c)
        .await)?;
    let up_to = up_to.map(|(torrent, user, peer_id, client_key)| SessionKey {
        torrent,
        user,
        peer_id: peer_id.try_into().unwrap_or([0xff; 20]),
        client_key,
    });
    let mut forgotten = 0;
    for (sql, noted_at) in [(NOTE, Some(at)), (FORGET, None)] {
        let to = up_to.as_ref().unwrap_or(&last);
        forgotten = on!(tx, |c| {
            let mut query = sqlx::query(sql);
            for key in [from, to] {
                query = query
                    .bind(key.torrent)
                    .bind(key.user)
                    .bind(key.peer_id.as_slice())
                    .bind(key.client_key.as_str());
            }
            query = query.bind(before);
            if let Some(at) = noted_at {
                query = query.bind(at);
            }
            query.execute(c).await.map(|done| done.rows_affected())
        })?;
    }
    Ok((forgotten, up_to))
}

/// Forgets samples of days before `day`, at most `limit` rows.
pub async fn purge_samples(tx: &mut Tx, day: i64, limit: i64) -> Result<u64, sqlx::Error> {
    const SQL: &str = "delete from swarm_history where (torrent_id, day) in \
        (select torrent_id, day from swarm_history where day < $1 order by day limit $2)";
    exec!(tx, SQL, day, limit)
}
