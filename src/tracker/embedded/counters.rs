//! What the tracker did since it was started, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::request::{Failure, Kind};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    Http,
    Udp,
}

/// A snapshot. All but `peers` and `torrents` only grow; refused ones are among the announces and scrapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub announces_http: u64,
    pub announces_udp: u64,
    /// By either way.
    pub scrapes: u64,
    /// Passkeys that are unknown or were replaced.
    pub refused_passkey: u64,
    pub refused_banned: u64,
    /// Guests where only members may announce.
    pub refused_guest: u64,
    /// Torrents that are not registered or were deleted.
    pub refused_torrent: u64,
    /// `total_peers`, `member_torrents` and `member_peers`.
    pub refused_limit: u64,
    /// Requests that make no sense, or come too often.
    pub refused_request: u64,
    /// The site's own trouble: the database is away or slow.
    pub refused_busy: u64,
    /// Peers in all swarms now; a hybrid's client is one in each of its two.
    pub peers: u64,
    /// Torrents with peers now.
    pub torrents: u64,
    /// Reports noted and not counted, because no client moves that much in that time.
    pub too_fast: u64,
    /// Datagrams received, and those of them that got no answer.
    pub udp_datagrams: u64,
    pub udp_dropped: u64,
}

/// The counters themselves.
#[derive(Default)]
pub struct Tally {
    announces_http: AtomicU64,
    announces_udp: AtomicU64,
    scrapes: AtomicU64,
    refused: [AtomicU64; Kind::ALL],
    too_fast: AtomicU64,
    udp_datagrams: AtomicU64,
    udp_dropped: AtomicU64,
}

impl Tally {
    pub fn announce<T>(&self, via: Via, outcome: &Result<T, Failure>) {
        match via {
            Via::Http => more(&self.announces_http),
            Via::Udp => more(&self.announces_udp),
        }
        self.refusal(outcome);
    }

    pub fn scrape<T>(&self, outcome: &Result<T, Failure>) {
        more(&self.scrapes);
        self.refusal(outcome);
    }

    fn refusal<T>(&self, outcome: &Result<T, Failure>) {
        if let Err(failure) = outcome {
            more(&self.refused[failure.kind as usize]);
        }
    }

    pub fn too_fast(&self, reports: u64) {
        self.too_fast.fetch_add(reports, Ordering::Relaxed);
    }

    pub fn datagram(&self) {
        more(&self.udp_datagrams);
    }

    pub fn dropped(&self) {
        more(&self.udp_dropped);
    }

    pub fn snapshot(&self, peers: usize, torrents: usize) -> Counters {
        let refused = |kind: Kind| read(&self.refused[kind as usize]);
        Counters {
            announces_http: read(&self.announces_http),
            announces_udp: read(&self.announces_udp),
            scrapes: read(&self.scrapes),
            refused_passkey: refused(Kind::Passkey),
            refused_banned: refused(Kind::Banned),
            refused_guest: refused(Kind::Guest),
            refused_torrent: refused(Kind::Torrent),
            refused_limit: refused(Kind::Limit),
            refused_request: refused(Kind::Request),
            refused_busy: refused(Kind::Busy),
            peers: peers as u64,
            torrents: torrents as u64,
            too_fast: read(&self.too_fast),
            udp_datagrams: read(&self.udp_datagrams),
            udp_dropped: read(&self.udp_dropped),
        }
    }
}

fn more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
