use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::bittorrent::download::assemble;

#[track_caller]
fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = work();
    let took = start.elapsed();
    println!("{took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    answer
}

#[test]
fn nesting_inside_info() {
    for levels in [1_000, 100_000, 4_000_000] {
        let bytes = ["d4:infod1:a", &"l".repeat(levels)].concat();
        let refusal = quickly(|| parse(bytes.as_bytes()).unwrap_err());
        assert_eq!(refusal.rule, Rule::Bencode);
    }
}

#[test]
fn a_million_files() {
    let many = [
        "d4:infod5:filesl",
        &"de".repeat(1_000_000),
        "e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
    ]
    .concat();
    quickly(|| refused(many.as_bytes(), Rule::Length, Some("file 1")));
    let many: String = (0..250_000)
        .map(|i| format!("d6:lengthi1e4:pathl6:{i:06}ee"))
        .collect();
    let many = format!(
        "d4:infod5:filesl{many}e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
    );
    quickly(|| refused(many.as_bytes(), Rule::TooManyFiles, None));
    let leaf = "d0:d6:lengthi0eee";
    let tree: String = (0..100_001).map(|i| format!("6:{i:06}{leaf}")).collect();
    let many =
        format!("d4:infod9:file treed{tree}e12:meta versioni2e4:name1:a12:piece lengthi16384eee");
    quickly(|| refused(many.as_bytes(), Rule::TooManyFiles, None));
}

#[test]
fn as_many_files_as_allowed() {
    let files: Vec<Encoded> = (0..MAX_FILES)
        .rev()
        .map(|i| entry(&format!("d/{i:06}"), 1))
        .collect();
    let bytes = v1([
        ("length", None),
        ("files", list(files)),
        ("pieces", text([7; 140])),
    ]);
    let torrent = quickly(|| parse(&bytes).unwrap());
    assert_eq!(torrent.files.len(), MAX_FILES);
    let packed = quickly(|| crate::bittorrent::files::pack(&torrent.files));
    let files = quickly(|| crate::bittorrent::files::unpack(&packed).unwrap());
    assert_eq!(files.len(), MAX_FILES);
}

#[test]
fn deep_paths_that_share_their_beginnings() {
    let folders = "d/".repeat(63);
    let files: Vec<Encoded> = (0..15_000)
        .rev()
        .map(|i| entry(&format!("{folders}{i}"), 0))
        .collect();
    let bytes = v1_files(files.into_iter().chain([entry("x", 1)]));
    assert!(bytes.len() < MAX_BYTES);
    assert_eq!(quickly(|| parse(&bytes).unwrap()).files.len(), 15_001);
}

#[test]
fn one_large_layer_under_many_names_is_hashed_once() {
    let pieces = 10_000;
    let row: Vec<merkle::Hash> = (0..pieces).map(|i| [(i % 255) as u8 + 1; 32]).collect();
    let root = merkle::root(row.clone(), merkle::absent_piece(PIECE as u64));
    let tree = dict((0..20_000).map(|i| (format!("{i:05}"), leaf(PIECE * pieces, text(root)))));
    let layers = dict([(root, text(row.concat()))]);
    let bytes = v2_with([("file tree", tree)], [("piece layers", layers)]);
    quickly(|| parse(&bytes).unwrap());
}

#[test]
fn many_keys_and_trackers() {
    let keys: String = (0..200_000).rev().map(|i| format!("6:{i:06}i1e")).collect();
    let bytes = format!(
        "d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa{keys}ee"
    );
    assert!(bytes.len() < MAX_BYTES);
    assert!(quickly(|| parse(bytes.as_bytes())).is_ok());
    let tiers = list((0..100_000).map(|i| list([text(format!("udp://{i}"))])));
    let info = parse(&v1([])).unwrap().info;
    let bytes = dict([("info", Some(info)), ("announce-list", tiers)]).unwrap();
    assert_eq!(
        quickly(|| parse(&bytes).unwrap()).outer.foreign_trackers,
        100_000
    );
}

#[test]
fn quotes_are_short_and_tame() {
    let name = ["\u{1b}[2J`\u{200b}", &"é".repeat(200_000), "\0"].concat();
    let message = refused(&v1([("name", text(name))]), Rule::Name, Some("`name`"));
    assert!(message.chars().count() < 250, "{message}");
    let message = refused(
        &v1([("name", text([0xff; 5000]))]),
        Rule::Name,
        Some("`name`"),
    );
    assert!(message.chars().count() < 250, "{message}");
}

fn odd_info() -> impl Strategy<Value = Vec<u8>> {
    let extra = prop::collection::hash_map("[a-z]{1,3}[ .-]?", "[\\PC]{0,20}", 0..5);
    (
        1_i64..200_000,
        "[^/\\\\\\p{C}]{1,20}",
        extra,
        any::<bool>(),
        any::<[u8; 20]>(),
    )
        .prop_map(|(length, name, extra, private, hash)| {
            let pieces =
                hash.repeat(length.div_euclid(PIECE) as usize + usize::from(length % PIECE > 0));
            let base = [
                (
                    "name".to_owned(),
                    text(if name == "." || name == ".." {
                        "x"
                    } else {
                        name.as_str()
                    }),
                ),
                ("piece length".to_owned(), int(PIECE)),
                ("pieces".to_owned(), text(pieces)),
                ("length".to_owned(), int(length)),
                ("private".to_owned(), private.then(|| int(1)).flatten()),
            ];
            let known: Vec<String> = base.iter().map(|(key, _)| key.clone()).collect();
            let extra = extra
                .into_iter()
                .filter(|(key, _)| !known.contains(key) && !key.is_empty())
                .map(|(key, value)| (key, text(value)));
            // A hash map's order: as unsorted as old programs write it.
            unsorted(extra.chain(base)).unwrap()
        })
}

proptest! {
    #[test]
    fn accepted_info_is_served_byte_for_byte(info in odd_info(), comment in "\\PC{0,30}") {
        let before = parse(&torrent(Some(info.clone()))).unwrap();
        prop_assert_eq!(&before.info, &info);
        let served = assemble(&before.info, &before.outer.kept, &["http://site/a".to_owned()], &comment);
        let after = parse(&served).unwrap();
        prop_assert_eq!(after.info, info);
        prop_assert_eq!(after.infohash_v1, before.infohash_v1);
    }

    #[test]
    fn damaged_torrents_are_read_or_refused(
        which in 0..3_usize,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = [v1([]), v2([]), hybrid(sound_hybrid_list())][which].clone();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        match parse(&bytes) {
            Ok(torrent) => {
                let served = assemble(&torrent.info, &torrent.outer.kept, &["u".to_owned()], "c");
                let again = parse(&served).unwrap();
                prop_assert_eq!(again.info, torrent.info);
                prop_assert_eq!(again.infohash_v2, torrent.infohash_v2);
                prop_assert_eq!(again.files, torrent.files);
            }
            Err(refusal) => prop_assert!(!refusal.to_string().chars().any(char::is_control)),
        }
    }
}
