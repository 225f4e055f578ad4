//! What Torrust Tracker 3.0.0 says to each call, as it was seen to say it. The places in its source that it names
//! in errors are shortened to the file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use super::http::Request;
use super::{Mode, TOKEN};

/// Torrents in one answer for who names no limit.
const USUAL_LIMIT: usize = 4_000;
const KEY_LENGTH: usize = 32;

/// What it knows. A number's hash need not be listed: swarms outlive their permission. The first announce of a hash
/// makes a swarm of one; beyond that numbers are what a test says.
#[derive(Default)]
pub struct Books {
    pub whitelist: BTreeSet<String>,
    /// With the second at which each expires.
    pub keys: BTreeMap<String, Option<i64>>,
    pub numbers: BTreeMap<String, Numbers>,
    announces: u64,
}

#[derive(Clone, Copy, Default)]
pub struct Numbers {
    pub seeders: u64,
    pub completed: u64,
    pub leechers: u64,
}

/// A call that changes what may be announced, or by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteCall {
    Allow(String),
    Forbid(String),
    Admit(String),
    Revoke(String),
}

impl WriteCall {
    /// `None` for reading, and for what names no hash or key.
    pub fn of(request: &Request) -> Option<Self> {
        let method = request.method.as_str();
        Some(match (method, request.api_parts().as_slice()) {
            ("POST", ["whitelist", hash]) => Self::Allow(hash.to_lowercase()),
            ("DELETE", ["whitelist", hash]) => Self::Forbid(hash.to_lowercase()),
            ("DELETE", ["key", key]) => Self::Revoke((*key).to_owned()),
            ("POST", ["keys"]) => {
                let asked: NewKey = serde_json::from_slice(&request.body).ok()?;
                Self::Admit(asked.key?)
            }
            _ => return None,
        })
    }

    /// The hash or the key.
    pub fn subject(&self) -> &str {
        match self {
            Self::Allow(subject)
            | Self::Forbid(subject)
            | Self::Admit(subject)
            | Self::Revoke(subject) => subject,
        }
    }
}

