//! Small torrents built by hand, so that each test can break exactly one thing.

mod accepted;
mod hostile;
mod outer;
mod refused;

use super::*;
use crate::bittorrent::bencode::Writer;
use crate::bittorrent::merkle;

/// An encoded value, or nothing to leave the key out.
type Encoded = Option<Vec<u8>>;

const PIECE: i64 = 16_384;

fn int(value: i64) -> Encoded {
    let mut writer = Writer::new();
    writer.int(value);
    Some(writer.finish())
}

fn text(value: impl AsRef<[u8]>) -> Encoded {
    let mut writer = Writer::new();
    writer.bytes(value.as_ref());
    Some(writer.finish())
}

fn list(items: impl IntoIterator<Item = Encoded>) -> Encoded {
    let items: Vec<Vec<u8>> = items.into_iter().flatten().collect();
    Some([b"l", items.concat().as_slice(), b"e"].concat())
}

fn names(path: &str) -> Encoded {
    list(path.split('/').map(text))
}

/// Keys in the order given.
fn unsorted<K: AsRef<[u8]>>(items: impl IntoIterator<Item = (K, Encoded)>) -> Encoded {
    let mut writer = Writer::new();
    writer.begin_dict();
    for (key, value) in items {
        if let Some(value) = value {
            writer.bytes(key.as_ref()).raw(&value);
        }
    }
    writer.end();
    Some(writer.finish())
}

/// Keys in order; of two of the same name the later counts, and takes the key away if it is `None`.
fn dict<K: AsRef<[u8]>>(items: impl IntoIterator<Item = (K, Encoded)>) -> Encoded {
    let sorted: std::collections::BTreeMap<Vec<u8>, Encoded> = items
        .into_iter()
        .map(|(key, value)| (key.as_ref().to_vec(), value))
        .collect();
    unsorted(sorted)
}

fn torrent(info: Encoded) -> Vec<u8> {
    dict([("info", info)]).unwrap()
}

/// A v1 file of 5 bytes, changed as told.
fn v1(changes: impl IntoIterator<Item = (&'static str, Encoded)>) -> Vec<u8> {
    let base = [
        ("name", text("file")),
        ("piece length", int(PIECE)),
        ("pieces", text([7; 20])),
        ("length", int(5)),
    ];
    torrent(dict(base.into_iter().chain(changes)))
}

fn entry(path: &str, length: i64) -> Encoded {
    dict([("path", names(path)), ("length", int(length))])
}

fn pad(length: i64) -> Encoded {
    let path = names(&format!(".pad/{length}"));
    dict([("path", path), ("length", int(length)), ("attr", text("p"))])
}

/// A v1 folder with these files in one piece.
fn v1_files(files: impl IntoIterator<Item = Encoded>) -> Vec<u8> {
    v1([("length", None), ("files", list(files))])
}

fn leaf(length: i64, root: Encoded) -> Encoded {
    let file = dict([("length", int(length)), ("pieces root", root)]);
    dict([("", file)])
}

fn layer(pieces: usize) -> (Vec<u8>, merkle::Hash) {
    let row: Vec<merkle::Hash> = (0..pieces).map(|i| [i as u8 + 1; 32]).collect();
    let root = merkle::root(row.clone(), merkle::absent_piece(PIECE as u64));
    (row.concat(), root)
}

/// v2 with `a` (three pieces) and `b/c` (5 bytes), changed as told: first `info`, then around it.
fn v2_with(
    changes: impl IntoIterator<Item = (&'static str, Encoded)>,
    around: impl IntoIterator<Item = (&'static str, Encoded)>,
) -> Vec<u8> {
    let (layer, root) = layer(3);
    let tree = dict([
        ("a", leaf(2 * PIECE + 1, text(root))),
        ("b", dict([("c", leaf(5, text([9; 32])))])),
    ]);
    let base = [
        ("name", text("folder")),
        ("piece length", int(PIECE)),
        ("meta version", int(2)),
        ("file tree", tree),
    ];
    let info = dict(base.into_iter().chain(changes));
    let layers = dict([(root, text(layer))]);
    let outer = [("info", info), ("piece layers", layers)];
    dict(outer.into_iter().chain(around)).unwrap()
}

fn v2(changes: impl IntoIterator<Item = (&'static str, Encoded)>) -> Vec<u8> {
    v2_with(changes, [])
}

fn tree(tree: Encoded) -> Vec<u8> {
    v2([("file tree", tree)])
}

/// The same content as a hybrid, with this v1 list.
fn hybrid(files: impl IntoIterator<Item = Encoded>) -> Vec<u8> {
    v2([("files", list(files)), ("pieces", text([7; 80]))])
}

fn sound_hybrid_list() -> [Encoded; 3] {
    [entry("a", 2 * PIECE + 1), pad(PIECE - 1), entry("b/c", 5)]
}

#[track_caller]
fn refused(bytes: &[u8], rule: Rule, place: Option<&str>) -> String {
    let refusal = parse(bytes).expect_err("must be refused");
    let message = refusal.to_string();
    assert_eq!(
        (refusal.rule, refusal.place.as_deref()),
        (rule, place),
        "{message}"
    );
    assert!(!message.chars().any(char::is_control), "{message}");
    message
}
