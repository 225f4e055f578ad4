//! Users and sessions: all their SQL.

use super::feed_keys::{self, Holder};
use super::{Role, UserName};
use crate::clock::Timestamp;
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Tx, violates_unique};
use crate::ids::UserId;
use crate::secrets::token_hash;
use crate::{exec, on, outbox};

/// A member as the site knows them; the password hash stays in its own query.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct User {
    pub id: UserId,
    pub name: String,
    #[sqlx(try_from = "String")]
    pub role: Role,
    pub epoch: i64,
    pub passkey: String,
    pub uploaded: i64,
    pub downloaded: i64,
    pub theme: String,
    pub created_at: Timestamp,
    pub banned_at: Option<Timestamp>,
    pub ban_reason: Option<String>,
}

impl TryFrom<String> for Role {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

const COLUMNS: &str = "id, name, role, epoch, passkey, uploaded, downloaded, theme, created_at, banned_at, ban_reason";

pub struct NewUser<'a> {
    pub name: &'a UserName,
    pub password_hash: &'a str,
    pub role: Role,
    pub passkey: &'a str,
    pub invited_by: Option<UserId>,
    pub at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    #[error("that name is taken")]
    NameTaken,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn insert(tx: &mut Tx, new: &NewUser<'_>) -> Result<UserId, InsertError> {
    const SQL: &str = "insert into users (name, name_folded, password_hash, role, passkey, invited_by, created_at) \
        values ($1, $2, $3, $4, $5, $6, $7) returning id";
    let id = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(new.name.as_str())
        .bind(new.name.folded())
        .bind(new.password_hash)
        .bind(new.role.as_str())
        .bind(new.passkey)
        .bind(new.invited_by)
        .bind(new.at)
        .fetch_one(c)
        .await);
    let id = match id {
        Ok(id) => id,
        Err(e) if violates_unique(&e, "users", "name_folded") => {
            return Err(InsertError::NameTaken);
        }
        Err(e) => return Err(e.into()),
    };
    stamp(tx, id, new.at).await?;
    Ok(id)
}

pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from users where id = $1"));
    on!(conn, |c| sqlx::query_as(sql)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// By name, in any case.
pub async fn by_name(conn: &mut Conn, name: &str) -> Result<Option<User>, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from users where name_folded = $1"
    ));
    on!(conn, |c| sqlx::query_as(sql)
        .bind(super::fold_name(name))
        .fetch_optional(c)
        .await)
}

/// Who was given more than a member's rights: what `is:trusted` finds the uploads of. A handful of all members, by an
/// index of their own.
pub async fn trusted(conn: &mut Conn) -> Result<Vec<UserId>, sqlx::Error> {
    const SQL: &str =
        "select id from users where role <> 'member' and banned_at is null order by id";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_all(c).await)
}

/// Holds the member's row until the commit, so that what has a limit for each member is counted by one after the other.
pub async fn hold(tx: &mut Tx, id: UserId) -> Result<(), sqlx::Error> {
    const SQL: &str = "update users set theme = theme where id = $1";
    exec!(tx, SQL, id).map(drop)
}

pub async fn password_hash(conn: &mut Conn, id: UserId) -> Result<Option<String>, sqlx::Error> {
    const SQL: &str = "select password_hash from users where id = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

pub async fn any_admin(conn: &mut Conn) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select count(*) from users where role = 'admin' and banned_at is null";
    let admins: i64 = on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)?;
    Ok(admins > 0)
}

/// Whether somebody besides this member can administrate.
pub async fn any_other_admin(conn: &mut Conn, id: UserId) -> Result<bool, sqlx::Error> {
    const SQL: &str =
        "select count(*) from users where role = 'admin' and banned_at is null and id <> $1";
    let admins: i64 = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_one(c)
        .await)?;
    Ok(admins > 0)
}

