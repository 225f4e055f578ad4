//! What clients reach: `/announce` and `/scrape`, with a passkey or, where guests may, without. Every answer is
//! bencoded text with status 200, refusals too, because that is what clients read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};

use super::Embedded;
use super::accounting::{PATIENCE, Report, SessionKey};
use super::answer::{self, PeerFormat, Scraped, Terms};
use super::queries;
use super::request::{self, Announce, Event, Failure};
use super::rights::{Holder, Registered};
use super::swarm::{Owner, Side, Visit};
use crate::app::App;
use crate::ids::{TorrentId, UserId};
use crate::web::client;

/// Peers for who does not say how many.
const USUAL_PEERS: usize = 50;

pub async fn announce(req: HttpRequest) -> HttpResponse {
    bencoded(answer_announce(&req).await)
}

pub async fn scrape(req: HttpRequest) -> HttpResponse {
    bencoded(answer_scrape(&req).await)
}

async fn answer_announce(req: &HttpRequest) -> Result<Vec<u8>, Failure> {
    let app = App::of(req).map_err(|_| unready())?;
    let tracker = inside(&app)?;
    let who = tracker.admit(req.match_info().get("passkey")).await?;
    let announce = Announce::parse(req.query_string().as_bytes())?;
    let ip = client::address(req)
        .ok_or_else(|| Failure::now("your address is unknown to this server"))?;
    tracker.announced(who, &announce, ip).await
}

async fn answer_scrape(req: &HttpRequest) -> Result<Vec<u8>, Failure> {
    let app = App::of(req).map_err(|_| unready())?;
    let tracker = inside(&app)?;
    tracker.admit(req.match_info().get("passkey")).await?;
    tracker.scraped(req.query_string().as_bytes())
}

fn bencoded(answer: Result<Vec<u8>, Failure>) -> HttpResponse {
    let body = answer.unwrap_or_else(|failure| answer::failure(&failure));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain"))
        .body(body)
}

/// The tracker inside, where there is one.
fn inside(app: &App) -> Result<&Embedded, Failure> {
    app.tracker.embedded().ok_or_else(|| {
        Failure::now("the tracker of this site is elsewhere; download the .torrent again")
    })
}

fn unready() -> Failure {
    Failure::now("the tracker is not ready; try again in a minute")
}

impl Embedded {
    /// Whose announce it is; `None` is a guest.
    async fn admit(&self, passkey: Option<&str>) -> Result<Option<UserId>, Failure> {
        let Some(passkey) = passkey else {
            if (self.settings)().guests_may_announce() {
                return Ok(None);
            }
            return Err(Failure::now(
                "this tracker is for members; log in and download the .torrent again",
            ));
        };
        match self.rights.holder(passkey) {
            Holder::Member(id) => Ok(Some(id)),
            Holder::Banned => Err(Failure::now("this account is banned")),
            Holder::Replaced => Err(replaced()),
            Holder::Unknown => {
                let retired = async {
                    let mut conn = self.db.read().await?;
                    queries::is_retired(&mut conn, passkey).await
                };
                match retired.await {
                    Ok(true) => Err(replaced()),
                    Ok(false) => Err(Failure::now(
                        "unknown passkey; log in and download the .torrent again",
                    )),
                    Err(error) => {
                        tracing::warn!(%error, "looking up a passkey failed");
                        Err(unready())
                    }
                }
            }
        }
    }

    async fn announced(
        &self,
        who: Option<UserId>,
        announce: &Announce,
        ip: IpAddr,
    ) -> Result<Vec<u8>, Failure> {
        let (torrent, side) = match self.rights.torrent(&announce.info_hash) {
            Registered::Yes(torrent, side) => (torrent, side),
            Registered::Deleted => return Err(Failure::for_good("this torrent was deleted here")),
            Registered::Unknown => {
                return Err(Failure::now("this torrent is not registered here"));
            }
        };
        let now = self.clock.now();
        // Noted before anything is waited for: a client that hangs up is counted all the same.
        let batch = match who {
            Some(member) => Some(self.ledger.note(
                SessionKey {
                    torrent,
                    user: member,
                    peer_id: announce.peer_id,
                    client_key: announce.key.clone(),
                },
                Report {
                    totals: announce.totals,
                    started: announce.event == Event::Started,
                    stopped: announce.event == Event::Stopped,
                    completed: announce.event == Event::Completed,
                    seeding: announce.seeding,
                    way: way(side, ip),
                    at: now,
                },
            )?),
            None => None,
        };
        let found = self.swarms.announce(&Visit {
            torrent,
            side,
            owner: who.map_or(Owner::Guest(ip), Owner::Member),
            peer_id: announce.peer_id,
            address: SocketAddr::new(ip, announce.port),
            seeding: announce.seeding,
            event: announce.event,
            numwant: announce
                .numwant
                .unwrap_or(USUAL_PEERS)
                .min(self.config.max_peers),
            at: now,
        });
        // A client that stops does not report again, and one that completed says so once: their answer waits
        // until what they said is stored.
        let last_words = matches!(announce.event, Event::Stopped | Event::Completed);
        if let Some(batch) = batch.filter(|_| last_words)
            && !self.ledger.stored(batch, PATIENCE).await
        {
            return Err(Failure::now(
                "the tracker is busy and has not stored this yet; try again",
            ));
        }
        let terms = Terms {
            interval_s: self.config.interval_s,
            min_interval_s: self.config.min_interval_s,
            completed: self.numbers.completed(torrent),
            client: ip,
        };
        let format = PeerFormat {
            compact: announce.compact,
            no_peer_id: announce.no_peer_id,
        };
        Ok(answer::announce(&found, &terms, format))
    }

    /// The numbers of the torrents asked for; what is not registered is left out.
    fn scraped(&self, query: &[u8]) -> Result<Vec<u8>, Failure> {
        let files: Vec<Scraped> = request::scraped(query)?
            .into_iter()
            .filter_map(|hash| match self.rights.torrent(&hash) {
                Registered::Yes(torrent, _) => Some(self.line(hash, torrent)),
                Registered::Deleted | Registered::Unknown => None,
            })
            .collect();
        Ok(answer::scrape(&files, self.config.min_interval_s))
    }

    fn line(&self, hash: request::ShortHash, torrent: TorrentId) -> Scraped {
        Scraped {
            hash,
            counts: self.swarms.counts(torrent).unwrap_or_default(),
            completed: self.numbers.completed(torrent),
        }
    }
}

fn replaced() -> Failure {
    Failure::for_good("this passkey was replaced; download the .torrent again")
}

/// Tells the ways apart by which one client's reports may overtake each other.
fn way(side: Side, ip: IpAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (side, ip).hash(&mut hasher);
    hasher.finish()
}
