//! How much of the swarms each member holds: which torrents, and how many peers in all of them. So a newcomer is
//! judged, and a banned member found, without a look at any swarm. About 30 bytes for each torrent of a member.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parking_lot::Mutex;

use crate::ids::{TorrentId, UserId};

const SHARDS: usize = 16;

/// What one member may hold; a torrent's two hashes are one torrent, and two swarms with a peer in each.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub torrents: usize,
    pub peers: usize,
}

/// Which limit a newcomer met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    TotalPeers,
    MemberTorrents,
    MemberPeers,
}

pub struct Holdings {
    members: Vec<Mutex<HashMap<UserId, Held>>>,
    most: Most,
}

#[derive(Default)]
struct Held {
    peers: usize,
    /// Peers in each torrent.
    torrents: HashMap<TorrentId, u32>,
}

impl Holdings {
    pub fn new(most: Most) -> Self {
        Self {
            members: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most,
        }
    }

    /// One peer more, where that is allowed.
    pub fn enter(&self, member: UserId, torrent: TorrentId) -> Result<(), Limit> {
        let mut members = self.shard(member).lock();
        let held = members.entry(member).or_default();
        let limit = if held.peers >= self.most.peers {
            Some(Limit::MemberPeers)
        } else if held.torrents.len() >= self.most.torrents && !held.torrents.contains_key(&torrent)
        {
            Some(Limit::MemberTorrents)
        } else {
            None
        };
        if let Some(limit) = limit {
            return Err(limit);
        }
        held.peers += 1;
        *held.torrents.entry(torrent).or_default() += 1;
        Ok(())
    }

    /// One peer less.
    pub fn leave(&self, member: UserId, torrent: TorrentId) {
        let mut members = self.shard(member).lock();
        let Some(held) = members.get_mut(&member) else {
            return;
        };
        if let Entry::Occupied(mut peers) = held.torrents.entry(torrent) {
            held.peers -= 1;
            *peers.get_mut() -= 1;
            if *peers.get() == 0 {
                peers.remove();
            }
        }
        if held.peers == 0 {
            members.remove(&member);
        } else if held.torrents.capacity() > 64
            && held.torrents.len() < held.torrents.capacity() / 4
        {
            held.torrents.shrink_to(held.torrents.len() * 2);
        }
    }

    /// Peers of a member in one torrent.
    pub fn in_torrent(&self, member: UserId, torrent: TorrentId) -> usize {
        let members = self.shard(member).lock();
        let peers = members.get(&member).and_then(|h| h.torrents.get(&torrent));
        peers.map_or(0, |&n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    pub fn torrents_of(&self, member: UserId) -> Vec<TorrentId> {
        let members = self.shard(member).lock();
        let held = members.get(&member);
        held.map_or_else(Vec::new, |h| h.torrents.keys().copied().collect())
    }

    fn shard(&self, member: UserId) -> &Mutex<HashMap<UserId, Held>> {
        let at = member.0.rem_euclid(SHARDS as i64);
        &self.members[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);

    #[test]
    fn limits_hold_and_free_up() {
        let holdings = Holdings::new(Most {
            torrents: 2,
            peers: 3,
        });
        let enter = |torrent| holdings.enter(ANN, TorrentId(torrent));
        assert_eq!((enter(1), enter(2)), (Ok(()), Ok(())));
        assert_eq!(enter(3), Err(Limit::MemberTorrents));
        assert_eq!(enter(1), Ok(()));
        assert_eq!(enter(1), Err(Limit::MemberPeers));
        assert_eq!(holdings.enter(UserId(2), TorrentId(9)), Ok(()));
        assert_eq!(holdings.in_torrent(ANN, TorrentId(1)), 2);
        holdings.leave(ANN, TorrentId(1));
        assert_eq!(enter(3), Err(Limit::MemberTorrents));
        holdings.leave(ANN, TorrentId(1));
        holdings.leave(ANN, TorrentId(1));
        assert_eq!(enter(3), Ok(()));
        let mut held = holdings.torrents_of(ANN);
        held.sort_unstable();
        assert_eq!(held, [TorrentId(2), TorrentId(3)]);
        for torrent in [2, 3] {
            holdings.leave(ANN, TorrentId(torrent));
        }
        assert!(holdings.shard(ANN).lock().is_empty());
    }
}
