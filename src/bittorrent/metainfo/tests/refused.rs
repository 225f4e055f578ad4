use super::*;

#[test]
fn what_is_no_torrent() {
    refused(&vec![b'd'; MAX_BYTES + 1], Rule::TooLarge, None);
    refused(b"", Rule::Bencode, None);
    refused(b"\n\r\n", Rule::Bencode, None);
    let message = refused(
        b"<!DOCTYPE html>\x00\x1b[2J",
        Rule::NotDictionary,
        Some("the file"),
    );
    assert!(
        message.starts_with("the file: starts with `<!DOCTYPE html>"),
        "{message}"
    );
    refused(b"le", Rule::NotDictionary, Some("the file"));
    refused(b"de", Rule::NoInfo, None);
    refused(b"d4:infoi1ee", Rule::NoInfo, Some("`info`"));
    refused(b"d4:infodee trailing", Rule::Bencode, Some("byte 10"));
    let message = refused(b"d1:ai01ee", Rule::Bencode, Some("byte 4"));
    assert_eq!(
        message,
        "byte 4: not valid bencode: a number has a leading zero; \
         choose the .torrent file itself, or download or build it again"
    );
    let twice = unsorted([("name", text("a")), ("x", int(1)), ("name", text("b"))]);
    refused(&torrent(twice), Rule::Bencode, Some("byte 23"));
}

#[test]
fn versions() {
    let place = Some("`meta version`");
    let message = refused(&v1([("meta version", int(3))]), Rule::MetaVersion, place);
    assert!(message.contains("is 3"), "{message}");
    refused(&v1([("meta version", text("2"))]), Rule::MetaVersion, place);
}

#[test]
fn names_and_paths() {
    let place = Some("`name`");
    refused(&v1([("name", None)]), Rule::Name, place);
    refused(&v1([("name", int(1))]), Rule::Name, place);
    refused(&v1([("name", text(b"\xff\xfe"))]), Rule::Name, place);
    let long = "x".repeat(256);
    let bad = [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "/etc",
        "a\0b",
        "a\nb",
        "a\u{7f}",
        "a\u{85}",
        "a\u{202e}b",
        "a\u{2066}",
        "a\u{200f}",
        &long,
    ];
    for name in bad {
        let message = refused(&v1([("name", text(name))]), Rule::Name, place);
        assert!(message.len() < 300, "{message}");
        let file = dict([("path", list([text("x"), text(name)])), ("length", int(1))]);
        refused(&v1_files([entry("a", 1), file]), Rule::Path, Some("file 2"));
        let node = dict([
            ("a", leaf(5, text([9; 32]))),
            (name, leaf(5, text([9; 32]))),
        ]);
        if !name.is_empty() {
            refused(
                &tree(node),
                Rule::Path,
                Some(if name < "a" { "file 1" } else { "file 2" }),
            );
        }
    }
    let message = refused(
        &v1_files([entry("a", 1), entry("b", 1), entry("../x", 1)]),
        Rule::Path,
        Some("file 3"),
    );
    assert_eq!(
        message,
        "file 3: path has `..`; rename the file and build the torrent again"
    );
    let message = refused(
        &v1([("name", text("evil\u{202e}gnp.exe"))]),
        Rule::Name,
        place,
    );
    assert!(
        message.contains("U+202E") && !message.contains('\u{202e}'),
        "{message}"
    );

    let place = Some("file 1");
    refused(&v1_files([dict([("length", int(1))])]), Rule::Path, place);
    for path in [text("a"), list([]), list([int(1)]), list([text(b"\xff")])] {
        refused(
            &v1_files([dict([("path", path), ("length", int(1))])]),
            Rule::Path,
            place,
        );
    }
    let deep = vec!["d"; 65].join("/");
    refused(&v1_files([entry(&deep, 5)]), Rule::PathDepth, place);
    let mut node = leaf(5, text([9; 32]));
    for _ in 0..65 {
        node = dict([("d", node)]);
    }
    refused(&tree(node), Rule::PathDepth, place);
    refused(
        &tree(dict([(b"\xff", leaf(5, text([9; 32])))])),
        Rule::Path,
        place,
    );
}

