//! Limits on guessing: failures are counted by account and by address, in the database, so that they hold for all
//! nodes. Never a permanent lock: that would be a gift to whoever wants to lock others out.

use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::{exec, on};

const WINDOW_S: i64 = 15 * 60;
const FIRST_WAIT_S: i64 = 30;
const LONGEST_WAIT_S: i64 = 15 * 60;

/// Seconds to wait before another try is looked at; `None` means go ahead.
pub async fn wait_s(
    conn: &mut Conn,
    bucket: &str,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    const SQL: &str =
        "select blocked_until from throttles where bucket = $1 and blocked_until > $2";
    let until: Option<Timestamp> = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(bucket)
        .bind(now)
        .fetch_optional(c)
        .await)?;
    Ok(until.map(|until| until.since(now).max(1)))
}

/// Takes a try before it is looked at, as if it failed, so that a thousand at once are not looked at either; what
/// succeeds is given back. Past `limit` in a window each further one doubles the wait, up to 15 minutes. Answers
/// the seconds to wait where there is no try left.
pub async fn take(
    tx: &mut Tx,
    bucket: &str,
    limit: i64,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    const COUNT: &str = "insert into throttles (bucket, failures, window_started_at, blocked_until) values ($1, 1, $2, 0) \
        on conflict (bucket) do update set \
        failures = case when throttles.window_started_at < $3 then 1 else throttles.failures + 1 end, \
        window_started_at = case when throttles.window_started_at < $3 then $2 else throttles.window_started_at end \
        returning failures";
    const BLOCK: &str =
        "update throttles set blocked_until = $2, window_started_at = $3 where bucket = $1";
    if let Some(wait_s) = wait_s(tx, bucket, now).await? {
        return Ok(Some(wait_s));
    }
    let failures: i64 = on!(tx, |c| sqlx::query_scalar(COUNT)
        .bind(bucket)
        .bind(now)
        .bind(now.plus(-WINDOW_S))
        .fetch_one(c)
        .await)?;
    if failures >= limit {
        let doublings = u32::try_from((failures - limit).min(10)).unwrap_or(10);
        let wait_s = (FIRST_WAIT_S << doublings).min(LONGEST_WAIT_S);
        // The window moves along, so that waiting out a block does not start the count afresh.
        exec!(tx, BLOCK, bucket, now.plus(wait_s), now)?;
    }
    Ok(None)
}

/// Gives a try back that was none after all: a member who logs in from an address that others guess from.
pub async fn give_back(tx: &mut Tx, bucket: &str, limit: i64) -> Result<(), sqlx::Error> {
    const SQL: &str = "update throttles set failures = failures - 1, \
        blocked_until = case when failures <= $2 then 0 else blocked_until end where bucket = $1 and failures > 0";
    exec!(tx, SQL, bucket, limit).map(drop)
}

pub async fn clear(tx: &mut Tx, bucket: &str) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from throttles where bucket = $1";
    exec!(tx, SQL, bucket).map(drop)
}

pub async fn purge(tx: &mut Tx, now: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from throttles where window_started_at < $1 and blocked_until < $2";
    exec!(tx, SQL, now.plus(-WINDOW_S), now).map(drop)
}
