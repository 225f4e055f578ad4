//! Who is in which swarm, in memory. Sharded by torrent, because the two hashes of a hybrid are two swarms of one
//! torrent and its numbers are the larger of the two, never the sum. `peers` has one swarm's insides, `holdings` what
//! each member has in all of them.
//!
//! Memory is bounded: at most `tracker.total_peers` peers, [`MOST_PEERS_OF_SWARM`] in a swarm, a handful of one owner
//! in a swarm, and of a member as many as `holdings` allows. A peer takes about 150 bytes in a large
//! swarm, 220 in one of fifty, 720 alone in its torrent and its member's only one (a test measures it); half as much
//! again for a moment while a large table grows. A torrent without peers takes none, or two bytes (`carried`).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::carried::Carried;
use super::holdings::{Holdings, Limit, Most};
pub use super::peers::Given;
use super::peers::{Key, Peers, seconds};
use super::request::Event;
use crate::clock::Timestamp;
use crate::ids::{TorrentId, UserId};

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

/// What is stored of a swarm, and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub seeders: u32,
    pub leechers: u32,
}

/// A torrent whose size changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    pub torrent: TorrentId,
    pub size: Size,
    /// What it was when it was last asked for; `None` where that may not be what is stored.
    pub was: Option<Size>,
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
    /// Only peers that have an address of this family are given, by that address.
    pub only: Option<Family>,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub counts: Counts,
    pub peers: Vec<Given>,
}

/// How much may be remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Seconds without an announce after which a peer is gone.
    pub lifetime_s: u32,
    pub total_peers: usize,
    pub of_member: Most,
}

pub struct Swarms {
    shards: Vec<Mutex<Shard>>,
    members: Holdings,
    peers: AtomicUsize,
    /// Torrents with peers.
    occupied: AtomicUsize,
    bounds: Bounds,
}

struct Shard {
    swarms: HashMap<TorrentId, Swarm>,
    /// Peers that a run before this one counted and that have not come back yet.
    carried: Carried,
    /// Torrents whose size changed since they were last asked for, and [`Changed::was`].
    changed: HashMap<TorrentId, Option<Size>>,
}

#[derive(Default)]
struct Swarm {
    /// By [`Side`].
    sides: [Option<Box<Peers>>; 2],
}

