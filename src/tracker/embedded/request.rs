//! Announce and scrape requests, read from the raw query (BEP 3, 7, 21, 23, 48). Lenient where clients differ,
//! strict where a wrong value would be stored or sent to others. Refusals are sentences a client can show.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use sha1::{Digest, Sha1};

use super::accounting::Totals;
use super::udp::packet;

/// What a tracker sees of an infohash: v1 as it is, v2 cut to its first 20 bytes (BEP 52).
pub type ShortHash = [u8; 20];

/// More than a client can have moved in one run; past it a counter is a mistake or a lie.
const MOST_BYTES: i64 = 1 << 53;
/// Longer keys are stored by their hash.
const LONGEST_KEY: usize = 40;
/// Hashes in one scrape at the most; the query's own limit comes first for nearly everybody.
const MOST_SCRAPED: usize = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// A regular announce; also what an empty or unknown `event` means.
    #[default]
    Regular,
    Started,
    Stopped,
    Completed,
    /// A partial seed: not everything is here, and nothing more is wanted (BEP 21).
    Paused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    pub info_hash: ShortHash,
    pub peer_id: [u8; 20],
    /// 0: the client cannot be reached; it is counted, but given to nobody.
    pub port: u16,
    /// Absent when the client left a counter out: nothing is counted then, and nothing forgotten.
    pub totals: Option<Totals>,
    /// Whether everything is there; unknown `left` is a leecher.
    pub seeding: bool,
    pub event: Event,
    /// How many peers are wanted; absent or negative leaves it to the tracker.
    pub numwant: Option<usize>,
    pub compact: bool,
    pub no_peer_id: bool,
    /// The client's own secret for this session, as text that any database stores.
    pub key: String,
}

/// What a refusal is about, for who counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Passkey,
    Banned,
    Guest,
    Torrent,
    Limit,
    Request,
    Busy,
}

impl Kind {
    pub const ALL: usize = Self::Busy as usize + 1;
}

/// Why a request is refused, as a sentence for `failure reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub reason: Cow<'static, str>,
    /// Asking again will not help (BEP 31).
    pub for_good: bool,
}

