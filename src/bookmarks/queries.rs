//! Bookmarks: all their SQL. Whether a torrent may be seen is the listing's rule, once more where rows are read.

use std::collections::HashSet;

use sqlx::QueryBuilder;

use crate::accounts;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx, dialect};
use crate::ids::{TorrentId, UserId};
use crate::web::pager::Seek;
use crate::{exec, on};

/// One mark on a torrent that is there.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Bookmark {
    pub id: i64,
    pub torrent_id: TorrentId,
    pub created_at: Timestamp,
}

/// Marks a published torrent; a second time changes nothing. Whether there is such a torrent.
pub async fn add(
    tx: &mut Tx,
    user: UserId,
    torrent: TorrentId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    const SQL: &str = "insert into bookmarks (user_id, torrent_id, created_at) \
        select $1, t.id, $3 from torrents t where t.id = $2 and t.state = 'published' \
        on conflict (user_id, torrent_id) do update set created_at = bookmarks.created_at";
    Ok(exec!(tx, SQL, user, torrent, at)? > 0)
}

pub async fn remove(tx: &mut Tx, user: UserId, torrent: TorrentId) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from bookmarks where user_id = $1 and torrent_id = $2";
    exec!(tx, SQL, user, torrent).map(drop)
}

/// Holds the member's row until the commit, so that marks set at once are counted one after the other; the number
/// of marks, those on deleted torrents too.
pub async fn hold_and_count(tx: &mut Tx, user: UserId) -> Result<i64, sqlx::Error> {
    const COUNT: &str = "select count(*) from bookmarks where user_id = $1";
    accounts::queries::hold(tx, user).await?;
    on!(tx, |c| sqlx::query_scalar(COUNT)
        .bind(user)
        .fetch_one(c)
        .await)
}

/// The member's marks on published torrents, the last set first.
pub async fn list(
    conn: &mut Conn,
    user: UserId,
    seek: &Seek<i64>,
    limit: i64,
) -> Result<Vec<Bookmark>, sqlx::Error> {
    const OLDER: &str = "select b.id, b.torrent_id, b.created_at from bookmarks b join torrents t on t.id = b.torrent_id \
        where b.user_id = $1 and t.state = 'published' and b.id < $2 order by b.id desc limit $3";
    const NEWER: &str = "select b.id, b.torrent_id, b.created_at from bookmarks b join torrents t on t.id = b.torrent_id \
        where b.user_id = $1 and t.state = 'published' and b.id > $2 order by b.id limit $3";
    let (sql, key) = match seek {
        Seek::First => (OLDER, i64::MAX),
        Seek::After(id) => (OLDER, *id),
        Seek::Before(id) => (NEWER, *id),
    };
    on!(conn, |c| sqlx::query_as(sql)
        .bind(user)
        .bind(key)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// How many of [`list`] there are; at most [`super::MOST`].
pub async fn count(conn: &mut Conn, user: UserId) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from bookmarks b join torrents t on t.id = b.torrent_id \
        where b.user_id = $1 and t.state = 'published'";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(user)
        .fetch_one(c)
        .await)
}

/// Which of these the member has marked; as one row, because sqlx pays per row.
pub async fn among(
    conn: &mut Conn,
    user: UserId,
    ids: &[TorrentId],
) -> anyhow::Result<HashSet<TorrentId>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let gather = dialect::json_rows_of(conn);
    let text: Option<String> = on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new("select cast(");
        query
            .push(gather)
            .push("(torrent_id) as text) from bookmarks where user_id = ")
            .push_bind(user)
            .push(" and torrent_id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        query.build_query_scalar().fetch_one(c).await
    })?;
    Ok(serde_json::from_str(text.as_deref().unwrap_or("[]"))?)
}
