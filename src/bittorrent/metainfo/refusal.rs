//! Why a .torrent is not accepted: the rule, the place, what is wrong and what to do about it.
//! Input that is quoted is cut and escaped here, and nowhere else.

use std::fmt;

use super::{MAX_BYTES, MAX_FILES, MAX_PATH_DEPTH};
use crate::bittorrent::bencode;

/// One broken rule. `to_string` is the sentence for the uploader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub rule: Rule,
    /// Where: "file 3", "`pieces`", "byte 1234"; `None` when it is the file as a whole.
    pub place: Option<String>,
    /// What is wrong there, as the rest of a sentence that starts with the place.
    pub problem: String,
    /// What the uploader can do.
    pub fix: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// More than 10 MiB: the only refusal that answers 413.
    TooLarge,
    Bencode,
    NotDictionary,
    NoInfo,
    MetaVersion,
    UnsortedKeys,
    Name,
    PieceLength,
    Private,
    /// Exactly one of `length` and `files`, and of the right shape.
    FileList,
    Length,
    Total,
    TooManyFiles,
    Path,
    PathDepth,
    DuplicatePath,
    FileAndFolder,
    Symlink,
    Pieces,
    FileTree,
    PiecesRoot,
    PieceLayers,
    HybridMismatch,
}

impl Rule {
    pub const ALL: [Rule; 23] = [
        Rule::TooLarge,
        Rule::Bencode,
        Rule::NotDictionary,
        Rule::NoInfo,
        Rule::MetaVersion,
        Rule::UnsortedKeys,
        Rule::Name,
        Rule::PieceLength,
        Rule::Private,
        Rule::FileList,
        Rule::Length,
        Rule::Total,
        Rule::TooManyFiles,
        Rule::Path,
        Rule::PathDepth,
        Rule::DuplicatePath,
        Rule::FileAndFolder,
        Rule::Symlink,
        Rule::Pieces,
        Rule::FileTree,
        Rule::PiecesRoot,
        Rule::PieceLayers,
        Rule::HybridMismatch,
    ];

    /// A stable name for counters, JSON and tests.
    pub const fn slug(self) -> &'static str {
        match self {
            Rule::TooLarge => "too-large",
            Rule::Bencode => "bencode",
            Rule::NotDictionary => "not-dictionary",
            Rule::NoInfo => "no-info",
            Rule::MetaVersion => "meta-version",
            Rule::UnsortedKeys => "unsorted-keys",
            Rule::Name => "name",
            Rule::PieceLength => "piece-length",
            Rule::Private => "private",
            Rule::FileList => "file-list",
            Rule::Length => "length",
            Rule::Total => "total",
            Rule::TooManyFiles => "too-many-files",
            Rule::Path => "path",
            Rule::PathDepth => "path-depth",
            Rule::DuplicatePath => "duplicate-path",
            Rule::FileAndFolder => "file-and-folder",
            Rule::Symlink => "symlink",
            Rule::Pieces => "pieces",
            Rule::FileTree => "file-tree",
            Rule::PiecesRoot => "pieces-root",
            Rule::PieceLayers => "piece-layers",
            Rule::HybridMismatch => "hybrid-mismatch",
        }
    }

    const fn fix(self) -> &'static str {
        match self {
            Rule::TooLarge => "build the torrent again with larger pieces",
            Rule::Bencode | Rule::NotDictionary | Rule::NoInfo => {
                "choose the .torrent file itself, or download or build it again"
            }
            Rule::MetaVersion => "build the torrent as v1, hybrid or v2",
            Rule::UnsortedKeys => "build the torrent again with a program that sorts keys",
            Rule::Name => "rename what you share and build the torrent again",
            Rule::PieceLength => "choose another piece length and build the torrent again",
            Rule::TooManyFiles => "pack small files into an archive and build the torrent again",
            Rule::Path | Rule::DuplicatePath | Rule::FileAndFolder => {
                "rename the file and build the torrent again"
            }
            Rule::PathDepth => "move the file up and build the torrent again",
            Rule::Symlink => "let the link point inside the torrent and build it again",
            Rule::Total => "share at least one byte and build the torrent again",
            Rule::HybridMismatch => {
                "build the torrent again as hybrid with a program that writes pad files"
            }
            Rule::PieceLayers => {
                "export the .torrent from a client that has the complete file, or build it again"
            }
            Rule::Private
            | Rule::FileList
            | Rule::Length
            | Rule::Pieces
            | Rule::FileTree
            | Rule::PiecesRoot => "build the torrent again",
        }
    }
}

impl Refusal {
    pub(crate) fn at(rule: Rule, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            rule,
            place: Some(place.into()),
            problem: problem.into(),
            fix: rule.fix(),
        }
    }

    pub(crate) fn whole(rule: Rule, problem: impl Into<String>) -> Self {
        Self {
            rule,
            place: None,
            problem: problem.into(),
            fix: rule.fix(),
        }
    }

    pub(super) fn too_large() -> Self {
        let limit = MAX_BYTES / (1024 * 1024);
        Self::whole(
            Rule::TooLarge,
            format!("the .torrent file is larger than {limit} MiB"),
        )
    }

    pub(super) fn too_many_files() -> Self {
        Self::whole(
            Rule::TooManyFiles,
            format!("the torrent has more than {MAX_FILES} files"),
        )
    }

    pub(super) fn path_depth(place: &str) -> Self {
        let problem = format!("path is deeper than {MAX_PATH_DEPTH} folders");
        Self::at(Rule::PathDepth, place, problem)
    }
}

impl From<bencode::Error> for Refusal {
    fn from(error: bencode::Error) -> Self {
        let place = format!("byte {}", error.offset);
        let problem = format!("not valid bencode: {}", error.rule);
        Self::at(Rule::Bencode, place, problem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

impl std::error::Error for Refusal {}

/// At most 60 characters of input for a message, whatever the bytes: control, formatting and
/// bidirectional characters and undecodable bytes appear escaped.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    let mut shown = String::new();
    let mut count = 0;
    // Four bytes a character: enough to fill the excerpt, whatever stands behind.
    for chunk in bytes[..bytes.len().min(4 * LIMIT)].utf8_chunks() {
        let plain = chunk.valid().chars().map(|c| {
            if c.is_control() || is_invisible(c) || c == '`' {
                c.escape_unicode().to_string()
            } else {
                c.to_string()
            }
        });
        let broken = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for piece in plain.chain(broken) {
            let width = piece.chars().count();
            if count + width > LIMIT {
                shown.push('…');
                return shown;
            }
            count += width;
            shown.push_str(&piece);
        }
    }
    shown
}

/// Zero-width and bidirectional controls, line and paragraph separators, byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
}
