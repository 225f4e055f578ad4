//! What stands beside `info`: never trusted, never a reason to refuse. What is of use and of the right
//! type is kept for the download; trackers and everything unknown is dropped.

use std::collections::HashSet;

use crate::bittorrent::bencode::{Dict, DictWriter, Value, Writer};

/// Web seeds kept of each kind.
pub const MAX_WEB_SEEDS: usize = 100;
const MAX_URL_BYTES: usize = 2000;
const MAX_NODES: usize = 100;

/// What was found beside `info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outer {
    /// Canonical dictionary of exactly the kept keys, for `download::assemble`.
    pub kept: Vec<u8>,
    /// `url-list` (BEP 19).
    pub web_seeds: Vec<String>,
    /// `httpseeds` (BEP 17).
    pub http_seeds: Vec<String>,
    /// Different tracker URLs in `announce` and `announce-list`, all dropped.
    pub foreign_trackers: usize,
    pub created_by: Option<String>,
    /// Unix seconds.
    pub created_at: Option<i64>,
    /// The uploader's, for display; the download carries another.
    pub comment: Option<String>,
    /// DHT nodes (BEP 5) dropped: all in private torrents, malformed ones in others.
    pub nodes_dropped: usize,
}

/// `layers` is the checked `piece layers` of a hybrid or v2 torrent.
pub(super) fn read(torrent: Dict<'_, '_>, private: bool, layers: Option<Vec<u8>>) -> Outer {
    let mut kept = DictWriter::new();
    let mut outer = Outer {
        foreign_trackers: foreign_trackers(torrent),
        created_by: text(torrent.get(b"created by"), 200),
        created_at: torrent
            .get(b"creation date")
            .and_then(Value::as_int)
            .filter(|&seconds| seconds >= 0),
        comment: text(
            torrent.get(b"comment.utf-8").or(torrent.get(b"comment")),
            10_000,
        ),
        ..Outer::default()
    };
    for (key, limit) in [("created by", 1000), ("encoding", 100)] {
        let value = torrent.get(key.as_bytes());
        let value = value.filter(|value| {
            value
                .as_bytes()
                .is_some_and(|bytes| bytes.len() <= limit && std::str::from_utf8(bytes).is_ok())
        });
        if let Some(value) = value {
            kept.raw(key.as_bytes(), value.raw().to_vec());
        }
    }
    if let Some(seconds) = outer.created_at {
        kept.int("creation date", seconds);
    }
    for (key, found) in [
        ("url-list", &mut outer.web_seeds),
        ("httpseeds", &mut outer.http_seeds),
    ] {
        if let Some((urls, encoded)) = torrent.get(key.as_bytes()).and_then(seeds) {
            kept.raw(key.as_bytes(), encoded);
            *found = urls;
        }
    }
    if let Some(nodes) = torrent.get(b"nodes") {
        let (encoded, dropped) = nodes_kept(nodes, private);
        outer.nodes_dropped = dropped;
        if let Some(encoded) = encoded {
            kept.raw(b"nodes", encoded);
        }
    }
    if let Some(layers) = layers {
        kept.raw(b"piece layers", layers);
    }
    outer.kept = kept.finish();
    outer
}

/// Text for display: lossy where it is not UTF-8, without control characters (a database may refuse
/// NUL) except line ends and tabs, at most `limit` characters. Empty text is none.
pub(super) fn text(value: Option<Value<'_, '_>>, limit: usize) -> Option<String> {
    let bytes = value?.as_bytes()?;
    let bytes = &bytes[..bytes.len().min(4 * limit)];
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|&c| !c.is_control() || c == '\n' || c == '\t')
        .take(limit)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a client can fetch from it: http, https or ftp with a host, of sane length, without blanks.
pub(crate) fn is_web_seed(url: &str) -> bool {
    let host = ["http://", "https://", "ftp://"].iter().find_map(|scheme| {
        url.get(..scheme.len())
            .filter(|start| start.eq_ignore_ascii_case(scheme))
            .and(url.get(scheme.len()..))
    });
    let starts_with_host = host
        .and_then(|rest| rest.chars().next())
        .is_some_and(|c| !matches!(c, '/' | '?' | '#' | '@' | ':'));
    starts_with_host
        && url.len() <= MAX_URL_BYTES
        && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// The usable URLs of one text or a list of texts, and their encoding: as sent when all are usable.
/// `None` when nothing is left or the type is wrong.
fn seeds(value: Value<'_, '_>) -> Option<(Vec<String>, Vec<u8>)> {
    let usable = |value: Value<'_, '_>| {
        let url = std::str::from_utf8(value.as_bytes()?).ok()?;
        is_web_seed(url).then(|| url.to_owned())
    };
    let Some(list) = value.as_list() else {
        return usable(value).map(|url| (vec![url], value.raw().to_vec()));
    };
    let all = list.clone().count();
    if list.clone().any(|item| item.as_bytes().is_none()) {
        return None;
    }
    let urls: Vec<String> = list.filter_map(usable).take(MAX_WEB_SEEDS).collect();
    if urls.is_empty() {
        return None;
    }
    let encoded = if urls.len() == all {
        value.raw().to_vec()
    } else {
        let mut writer = Writer::new();
        writer.strings(urls.iter().map(String::as_bytes));
        writer.finish()
    };
    Some((urls, encoded))
}

fn foreign_trackers(torrent: Dict<'_, '_>) -> usize {
    let tiers = torrent.get(b"announce-list").and_then(Value::as_list);
    let listed = tiers
        .into_iter()
        .flatten()
        .filter_map(Value::as_list)
        .flatten();
    let urls: HashSet<&[u8]> = torrent
        .get(b"announce")
        .into_iter()
        .chain(listed)
        .filter_map(Value::as_bytes)
        .map(<[u8]>::trim_ascii)
        .filter(|url| !url.is_empty())
        .collect();
    urls.len()
}

/// The encoded list of sound `[host, port]` pairs, and how many entries were dropped.
fn nodes_kept(nodes: Value<'_, '_>, private: bool) -> (Option<Vec<u8>>, usize) {
    let Some(list) = nodes.as_list() else {
        return (None, usize::from(private));
    };
    let all = list.clone().count();
    if private {
        return (None, all);
    }
    let sound: Vec<Value<'_, '_>> = list.filter(|&node| is_node(node)).take(MAX_NODES).collect();
    let mut writer = Writer::new();
    writer.begin_list();
    for node in &sound {
        writer.raw(node.raw());
    }
    writer.end();
    let encoded = (!sound.is_empty()).then(|| writer.finish());
    (encoded, all - sound.len())
}

fn is_node(value: Value<'_, '_>) -> bool {
    let Some(mut parts) = value.as_list() else {
        return false;
    };
    let host = parts.next().and_then(Value::as_bytes);
    let port = parts.next().and_then(Value::as_int);
    let sound_host = host.is_some_and(|host| {
        (1..=255).contains(&host.len()) && host.iter().all(u8::is_ascii_graphic)
    });
    sound_host && port.is_some_and(|port| (1..=65_535).contains(&port)) && parts.next().is_none()
}
