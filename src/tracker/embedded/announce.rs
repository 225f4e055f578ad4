//! What clients reach: `/announce` and `/scrape`, with a passkey or, where guests may, without. Every answer is
//! bencoded text with status 200, refusals too, because that is what clients read. What an announce does, by HTTP or
//! by UDP, is [`Embedded::announced`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, web};

use super::accounting::{PATIENCE, Report, SessionKey};
use super::answer::{self, PeerFormat, Scraped, Terms};
use super::counters::{Tally, Via};
use super::holdings::Limit;
use super::lookups::Lookup;
use super::request::{self, Announce, Event, Failure, Kind, ShortHash};
use super::rights::{self, Holder, Passkey, Registered};
use super::swarm::{Family, Found, Owner, Side, Visit};
use super::udp::packet;
use super::{Embedded, queries};
use crate::app::App;
use crate::ids::{TorrentId, UserId};
use crate::web::client;
use crate::web::gate::QUERY_LIMIT;

/// Peers for who does not say how many.
const USUAL_PEERS: usize = 50;
/// No cache may answer for us, and no browser take for a page what strangers' clients wrote.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("private, no-store");
const NOT_GUESSED: HeaderValue = HeaderValue::from_static("nosniff");

pub async fn announce(req: HttpRequest) -> HttpResponse {
    let outcome = answer_announce(&req).await;
    tally(&req, |tally| tally.announce(Via::Http, &outcome));
    bencoded(outcome)
}

pub async fn scrape(req: HttpRequest) -> HttpResponse {
    let outcome = answer_scrape(&req).await;
    tally(&req, |tally| tally.scrape(&outcome));
    bencoded(outcome)
}

async fn answer_announce(req: &HttpRequest) -> Result<Vec<u8>, Failure> {
    let tracker = inside(app(req)?)?;
    let query = query(req)?;
    let admitted = tracker.admit(req.match_info().get("passkey")).await?;
    let announce = Announce::parse(query)?;
    let ip = client::address(req)
        .ok_or_else(|| Failure::now("your address is unknown to this server"))?;
    let caller = Caller { ip, via: Via::Http };
    let answered = tracker.announced(&admitted, &announce, caller).await?;
    let format = PeerFormat {
        compact: announce.compact,
        no_peer_id: announce.no_peer_id,
    };
    Ok(answer::announce(&answered.found, &answered.terms, format))
}

async fn answer_scrape(req: &HttpRequest) -> Result<Vec<u8>, Failure> {
    let tracker = inside(app(req)?)?;
    let query = query(req)?;
    tracker.admit(req.match_info().get("passkey")).await?;
    let hashes = request::scraped(query)?;
    let files: Vec<Scraped> = hashes.iter().filter_map(|h| tracker.scraped(h)).collect();
    Ok(answer::scrape(&files, tracker.config.min_interval_s))
}

fn tally(req: &HttpRequest, count: impl FnOnce(&Tally)) {
    if let Ok(app) = app(req)
        && let Some(tracker) = app.tracker.embedded()
    {
        count(&tracker.tally);
    }
}

fn bencoded(answer: Result<Vec<u8>, Failure>) -> HttpResponse {
    let body = answer.unwrap_or_else(|failure| answer::failure(&failure));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, TEXT))
        .insert_header((CACHE_CONTROL, NOT_KEPT))
        .insert_header((X_CONTENT_TYPE_OPTIONS, NOT_GUESSED))
        .body(body)
}

fn app(req: &HttpRequest) -> Result<&App, Failure> {
    let app = req.app_data::<web::Data<App>>().ok_or_else(unready)?;
    Ok(app)
}

fn query(req: &HttpRequest) -> Result<&[u8], Failure> {
    let query = req.query_string().as_bytes();
    if query.len() > QUERY_LIMIT {
        return Err(Failure::now(format!(
            "the address is longer than {QUERY_LIMIT} bytes after the ?"
        )));
    }
    Ok(query)
}

/// The tracker inside, where there is one.
fn inside(app: &App) -> Result<&Embedded, Failure> {
    app.tracker.embedded().ok_or_else(|| {
        Failure::now("the tracker of this site is elsewhere; download the .torrent again")
    })
}

fn unready() -> Failure {
    Failure::now("the tracker is not ready; try again in a minute").about(Kind::Busy)
}

/// Who was let in, and by what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted(Option<(UserId, Passkey)>);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub ip: IpAddr,
    pub via: Via,
}

/// An announce taken in, for its protocol to render.
pub(super) struct Answered {
    pub found: Found,
    pub terms: Terms,
}