impl Swarms {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            shards: (0..SHARDS).map(Shard::new).map(Mutex::new).collect(),
            members: Holdings::new(bounds.of_member),
            peers: AtomicUsize::new(0),
            occupied: AtomicUsize::new(0),
            bounds,
        }
    }

    /// Takes the announce in and picks peers for it. Only a newcomer can meet a limit: who is here may always
    /// announce again, and leave.
    pub fn announce(&self, visit: &Visit) -> Result<Found, Limit> {
        let mut shard = self.shard(visit.torrent).lock();
        let Shard {
            swarms,
            carried,
            changed,
        } = &mut *shard;
        let swarm = swarms.entry(visit.torrent).or_default();
        let before = swarm.peers();
        let was = swarm.counts(carried.get(visit.torrent)).size();
        let taken = self.take_in(swarm, carried, visit);
        let counts = swarm.counts(carried.get(visit.torrent));
        let found = taken.map(|()| Found {
            counts,
            peers: match (visit.event, &swarm.sides[visit.side as usize]) {
                (Event::Stopped, _) | (_, None) => Vec::new(),
                (_, Some(side)) => side.pick(visit, self.oldest(visit.at)),
            },
        });
        self.note_change(before, swarm.peers());
        if counts.size() != was {
            changed.entry(visit.torrent).or_insert(Some(was));
        }
        if swarm.is_empty() {
            swarms.remove(&visit.torrent);
        }
        found
    }

    fn take_in(
        &self,
        swarm: &mut Swarm,
        carried: &mut Carried,
        visit: &Visit,
    ) -> Result<(), Limit> {
        let key = visit.key();
        let knows = swarm.knows(&key);
        let side = swarm.sides[visit.side as usize].get_or_insert_default();
        if visit.event == Event::Stopped {
            if side.remove(&key).is_some() {
                self.left(&key, visit.torrent);
            }
        } else if side.has(&key) || self.make_room(side, visit)? {
            side.put(key, visit);
        }
        // Of members the books know whether they were here before.
        if let Owner::Guest(_) = key.owner
            && visit.event != Event::Started
            && !knows
        {
            carried.take_one(
                visit.torrent,
                visit.seeding && visit.event != Event::Completed,
            );
        }
        Ok(())
    }

    /// Whether a newcomer is remembered; an owner's own oldest makes room.
    fn make_room(&self, side: &mut Peers, visit: &Visit) -> Result<bool, Limit> {
        let (key, torrent) = (visit.key(), visit.torrent);
        let crowded_at = match key.owner {
            // Looking for the oldest takes a walk, so first whether there may be that many.
            Owner::Member(member) => {
                let held = self.members.in_torrent(member, torrent);
                (held >= MOST_PEERS_OF_MEMBER).then_some(MOST_PEERS_OF_MEMBER)
            }
            Owner::Guest(_) => Some(MOST_PEERS_OF_ADDRESS),
        };
        let oldest = crowded_at.and_then(|most| side.oldest_of(key.owner, most));
        if let Some(oldest) = &oldest {
            side.remove(oldest);
            self.left(oldest, torrent);
        } else if self.peers() >= self.bounds.total_peers {
            return Err(Limit::TotalPeers);
        }
        if side.len() >= MOST_PEERS_OF_SWARM {
            return Ok(false);
        }
        if let Owner::Member(member) = key.owner {
            self.members.enter(member, torrent)?;
        }
        Ok(true)
    }

    /// Takes back what an announce just put in: whose right to it ended meanwhile.
    pub fn withdraw(&self, visit: &Visit) {
        let key = visit.key();
        let mut shard = self.shard(visit.torrent).lock();
        self.thin_one(&mut shard, visit.torrent, |k| *k == key);
    }

    /// The torrent's numbers now; `None` when nobody is here.
    pub fn counts(&self, torrent: TorrentId) -> Option<Counts> {
        let shard = self.shard(torrent).lock();
        let counts = shard.counts(torrent);
        (shard.swarms.contains_key(&torrent) || counts != Counts::default()).then_some(counts)
    }

    /// Peers counted by an earlier run; they fade as clients come back or leave, and end with [`forget_carried`].
    ///
    /// [`forget_carried`]: Self::forget_carried
    pub fn carry(&self, torrent: TorrentId, size: Size) {
        self.shard(torrent).lock().carried.set(torrent, size);
    }

    /// One of those that an earlier run counted has announced; its role then is a guess from its role now.
    pub fn returned(&self, torrent: TorrentId, was_seeding: bool) {
        let mut shard = self.shard(torrent).lock();
        let was = shard.counts(torrent).size();
        shard.carried.take_one(torrent, was_seeding);
        shard.note_change(torrent, was);
    }

    /// From now on nothing is carried; whose numbers that changes comes out of [`Self::take_changed`] by and by.
    pub fn forget_carried(&self) {
        for shard in &self.shards {
            shard.lock().carried.fade();
        }
    }

    /// Takes a torrent away: it was deleted.
    pub fn remove(&self, torrent: TorrentId) {
        let mut shard = self.shard(torrent).lock();
        shard.changed.remove(&torrent);
        shard.carried.set(torrent, Size::default());
        if let Some(swarm) = shard.swarms.remove(&torrent) {
            for key in swarm.sides.iter().flatten().flat_map(|side| side.keys()) {
                self.left(key, torrent);
            }
            self.note_change(swarm.peers(), 0);
        }
    }

    /// Takes a member's peers out of every swarm: a ban, or a passkey that was replaced.
    pub fn remove_member(&self, member: UserId) {
        for torrent in self.members.torrents_of(member) {
            let mut shard = self.shard(torrent).lock();
            self.thin_one(&mut shard, torrent, |k| k.owner == Owner::Member(member));
        }
    }

    /// Takes out who has not been heard of, in one of [`Self::steps`] parts, so that no lock is held long.
    pub fn expire(&self, step: usize, now: Timestamp) {
        let oldest = self.oldest(now);
        let mut shard = self.shards[step % SHARDS].lock();
        let Shard {
            swarms,
            carried,
            changed,
        } = &mut *shard;
        swarms.retain(|&torrent, swarm| {
            let was = swarm.counts(carried.get(torrent));
            self.thin(torrent, swarm, |_, seen| seen < oldest);
            if swarm.counts(carried.get(torrent)).size() != was.size() {
                changed.entry(torrent).or_insert(Some(was.size()));
            }
            !swarm.is_empty()
        });
        if swarms.capacity() > 256 && swarms.len() < swarms.capacity() / 4 {
            swarms.shrink_to(swarms.len() * 2);
        }
        if changed.is_empty() && changed.capacity() > 256 {
            changed.shrink_to(0);
        }
    }

    pub const fn steps() -> usize {
        SHARDS
    }

    /// At most `limit` torrents whose size changed, with that of now.
    pub fn take_changed(&self, limit: usize) -> Vec<Changed> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let room = limit.saturating_sub(taken.len());
            let some = shard.changed.iter().take(room);
            let some: Vec<_> = some.map(|(torrent, was)| (*torrent, *was)).collect();
            for (torrent, was) in some {
                shard.changed.remove(&torrent);
                let size = shard.counts(torrent).size();
                taken.push(Changed { torrent, size, was });
            }
        }
        // Whoever is here comes first.
        for shard in &self.shards {
            let mut shard = shard.lock();
            let room = limit.saturating_sub(taken.len());
            for torrent in shard.carried.tell_faded(room) {
                let size = shard.counts(torrent).size();
                let was = None;
                taken.push(Changed { torrent, size, was });
            }
        }
        taken
    }

    /// What is stored of these is not known: they are taken again.
    pub fn mark_changed(&self, torrents: impl Iterator<Item = TorrentId>) {
        for torrent in torrents {
            self.shard(torrent).lock().changed.insert(torrent, None);
        }
    }

    /// What was stored of a torrent that [`Self::mark_changed`] named.
    pub fn stored(&self, torrent: TorrentId, size: Size) {
        if let Some(was) = self.shard(torrent).lock().changed.get_mut(&torrent) {
            *was = Some(size);
        }
    }

    pub fn peers(&self) -> usize {
        self.peers.load(Ordering::Relaxed)
    }

    /// Torrents with peers.
    pub fn occupied(&self) -> usize {
        self.occupied.load(Ordering::Relaxed)
    }

    fn shard(&self, torrent: TorrentId) -> &Mutex<Shard> {
        let at = torrent.0.rem_euclid(SHARDS as i64);
        &self.shards[at as usize]
    }

    fn oldest(&self, now: Timestamp) -> u32 {
        seconds(now).saturating_sub(self.bounds.lifetime_s)
    }

    /// A torrent's peers, before and after.
    fn note_change(&self, before: usize, after: usize) {
        if after >= before {
            self.peers.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.peers.fetch_sub(before - after, Ordering::Relaxed);
        }
        match (before, after) {
            (0, 1..) => self.occupied.fetch_add(1, Ordering::Relaxed),
            (1.., 0) => self.occupied.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }

    fn left(&self, key: &Key, torrent: TorrentId) {
        if let Owner::Member(member) = key.owner {
            self.members.leave(member, torrent);
        }
    }

    fn thin_one(&self, shard: &mut Shard, torrent: TorrentId, gone: impl Fn(&Key) -> bool) {
        let was = shard.counts(torrent).size();
        let Some(swarm) = shard.swarms.get_mut(&torrent) else {
            return;
        };
        self.thin(torrent, swarm, |key, _| gone(key));
        if swarm.is_empty() {
            shard.swarms.remove(&torrent);
        }
        shard.note_change(torrent, was);
    }

    /// Takes peers out.
    fn thin(&self, torrent: TorrentId, swarm: &mut Swarm, gone: impl Fn(&Key, u32) -> bool) {
        let before = swarm.peers();
        for side in &mut swarm.sides {
            let Some(peers) = side else { continue };
            peers.remove_all(&gone, |key| self.left(key, torrent));
            if peers.len() == 0 {
                *side = None;
            }
        }
        self.note_change(before, swarm.peers());
    }
}

