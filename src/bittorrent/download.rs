//! The .torrent that a member downloads: `info` as it came, around it only what the site means to say.

use super::bencode::{self, DictWriter, Writer};

/// Rebuilds the outer dictionary, keys in order, and splices `info` in verbatim. `kept` is `Outer::kept`;
/// both come from the store and are trusted. `trackers` become the only ones: `announce` is the
/// first, `announce-list` one tier of all (by BEP 12 it outranks `announce`). An empty `comment` is left out.
pub fn assemble(info: &[u8], kept: &[u8], trackers: &[String], comment: &str) -> Vec<u8> {
    let mut torrent = DictWriter::new();
    let document = bencode::scan(kept).ok();
    let items = document
        .as_ref()
        .and_then(|document| document.root().as_dict())
        .into_iter()
        .flat_map(bencode::Dict::iter);
    for (key, value) in items {
        torrent.raw(key, value.raw().to_vec());
    }
    if let Some(first) = trackers.first() {
        torrent.bytes("announce", first.as_bytes());
        let mut tiers = Writer::new();
        tiers
            .begin_list()
            .strings(trackers.iter().map(String::as_bytes))
            .end();
        torrent.raw(b"announce-list", tiers.finish());
    }
    if !comment.is_empty() {
        torrent.bytes("comment", comment.as_bytes());
    }
    torrent.raw(b"info", info.to_vec());
    torrent.finish()
}
