//! One folder of a torrent's file list as a page shows it: folders first, then files, in the order a
//! person expects (`2.txt` before `10.txt`), a page at a time. Padding is counted, not shown.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use super::PackedFile;

/// One page of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    pub entries: Vec<Entry<'a>>,
    /// Entries of the folder on all pages.
    pub total: usize,
    /// Files in the folder and below it.
    pub files: usize,
    /// Bytes in the folder and below it.
    pub size: u64,
    /// Pad files in the folder and below it, left out of everything else.
    pub pads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// `files` and `size` (bytes) include everything below.
    Folder {
        name: &'a str,
        files: usize,
        size: u64,
    },
    /// `index` is the file's place in the list.
    File {
        name: &'a str,
        size: u64,
        index: usize,
    },
}

impl<'a> Entry<'a> {
    pub fn name(&self) -> &'a str {
        match self {
            Entry::Folder { name, .. } | Entry::File { name, .. } => name,
        }
    }

    fn is_file(&self) -> bool {
        matches!(self, Entry::File { .. })
    }
}

/// Lists `folder` (components joined by `/`; empty for the top). `None` when no file lies in it.
/// The work is linear in the list, plus sorting one page.
pub fn list<'a>(
    files: &'a [PackedFile],
    folder: &str,
    offset: usize,
    limit: usize,
) -> Option<Listing<'a>> {
    let mut listing = Listing {
        entries: Vec::new(),
        total: 0,
        files: 0,
        size: 0,
        pads: 0,
    };
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut folders: HashMap<&str, usize> = HashMap::new();
    // Neighbours mostly share their folder, which saves the map.
    let mut latest: Option<usize> = None;
    for (index, file) in files.iter().enumerate() {
        let Some(rest) = below(&file.path, folder) else {
            continue;
        };
        if file.pad {
            listing.pads += 1;
            continue;
        }
        listing.files += 1;
        listing.size = listing.size.saturating_add(file.length);
        let Some((name, _)) = rest.split_once('/') else {
            entries.push(Entry::File {
                name: rest,
                size: file.length,
                index,
            });
            continue;
        };
        let at = match latest.filter(|&at| entries[at].name() == name) {
            Some(at) => at,
            None => *folders.entry(name).or_insert_with(|| {
                entries.push(Entry::Folder {
                    name,
                    files: 0,
                    size: 0,
                });
                entries.len() - 1
            }),
        };
        latest = Some(at);
        if let Entry::Folder { files, size, .. } = &mut entries[at] {
            *files += 1;
            *size = size.saturating_add(file.length);
        }
    }
    if listing.files == 0 && listing.pads == 0 {
        return None;
    }
    listing.total = entries.len();
    let from = offset.min(entries.len());
    let to = from.saturating_add(limit).min(entries.len());
    listing.entries = page(entries, from..to);
    Some(listing)
}

/// What of `path` lies below `folder`.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// The entries that a full sort would put at `range`, in order.
fn page<'a>(mut entries: Vec<Entry<'a>>, range: Range<usize>) -> Vec<Entry<'a>> {
    if range.is_empty() {
        return Vec::new();
    }
    if range.end < entries.len() {
        entries.select_nth_unstable_by(range.end, order);
        entries.truncate(range.end);
    }
    if range.start > 0 {
        entries.select_nth_unstable_by(range.start, order);
        entries.drain(..range.start);
    }
    entries.sort_unstable_by(order);
    entries
}

fn order(a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
    a.is_file()
        .cmp(&b.is_file())
        .then_with(|| natural(a.name(), b.name()))
}

/// Runs of digits by their value, letters without regard to case; what is equal so far by its bytes.
fn natural(a: &str, b: &str) -> Ordering {
    let common = common_beginning(a, b);
    let (mut left, mut right) = (&a[common..], &b[common..]);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (digits, more) = split_digits(left);
            let (others, rest) = split_digits(right);
            let by_value = digits
                .len()
                .cmp(&others.len())
                .then_with(|| digits.cmp(others));
            if by_value != Ordering::Equal {
                return by_value;
            }
            (left, right) = (more, rest);
            continue;
        }
        if x != y {
            let by_letter = match x.is_ascii() && y.is_ascii() {
                true => x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase()),
                false => x.to_lowercase().cmp(y.to_lowercase()),
            };
            if by_letter != Ordering::Equal {
                return by_letter;
            }
        }
        left = &left[x.len_utf8()..];
        right = &right[y.len_utf8()..];
    }
}

