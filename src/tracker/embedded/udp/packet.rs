//! Datagrams of the UDP tracker protocol (BEP 15, BEP 41), read and written. Nothing here knows a swarm, a member or
//! the time; all numbers are big-endian. Fuzzed.

use std::net::SocketAddr;

/// What a connect request carries in place of a connection id.
const PROTOCOL: u64 = 0x417_2710_1980;
const HEAD: usize = 16;
/// An announce without options.
const ANNOUNCE: usize = 98;
/// Hashes in one scrape at the most.
pub const MOST_SCRAPED: usize = 74;
/// Bytes of an answer with peers: what no path on the way has to cut in two.
const LARGEST: usize = 1_400;
const ANSWER_HEAD: usize = 20;
/// The path of an announce URL, of as many options as it takes; more is no path of ours.
const LONGEST_PATH: usize = 1_024;

/// What every request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub action: Action,
    /// The connection id; of no meaning in a connect request.
    pub connection: u64,
    pub transaction: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Connect,
    Announce,
    Scrape,
}

/// An announce as it stands in the datagram; the `ip` field is left out, because it would let anybody send others to
/// a stranger's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    pub info_hash: [u8; 20],
    pub peer_id: [u8; 20],
    pub downloaded: u64,
    pub left: u64,
    pub uploaded: u64,
    pub event: u32,
    pub key: u32,
    pub numwant: i32,
    pub port: u16,
    /// The URL's path and query, from the options; empty without any.
    pub path: Vec<u8>,
}

/// One torrent's line of a scrape's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub seeders: u32,
    pub completed: u32,
    pub leechers: u32,
}

impl Head {
    /// `None` is nothing of this protocol, or of no action that a client may ask for: it gets no answer.
    pub fn read(datagram: &[u8]) -> Option<Self> {
        let mut rest = Rest(datagram);
        let connection = u64::from_be_bytes(rest.take()?);
        let action = match u32::from_be_bytes(rest.take()?) {
            0 if connection == PROTOCOL => Action::Connect,
            1 => Action::Announce,
            2 => Action::Scrape,
            _ => return None,
        };
        Some(Self {
            action,
            connection,
            transaction: u32::from_be_bytes(rest.take()?),
        })
    }
}

impl Announce {
    /// Reads what follows the head; the error is a sentence for the client.
    pub fn read(datagram: &[u8]) -> Result<Self, &'static str> {
        let mut rest = Rest(datagram);
        let mut read = || -> Option<Self> {
            let _head: [u8; HEAD] = rest.take()?;
            let info_hash = rest.take()?;
            let peer_id = rest.take()?;
            let downloaded = u64::from_be_bytes(rest.take()?);
            let left = u64::from_be_bytes(rest.take()?);
            let uploaded = u64::from_be_bytes(rest.take()?);
            let event = u32::from_be_bytes(rest.take()?);
            let _ip: [u8; 4] = rest.take()?;
            Some(Self {
                info_hash,
                peer_id,
                downloaded,
                left,
                uploaded,
                event,
                key: u32::from_be_bytes(rest.take()?),
                numwant: i32::from_be_bytes(rest.take()?),
                port: u16::from_be_bytes(rest.take()?),
                path: Vec::new(),
            })
        };
        let announce = read().ok_or("an announce by UDP is at least 98 bytes (BEP 15)")?;
        Ok(Self {
            path: path(datagram.get(ANNOUNCE..).unwrap_or_default())?,
            ..announce
        })
    }
}

/// The URL data of the options, put together (BEP 41); other options are passed over by their length.
fn path(options: &[u8]) -> Result<Vec<u8>, &'static str> {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const URL_DATA: u8 = 2;
    let mut path = Vec::new();
    let mut rest = options;
    while let Some((&kind, tail)) = rest.split_first() {
        rest = tail;
        match kind {
            END => break,
            NOTHING => continue,
            _ => {}
        }
        let option = rest
            .split_first()
            .and_then(|(&length, tail)| tail.split_at_checked(usize::from(length)));
        let Some((data, tail)) = option else {
            return Err("the options after the announce are cut off (BEP 41)");
        };
        rest = tail;
        if kind == URL_DATA {
            path.extend_from_slice(data);
        }
    }
    if path.len() > LONGEST_PATH {
        return Err("the announce address is too long; download the .torrent again");
    }
    Ok(path)
}

/// The hashes a scrape asks for; the error is a sentence for the client.
pub fn scraped(datagram: &[u8]) -> Result<Vec<[u8; 20]>, &'static str> {
    let (hashes, _) = datagram.get(HEAD..).unwrap_or_default().as_chunks::<20>();
    match hashes.len() {
        0 => Err("name the torrents to scrape"),
        n if n > MOST_SCRAPED => Err("scrape at most 74 torrents at a time"),
        _ => Ok(hashes.to_vec()),
    }
}

/// Peers that fit into one answer to a client of this family.
pub fn room(v6: bool) -> usize {
    (LARGEST - ANSWER_HEAD) / if v6 { 18 } else { 6 }
}

pub fn connected(transaction: u32, connection: u64) -> Vec<u8> {
    let mut out = head(0, transaction, 8);
    out.extend_from_slice(&connection.to_be_bytes());
    out
}

/// The peers are of one family, the client's: 6 bytes each, or 18.
pub fn announced(
    transaction: u32,
    interval_s: u32,
    leechers: u32,
    seeders: u32,
    peers: impl Iterator<Item = SocketAddr>,
) -> Vec<u8> {
    let mut out = head(1, transaction, 12 + 50 * 6);
    for number in [interval_s, leechers, seeders] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for peer in peers {
        match peer {
            SocketAddr::V4(a) => out.extend_from_slice(&a.ip().octets()),
            SocketAddr::V6(a) => out.extend_from_slice(&a.ip().octets()),
        }
        out.extend_from_slice(&peer.port().to_be_bytes());
    }
    out
}

