use super::*;
use crate::bittorrent::download::assemble;
use crate::bittorrent::infohash::{InfohashV1, InfohashV2};

fn paths(torrent: &Metainfo) -> Vec<String> {
    let paths = torrent.files.iter().map(|file| file.path.join("/"));
    paths.collect()
}

#[test]
fn a_single_v1_file() {
    let bytes = v1([("source", text("SITE")), ("private", int(1))]);
    let torrent = parse(&bytes).unwrap();
    assert_eq!(torrent.kind, Kind::V1);
    assert_eq!(torrent.name, "file");
    assert_eq!(
        (torrent.size, torrent.piece_length, torrent.piece_count),
        (5, 16_384, 1)
    );
    assert_eq!(torrent.source.as_deref(), Some("SITE"));
    assert!(torrent.private && torrent.single_file);
    assert_eq!(paths(&torrent), ["file"]);
    assert_eq!(torrent.info, bytes[7..bytes.len() - 1]);
    assert_eq!(
        torrent.infohash_v1,
        Some(InfohashV1::of_info(&torrent.info))
    );
    assert_eq!(torrent.infohash_v2, None);
}

#[test]
fn a_v1_folder_with_padding_links_and_attributes() {
    let link = dict([
        ("path", names("link")),
        ("attr", text("lxh")),
        ("symlink path", names("a/b")),
    ]);
    let files = [
        entry("a/b", 5),
        pad(3),
        entry("c", 0),
        pad(3),
        entry("d/_____padding_file_0_x", 2),
        link,
    ];
    let torrent = parse(&v1_files(files)).unwrap();
    assert!(!torrent.single_file);
    assert_eq!(torrent.size, 5);
    let pads: Vec<bool> = torrent.files.iter().map(|file| file.pad).collect();
    assert_eq!(pads, [false, true, false, true, true, false]);
    let link = &torrent.files[5];
    assert!(link.executable && link.hidden);
    assert_eq!(
        link.symlink.as_deref(),
        Some(&["a".to_owned(), "b".to_owned()][..])
    );
}

#[test]
fn v2_and_hybrid() {
    let torrent = parse(&v2([])).unwrap();
    assert_eq!(torrent.kind, Kind::V2);
    assert_eq!(paths(&torrent), ["a", "b/c"]);
    assert_eq!((torrent.size, torrent.piece_count), (32_774, 4));
    assert_eq!(torrent.infohash_v1, None);
    assert_eq!(
        torrent.infohash_v2,
        Some(InfohashV2::of_info(&torrent.info))
    );
    assert_eq!(torrent.files[1].pieces_root, Some([9; 32]));

    let torrent = parse(&hybrid(sound_hybrid_list())).unwrap();
    assert_eq!(torrent.kind, Kind::Hybrid);
    assert_eq!(paths(&torrent), ["a", ".pad/16383", "b/c"]);
    assert_eq!((torrent.size, torrent.piece_count), (32_774, 4));
    assert!(torrent.infohash_v1.is_some() && torrent.infohash_v2.is_some());
    assert_eq!(torrent.files[2].pieces_root, Some([9; 32]));
    // Padding after the last file is what newer programs write.
    let padded = sound_hybrid_list().into_iter().chain([pad(PIECE - 5)]);
    assert!(parse(&hybrid(padded)).is_ok());
}

#[test]
fn one_file_at_the_root_of_a_tree_is_a_single_file() {
    let torrent = parse(&tree(dict([("folder", leaf(5, text([9; 32])))]))).unwrap();
    assert!(torrent.single_file);
    let nested = dict([("x", dict([("y", leaf(5, text([9; 32])))]))]);
    assert!(!parse(&tree(nested)).unwrap().single_file);
    let single = v2([
        ("file tree", dict([("folder", leaf(5, text([9; 32])))])),
        ("length", int(5)),
        ("pieces", text([7; 20])),
    ]);
    let torrent = parse(&single).unwrap();
    assert_eq!((torrent.kind, torrent.single_file), (Kind::Hybrid, true));
}

