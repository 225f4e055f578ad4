use std::fs;
use std::path::PathBuf;

use lava_torrent::torrent::v1::{Torrent, TorrentBuilder};

use super::*;
use crate::bittorrent::merkle;
use crate::bittorrent::metainfo::{Metainfo, parse};

const PIECE: u64 = 16 * 1024;

/// A folder of this test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("seedbank-create-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|i| (i * 31 + i / 251) as u8 ^ seed)
        .collect()
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

fn options(kind: Kind) -> Options {
    Options {
        kind,
        piece_length: Some(PIECE),
        ..Options::default()
    }
}

fn quiet(path: &Path, options: &Options) -> Result<Vec<u8>, CreateError> {
    create(path, options, &mut |_, _| {})
}

fn paths(torrent: &Metainfo) -> Vec<String> {
    torrent
        .files
        .iter()
        .map(|file| file.path.join("/"))
        .collect()
}

#[test]
fn v1_has_the_infohash_that_another_program_finds() {
    let scratch = Scratch::new("lava");
    scratch.file("set/b.bin", &content(40_000, 1));
    scratch.file("set/a/x", &content(5, 2));
    scratch.file("set/a.txt", &content(16_384, 3));
    let single = scratch.file("one.bin", &content(100_000, 4));
    for source in [scratch.0.join("set"), single] {
        let ours = quiet(&source, &options(Kind::V1)).unwrap();
        let lava = TorrentBuilder::new(&source, PIECE as i64).build().unwrap();
        let read = Torrent::read_from_bytes(&ours).unwrap();
        assert_eq!(
            read.pieces.concat().len() as u64,
            20 * parse(&ours).unwrap().piece_count
        );
        let hash = parse(&ours).unwrap().infohash_v1.unwrap().to_string();
        assert_eq!(read.info_hash(), hash);
        assert_eq!(lava.info_hash(), hash);
    }
}

#[test]
fn every_kind_from_a_folder() {
    let scratch = Scratch::new("kinds");
    scratch.file("set/z", b"");
    scratch.file("set/b.bin", &content(40_000, 1));
    scratch.file("set/a/x", &content(5, 2));
    scratch.file("set/a.txt", &content(16_384, 3));
    for kind in [Kind::V1, Kind::Hybrid, Kind::V2] {
        let mut seen = Vec::new();
        let bytes = create(
            &scratch.0.join("set"),
            &options(kind),
            &mut |done, total| seen.push((done, total)),
        )
        .unwrap();
        let torrent = parse(&bytes).unwrap();
        assert_eq!(
            (torrent.kind, torrent.name.as_str(), torrent.size),
            (kind, "set", 56_389)
        );
        assert_eq!(seen.last(), Some(&(56_389, 56_389)));
        let expected: &[&str] = match kind {
            Kind::Hybrid => &["a/x", ".pad/16379", "a.txt", "b.bin", ".pad/9152", "z"],
            Kind::V1 | Kind::V2 => &["a/x", "a.txt", "b.bin", "z"],
        };
        assert_eq!(paths(&torrent), expected);
        assert_eq!(
            bytes,
            quiet(&scratch.0.join("set"), &options(kind)).unwrap()
        );
    }
}

#[test]
fn memory_and_disk_agree() {
    let scratch = Scratch::new("memory");
    let files = [
        (path("b"), content(70_000, 1)),
        (path("a/c"), content(20, 2)),
    ];
    for (path, bytes) in &files {
        scratch.file(&format!("set/{}", path.join("/")), bytes);
    }
    for kind in [Kind::V1, Kind::Hybrid, Kind::V2] {
        let from_disk = quiet(&scratch.0.join("set"), &options(kind)).unwrap();
        assert_eq!(
            create_from_memory("set", &files, &options(kind)).unwrap(),
            from_disk
        );
    }
}

#[test]
fn v2_roots_are_trees_over_blocks() {
    let bytes = content(3 * PIECE as usize + 100, 9);
    let mut leaves: Vec<merkle::Hash> = bytes.chunks(PIECE as usize).map(merkle::leaf).collect();
    leaves.resize(8, [0; 32]);
    for (pieces, expected_leaves) in [(PIECE, 4), (2 * PIECE, 4), (8 * PIECE, 4)] {
        let options = Options {
            piece_length: Some(pieces),
            ..options(Kind::V2)
        };
        let torrent = create_from_memory("x", &[(path("x"), bytes.clone())], &options).unwrap();
        let torrent = parse(&torrent).unwrap();
        let root = merkle::root(leaves[..expected_leaves].to_vec(), [0; 32]);
        assert_eq!(torrent.files[0].pieces_root, Some(root));
        assert!(torrent.single_file);
    }
}

