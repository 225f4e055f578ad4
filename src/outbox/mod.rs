//! Messages to the companion tracker: what shall be true of an infohash or a passkey. They are rows, written in the
//! transaction of the change that causes them, and delivered by `tracker::torrust`. A newer message takes the place
//! of an older one of the same subject. Without a companion (the row of `companion` says so, or is not there) nothing is written.

pub mod queries;

use std::fmt;
use std::str::FromStr;

pub use queries::{member, retired, torrent, torrents};

/// What the tracker is told of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An infohash may be announced.
    Allow,
    Forbid,
    /// A passkey may announce.
    Admit,
    Revoke,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Allow, Self::Forbid, Self::Admit, Self::Revoke];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
            Self::Admit => "admit",
            Self::Revoke => "revoke",
        }
    }

    /// Takes something away: it overtakes what adds, and is never given up.
    pub fn revokes(self) -> bool {
        matches!(self, Self::Forbid | Self::Revoke)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no kind of message"))
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Which messages go first. The numbers stand in `outbox.lane`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Revocations = 0,
    Additions = 1,
    /// Everything anew, for a tracker that has forgotten.
    Everything = 2,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as i64)
    }
}