impl Embedded {
    /// Whose announce it is, by the passkey; without one, a guest's.
    pub(super) async fn admit(&self, passkey: Option<&str>) -> Result<Admitted, Failure> {
        let Some(text) = passkey else {
            return self.admit_guest();
        };
        // Made up, and not even well: nobody need look it up.
        let passkey = rights::parse(text).ok_or_else(unknown)?;
        match self.rights.holder(passkey) {
            Holder::Unknown => Err(self.why_unknown(passkey, text).await),
            holder => member(holder, passkey),
        }
    }

    pub(super) fn admit_guest(&self) -> Result<Admitted, Failure> {
        if (self.settings)().guests_may_announce() {
            return Ok(Admitted(None));
        }
        let reason = "this tracker is for members; log in and download the .torrent again";
        Err(Failure::now(reason).about(Kind::Guest))
    }

    /// A passkey may have been replaced before this process began.
    async fn why_unknown(&self, passkey: Passkey, text: &str) -> Failure {
        match self.lookups.of(passkey) {
            Lookup::Remembered(true) => return replaced(),
            Lookup::Remembered(false) | Lookup::Refused => return unknown(),
            Lookup::Allowed => {}
        }
        let retired = async {
            let mut conn = self.db.read().await?;
            queries::is_retired(&mut conn, text).await
        };
        match retired.await {
            Ok(retired) => {
                self.lookups.remember(passkey, retired);
                if retired { replaced() } else { unknown() }
            }
            Err(error) => {
                tracing::warn!(%error, "looking up a passkey failed");
                unready()
            }
        }
    }

    /// Takes an announce into swarm and books.
    pub(super) async fn announced(
        &self,
        admitted: &Admitted,
        announce: &Announce,
        caller: Caller,
    ) -> Result<Answered, Failure> {
        let ip = caller.ip;
        let who = admitted.0.map(|(member, _)| member);
        let (torrent, side) = self.registered(&announce.info_hash)?;
        let now = self.clock.now();
        let (only, room) = match (caller.via, ip) {
            (Via::Http, _) => (None, usize::MAX),
            (Via::Udp, IpAddr::V4(_)) => (Some(Family::V4), packet::room(false)),
            (Via::Udp, IpAddr::V6(_)) => (Some(Family::V6), packet::room(true)),
        };
        let visit = Visit {
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
                .min(self.config.max_peers)
                .min(room),
            only,
            at: now,
        };
        let found = self
            .swarms
            .announce(&visit)
            .map_err(|limit| self.too_many(limit))?;
        // Who loses a right is taken out of the swarms after the rights say so. So if they still allow this, the peer
        // is taken out later; if not, here.
        if let Err(failure) = self.still(admitted, &announce.info_hash, torrent) {
            self.swarms.withdraw(&visit);
            return Err(failure);
        }
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
                    way: way(side, caller),
                    at: now,
                },
            )?),
            None => None,
        };
        // A client that stops does not report again, and one that completed says so once: their answer waits
        // until what they said is stored.
        let last_words = matches!(announce.event, Event::Stopped | Event::Completed);
        if let Some(batch) = batch.filter(|_| last_words)
            && !self.ledger.stored(batch, PATIENCE).await
        {
            let reason = "the tracker is busy and has not stored this yet; try again";
            return Err(Failure::now(reason).about(Kind::Busy));
        }
        Ok(Answered {
            found,
            terms: Terms {
                interval_s: self.config.interval_s,
                min_interval_s: self.config.min_interval_s,
                completed: self.numbers.completed(torrent),
                client: ip,
            },
        })
    }

    fn registered(&self, hash: &ShortHash) -> Result<(TorrentId, Side), Failure> {
        match self.rights.torrent(hash) {
            Registered::Yes(torrent, side) => Ok((torrent, side)),
            Registered::Deleted => {
                Err(Failure::for_good("this torrent was deleted here").about(Kind::Torrent))
            }
            Registered::Unknown => {
                Err(Failure::now("this torrent is not registered here").about(Kind::Torrent))
            }
        }
    }

    /// Whether what let an announce in holds now.
    fn still(
        &self,
        admitted: &Admitted,
        hash: &ShortHash,
        torrent: TorrentId,
    ) -> Result<(), Failure> {
        if let Some((_, passkey)) = admitted.0 {
            member(self.rights.holder(passkey), passkey)?;
        }
        match self.registered(hash)? {
            (found, _) if found == torrent => Ok(()),
            _ => Err(Failure::now(
                "this torrent was replaced just now; announce again",
            )),
        }
    }

    fn too_many(&self, limit: Limit) -> Failure {
        let reason = match limit {
            Limit::TotalPeers => {
                "this tracker is full (total_peers); it has room again as others leave".to_owned()
            }
            Limit::MemberTorrents => format!(
                "your clients are in {} torrents, as many as one member may be in (member_torrents); stop one first",
                self.config.member_torrents
            ),
            Limit::MemberPeers => format!(
                "your clients announce {} times over, as often as one member may (member_peers); stop one first",
                self.config.member_peers
            ),
        };
        Failure::now(reason).about(Kind::Limit)
    }

    /// A torrent's line of a scrape; `None` where it is not registered.
    pub(super) fn scraped(&self, hash: &ShortHash) -> Option<Scraped> {
        match self.rights.torrent(hash) {
            Registered::Yes(torrent, _) => Some(Scraped {
                hash: *hash,
                counts: self.swarms.counts(torrent).unwrap_or_default(),
                completed: self.numbers.completed(torrent),
            }),
            Registered::Deleted | Registered::Unknown => None,
        }
    }
}

