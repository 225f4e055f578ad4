//! Any datagram is read or refused in a sentence, and options never reach beyond their datagram.

#![no_main]

#[allow(dead_code)]
#[path = "../../src/tracker/embedded/udp/packet.rs"]
mod packet;

use libfuzzer_sys::fuzz_target;

use packet::{Action, Announce, Head};

fuzz_target!(|bytes: &[u8]| {
    let head = Head::read(bytes);
    if let Some(head) = head {
        assert!(bytes.len() >= 16);
        if head.action == Action::Connect {
            assert!(packet::connected(head.transaction, 1).len() <= bytes.len());
        }
    }
    match Announce::read(bytes) {
        Ok(announce) => {
            assert!(bytes.len() >= 98);
            assert!(announce.path.len() <= bytes.len() - 98);
            // Written as one option each, the same path is read again.
            let mut again = bytes[..98].to_vec();
            for part in announce.path.chunks(255) {
                again.extend_from_slice(&[1, 2, part.len() as u8]);
                again.extend_from_slice(part);
            }
            assert_eq!(Announce::read(&again), Ok(announce));
        }
        Err(reason) => assert!(reason.is_ascii() && reason.len() < 100),
    }
    if let Ok(hashes) = packet::scraped(bytes) {
        assert!((1..=packet::MOST_SCRAPED).contains(&hashes.len()));
        assert!(16 + hashes.len() * 20 <= bytes.len());
    }
});
