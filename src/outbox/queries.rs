//! The outbox's SQL: writing what a row now says, choosing what goes next, noting how it went.

use sqlx::QueryBuilder;

use super::{Kind, Lane};
use crate::clock::Timestamp;
use crate::db::dialect::lower_hex;
use crate::db::{Conn, Tx};
use crate::ids::{TorrentId, UserId};
use crate::{exec, on};

/// Seconds after which a message is sent once more: longer than any request on its way lives.
const AGAIN_S: i64 = 60;
/// Ahead of all additions.
const AGAIN_RANK: i64 = -1;

const INTO: &str = "insert into outbox \
    (subject, kind, lane, rank, version, torrent_id, user_id, created_at, due_at, tries, last_error)";
/// The newest message of a subject is the one that counts.
const REPLACE: &str = "on conflict (subject) do update set kind = excluded.kind, lane = excluded.lane, \
    rank = excluded.rank, version = outbox.version + 1, torrent_id = excluded.torrent_id, \
    user_id = excluded.user_id, created_at = excluded.created_at, due_at = excluded.due_at, tries = 0, \
    delivered_at = null, parked_at = null, last_error = ''";
/// What is under way is newer than a repetition.
const KEEP: &str = "on conflict (subject) do nothing";

/// Where each of a torrent's hashes stands, and the way it is written as a subject.
fn hashes(conn: &Conn) -> [(&'static str, String); 2] {
    [
        ("t.infohash_v1", lower_hex(conn, "t.infohash_v1")),
        (
            "t.infohash_v2",
            lower_hex(conn, "substr(t.infohash_v2, 1, 20)"),
        ),
    ]
}

/// Tells the tracker of a torrent's infohashes as the torrent's row now says: listed, or deleted.
pub async fn torrent(tx: &mut Tx, id: TorrentId, at: Timestamp) -> Result<(), sqlx::Error> {
    torrents(tx, &[id], at).await
}

/// The same of many at once.
pub async fn torrents(tx: &mut Tx, ids: &[TorrentId], at: Timestamp) -> Result<(), sqlx::Error> {
    for (column, subject) in hashes(tx) {
        on!(tx, |c: B| {
            let mut query = QueryBuilder::<B>::new(format!(
                "{INTO} select {subject}, case when t.state = 'deleted' then 'forbid' else 'allow' end, \
                 case when t.state = 'deleted' then 0 else 1 end, 0, 1, t.id, null, "
            ));
            query.push_bind(at).push(", ").push_bind(at).push(format!(
                ", 0, '' from torrents t, companion c where c.listed and {column} is not null and t.id in ("
            ));
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            query.push(") ").push(REPLACE);
            query.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Tells the tracker of a member's passkey as the member's row now says: admitted, or banned.
pub async fn member(tx: &mut Tx, id: UserId, at: Timestamp) -> Result<(), sqlx::Error> {
    let sql = format!(
        "{INTO} select u.passkey, case when u.banned_at is null then 'admit' else 'revoke' end, \
        case when u.banned_at is null then 1 else 0 end, 0, 1, null, u.id, $2, $2, 0, '' \
        from users u, companion c where u.id = $1 and c.private {REPLACE}"
    );
    exec!(tx, sqlx::AssertSqlSafe(sql.as_str()), id, at).map(drop)
}

/// Tells the tracker that a passkey is nobody's any more.
pub async fn retired(
    tx: &mut Tx,
    passkey: &str,
    user: Option<UserId>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "{INTO} select $1, 'revoke', 0, 0, 1, null, $2, $3, $3, 0, '' from companion c where c.private {REPLACE}"
    );
    exec!(tx, sqlx::AssertSqlSafe(sql.as_str()), passkey, user, at).map(drop)
}

/// A message as it is delivered.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Message {
    pub id: i64,
    pub subject: String,
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    pub lane: i64,
    pub version: i64,
    pub tries: i64,
    pub delivered_at: Option<Timestamp>,
}

impl Message {
    pub fn repeats_everything(&self) -> bool {
        self.lane == Lane::Everything as i64
    }

    /// Whether it is to be sent once more. A call that was given up on may arrive after those that followed it, so
    /// the last word on a subject is said again: a revocation, for an addition may be late; what took another
    /// message's place, for that one may be; and a repetition that did not work at once.
    fn comes_again(&self) -> bool {
        let repeated = self.repeats_everything() && self.tries == 0;
        match self.delivered_at {
            None => self.version > 1 || (self.kind.revokes() && !repeated),
            Some(_) => self.kind.revokes() && self.tries > 0,
        }
    }
}

/// What is to be delivered now, in order.
pub async fn due(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Message>, sqlx::Error> {
    const SQL: &str = "select id, subject, kind, lane, version, tries, delivered_at from outbox \
        where parked_at is null and due_at <= $1 order by lane, rank, id limit $2";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(now)
        .bind(limit)
        .fetch_all(c)
        .await)
}

/// Takes a delivered message away, unless a newer one has taken its place, or it is to be sent once more.
pub async fn delivered(tx: &mut Tx, message: &Message, now: Timestamp) -> Result<(), sqlx::Error> {
    const DONE: &str = "delete from outbox where id = $1 and version = $2";
    const AGAIN: &str = "update outbox set delivered_at = $3, due_at = $4, lane = $5, rank = $6, tries = 0, \
        last_error = '' where id = $1 and version = $2";
    let (id, version) = (message.id, message.version);
    if message.comes_again() {
        let (due_at, lane) = (now.plus(AGAIN_S), Lane::Additions as i64);
        exec!(tx, AGAIN, id, version, now, due_at, lane, AGAIN_RANK).map(drop)
    } else {
        exec!(tx, DONE, id, version).map(drop)
    }
}

/// How a delivery failed, and when it is tried again; parked messages wait for an admin.
pub struct Failed<'a> {
    pub why: &'a str,
    pub due_at: Timestamp,
    pub parked_at: Option<Timestamp>,
}

pub async fn failed(
    tx: &mut Tx,
    message: &Message,
    failed: &Failed<'_>,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "update outbox set tries = tries + 1, last_error = $3, due_at = $4, parked_at = $5 \
        where id = $1 and version = $2";
    let Failed {
        why,
        due_at,
        parked_at,
    } = failed;
    exec!(
        tx,
        SQL,
        message.id,
        message.version,
        *why,
        *due_at,
        *parked_at
    )
    .map(drop)
}

/// The tracker is back: what waits for its next try waits no longer.
pub async fn hasten(tx: &mut Tx, now: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str =
        "update outbox set due_at = $1 where due_at > $1 and tries > 0 and parked_at is null";
    exec!(tx, SQL, now).map(drop)
}

/// Lets a parked message be tried again; `false` when there is none of that id.
pub async fn retry(tx: &mut Tx, id: i64, now: Timestamp) -> Result<bool, sqlx::Error> {
    const SQL: &str =
        "update outbox set parked_at = null, tries = 0, due_at = $2 where id = $1 and tries > 0";
    Ok(exec!(tx, SQL, id, now)? > 0)
}

/// The same for all of them; answers how many.
pub async fn retry_all(tx: &mut Tx, now: Timestamp) -> Result<u64, sqlx::Error> {
    const SQL: &str =
        "update outbox set parked_at = null, tries = 0, due_at = $1 where parked_at is not null";
    exec!(tx, SQL, now)
}

/// What the outbox holds; what only waits to be sent once more is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Depth {
    /// On their way.
    pub waiting: i64,
    /// Of them, those that repeat everything.
    pub repeating: i64,
    /// Since when the oldest that repeats nothing waits.
    pub oldest_at: Option<Timestamp>,
    pub parked: i64,
}

pub async fn depth(conn: &mut Conn) -> Result<Depth, sqlx::Error> {
    const SQL: &str = "select count(case when parked_at is null then 1 end) as waiting, \
        count(case when parked_at is null and lane = 2 then 1 end) as repeating, \
        min(case when parked_at is null and lane < 2 then created_at end) as oldest_at, \
        count(parked_at) as parked from outbox where delivered_at is null";
    on!(conn, |c| sqlx::query_as(SQL).fetch_one(c).await)
}

/// Whether the tracker has yet to learn of this torrent.
pub async fn awaits(conn: &mut Conn, torrent: TorrentId) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select count(*) from outbox where torrent_id = $1 and kind = 'allow' and delivered_at is null";
    let waiting: i64 = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(torrent)
        .fetch_one(c)
        .await)?;
    Ok(waiting > 0)
}

