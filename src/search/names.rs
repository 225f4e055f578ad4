//! The file names of a torrent that are searched: each folder and file name once, up to a bound, so that a torrent
//! of a hundred thousand files weighs no more than a hundred others.

use std::collections::HashSet;

use crate::bittorrent::files;

const MAX_NAMES: usize = 2_000;
const MAX_BYTES: usize = 64_000;

/// The names in a packed file list (`bittorrent::files`); padding has none.
pub fn of_packed(packed: &[u8]) -> anyhow::Result<Vec<String>> {
    let files =
        files::unpack(packed).map_err(|e| anyhow::anyhow!("{} at byte {}", e.what, e.offset))?;
    Ok(distinct(
        files
            .iter()
            .filter(|file| !file.pad)
            .flat_map(|file| file.path.split('/')),
    ))
}

/// The first names, each once.
pub fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    let mut bytes = 0;
    for name in names {
        if kept.len() == MAX_NAMES || bytes + name.len() > MAX_BYTES {
            break;
        }
        if seen.insert(name) {
            bytes += name.len();
            kept.push(name.to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_once_and_not_without_bound() {
        let names = ["disc 1", "a.flac", "disc 1", "b.flac"];
        assert_eq!(distinct(names.into_iter()), ["disc 1", "a.flac", "b.flac"]);
        let many: Vec<String> = (0..5_000).map(|n| format!("{n}.txt")).collect();
        assert_eq!(distinct(many.iter().map(String::as_str)).len(), MAX_NAMES);
        let long: Vec<String> = (0..1_000)
            .map(|n| format!("{n}{}", "x".repeat(250)))
            .collect();
        assert!(distinct(long.iter().map(String::as_str)).len() < 300);
    }
}
