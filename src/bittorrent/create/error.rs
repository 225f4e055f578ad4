//! Why no .torrent was made.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::bittorrent::metainfo::Refusal;

#[derive(Debug)]
pub enum CreateError {
    /// The file or folder cannot be read.
    Read { path: PathBuf, error: io::Error },
    /// Neither a file nor a folder, or a link to a folder.
    NotAFile(PathBuf),
    /// The name on disk is not UTF-8.
    NotUtf8(PathBuf),
    /// A name that no torrent may carry.
    Path { path: String, problem: String },
    /// The file's length changed between listing and reading.
    Changed(String),
    /// No file, or only empty ones.
    Empty,
    /// More than a torrent may describe.
    TooLarge(String),
    /// An option that cannot be followed.
    Option {
        option: &'static str,
        problem: String,
    },
    /// The result would not be accepted as an upload.
    Refused(Refusal),
}

impl CreateError {
    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            CreateError::NotAFile(path) => write!(
                f,
                "{} is neither a file nor a folder; leave it out or copy its content",
                path.display()
            ),
            CreateError::NotUtf8(path) => {
                write!(f, "the name of {} is not UTF-8; rename it", path.display())
            }
            CreateError::Path { path, problem } => {
                write!(f, "{path:?}: path {problem}; rename it")
            }
            CreateError::Changed(path) => write!(
                f,
                "{path} changed while it was read; try again when nobody writes to it"
            ),
            CreateError::Empty => f.write_str("there is no content: no file, or only empty ones"),
            CreateError::TooLarge(problem) => f.write_str(problem),
            CreateError::Option { option, problem } => write!(f, "{option}: {problem}"),
            CreateError::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for CreateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CreateError::Read { error, .. } => Some(error),
            _ => None,
        }
    }
}
