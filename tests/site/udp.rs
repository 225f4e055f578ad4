//! The embedded tracker by UDP, its own HTTP address, and its limits.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use seedbank::accounts::queries as accounts;
use seedbank::config::Listen;
use seedbank::secrets::random_passkey;
use seedbank::settings::{Audience, Settings};
use tokio::net::UdpSocket;

use crate::harness::{PATIENCE, Site, settings};
use crate::tracker::{Client, completed, delete, embedded, encoded, torrent};

const PROTOCOL: u64 = 0x417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// A torrent client's socket.
pub struct Socket {
    socket: UdpSocket,
    tracker: SocketAddr,
    id: u64,
    passkey: String,
    peer_id: String,
    port: u16,
}

/// An announce's answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    leechers: u32,
    seeders: u32,
    /// 6 bytes each, or 18.
    peers: Vec<u8>,
}

impl Socket {
    pub async fn from(address: &str, site: &Site, client: &Client) -> Self {
        let tracker = embedded(site).udp_address().unwrap();
        let mut socket = Self {
            socket: UdpSocket::bind(address).await.unwrap(),
            tracker,
            id: 0,
            passkey: client.passkey.clone(),
            peer_id: client.peer_id.clone(),
            port: 7_000,
        };
        socket.connect().await;
        socket
    }

    async fn connect(&mut self) {
        let answer = self.ask(&head(PROTOCOL, CONNECT)).await.unwrap();
        assert_eq!((answer.len(), number(&answer, 0)), (16, CONNECT));
        self.id = u64::from_be_bytes(answer[8..].try_into().unwrap());
    }

    /// Sends a datagram; `None` when nothing comes back.
    async fn ask(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.socket.send_to(datagram, self.tracker).await.unwrap();
        let mut buffer = [0; 4_096];
        let received = self.socket.recv_from(&mut buffer);
        let (length, from) = tokio::time::timeout(PATIENCE, received)
            .await
            .ok()?
            .unwrap();
        assert_eq!(from.port(), self.tracker.port());
        Some(buffer[..length].to_vec())
    }

    /// The bytes of all answers that come soon.
    async fn drained(&self) -> usize {
        let mut buffer = [0; 4_096];
        let mut bytes = 0;
        let patience = Duration::from_millis(2);
        while let Ok(received) = tokio::time::timeout(patience, self.socket.recv(&mut buffer)).await
        {
            bytes += received.unwrap();
        }
        bytes
    }

    /// `left` and `event` as BEP 15 writes them.
    fn announce_of(&self, hash: u8, totals: (u64, u64), left: u64, event: u32) -> Vec<u8> {
        let (uploaded, downloaded) = totals;
        let mut out = head(self.id, ANNOUNCE);
        out.extend_from_slice(&[hash; 20]);
        out.extend_from_slice(self.peer_id.as_bytes());
        for number in [downloaded, left, uploaded] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&event.to_be_bytes());
        // An address that is nobody's business.
        out.extend_from_slice(&[9, 9, 9, 9]);
        out.extend_from_slice(&0x00AB_12CD_u32.to_be_bytes());
        out.extend_from_slice(&(-1i32).to_be_bytes());
        out.extend_from_slice(&self.port.to_be_bytes());
        if !self.passkey.is_empty() {
            // In two parts, with what may stand between them.
            let path = format!("/announce/{}", self.passkey);
            let (a, b) = path.as_bytes().split_at(7);
            out.extend_from_slice(&[1, 2, 7]);
            out.extend_from_slice(a);
            out.extend_from_slice(&[9, 2, 0, 0, 2, u8::try_from(b.len()).unwrap()]);
            out.extend_from_slice(b);
            out.push(0);
        }
        out
    }

    async fn announce(&self, hash: u8, totals: (u64, u64), left: u64, event: u32) -> Answer {
        let answer = self.ask(&self.announce_of(hash, totals, left, event)).await;
        let answer = answer.unwrap();
        assert_eq!(
            number(&answer, 0),
            ANNOUNCE,
            "{}",
            String::from_utf8_lossy(&answer)
        );
        assert_eq!((number(&answer, 4), number(&answer, 8)), (7, 1_800));
        Answer {
            leechers: number(&answer, 12),
            seeders: number(&answer, 16),
            peers: answer[20..].to_vec(),
        }
    }

    pub async fn refusal(&self, hash: u8) -> String {
        reason(
            &self
                .ask(&self.announce_of(hash, (0, 0), 0, 0))
                .await
                .unwrap(),
        )
    }

    async fn scrape(&self, hashes: &[u8]) -> Vec<u8> {
        let mut out = head(self.id, SCRAPE);
        for hash in hashes {
            out.extend_from_slice(&[*hash; 20]);
        }
        self.ask(&out).await.unwrap()
    }
}

