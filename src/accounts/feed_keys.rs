//! Feed keys: who a feed reader reads for. A member's key opens their feeds; each .torrent link inside a feed carries a
//! token for that one torrent. Both are HMACs under the installation's key of what `feed_keys` holds, so that they can
//! be shown, and a copy of the database yields none. A reset and a ban change what they are made from, and with that
//! end all of them at once. They open nothing else: `FeedReader` and `LinkHolder` ask for no cookie and set none.

use std::ops::Deref;

use actix_web::{FromRequest, HttpRequest, dev, web};
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use super::extract::{self, Extracting, Visit, derefs, extractor};
use super::queries::User;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::ids::{TorrentId, UserId};
use crate::secrets::Secrets;
use crate::web::pager::with_query;
use crate::{exec, on};

/// The parameter that carries a key or a token.
pub const PARAMETER: &str = "key";
const FEEDS: &str = "feed key";
const LINK: &str = "feed link";
/// 128 bits are beyond guessing.
const MAC_BYTES: usize = 16;
/// When a key was last used is written at most this often.
const TOUCH_S: i64 = 300;

/// What a member's keys are made from; empty until the first reset.
#[derive(Clone, Debug, Default)]
pub struct Nonce(pub Vec<u8>);

/// The key that opens the member's feeds: `31-Zm9v..`, the id and a MAC.
pub fn key(secrets: &Secrets, user: UserId, nonce: &Nonce) -> String {
    written(user, &mac(secrets, FEEDS, user, nonce, &[]))
}

/// The token of one .torrent link.
pub fn link_token(secrets: &Secrets, user: UserId, nonce: &Nonce, torrent: TorrentId) -> String {
    let torrent = torrent.0.to_be_bytes();
    written(user, &mac(secrets, LINK, user, nonce, &torrent))
}

fn mac(secrets: &Secrets, purpose: &str, user: UserId, nonce: &Nonce, what: &[u8]) -> Vec<u8> {
    let mut data = user.0.to_be_bytes().to_vec();
    data.push(u8::try_from(nonce.0.len()).unwrap_or(u8::MAX));
    data.extend(&nonce.0);
    data.extend(what);
    let mut mac = secrets.mac(purpose, &data).to_vec();
    mac.truncate(MAC_BYTES);
    mac
}

fn written(user: UserId, mac: &[u8]) -> String {
    format!("{user}-{}", BASE64URL_NOPAD.encode(mac))
}

/// The id a key says it is of: not believed until the whole key has been compared.
fn claimed(key: &str) -> Option<UserId> {
    let (id, _) = key.split_once('-')?;
    let digits = !id.is_empty() && id.len() <= 18 && id.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| id.parse().ok().map(UserId)).flatten()
}

impl Visit {
    /// A feed's path with this member's key, or as guests read it; `query` is what the listing is asked for.
    pub fn feed_url(&self, path: &str, query: &str) -> String {
        let key = self.current.as_ref().map(|current| {
            let secrets = &self.app.secrets;
            let key = key(secrets, current.user.id, &current.feed_nonce);
            format!("{PARAMETER}={key}")
        });
        with_query(path, &[query, key.as_deref().unwrap_or_default()])
    }

    /// The path of a .torrent that needs no cookie: with a member's token for it, or as guests fetch it; none where
    /// they may not.
    pub fn torrent_url(&self, torrent: TorrentId) -> Option<String> {
        let Some(current) = &self.current else {
            let open = self.settings.may_download(None);
            return open.then(|| format!("/torrents/{torrent}/download"));
        };
        let (secrets, nonce) = (&self.app.secrets, &current.feed_nonce);
        let token = link_token(secrets, current.user.id, nonce, torrent);
        Some(format!(
            "/torrents/{torrent}/download.torrent?{PARAMETER}={token}"
        ))
    }
}

/// Whoever reads a feed: the member of the key or, without one, a guest where guests may look.
pub struct FeedReader(Visit);

/// A member with the token of a .torrent link, and the torrent it is for.
pub struct LinkHolder {
    visit: Visit,
    pub torrent: TorrentId,
}

derefs! {
    FeedReader => Visit, |s| &s.0;
    LinkHolder => Visit, |s| &s.visit;
}

extractor!(FeedReader, req => feed_reader(req).await);
extractor!(LinkHolder, req => link_holder(req).await);

async fn feed_reader(req: HttpRequest) -> Result<FeedReader> {
    let app = App::of(&req)?;
    let settings = app.settings();
    let Some(given) = parameter(&req) else {
        return if app.is_set_up() && settings.may_look(None) {
            Ok(FeedReader(extract::by_key(app, req, None)))
        } else {
            Err(Error::Forbidden(
                "This feed needs a key. Log in on the site and copy the feed's address from there."
                    .to_owned(),
            ))
        };
    };
    visit_of(app, req, &given, key).await.map(FeedReader)
}

