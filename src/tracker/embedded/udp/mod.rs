//! The tracker by UDP (BEP 15): the same rights, swarms and books as by HTTP, in datagrams. The passkey comes in the
//! URL data of BEP 41. Whoever has not shown to receive at its address gets nothing larger than what it sent.

mod ids;
pub mod packet;

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::Embedded;
use super::announce::{Answered, Caller};
use super::counters::Via;
use super::request::{Announce, Failure};
use crate::secrets::Secrets;
use ids::Ids;
use packet::{Action, Head, Line};

/// Announces that wait for the database at a time; while there are so many, others that would have to are dropped,
/// and their clients ask again.
pub const MOST_WAITING: usize = 1_024;
/// The largest request is a scrape of 74 torrents; options of an announce may be longer.
const LARGEST: usize = 2_048;

/// A bound socket, until it is served.
pub struct Bound {
    socket: std::net::UdpSocket,
    ids: Ids,
}

impl Bound {
    /// Connection ids are keyed by the installation's secret, so that they hold over a restart.
    pub fn to(listen: SocketAddr, secrets: &Secrets) -> anyhow::Result<Self> {
        let socket = std::net::UdpSocket::bind(listen)
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        let socket = socket.with_context(|| {
            format!(
                "{listen} cannot be listened on by UDP; choose another with SEEDBANK__TRACKER__UDP_LISTEN"
            )
        })?;
        Ok(Self {
            socket,
            ids: Ids::new(&secrets.mac("udp connection id", b"")),
        })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Embedded {
    /// Answers datagrams until `stop` says true.
    pub(super) async fn answer_datagrams(
        self: Arc<Self>,
        bound: Option<Bound>,
        mut stop: watch::Receiver<bool>,
    ) {
        let Some(bound) = bound else { return };
        let socket = match UdpSocket::from_std(bound.socket) {
            Ok(socket) => Arc::new(socket),
            Err(error) => {
                tracing::error!(%error, "nothing is answered by UDP");
                return;
            }
        };
        let mut buffer = [0; LARGEST];
        loop {
            let received = tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            let (length, from) = match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "receiving a datagram failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            self.tally.datagram();
            let datagram = &buffer[..length];
            match self.clone().respond(&bound.ids, &socket, datagram, from) {
                Response::Ready(answer) => send(&socket, &answer, from).await,
                Response::Waits(work) => self.begin(work).await,
                Response::Nothing => self.tally.dropped(),
            }
        }
    }

    /// What a datagram comes to.
    fn respond(
        self: Arc<Self>,
        ids: &Ids,
        socket: &Arc<UdpSocket>,
        datagram: &[u8],
        from: SocketAddr,
    ) -> Response {
        let ip = from.ip().to_canonical();
        let now = self.clock.now();
        let Some(head) = Head::read(datagram) else {
            return Response::Nothing;
        };
        if head.action == Action::Connect {
            let id = ids.issue(ip, now);
            return Response::Ready(packet::connected(head.transaction, id));
        }
        if !ids.holds(head.connection, ip, now) {
            let answer = packet::error(head.transaction, "unknown id; connect again");
            return match answer.len() <= datagram.len() {
                true => Response::Ready(answer),
                false => Response::Nothing,
            };
        }
        if head.action == Action::Scrape {
            let outcome = self.scraped_by(datagram);
            self.tally.scrape(&outcome);
            return Response::Ready(match outcome {
                Ok(lines) => packet::scrape(head.transaction, &lines),
                Err(failure) => packet::error(head.transaction, &failure.reason),
            });
        }
        let announce = packet::Announce::read(datagram);
        let socket = socket.clone();
        Response::Waits(Box::pin(async move {
            let outcome = self.announced_by(announce, ip).await;
            self.tally.announce(Via::Udp, &outcome);
            let answer = match outcome {
                Ok(answered) => rendered(head.transaction, &answered),
                Err(failure) => packet::error(head.transaction, &failure.reason),
            };
            send(&socket, &answer, from).await;
        }))
    }

    /// Goes on with the next datagram when this one has to wait: nearly none has.
    async fn begin(&self, mut work: Work) {
        let waits = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending())).await;
        if !waits {
            return;
        }
        match self.waiting.clone().try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(async move {
                    work.await;
                    drop(permit);
                });
            }
            Err(_) => self.tally.dropped(),
        }
    }

    async fn announced_by(
        &self,
        datagram: Result<packet::Announce, &'static str>,
        ip: IpAddr,
    ) -> Result<Answered, Failure> {
        let datagram = datagram.map_err(Failure::now)?;
        let admitted = self.admit(passkey(&datagram.path)?).await?;
        let announce = Announce::of_datagram(&datagram)?;
        let caller = Caller { ip, via: Via::Udp };
        self.announced(&admitted, &announce, caller).await
    }

    /// A scrape has no room for a passkey, so only guests' trackers answer it.
    fn scraped_by(&self, datagram: &[u8]) -> Result<Vec<Line>, Failure> {
        let hashes = packet::scraped(datagram).map_err(Failure::now)?;
        self.admit_guest()?;
        let lines = hashes.iter().map(|hash| {
            self.scraped(hash)
                .map_or_else(Line::default, |scraped| Line {
                    seeders: scraped.counts.seeders,
                    completed: u32::try_from(scraped.completed).unwrap_or(u32::MAX),
                    leechers: scraped.counts.leechers,
                })
        });
        Ok(lines.collect())
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

enum Response {
    Ready(Vec<u8>),
    /// What may have to wait for the database, and then sends its answer itself.
    Waits(Work),
    Nothing,
}

/// The passkey of `/announce/{passkey}`; `None` is a guest.
fn passkey(path: &[u8]) -> Result<Option<&str>, Failure> {
    let unknown = || Failure::now("unknown announce address; download the .torrent again");
    let path = std::str::from_utf8(path).map_err(|_| unknown())?;
    let path = path.split_once('?').map_or(path, |(path, _query)| path);
    match path.trim_end_matches('/') {
        "" | "/announce" => Ok(None),
        path => {
            let passkey = path.strip_prefix("/announce/");
            let passkey = passkey.filter(|key| !key.contains('/'));
            passkey.map(Some).ok_or_else(unknown)
        }
    }
}

fn rendered(transaction: u32, answered: &Answered) -> Vec<u8> {
    let (found, terms) = (&answered.found, &answered.terms);
    packet::announced(
        transaction,
        terms.interval_s,
        found.counts.leechers,
        found.counts.seeders,
        found.peers.iter().flat_map(|peer| peer.addresses()),
    )
}

async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(answer, to).await {
        tracing::debug!(%error, "sending a datagram failed");
    }
}

#[cfg(test)]
mod tests {
    use super::passkey;

    #[test]
    fn passkeys_stand_in_the_path() {
        for guest in ["", "/", "/announce", "/announce/", "/announce?x=1"] {
            assert_eq!(passkey(guest.as_bytes()).unwrap(), None, "{guest}");
        }
        for member in [
            "/announce/abc",
            "/announce/abc/",
            "/announce/abc?supportcrypto=1",
        ] {
            assert_eq!(passkey(member.as_bytes()).unwrap(), Some("abc"), "{member}");
        }
        for other in ["/abc/announce", "/announce/a/b", "announce", "/scrape"] {
            assert!(passkey(other.as_bytes()).is_err(), "{other}");
        }
        assert!(passkey(b"/announce/\xff").is_err());
    }
}
