//! What pages about members read: all their SQL. Accounts themselves change in `accounts::queries`.

use sqlx::QueryBuilder;

use crate::accounts::Role;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::ids::{TorrentId, UserId};
use crate::web::pager::Seek;
use crate::{exec, on};

/// A member in the admins' table.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    pub id: UserId,
    pub name: String,
    pub name_folded: String,
    #[sqlx(try_from = "String")]
    pub role: Role,
    pub created_at: Timestamp,
    pub uploaded: i64,
    pub downloaded: i64,
    pub banned_at: Option<Timestamp>,
    pub ban_reason: Option<String>,
    /// Of the sessions that are left.
    pub last_seen_at: Option<Timestamp>,
    pub uploads: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Everybody,
    Having(Role),
    Banned,
}

/// Members whose folded name begins so, by name.
pub async fn list(
    conn: &mut Conn,
    begins: &str,
    which: &Which,
    seek: &Seek<String>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    const SQL: &str = "select u.id, u.name, u.name_folded, u.role, u.created_at, u.uploaded, u.downloaded, u.banned_at, \
        u.ban_reason, (select max(s.last_seen_at) from sessions s where s.user_id = u.id) as last_seen_at, \
        (select count(*) from torrents t where t.uploader_id = u.id and t.state = 'published') as uploads \
        from users u where ";
    on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new(SQL);
        push_filter(&mut query, begins, which);
        match seek {
            Seek::First => query.push(" order by u.name_folded limit "),
            Seek::After(name) => query
                .push(" and u.name_folded > ")
                .push_bind(name.clone())
                .push(" order by u.name_folded limit "),
            Seek::Before(name) => query
                .push(" and u.name_folded < ")
                .push_bind(name.clone())
                .push(" order by u.name_folded desc limit "),
        };
        query.push_bind(limit);
        query.build_query_as().fetch_all(c).await
    })
}

pub async fn count(conn: &mut Conn, begins: &str, which: &Which) -> Result<i64, sqlx::Error> {
    on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new("select count(*) from users u where ");
        push_filter(&mut query, begins, which);
        query.build_query_scalar().fetch_one(c).await
    })
}

fn push_filter<B: sqlx::Database>(query: &mut QueryBuilder<B>, begins: &str, which: &Which)
where
    String: sqlx::Type<B> + for<'q> sqlx::Encode<'q, B>,
    &'static str: sqlx::Type<B> + for<'q> sqlx::Encode<'q, B>,
{
    match which {
        Which::Everybody => query.push("true"),
        Which::Having(role) => query.push("u.role = ").push_bind(role.as_str()),
        Which::Banned => query.push("u.banned_at is not null"),
    };
    if !begins.is_empty() {
        // A prefix as a range, which both databases answer from the index.
        query
            .push(" and u.name_folded >= ")
            .push_bind(begins.to_owned())
            .push(" and u.name_folded < ")
            .push_bind(format!("{begins}\u{10ffff}"));
    }
}

/// One change of roles or bans at a time, on every node, until the commit: who is an admin must not change between
/// the look and the deed.
pub async fn hold_standing(tx: &mut Tx) -> Result<(), sqlx::Error> {
    const SQL: &str = "update settings set one = one where one = 1";
    exec!(tx, SQL).map(drop)
}

/// The name of whoever banned this member.
pub async fn banned_by(conn: &mut Conn, id: UserId) -> Result<Option<String>, sqlx::Error> {
    const SQL: &str =
        "select b.name from users u join users b on b.id = u.banned_by where u.id = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// When the member's passkey was last changed; none where it is the first.
pub async fn passkey_changed_at(
    conn: &mut Conn,
    id: UserId,
) -> Result<Option<Timestamp>, sqlx::Error> {
    const SQL: &str = "select max(retired_at) from retired_passkeys where user_id = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_one(c)
        .await)
}

/// Torrents the member has completed.
pub async fn completed(conn: &mut Conn, id: UserId) -> Result<i64, sqlx::Error> {
    const SQL: &str =
        "select count(*) from transfers where user_id = $1 and completed_at is not null";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_one(c)
        .await)
}

/// The member's published torrents, newest first; anonymous ones only where they may be known.
pub async fn upload_ids(
    conn: &mut Conn,
    id: UserId,
    with_anonymous: bool,
    seek: &Seek<i64>,
    limit: i64,
) -> Result<Vec<TorrentId>, sqlx::Error> {
    const OLDER: &str = "select id from torrents where uploader_id = $1 and state = 'published' \
        and (anonymous = $2 or anonymous = $3) and id < $4 order by id desc limit $5";
    const NEWER: &str = "select id from torrents where uploader_id = $1 and state = 'published' \
        and (anonymous = $2 or anonymous = $3) and id > $4 order by id limit $5";
    let (sql, key) = match seek {
        Seek::First => (OLDER, i64::MAX),
        Seek::After(id) => (OLDER, *id),
        Seek::Before(id) => (NEWER, *id),
    };
    on!(conn, |c| sqlx::query_scalar(sql)
        .bind(id)
        .bind(false)
        .bind(with_anonymous)
        .bind(key)
        .bind(limit)
        .fetch_all(c)
        .await)
}
