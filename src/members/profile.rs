//! One's own page: what one moved, the announce address, the sessions, the uploads.

use actix_web::{HttpResponse, web};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::agent::Agent;
use super::queries;
use super::uploads::{self, Uploads};
use crate::accounts::Member;
use crate::accounts::extract::NO_STORE;
use crate::accounts::feed_keys;
use crate::accounts::queries::{self as accounts, Session};
use crate::app::App;
use crate::error::{Error, Result};
use crate::saved::pages as saved;
use crate::secrets::random_passkey;
use crate::torrents::tools::FeedLink;
use crate::web::flash::Flash;
use crate::web::forms::Form;
use crate::web::render::Page;

#[derive(Serialize)]
struct ProfilePage {
    member: Oneself,
    stats: Stats,
    passkey: Passkey,
    feeds: Feeds,
    saved: Vec<saved::Row>,
    sessions: Vec<SessionShown>,
    uploads: Uploads,
}

#[derive(Serialize)]
struct Oneself {
    name: String,
    role: &'static str,
    joined_at: i64,
    url: String,
}

#[derive(Serialize)]
struct Stats {
    uploads: i64,
    /// Whether the tracker tells what members moved; the following are meaningless otherwise.
    counted: bool,
    uploaded: i64,
    downloaded: i64,
    ratio_text: String,
    completed: i64,
}

#[derive(Serialize)]
struct Passkey {
    announce_urls: Vec<AnnounceUrl>,
    created_at: i64,
    /// Whether the addresses are this member's own.
    personal: bool,
    /// The tracker has yet to learn of it.
    waiting: bool,
}

/// The member's feed key, as the addresses it is part of.
#[derive(Serialize)]
struct Feeds {
    everything: FeedLink,
    changed_at: Option<i64>,
    last_used_at: Option<i64>,
}

/// One of the member's announce addresses, in a box of its own.
#[derive(Serialize)]
struct AnnounceUrl {
    id: String,
    label: &'static str,
    url: String,
}

#[derive(Serialize)]
struct SessionShown {
    id: String,
    agent: String,
    system: &'static str,
    current: bool,
    last_seen_at: i64,
    created_at: i64,
    revoke_action: Option<String>,
}

impl Page for ProfilePage {
    const TEMPLATE: &'static str = "members/profile.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Your profile".to_owned()
    }
}

/// `GET /profile`. Shows a secret, so it is kept nowhere.
pub async fn page(member: Member, query: web::Query<uploads::Query>) -> Result<HttpResponse> {
    let (app, user) = (&member.app, &member.user);
    let mut reading = app.db.reading();
    let uploads = uploads::of(&member, &mut reading, user, &query, "/profile").await?;
    let conn = reading.conn().await?;
    let completed = queries::completed(conn, user.id).await?;
    let changed_at = queries::passkey_changed_at(conn, user.id).await?;
    let waiting = app.tracker.awaits_passkey(conn, user.id).await?;
    let sessions = accounts::sessions_of(conn, user.id, app.clock.now()).await?;
    let key_use = feed_keys::use_of(conn, user.id).await?;
    drop(reading);
    let page = ProfilePage {
        member: Oneself {
            name: user.name.clone(),
            role: user.role.as_str(),
            joined_at: user.created_at.0,
            url: super::url(&user.name),
        },
        stats: Stats {
            uploads: uploads.count,
            counted: app.tracker.counts_bytes(),
            uploaded: user.uploaded,
            downloaded: user.downloaded,
            ratio_text: ratio(user.uploaded, user.downloaded),
            completed,
        },
        passkey: Passkey {
            announce_urls: announce_urls(&member),
            created_at: changed_at.unwrap_or(user.created_at).0,
            personal: app.tracker.knows_members(),
            waiting,
        },
        feeds: Feeds {
            everything: FeedLink::of_listing(&member, "", "All torrents".to_owned()),
            changed_at: key_use.changed_at.map(|at| at.0),
            last_used_at: key_use.last_used_at.map(|at| at.0),
        },
        saved: saved::rows(&member).await?,
        sessions: sessions
            .iter()
            .map(|session| shown(app, session, &member.sid_hash))
            .collect(),
        uploads,
    };
    let mut response = member.page(&page)?;
    let (name, value) = NO_STORE;
    response.headers_mut().insert(
        name,
        actix_web::http::header::HeaderValue::from_static(value),
    );
    Ok(response)
}

