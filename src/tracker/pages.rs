//! The admins' page of the tracker: how it is, what waits for it, what was given up and why.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::torrust::queries as companion;
use super::{Health, Tracker};
use crate::accounts::Admin;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::outbox::Kind;
use crate::outbox::queries::{self as outbox, Listed};
use crate::web::filters::{number, urlencode};
use crate::web::flash::Flash;
use crate::web::forms::Form;
use crate::web::pager::counted;
use crate::web::render::Page;

const PAGE: &str = "/admin/tracker";
/// Messages shown; the rest is a number.
const ROWS: i64 = 100;

#[derive(Serialize)]
struct TrackerPage {
    /// `embedded`, `torrust`, `none`.
    kind: &'static str,
    announce_urls: Vec<String>,
    ailing: Option<Ailing>,
    findings: Vec<String>,
    inside: Option<Inside>,
    companion: Option<Companion>,
}

#[derive(Serialize)]
struct Ailing {
    since: i64,
    why: String,
}

/// The tracker inside.
#[derive(Serialize)]
struct Inside {
    peers: i64,
}

#[derive(Serialize)]
struct Companion {
    api_url: String,
    counted_at: Option<i64>,
    waiting: i64,
    repeating: i64,
    queueing: bool,
    oldest_at: Option<i64>,
    parked: i64,
    total_text: String,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    what: &'static str,
    about: String,
    url: Option<String>,
    created_at: i64,
    state: &'static str,
    tries: i64,
    error: String,
    retry_action: Option<String>,
}

impl Page for TrackerPage {
    const TEMPLATE: &'static str = "admin/tracker.html";
    const SECTION: &'static str = "admin";
    fn title(&self) -> String {
        "Tracker".to_owned()
    }
}

/// `GET /admin/tracker`
pub async fn page(admin: Admin) -> Result<HttpResponse> {
    let app = &admin.app;
    let tracker = &app.tracker;
    let ailing = match tracker.health() {
        Health::Well => None,
        Health::Ailing { since, why } => Some(Ailing {
            since: since.0,
            why,
        }),
    };
    let (kind, inside, companion, findings) = match tracker {
        Tracker::Embedded(tracker) => {
            let peers = i64::try_from(tracker.peers()).unwrap_or(i64::MAX);
            ("embedded", Some(Inside { peers }), None, Vec::new())
        }
        Tracker::Torrust(tracker) => {
            let mut conn = app.db.read().await?;
            let rows = outbox::list(&mut conn, ROWS).await?;
            let depth = outbox::depth(&mut conn).await?;
            drop(conn);
            let status = tracker.status();
            let now = app.clock.now();
            let companion = Companion {
                api_url: app.config.tracker.api_url.clone(),
                counted_at: status.counted_at.map(|at| at.0),
                waiting: depth.waiting,
                repeating: depth.repeating,
                queueing: status.queueing,
                oldest_at: depth.oldest_at.map(|at| at.0),
                parked: depth.parked,
                total_text: counted(depth.waiting + depth.parked, "message", "messages"),
                rows: rows.into_iter().map(|row| Row::of(row, now)).collect(),
            };
            let findings = status.findings.into_iter().map(|f| f.0).collect();
            ("torrust", None, Some(companion), findings)
        }
        Tracker::Public(_) => ("none", None, None, Vec::new()),
    };
    admin.page(&TrackerPage {
        kind,
        announce_urls: tracker.announce_urls(&admin.settings.base_url, None),
        ailing,
        findings,
        inside,
        companion,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /admin/tracker/messages/{id}/retry`
pub async fn retry(admin: Admin, id: web::Path<String>, _: Form<Nothing>) -> Result<HttpResponse> {
    let id: i64 = id.parse().map_err(|_| Error::NotFound)?;
    let mut tx = admin.app.db.write().await?;
    let found = outbox::retry(&mut tx, id, admin.app.clock.now()).await?;
    tx.commit().await?;
    let flash = if found {
        Flash::ok("It is tried again now.".to_owned())
    } else {
        Flash::ok("That message has arrived meanwhile.".to_owned())
    };
    Ok(admin.redirect_with(PAGE, &flash))
}

/// `POST /admin/tracker/retry`
pub async fn retry_all(admin: Admin, _: Form<Nothing>) -> Result<HttpResponse> {
    let mut tx = admin.app.db.write().await?;
    let count = outbox::retry_all(&mut tx, admin.app.clock.now()).await?;
    tx.commit().await?;
    let count = number(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(admin.redirect_with(PAGE, &Flash::ok(format!("Tried again: {count}."))))
}

/// `POST /admin/tracker/resync`
pub async fn resync(admin: Admin, _: Form<Nothing>) -> Result<HttpResponse> {
    if admin.app.tracker.torrust().is_none() {
        return Err(Error::Conflict(
            "The tracker inside follows the database by itself: there is nothing to tell it."
                .to_owned(),
        ));
    }
    let mut tx = admin.app.db.write().await?;
    companion::want_everything(&mut tx).await?;
    tx.commit().await?;
    tracing::info!(by = %admin.user.id, "the tracker is told everything again");
    let flash = Flash::ok("The tracker is being told everything again.".to_owned());
    Ok(admin.redirect_with(PAGE, &flash))
}

impl Row {
    fn of(row: Listed, now: Timestamp) -> Self {
        let parked = row.parked_at.is_some();
        let (about, url) = match (row.torrent_id, row.title, row.member) {
            (Some(id), Some(title), _) => (title, Some(format!("/torrents/{id}"))),
            (_, _, Some(name)) => {
                let url = format!("/members/{}", urlencode(&name));
                (name, Some(url))
            }
            _ => ("a key of this site".to_owned(), None),
        };
        Self {
            what: match row.kind {
                Kind::Allow => "allow torrent",
                Kind::Forbid => "refuse torrent",
                Kind::Admit => "admit passkey of",
                Kind::Revoke => "refuse passkey of",
            },
            about,
            url,
            created_at: row.created_at.0,
            state: match (parked, row.tries > 0) {
                (true, _) => "given up",
                (false, true) if row.due_at > now => "tried again soon",
                (false, true) => "tried again now",
                (false, false) => "waiting",
            },
            tries: row.tries,
            error: row.last_error,
            retry_action: (parked || row.tries > 0)
                .then(|| format!("{PAGE}/messages/{}/retry", row.id)),
        }
    }
}
