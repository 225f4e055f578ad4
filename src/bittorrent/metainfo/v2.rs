//! The v2 part (BEP 52): `file tree`, `pieces root`, `piece layers`, and that a hybrid tells one story.

use std::collections::{BTreeMap, HashMap};

use super::paths::component_problem;
use super::refusal::{Refusal, Rule, excerpt};
use super::{Content, File, MAX_FILES, MAX_PATH_DEPTH, checked_total, file};
use crate::bittorrent::bencode::{Dict, DictItems, Value, Writer};
use crate::bittorrent::merkle;

const SHA256_BYTES: usize = 32;

pub(super) fn content(info: Dict<'_, '_>, piece_length: u64) -> Result<Content, Refusal> {
    let refuse = |problem: &str| Refusal::at(Rule::FileTree, "`file tree`", problem);
    let tree = info
        .get(b"file tree")
        .ok_or_else(|| refuse("is missing"))?
        .as_dict()
        .ok_or_else(|| refuse("is not a dictionary"))?;
    let files = walk(tree)?;
    checked_total(files.iter().map(|file| file.length))?;
    // BEP 52 has no other mark of a single-file torrent; clients save such a file without a folder.
    let single_file = matches!(files.as_slice(), [only] if only.path.len() == 1);
    Ok(Content {
        piece_count: files
            .iter()
            .map(|file| file.length.div_ceil(piece_length))
            .sum(),
        files,
        single_file,
    })
}

/// Depth first, with the iterators of the open folders on a stack of their own.
fn walk(tree: Dict<'_, '_>) -> Result<Vec<File>, Refusal> {
    let refuse = |place: &str, problem: &str| Refusal::at(Rule::FileTree, place, problem);
    let mut files: Vec<File> = Vec::new();
    let mut open: Vec<DictItems<'_, '_>> = vec![tree.iter()];
    let mut path: Vec<String> = Vec::new();
    while let Some(items) = open.last_mut() {
        let Some((key, value)) = items.next() else {
            open.pop();
            path.pop();
            continue;
        };
        let place = format!("file {}", files.len() + 1);
        if path.len() == MAX_PATH_DEPTH {
            return Err(Refusal::path_depth(&place));
        }
        path.push(component(key, &place)?);
        let shown = || excerpt(path.join("/").as_bytes());
        let node = value.as_dict().ok_or_else(|| {
            refuse(
                &place,
                &format!("`{}` in `file tree` is not a dictionary", shown()),
            )
        })?;
        let Some(leaf) = node.get(b"") else {
            if node.is_empty() {
                let problem = format!("`{}` in `file tree` is an empty folder", shown());
                return Err(refuse(&place, &problem));
            }
            open.push(node.iter());
            continue;
        };
        let leaf = leaf.as_dict().filter(|_| node.iter().count() == 1);
        let leaf = leaf.ok_or_else(|| {
            refuse(
                &place,
                &format!("`{}` in `file tree` is neither file nor folder", shown()),
            )
        })?;
        if files.len() == MAX_FILES {
            return Err(Refusal::too_many_files());
        }
        let mut file = file(leaf, &place)?;
        // Pieces are per file in v2: there is nothing to pad, and content must not hide as padding.
        file.pad = false;
        file.pieces_root = pieces_root(leaf, &file, &place)?;
        file.path = path.clone();
        path.pop();
        files.push(file);
    }
    if files.is_empty() {
        return Err(refuse("`file tree`", "is empty"));
    }
    Ok(files)
}

fn component(key: &[u8], place: &str) -> Result<String, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Path, place, problem);
    let key = std::str::from_utf8(key)
        .map_err(|_| refuse(format!("path is not UTF-8: `{}`", excerpt(key))))?;
    match component_problem(key) {
        Some(problem) => Err(refuse(format!("path {problem}"))),
        None => Ok(key.to_owned()),
    }
}

fn pieces_root(
    leaf: Dict<'_, '_>,
    file: &File,
    place: &str,
) -> Result<Option<merkle::Hash>, Refusal> {
    if file.length == 0 {
        return Ok(None);
    }
    let refuse = |problem: &str| Refusal::at(Rule::PiecesRoot, place, problem);
    let root = leaf
        .get(b"pieces root")
        .ok_or_else(|| refuse("has no `pieces root`"))?
        .as_bytes()
        .and_then(|root| merkle::Hash::try_from(root).ok())
        .ok_or_else(|| refuse("has a `pieces root` that is not 32 bytes"))?;
    if root == [0; SHA256_BYTES] {
        return Err(refuse("has a `pieces root` of zeros"));
    }
    Ok(Some(root))
}

