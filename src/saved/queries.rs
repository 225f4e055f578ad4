//! Saved searches: all their SQL. Everything is by member and id together: another's search is not there.

use super::Name;
use crate::accounts;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx, violates_unique};
use crate::ids::{SavedId, TorrentId, UserId};
use crate::{exec, on};

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Saved {
    pub id: SavedId,
    pub name: String,
    pub query: String,
    pub seen_torrent_id: TorrentId,
    pub looked_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, name, query, seen_torrent_id, looked_at";

#[derive(Debug, thiserror::Error)]
pub enum NameError {
    #[error("the member has a search of that name")]
    Taken,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl NameError {
    fn of(error: sqlx::Error) -> Self {
        if violates_unique(&error, "saved_searches", "name") {
            Self::Taken
        } else {
            Self::Database(error)
        }
    }
}

pub async fn insert(
    tx: &mut Tx,
    user: UserId,
    name: &Name,
    query: &str,
    seen: TorrentId,
    at: Timestamp,
) -> Result<(), NameError> {
    const SQL: &str = "insert into saved_searches (user_id, name, query, seen_torrent_id, created_at) \
        values ($1, $2, $3, $4, $5)";
    let done = exec!(tx, SQL, user, name.as_str(), query, seen, at);
    done.map(drop).map_err(NameError::of)
}

/// Holds the member's row until the commit, so that searches saved at once are counted one after the other.
pub async fn hold_and_count(tx: &mut Tx, user: UserId) -> Result<i64, sqlx::Error> {
    const COUNT: &str = "select count(*) from saved_searches where user_id = $1";
    accounts::queries::hold(tx, user).await?;
    on!(tx, |c| sqlx::query_scalar(COUNT)
        .bind(user)
        .fetch_one(c)
        .await)
}

/// The member's searches by name; at most [`super::MOST`].
pub async fn list(conn: &mut Conn, user: UserId) -> Result<Vec<Saved>, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from saved_searches where user_id = $1 order by name"
    ));
    on!(conn, |c| sqlx::query_as(sql).bind(user).fetch_all(c).await)
}

pub async fn find(
    conn: &mut Conn,
    user: UserId,
    id: SavedId,
) -> Result<Option<Saved>, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from saved_searches where user_id = $1 and id = $2"
    ));
    on!(conn, |c| sqlx::query_as(sql)
        .bind(user)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// Whether there was one to rename.
pub async fn rename(
    tx: &mut Tx,
    user: UserId,
    id: SavedId,
    name: &Name,
) -> Result<bool, NameError> {
    const SQL: &str = "update saved_searches set name = $3 where user_id = $1 and id = $2";
    let done = exec!(tx, SQL, user, id, name.as_str());
    Ok(done.map_err(NameError::of)? > 0)
}

/// Whether there was one to delete.
pub async fn delete(tx: &mut Tx, user: UserId, id: SavedId) -> Result<bool, sqlx::Error> {
    const SQL: &str = "delete from saved_searches where user_id = $1 and id = $2";
    Ok(exec!(tx, SQL, user, id)? > 0)
}

/// The member has looked, up to this torrent; never back.
pub async fn looked(
    tx: &mut Tx,
    user: UserId,
    id: SavedId,
    seen: TorrentId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "update saved_searches set looked_at = $4, \
        seen_torrent_id = case when seen_torrent_id < $3 then $3 else seen_torrent_id end \
        where user_id = $1 and id = $2";
    exec!(tx, SQL, user, id, seen, at).map(drop)
}
