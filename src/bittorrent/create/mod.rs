//! Making .torrent files, v1, hybrid or v2: from a file or folder, from memory, or made up for
//! demonstrations and tests. The only part of `bittorrent` that touches files. What it writes has passed
//! `metainfo::parse`.

mod encode;
mod error;
mod hash;
mod synthesize;
mod walk;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

pub use error::CreateError;
pub use synthesize::synthesize;

use super::metainfo::{self, Kind, paths};
use encode::{Content, Described, Segment};
use hash::{FileHashes, PieceHashes};

/// Smallest and largest piece length that is chosen when none is given, in bytes.
const AUTO_PIECE_LENGTH: std::ops::RangeInclusive<u64> = 16 * 1024..=16 * 1024 * 1024;
const AUTO_PIECES: u64 = 2000;

/// How to describe the content.
#[derive(Clone, Debug)]
pub struct Options {
    pub kind: Kind,
    /// Bytes, a power of two from 16 KiB to 512 MiB; `None` aims at 1,000 to 2,000 pieces.
    pub piece_length: Option<u64>,
    pub private: bool,
    pub source: Option<String>,
    /// The first becomes `announce`; several each get a tier of their own.
    pub trackers: Vec<String>,
    /// http, https or ftp URLs.
    pub web_seeds: Vec<String>,
    pub comment: Option<String>,
    /// The torrent's name; `None` takes the file's or folder's.
    pub name: Option<String>,
    pub created_by: Option<String>,
    /// Unix seconds.
    pub created_at: Option<i64>,
}

impl Default for Options {
    /// Hybrid and public: every client can use it.
    fn default() -> Self {
        Self {
            kind: Kind::Hybrid,
            piece_length: None,
            private: false,
            source: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            name: None,
            created_by: None,
            created_at: None,
        }
    }
}

/// Opens the content of the nth file.
type Open<'a> = dyn FnMut(usize) -> Result<Box<dyn Read + 'a>, CreateError> + 'a;

/// Reads the file or folder once and answers with the .torrent. Folders are walked whole, in the order of
/// their names; links to files are followed, links to folders refused. `progress` hears the bytes hashed
/// and the bytes there are.
pub fn create(
    path: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, CreateError> {
    let found = walk::find(path)?;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => walk::name(path)?,
    };
    let mut content = Content {
        name,
        single_file: found.single_file,
        piece_length: 0,
        pieces: Vec::new(),
        files: found.files,
    };
    if content.single_file
        && let Some(only) = content.files.first_mut()
    {
        only.path = vec![content.name.clone()];
    }
    if options.kind == Kind::V2
        && !content.single_file
        && matches!(content.files.as_slice(), [only] if only.path.len() == 1)
    {
        let problem = "v2 describes a folder with one file as that file alone; \
                       choose the file itself, or hybrid";
        return Err(CreateError::Option {
            option: "kind",
            problem: problem.into(),
        });
    }
    let sources = found.sources;
    let mut open = |index: usize| -> Result<Box<dyn Read>, CreateError> {
        let source = &sources[index];
        let file = fs::File::open(source).map_err(|error| CreateError::read(source, error))?;
        Ok(Box::new(file))
    };
    build(content, &mut open, options, progress)
}

/// The same from memory: `files` are paths below the torrent's name and contents. One file whose path is
/// just `name` makes a single-file torrent.
pub fn create_from_memory(
    name: &str,
    files: &[(Vec<String>, Vec<u8>)],
    options: &Options,
) -> Result<Vec<u8>, CreateError> {
    let lengths = files.iter().map(|(path, bytes)| (path, bytes.len() as u64));
    let content = described(name, lengths);
    // `described` sorts; the contents must follow.
    let mut sorted: Vec<&(Vec<String>, Vec<u8>)> = files.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut open = |index: usize| -> Result<Box<dyn Read + '_>, CreateError> {
        Ok(Box::new(sorted[index].1.as_slice()))
    };
    build(content, &mut open, options, &mut |_, _| {})
}

/// 1,000 to 2,000 pieces where the limits of 16 KiB and 16 MiB allow.
pub fn auto_piece_length(total: u64) -> u64 {
    let mut length = *AUTO_PIECE_LENGTH.start();
    while length < *AUTO_PIECE_LENGTH.end() && total.div_ceil(length) > AUTO_PIECES {
        length *= 2;
    }
    length
}

fn described<'a>(name: &str, files: impl Iterator<Item = (&'a Vec<String>, u64)>) -> Content {
    let mut files: Vec<Described> = files
        .map(|(path, length)| Described::new(path.clone(), length))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let single_file = matches!(files.as_slice(), [only] if only.path == [name]);
    Content {
        name: name.to_owned(),
        single_file,
        piece_length: 0,
        pieces: Vec::new(),
        files,
    }
}

