//! From untrusted bytes to a checked torrent: v1 (BEP 3), hybrid and v2 (BEP 52), with the attributes of
//! BEP 47. `info` is kept as sent; nothing is ever encoded again. Each refusal names its rule and place.

mod outer;
pub(crate) mod paths;
mod refusal;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub(crate) use outer::is_web_seed;
pub use outer::{MAX_WEB_SEEDS, Outer};
pub use refusal::{Refusal, Rule};

use refusal::excerpt;

use super::bencode::{self, Dict, Value};
use super::infohash::{InfohashV1, InfohashV2};

/// The largest .torrent accepted, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Files in one torrent, pad files included.
pub const MAX_FILES: usize = 100_000;
/// Components in one path below the torrent's name.
pub const MAX_PATH_DEPTH: usize = 64;
pub const MIN_PIECE_LENGTH_V1: u64 = 1024;
pub const MIN_PIECE_LENGTH_V2: u64 = 16 * 1024;
pub const MAX_PIECE_LENGTH: u64 = 512 * 1024 * 1024;

/// A torrent that keeps all the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// The bytes of `info` as sent: what the hashes are of, and what is served.
    pub info: Vec<u8>,
    /// SHA-1 of `info`; v1 and hybrid.
    pub infohash_v1: Option<InfohashV1>,
    /// SHA-256 of `info`; hybrid and v2.
    pub infohash_v2: Option<InfohashV2>,
    pub kind: Kind,
    /// One path component, valid UTF-8.
    pub name: String,
    /// Bytes.
    pub piece_length: u64,
    /// v1 pieces where there are any, else the sum over files of pieces begun.
    pub piece_count: u64,
    pub private: bool,
    /// `source`, which trackers use to make hashes their own; for display.
    pub source: Option<String>,
    /// The torrent is one file, not a folder called `name`.
    pub single_file: bool,
    pub files: Vec<File>,
    /// Bytes without pad files, 1 to 2^63-1.
    pub size: u64,
    pub outer: Outer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    V1,
    Hybrid,
    V2,
}

/// One file, in the order of the torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Below the torrent's name; in a single-file torrent the file's own name (in v2 alone, where
    /// `name` is advisory, the two can differ).
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Padding that no person is meant to see (BEP 47, or BitComet's older way).
    pub pad: bool,
    pub executable: bool,
    pub hidden: bool,
    /// Where the link points, from the torrent's root.
    pub symlink: Option<Vec<String>>,
    /// Root of the file's hash tree; hybrid and v2, non-empty files.
    pub pieces_root: Option<[u8; 32]>,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::V1 => "v1",
            Kind::Hybrid => "hybrid",
            Kind::V2 => "v2",
        }
    }

    pub const fn has_v1(self) -> bool {
        matches!(self, Kind::V1 | Kind::Hybrid)
    }

    pub const fn has_v2(self) -> bool {
        matches!(self, Kind::Hybrid | Kind::V2)
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "v1" => Ok(Kind::V1),
            "hybrid" => Ok(Kind::Hybrid),
            "v2" => Ok(Kind::V2),
            _ => Err(UnknownKind),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind;

impl std::fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unknown kind of torrent: expected `v1`, `hybrid` or `v2`")
    }
}

impl std::error::Error for UnknownKind {}

/// What v1 and v2 each say about the content.
struct Content {
    files: Vec<File>,
    single_file: bool,
    piece_count: u64,
}

/// Reads and checks a whole .torrent file. Blank line ends after it are tolerated.
pub fn parse(bytes: &[u8]) -> Result<Metainfo, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::too_large());
    }
    let end = bytes
        .iter()
        .rposition(|&byte| byte != b'\n' && byte != b'\r')
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Err(Refusal::whole(Rule::Bencode, "the file is empty"));
    }
    if bytes[0] != b'd' {
        let problem = format!(
            "starts with `{}`: this is no .torrent file",
            excerpt(&bytes[..end.min(20)])
        );
        return Err(Refusal::at(Rule::NotDictionary, "the file", problem));
    }
    let document = bencode::scan(&bytes[..end])?;
    let torrent = document.root().as_dict().ok_or_else(|| {
        Refusal::whole(Rule::NotDictionary, "the file is not a bencoded dictionary")
    })?;
    let info_value = torrent
        .get(b"info")
        .ok_or_else(|| Refusal::whole(Rule::NoInfo, "the file has no `info`"))?;
    let info = info_value
        .as_dict()
        .ok_or_else(|| Refusal::at(Rule::NoInfo, "`info`", "is not a dictionary"))?;

    let kind = kind(info)?;
    if kind.has_v2() && !info_value.is_sorted() {
        let problem = "has keys out of order, which v2 does not allow";
        return Err(Refusal::at(Rule::UnsortedKeys, "`info`", problem));
    }
    let name = paths::name(info)?;
    let piece_length = piece_length(info, kind)?;
    let private = private(info)?;
    let mut content = match kind {
        Kind::V1 => v1::content(info, &name, piece_length)?,
        Kind::V2 => {
            refuse_half_hybrid(info)?;
            v2::content(info, piece_length)?
        }
        Kind::Hybrid => {
            let old = v1::content(info, &name, piece_length)?;
            let new = v2::content(info, piece_length)?;
            v2::join(old, new, piece_length)?
        }
    };
    let size = size(&content.files)?;
    let layers = match kind {
        Kind::V1 => None,
        Kind::Hybrid | Kind::V2 => Some(v2::piece_layers(torrent, &content.files, piece_length)?),
    };
    content.files.shrink_to_fit();

    let info_bytes = info_value.raw();
    Ok(Metainfo {
        info: info_bytes.to_vec(),
        infohash_v1: kind.has_v1().then(|| InfohashV1::of_info(info_bytes)),
        infohash_v2: kind.has_v2().then(|| InfohashV2::of_info(info_bytes)),
        kind,
        name,
        piece_length,
        piece_count: content.piece_count,
        private,
        source: outer::text(info.get(b"source"), 200),
        single_file: content.single_file,
        files: content.files,
        size,
        outer: outer::read(torrent, private, layers),
    })
}

