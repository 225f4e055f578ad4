//! Who is in which swarm, in memory. Sharded by torrent, because the two hashes of a hybrid are two swarms of one
//! torrent and its numbers are the larger of the two, never the sum.
//!
//! Memory is bounded: a peer takes about 110 bytes (up to twice that while a table has just grown); there are at
//! most [`MOST_PEERS`] peers, [`MOST_PEERS_OF_SWARM`] in a swarm, and a handful of one owner in a swarm.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicUsize, Ordering};

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::request::Event;
use crate::clock::Timestamp;
use crate::ids::{TorrentId, UserId};

/// All peers of all swarms: about 220 MB.
const MOST_PEERS: usize = 2_000_000;
/// A newcomer past this is told of others, but not remembered.
const MOST_PEERS_OF_SWARM: usize = 20_000;
/// Clients of one member in one swarm; a new one takes the place of the one longest unheard of.
const MOST_PEERS_OF_MEMBER: usize = 10;
/// The same for guests behind one address, where many may live.
const MOST_PEERS_OF_ADDRESS: usize = 50;
const SHARDS: usize = 64;

/// Which of a torrent's hashes was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    V1 = 0,
    V2 = 1,
}

/// Whose client a peer is: peer ids are public, so only its owner may move or remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Member(UserId),
    Guest(IpAddr),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub seeders: u32,
    /// All who have not everything, partial seeds included.
    pub leechers: u32,
    /// Those of the leechers that want nothing more (BEP 21).
    pub paused: u32,
}

/// One announce as the swarm sees it.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub torrent: TorrentId,
    pub side: Side,
    pub owner: Owner,
    pub peer_id: [u8; 20],
    /// The socket's address and the announced port; port 0 is remembered and never given out.
    pub address: SocketAddr,
    pub seeding: bool,
    pub event: Event,
    pub numwant: usize,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub counts: Counts,
    pub peers: Vec<Given>,
}

/// A peer as it is given to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub id: [u8; 20],
    pub v4: Option<SocketAddrV4>,
    pub v6: Option<SocketAddrV6>,
}

impl Given {
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let v4 = self.v4.map(SocketAddr::V4);
        v4.into_iter().chain(self.v6.map(SocketAddr::V6))
    }
}

pub struct Swarms {
    shards: Vec<Mutex<Shard>>,
    peers: AtomicUsize,
    /// Seconds without an announce after which a peer is gone.
    lifetime_s: u32,
}

#[derive(Default)]
struct Shard {
    swarms: HashMap<TorrentId, Swarm>,
    /// Torrents whose counts changed since they were last asked for.
    changed: HashSet<TorrentId>,
}

#[derive(Default)]
struct Swarm {
    /// By [`Side`].
    sides: [Option<Box<Peers>>; 2],
    /// Peers that a run before this one counted and that have not come back yet.
    carried: Carried,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Carried {
    seeders: u32,
    leechers: u32,
}

#[derive(Default)]
struct Peers {
    seeders: IndexMap<Key, Peer>,
    leechers: IndexMap<Key, Peer>,
    paused: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    id: [u8; 20],
}

/// Both families of one client, each as fresh as its own last announce (BEP 7). Times are unix seconds.
#[derive(Clone, Copy)]
struct Peer {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    v4_port: u16,
    v6_port: u16,
    v4_seen: u32,
    v6_seen: u32,
    paused: bool,
}

impl Swarms {
    pub fn new(lifetime_s: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            peers: AtomicUsize::new(0),
            lifetime_s,
        }
    }

    /// Takes the announce in and picks peers for it.
    pub fn announce(&self, visit: &Visit) -> Found {
        let mut shard = self.shard(visit.torrent).lock();
        let Shard { swarms, changed } = &mut *shard;
        let swarm = swarms.entry(visit.torrent).or_default();
        let before = swarm.counts();
        let key = Key {
            owner: visit.owner,
            id: visit.peer_id,
        };
        // Of members the books know whether they were here before.
        if let Owner::Guest(_) = key.owner
            && visit.event != Event::Started
            && !swarm.knows(&key)
        {
            swarm.uncarry(visit.seeding && visit.event != Event::Completed);
        }
        let side = swarm.sides[visit.side as usize].get_or_insert_default();
        let held = side.len();
        if visit.event == Event::Stopped {
            side.remove(&key);
        } else {
            side.put(key, visit, self.peers.load(Ordering::Relaxed) < MOST_PEERS);
        }
        self.note_change(held, side.len());
        let peers = match visit.event {
            Event::Stopped => Vec::new(),
            _ => side.pick(&key, visit, self.oldest(visit.at)),
        };
        let counts = swarm.counts();
        if swarm.is_empty() {
            swarms.remove(&visit.torrent);
        }
        if counts != before {
            changed.insert(visit.torrent);
        }
        Found { counts, peers }
    }

    /// The torrent's numbers now; `None` when nobody is here.
    pub fn counts(&self, torrent: TorrentId) -> Option<Counts> {
        self.shard(torrent)
            .lock()
            .swarms
            .get(&torrent)
            .map(Swarm::counts)
    }

