//! Hashing content as it streams by: SHA-1 of pieces over the whole torrent (v1), and a SHA-256 tree of
//! each file (v2) that never holds more than one piece's leaves.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::bittorrent::merkle;

/// The v1 `pieces`: files and padding one after the other.
pub(super) struct PieceHashes {
    piece_length: u64,
    filled: u64,
    hasher: Sha1,
    hashes: Vec<u8>,
}

impl PieceHashes {
    pub(super) fn new(piece_length: u64) -> Self {
        Self {
            piece_length,
            filled: 0,
            hasher: Sha1::new(),
            hashes: Vec::new(),
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.piece_length - self.filled;
            let take = room.min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(take);
            self.hasher.update(now);
            self.filled += take as u64;
            bytes = later;
            if self.filled == self.piece_length {
                self.end_piece();
            }
        }
    }

    pub(super) fn update_zeros(&mut self, mut count: u64) {
        const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];
        while count > 0 {
            let take = count.min(ZEROS.len() as u64);
            self.update(&ZEROS[..take as usize]);
            count -= take;
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.end_piece();
        }
        self.hashes
    }

    fn end_piece(&mut self) {
        self.hashes.extend_from_slice(&self.hasher.finalize_reset());
        self.filled = 0;
    }
}

/// The v2 tree of one file of known length.
pub(super) struct FileHashes {
    piece_length: u64,
    blocks_per_piece: usize,
    more_than_a_piece: bool,
    filled: u64,
    hasher: Sha256,
    /// Leaves of the piece that is being read.
    leaves: Vec<merkle::Hash>,
    layer: Vec<merkle::Hash>,
}

impl FileHashes {
    pub(super) fn new(length: u64, piece_length: u64) -> Self {
        Self {
            piece_length,
            blocks_per_piece: (piece_length / merkle::BLOCK) as usize,
            more_than_a_piece: length > piece_length,
            filled: 0,
            hasher: Sha256::new(),
            leaves: Vec::new(),
            layer: Vec::new(),
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = merkle::BLOCK - self.filled;
            let take = room.min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(take);
            self.hasher.update(now);
            self.filled += take as u64;
            bytes = later;
            if self.filled == merkle::BLOCK {
                self.end_block();
            }
        }
    }

    /// The root and, for files of more than one piece, the concatenated layer of piece hashes.
    pub(super) fn finish(mut self) -> (merkle::Hash, Vec<u8>) {
        if self.filled > 0 {
            self.end_block();
        }
        if !self.more_than_a_piece {
            return (merkle::root(self.leaves, [0; 32]), Vec::new());
        }
        if !self.leaves.is_empty() {
            self.end_piece();
        }
        let layer = self.layer.concat();
        let padding = merkle::absent_piece(self.piece_length);
        (merkle::root(self.layer, padding), layer)
    }

    fn end_block(&mut self) {
        self.leaves.push(self.hasher.finalize_reset().into());
        self.filled = 0;
        if self.more_than_a_piece && self.leaves.len() == self.blocks_per_piece {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.resize(self.blocks_per_piece, [0; 32]);
        self.layer.push(merkle::root(leaves, [0; 32]));
    }
}
