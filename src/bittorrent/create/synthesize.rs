//! Torrents of content that nobody has: random hashes, sound in every other way. For demonstrations and
//! tests of everything but the transfer.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::encode::{Content, Segment};
use super::{CreateError, Options, checked, described, prepare};
use crate::bittorrent::merkle;

/// A .torrent for files of the given paths (below `name`) and lengths in bytes; the same `seed` gives the
/// same one. One file whose path is just `name` makes a single-file torrent. Its v2 roots are those of its
/// random piece layers, so that it passes every check.
pub fn synthesize(
    name: &str,
    files: &[(Vec<String>, u64)],
    options: &Options,
    seed: u64,
) -> Result<Vec<u8>, CreateError> {
    let mut content = described(name, files.iter().map(|(path, length)| (path, *length)));
    prepare(&mut content, options)?;
    let mut random = StdRng::seed_from_u64(seed);
    if options.kind.has_v1() {
        content.pieces = vec![0; 20 * v1_piece_count(&content, options) as usize];
        random.fill_bytes(&mut content.pieces);
    }
    if options.kind.has_v2() {
        let piece_length = content.piece_length;
        let padding = merkle::absent_piece(piece_length);
        for file in content.files.iter_mut().filter(|file| file.length > 0) {
            let mut row = vec![[0; 32]; file.length.div_ceil(piece_length) as usize];
            random.fill_bytes(row.as_flattened_mut());
            if file.length > piece_length {
                file.layer = row.concat();
            }
            file.root = Some(merkle::root(row, padding));
        }
    }
    checked(content, options)
}

fn v1_piece_count(content: &Content, options: &Options) -> u64 {
    let segments = content.segments(options.kind);
    let bytes: u64 = segments
        .iter()
        .map(|segment| match *segment {
            Segment::File(index) => content.files[index].length,
            Segment::Pad(length) => length,
        })
        .sum();
    bytes.div_ceil(content.piece_length)
}