/// How many bytes can be skipped because both begin with them: whole characters, no part of a number.
fn common_beginning(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y);
    let mut end = same.count();
    while end > 0 && a.as_bytes()[end - 1].is_ascii_digit() {
        end -= 1;
    }
    while !a.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The leading run of digits without leading zeros, and what follows it.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, length: u64) -> PackedFile {
        PackedFile {
            path: path.into(),
            length,
            pad: path.starts_with(".pad/"),
        }
    }

    fn names(listing: &Listing<'_>) -> Vec<String> {
        let names = listing.entries.iter().map(|entry| entry.name().to_owned());
        names.collect()
    }

    #[test]
    fn folders_come_first_with_totals_and_padding_is_only_counted() {
        let files = [
            file("readme", 1),
            file("b/2", 10),
            file(".pad/7", 7),
            file("a/x/1", 100),
            file("b/c/3", 1000),
        ];
        let top = list(&files, "", 0, 500).unwrap();
        assert_eq!(names(&top), ["a", "b", "readme"]);
        assert_eq!((top.files, top.size, top.pads, top.total), (4, 1111, 1, 3));
        let b = Entry::Folder {
            name: "b",
            files: 2,
            size: 1010,
        };
        assert_eq!(top.entries[1], b);
        let inner = list(&files, "b", 0, 500).unwrap();
        assert_eq!(names(&inner), ["c", "2"]);
        assert_eq!((inner.files, inner.size, inner.pads), (2, 1010, 0));
        assert_eq!(
            inner.entries[1],
            Entry::File {
                name: "2",
                size: 10,
                index: 1
            }
        );
        assert!(list(&files, "readme", 0, 500).is_none());
        assert!(list(&files, "nope", 0, 500).is_none());
        assert!(list(&files, "b/", 0, 500).is_none());
    }

    #[test]
    fn names_sort_as_people_expect() {
        let mut sorted = [
            "10.txt", "2.txt", "B", "a", "a01", "a1", "É", "Z", "é", "a1b", "1",
        ];
        sorted.sort_by(|a, b| natural(a, b));
        assert_eq!(
            sorted,
            [
                "1", "2.txt", "10.txt", "a", "a01", "a1", "a1b", "B", "Z", "É", "é"
            ]
        );
    }

    #[test]
    fn pages_join_to_the_whole() {
        let files: Vec<_> = (0..1003).rev().map(|i| file(&format!("f{i}"), 1)).collect();
        let whole = names(&list(&files, "", 0, usize::MAX).unwrap());
        assert_eq!(whole[..3], ["f0", "f1", "f2"]);
        let pages: Vec<String> = (0..11)
            .flat_map(|page| names(&list(&files, "", page * 100, 100).unwrap()))
            .collect();
        assert_eq!(pages, whole);
        assert!(list(&files, "", 5000, 100).unwrap().entries.is_empty());
        assert_eq!(list(&files, "", 5000, 100).unwrap().total, 1003);
    }

    #[test]
    fn a_hundred_thousand_files_are_quick() {
        let files: Vec<_> = (0..100_000)
            .map(|i| {
                file(
                    &format!("{}/file {}.bin", i % 7919, (i * 7919) % 100_000),
                    1,
                )
            })
            .collect();
        let flat: Vec<_> = (0..100_000)
            .map(|i| file(&format!("file {}.bin", (i * 7919) % 100_000), 1))
            .collect();
        let start = Instant::now();
        assert_eq!(list(&files, "", 1000, 500).unwrap().total, 7919);
        assert_eq!(list(&flat, "", 50_000, 500).unwrap().entries.len(), 500);
        let took = start.elapsed();
        println!("two listings of 100,000 files: {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }

    proptest! {
        #[test]
        fn natural_order_is_an_order(a in "[aAb01é.ü]{0,5}", b in "[aAb01é.ü]{0,5}", c in "[aAb01é.ü]{0,5}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b) == Ordering::Equal, a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