fn head(id: u64, action: u32) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&7u32.to_be_bytes());
    out
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn reason(answer: &[u8]) -> String {
    assert_eq!((number(answer, 0), number(answer, 4)), (ERROR, 7));
    String::from_utf8(answer[8..].to_vec()).unwrap()
}

async fn serve_udp(site: &mut Site) {
    site.reconfigure(|config| {
        config.tracker.udp_listen = Listen(Some("127.0.0.1:0".parse().unwrap()));
    })
    .await;
    site.set_up().await;
}

/// Asks again until refused with this reason: what is committed bites within a second, and is not waited for.
async fn until_refused(socket: &Socket, hash: u8, expected: &str) {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        let answer = socket
            .ask(&socket.announce_of(hash, (0, 0), 0, 0))
            .await
            .unwrap();
        if number(&answer, 0) == ERROR {
            return assert_eq!(reason(&answer), expected);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never refused with {expected:?}");
}

both! {
    async fn both_protocols_are_one_tracker(site: Site) {
        serve_udp(&mut site).await;
        let mut ann = Client::of(&site, "ann").await;
        let bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        torrent(&site, ann.id, Some(2), None).await;
        let anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        let bobs = Socket::from("127.0.0.1:0", &site, &bob).await;

        assert_eq!(anns.announce(1, (0, 0), 0, 2).await.seeders, 1);
        let met = bobs.announce(1, (0, 0), 500, 2).await;
        assert_eq!((met.leechers, met.seeders), (1, 1));
        assert_eq!(met.peers, [127, 0, 0, 1, 0x1b, 0x58]);
        assert!(bobs.announce(2, (0, 0), 500, 2).await.peers.is_empty());

        // By HTTP the same client is the same peer and the same session: its key is the same 32 bits.
        let by_http = format!(
            "/announce/{}?info_hash={}&peer_id={}&port=7000&key=00ab12cd&left=0&uploaded=500&downloaded=0",
            ann.passkey,
            encoded(&[1; 20]),
            ann.peer_id
        );
        ann.browser.get(&by_http).await.shows("8:completei1e");
        bobs.announce(1, (0, 500), 0, 1).await;
        assert_eq!(completed(&site, one).await, 1, "answered when it is stored");
        anns.announce(1, (500, 0), 0, 0).await;
        ann.browser.get(&format!("{by_http}&event=stopped")).await.shows("8:intervali1800e");
        let last = anns.announce(1, (500, 0), 0, 3).await;
        assert_eq!((last.leechers, last.seeders, last.peers.len()), (0, 1, 0));
        bobs.announce(1, (20, 500), 0, 3).await;
        assert_eq!(ann.sums(&site).await, (500, 0));
        assert_eq!(bob.sums(&site).await, (20, 500));
        assert_eq!(embedded(&site).live(one), None);
        let counters = embedded(&site).counters();
        assert_eq!((counters.announces_udp, counters.announces_http), (7, 2));
        assert_eq!((counters.peers, counters.torrents), (1, 1));

        let urls = site.app.tracker.announce_urls("http://seedbank.test", Some(&ann.passkey));
        let port = embedded(&site).udp_address().unwrap().port();
        assert_eq!(urls[1], format!("udp://seedbank.test:{port}/announce/{}", ann.passkey));
        let mut browser = site.log_in("ann").await;
        let profile = browser.get("/profile").await.expect(200);
        assert_eq!(profile.attribute("#announce-url", "value").unwrap(), urls[0]);
        assert_eq!(profile.attribute("#announce-url-2", "value").unwrap(), urls[1]);
    }

    async fn ids_hold_for_their_address_and_their_time(site: Site) {
        serve_udp(&mut site).await;
        let ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        let mut anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        let mut elsewhere = Socket::from("127.0.0.2:0", &site, &ann).await;
        let own = elsewhere.id;
        assert_ne!(anns.id, own);
        let unknown = "unknown id; connect again";
        elsewhere.id = anns.id;
        assert_eq!(elsewhere.refusal(1).await, unknown, "another address's id");
        elsewhere.id = own;
        elsewhere.announce(1, (0, 0), 0, 2).await;
        // Another socket of the same address may use it.
        let mut sibling = Socket::from("127.0.0.1:0", &site, &ann).await;
        sibling.id = anns.id;
        sibling.announce(1, (0, 0), 0, 2).await;
        let good = anns.id;
        for wrong in [0, PROTOCOL, good ^ 1, good.swap_bytes()] {
            anns.id = wrong;
            assert_eq!(anns.refusal(1).await, unknown);
            // The shortest scrape is longer than the refusal.
            assert_eq!(reason(&anns.scrape(&[1]).await), unknown);
        }
        anns.id = good;
        site.clock.advance(119);
        anns.announce(1, (0, 0), 0, 0).await;
        // It holds over a restart, and not for ever.
        site.restart().await;
        anns.tracker = embedded(&site).udp_address().unwrap();
        anns.announce(1, (0, 0), 0, 0).await;
        site.clock.advance(240);
        assert_eq!(anns.refusal(1).await, unknown);
        anns.connect().await;
        anns.announce(1, (0, 0), 0, 0).await;
    }

    async fn keys_that_do_not_count_by_udp(site: Site) {
        serve_udp(&mut site).await;
        let ann = Client::of(&site, "ann").await;
        let bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        let two = torrent(&site, ann.id, Some(2), None).await;
        let mut anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        let bobs = Socket::from("127.0.0.1:0", &site, &bob).await;
        let own = anns.passkey.clone();
        for (key, expected) in [
            (String::new(), "this tracker is for members; log in and download the .torrent again"),
            (random_passkey(), "unknown passkey; log in and download the .torrent again"),
            ("x".repeat(32), "unknown passkey; log in and download the .torrent again"),
            (own.to_uppercase(), "unknown passkey; log in and download the .torrent again"),
            (format!("{own}/x"), "unknown announce address; download the .torrent again"),
        ] {
            anns.passkey = key;
            assert_eq!(anns.refusal(1).await, expected);
        }
        anns.passkey = own;
        assert_eq!(anns.refusal(9).await, "this torrent is not registered here");
        let mut cut = anns.announce_of(1, (0, 0), 0, 0);
        cut.truncate(105);
        assert_eq!(reason(&anns.ask(&cut).await.unwrap()), "the options after the announce are cut off (BEP 41)");
        cut.truncate(90);
        assert_eq!(reason(&anns.ask(&cut).await.unwrap()), "an announce by UDP is at least 98 bytes (BEP 15)");
        assert_eq!(reason(&anns.scrape(&[1]).await), "this tracker is for members; log in and download the .torrent again");
        let forged = anns.announce_of(1, (u64::MAX, 0), 0, 0);
        assert!(reason(&anns.ask(&forged).await.unwrap()).starts_with("uploaded is more than this tracker counts"));

        anns.announce(1, (0, 0), 0, 2).await;
        bobs.announce(1, (0, 0), 0, 2).await;
        let mut tx = site.app.db.write().await.unwrap();
        accounts::rotate_passkey(&mut tx, ann.id, &random_passkey(), site.clock.now()).await.unwrap();
        accounts::ban(&mut tx, bob.id, ann.id, "spam", site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        until_refused(&anns, 1, "this passkey was replaced; download the .torrent again").await;
        until_refused(&bobs, 1, "this account is banned").await;
        assert_eq!(embedded(&site).live(one), None);
        delete(&site, two).await;
        let cat = Client::of(&site, "cat").await;
        let cats = Socket::from("127.0.0.1:0", &site, &cat).await;
        until_refused(&cats, 2, "this torrent was deleted here").await;
        let counters = embedded(&site).counters();
        assert!(counters.refused_passkey >= 4 && counters.refused_banned >= 1 && counters.refused_torrent >= 2);
        assert_eq!(counters.refused_guest, 2);
    }

    async fn guests_announce_and_scrape_by_udp(site: Site) {
        serve_udp(&mut site).await;
        site.set_up_with(Settings { who_may_look: Audience::Everyone, who_may_download: Audience::Everyone, ..settings() }).await;
        let ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        torrent(&site, ann.id, Some(2), None).await;
        let mut guest = Socket::from("127.0.0.1:0", &site, &ann).await;
        guest.passkey.clear();
        guest.announce(1, (5, 5), 0, 2).await;
        let answer = guest.scrape(&[2, 1, 9]).await;
        assert_eq!((answer.len(), number(&answer, 0)), (8 + 36, SCRAPE));
        let numbers: Vec<u32> = (0..9).map(|n| number(&answer, 8 + n * 4)).collect();
        assert_eq!(numbers, [0, 0, 0, 1, 0, 0, 0, 0, 0], "in the order asked for");
        let all: Vec<u8> = (1..=75).collect();
        assert_eq!(guest.scrape(&all[..74]).await.len(), 8 + 74 * 12);
        assert_eq!(reason(&guest.scrape(&all).await), "scrape at most 74 torrents at a time");
        assert_eq!(ann.sums(&site).await, (0, 0));
    }

    /// Whatever arrives, nothing stops the tracker, and nobody unproven gets more than was sent.
    async fn garbage_gets_little_and_breaks_nothing(site: Site) {
        serve_udp(&mut site).await;
        let ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        let anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        let whole = anns.announce_of(1, (0, 0), 0, 0);
        let (mut sent, mut received) = (0, 0);
        for length in 0..200 {
            let mut datagrams = vec![vec![0; length], vec![0xff; length], head(PROTOCOL, length as u32)];
            for action in [CONNECT, ANNOUNCE, SCRAPE, ERROR] {
                for id in [PROTOCOL, 1] {
                    let mut padded = head(id, action);
                    padded.extend((0..200).map(|_| rand::random::<u8>()));
                    padded.truncate(length);
                    datagrams.push(padded);
                }
            }
            datagrams.push((0..length).map(|_| rand::random()).collect());
            for datagram in &datagrams {
                anns.socket.send_to(datagram, anns.tracker).await.unwrap();
                sent += datagram.len();
            }
            received += anns.drained().await;
            assert!(received <= sent, "{received} bytes for {sent}");
        }
        assert!(received > 16 * 100, "connects are answered");
        // And with an id that holds, cut off or scribbled over.
        for length in 0..whole.len() {
            let mut scribbled = whole.clone();
            scribbled[length] = rand::random();
            for datagram in [&whole[..length], &scribbled] {
                anns.socket.send_to(datagram, anns.tracker).await.unwrap();
            }
            anns.drained().await;
        }
        let fresh = Socket::from("127.0.0.1:0", &site, &ann).await;
        fresh.announce(1, (0, 0), 0, 0).await;
        assert!(embedded(&site).counters().udp_dropped > 200);
    }

    async fn ipv6_is_answered_in_its_own_form(site: Site) {
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.is_err() {
            eprintln!("left out: this machine has no ::1");
            return site.end().await;
        }
        site.reconfigure(|config| config.tracker.udp_listen = Listen(Some("[::]:0".parse().unwrap()))).await;
        site.set_up().await;
        let ann = Client::of(&site, "ann").await;
        let bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        let port = embedded(&site).udp_address().unwrap().port();
        let from = async |address: &str, to: &str, client: &Client| {
            let mut socket = Socket {
                socket: UdpSocket::bind(address).await.unwrap(),
                tracker: format!("{to}:{port}").parse().unwrap(),
                id: 0,
                passkey: client.passkey.clone(),
                peer_id: client.peer_id.clone(),
                port: 258,
            };
            socket.connect().await;
            socket
        };
        // One client by both families, one by each.
        from("[::1]:0", "[::1]", &ann).await.announce(1, (0, 0), 0, 2).await;
        let six = from("[::1]:0", "[::1]", &bob).await.announce(1, (0, 0), 9, 2).await;
        let mut expected = Ipv6Addr::LOCALHOST.octets().to_vec();
        expected.extend_from_slice(&[1, 2]);
        assert_eq!(six.peers, expected);
        let four = from("127.0.0.1:0", "127.0.0.1", &bob).await.announce(1, (0, 0), 9, 0).await;
        assert_eq!((four.seeders, four.peers.len()), (1, 0), "nobody to reach by IPv4 yet");
        from("127.0.0.1:0", "127.0.0.1", &ann).await.announce(1, (0, 0), 0, 0).await;
        let four = from("127.0.0.1:0", "127.0.0.1", &bob).await.announce(1, (0, 0), 9, 0).await;
        assert_eq!((four.seeders, four.leechers, four.peers), (1, 1, vec![127, 0, 0, 1, 1, 2]));
    }

    async fn last_words_are_stored_and_hold_up_nobody(site: Site) {
        serve_udp(&mut site).await;
        let ann = Client::of(&site, "ann").await;
        let bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        let anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        let bobs = Socket::from("127.0.0.1:0", &site, &bob).await;
        anns.announce(1, (0, 0), 0, 2).await;
        // Somebody else writes, and takes long.
        let busy = site.app.db.write().await.unwrap();
        let held = site.app.db.is_sqlite();
        let stopped = anns.announce_of(1, (700, 0), 0, 3);
        anns.socket.send_to(&stopped, anns.tracker).await.unwrap();
        bobs.announce(1, (0, 0), 9, 2).await;
        let mut buffer = [0; 100];
        let early = tokio::time::timeout(Duration::from_millis(50), anns.socket.recv(&mut buffer)).await;
        assert!(early.is_err() || !held, "not before it is stored");
        drop(busy);
        if early.is_err() {
            anns.socket.recv(&mut buffer).await.unwrap();
        }
        assert_eq!(number(&buffer, 0), ANNOUNCE);
        assert_eq!(ann.sums(&site).await, (700, 0));
    }

    /// However many announces run beside a ban, none stays.
    async fn nobody_slips_in_beside_a_ban(site: Site) {
        serve_udp(&mut site).await;
        let root = Client::of(&site, "root").await;
        let one = torrent(&site, root.id, Some(1), None).await;
        for round in 0..10 {
            let ann = Client::of(&site, &format!("ann{round}")).await;
            let anns = Socket::from("127.0.0.1:0", &site, &ann).await;
            let flood = async {
                for n in 0..200u32 {
                    let mut announce = anns.announce_of(1, (0, 0), 0, 0);
                    announce[52..56].copy_from_slice(&n.to_be_bytes());
                    anns.ask(&announce).await.unwrap();
                }
            };
            let ban = async {
                let mut tx = site.app.db.write().await.unwrap();
                accounts::ban(&mut tx, ann.id, root.id, "spam", site.clock.now()).await.unwrap();
                tx.commit().await.unwrap();
                embedded(&site).follow().await.unwrap();
            };
            tokio::join!(flood, ban);
            assert_eq!(embedded(&site).live(one), None);
        }
    }
}
