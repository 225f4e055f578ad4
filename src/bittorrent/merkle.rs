//! The SHA-256 trees of BEP 52: leaves are 16 KiB blocks, missing leaves hash to zero, missing
//! subtrees hash to what a tree of zero leaves hashes to.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

/// Bytes in one leaf.
pub const BLOCK: u64 = 16 * 1024;

/// Hash of one leaf block; the last block of a file is not padded.
pub fn leaf(block: &[u8]) -> Hash {
    Sha256::digest(block).into()
}

/// Root over a row of nodes, filled up to a power of two with `padding`, which is the hash of an
/// absent node of that row. An empty row has the root `padding`.
pub fn root(mut row: Vec<Hash>, mut padding: Hash) -> Hash {
    while row.len() > 1 {
        if row.len() % 2 == 1 {
            row.push(padding);
        }
        for i in 0..row.len() / 2 {
            row[i] = parent(&row[2 * i], &row[2 * i + 1]);
        }
        row.truncate(row.len() / 2);
        padding = parent(&padding, &padding);
    }
    row.first().copied().unwrap_or(padding)
}

/// What an absent piece hashes to: a full tree of zero leaves over `piece_length` bytes (a power of
/// two, at least `BLOCK`).
pub fn absent_piece(piece_length: u64) -> Hash {
    let levels = (piece_length / BLOCK).max(1).ilog2();
    (0..levels).fold([0; 32], |hash, _| parent(&hash, &hash))
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_rows_are_filled_up() {
        let (a, b, c) = (leaf(b"a"), leaf(b"b"), leaf(b"c"));
        let zero = [0; 32];
        assert_eq!(root(vec![a], zero), a);
        let expected = parent(&parent(&a, &b), &parent(&c, &zero));
        assert_eq!(root(vec![a, b, c], zero), expected);
        let five = parent(
            &parent(&parent(&a, &a), &parent(&a, &a)),
            &parent(&parent(&b, &zero), &parent(&zero, &zero)),
        );
        assert_eq!(root(vec![a, a, a, a, b], zero), five);
    }

    #[test]
    fn an_absent_piece_is_a_tree_of_zero_leaves() {
        assert_eq!(absent_piece(BLOCK), [0; 32]);
        assert_eq!(absent_piece(4 * BLOCK), root(vec![[0; 32]; 4], [0; 32]));
    }
}
