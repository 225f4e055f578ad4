//! Connection ids: proof that whoever asks receives what is sent to its address (BEP 15). Nothing is kept per client:
//! an id is a keyed digest of the address and of a window of time, and made again to be compared.
//!
//! The port is left out. An answer goes to an address that has shown to listen, which is what keeps the tracker from
//! being aimed at strangers; and clients use one id from several sockets (libtorrent keeps one per tracker), which
//! a network's translator gives ports of their own. Who announces for whom is the passkey's matter, not the id's.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;

/// An id holds until the end of the window after its own: two to four minutes, which BEP 15 asks two of.
const WINDOW_S: i64 = 120;

#[derive(Clone)]
pub struct Ids(Hmac<Sha256>);

impl Ids {
    pub fn new(key: &[u8; 32]) -> Self {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key);
        Self(mac.expect("HMAC takes a key of any length"))
    }

    pub fn issue(&self, to: IpAddr, now: Timestamp) -> u64 {
        u64::from_be_bytes(self.of(to, window(now)))
    }

    /// Whether this id was given to this address, now or a window ago.
    pub fn holds(&self, id: u64, from: IpAddr, now: Timestamp) -> bool {
        let id = id.to_be_bytes();
        let current = self.of(from, window(now)).ct_eq(&id);
        let previous = self.of(from, window(now) - 1).ct_eq(&id);
        bool::from(current | previous)
    }

    fn of(&self, address: IpAddr, window: i64) -> [u8; 8] {
        let mut mac = self.0.clone();
        mac.update(&window.to_be_bytes());
        match address.to_canonical() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        id
    }
}

fn window(at: Timestamp) -> i64 {
    at.0.div_euclid(WINDOW_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a window.
    const NOW: Timestamp = Timestamp(1_700_000_040);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_holds_for_its_address_and_two_windows() {
        assert_eq!(NOW.0 % WINDOW_S, 0);
        let ids = Ids::new(&[7; 32]);
        let id = ids.issue(ip("10.0.0.1"), NOW);
        for later_s in [0, 119, 120, 239] {
            assert!(
                ids.holds(id, ip("10.0.0.1"), NOW.plus(later_s)),
                "{later_s}"
            );
        }
        for later_s in [-1, 240, 100_000] {
            assert!(
                !ids.holds(id, ip("10.0.0.1"), NOW.plus(later_s)),
                "{later_s}"
            );
        }
        assert!(!ids.holds(id, ip("10.0.0.2"), NOW));
        assert!(!ids.holds(id ^ 1, ip("10.0.0.1"), NOW));
        assert!(!ids.holds(0, ip("10.0.0.1"), NOW));
        assert!(!Ids::new(&[8; 32]).holds(id, ip("10.0.0.1"), NOW));
    }

    #[test]
    fn families_are_told_apart_and_clothing_is_not() {
        let ids = Ids::new(&[7; 32]);
        let id = ids.issue(ip("::ffff:10.0.0.1"), NOW);
        assert!(ids.holds(id, ip("10.0.0.1"), NOW));
        let id = ids.issue(ip("2001:db8::1"), NOW);
        assert!(ids.holds(id, ip("2001:db8::1"), NOW));
        assert!(!ids.holds(id, ip("2001:db8::2"), NOW));
    }
}
