//! The bencoded answers (BEP 3, 7, 23, 24, 31, 48); keys stand in order.

use std::net::{IpAddr, SocketAddr};

use super::request::{Failure, ShortHash};
use super::swarm::{Counts, Found};

/// What every answer to an announce says besides the peers.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub interval_s: u32,
    pub min_interval_s: u32,
    pub completed: i64,
    /// The client's address as seen from here (BEP 24).
    pub client: IpAddr,
}

#[derive(Clone, Copy, Debug)]
pub struct PeerFormat {
    pub compact: bool,
    pub no_peer_id: bool,
}

pub fn announce(found: &Found, terms: &Terms, format: PeerFormat) -> Vec<u8> {
    let mut out = Bencoded::with_capacity(160 + found.peers.len() * 18);
    out.open_dictionary();
    out.key_int("complete", i64::from(found.counts.seeders));
    out.key_int("downloaded", terms.completed);
    out.key("external ip");
    match terms.client {
        IpAddr::V4(ip) => out.bytes(&ip.octets()),
        IpAddr::V6(ip) => out.bytes(&ip.octets()),
    }
    out.key_int("incomplete", i64::from(found.counts.leechers));
    out.key_int("interval", i64::from(terms.interval_s));
    out.key_int("min interval", i64::from(terms.min_interval_s));
    out.key("peers");
    if format.compact {
        compact_peers(&mut out, found);
    } else {
        listed_peers(&mut out, found, format.no_peer_id);
    }
    out.close();
    out.0
}

/// `peers` with 6 bytes a peer, and `peers6` with 18 where there are any (BEP 23, 7).
fn compact_peers(out: &mut Bencoded, found: &Found) {
    let mut v4 = Vec::with_capacity(found.peers.len() * 6);
    let mut v6 = Vec::new();
    for address in found.peers.iter().flat_map(|peer| peer.addresses()) {
        match address {
            SocketAddr::V4(a) => {
                v4.extend_from_slice(&a.ip().octets());
                v4.extend_from_slice(&a.port().to_be_bytes());
            }
            SocketAddr::V6(a) => {
                v6.extend_from_slice(&a.ip().octets());
                v6.extend_from_slice(&a.port().to_be_bytes());
            }
        }
    }
    out.bytes(&v4);
    if !v6.is_empty() {
        out.key("peers6");
        out.bytes(&v6);
    }
}

/// `peers` as a list of dictionaries, the way before BEP 23.
fn listed_peers(out: &mut Bencoded, found: &Found, no_peer_id: bool) {
    out.open_list();
    for peer in &found.peers {
        for address in peer.addresses() {
            out.open_dictionary();
            out.key("ip");
            out.bytes(address.ip().to_string().as_bytes());
            if !no_peer_id {
                out.key("peer id");
                out.bytes(&peer.id);
            }
            out.key_int("port", i64::from(address.port()));
            out.close();
        }
    }
    out.close();
}

/// One torrent's line of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Scraped {
    pub hash: ShortHash,
    pub counts: Counts,
    pub completed: i64,
}

/// `files` sorted by hash, as the caller gives them.
pub fn scrape(files: &[Scraped], min_interval_s: u32) -> Vec<u8> {
    let mut out = Bencoded::with_capacity(64 + files.len() * 90);
    out.open_dictionary();
    out.key("files");
    out.open_dictionary();
    for file in files {
        out.bytes(&file.hash);
        out.open_dictionary();
        out.key_int("complete", i64::from(file.counts.seeders));
        out.key_int("downloaded", file.completed);
        // Those of `incomplete` that still fetch (BEP 21).
        let fetching = file.counts.leechers.saturating_sub(file.counts.paused);
        out.key_int("downloaders", i64::from(fetching));
        out.key_int("incomplete", i64::from(file.counts.leechers));
        out.close();
    }
    out.close();
    out.key("flags");
    out.open_dictionary();
    out.key_int("min_request_interval", i64::from(min_interval_s));
    out.close();
    out.close();
    out.0
}