/// Sets a password and ends every session.
pub async fn set_password(tx: &mut Tx, id: UserId, hash: &str) -> Result<i64, sqlx::Error> {
    const SQL: &str =
        "update users set password_hash = $2, epoch = epoch + 1 where id = $1 returning epoch";
    let epoch = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .bind(hash)
        .fetch_one(c)
        .await)?;
    delete_sessions(tx, id).await?;
    Ok(epoch)
}

pub async fn set_role(tx: &mut Tx, id: UserId, role: Role) -> Result<(), sqlx::Error> {
    const SQL: &str = "update users set role = $2 where id = $1";
    exec!(tx, SQL, id, role.as_str()).map(drop)
}

pub async fn set_theme(tx: &mut Tx, id: UserId, theme: &str) -> Result<(), sqlx::Error> {
    const SQL: &str = "update users set theme = $2 where id = $1";
    exec!(tx, SQL, id, theme).map(drop)
}

/// Bans; everything the member holds is dead with the commit.
pub async fn ban(
    tx: &mut Tx,
    id: UserId,
    by: UserId,
    reason: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "update users set banned_at = $2, banned_by = $3, ban_reason = $4, epoch = epoch + 1 where id = $1";
    exec!(tx, SQL, id, at, by, reason).map(drop)?;
    delete_sessions(tx, id).await?;
    feed_keys::reset(tx, id, at).await?;
    stamp(tx, id, at).await
}

pub async fn unban(tx: &mut Tx, id: UserId, at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str =
        "update users set banned_at = null, banned_by = null, ban_reason = null where id = $1";
    exec!(tx, SQL, id).map(drop)?;
    stamp(tx, id, at).await
}

/// Gives a member a new announce passkey and remembers that the old one is no more.
pub async fn rotate_passkey(
    tx: &mut Tx,
    id: UserId,
    passkey: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    // Holds the row, so that two resets at once come one after the other.
    const OLD: &str = "update users set passkey = passkey where id = $1 returning passkey";
    const RETIRE: &str = "insert into retired_passkeys (passkey_hash, passkey, user_id, retired_at) values ($1, $2, $3, $4)";
    const SET: &str = "update users set passkey = $2 where id = $1";
    let old: String = on!(tx, |c| sqlx::query_scalar(OLD).bind(id).fetch_one(c).await)?;
    exec!(tx, RETIRE, token_hash(&old), &old, id, at)?;
    exec!(tx, SET, id, passkey)?;
    outbox::retired(tx, &old, Some(id), at).await?;
    stamp(tx, id, at).await
}

/// Tells the tracker, by revision or message, that this member's right to announce may have changed.
async fn stamp(tx: &mut Tx, id: UserId, at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "update users set revision = $2 where id = $1";
    outbox::member(tx, id, at).await?;
    let revision = revisions::bump(tx, Revision::Members).await?;
    exec!(tx, SQL, id, revision).map(drop)
}

/// What the tracker must know of a member.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AnnounceRight {
    pub id: UserId,
    pub passkey: String,
    pub banned: bool,
    pub revision: i64,
}

/// Members whose right to announce changed after `revision`, in order, at most `limit`.
pub async fn announce_rights_after(
    conn: &mut Conn,
    revision: i64,
    limit: i64,
) -> Result<Vec<AnnounceRight>, sqlx::Error> {
    const SQL: &str = "select id, passkey, banned_at is not null as banned, revision from users \
        where revision > $1 order by revision limit $2";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(revision)
        .bind(limit)
        .fetch_all(c)
        .await)
}

pub struct NewSession<'a> {
    pub sid_hash: &'a [u8],
    pub user_id: UserId,
    pub epoch: i64,
    pub user_agent: &'a str,
    pub at: Timestamp,
    pub expires_at: Timestamp,
}

/// Sessions a member may have at once; the longest unused makes room.
const MAX_SESSIONS: i64 = 20;