pub struct Answer {
    pub status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: "",
            body: Vec::new(),
        }
    }

    pub fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body: body.into_bytes(),
        }
    }

    fn text(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.into_bytes(),
        }
    }

    fn rejected(reason: &str) -> Self {
        let body = format!("Unhandled rejection: Err {{ reason: {reason:?} }}");
        Self::text(500, body)
    }

    pub fn token_not_valid() -> Self {
        Self::rejected("token not valid")
    }

    /// What a proxy may say.
    pub fn spoiled(request: &Request, subject: &str) -> Self {
        let query = request.query.as_deref().unwrap_or_default();
        let body = format!("cannot {}?{query} of {subject}", request.path);
        Self::text(500, body)
    }

    /// What parallel writes get.
    pub fn locked() -> Self {
        Self::rejected(
            "failed to whitelist torrent: The Sqlite3 query was malformed: database is locked, \
            src/core/databases/sqlite.rs:212:21",
        )
    }

    fn well() -> Self {
        Self::json(r#"{"status":"ok"}"#.to_owned())
    }

    fn bencoded(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: "application/octet-stream",
            body,
        }
    }

    fn failure(reason: &str) -> Self {
        let body = format!("d14:failure reason{}:{reason}e", reason.len());
        Self::text(200, body)
    }

    pub fn encoded(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} .\r\n", self.status);
        if !self.content_type.is_empty() {
            head += &format!("content-type: {}\r\n", self.content_type);
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

/// Carries the request out.
pub fn answer(request: &Request, mode: Mode, books: &mut Books) -> Answer {
    match request.path.as_str() {
        "/api/health_check" | "/health_check" => Answer::json(r#"{"status":"Ok"}"#.to_owned()),
        path if path.starts_with("/announce") => announce(request, mode, books),
        path if path.starts_with("/api/") => match refused(request) {
            Some(answer) => answer,
            None => api(request, books),
        },
        _ => Answer::empty(404),
    }
}

/// Only the query's token counts; a header does not.
fn refused(request: &Request) -> Option<Answer> {
    match request.texts("token").as_slice() {
        [] => Some(Answer::rejected("unauthorized")),
        [token] if token == TOKEN => None,
        [_] => Some(Answer::token_not_valid()),
        _ => Some(Answer::text(
            400,
            "Failed to deserialize query string: duplicate field `token`".to_owned(),
        )),
    }
}

fn api(request: &Request, books: &mut Books) -> Answer {
    let method = request.method.as_str();
    match (method, request.api_parts().as_slice()) {
        ("GET", ["stats"]) => stats(books),
        ("GET", ["torrents"]) => torrents(request, books),
        ("GET", ["torrent", hash]) => torrent(hash, books),
        ("GET", ["whitelist" | "keys", "reload"]) => Answer::well(),
        ("POST", ["whitelist", hash]) => with_hash(hash, |hash| {
            books.whitelist.insert(hash);
            Answer::well()
        }),
        ("DELETE", ["whitelist", hash]) => with_hash(hash, |hash| {
            books.whitelist.remove(&hash);
            Answer::well()
        }),
        ("POST", ["keys"]) => add_key(request, books),
        ("POST", ["key", seconds]) => match seconds.parse() {
            Ok(seconds) => insert_key(random_key(), Some(seconds), books),
            Err(_) => {
                let body = format!("Invalid URL: Cannot parse `{seconds}` to a `u64`");
                Answer::text(400, body)
            }
        },
        ("DELETE", ["key", key]) if !is_key(key) => {
            Answer::text(400, format!("Invalid auth key id param {key:?}"))
        }
        ("DELETE", ["key", key]) => match books.keys.remove(*key) {
            Some(_) => Answer::well(),
            None => Answer::rejected(
                "failed to delete key: Failed to remove record from Sqlite3 database, error-code: 0, \
                src/core/databases/sqlite.rs:281:27",
            ),
        },
        (_, ["stats" | "torrents" | "keys"] | ["torrent" | "whitelist" | "key", _])
        | (_, ["keys", "reload"]) => Answer::empty(405),
        _ => Answer::empty(404),
    }
}

fn with_hash(hash: &str, work: impl FnOnce(String) -> Answer) -> Answer {
    if hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return work(hash.to_lowercase());
    }
    let body = format!(
        "Invalid URL: invalid infohash param: string {hash:?}, expected a 40 character long string"
    );
    Answer::text(400, body)
}

fn is_key(key: &str) -> bool {
    key.len() == KEY_LENGTH && key.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn random_key() -> String {
    seedbank::secrets::random_passkey()
}

fn now_s() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

// ---- Numbers

fn stats(books: &Books) -> Answer {
    let mut sum = Numbers::default();
    for one in books.numbers.values() {
        sum.seeders += one.seeders;
        sum.completed += one.completed;
        sum.leechers += one.leechers;
    }
    let mut body = format!(
        r#"{{"torrents":{},"seeders":{},"completed":{},"leechers":{}"#,
        books.numbers.len(),
        sum.seeders,
        sum.completed,
        sum.leechers
    );
    for way in ["tcp4", "tcp6", "udp4", "udp6"] {
        for what in ["connections", "announces", "scrapes"] {
            let count = match (way, what) {
                ("tcp4", "connections" | "announces") => books.announces,
                _ => 0,
            };
            body += &format!(r#","{way}_{what}_handled":{count}"#);
        }
    }
    Answer::json(body + "}")
}

/// As it stands in the list of torrents and, with its peers, alone.
#[derive(Serialize)]
struct Line<'a> {
    info_hash: &'a str,
    seeders: u64,
    completed: u64,
    leechers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<[(); 0]>,
}

impl<'a> Line<'a> {
    fn of(info_hash: &'a str, numbers: &Numbers) -> Self {
        Self {
            info_hash,
            seeders: numbers.seeders,
            completed: numbers.completed,
            leechers: numbers.leechers,
            peers: None,
        }
    }
}

fn torrent(hash: &str, books: &Books) -> Answer {
    with_hash(hash, |hash| match books.numbers.get(&hash) {
        Some(numbers) => {
            let line = Line {
                peers: Some([]),
                ..Line::of(&hash, numbers)
            };
            Answer::json(serde_json::to_string(&line).unwrap())
        }
        None => Answer::json(r#""torrent not known""#.to_owned()),
    })
}

/// All in the order of their hashes, page by page; or those asked for, in the order they were asked for.
fn torrents(request: &Request, books: &Books) -> Answer {
    let asked = request.texts("info_hash");
    let number = |name: &str, otherwise: usize| match request.texts(name).first() {
        Some(text) => text.parse::<u32>().map(|n| n as usize),
        None => Ok(otherwise),
    };
    let (offset, limit) = match (number("offset", 0), number("limit", USUAL_LIMIT)) {
        (Ok(offset), Ok(limit)) => (offset, limit),
        (Err(error), _) | (_, Err(error)) => {
            let body = format!("Failed to deserialize query string: {error}");
            return Answer::text(400, body);
        }
    };
    for hash in &asked {
        let judged = with_hash(hash, |_| Answer::empty(200));
        if judged.status != 200 {
            return judged;
        }
    }
    let known = |hash: &'_ String| books.numbers.get_key_value(&hash.to_lowercase());
    let lines: Vec<Line<'_>> = match asked.is_empty() {
        true => {
            let all = books.numbers.iter().skip(offset).take(limit);
            all.map(|(hash, n)| Line::of(hash, n)).collect()
        }
        false => {
            let some = asked.iter().filter_map(known);
            some.map(|(hash, n)| Line::of(hash, n)).collect()
        }
    };
    Answer::json(serde_json::to_string(&lines).unwrap())
}

// ---- Keys

/// Both fields must be there, and either may be null.
#[derive(Deserialize)]
struct NewKey {
    #[serde(deserialize_with = "Option::deserialize")]
    key: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    seconds_valid: Option<u64>,
}

fn add_key(request: &Request, books: &mut Books) -> Answer {
    let kind = request.headers.get("content-type");
    if !kind.is_some_and(|v| v.starts_with("application/json")) {
        let body = "Expected request with `Content-Type: application/json`";
        return Answer::text(415, body.to_owned());
    }
    let asked: NewKey = match serde_json::from_slice(&request.body) {
        Ok(asked) => asked,
        Err(error) if error.is_data() => {
            let body = format!("Failed to deserialize the JSON body into the target type: {error}");
            return Answer::text(422, body);
        }
        Err(error) => {
            let body = format!("Failed to parse the request body as JSON: {error}");
            return Answer::text(400, body);
        }
    };
    let key = asked.key.unwrap_or_else(random_key);
    if !is_key(&key) {
        let why = match key.len() {
            KEY_LENGTH => "Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)",
            _ => "Invalid key length. Key must be have 32 chars",
        };
        let body =
            format!("Invalid URL: invalid auth key: string {key:?}, {why}, src/core/mod.rs:915:50");
        return Answer::text(400, body);
    }
    insert_key(key, asked.seconds_valid, books)
}

fn insert_key(key: String, seconds: Option<u64>, books: &mut Books) -> Answer {
    if books.keys.contains_key(&key) {
        return Answer::rejected(
            "failed to generate key: The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key, \
            src/core/databases/sqlite.rs:254:21, src/core/mod.rs:910:54",
        );
    }
    let until = seconds.map(|s| now_s().saturating_add(i64::try_from(s).unwrap_or(i64::MAX)));
    let body = serde_json::json!({
        "key": key, "valid_until": until, "expiry_time": until.map(written_out)
    });
    books.keys.insert(key, until);
    Answer::json(body.to_string())
}

/// As it writes times: no RFC 3339.
fn written_out(second: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(second).unwrap();
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].000000000 UTC");
    time.format(&format).unwrap()
}

// ---- Announces

/// The query is read before the key is looked at, and the key before the hash.
fn announce(request: &Request, mode: Mode, books: &mut Books) -> Answer {
    if request.method != "GET" {
        return Answer::empty(405);
    }
    if request.query.is_none() {
        return Answer::failure(
            "Cannot parse query params for announce request: missing query params for announce request in \
            src/servers/http/v1/extractors/announce_request.rs:73:56",
        );
    }
    let required = |name| request.values(name).into_iter().next();
    let (Some(hash), Some(_), Some(_)) =
        (required("info_hash"), required("peer_id"), required("port"))
    else {
        return Answer::failure(
            "Cannot parse query params for announce request: missing param in src/servers/http/v1/requests/announce.rs",
        );
    };
    if hash.len() != 20 {
        return Answer::failure(
            "Cannot parse query params for announce request: invalid param value for info_hash in \
            src/servers/http/v1/requests/announce.rs",
        );
    }
    let key = request.path.strip_prefix("/announce/");
    if key.is_some_and(|key| !is_key(key)) {
        return Answer::failure(
            "Authentication error: Invalid format for authentication key param. Error in \
            src/servers/http/v1/extractors/authentication_key.rs:117:23",
        );
    }
    if mode.private {
        match key.map(|key| (key, books.keys.get(key))) {
            None => {
                return Answer::failure(
                    "Authentication error: Missing authentication key param for private tracker. Error in \
                    src/servers/http/v1/handlers/announce.rs:95:31",
                );
            }
            Some((key, None)) => {
                let reason = format!(
                    "Authentication error: Failed to read key: {key}, src/core/mod.rs:1047:27"
                );
                return Answer::failure(&reason);
            }
            Some((_, Some(Some(until)))) if *until <= now_s() => {
                return Answer::failure(
                    "Authentication error: Key has expired, src/core/auth.rs:115:31",
                );
            }
            Some(_) => {}
        }
    }
    let hash = data_encoding::HEXLOWER.encode(&hash);
    if mode.listed && !books.whitelist.contains(&hash) {
        let reason = format!(
            "Tracker error: The torrent: {hash}, is not whitelisted, src/core/mod.rs:1106:23"
        );
        return Answer::failure(&reason);
    }
    books.announces += 1;
    let seeding = u64::from(request.texts("left").iter().all(|left| left == "0"));
    let numbers = books.numbers.entry(hash).or_insert(Numbers {
        seeders: seeding,
        completed: 0,
        leechers: 1 - seeding,
    });
    let body = format!(
        "d8:completei{}e10:incompletei{}e8:intervali5e12:min intervali2e5:peers0:6:peers60:e",
        numbers.seeders, numbers.leechers
    );
    Answer::bencoded(body.into_bytes())
}