    /// Peers counted by an earlier run; they fade as clients come back or leave, and end with [`forget_carried`].
    ///
    /// [`forget_carried`]: Self::forget_carried
    pub fn carry(&self, torrent: TorrentId, seeders: u32, leechers: u32) {
        let mut shard = self.shard(torrent).lock();
        shard.swarms.entry(torrent).or_default().carried = Carried { seeders, leechers };
    }

    /// One of those that an earlier run counted has announced; its role then is a guess from its role now.
    pub fn returned(&self, torrent: TorrentId, was_seeding: bool) {
        let mut shard = self.shard(torrent).lock();
        let Shard { swarms, changed } = &mut *shard;
        if let Some(swarm) = swarms.get_mut(&torrent)
            && swarm.carried != Carried::default()
        {
            swarm.uncarry(was_seeding);
            changed.insert(torrent);
            if swarm.is_empty() {
                swarms.remove(&torrent);
            }
        }
    }

    pub fn forget_carried(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { swarms, changed } = &mut *shard;
            swarms.retain(|&torrent, swarm| {
                if swarm.carried != Carried::default() {
                    swarm.carried = Carried::default();
                    changed.insert(torrent);
                }
                !swarm.is_empty()
            });
        }
    }

    /// Takes a torrent away: it was deleted.
    pub fn remove(&self, torrent: TorrentId) {
        let mut shard = self.shard(torrent).lock();
        shard.changed.remove(&torrent);
        if let Some(swarm) = shard.swarms.remove(&torrent) {
            self.note_change(swarm.sides.iter().flatten().map(|s| s.len()).sum(), 0);
        }
    }

    /// Takes a member's peers out of every swarm: a ban, or a passkey that was replaced.
    pub fn remove_member(&self, member: UserId) {
        self.sweep(0..SHARDS, |key, _| key.owner == Owner::Member(member));
    }

    /// Takes out who has not been heard of, in one of [`Self::steps`] parts, so that no lock is held long.
    pub fn expire(&self, step: usize, now: Timestamp) {
        let oldest = self.oldest(now);
        let at = step % SHARDS;
        self.sweep(at..at + 1, |_, peer| peer.seen() < oldest);
    }

    pub const fn steps() -> usize {
        SHARDS
    }

    /// At most about `limit` torrents whose counts changed, with the counts of now.
    pub fn take_changed(&self, limit: usize) -> Vec<(TorrentId, Counts)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let Shard { swarms, changed } = &mut *shard;
            let room = limit.saturating_sub(taken.len());
            let some: Vec<TorrentId> = changed.iter().copied().take(room).collect();
            for torrent in some {
                changed.remove(&torrent);
                let counts = swarms.get(&torrent).map(Swarm::counts).unwrap_or_default();
                taken.push((torrent, counts));
            }
        }
        taken
    }

    /// Puts back what could not be written.
    pub fn mark_changed(&self, torrents: impl Iterator<Item = TorrentId>) {
        for torrent in torrents {
            self.shard(torrent).lock().changed.insert(torrent);
        }
    }

    pub fn peers(&self) -> usize {
        self.peers.load(Ordering::Relaxed)
    }

    fn shard(&self, torrent: TorrentId) -> &Mutex<Shard> {
        let at = torrent.0.rem_euclid(SHARDS as i64);
        &self.shards[at as usize]
    }

    fn oldest(&self, now: Timestamp) -> u32 {
        seconds(now).saturating_sub(self.lifetime_s)
    }

    fn note_change(&self, before: usize, after: usize) {
        if after >= before {
            self.peers.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.peers.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    fn sweep(&self, shards: std::ops::Range<usize>, gone: impl Fn(&Key, &Peer) -> bool) {
        for shard in &self.shards[shards] {
            let mut shard = shard.lock();
            let Shard { swarms, changed } = &mut *shard;
            swarms.retain(|&torrent, swarm| {
                let before = swarm.counts();
                for side in &mut swarm.sides {
                    let Some(peers) = side else { continue };
                    let held = peers.len();
                    peers.seeders.retain(|key, peer| !gone(key, peer));
                    peers.leechers.retain(|key, peer| !gone(key, peer));
                    self.note_change(held, peers.len());
                    if peers.len() == 0 {
                        *side = None;
                    } else if peers.len() < held {
                        let paused = peers.leechers.values().filter(|p| p.paused).count();
                        peers.paused = u32::try_from(paused).unwrap_or(u32::MAX);
                    }
                }
                if swarm.counts() != before {
                    changed.insert(torrent);
                }
                !swarm.is_empty()
            });
        }
    }
}

impl Swarm {
    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for side in self.sides.iter().flatten() {
            counts.seeders = counts.seeders.max(count(side.seeders.len()));
            counts.leechers = counts.leechers.max(count(side.leechers.len()));
            counts.paused = counts.paused.max(side.paused);
        }
        counts.seeders = counts.seeders.saturating_add(self.carried.seeders);
        counts.leechers = counts.leechers.saturating_add(self.carried.leechers);
        counts
    }

    fn is_empty(&self) -> bool {
        self.carried == Carried::default() && self.sides.iter().flatten().all(|s| s.len() == 0)
    }

    fn knows(&self, key: &Key) -> bool {
        self.sides.iter().flatten().any(|side| side.has(key))
    }

    /// One of the carried is here again, or is known to have left.
    fn uncarry(&mut self, was_seeding: bool) {
        let Carried { seeders, leechers } = &mut self.carried;
        let (first, second) = match was_seeding {
            true => (seeders, leechers),
            false => (leechers, seeders),
        };
        let one = if *first > 0 { first } else { second };
        *one = one.saturating_sub(1);
    }
}