/// `meta version` decides; `pieces` tells a hybrid from v2 alone.
fn kind(info: Dict<'_, '_>) -> Result<Kind, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::MetaVersion, "`meta version`", problem);
    let Some(version) = info.get(b"meta version") else {
        return Ok(Kind::V1);
    };
    match version.as_int() {
        Some(1) => Ok(Kind::V1),
        Some(2) if info.get(b"pieces").is_some() => Ok(Kind::Hybrid),
        Some(2) => Ok(Kind::V2),
        Some(other) => Err(refuse(format!("is {other}; known are 1 and 2"))),
        None => Err(refuse("is not a number".into())),
    }
}

/// A v1 file list that no v1 client can check would be a second story about the content.
fn refuse_half_hybrid(info: Dict<'_, '_>) -> Result<(), Refusal> {
    let extra = ["length", "files"]
        .into_iter()
        .find(|key| info.get(key.as_bytes()).is_some());
    match extra {
        None => Ok(()),
        Some(key) => {
            let problem = format!("has the `{key}` of a v1 torrent without its `pieces`");
            Err(Refusal::at(Rule::FileList, "`info`", problem))
        }
    }
}

fn piece_length(info: Dict<'_, '_>, kind: Kind) -> Result<u64, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::PieceLength, "`piece length`", problem);
    let given = info
        .get(b"piece length")
        .ok_or_else(|| refuse("is missing".into()))?
        .as_int()
        .ok_or_else(|| refuse("is not a number".into()))?;
    let length = u64::try_from(given).unwrap_or(0);
    if !(MIN_PIECE_LENGTH_V1..=MAX_PIECE_LENGTH).contains(&length) {
        return Err(refuse(format!("is {given}; it must be 1 KiB to 512 MiB")));
    }
    if kind.has_v2() && !(length.is_power_of_two() && length >= MIN_PIECE_LENGTH_V2) {
        let problem = format!("is {given}; in v2 it must be a power of two of at least 16 KiB");
        return Err(refuse(problem));
    }
    Ok(length)
}

/// BEP 27. A value that is no number means different things to different clients, so it is refused.
fn private(info: Dict<'_, '_>) -> Result<bool, Refusal> {
    match info.get(b"private").map(Value::as_int) {
        None => Ok(false),
        Some(Some(flag)) => Ok(flag != 0),
        Some(None) => Err(Refusal::at(
            Rule::Private,
            "`private`",
            "is neither the number 0 nor 1",
        )),
    }
}

/// Bytes in files that are not padding.
fn size(files: &[File]) -> Result<u64, Refusal> {
    let lengths = files
        .iter()
        .filter(|file| !file.pad)
        .map(|file| file.length);
    match checked_total(lengths)? {
        0 => Err(Refusal::whole(
            Rule::Total,
            "the torrent has no content: its files are empty",
        )),
        size => Ok(size),
    }
}

fn checked_total(lengths: impl Iterator<Item = u64>) -> Result<u64, Refusal> {
    lengths
        .into_iter()
        .try_fold(0_u64, u64::checked_add)
        .filter(|&total| i64::try_from(total).is_ok())
        .ok_or_else(|| {
            Refusal::whole(
                Rule::Total,
                "the lengths of the files add up to more than 2^63-1 bytes",
            )
        })
}

/// `length` of a file; links may do without (BEP 47).
fn length(file: Dict<'_, '_>, place: &str, is_link: bool) -> Result<u64, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Length, place, problem);
    let Some(value) = file.get(b"length") else {
        return match is_link {
            true => Ok(0),
            false => Err(refuse("has no `length`".into())),
        };
    };
    let length = value
        .as_int()
        .ok_or_else(|| refuse("has a `length` that is not a number".into()))?;
    u64::try_from(length).map_err(|_| refuse(format!("has the length {length}")))
}

/// Reads what v1 and v2 say of a file alike: `attr`, `symlink path`, `length`. The path is the caller's.
fn file(entry: Dict<'_, '_>, place: &str) -> Result<File, Refusal> {
    let attributes = entry.get(b"attr").and_then(Value::as_bytes).unwrap_or(b"");
    let is_link = attributes.contains(&b'l');
    Ok(File {
        path: Vec::new(),
        length: length(entry, place, is_link)?,
        pad: attributes.contains(&b'p'),
        executable: attributes.contains(&b'x'),
        hidden: attributes.contains(&b'h'),
        symlink: match is_link {
            true => Some(paths::symlink(entry, place)?),
            false => None,
        },
        pieces_root: None,
    })
}