/// Whether the tracker has yet to learn of this member's passkey.
pub async fn awaits_passkey(conn: &mut Conn, user: UserId) -> Result<bool, sqlx::Error> {
    const SQL: &str = "select count(*) from outbox where user_id = $1 and kind = 'admit' and delivered_at is null";
    let waiting: i64 = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(user)
        .fetch_one(c)
        .await)?;
    Ok(waiting > 0)
}

/// A message as admins see it: the torrent or member it is about, never the passkey.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    pub id: i64,
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    pub torrent_id: Option<TorrentId>,
    pub title: Option<String>,
    pub member: Option<String>,
    pub created_at: Timestamp,
    pub due_at: Timestamp,
    pub tries: i64,
    pub parked_at: Option<Timestamp>,
    pub last_error: String,
}

/// Those that were given up first, then those that failed, then in the order they go.
pub async fn list(conn: &mut Conn, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
    const SQL: &str = "select o.id, o.kind, o.torrent_id, t.title, u.name as member, o.created_at, o.due_at, o.tries, \
        o.parked_at, o.last_error from outbox o left join torrents t on t.id = o.torrent_id \
        left join users u on u.id = o.user_id where o.delivered_at is null \
        order by case when o.parked_at is not null then 0 when o.tries > 0 then 1 else 2 end, o.lane, o.rank, o.id \
        limit $1";
    on!(conn, |c| sqlx::query_as(SQL).bind(limit).fetch_all(c).await)
}