pub fn scrape(transaction: u32, lines: &[Line]) -> Vec<u8> {
    let mut out = head(2, transaction, lines.len() * 12);
    for line in lines {
        for number in [line.seeders, line.completed, line.leechers] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
    out
}

pub fn error(transaction: u32, reason: &str) -> Vec<u8> {
    let mut out = head(3, transaction, reason.len());
    out.extend_from_slice(reason.as_bytes());
    out
}

fn head(action: u32, transaction: u32, follows: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + follows);
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
    out
}

/// What of a datagram is still to be read.
struct Rest<'d>(&'d [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(connection: u64, action: u32) -> Vec<u8> {
        let mut out = connection.to_be_bytes().to_vec();
        out.extend_from_slice(&action.to_be_bytes());
        out.extend_from_slice(&7u32.to_be_bytes());
        out
    }

    fn announce(options: &[u8]) -> Vec<u8> {
        let mut out = request(99, 1);
        out.extend_from_slice(&[0x11; 20]);
        out.extend_from_slice(b"-LT20B0-abcdefghijkl");
        for number in [5u64, 6, 7] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&2u32.to_be_bytes());
        out.extend_from_slice(&[9, 9, 9, 9]);
        out.extend_from_slice(&0xDEAD_BEEF_u32.to_be_bytes());
        out.extend_from_slice(&(-1i32).to_be_bytes());
        out.extend_from_slice(&6881u16.to_be_bytes());
        out.extend_from_slice(options);
        out
    }

    #[test]
    fn heads() {
        let head = Head::read(&request(PROTOCOL, 0)).unwrap();
        assert_eq!((head.action, head.transaction), (Action::Connect, 7));
        assert_eq!(Head::read(&request(1, 0)), None, "not this protocol");
        let head = Head::read(&request(8, 2)).unwrap();
        assert_eq!((head.action, head.connection), (Action::Scrape, 8));
        for action in [3, 4, u32::MAX] {
            assert_eq!(Head::read(&request(PROTOCOL, action)), None);
        }
        for length in 0..HEAD {
            assert_eq!(Head::read(&request(PROTOCOL, 0)[..length]), None);
        }
    }

    #[test]
    fn a_usual_announce() {
        let read = Announce::read(&announce(b"\x02\x0d/announce/key")).unwrap();
        assert_eq!((read.info_hash, read.port), ([0x11; 20], 6881));
        assert_eq!(&read.peer_id, b"-LT20B0-abcdefghijkl");
        assert_eq!((read.downloaded, read.left, read.uploaded), (5, 6, 7));
        assert_eq!((read.event, read.key, read.numwant), (2, 0xDEAD_BEEF, -1));
        assert_eq!(read.path, b"/announce/key");
    }

    #[test]
    fn options_are_put_together_and_passed_over() {
        let path = |options: &[u8]| Announce::read(&announce(options)).map(|a| a.path);
        assert_eq!(path(b"").unwrap(), b"");
        assert_eq!(path(b"\x00\x00").unwrap(), b"");
        assert_eq!(
            path(b"\x01\x01\x02\x03/an\x07\x02xx\x01\x02\x02no\x00\x02\x09/").unwrap(),
            b"/anno"
        );
        assert_eq!(path(b"\x02\x00").unwrap(), b"");
        for cut in [&b"\x02"[..], b"\x02\x05/ann", b"\x07\xff", b"\x02\x01/\x02"] {
            assert!(path(cut).unwrap_err().contains("cut off"), "{cut:?}");
        }
        let long: Vec<u8> = [&[2u8, 255][..], &[b'x'; 255]].concat().repeat(5);
        assert!(path(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn every_cut_announce_is_refused() {
        let whole = announce(b"");
        assert_eq!(whole.len(), ANNOUNCE);
        for length in 0..ANNOUNCE {
            assert!(Announce::read(&whole[..length]).is_err());
        }
    }

    #[test]
    fn scrapes() {
        let with = |hashes: usize| [request(1, 2), vec![3; 20 * hashes]].concat();
        assert_eq!(scraped(&with(2)).unwrap(), [[3; 20]; 2]);
        assert_eq!(scraped(&[with(1), vec![0; 19]].concat()).unwrap().len(), 1);
        assert_eq!(scraped(&with(74)).unwrap().len(), 74);
        assert!(scraped(&with(75)).is_err() && scraped(&with(0)).is_err() && scraped(&[]).is_err());
    }

    #[test]
    fn answers() {
        assert_eq!(
            connected(1, 2),
            [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
        );
        let peers = ["10.0.0.1:258".parse().unwrap()];
        let answer = announced(1, 1_800, 3, 4, peers.into_iter());
        assert_eq!(answer[..12], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 7, 8]);
        assert_eq!(answer[12..], [0, 0, 0, 3, 0, 0, 0, 4, 10, 0, 0, 1, 1, 2]);
        let peers = ["[2001:db8::1]:258".parse().unwrap()];
        assert_eq!(announced(1, 1, 1, 1, peers.into_iter()).len(), 20 + 18);
        let line = Line {
            seeders: 1,
            completed: 2,
            leechers: 3,
        };
        assert_eq!(
            scrape(1, &[line]),
            [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]
        );
        assert_eq!(error(1, "no"), b"\0\0\0\x03\0\0\0\x01no");
        assert_eq!((room(false), room(true)), (230, 76));
    }
}
