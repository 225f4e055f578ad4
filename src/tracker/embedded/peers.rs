//! The peers of one swarm: seeders and leechers in tables of their own, and windows of them for who asks.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use indexmap::IndexMap;

use super::request::Event;
use super::swarm::{Family, Owner, Visit};
use crate::clock::Timestamp;

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

#[derive(Default)]
pub struct Peers {
    seeders: IndexMap<Key, Peer>,
    leechers: IndexMap<Key, Peer>,
    paused: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub owner: Owner,
    pub id: [u8; 20],
}

/// Both families of one client, each as fresh as its own last announce (BEP 7). Times are unix seconds.
#[derive(Clone, Copy)]
pub struct Peer {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    v4_port: u16,
    v6_port: u16,
    v4_seen: u32,
    v6_seen: u32,
    paused: bool,
}

impl Peers {
    pub fn len(&self) -> usize {
        self.seeders.len() + self.leechers.len()
    }

    pub fn seeders(&self) -> usize {
        self.seeders.len()
    }

    pub fn leechers(&self) -> usize {
        self.leechers.len()
    }

    /// Those of the leechers that want nothing more (BEP 21).
    pub fn paused(&self) -> u32 {
        self.paused
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.seeders.keys().chain(self.leechers.keys())
    }

    pub fn has(&self, key: &Key) -> bool {
        self.seeders.contains_key(key) || self.leechers.contains_key(key)
    }

    pub fn remove(&mut self, key: &Key) -> Option<Peer> {
        if let Some(peer) = self.seeders.swap_remove(key) {
            return Some(peer);
        }
        let peer = self.leechers.swap_remove(key)?;
        self.paused -= u32::from(peer.paused);
        Some(peer)
    }

    /// Takes in a newcomer, or what is new about a peer.
    pub fn put(&mut self, key: Key, visit: &Visit) {
        let table = match visit.seeding {
            true => &mut self.seeders,
            false => &mut self.leechers,
        };
        // Nearly always it is where it was.
        if let Some(peer) = table.get_mut(&key) {
            let was_paused = peer.paused;
            peer.see(visit);
            self.paused = self.paused + u32::from(peer.paused) - u32::from(was_paused);
            return;
        }
        let mut peer = self.remove(&key).unwrap_or(Peer {
            v4: Ipv4Addr::UNSPECIFIED,
            v6: Ipv6Addr::UNSPECIFIED,
            v4_port: 0,
            v6_port: 0,
            v4_seen: 0,
            v6_seen: 0,
            paused: false,
        });
        peer.see(visit);
        if visit.seeding {
            self.seeders.insert(key, peer);
        } else {
            self.paused += u32::from(peer.paused);
            self.leechers.insert(key, peer);
        }
    }

    /// Of an owner who has at least `most` peers here, the one longest unheard of.
    pub fn oldest_of(&self, owner: Owner, most: usize) -> Option<Key> {
        let all = self.seeders.iter().chain(&self.leechers);
        let own = all.filter(|(key, _)| key.owner == owner);
        let own: Vec<(u32, Key)> = own.map(|(key, peer)| (peer.seen(), *key)).collect();
        let oldest = own.iter().min_by_key(|(seen, _)| *seen);
        oldest.filter(|_| own.len() >= most).map(|(_, key)| *key)
    }

    /// Takes out everybody who is `gone`, by key and the second last heard of, telling each to `left`.
    pub fn remove_all(&mut self, gone: impl Fn(&Key, u32) -> bool, left: impl Fn(&Key)) {
        let held = self.len();
        for table in [&mut self.seeders, &mut self.leechers] {
            table.retain(|key, peer| {
                let stays = !gone(key, peer.seen());
                if !stays {
                    left(key);
                }
                stays
            });
            if table.capacity() > 64 && table.len() < table.capacity() / 4 {
                table.shrink_to(table.len() * 2);
            }
        }
        if self.len() < held {
            let paused = self.leechers.values().filter(|p| p.paused).count();
            self.paused = u32::try_from(paused).unwrap_or(u32::MAX);
        }
    }

    /// A window of the peers at a random place, each peer as likely as any other: of everybody for a leecher, of the
    /// leechers for who needs nothing.
    pub fn pick(&self, visit: &Visit, oldest: u32) -> Vec<Given> {
        let asker = visit.key();
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
            let Some((key, peer)) = entry.filter(|(key, _)| **key != asker) else {
                continue;
            };
            if let Some(given) = peer.given(key.id, oldest, visit.only) {
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
    fn see(&mut self, visit: &Visit) {
        match visit.address {
            SocketAddr::V4(a) => {
                (self.v4, self.v4_port, self.v4_seen) = (*a.ip(), a.port(), seconds(visit.at))
            }
            SocketAddr::V6(a) => {
                (self.v6, self.v6_port, self.v6_seen) = (*a.ip(), a.port(), seconds(visit.at))
            }
        }
        self.paused = !visit.seeding && visit.event == Event::Paused;
    }

    fn seen(&self) -> u32 {
        self.v4_seen.max(self.v6_seen)
    }

    fn given(&self, id: [u8; 20], oldest: u32, only: Option<Family>) -> Option<Given> {
        let v4 = (self.v4_port != 0 && only != Some(Family::V6) && self.v4_seen >= oldest)
            .then(|| SocketAddrV4::new(self.v4, self.v4_port));
        let v6 = (self.v6_port != 0 && only != Some(Family::V4) && self.v6_seen >= oldest)
            .then(|| SocketAddrV6::new(self.v6, self.v6_port, 0, 0));
        (v4.is_some() || v6.is_some()).then_some(Given { id, v4, v6 })
    }
}

/// As peers remember it.
pub fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.max(0)).unwrap_or(u32::MAX)
}