/// One hybrid from its two descriptions: the same files in the same order, and in v1 padded so that each
/// begins a piece, without which the two kinds of hashes cannot both be right.
pub(super) fn join(old: Content, new: Content, piece_length: u64) -> Result<Content, Refusal> {
    let refuse = |place: String, problem: String| Refusal::at(Rule::HybridMismatch, place, problem);
    let shown = |file: &File| excerpt(file.path.join("/").as_bytes());
    let mut files = old.files;
    let mut others = new.files.into_iter();
    let mut offset = 0_u64;
    for (index, file) in files.iter_mut().enumerate() {
        let begin = offset;
        // The caller has checked that the lengths add up within 63 bits.
        offset = offset.saturating_add(file.length);
        if file.pad {
            continue;
        }
        let place = format!("file {}", index + 1);
        let Some(other) = others.next() else {
            let problem = format!("`{}` is in `files` and not in `file tree`", shown(file));
            return Err(refuse(place, problem));
        };
        if file.path != other.path {
            let problem = format!(
                "is `{}` in `files` and `{}` in `file tree`",
                shown(file),
                shown(&other)
            );
            return Err(refuse(place, problem));
        }
        if file.length != other.length {
            let problem = format!(
                "has {} bytes in `files` and {} in `file tree`",
                file.length, other.length
            );
            return Err(refuse(place, problem));
        }
        if file.length > 0 && !begin.is_multiple_of(piece_length) {
            let problem = "does not begin a piece: padding is missing before it";
            return Err(refuse(place, problem.into()));
        }
        file.pieces_root = other.pieces_root;
    }
    if let Some(other) = others.next() {
        let problem = format!("has `{}`, which `files` has not", shown(&other));
        return Err(refuse("`file tree`".into(), problem));
    }
    Ok(Content {
        files,
        single_file: old.single_file,
        piece_count: old.piece_count,
    })
}

/// Checks that `piece layers` has, for every file of more than one piece, hashes that lead to its root.
/// Answers with the canonical dictionary of exactly these layers.
pub(super) fn piece_layers(
    torrent: Dict<'_, '_>,
    files: &[File],
    piece_length: u64,
) -> Result<Vec<u8>, Refusal> {
    let given: HashMap<&[u8], &[u8]> = torrent
        .get(b"piece layers")
        .and_then(Value::as_dict)
        .into_iter()
        .flat_map(Dict::iter)
        .filter_map(|(root, layer)| Some((root, layer.as_bytes()?)))
        .collect();
    let padding = merkle::absent_piece(piece_length);
    // Files with the same content share a layer, which is hashed once.
    let mut kept: BTreeMap<merkle::Hash, &[u8]> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let Some(root) = file.pieces_root.filter(|_| file.length > piece_length) else {
            continue;
        };
        let shown = excerpt(file.path.join("/").as_bytes());
        let refuse = |problem: String| {
            Refusal::at(
                Rule::PieceLayers,
                format!("file {} `{shown}`", index + 1),
                problem,
            )
        };
        let layer = *given
            .get(root.as_slice())
            .ok_or_else(|| refuse("has no hashes in `piece layers`".into()))?;
        let expected = file.length.div_ceil(piece_length);
        if layer.len() as u64 != expected.saturating_mul(SHA256_BYTES as u64) {
            return Err(refuse(format!(
                "has {} bytes in `piece layers` where {expected} hashes of 32 are needed",
                layer.len()
            )));
        }
        if kept.contains_key(&root) {
            continue;
        }
        let (row, _) = layer.as_chunks::<SHA256_BYTES>();
        if merkle::root(row.to_vec(), padding) != root {
            return Err(refuse(
                "has `piece layers` that do not lead to its `pieces root`".into(),
            ));
        }
        kept.insert(root, layer);
    }
    let mut writer = Writer::new();
    writer.begin_dict();
    for (root, layer) in kept {
        writer.bytes(&root).bytes(layer);
    }
    writer.end();
    Ok(writer.finish())
}
