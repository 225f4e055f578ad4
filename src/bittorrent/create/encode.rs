//! Writing down what is known of the content, with all keys in order.

use std::collections::BTreeMap;

use super::Options;
use crate::bittorrent::bencode::{DictWriter, Writer};
use crate::bittorrent::merkle;
use crate::bittorrent::metainfo::Kind;

/// The content, hashed.
pub(super) struct Content {
    pub name: String,
    pub single_file: bool,
    pub piece_length: u64,
    /// v1 hashes, concatenated.
    pub pieces: Vec<u8>,
    /// In the order of their paths.
    pub files: Vec<Described>,
}

pub(super) struct Described {
    pub path: Vec<String>,
    pub length: u64,
    pub executable: bool,
    /// v2, non-empty files.
    pub root: Option<merkle::Hash>,
    /// v2, files of more than one piece: piece hashes, concatenated.
    pub layer: Vec<u8>,
}

/// What v1 pieces run over.
pub(super) enum Segment {
    File(usize),
    /// So many zeros, so that the next file begins a piece.
    Pad(u64),
}

impl Described {
    pub(super) fn new(path: Vec<String>, length: u64) -> Self {
        Self {
            path,
            length,
            executable: false,
            root: None,
            layer: Vec::new(),
        }
    }
}

impl Content {
    /// The files in order, in hybrids with padding after each but the last.
    pub(super) fn segments(&self, kind: Kind) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(self.files.len());
        for (index, file) in self.files.iter().enumerate() {
            segments.push(Segment::File(index));
            let over = file.length % self.piece_length;
            let is_last = index + 1 == self.files.len();
            if kind == Kind::Hybrid && over > 0 && !is_last {
                segments.push(Segment::Pad(self.piece_length - over));
            }
        }
        segments
    }
}

pub(super) fn torrent(content: &Content, options: &Options) -> Vec<u8> {
    let mut torrent = DictWriter::new();
    if let Some(first) = options.trackers.first() {
        torrent.bytes("announce", first.as_bytes());
    }
    if options.trackers.len() > 1 {
        let mut tiers = Writer::new();
        tiers.begin_list();
        for tracker in &options.trackers {
            tiers.strings([tracker.as_bytes()]);
        }
        tiers.end();
        torrent.raw(b"announce-list", tiers.finish());
    }
    if let Some(comment) = &options.comment {
        torrent.bytes("comment", comment.as_bytes());
    }
    if let Some(program) = &options.created_by {
        torrent.bytes("created by", program.as_bytes());
    }
    if let Some(seconds) = options.created_at {
        torrent.int("creation date", seconds);
    }
    if !options.web_seeds.is_empty() {
        let urls = options.web_seeds.iter().map(String::as_bytes);
        torrent.strings("url-list", urls);
    }
    if options.kind.has_v2() {
        let layers: BTreeMap<merkle::Hash, &[u8]> = content
            .files
            .iter()
            .filter(|file| !file.layer.is_empty())
            .filter_map(|file| Some((file.root?, file.layer.as_slice())))
            .collect();
        let mut writer = Writer::new();
        writer.begin_dict();
        for (root, layer) in layers {
            writer.bytes(&root).bytes(layer);
        }
        writer.end();
        torrent.raw(b"piece layers", writer.finish());
    }
    torrent.raw(b"info", info(content, options));
    torrent.finish()
}

fn info(content: &Content, options: &Options) -> Vec<u8> {
    let mut info = DictWriter::new();
    info.bytes("name", content.name.as_bytes());
    info.int("piece length", content.piece_length as i64);
    if options.private {
        info.int("private", 1);
    }
    if let Some(source) = &options.source {
        info.bytes("source", source.as_bytes());
    }
    if options.kind.has_v1() {
        info.bytes("pieces", &content.pieces);
        match content.files.as_slice() {
            [only] if content.single_file => {
                info.int("length", only.length as i64);
                if only.executable {
                    info.bytes("attr", b"x");
                }
            }
            _ => {
                info.raw(b"files", file_list(content, options.kind));
            }
        }
    }
    if options.kind.has_v2() {
        info.int("meta version", 2);
        info.raw(b"file tree", file_tree(&content.files));
    }
    info.finish()
}

fn file_list(content: &Content, kind: Kind) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.begin_list();
    for segment in content.segments(kind) {
        writer.begin_dict();
        match segment {
            Segment::File(index) => {
                let file = &content.files[index];
                if file.executable {
                    writer.bytes(b"attr").bytes(b"x");
                }
                writer.bytes(b"length").int(file.length as i64);
                let path = file.path.iter().map(String::as_bytes);
                writer.bytes(b"path").strings(path);
            }
            Segment::Pad(length) => {
                writer.bytes(b"attr").bytes(b"p");
                writer.bytes(b"length").int(length as i64);
                let size = length.to_string();
                writer.bytes(b"path").strings([b".pad", size.as_bytes()]);
            }
        }
        writer.end();
    }
    writer.end();
    writer.finish()
}

/// Paths in order differ from one to the next by closing some folders and opening others.
fn file_tree(files: &[Described]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.begin_dict();
    let mut open: &[String] = &[];
    for file in files {
        let Some((name, folders)) = file.path.split_last() else {
            continue;
        };
        let shared = open.iter().zip(folders).take_while(|(a, b)| a == b).count();
        for _ in shared..open.len() {
            writer.end();
        }
        for folder in &folders[shared..] {
            writer.bytes(folder.as_bytes()).begin_dict();
        }
        open = folders;
        writer.bytes(name.as_bytes()).begin_dict();
        writer.bytes(b"").begin_dict();
        if file.executable {
            writer.bytes(b"attr").bytes(b"x");
        }
        writer.bytes(b"length").int(file.length as i64);
        if let Some(root) = &file.root {
            writer.bytes(b"pieces root").bytes(root);
        }
        writer.end().end();
    }
    for _ in open {
        writer.end();
    }
    writer.end();
    writer.finish()
}