async fn link_holder(req: HttpRequest) -> Result<LinkHolder> {
    let app = App::of(&req)?;
    let torrent = req.match_info().get("id").and_then(|id| id.parse().ok());
    let torrent = torrent.map(TorrentId).ok_or(Error::NotFound)?;
    let given = parameter(&req).ok_or_else(refused)?;
    let visit = visit_of(app, req, &given, |secrets, user, nonce| {
        link_token(secrets, user, nonce, torrent)
    })
    .await?;
    Ok(LinkHolder { visit, torrent })
}

fn parameter(req: &HttpRequest) -> Option<String> {
    url::form_urlencoded::parse(req.query_string().as_bytes())
        .find(|(name, value)| name == PARAMETER && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// One answer for every key that does not hold, so that it tells nothing about the member.
fn refused() -> Error {
    Error::Forbidden(
        "This feed key is not valid, or not any more: it was reset, or its member is banned. Copy the feed's address \
         from the site again."
            .to_owned(),
    )
}

async fn visit_of(
    app: web::Data<App>,
    req: HttpRequest,
    given: &str,
    expected: impl Fn(&Secrets, UserId, &Nonce) -> String,
) -> Result<Visit> {
    let id = claimed(given).ok_or_else(refused)?;
    let mut conn = app.db.read().await?;
    let holder = super::queries::by_feed_key(&mut conn, id).await?;
    drop(conn);
    let holder = holder.ok_or_else(refused)?;
    let nonce = Nonce(holder.nonce.unwrap_or_default());
    let expected = expected(&app.secrets, id, &nonce);
    if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        return Err(refused());
    }
    let now = app.clock.now();
    if holder
        .last_used_at
        .is_none_or(|last| now.since(last) >= TOUCH_S)
    {
        // Reading goes on where writing cannot (a full disk).
        if let Err(error) = touch(&app, id, now).await {
            tracing::warn!(%error, "a feed key's last use could not be written");
        }
    }
    Ok(extract::by_key(app, req, Some((holder.user, nonce))))
}

async fn touch(app: &App, id: UserId, now: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into feed_keys (user_id, nonce, last_used_at) values ($1, $2, $3) \
        on conflict (user_id) do update set last_used_at = excluded.last_used_at";
    let mut tx = app.db.write().await?;
    exec!(tx, SQL, id, Vec::<u8>::new(), now)?;
    tx.commit().await
}

/// Ends the member's key and every link made with it.
pub async fn reset(tx: &mut Tx, id: UserId, at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into feed_keys (user_id, nonce, changed_at) values ($1, $2, $3) \
        on conflict (user_id) do update set nonce = excluded.nonce, changed_at = excluded.changed_at, last_used_at = null";
    let nonce: [u8; 16] = rand::random();
    exec!(tx, SQL, id, nonce.to_vec(), at).map(drop)
}

/// What a profile says of the key.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct Use {
    pub changed_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

pub async fn use_of(conn: &mut Conn, id: UserId) -> Result<Use, sqlx::Error> {
    const SQL: &str = "select changed_at, last_used_at from feed_keys where user_id = $1";
    let found = on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)?;
    Ok(found.unwrap_or_default())
}

/// A member whose key may still hold.
#[derive(Debug, sqlx::FromRow)]
pub struct Holder {
    #[sqlx(flatten)]
    pub user: User,
    pub nonce: Option<Vec<u8>>,
    pub last_used_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let directory = tempfile::tempdir().unwrap();
        Secrets::load(&"k".repeat(40), directory.path()).unwrap()
    }

    #[test]
    fn keys_and_tokens_differ_by_all_they_are_made_from() {
        let secrets = secrets();
        let (first, second) = (Nonce::default(), Nonce(vec![7; 16]));
        let mut all: Vec<String> = Vec::new();
        for user in [UserId(3), UserId(31)] {
            for nonce in [&first, &second] {
                all.push(key(&secrets, user, nonce));
                for torrent in [TorrentId(1), TorrentId(2)] {
                    all.push(link_token(&secrets, user, nonce, torrent));
                }
            }
        }
        for one in &all {
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{one}");
        }
        assert_eq!(claimed(&all[0]), Some(UserId(3)));
    }

    #[test]
    fn anything_may_stand_where_a_key_should() {
        for wrong in [
            "",
            "-",
            "x",
            "-5-abc",
            "+5-a",
            "99999999999999999999-a",
            "5",
            "5 -a",
        ] {
            assert_eq!(claimed(wrong), None, "{wrong}");
        }
    }
}