fn build(
    mut content: Content,
    open: &mut Open<'_>,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, CreateError> {
    prepare(&mut content, options)?;
    let total: u64 = content.files.iter().map(|file| file.length).sum();
    let piece_length = content.piece_length;
    let mut pieces = options
        .kind
        .has_v1()
        .then(|| PieceHashes::new(piece_length));
    let mut buffer = vec![0; 256 * 1024];
    let mut done = 0;
    for segment in content.segments(options.kind) {
        let index = match segment {
            Segment::Pad(length) => {
                if let Some(pieces) = &mut pieces {
                    pieces.update_zeros(length);
                }
                continue;
            }
            Segment::File(index) => index,
        };
        let length = content.files[index].length;
        let changed = || CreateError::Changed(content.files[index].path.join("/"));
        let failed = |error: io::Error| {
            CreateError::read(Path::new(&content.files[index].path.join("/")), error)
        };
        let mut tree = options
            .kind
            .has_v2()
            .then(|| FileHashes::new(length, piece_length));
        let mut reader = open(index)?;
        let mut left = length;
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            left = left.checked_sub(count as u64).ok_or_else(changed)?;
            if let Some(pieces) = &mut pieces {
                pieces.update(&buffer[..count]);
            }
            if let Some(tree) = &mut tree {
                tree.update(&buffer[..count]);
            }
            done += count as u64;
            progress(done, total);
        }
        if left > 0 {
            return Err(changed());
        }
        if let Some(tree) = tree
            && length > 0
        {
            let (root, layer) = tree.finish();
            content.files[index].root = Some(root);
            content.files[index].layer = layer;
        }
    }
    content.pieces = pieces.map(PieceHashes::finish).unwrap_or_default();
    checked(content, options)
}

/// Everything that can be refused before hours are spent on hashing.
fn prepare(content: &mut Content, options: &Options) -> Result<(), CreateError> {
    let wrong = |option: &'static str, problem: String| CreateError::Option { option, problem };
    let total = content
        .files
        .iter()
        .try_fold(0_u64, |sum, file| sum.checked_add(file.length))
        .filter(|&total| i64::try_from(total).is_ok())
        .ok_or_else(|| CreateError::TooLarge("the files have more than 2^63-1 bytes".into()))?;
    if total == 0 {
        return Err(CreateError::Empty);
    }
    if content.files.len() > metainfo::MAX_FILES {
        let limit = metainfo::MAX_FILES;
        let problem = format!("there are more than {limit} files; pack small ones into an archive");
        return Err(CreateError::TooLarge(problem));
    }
    if let Some(problem) = paths::component_problem(&content.name) {
        return Err(wrong("name", problem));
    }
    for file in &content.files {
        if let Some(problem) = file
            .path
            .iter()
            .find_map(|part| paths::component_problem(part))
        {
            return Err(CreateError::Path {
                path: file.path.join("/"),
                problem,
            });
        }
    }
    if let Some(url) = options
        .web_seeds
        .iter()
        .find(|url| !metainfo::is_web_seed(url))
    {
        let problem = format!("`{url}` is no http, https or ftp URL");
        return Err(wrong("web seeds", problem));
    }
    content.piece_length = match options.piece_length {
        None => auto_piece_length(total),
        Some(length) => {
            let known = metainfo::MIN_PIECE_LENGTH_V2..=metainfo::MAX_PIECE_LENGTH;
            if !length.is_power_of_two() || !known.contains(&length) {
                let problem =
                    format!("is {length}; it must be a power of two from 16 KiB to 512 MiB");
                return Err(wrong("piece length", problem));
            }
            length
        }
    };
    let hashes = total.div_ceil(content.piece_length);
    let bytes_each = 20 * u64::from(options.kind.has_v1()) + 32 * u64::from(options.kind.has_v2());
    if hashes.saturating_mul(bytes_each) > metainfo::MAX_BYTES as u64 {
        let problem = format!(
            "{total} bytes in pieces of {} make a .torrent file of more than 10 MiB; choose larger pieces",
            content.piece_length
        );
        return Err(CreateError::TooLarge(problem));
    }
    Ok(())
}

/// Encodes, and has the result judged by the same rules as an upload.
fn checked(content: Content, options: &Options) -> Result<Vec<u8>, CreateError> {
    let torrent = encode::torrent(&content, options);
    metainfo::parse(&torrent)?;
    Ok(torrent)
}