pub async fn insert_session(tx: &mut Tx, new: &NewSession<'_>) -> Result<(), sqlx::Error> {
    const TRIM: &str = "delete from sessions where user_id = $1 and sid_hash not in \
        (select sid_hash from sessions where user_id = $1 order by last_seen_at desc limit $2)";
    const SQL: &str = "insert into sessions (sid_hash, user_id, epoch, user_agent, created_at, last_seen_at, expires_at) \
        values ($1, $2, $3, $4, $5, $5, $6)";
    exec!(tx, TRIM, new.user_id, MAX_SESSIONS - 1)?;
    exec!(
        tx,
        SQL,
        new.sid_hash,
        new.user_id,
        new.epoch,
        new.user_agent,
        new.at,
        new.expires_at
    )
    .map(drop)
}

#[derive(Debug, sqlx::FromRow)]
pub struct SessionUser {
    #[sqlx(flatten)]
    pub user: User,
    pub last_seen_at: Timestamp,
    /// What the member's feed key is made from.
    pub feed_nonce: Option<Vec<u8>>,
}

/// The member behind a session that still holds: not ended, not idle too long, of the member's epoch, not banned.
pub async fn by_session(
    conn: &mut Conn,
    sid_hash: &[u8],
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<SessionUser>, sqlx::Error> {
    const SQL: &str = "select u.id, u.name, u.role, u.epoch, u.passkey, u.uploaded, u.downloaded, u.theme, u.created_at, \
        u.banned_at, u.ban_reason, s.last_seen_at, f.nonce as feed_nonce \
        from sessions s join users u on u.id = s.user_id left join feed_keys f on f.user_id = u.id \
        where s.sid_hash = $1 and s.expires_at > $2 and s.last_seen_at > $3 and s.epoch = u.epoch and u.banned_at is null";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(sid_hash)
        .bind(now)
        .bind(idle_since)
        .fetch_optional(c)
        .await)
}

/// The member a feed key says it is of, unless banned; the key is compared elsewhere.
pub async fn by_feed_key(conn: &mut Conn, id: UserId) -> Result<Option<Holder>, sqlx::Error> {
    const SQL: &str = "select u.id, u.name, u.role, u.epoch, u.passkey, u.uploaded, u.downloaded, u.theme, u.created_at, \
        u.banned_at, u.ban_reason, f.nonce, f.last_used_at \
        from users u left join feed_keys f on f.user_id = u.id where u.id = $1 and u.banned_at is null";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

pub async fn touch_session(
    tx: &mut Tx,
    sid_hash: &[u8],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "update sessions set last_seen_at = $2 where sid_hash = $1";
    exec!(tx, SQL, sid_hash, now).map(drop)
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Session {
    pub sid_hash: Vec<u8>,
    pub user_agent: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}

pub async fn sessions_of(
    conn: &mut Conn,
    id: UserId,
    now: Timestamp,
) -> Result<Vec<Session>, sqlx::Error> {
    const SQL: &str = "select sid_hash, user_agent, created_at, last_seen_at from sessions \
        where user_id = $1 and expires_at > $2 order by last_seen_at desc";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .bind(now)
        .fetch_all(c)
        .await)
}

/// Ends one session of this member; of another's, nothing.
pub async fn delete_session(tx: &mut Tx, id: UserId, sid_hash: &[u8]) -> Result<bool, sqlx::Error> {
    const SQL: &str = "delete from sessions where user_id = $1 and sid_hash = $2";
    let gone = exec!(tx, SQL, id, sid_hash)?;
    Ok(gone > 0)
}

async fn delete_sessions(tx: &mut Tx, id: UserId) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from sessions where user_id = $1";
    exec!(tx, SQL, id).map(drop)
}

/// Takes away what has ended, at most `limit` rows at a time.
pub async fn purge_sessions(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
    const SQL: &str = "delete from sessions where sid_hash in \
        (select sid_hash from sessions where expires_at <= $1 limit $2)";
    exec!(tx, SQL, now, limit)
}
