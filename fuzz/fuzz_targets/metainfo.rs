//! Any bytes are a torrent or a refusal in plain text. What is accepted is served with the same `info` and
//! accepted again with the same hashes and files, and its file list survives packing.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/bittorrent/mod.rs"]
mod bittorrent;

use libfuzzer_sys::fuzz_target;

use bittorrent::{download, files, metainfo};

fuzz_target!(|bytes: &[u8]| {
    let torrent = match metainfo::parse(bytes) {
        Ok(torrent) => torrent,
        Err(refusal) => {
            let message = refusal.to_string();
            assert!(!message.chars().any(char::is_control));
            assert!(message.chars().count() < 500);
            return;
        }
    };
    let trackers = ["http://127.0.0.1/announce/key".to_owned()];
    let kept = &torrent.outer.kept;
    let served = download::assemble(&torrent.info, kept, &trackers, "comment");
    let again = metainfo::parse(&served).expect("what is served is accepted");
    assert_eq!(again.info, torrent.info);
    assert_eq!(again.infohash_v1, torrent.infohash_v1);
    assert_eq!(again.infohash_v2, torrent.infohash_v2);
    assert_eq!(again.files, torrent.files);
    assert_eq!(&again.outer.kept, kept);
    assert_eq!(again.outer.foreign_trackers, 1);

    let packed = files::pack(&torrent.files);
    let unpacked = files::unpack(&packed).expect("what is packed is read");
    assert_eq!(unpacked.len(), torrent.files.len());
    let listing = files::list(&unpacked, "", 0, 500).expect("a torrent has files");
    assert_eq!(listing.size, torrent.size);
    let _ = files::unpack(bytes);
});