#[test]
fn paths_that_clash() {
    let files = [entry("a/b", 1), entry("c", 1), entry("a/b", 2)];
    let message = refused(&v1_files(files), Rule::DuplicatePath, Some("file 3"));
    assert!(message.contains("file 1: `a/b`"), "{message}");
    let files = [
        entry("a/b/c", 1),
        entry("a.b", 1),
        entry("a/b-", 1),
        entry("a/b", 2),
    ];
    refused(&v1_files(files), Rule::FileAndFolder, Some("file 4"));
    refused(
        &v1_files([entry("a", 1), entry("a/b/c", 1)]),
        Rule::FileAndFolder,
        Some("file 2"),
    );
}

#[test]
fn links() {
    let link = |target| {
        let file = dict([
            ("path", names("l")),
            ("attr", text("l")),
            ("symlink path", target),
        ]);
        v1_files([entry("a", 5), file])
    };
    for target in [
        None,
        text("a"),
        names(".."),
        names("a/../../x"),
        names("/etc"),
        list([text("/etc")]),
        list([text(b"\xff")]),
    ] {
        refused(&link(target), Rule::Symlink, Some("file 2"));
    }
}

#[test]
fn lengths_and_totals() {
    for length in [None, text("5"), int(-1)] {
        let file = dict([("path", names("a")), ("length", length)]);
        refused(&v1_files([file]), Rule::Length, Some("file 1"));
    }
    refused(&v1([("length", int(-5))]), Rule::Length, Some("`info`"));
    refused(&v1([("length", int(0))]), Rule::Total, None);
    refused(&v1_files([entry("a", 0)]), Rule::Total, None);
    refused(&v1_files([entry("a", 0), pad(5)]), Rule::Total, None);
    refused(
        &v1_files([entry("a", i64::MAX), entry("b", 1)]),
        Rule::Total,
        None,
    );
    refused(
        &v1_files([
            entry("a", i64::MAX),
            entry("b", i64::MAX),
            entry("c", i64::MAX),
        ]),
        Rule::Total,
        None,
    );
    refused(&tree(dict([("a", leaf(0, None))])), Rule::Total, None);
    let large = || leaf(i64::MAX, text([9; 32]));
    refused(
        &tree(dict([("a", large()), ("b", large())])),
        Rule::Total,
        None,
    );
}

#[test]
fn piece_lengths() {
    let place = Some("`piece length`");
    for length in [
        None,
        text("x"),
        int(0),
        int(-1),
        int(1023),
        int((512 << 20) + 1),
    ] {
        refused(
            &v1([("piece length", length.clone())]),
            Rule::PieceLength,
            place,
        );
        refused(&v2([("piece length", length)]), Rule::PieceLength, place);
    }
    for length in [8192, 16_385, 49_152] {
        refused(
            &v2([("piece length", int(length))]),
            Rule::PieceLength,
            place,
        );
    }
}

#[test]
fn pieces_and_lists() {
    let place = Some("`pieces`");
    for pieces in [None, int(1), text(""), text([7; 19]), text([7; 40])] {
        refused(&v1([("pieces", pieces)]), Rule::Pieces, place);
    }
    refused(&v1([("length", int(PIECE + 1))]), Rule::Pieces, place);
    refused(&v1([("files", list([]))]), Rule::FileList, Some("`info`"));
    refused(&v1([("length", None)]), Rule::FileList, Some("`info`"));
    refused(
        &v1([("length", None), ("files", int(1))]),
        Rule::FileList,
        Some("`files`"),
    );
    refused(&v1_files([]), Rule::FileList, Some("`files`"));
    refused(&v1_files([int(5)]), Rule::FileList, Some("file 1"));
    refused(
        &v1([("private", text("1"))]),
        Rule::Private,
        Some("`private`"),
    );
}

