//! Invitations: a link that makes one account, within its time, unless taken back.

use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::ids::{InviteId, UserId};
use crate::secrets::token_hash;
use crate::web::pager::Seek;
use crate::{exec, on};

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Invite {
    pub id: InviteId,
    pub note: String,
    pub created_by_name: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_by_name: Option<String>,
    pub used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

pub async fn insert(
    tx: &mut Tx,
    token: &str,
    note: &str,
    by: UserId,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<InviteId, sqlx::Error> {
    const SQL: &str = "insert into invites (token_hash, note, created_by, created_at, expires_at) \
        values ($1, $2, $3, $4, $5) returning id";
    on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(token_hash(token))
        .bind(note)
        .bind(by)
        .bind(at)
        .bind(expires_at)
        .fetch_one(c)
        .await)
}

/// What an invited person is told.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Usable {
    pub note: String,
    pub created_by_name: String,
    pub expires_at: Timestamp,
}

/// The invitation, if it would still make an account.
pub async fn find_usable(
    conn: &mut Conn,
    token: &str,
    now: Timestamp,
) -> Result<Option<Usable>, sqlx::Error> {
    const SQL: &str = "select i.note, u.name as created_by_name, i.expires_at from invites i \
        join users u on u.id = i.created_by \
        where i.token_hash = $1 and i.used_at is null and i.revoked_at is null and i.expires_at > $2 \
        and u.banned_at is null";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(token_hash(token))
        .bind(now)
        .fetch_optional(c)
        .await)
}

/// Uses the link up and tells who made it. Two at once: one gets it, the other `None`.
pub async fn take(
    tx: &mut Tx,
    token: &str,
    now: Timestamp,
) -> Result<Option<(InviteId, UserId)>, sqlx::Error> {
    const SQL: &str = "update invites set used_at = $2 where token_hash = $1 and used_at is null \
        and revoked_at is null and expires_at > $2 and exists \
        (select 1 from users u where u.id = invites.created_by and u.banned_at is null) returning id, created_by";
    on!(tx, |c| sqlx::query_as(SQL)
        .bind(token_hash(token))
        .bind(now)
        .fetch_optional(c)
        .await)
}

pub async fn set_user(tx: &mut Tx, id: InviteId, user: UserId) -> Result<(), sqlx::Error> {
    const SQL: &str = "update invites set used_by = $2 where id = $1";
    exec!(tx, SQL, id, user).map(drop)
}

/// Takes an unused link back and answers its note; `None` where there is nothing to take back.
pub async fn revoke(
    tx: &mut Tx,
    id: InviteId,
    now: Timestamp,
) -> Result<Option<String>, sqlx::Error> {
    const SQL: &str = "update invites set revoked_at = $2 where id = $1 and used_at is null and revoked_at is null \
        returning note";
    on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .bind(now)
        .fetch_optional(c)
        .await)
}

/// Newest first, at most `limit`; backwards for `Seek::Before`.
pub async fn list(
    conn: &mut Conn,
    seek: &Seek<i64>,
    limit: i64,
) -> Result<Vec<Invite>, sqlx::Error> {
    const OLDER: &str = "select i.id, i.note, c.name as created_by_name, i.created_at, i.expires_at, \
        u.name as used_by_name, i.used_at, i.revoked_at from invites i join users c on c.id = i.created_by \
        left join users u on u.id = i.used_by where i.id < $1 order by i.id desc limit $2";
    const NEWER: &str = "select i.id, i.note, c.name as created_by_name, i.created_at, i.expires_at, \
        u.name as used_by_name, i.used_at, i.revoked_at from invites i join users c on c.id = i.created_by \
        left join users u on u.id = i.used_by where i.id > $1 order by i.id limit $2";
    let (sql, key) = match seek {
        Seek::First => (OLDER, i64::MAX),
        Seek::After(id) => (OLDER, *id),
        Seek::Before(id) => (NEWER, *id),
    };
    on!(conn, |c| sqlx::query_as(sql)
        .bind(key)
        .bind(limit)
        .fetch_all(c)
        .await)
}

pub async fn count(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from invites";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)
}
