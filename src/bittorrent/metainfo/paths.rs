//! Names and paths: what one component may be, and that a list of files makes a sound tree.

use super::refusal::{Refusal, Rule, excerpt};
use super::{File, MAX_PATH_DEPTH};
use crate::bittorrent::bencode::{Dict, Value};

/// The longest name that file systems take.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// What is wrong with a name as one component of a path, as the rest of the sentence "the name ..".
pub(crate) fn component_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("has an empty part".into());
    }
    if name == "." || name == ".." {
        return Some(format!("has `{name}`"));
    }
    if name.len() > MAX_COMPONENT_BYTES {
        let shown = excerpt(name.as_bytes());
        return Some(format!(
            "has a part longer than {MAX_COMPONENT_BYTES} bytes: `{shown}`"
        ));
    }
    let bad = name.chars().find(|&c| is_forbidden(c))?;
    let what = match bad {
        '/' | '\\' => format!("the separator `{bad}`"),
        _ if bad.is_control() => format!("the control character U+{:04X}", bad as u32),
        _ => format!("the text direction control U+{:04X}", bad as u32),
    };
    let shown = excerpt(name.as_bytes());
    Some(format!("has {what} in `{shown}`"))
}

/// Separators, controls, and the characters that reorder text (UAX 9).
fn is_forbidden(c: char) -> bool {
    c == '/'
        || c == '\\'
        || c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// `name`, or its twin `name.utf-8` when `name` is in an older encoding.
pub(super) fn name(info: Dict<'_, '_>) -> Result<String, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Name, "`name`", problem);
    let broken = |problem: &str| Refusal {
        fix: "build the torrent again",
        ..refuse(problem.into())
    };
    let given = info
        .get(b"name")
        .ok_or_else(|| broken("is missing"))?
        .as_bytes()
        .ok_or_else(|| broken("is not text"))?;
    let twin = info.get(b"name.utf-8").and_then(Value::as_bytes);
    let name = std::str::from_utf8(given)
        .ok()
        .or_else(|| std::str::from_utf8(twin?).ok())
        .ok_or_else(|| refuse(format!("is not UTF-8: `{}`", excerpt(given))))?;
    match component_problem(name) {
        Some(problem) => Err(refuse(problem)),
        None => Ok(name.to_owned()),
    }
}

/// `path` of a v1 file, or its twin `path.utf-8` when `path` is in an older encoding.
pub(super) fn path(file: Dict<'_, '_>, place: &str) -> Result<Vec<String>, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Path, place, problem);
    let given = file
        .get(b"path")
        .ok_or_else(|| refuse("has no `path`".into()))?;
    match components(given, place)? {
        Some(path) => Ok(path),
        None => match file.get(b"path.utf-8") {
            Some(twin) => components(twin, place)?,
            None => None,
        }
        .ok_or_else(|| refuse(format!("path is not UTF-8: `{}`", joined(given)))),
    }
}

/// `symlink path` of a link (BEP 47): where it points, from the torrent's root.
pub(super) fn symlink(file: Dict<'_, '_>, place: &str) -> Result<Vec<String>, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Symlink, place, problem);
    let target = file
        .get(b"symlink path")
        .ok_or_else(|| refuse("is a link without `symlink path`".into()))?;
    match components(target, place) {
        Ok(Some(path)) => Ok(path),
        Ok(None) => Err(refuse("link target is not UTF-8".into())),
        Err(refusal) => Err(refuse(format!("link target: {}", refusal.problem))),
    }
}

/// `Ok(None)` when a component is not UTF-8.
fn components(value: Value<'_, '_>, place: &str) -> Result<Option<Vec<String>>, Refusal> {
    let refuse = |problem: String| Refusal::at(Rule::Path, place, problem);
    let list = value
        .as_list()
        .ok_or_else(|| refuse("path is not a list of names".into()))?;
    let mut path = Vec::new();
    let mut decodes = true;
    for part in list {
        let part = part
            .as_bytes()
            .ok_or_else(|| refuse("path is not a list of names".into()))?;
        if path.len() == MAX_PATH_DEPTH {
            return Err(Refusal::path_depth(place));
        }
        match std::str::from_utf8(part) {
            Ok(part) => {
                if let Some(problem) = component_problem(part) {
                    return Err(refuse(format!("path {problem}")));
                }
                path.push(part.to_owned());
            }
            Err(_) => {
                decodes = false;
                path.push(String::new());
            }
        }
    }
    if path.is_empty() {
        return Err(refuse("path is empty".into()));
    }
    Ok(decodes.then_some(path))
}

fn joined(path: Value<'_, '_>) -> String {
    let parts: Vec<&[u8]> = path
        .as_list()
        .into_iter()
        .flatten()
        .filter_map(Value::as_bytes)
        .collect();
    excerpt(&parts.join(&b'/'))
}

/// No path twice, and none that is a file here and a folder there. Pad files share names on purpose
/// and are left out.
pub(super) fn refuse_clashes(files: &[File]) -> Result<(), Refusal> {
    // NUL sorts before every character that a component may have, so that a file stands directly
    // before whatever treats it as a folder.
    let mut paths: Vec<(String, usize)> = files
        .iter()
        .enumerate()
        .filter(|(_, file)| !file.pad)
        .map(|(index, file)| (file.path.join("\0"), index))
        .collect();
    paths.sort();
    for pair in paths.windows(2) {
        let [(first, a), (second, b)] = pair else {
            continue;
        };
        let Some(rest) = second.strip_prefix(first.as_str()) else {
            continue;
        };
        let (low, high) = (a.min(b) + 1, a.max(b) + 1);
        let shown = excerpt(first.replace('\0', "/").as_bytes());
        let place = format!("file {high}");
        if rest.is_empty() {
            let problem = format!("has the same path as file {low}: `{shown}`");
            return Err(Refusal::at(Rule::DuplicatePath, place, problem));
        }
        if rest.starts_with('\0') {
            let problem = format!("`{shown}` is a file and, with file {low}, also a folder");
            return Err(Refusal::at(Rule::FileAndFolder, place, problem));
        }
    }
    Ok(())
}