pub fn failure(failure: &Failure) -> Vec<u8> {
    let mut out = Bencoded::with_capacity(40 + failure.reason.len());
    out.open_dictionary();
    out.key("failure reason");
    out.bytes(failure.reason.as_bytes());
    if failure.for_good {
        out.key("retry in");
        out.bytes(b"never");
    }
    out.close();
    out.0
}

struct Bencoded(Vec<u8>);

impl Bencoded {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    fn open_dictionary(&mut self) {
        self.0.push(b'd');
    }

    fn open_list(&mut self) {
        self.0.push(b'l');
    }

    fn close(&mut self) {
        self.0.push(b'e');
    }

    fn key(&mut self, key: &str) {
        self.bytes(key.as_bytes());
    }

    fn key_int(&mut self, key: &str, value: i64) {
        self.key(key);
        self.0.push(b'i');
        if value < 0 {
            self.0.push(b'-');
        }
        self.digits(value.unsigned_abs());
        self.0.push(b'e');
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.digits(bytes.len() as u64);
        self.0.push(b':');
        self.0.extend_from_slice(bytes);
    }

    fn digits(&mut self, mut number: u64) {
        let (mut digits, mut at) = ([0; 20], 20);
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::embedded::swarm::Given;

    fn found() -> Found {
        Found {
            counts: Counts {
                seeders: 2,
                leechers: 1,
                paused: 0,
            },
            peers: vec![
                Given {
                    id: *b"-AA0000-000000000001",
                    v4: Some("127.0.0.1:258".parse().unwrap()),
                    v6: None,
                },
                Given {
                    id: *b"-AA0000-000000000002",
                    v4: None,
                    v6: Some("[2001:db8::7]:1".parse().unwrap()),
                },
            ],
        }
    }

    const TERMS: Terms = Terms {
        interval_s: 1800,
        min_interval_s: 300,
        completed: 4,
        client: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)),
    };

    #[test]
    fn compact_answer() {
        let format = PeerFormat {
            compact: true,
            no_peer_id: false,
        };
        let expected: &[u8] = b"d8:completei2e10:downloadedi4e11:external ip4:\x0a\x00\x00\x0910:incompletei1e8:intervali1800e\
            12:min intervali300e5:peers6:\x7f\x00\x00\x01\x01\x026:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\x01e";
        assert_eq!(announce(&found(), &TERMS, format), expected);
    }

    #[test]
    fn dictionary_answer() {
        let format = PeerFormat {
            compact: false,
            no_peer_id: true,
        };
        let text = String::from_utf8_lossy(&announce(&found(), &TERMS, format)).into_owned();
        assert!(
            text.ends_with("5:peersld2:ip9:127.0.0.14:porti258eed2:ip11:2001:db8::74:porti1eeee")
        );
        let format = PeerFormat {
            compact: false,
            no_peer_id: false,
        };
        let text = String::from_utf8_lossy(&announce(&found(), &TERMS, format)).into_owned();
        assert!(text.contains("2:ip9:127.0.0.17:peer id20:-AA0000-0000000000014:porti258e"));
    }

    #[test]
    fn failures_and_scrapes() {
        assert_eq!(
            failure(&Failure::now("no")),
            b"d14:failure reason2:noe".to_vec()
        );
        assert_eq!(
            failure(&Failure::for_good("no")),
            b"d14:failure reason2:no8:retry in5:nevere".to_vec()
        );
        let one = Scraped {
            hash: [b'h'; 20],
            counts: Counts {
                seeders: 1,
                leechers: 3,
                paused: 1,
            },
            completed: 9,
        };
        assert_eq!(
            scrape(&[one], 300),
            b"d5:filesd20:hhhhhhhhhhhhhhhhhhhhd8:completei1e10:downloadedi9e11:downloadersi2e10:incompletei3eee\
              5:flagsd20:min_request_intervali300eee"
                .to_vec()
        );
    }
}