/// What is put in anew when the tracker may have forgotten, part by part; each says where its next step begins.
/// Revocations go first, then passkeys, then torrents: the liveliest, of those the newest.
pub mod everything {
    use super::*;

    const REVOCATIONS: i64 = -4_000_000_000_000_000_000;
    const PASSKEYS: i64 = -3_000_000_000_000_000_000;

    /// Every member's passkey, admitted or banned, after the id `after`; the last id taken, `None` at the end.
    pub async fn members(
        tx: &mut Tx,
        after: i64,
        limit: i64,
        at: Timestamp,
    ) -> Result<Option<i64>, sqlx::Error> {
        const LAST: &str =
            "select max(id) from (select id from users where id > $1 order by id limit $2) as step";
        let Some(last) = last(tx, LAST, after, limit).await? else {
            return Ok(None);
        };
        let sql = format!(
            "{INTO} select u.passkey, case when u.banned_at is null then 'admit' else 'revoke' end, 2, \
            case when u.banned_at is null then {PASSKEYS} else {REVOCATIONS} end, 1, null, u.id, $3, $3, 0, '' \
            from users u, companion c where u.id > $1 and u.id <= $2 and c.private {KEEP}"
        );
        exec!(tx, sqlx::AssertSqlSafe(sql.as_str()), after, last, at)?;
        Ok(Some(last))
    }

    /// Passkeys that are nobody's any more, by the day they were retired (seconds), in the same way.
    pub async fn retired(
        tx: &mut Tx,
        after: i64,
        limit: i64,
        at: Timestamp,
    ) -> Result<Option<i64>, sqlx::Error> {
        const LAST: &str = "select max(retired_at) from (select retired_at from retired_passkeys \
            where retired_at > $1 order by retired_at limit $2) as step";
        let Some(last) = last(tx, LAST, after, limit).await? else {
            return Ok(None);
        };
        let sql = format!(
            "{INTO} select r.passkey, 'revoke', 2, {REVOCATIONS}, 1, null, r.user_id, $3, $3, 0, '' \
            from retired_passkeys r, companion c where r.retired_at > $1 and r.retired_at <= $2 \
            and r.passkey is not null and c.private {KEEP}"
        );
        exec!(tx, sqlx::AssertSqlSafe(sql.as_str()), after, last, at)?;
        Ok(Some(last))
    }

    /// The hashes of every torrent, deleted ones too unless the hash lives on in another, in the same way.
    pub async fn torrents(
        tx: &mut Tx,
        after: i64,
        limit: i64,
        at: Timestamp,
    ) -> Result<Option<i64>, sqlx::Error> {
        const LAST: &str = "select max(id) from (select id from torrents where id > $1 order by id limit $2) as step";
        let Some(last) = last(tx, LAST, after, limit).await? else {
            return Ok(None);
        };
        // Joined and not asked for by `exists`: beside an `or` that reads every torrent on Postgres, in each step.
        let living = [
            "living.infohash_v1 = t.infohash_v1",
            "substr(living.infohash_v2, 1, 20) = substr(t.infohash_v2, 1, 20)",
        ];
        for ((column, subject), living) in hashes(tx).into_iter().zip(living) {
            let sql = format!(
                "{INTO} select {subject}, case when t.state = 'deleted' then 'forbid' else 'allow' end, 2, \
                case when t.state = 'deleted' then {REVOCATIONS} else 0 - t.id - 1000000000000 * \
                (case when s.seeders + s.leechers > 1000000 then 1000000 else coalesce(s.seeders + s.leechers, 0) end) \
                end, 1, t.id, null, $3, $3, 0, '' from companion c, torrents t \
                left join swarms s on s.torrent_id = t.id \
                left join torrents living on t.state = 'deleted' and {living} and living.state <> 'deleted' \
                where t.id > $1 and t.id <= $2 and c.listed and {column} is not null and living.id is null {KEEP}"
            );
            exec!(tx, sqlx::AssertSqlSafe(sql.as_str()), after, last, at)?;
        }
        Ok(Some(last))
    }

    async fn last(
        tx: &mut Tx,
        sql: &'static str,
        after: i64,
        limit: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        on!(tx, |c| sqlx::query_scalar(sql)
            .bind(after)
            .bind(limit)
            .fetch_one(c)
            .await)
    }
}
