//! Finding the files to describe.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::encode::Described;
use super::error::CreateError;
use crate::bittorrent::metainfo::{MAX_FILES, MAX_PATH_DEPTH};

/// The files in the order of their paths, and where each lies on disk.
pub(super) struct Found {
    pub single_file: bool,
    pub files: Vec<Described>,
    pub sources: Vec<PathBuf>,
}

/// A folder still to be read: where it lies, and its path in the torrent.
struct Folder {
    source: PathBuf,
    path: Vec<String>,
}

pub(super) fn find(root: &Path) -> Result<Found, CreateError> {
    let metadata = fs::metadata(root).map_err(|error| CreateError::read(root, error))?;
    let mut found: Vec<(Described, PathBuf)> = Vec::new();
    let single_file = metadata.is_file();
    let mut folders = Vec::new();
    if single_file {
        // The caller knows the name, which is the path.
        found.push((described(Vec::new(), &metadata), root.to_owned()));
    } else if metadata.is_dir() {
        folders.push(Folder {
            source: root.to_owned(),
            path: Vec::new(),
        });
    } else {
        return Err(CreateError::NotAFile(root.to_owned()));
    }
    while let Some(folder) = folders.pop() {
        let failed = |error| CreateError::read(&folder.source, error);
        for entry in fs::read_dir(&folder.source).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let source = entry.path();
            let mut path = folder.path.clone();
            path.push(utf8(&source, &entry.file_name())?);
            let failed = |error| CreateError::read(&source, error);
            let is_link = entry.file_type().map_err(failed)?.is_symlink();
            let metadata = fs::metadata(&source).map_err(failed)?;
            if metadata.is_file() {
                if found.len() == MAX_FILES {
                    let problem = format!(
                        "there are more than {MAX_FILES} files; pack small ones into an archive"
                    );
                    return Err(CreateError::TooLarge(problem));
                }
                found.push((described(path, &metadata), source));
            } else if metadata.is_dir() && !is_link {
                if path.len() == MAX_PATH_DEPTH {
                    let problem = format!("is deeper than {MAX_PATH_DEPTH} folders");
                    let path = path.join("/");
                    return Err(CreateError::Path { path, problem });
                }
                folders.push(Folder { source, path });
            } else {
                return Err(CreateError::NotAFile(source));
            }
        }
    }
    found.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let (files, sources) = found.into_iter().unzip();
    Ok(Found {
        single_file,
        files,
        sources,
    })
}

/// The file's or folder's own name, also for `.` and paths that end in `..`.
pub(super) fn name(root: &Path) -> Result<String, CreateError> {
    let whole = fs::canonicalize(root).map_err(|error| CreateError::read(root, error))?;
    // A link is called by its own name, not by its target's.
    let last = root.file_name().or(whole.file_name());
    match last {
        Some(last) => utf8(root, last),
        None => Err(CreateError::Option {
            option: "name",
            problem: "the root of the file system has none; give one".into(),
        }),
    }
}

fn utf8(path: &Path, name: &OsStr) -> Result<String, CreateError> {
    name.to_str()
        .map(str::to_owned)
        .ok_or_else(|| CreateError::NotUtf8(path.to_owned()))
}

fn described(path: Vec<String>, metadata: &fs::Metadata) -> Described {
    Described {
        executable: is_executable(metadata),
        ..Described::new(path, metadata.len())
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
