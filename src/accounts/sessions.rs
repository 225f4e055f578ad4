//! Sessions: a random id in a signed cookie, its hash in a row. The row decides.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::header;

use super::feed_keys::Nonce;
use super::jwt;
use super::queries::{self, NewSession, SessionUser, User};
use crate::app::App;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::UserId;
use crate::secrets::{random_token, token_hash};
use crate::web::cookies;

const DAY_S: i64 = 86_400;
/// `last_seen_at` is written this seldom.
const TOUCH_S: i64 = 300;

/// Opens a session with a fresh id; the cookie goes into the answer once the transaction has committed.
pub async fn open(
    app: &App,
    tx: &mut Tx,
    req: &HttpRequest,
    user: UserId,
    epoch: i64,
) -> Result<Cookie<'static>> {
    let now = app.clock.now();
    let lifetime_s = app.config.accounts.session_days * DAY_S;
    let expires_at = now.plus(lifetime_s);
    let sid = random_token();
    let user_agent: String = req
        .headers()
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let new = NewSession {
        sid_hash: &token_hash(&sid),
        user_id: user,
        epoch,
        user_agent: &user_agent,
        at: now,
        expires_at,
    };
    queries::insert_session(tx, &new).await?;
    let token = jwt::encode(app.secrets.session_key(), &sid, now, expires_at)?;
    Ok(cookies::build(
        cookies::SESSION,
        token,
        app.https(),
        Some(lifetime_s),
    ))
}

/// A member and the hash of the session they came with.
pub struct Current {
    pub user: User,
    /// Empty where a feed key said who it is.
    pub sid_hash: Vec<u8>,
    pub feed_nonce: Nonce,
}

/// The member behind this request, if any.
pub async fn current(app: &App, req: &HttpRequest) -> Result<Option<Current>> {
    let Some(token) = cookies::read(req, cookies::SESSION, app.https()) else {
        return Ok(None);
    };
    let now = app.clock.now();
    let Some(sid) = jwt::decode(app.secrets.session_key(), &token, now) else {
        return Ok(None);
    };
    let sid_hash = token_hash(&sid);
    let idle_since = now.plus(-app.config.accounts.session_idle_days * DAY_S);
    let mut conn = app.db.read().await?;
    let found = queries::by_session(&mut conn, &sid_hash, now, idle_since).await?;
    drop(conn);
    let Some(SessionUser {
        user,
        last_seen_at,
        feed_nonce,
    }) = found
    else {
        return Ok(None);
    };
    let feed_nonce = Nonce(feed_nonce.unwrap_or_default());
    if now.since(last_seen_at) >= TOUCH_S {
        // Looking is allowed to go on where writing is not (a full disk).
        if let Err(error) = touch(app, &sid_hash).await {
            tracing::warn!(%error, "last seen could not be written");
        }
    }
    Ok(Some(Current {
        user,
        sid_hash,
        feed_nonce,
    }))
}

async fn touch(app: &App, sid_hash: &[u8]) -> Result<(), sqlx::Error> {
    let mut tx = app.db.write().await?;
    queries::touch_session(&mut tx, sid_hash, app.clock.now()).await?;
    tx.commit().await
}