impl Peers {
    fn len(&self) -> usize {
        self.seeders.len() + self.leechers.len()
    }

    fn has(&self, key: &Key) -> bool {
        self.seeders.contains_key(key) || self.leechers.contains_key(key)
    }

    fn remove(&mut self, key: &Key) -> Option<Peer> {
        if let Some(peer) = self.seeders.swap_remove(key) {
            return Some(peer);
        }
        let peer = self.leechers.swap_remove(key)?;
        self.paused -= u32::from(peer.paused);
        Some(peer)
    }

    fn put(&mut self, key: Key, visit: &Visit, room: bool) {
        let known = self.remove(&key);
        if known.is_none() && !self.make_room(&key, room) {
            return;
        }
        let mut peer = known.unwrap_or(Peer {
            v4: Ipv4Addr::UNSPECIFIED,
            v6: Ipv6Addr::UNSPECIFIED,
            v4_port: 0,
            v6_port: 0,
            v4_seen: 0,
            v6_seen: 0,
            paused: false,
        });
        match visit.address {
            SocketAddr::V4(a) => {
                (peer.v4, peer.v4_port, peer.v4_seen) = (*a.ip(), a.port(), seconds(visit.at))
            }
            SocketAddr::V6(a) => {
                (peer.v6, peer.v6_port, peer.v6_seen) = (*a.ip(), a.port(), seconds(visit.at))
            }
        }
        peer.paused = !visit.seeding && visit.event == Event::Paused;
        if visit.seeding {
            self.seeders.insert(key, peer);
        } else {
            self.paused += u32::from(peer.paused);
            self.leechers.insert(key, peer);
        }
    }

    /// Whether a newcomer may be remembered; an owner's own oldest makes room.
    fn make_room(&mut self, key: &Key, room: bool) -> bool {
        let most = match key.owner {
            Owner::Member(_) => MOST_PEERS_OF_MEMBER,
            Owner::Guest(_) => MOST_PEERS_OF_ADDRESS,
        };
        let own = self.seeders.iter().chain(&self.leechers);
        let own: Vec<(u32, Key)> = own
            .filter(|(k, _)| k.owner == key.owner)
            .map(|(k, peer)| (peer.seen(), *k))
            .collect();
        if own.len() >= most
            && let Some((_, oldest)) = own.iter().min_by_key(|(seen, _)| *seen)
        {
            self.remove(oldest);
        }
        room && self.len() < MOST_PEERS_OF_SWARM
    }

    /// A window of the peers at a random place, each peer as likely as any other: of everybody for a leecher, of the
    /// leechers for who needs nothing.
    fn pick(&self, asker: &Key, visit: &Visit, oldest: u32) -> Vec<Given> {
        let seeders = match visit.seeding || visit.event == Event::Paused {
            true => 0,
            false => self.seeders.len(),
        };
        let total = seeders + self.leechers.len();
        let mut picked = Vec::with_capacity(visit.numwant.min(total));
        if total == 0 || visit.numwant == 0 {
            return picked;
        }
        let start = rand::random_range(0..total);
        for at in (start..total).chain(0..start) {
            let entry = match at.checked_sub(seeders) {
                None => self.seeders.get_index(at),
                Some(at) => self.leechers.get_index(at),
            };
            let Some((key, peer)) = entry.filter(|(key, _)| *key != asker) else {
                continue;
            };
            if let Some(given) = peer.given(key.id, oldest) {
                picked.push(given);
                if picked.len() == visit.numwant {
                    break;
                }
            }
        }
        picked
    }
}

impl Peer {
    fn seen(&self) -> u32 {
        self.v4_seen.max(self.v6_seen)
    }

    fn given(&self, id: [u8; 20], oldest: u32) -> Option<Given> {
        let v4 = (self.v4_port != 0 && self.v4_seen >= oldest)
            .then(|| SocketAddrV4::new(self.v4, self.v4_port));
        let v6 = (self.v6_port != 0 && self.v6_seen >= oldest)
            .then(|| SocketAddrV6::new(self.v6, self.v6_port, 0, 0));
        (v4.is_some() || v6.is_some()).then_some(Given { id, v4, v6 })
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.max(0)).unwrap_or(u32::MAX)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "swarm_tests.rs"]
mod tests;