impl Failure {
    /// A request that makes no sense; [`Self::about`] says what else it is.
    pub fn now(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: Kind::Request,
            reason: reason.into(),
            for_good: false,
        }
    }

    pub fn for_good(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            for_good: true,
            ..Self::now(reason)
        }
    }

    pub fn about(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

impl Announce {
    /// Reads the part after the `?`. Of a repeated parameter the first counts; unknown ones (and `ip`, which would
    /// let anybody send others to a stranger's address) are ignored.
    pub fn parse(query: &[u8]) -> Result<Self, Failure> {
        let mut raw = Raw::default();
        for (name, value) in parameters(query) {
            let slot = match &*name {
                b"info_hash" => &mut raw.info_hash,
                b"peer_id" => &mut raw.peer_id,
                b"port" => &mut raw.port,
                b"uploaded" => &mut raw.uploaded,
                b"downloaded" => &mut raw.downloaded,
                b"left" => &mut raw.left,
                b"event" => &mut raw.event,
                b"numwant" => &mut raw.numwant,
                b"compact" => &mut raw.compact,
                b"no_peer_id" => &mut raw.no_peer_id,
                b"key" => &mut raw.key,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        raw.check()
    }

    /// The same from a datagram (BEP 15). Its `event` 4 is what libtorrent sends for a partial seed.
    pub fn of_datagram(datagram: &packet::Announce) -> Result<Self, Failure> {
        let event = match datagram.event {
            1 => Event::Completed,
            2 => Event::Started,
            3 => Event::Stopped,
            4 => Event::Paused,
            _ => Event::Regular,
        };
        let unknown_left = datagram.left > i64::MAX as u64;
        Ok(Self {
            info_hash: datagram.info_hash,
            peer_id: datagram.peer_id,
            port: datagram.port,
            totals: Some(Totals {
                uploaded: counted("uploaded", datagram.uploaded)?,
                downloaded: counted("downloaded", datagram.downloaded)?,
            }),
            seeding: datagram.left == 0 || (unknown_left && event == Event::Completed),
            event,
            numwant: usize::try_from(datagram.numwant).ok(),
            compact: true,
            no_peer_id: true,
            // The text that clients write the same 32 bits as where they announce by HTTP.
            key: format!("{:08X}", datagram.key),
        })
    }
}

#[derive(Default)]
struct Raw<'q> {
    info_hash: Option<Cow<'q, [u8]>>,
    peer_id: Option<Cow<'q, [u8]>>,
    port: Option<Cow<'q, [u8]>>,
    uploaded: Option<Cow<'q, [u8]>>,
    downloaded: Option<Cow<'q, [u8]>>,
    left: Option<Cow<'q, [u8]>>,
    event: Option<Cow<'q, [u8]>>,
    numwant: Option<Cow<'q, [u8]>>,
    compact: Option<Cow<'q, [u8]>>,
    no_peer_id: Option<Cow<'q, [u8]>>,
    key: Option<Cow<'q, [u8]>>,
}

impl Raw<'_> {
    fn check(self) -> Result<Announce, Failure> {
        let event = match self.event.as_deref() {
            Some(b"started") => Event::Started,
            Some(b"stopped") => Event::Stopped,
            Some(b"completed") => Event::Completed,
            Some(b"paused") => Event::Paused,
            _ => Event::Regular,
        };
        let uploaded = bytes_moved("uploaded", self.uploaded.as_deref())?;
        let downloaded = bytes_moved("downloaded", self.downloaded.as_deref())?;
        let seeding = match self.left.as_deref().map(number) {
            Some(Some(left)) => left == 0,
            // Missing, -1 or nonsense: unknown. Who says `completed` has it all.
            Some(None) | None => event == Event::Completed,
        };
        Ok(Announce {
            info_hash: twenty("info_hash", self.info_hash.as_deref())?,
            peer_id: twenty("peer_id", self.peer_id.as_deref())?,
            port: port(self.port.as_deref(), event)?,
            totals: match (uploaded, downloaded) {
                (Some(uploaded), Some(downloaded)) => Some(Totals {
                    uploaded,
                    downloaded,
                }),
                _ => None,
            },
            seeding,
            event,
            numwant: self
                .numwant
                .as_deref()
                .and_then(number)
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            compact: self.compact.as_deref() != Some(b"0"),
            no_peer_id: self.no_peer_id.as_deref() == Some(b"1"),
            key: self.key.as_deref().map(key_text).unwrap_or_default(),
        })
    }
}

/// The infohashes a scrape asks for, each once, sorted as the answer needs them.
pub fn scraped(query: &[u8]) -> Result<Vec<ShortHash>, Failure> {
    let mut hashes = Vec::new();
    for (name, value) in parameters(query) {
        if *name == *b"info_hash" {
            hashes.push(twenty("info_hash", Some(&value))?);
        }
    }
    if hashes.is_empty() {
        return Err(Failure::for_good(
            "name the torrents to scrape: info_hash is missing",
        ));
    }
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.len() > MOST_SCRAPED {
        return Err(Failure::now(format!(
            "scrape at most {MOST_SCRAPED} torrents at a time"
        )));
    }
    Ok(hashes)
}

fn parameters(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query
        .split(|&b| b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = match pair.iter().position(|&b| b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            (decoded(name), decoded(value))
        })
}

/// Percent-decoded, `+` being a space as in forms; a broken escape stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'+') {
        let spaced: Vec<u8> = text
            .iter()
            .map(|&b| if b == b'+' { b' ' } else { b })
            .collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    percent_decode(text).into()
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.iter().try_fold(0u64, |n, digit| {
        n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

fn bytes_moved(name: &str, value: Option<&[u8]>) -> Result<Option<i64>, Failure> {
    let Some(text) = value.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Failure::now(format!(
            "{name} must be a whole number of bytes"
        )));
    }
    counted(name, number(text).unwrap_or(u64::MAX)).map(Some)
}

fn counted(name: &str, bytes: u64) -> Result<i64, Failure> {
    let bytes = i64::try_from(bytes).ok().filter(|&n| n <= MOST_BYTES);
    bytes.ok_or_else(|| {
        Failure::now(format!(
            "{name} is more than this tracker counts; restart the client to start its counters anew"
        ))
    })
}

fn twenty(name: &str, value: Option<&[u8]>) -> Result<[u8; 20], Failure> {
    let Some(bytes) = value else {
        return Err(Failure::now(format!("{name} is missing")));
    };
    bytes.try_into().map_err(|_| {
        Failure::now(format!(
            "{name} must be 20 bytes, percent-encoded; these are {}",
            bytes.len()
        ))
    })
}

fn port(value: Option<&[u8]>, event: Event) -> Result<u16, Failure> {
    match value.map(|text| number(text).and_then(|n| u16::try_from(n).ok())) {
        Some(Some(port)) => Ok(port),
        // Who leaves needs no port.
        _ if event == Event::Stopped => Ok(0),
        Some(None) => Err(Failure::now("port must be a number up to 65535")),
        None => Err(Failure::now("port is missing")),
    }
}

/// Eight hexadecimal digits, which most clients write, stand in one case: by UDP they are a number.
fn key_text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if key.len() == 8 && key.iter().all(u8::is_ascii_hexdigit) => {
            text.to_ascii_uppercase()
        }
        Ok(text) if key.len() <= LONGEST_KEY && key.iter().all(u8::is_ascii_graphic) => {
            text.to_owned()
        }
        _ => format!("#{}", data_encoding::HEXLOWER.encode(&Sha1::digest(key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A";
    const PEER: &str = "peer_id=-LT20B0-abcdefghijkl";

    fn parse(rest: &str) -> Result<Announce, Failure> {
        Announce::parse(format!("{HASH}&{PEER}&port=6881{rest}").as_bytes())
    }

    fn reason(query: &str) -> String {
        Announce::parse(query.as_bytes())
            .unwrap_err()
            .reason
            .into_owned()
    }

    #[test]
    fn a_usual_announce() {
        let a = parse("&uploaded=5&downloaded=7&left=0&event=started&numwant=30&key=AB12&compact=1&no_peer_id=1&supportcrypto=1").unwrap();
        assert_eq!(&a.info_hash[..4], b"\x124Vx");
        assert_eq!(&a.peer_id, b"-LT20B0-abcdefghijkl");
        assert_eq!(
            a.totals,
            Some(Totals {
                uploaded: 5,
                downloaded: 7
            })
        );
        assert!(a.seeding && a.compact && a.no_peer_id);
        assert_eq!(
            (a.port, a.event, a.numwant, a.key.as_str()),
            (6881, Event::Started, Some(30), "AB12")
        );
    }

    #[test]
    fn what_clients_get_wrong_is_tolerated() {
        let a = parse("&numwant=-1&event=&left=-1&uploaded=&&=&flag&%zz=%zz").unwrap();
        assert_eq!(
            (a.numwant, a.event, a.seeding, a.totals),
            (None, Event::Regular, false, None)
        );
        assert!(a.compact);
        assert!(
            !parse("&compact=0").unwrap().compact,
            "compact=0 asks for dictionaries"
        );
        assert!(!parse("").unwrap().seeding, "unknown left is a leecher");
        assert!(parse("&event=completed").unwrap().seeding);
        assert!(!parse("&event=paused&left=5").unwrap().seeding);
        assert_eq!(parse("&event=dancing").unwrap().event, Event::Regular);
        assert_eq!(
            parse("&port=1&port=x").unwrap().port,
            6881,
            "the first of two counts"
        );
        assert_eq!(
            parse("&numwant=99999999999999999999").unwrap().numwant,
            None
        );
        assert_eq!(parse("&key=%00%ff").unwrap().key.len(), 41);
        assert_eq!(parse("&ip=9.9.9.9&ipv6=%5B::1%5D").unwrap().port, 6881);
    }

    #[test]
    fn spaces_may_be_pluses() {
        let a = Announce::parse(format!("{HASH}&peer_id=-LT20B0-abc+efghijkl&port=1").as_bytes());
        assert_eq!(&a.unwrap().peer_id, b"-LT20B0-abc efghijkl");
    }

    #[test]
    fn refusals_name_the_field() {
        assert_eq!(reason(""), "info_hash is missing");
        assert_eq!(
            reason("info_hash=abc"),
            "info_hash must be 20 bytes, percent-encoded; these are 3"
        );
        assert_eq!(reason(HASH), "peer_id is missing");
        assert_eq!(reason(&format!("{HASH}&{PEER}")), "port is missing");
        assert_eq!(
            reason(&format!("{HASH}&{PEER}&port=99999")),
            "port must be a number up to 65535"
        );
        assert!(
            Announce::parse(format!("{HASH}&{PEER}&event=stopped").as_bytes()).is_ok(),
            "who leaves needs no port"
        );
        assert_eq!(
            parse("&uploaded=-5").unwrap_err().reason,
            "uploaded must be a whole number of bytes"
        );
        for huge in ["99999999999999999999999", "9007199254740993"] {
            assert!(
                parse(&format!("&downloaded={huge}"))
                    .unwrap_err()
                    .reason
                    .starts_with("downloaded is more")
            );
        }
    }

    #[test]
    fn datagrams_say_the_same() {
        let datagram = packet::Announce {
            info_hash: [1; 20],
            peer_id: *b"-LT20B0-abcdefghijkl",
            downloaded: 7,
            left: 0,
            uploaded: 5,
            event: 2,
            key: 0x00AB_12CD,
            numwant: 30,
            port: 6881,
            path: Vec::new(),
        };
        let by_http =
            "&uploaded=5&downloaded=7&left=0&event=started&numwant=30&key=00ab12cd&no_peer_id=1";
        let expected = Announce {
            info_hash: [1; 20],
            ..parse(by_http).unwrap()
        };
        assert_eq!(Announce::of_datagram(&datagram).unwrap(), expected);
        let with = |event, left, numwant| {
            let changed = packet::Announce {
                event,
                left,
                numwant,
                ..datagram.clone()
            };
            let a = Announce::of_datagram(&changed).unwrap();
            (a.event, a.seeding, a.numwant)
        };
        assert_eq!(with(0, u64::MAX, -1), (Event::Regular, false, None));
        assert_eq!(with(1, u64::MAX, 0), (Event::Completed, true, Some(0)));
        assert_eq!(with(3, 9, i32::MIN), (Event::Stopped, false, None));
        assert_eq!(with(4, 9, 1), (Event::Paused, false, Some(1)));
        assert_eq!(with(77, 9, 1).0, Event::Regular);
        let forged = packet::Announce {
            uploaded: u64::MAX,
            ..datagram
        };
        let failure = Announce::of_datagram(&forged).unwrap_err();
        assert!(failure.reason.starts_with("uploaded is more"));
    }

    #[test]
    fn scrapes_are_sorted_and_deduplicated() {
        let one = "info_hash=aaaaaaaaaaaaaaaaaaaa";
        let two = "info_hash=bbbbbbbbbbbbbbbbbbbb";
        let found = scraped(format!("{two}&x&{one}&{two}").as_bytes()).unwrap();
        assert_eq!(found, [*b"aaaaaaaaaaaaaaaaaaaa", *b"bbbbbbbbbbbbbbbbbbbb"]);
        assert!(scraped(b"").is_err());
        assert!(scraped(b"info_hash=a").is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_a_client_sends_panics(query in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = Announce::parse(&query);
            let _ = scraped(&query);
        }
    }
}