fn member(holder: Holder, passkey: Passkey) -> Result<Admitted, Failure> {
    match holder {
        Holder::Member(id) => Ok(Admitted(Some((id, passkey)))),
        Holder::Banned => Err(Failure::now("this account is banned").about(Kind::Banned)),
        Holder::Replaced => Err(replaced()),
        Holder::Unknown => Err(unknown()),
    }
}

fn replaced() -> Failure {
    Failure::for_good("this passkey was replaced; download the .torrent again").about(Kind::Passkey)
}

fn unknown() -> Failure {
    Failure::now("unknown passkey; log in and download the .torrent again").about(Kind::Passkey)
}

/// Tells the ways apart by which one client's reports may overtake each other.
fn way(side: Side, caller: Caller) -> u64 {
    let mut hasher = DefaultHasher::new();
    (side, caller.ip, caller.via).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::accounts::queries::{self as accounts, NewUser};
    use crate::accounts::{Role, UserName};
    use crate::clock::{Clock, Timestamp};
    use crate::config;
    use crate::db::Db;
    use crate::db::revisions::{self, Revision};
    use crate::exec;
    use crate::settings::Settings;

    const NOW: Timestamp = Timestamp(1_700_000_000);
    const PASSKEY: &str = "0123456789abcdef0123456789abcdef";

    pub async fn member(db: &Db, name: &str, passkey: &str) -> UserId {
        let mut tx = db.write().await.unwrap();
        let new = NewUser {
            name: &UserName::parse(name).unwrap(),
            password_hash: "",
            role: Role::Member,
            passkey,
            invited_by: None,
            at: NOW,
        };
        let id = accounts::insert(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub async fn torrent(db: &Db, by: UserId) {
        const CATEGORY: &str = "insert into categories (id, slug, name, description, icon, position, torznab) \
            values (1, 'a', 'A', '', 'folder', 1, 8000)";
        const TORRENT: &str = "insert into torrents (revision, state, infohash_v1, name, title, description, \
            category_id, uploader_id, anonymous, private, size, file_count, piece_length, piece_count, web_seeds, \
            created_at, updated_at) values ($1, 'published', $2, 'n', 't', '', 1, $3, 0, 0, 1, 1, 16384, 1, '[]', 0, 0)";
        let mut tx = db.write().await.unwrap();
        let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
        exec!(tx, CATEGORY).unwrap();
        exec!(tx, TORRENT, revision, vec![1u8; 20], by).unwrap();
        tx.commit().await.unwrap();
    }

    /// An announce let in just before a ban put its peer back after it had been taken out.
    #[tokio::test]
    async fn a_right_that_ends_between_the_door_and_the_swarm() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("a.db").display());
        let db = Db::open(&url, 2).await.unwrap();
        db.migrate().await.unwrap();
        let ann = member(&db, "ann", PASSKEY).await;
        let bob = member(&db, "bob", &PASSKEY.replace('0', "1")).await;
        torrent(&db, bob).await;
        let settings = Arc::new(Settings::before_setup("http://site.test".to_owned()));
        let (clock, config) = (Clock::fixed(NOW), config::Tracker::default());
        let numbers = Arc::default();
        let tracker = Embedded::open(db.clone(), clock, config, numbers, move || settings.clone());
        let tracker = tracker.await.unwrap();
        let query = format!(
            "info_hash={}&peer_id=-SB0001-000000000001&port=1&left=0",
            "%01".repeat(20)
        );
        let announce = Announce::parse(query.as_bytes()).unwrap();
        let caller = Caller {
            ip: IpAddr::from([10, 0, 0, 1]),
            via: Via::Http,
        };
        let admitted = tracker.admit(Some(PASSKEY)).await.unwrap();
        tracker
            .announced(&admitted, &announce, caller)
            .await
            .unwrap();
        assert_eq!(tracker.peers(), 1);
        let mut tx = db.write().await.unwrap();
        accounts::ban(&mut tx, ann, bob, "spam", NOW).await.unwrap();
        tx.commit().await.unwrap();
        tracker.follow().await.unwrap();
        assert_eq!(tracker.peers(), 0);
        let late = tracker.announced(&admitted, &announce, caller).await;
        let reason = late.err().unwrap().reason;
        assert_eq!(
            (reason.as_ref(), tracker.peers()),
            ("this account is banned", 0)
        );
    }
}
