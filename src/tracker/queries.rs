//! What others read of swarms and transfers. The embedded tracker's own SQL is in `embedded/queries.rs`.

use super::Numbers;
use super::history::{self, Sample};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::ids::{TorrentId, UserId};
use crate::on;

/// The stored numbers of a torrent; `None` while nobody has announced, because unknown is not zero.
pub async fn numbers_of(
    conn: &mut Conn,
    torrent: TorrentId,
) -> Result<Option<Numbers>, sqlx::Error> {
    const SQL: &str =
        "select seeders, leechers, completed, updated_at from swarms where torrent_id = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(torrent)
        .fetch_optional(c)
        .await)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ChangedNumbers {
    pub torrent_id: TorrentId,
    #[sqlx(flatten)]
    pub numbers: Numbers,
}

/// Numbers in the order of their writing, after the place (`updated_at`, `torrent`); at most `limit`. Who follows
/// them begins a few seconds before the last one seen: nodes' clocks differ and commits overtake each other.
pub async fn changed_numbers_after(
    conn: &mut Conn,
    updated_at: Timestamp,
    torrent: TorrentId,
    limit: i64,
) -> Result<Vec<ChangedNumbers>, sqlx::Error> {
    const SQL: &str = "select torrent_id, seeders, leechers, completed, updated_at from swarms \
        where (updated_at, torrent_id) > ($1, $2) order by updated_at, torrent_id limit $3";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(updated_at)
        .bind(torrent)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// A torrent's samples from a day on (days since 1970-01-01 UTC), oldest first.
pub async fn history_of(
    conn: &mut Conn,
    torrent: TorrentId,
    from_day: i64,
) -> Result<Vec<Sample>, sqlx::Error> {
    const SQL: &str =
        "select day, samples from swarm_history where torrent_id = $1 and day >= $2 order by day";
    let days: Vec<(i64, Vec<u8>)> = on!(conn, |c| sqlx::query_as(SQL)
        .bind(torrent)
        .bind(from_day)
        .fetch_all(c)
        .await)?;
    Ok(days
        .iter()
        .flat_map(|(day, packed)| history::unpack(*day, packed))
        .collect())
}

/// What a member moved on one torrent.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Transfer {
    pub torrent_id: TorrentId,
    pub title: String,
    /// `published` or `deleted`, as in `torrents.state`.
    pub state: String,
    pub uploaded: i64,
    pub downloaded: i64,
    pub completed_at: Option<Timestamp>,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// A member's transfers, the latest first. For that member's own eyes and moderators'.
pub async fn transfers_of(
    conn: &mut Conn,
    user: UserId,
    limit: i64,
) -> Result<Vec<Transfer>, sqlx::Error> {
    const SQL: &str = "select x.torrent_id, t.title, t.state, x.uploaded, x.downloaded, x.completed_at, x.first_at, \
        x.last_at from transfers x join torrents t on t.id = x.torrent_id \
        where x.user_id = $1 order by x.last_at desc, x.torrent_id desc limit $2";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(user)
        .bind(limit)
        .fetch_all(c)
        .await)
}