#[test]
fn v2_trees() {
    let place = Some("`file tree`");
    for wrong in [None, list([]), dict::<&str>([])] {
        refused(&tree(wrong), Rule::FileTree, place);
    }
    let file = || dict([("length", int(5)), ("pieces root", text([9; 32]))]);
    let cases = [
        ("file 1", dict([("a", int(1))])),
        ("file 1", dict([("a", dict([("", int(1))]))])),
        (
            "file 1",
            dict([("a", dict([("", file()), ("b", leaf(5, text([9; 32])))]))]),
        ),
        (
            "file 2",
            dict([("a", leaf(5, text([9; 32]))), ("b", dict::<&str>([]))]),
        ),
    ];
    for (place, wrong) in cases {
        refused(&tree(wrong), Rule::FileTree, Some(place));
    }
    refused(&tree(dict([("", file())])), Rule::Path, Some("file 1"));
    for root in [None, int(1), text([9; 31]), text([0; 32])] {
        refused(
            &tree(dict([("a", leaf(5, root))])),
            Rule::PiecesRoot,
            Some("file 1"),
        );
    }
    refused(&v2([("length", int(5))]), Rule::FileList, Some("`info`"));
    let late = unsorted([
        ("piece length", int(PIECE)),
        ("file tree", dict([("a", leaf(5, text([9; 32])))])),
        ("name", text("n")),
        ("meta version", int(2)),
    ]);
    refused(&torrent(late), Rule::UnsortedKeys, Some("`info`"));
}

#[test]
fn piece_layers() {
    let (sound, root) = layer(3);
    let mut wrong = sound.clone();
    wrong[40] ^= 1;
    for layers in [
        None,
        int(1),
        dict::<&str>([]),
        dict([([1; 32], text(&sound))]),
        dict([(root, int(1))]),
        dict([(root, text(&sound[..64]))]),
        dict([(root, text(&wrong))]),
    ] {
        let message = refused(
            &v2_with([], [("piece layers", layers)]),
            Rule::PieceLayers,
            Some("file 1 `a`"),
        );
        assert!(message.contains("piece layers"), "{message}");
    }
    // Three pieces and four have the same root only when the fourth is absent.
    let longer = tree(dict([("a", leaf(3 * PIECE + 1, text(root)))]));
    refused(&longer, Rule::PieceLayers, Some("file 1 `a`"));
}

#[test]
fn hybrids_that_tell_two_stories() {
    let [a, padding, c] = sound_hybrid_list();
    let cases = [
        (
            "file 1",
            vec![entry("x", 2 * PIECE + 1), padding.clone(), c.clone()],
        ),
        ("file 1", vec![entry("a", 2 * PIECE), pad(PIECE), c.clone()]),
        ("file 3", vec![a.clone(), padding.clone(), entry("b/d", 5)]),
        (
            "file 4",
            vec![a.clone(), padding.clone(), c.clone(), entry("d", 0)],
        ),
        ("`file tree`", vec![a.clone(), pad(PIECE)]),
    ];
    for (place, files) in cases {
        refused(&hybrid(files), Rule::HybridMismatch, Some(place));
    }
    let unpadded = v2([("files", list([a, c])), ("pieces", text([7; 60]))]);
    refused(&unpadded, Rule::HybridMismatch, Some("file 2"));
    let single = v2([("length", int(5)), ("pieces", text([7; 20]))]);
    refused(&single, Rule::HybridMismatch, Some("file 1"));
}

#[test]
fn slugs_are_distinct() {
    let slugs: std::collections::HashSet<_> = Rule::ALL.iter().map(|rule| rule.slug()).collect();
    assert_eq!(slugs.len(), Rule::ALL.len());
}