#[test]
fn empty_files_need_no_root_and_shared_layers_are_one() {
    let (_, root) = layer(3);
    let torrent = parse(&tree(dict([
        ("a", leaf(3 * PIECE, text(root))),
        ("b", leaf(3 * PIECE - 7, text(root))),
        ("c", leaf(0, None)),
    ])));
    assert_eq!(torrent.unwrap().files[2].pieces_root, None);
}

#[test]
fn line_ends_after_the_end_and_odd_order_in_v1() {
    let bytes = [v1([]), b"\r\n\n".to_vec()].concat();
    assert!(parse(&bytes).is_ok());
    let info = unsorted([
        ("piece length", int(PIECE)),
        ("pieces", text([7; 20])),
        ("name", text("file")),
        ("length", int(5)),
    ]);
    let bytes = unsorted([("info", info.clone()), ("announce", text("x"))]).unwrap();
    let torrent = parse(&bytes).unwrap();
    assert_eq!(Some(torrent.info), info);
}

#[test]
fn names_in_older_encodings_are_read_from_their_twins() {
    let file = dict([
        ("path", list([text(b"\xb2\xe2"), text("x")])),
        ("path.utf-8", names("测/x")),
        ("length", int(5)),
    ]);
    let torrent = parse(&v1([
        ("name", text(b"\xb2\xe2")),
        ("name.utf-8", text("测试")),
        ("length", None),
        ("files", list([file])),
    ]))
    .unwrap();
    assert_eq!(torrent.name, "测试");
    assert_eq!(paths(&torrent), ["测/x"]);
}

#[test]
fn meta_version_1_is_v1_and_private_counts_as_clients_count() {
    assert_eq!(
        parse(&v1([("meta version", int(1))])).unwrap().kind,
        Kind::V1
    );
    for (flag, expected) in [(0, false), (1, true), (2, true)] {
        assert_eq!(
            parse(&v1([("private", int(flag))])).unwrap().private,
            expected
        );
    }
}

#[test]
fn limits_are_inside() {
    assert!(parse(&v1([("piece length", int(1024))])).is_ok());
    assert!(parse(&v1([("piece length", int(512 << 20))])).is_ok());
    assert!(parse(&v1([("name", text("x".repeat(255)))])).is_ok());
    let deep = vec!["d"; 64].join("/");
    assert!(parse(&v1_files([entry(&deep, 5)])).is_ok());
    // Case and similar names are for the uploader to judge, not a rule.
    assert!(
        parse(&v1_files([
            entry("a", 1),
            entry("A", 1),
            entry("a-b", 1),
            entry("a b/c", 1)
        ]))
        .is_ok()
    );
}

#[test]
fn downloads_keep_info_and_hashes() {
    let odd = unsorted([
        ("zz", list([int(-5), dict([("", text(b"\xff"))])])),
        ("name", text("ü")),
        ("length", int(5)),
        ("piece length", int(PIECE)),
        ("pieces", text([7; 20])),
        ("source", text("s")),
        ("\u{1}", text("")),
    ]);
    let around = [
        ("url-list", text("http://mirror/x")),
        ("announce", text("http://other/")),
    ];
    for bytes in [
        torrent(odd),
        v2_with([], around),
        hybrid(sound_hybrid_list()),
    ] {
        let before = parse(&bytes).unwrap();
        let served = assemble(
            &before.info,
            &before.outer.kept,
            &[
                "http://site/announce/k".to_owned(),
                "udp://site:6969/announce/k".to_owned(),
            ],
            "http://site/t/1",
        );
        let after = parse(&served).unwrap();
        assert_eq!(after.info, before.info);
        assert_eq!(after.infohash_v1, before.infohash_v1);
        assert_eq!(after.infohash_v2, before.infohash_v2);
        assert_eq!(after.outer.kept, before.outer.kept);
        assert_eq!(after.outer.foreign_trackers, 2);
        assert_eq!(after.outer.comment.as_deref(), Some("http://site/t/1"));
        assert!(
            bencode::scan(&served)
                .unwrap()
                .root()
                .as_dict()
                .unwrap()
                .iter()
                .map(|(key, _)| key)
                .is_sorted()
        );
        assert!(!served.windows(13).any(|window| window == b"http://other/"));
        let bare = assemble(&before.info, &before.outer.kept, &[], "");
        assert_eq!(parse(&bare).unwrap().outer.foreign_trackers, 0);
    }
}