impl Shard {
    fn new(number: usize) -> Self {
        Self {
            swarms: HashMap::new(),
            carried: Carried::new(number, SHARDS),
            changed: HashMap::new(),
        }
    }

    fn counts(&self, torrent: TorrentId) -> Counts {
        let carried = self.carried.get(torrent);
        match self.swarms.get(&torrent) {
            Some(swarm) => swarm.counts(carried),
            None => Swarm::default().counts(carried),
        }
    }

    /// A torrent's size may be another one now.
    fn note_change(&mut self, torrent: TorrentId, was: Size) {
        if self.counts(torrent).size() != was {
            self.changed.entry(torrent).or_insert(Some(was));
        }
    }
}

impl Counts {
    pub fn size(self) -> Size {
        Size {
            seeders: self.seeders,
            leechers: self.leechers,
        }
    }
}

impl Visit {
    pub(super) fn key(&self) -> Key {
        Key {
            owner: self.owner,
            id: self.peer_id,
        }
    }
}

impl Swarm {
    fn counts(&self, carried: Size) -> Counts {
        let mut counts = Counts::default();
        for side in self.sides.iter().flatten() {
            counts.seeders = counts.seeders.max(count(side.seeders()));
            counts.leechers = counts.leechers.max(count(side.leechers()));
            counts.paused = counts.paused.max(side.paused());
        }
        counts.seeders = counts.seeders.saturating_add(carried.seeders);
        counts.leechers = counts.leechers.saturating_add(carried.leechers);
        counts
    }

    fn is_empty(&self) -> bool {
        self.peers() == 0
    }

    /// Peers of both sides.
    fn peers(&self) -> usize {
        self.sides.iter().flatten().map(|side| side.len()).sum()
    }

    fn knows(&self, key: &Key) -> bool {
        self.sides.iter().flatten().any(|side| side.has(key))
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "swarm_tests.rs"]
mod tests;