#[test]
fn options_are_written() {
    let options = Options {
        private: true,
        source: Some("SITE".into()),
        trackers: vec!["http://a/".into(), "http://b/".into()],
        web_seeds: vec!["http://m/".into()],
        comment: Some("why".into()),
        created_by: Some("seedbank".into()),
        created_at: Some(1_700_000_000),
        ..options(Kind::Hybrid)
    };
    let torrent =
        parse(&create_from_memory("n", &[(path("n"), vec![1])], &options).unwrap()).unwrap();
    assert!(torrent.private && torrent.single_file);
    assert_eq!(torrent.source.as_deref(), Some("SITE"));
    assert_eq!(torrent.outer.foreign_trackers, 2);
    assert_eq!(torrent.outer.web_seeds, ["http://m/"]);
    assert_eq!(torrent.outer.comment.as_deref(), Some("why"));
    assert_eq!(torrent.outer.created_at, Some(1_700_000_000));
}

#[test]
fn what_cannot_be_done_is_said() {
    let scratch = Scratch::new("errors");
    let file = scratch.file("one/file", b"x");
    fs::create_dir(scratch.0.join("none")).unwrap();
    scratch.file("bad/a\\b", b"x");
    let v1 = options(Kind::V1);
    let said = |path: &str, options: &Options| {
        quiet(&scratch.0.join(path), options)
            .unwrap_err()
            .to_string()
    };
    assert!(said("missing", &v1).starts_with("cannot read "));
    assert!(said("none", &v1).contains("no content"));
    assert!(said("bad", &v1).contains("the separator `\\`"));
    assert!(said("one", &options(Kind::V2)).contains("one file"));
    assert!(quiet(&file, &options(Kind::V2)).is_ok());
    let odd = Options {
        piece_length: Some(30_000),
        ..v1.clone()
    };
    assert!(said("one", &odd).contains("power of two"));
    let odd = Options {
        name: Some("..".into()),
        ..v1.clone()
    };
    assert!(said("one", &odd).starts_with("name: "));
    let odd = Options {
        web_seeds: vec!["gopher://x".into()],
        ..v1
    };
    assert!(said("one", &odd).contains("gopher"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_only() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scratch = Scratch::new("links");
    let target = scratch.file("elsewhere", b"content");
    scratch.file("set/a", b"x");
    fs::set_permissions(scratch.0.join("set/a"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(target, scratch.0.join("set/link")).unwrap();
    let torrent = parse(&quiet(&scratch.0.join("set"), &options(Kind::Hybrid)).unwrap()).unwrap();
    assert_eq!(torrent.size, 8);
    assert!(torrent.files[0].executable);
    symlink(&scratch.0, scratch.0.join("set/loop")).unwrap();
    let error = quiet(&scratch.0.join("set"), &options(Kind::V1)).unwrap_err();
    assert!(matches!(error, CreateError::NotAFile(_)), "{error}");
}

#[test]
fn piece_lengths_follow_the_size() {
    assert_eq!(auto_piece_length(1), PIECE);
    assert_eq!(auto_piece_length(2000 * PIECE), PIECE);
    assert_eq!(auto_piece_length(2000 * PIECE + 1), 2 * PIECE);
    assert_eq!(auto_piece_length(4_700_000_000), 4 << 20);
    assert_eq!(auto_piece_length(u64::MAX), 16 << 20);
}

#[test]
fn made_up_torrents_are_sound() {
    let files = [
        (path("a/b.iso"), 700_000_000),
        (path("a/readme"), 12),
        (path("c"), 0),
        (path("z"), 65_536),
    ];
    for kind in [Kind::V1, Kind::Hybrid, Kind::V2] {
        let options = Options {
            kind,
            private: kind == Kind::V1,
            ..Options::default()
        };
        let bytes = synthesize("set", &files, &options, 1).unwrap();
        let torrent = parse(&bytes).unwrap();
        assert_eq!((torrent.kind, torrent.size), (kind, 700_065_548));
        assert_eq!(torrent.piece_length, 512 * 1024);
        assert_eq!(torrent.private, kind == Kind::V1);
        assert_eq!(synthesize("set", &files, &options, 1).unwrap(), bytes);
        assert_ne!(synthesize("set", &files, &options, 2).unwrap(), bytes);
        let single = synthesize("one", &[(path("one"), 99)], &options, 1).unwrap();
        assert!(parse(&single).unwrap().single_file);
    }
    let twice = [(path("a"), 1), (path("a"), 2)];
    assert!(synthesize("set", &twice, &Options::default(), 1).is_err());
    let huge = [(path("a"), i64::MAX as u64)];
    assert!(matches!(
        synthesize("set", &huge, &Options::default(), 1),
        Err(CreateError::TooLarge(_))
    ));
}
