//! The v1 part of `info`: `length` or `files`, and `pieces` (BEP 3).

use super::refusal::{Refusal, Rule};
use super::{Content, File, MAX_FILES, checked_total, file, paths};
use crate::bittorrent::bencode::{Dict, Value};

const SHA1_BYTES: u64 = 20;

/// How BitComet named padding before there was an attribute for it.
const BITCOMET_PADDING: &str = "_____padding_file_";

pub(super) fn content(
    info: Dict<'_, '_>,
    name: &str,
    piece_length: u64,
) -> Result<Content, Refusal> {
    let (files, single_file) = match (info.get(b"length"), info.get(b"files")) {
        (Some(_), None) => (vec![single(info, name)?], true),
        (None, Some(list)) => (several(list)?, false),
        (Some(_), Some(_)) => {
            let problem = "has both `length` and `files`";
            return Err(Refusal::at(Rule::FileList, "`info`", problem));
        }
        (None, None) => {
            let problem = "has neither `length` nor `files`";
            return Err(Refusal::at(Rule::FileList, "`info`", problem));
        }
    };
    paths::refuse_clashes(&files)?;
    let total = checked_total(files.iter().map(|file| file.length))?;
    Ok(Content {
        piece_count: piece_count(info, total, piece_length)?,
        files,
        single_file,
    })
}

fn single(info: Dict<'_, '_>, name: &str) -> Result<File, Refusal> {
    let mut single = file(info, "`info`")?;
    single.path = vec![name.to_owned()];
    Ok(single)
}

fn several(list: Value<'_, '_>) -> Result<Vec<File>, Refusal> {
    let refuse = |place: &str, problem: &str| Refusal::at(Rule::FileList, place, problem);
    let entries = list
        .as_list()
        .ok_or_else(|| refuse("`files`", "is not a list"))?;
    let mut files = Vec::new();
    for (index, entry) in entries.enumerate() {
        if index == MAX_FILES {
            return Err(Refusal::too_many_files());
        }
        let place = format!("file {}", index + 1);
        let entry = entry
            .as_dict()
            .ok_or_else(|| refuse(&place, "is not a dictionary"))?;
        let mut file = file(entry, &place)?;
        file.path = paths::path(entry, &place)?;
        let last = file.path.last();
        file.pad |= last.is_some_and(|last| last.starts_with(BITCOMET_PADDING));
        files.push(file);
    }
    if files.is_empty() {
        return Err(refuse("`files`", "is empty"));
    }
    Ok(files)
}

/// `pieces` must hold exactly one SHA-1 for every piece begun.
fn piece_count(info: Dict<'_, '_>, total: u64, piece_length: u64) -> Result<u64, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Pieces, "`pieces`", problem);
    let pieces = info
        .get(b"pieces")
        .ok_or_else(|| refuse("is missing".into()))?
        .as_bytes()
        .ok_or_else(|| refuse("is not a string of hashes".into()))?;
    let bytes = pieces.len() as u64;
    let expected = total.div_ceil(piece_length);
    if expected == 0 {
        return Err(Refusal::whole(
            Rule::Total,
            "the torrent has no content: its files are empty",
        ));
    }
    if bytes == 0 || !bytes.is_multiple_of(SHA1_BYTES) {
        return Err(refuse(format!(
            "has {bytes} bytes, which is no multiple of 20"
        )));
    }
    let found = bytes / SHA1_BYTES;
    if found != expected {
        let problem = format!(
            "has {found} hashes where {total} bytes in pieces of {piece_length} need {expected}"
        );
        return Err(refuse(problem));
    }
    Ok(found)
}
