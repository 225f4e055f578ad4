//! Magnet links: written with every part percent-encoded (a name cannot smuggle in a tracker),
//! and read for their infohashes only (BEP 9, BEP 52).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::infohash::{InfohashV1, InfohashV2};

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a magnet link says; `to_string` writes it. `size` is in bytes, without padding.
#[derive(Clone, Copy, Debug)]
pub struct Magnet<'a> {
    pub v1: Option<InfohashV1>,
    pub v2: Option<InfohashV2>,
    pub name: &'a str,
    pub size: Option<u64>,
    pub trackers: &'a [String],
    pub web_seeds: &'a [String],
}

/// The hashes that a magnet link names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    pub v1: Option<InfohashV1>,
    pub v2: Option<InfohashV2>,
}

impl fmt::Display for Magnet<'_> {
    /// v1 stands first: some clients read only the first `xt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("magnet:")?;
        let mut separator = '?';
        if let Some(hash) = self.v1 {
            write!(f, "{separator}xt=urn:btih:{hash}")?;
            separator = '&';
        }
        if let Some(hash) = self.v2 {
            write!(f, "{separator}xt=urn:btmh:1220{hash}")?;
            separator = '&';
        }
        if !self.name.is_empty() {
            let name = utf8_percent_encode(self.name, ENCODED);
            write!(f, "{separator}dn={name}")?;
            separator = '&';
        }
        if let Some(size) = self.size {
            write!(f, "{separator}xl={size}")?;
            separator = '&';
        }
        for (key, urls) in [("tr", self.trackers), ("ws", self.web_seeds)] {
            for url in urls {
                write!(f, "{separator}{key}={}", utf8_percent_encode(url, ENCODED))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// The infohashes of a magnet link; `None` when the text is no magnet link or names no hash of ours.
pub fn hashes(text: &str) -> Option<Hashes> {
    let scheme = text.get(..8)?;
    if !scheme.eq_ignore_ascii_case("magnet:?") {
        return None;
    }
    let mut found = Hashes { v1: None, v2: None };
    for pair in text[8..].split('&') {
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        // `xt.1`, `xt.2` number several topics in one link.
        let is_topic = key.eq_ignore_ascii_case("xt")
            || key
                .get(..3)
                .is_some_and(|prefix| prefix.eq_ignore_ascii_case("xt."));
        if !is_topic {
            continue;
        }
        let value = percent_decode_str(value).decode_utf8_lossy();
        let Some((namespace, digits)) = value.get(..9).zip(value.get(9..)) else {
            continue;
        };
        if namespace.eq_ignore_ascii_case("urn:btih:") {
            found.v1 = found.v1.or(digits.parse().ok());
        } else if namespace.eq_ignore_ascii_case("urn:btmh:") && digits.len() == 68 {
            found.v2 = found.v2.or(digits.parse().ok());
        }
    }
    (found.v1.is_some() || found.v2.is_some()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_encoded() {
        let trackers = ["http://site/announce/k?a=1&b=2".to_owned()];
        let seeds = ["https://mirror/a b".to_owned()];
        let magnet = Magnet {
            v1: Some(InfohashV1::new([0xab; 20])),
            v2: Some(InfohashV2::new([0xcd; 32])),
            name: "a&tr=http://evil/ é#",
            size: Some(7),
            trackers: &trackers,
            web_seeds: &seeds,
        };
        assert_eq!(
            magnet.to_string(),
            format!(
                "magnet:?xt=urn:btih:{}&xt=urn:btmh:1220{}&dn=a%26tr%3Dhttp%3A%2F%2Fevil%2F%20%C3%A9%23&xl=7\
                 &tr=http%3A%2F%2Fsite%2Fannounce%2Fk%3Fa%3D1%26b%3D2&ws=https%3A%2F%2Fmirror%2Fa%20b",
                "ab".repeat(20),
                "cd".repeat(32)
            )
        );
        let read = hashes(&magnet.to_string()).unwrap();
        assert_eq!((read.v1, read.v2), (magnet.v1, magnet.v2));
    }

    #[test]
    fn odd_spellings_are_read() {
        let hash = "ab".repeat(20);
        for text in [
            format!("MAGNET:?XT=URN:BTIH:{hash}"),
            format!("magnet:?dn=x&xt.1=urn%3Abtih%3A{hash}&xt.2=urn:sha1:ABC"),
        ] {
            assert_eq!(
                hashes(&text).unwrap().v1.unwrap().to_string(),
                hash,
                "{text}"
            );
        }
        for text in [
            "",
            "magnet",
            "magnet:?",
            "magnet:?xt=é",
            "magnet:?xt=urn:btih:12",
            "http://x/?xt=urn:btih:ab",
        ] {
            assert_eq!(hashes(text), None, "{text}");
        }
    }
}
