//! A file list as one value: a version byte, then for each file how much of the previous path it shares,
//! the rest of its path, its length and the pad flag, all numbers as LEB128.

use std::fmt;

use crate::bittorrent::metainfo::File;

const VERSION: u8 = 1;

/// One file of a stored list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFile {
    /// Components joined by `/`, below the torrent's name; the name itself in a single-file torrent.
    pub path: String,
    /// Bytes.
    pub length: u64,
    pub pad: bool,
}

/// The stored list cannot be read: `what` is wrong at byte `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub offset: usize,
    pub what: &'static str,
}

/// Packs a checked list, in its order.
pub fn pack(files: &[File]) -> Vec<u8> {
    let mut out = vec![VERSION];
    put(&mut out, files.len() as u64);
    let mut previous = String::new();
    let mut path = String::new();
    for file in files {
        path.clear();
        for (index, part) in file.path.iter().enumerate() {
            if index > 0 {
                path.push('/');
            }
            path.push_str(part);
        }
        let shared = previous
            .bytes()
            .zip(path.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        put(&mut out, shared as u64);
        put(&mut out, (path.len() - shared) as u64);
        out.extend_from_slice(&path.as_bytes()[shared..]);
        // Lengths have 63 bits, which leaves one for the flag.
        put(&mut out, file.length << 1 | u64::from(file.pad));
        std::mem::swap(&mut previous, &mut path);
    }
    out
}

/// Reads what `pack` wrote.
pub fn unpack(packed: &[u8]) -> Result<Vec<PackedFile>, Unreadable> {
    let mut reader = Reader {
        bytes: packed,
        at: 0,
    };
    if reader.byte()? != VERSION {
        return Err(Unreadable {
            offset: 0,
            what: "unknown version",
        });
    }
    let count = reader.number()?;
    // Three bytes a file at least: a wrong count cannot reserve more than the list is long.
    let mut files = Vec::with_capacity((count as usize).min(packed.len() / 3));
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..count {
        let shared = reader.number()?;
        if shared > path.len() as u64 {
            return Err(reader.fail("shares more than the previous path has"));
        }
        path.truncate(shared as usize);
        let rest = reader.number()?;
        path.extend_from_slice(reader.take(rest)?);
        let tail = reader.number()?;
        let text = std::str::from_utf8(&path).map_err(|_| reader.fail("path is not UTF-8"))?;
        files.push(PackedFile {
            path: text.to_owned(),
            length: tail >> 1,
            pad: tail & 1 == 1,
        });
    }
    if reader.at < packed.len() {
        return Err(reader.fail("data after the last file"));
    }
    Ok(files)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Unreadable> {
        let byte = self.bytes.get(self.at).ok_or(self.fail("ends too early"))?;
        self.at += 1;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.fail("number has more than 64 bits"))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Unreadable> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() as u64 {
            return Err(self.fail("ends too early"));
        }
        self.at += count as usize;
        Ok(&rest[..count as usize])
    }

    fn fail(&self, what: &'static str) -> Unreadable {
        Unreadable {
            offset: self.at,
            what,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored file list: {} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, length: u64, pad: bool) -> File {
        File {
            path: path.split('/').map(str::to_owned).collect(),
            length,
            pad,
            ..File::default()
        }
    }

    #[test]
    fn a_list_survives_and_shared_folders_cost_little() {
        let files: Vec<File> = (0..1000)
            .map(|i| {
                file(
                    &format!("a long folder name/é{i:04}.bin"),
                    i << 40,
                    i % 3 == 0,
                )
            })
            .collect();
        let packed = pack(&files);
        assert!(packed.len() < 16 * files.len(), "{}", packed.len());
        let read = unpack(&packed).unwrap();
        assert_eq!(read.len(), 1000);
        assert_eq!(read[999].path, "a long folder name/é0999.bin");
        assert_eq!((read[999].length, read[999].pad), (999 << 40, true));
    }

    #[test]
    fn extremes_survive() {
        let files = [file("a", i64::MAX as u64, true), file("b", 0, false)];
        let read = unpack(&pack(&files)).unwrap();
        assert_eq!(read[0].length, i64::MAX as u64);
        assert!(read[0].pad && !read[1].pad);
        assert!(unpack(&pack(&[])).unwrap().is_empty());
    }

    #[test]
    fn damage_is_an_error() {
        let packed = pack(&[file("ab/c", 300, false), file("ab/d", 1, true)]);
        for cut in 0..packed.len() {
            assert!(unpack(&packed[..cut]).is_err());
        }
        assert_eq!(unpack(&[9]).unwrap_err().what, "unknown version");
        assert!(
            unpack(&[
                VERSION, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f
            ])
            .is_err()
        );
        assert!(unpack(&[VERSION, 1, 5, 0, 0]).is_err());
        let longer = [packed, vec![0]].concat();
        assert!(unpack(&longer).is_err());
    }

    proptest! {
        #[test]
        fn any_list_survives(list in prop::collection::vec(("[a-c/é]{0,12}", any::<u64>(), any::<bool>()), 0..40)) {
            let files: Vec<File> = list.iter().map(|(p, l, pad)| file(p, l >> 1, *pad)).collect();
            let read = unpack(&pack(&files)).unwrap();
            prop_assert_eq!(read.len(), files.len());
            for (file, read) in files.iter().zip(read) {
                prop_assert_eq!((file.path.join("/"), file.length, file.pad), (read.path, read.length, read.pad));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
