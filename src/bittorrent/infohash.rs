//! The identities of a torrent: SHA-1 of `info` (BEP 3) and SHA-256 of `info` (BEP 52),
//! in every spelling that people paste.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::magnet;

/// SHA-1 of the bytes of `info`: 20 bytes. Also what trackers and peers see of a v2 hash, truncated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfohashV1([u8; 20]);

/// SHA-256 of the bytes of `info`: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfohashV2([u8; 32]);

/// Either identity, as pasted into a search box or a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Infohash {
    V1(InfohashV1),
    V2(InfohashV2),
}

/// The text is no infohash; the message lists the accepted spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnInfohash;

/// Multihash prefix of a v2 hash in magnet links: 0x12 is SHA-256, 0x20 is 32 bytes.
const MULTIHASH_SHA256: &str = "1220";

impl InfohashV1 {
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Hashes the verbatim bytes of `info`.
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }

    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// `None` unless the slice has 20 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl InfohashV2 {
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes the verbatim bytes of `info`.
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha256::digest(info).into())
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `None` unless the slice has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The first 20 bytes: what a v2 swarm is called in announces, scrapes and handshakes (BEP 52).
    pub fn truncated(&self) -> InfohashV1 {
        let mut short = [0; 20];
        short.copy_from_slice(&self.0[..20]);
        InfohashV1(short)
    }
}

impl Infohash {
    /// Reads 40 hex, 32 base32, 64 hex or multihash hex digits, or a whole magnet link, with blanks
    /// around it. A magnet link with both hashes answers with the v1 one.
    pub fn parse_any(text: &str) -> Option<Self> {
        Self::all_in(text).into_iter().next()
    }

    /// As [`Self::parse_any`], with both hashes of a magnet link, v1 first.
    pub fn all_in(text: &str) -> Vec<Self> {
        let text = text.trim();
        match magnet::hashes(text) {
            Some(hashes) => {
                let (v1, v2) = (hashes.v1.map(Self::V1), hashes.v2.map(Self::V2));
                v1.into_iter().chain(v2).collect()
            }
            None => text.parse().into_iter().collect(),
        }
    }
}

impl FromStr for Infohash {
    type Err = NotAnInfohash;

    fn from_str(text: &str) -> Result<Self, NotAnInfohash> {
        text.parse()
            .map(Infohash::V1)
            .or_else(|NotAnInfohash| text.parse().map(Infohash::V2))
    }
}

impl FromStr for InfohashV1 {
    type Err = NotAnInfohash;

    /// 40 hexadecimal or 32 base32 digits, upper or lower case.
    fn from_str(text: &str) -> Result<Self, NotAnInfohash> {
        let bytes = match text.len() {
            40 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            32 => BASE32.decode(text.to_ascii_uppercase().as_bytes()),
            _ => return Err(NotAnInfohash),
        };
        bytes
            .ok()
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or(NotAnInfohash)
    }
}

impl FromStr for InfohashV2 {
    type Err = NotAnInfohash;

    /// 64 hexadecimal digits, or 68 that start with the multihash prefix `1220`, upper or lower case.
    fn from_str(text: &str) -> Result<Self, NotAnInfohash> {
        let digits = match text.len() {
            68 => text.strip_prefix(MULTIHASH_SHA256).ok_or(NotAnInfohash)?,
            _ => text,
        };
        HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .ok()
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or(NotAnInfohash)
    }
}

impl fmt::Display for InfohashV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for InfohashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for Infohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Infohash::V1(hash) => hash.fmt(f),
            Infohash::V2(hash) => hash.fmt(f),
        }
    }
}

impl fmt::Debug for InfohashV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfohashV1({self})")
    }
}

impl fmt::Debug for InfohashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfohashV2({self})")
    }
}

impl fmt::Display for NotAnInfohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an infohash: expected 40 hexadecimal or 32 base32 digits (v1), 64 hexadecimal digits (v2), or a magnet link")
    }
}

impl std::error::Error for NotAnInfohash {}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "c9e15763f722f23e98a29decdfae341b98d53056";
    const V2: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

    #[test]
    fn v1_reads_hex_and_base32_of_any_case() {
        let hash: InfohashV1 = V1.parse().unwrap();
        assert_eq!(hash.to_string(), V1);
        assert_eq!(V1.to_uppercase().parse::<InfohashV1>().unwrap(), hash);
        let base32 = BASE32.encode(hash.as_bytes());
        assert_eq!(base32.parse::<InfohashV1>().unwrap(), hash);
        assert_eq!(base32.to_lowercase().parse::<InfohashV1>().unwrap(), hash);
    }

    #[test]
    fn v2_reads_hex_and_multihash_and_truncates() {
        let hash: InfohashV2 = V2.parse().unwrap();
        assert_eq!(hash.to_string(), V2);
        assert_eq!(format!("1220{V2}").parse::<InfohashV2>().unwrap(), hash);
        assert_eq!(hash.truncated().to_string(), V2[..40]);
        assert!(format!("1320{V2}").parse::<InfohashV2>().is_err());
    }

    #[test]
    fn slices_of_other_lengths_are_not_hashes() {
        assert!(InfohashV1::from_slice(&[0; 19]).is_none());
        assert!(InfohashV1::from_slice(&[0; 20]).is_some());
        assert!(InfohashV2::from_slice(&[0; 20]).is_none());
        assert!(InfohashV2::from_slice(&[0; 32]).is_some());
    }

    #[test]
    fn anything_pasted_is_understood_or_none() {
        let v1 = Infohash::V1(V1.parse().unwrap());
        let v2 = Infohash::V2(V2.parse().unwrap());
        assert_eq!(Infohash::parse_any(&format!("  {V1}\n")), Some(v1));
        assert_eq!(Infohash::parse_any(V2), Some(v2));
        let magnet = format!("magnet:?dn=a&xt=urn:btih:{}&tr=x", V1.to_uppercase());
        assert_eq!(Infohash::parse_any(&magnet), Some(v1));
        let both = format!("{magnet}&xt=urn:btmh:1220{V2}");
        assert_eq!(Infohash::all_in(&both), [v1, v2]);
        let magnet = format!("magnet:?xt=urn:btmh:1220{V2}");
        assert_eq!(Infohash::parse_any(&magnet), Some(v2));
        for text in [
            "",
            "ubuntu",
            &V1[1..],
            "é".repeat(20).as_str(),
            "magnet:?dn=x",
        ] {
            assert_eq!(Infohash::parse_any(text), None, "{text}");
        }
    }
}