fn announce_urls(member: &Member) -> Vec<AnnounceUrl> {
    let base_url = &member.settings.base_url;
    let urls = member
        .app
        .tracker
        .announce_urls(base_url, Some(&member.user.passkey));
    urls.into_iter()
        .zip(1..)
        .map(|(url, n)| AnnounceUrl {
            id: match n {
                1 => "announce-url".to_owned(),
                n => format!("announce-url-{n}"),
            },
            label: match url.starts_with("udp:") {
                true => "Your announce address by UDP",
                false => "Your announce address",
            },
            url,
        })
        .collect()
}

fn shown(app: &App, session: &Session, current: &[u8]) -> SessionShown {
    let id = handle(app, session);
    let current = session.sid_hash == current;
    let agent = Agent::of(&session.user_agent);
    SessionShown {
        agent: agent.browser,
        system: agent.system,
        current,
        last_seen_at: session.last_seen_at.0,
        created_at: session.created_at.0,
        revoke_action: (!current).then(|| format!("/profile/sessions/{id}/revoke")),
        id,
    }
}

/// What a page may call a session: nothing to log in with, and nothing to look the row up by.
fn handle(app: &App, session: &Session) -> String {
    let mac = app.secrets.mac("session handle", &session.sid_hash);
    let mut handle = HEXLOWER.encode(&mac);
    handle.truncate(16);
    handle
}

/// Uploaded over downloaded, with two decimals.
fn ratio(uploaded: i64, downloaded: i64) -> String {
    match (uploaded, downloaded) {
        (0, 0) => "–".to_owned(),
        (_, 0) => "∞".to_owned(),
        (up, down) => format!("{:.2}", up as f64 / down as f64),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /profile/passkey`
pub async fn reset_passkey(member: Member, _: Form<Nothing>) -> Result<HttpResponse> {
    let passkey = random_passkey();
    let mut tx = member.app.db.write().await?;
    accounts::rotate_passkey(&mut tx, member.user.id, &passkey, member.app.clock.now()).await?;
    tx.commit().await?;
    tracing::info!(user = %member.user.id, "passkey reset");
    let flash = Flash::ok(
        "You have a new announce address; the old one is refused from now on. Download the torrents in your client \
         again.",
    );
    Ok(member.redirect_with("/profile", &flash))
}

/// `POST /profile/feed-key`
pub async fn reset_feed_key(member: Member, _: Form<Nothing>) -> Result<HttpResponse> {
    let mut tx = member.app.db.write().await?;
    feed_keys::reset(&mut tx, member.user.id, member.app.clock.now()).await?;
    tx.commit().await?;
    tracing::info!(user = %member.user.id, "feed key reset");
    let flash = Flash::ok(
        "You have a new feed key; feeds and links with the old one are refused from now on. Copy the addresses of \
         your feeds again.",
    );
    Ok(member.redirect_with("/profile", &flash))
}

/// `POST /profile/sessions/{handle}/revoke`: one's own sessions and nobody else's.
pub async fn revoke_session(
    member: Member,
    path: web::Path<String>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let app = &member.app;
    let mut tx = app.db.write().await?;
    let sessions = accounts::sessions_of(&mut tx, member.user.id, app.clock.now()).await?;
    let Some(session) = sessions
        .iter()
        .find(|session| handle(app, session) == *path)
    else {
        return Err(Error::NotFound);
    };
    accounts::delete_session(&mut tx, member.user.id, &session.sid_hash).await?;
    tx.commit().await?;
    tracing::info!(user = %member.user.id, "session ended");
    let flash = Flash::ok(format!(
        "{} is logged out.",
        Agent::of(&session.user_agent).browser
    ));
    Ok(member.redirect_with("/profile", &flash))
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn ratios() {
        assert_eq!(ratio(0, 0), "–");
        assert_eq!(ratio(5, 0), "∞");
        assert_eq!(ratio(0, 5), "0.00");
        assert_eq!(ratio(411, 100), "4.11");
        assert_eq!(ratio(i64::MAX, 1), "9223372036854775808.00");
    }
}
