use std::collections::HashSet;

use super::*;
use crate::tracker::embedded::held;

const NOW: Timestamp = Timestamp(1_700_000_000);
const ONE: TorrentId = TorrentId(40_001);
const TWO: TorrentId = TorrentId(40_002);

fn visit(torrent: TorrentId, member: i64, seeding: bool) -> Visit {
    let mut peer_id = *b"-SB0001-000000000000";
    peer_id[12..].copy_from_slice(&member.to_be_bytes());
    Visit {
        torrent,
        side: Side::V1,
        owner: Owner::Member(UserId(member)),
        peer_id,
        address: SocketAddr::from(([10, 0, (member >> 8) as u8, member as u8], 7000)),
        seeding,
        event: Event::Regular,
        numwant: 50,
        only: None,
        at: NOW,
    }
}

impl Swarms {
    fn takes(&self, visit: &Visit) -> Found {
        self.announce(visit).unwrap()
    }

    fn changed(&self) -> Vec<(TorrentId, Size)> {
        let changed = self.take_changed(10).into_iter();
        changed.map(|c| (c.torrent, c.size)).collect()
    }
}

fn swarms() -> Swarms {
    bounded(1_000_000, 1_000, 1_000)
}

fn bounded(total_peers: usize, torrents: usize, peers: usize) -> Swarms {
    Swarms::new(Bounds {
        lifetime_s: 3_660,
        total_peers,
        of_member: Most { torrents, peers },
    })
}

fn counts(seeders: u32, leechers: u32) -> Counts {
    Counts {
        seeders,
        leechers,
        paused: 0,
    }
}

fn size(seeders: u32, leechers: u32) -> Size {
    Size { seeders, leechers }
}

#[test]
fn leechers_meet_everybody_and_seeders_only_leechers() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    swarms.takes(&visit(ONE, 2, true));
    let leecher = swarms.takes(&visit(ONE, 3, false));
    assert_eq!((leecher.counts, leecher.peers.len()), (counts(2, 1), 2));
    let seeder = swarms.takes(&visit(ONE, 1, true));
    assert_eq!(seeder.peers.len(), 1);
    assert_eq!(seeder.peers[0].v4, Some("10.0.0.3:7000".parse().unwrap()));
    assert!(
        swarms.takes(&visit(TWO, 9, false)).peers.is_empty(),
        "another torrent is another swarm"
    );
    assert_eq!(swarms.peers(), 4);
}

#[test]
fn numwant_is_kept_and_every_peer_gets_its_turn() {
    let swarms = swarms();
    for member in 1..=20 {
        swarms.takes(&visit(ONE, member, member % 2 == 0));
    }
    let mut seen = HashSet::new();
    for _ in 0..400 {
        let found = swarms.takes(&Visit {
            numwant: 3,
            ..visit(ONE, 99, false)
        });
        assert_eq!(found.peers.len(), 3);
        seen.extend(found.peers.iter().map(|p| p.id));
    }
    assert_eq!(seen.len(), 20);
    let none = swarms.takes(&Visit {
        numwant: 0,
        ..visit(ONE, 99, false)
    });
    assert!(none.peers.is_empty());
}

#[test]
fn a_hybrid_counts_once() {
    let swarms = swarms();
    let v2 = |member, seeding| Visit {
        side: Side::V2,
        ..visit(ONE, member, seeding)
    };
    swarms.takes(&visit(ONE, 1, true));
    swarms.takes(&v2(1, true));
    swarms.takes(&v2(2, true));
    let found = swarms.takes(&visit(ONE, 3, false));
    assert_eq!(
        found.counts,
        counts(2, 1),
        "the larger of the two, never the sum"
    );
    assert_eq!(
        found.peers.len(),
        1,
        "peers of the other hash speak another protocol"
    );
}

#[test]
fn stopping_and_completing_move_a_peer() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, false));
    let done = swarms.takes(&Visit {
        event: Event::Completed,
        ..visit(ONE, 1, true)
    });
    assert_eq!(done.counts, counts(1, 0));
    let gone = swarms.takes(&Visit {
        event: Event::Stopped,
        ..visit(ONE, 1, true)
    });
    assert_eq!((gone.counts, gone.peers.len()), (counts(0, 0), 0));
    assert_eq!((swarms.counts(ONE), swarms.peers()), (None, 0));
    assert_eq!(swarms.changed(), [(ONE, size(0, 0))]);
    assert!(swarms.take_changed(10).is_empty());
}

#[test]
fn partial_seeds_are_leechers_that_want_nothing() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    let paused = Visit {
        event: Event::Paused,
        ..visit(ONE, 2, false)
    };
    assert!(swarms.takes(&paused).peers.is_empty());
    assert_eq!(
        swarms.counts(ONE),
        Some(Counts {
            paused: 1,
            ..counts(1, 1)
        })
    );
    swarms.takes(&visit(ONE, 2, false));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 1)));
}

#[test]
fn both_families_of_one_client_are_one_peer() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    let v6 = Visit {
        address: "[2001:db8::1]:7001".parse().unwrap(),
        ..visit(ONE, 1, true)
    };
    swarms.takes(&v6);
    let found = swarms.takes(&visit(ONE, 2, false));
    assert_eq!(found.counts, counts(1, 1));
    let given: Vec<_> = found.peers[0].addresses().map(|a| a.to_string()).collect();
    assert_eq!(given, ["10.0.0.1:7000", "[2001:db8::1]:7001"]);
    // Only IPv6 goes on: the IPv4 address grows old and is no longer given.
    let later = NOW.plus(3_000);
    swarms.takes(&Visit { at: later, ..v6 });
    let found = swarms.takes(&Visit {
        at: later.plus(1_000),
        ..visit(ONE, 2, false)
    });
    assert_eq!(found.peers[0].addresses().count(), 1);
}

#[test]
fn who_cannot_be_reached_is_counted_but_not_given() {
    let swarms = swarms();
    swarms.takes(&Visit {
        address: "10.0.0.1:0".parse().unwrap(),
        ..visit(ONE, 1, true)
    });
    let found = swarms.takes(&visit(ONE, 2, false));
    assert_eq!((found.counts, found.peers.len()), (counts(1, 1), 0));
}

#[test]
fn the_silent_expire() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    swarms.takes(&Visit {
        at: NOW.plus(1_000),
        ..visit(ONE, 2, false)
    });
    swarms.take_changed(10);
    for step in 0..Swarms::steps() {
        swarms.expire(step, NOW.plus(3_660));
    }
    assert_eq!(swarms.counts(ONE), Some(counts(1, 1)));
    for step in 0..Swarms::steps() {
        swarms.expire(step, NOW.plus(3_661));
    }
    assert_eq!(swarms.counts(ONE), Some(counts(0, 1)));
    assert_eq!(swarms.changed(), [(ONE, size(0, 1))]);
    assert_eq!(swarms.peers(), 1);
}

#[test]
fn the_banned_and_the_deleted_are_gone() {
    let swarms = swarms();
    for torrent in [ONE, TWO] {
        swarms.takes(&visit(torrent, 1, true));
        swarms.takes(&visit(torrent, 2, true));
    }
    swarms.remove_member(UserId(1));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 0)));
    assert_eq!(swarms.counts(TWO), Some(counts(1, 0)));
    swarms.remove(TWO);
    assert_eq!((swarms.counts(TWO), swarms.peers()), (None, 1));
}

#[test]
fn a_member_cannot_fill_a_swarm() {
    let swarms = swarms();
    for n in 0..100u8 {
        let mut flood = visit(ONE, 1, false);
        flood.peer_id[0] = n;
        flood.at = NOW.plus(i64::from(n));
        swarms.takes(&flood);
    }
    assert_eq!(swarms.peers(), MOST_PEERS_OF_MEMBER);
    let found = swarms.takes(&visit(ONE, 2, false));
    assert!(
        found.peers.iter().all(|p| p.id[0] >= 90),
        "the oldest make room"
    );
}

#[test]
fn nobody_moves_anothers_peer() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    let thief = Visit {
        owner: Owner::Member(UserId(2)),
        event: Event::Stopped,
        ..visit(ONE, 1, true)
    };
    swarms.takes(&thief);
    assert_eq!(swarms.counts(ONE), Some(counts(1, 0)));
}

#[test]
fn numbers_survive_a_restart_and_become_true_again() {
    let swarms = swarms();
    swarms.carry(ONE, size(3, 2));
    assert_eq!(swarms.counts(ONE), Some(counts(3, 2)));
    swarms.takes(&visit(ONE, 1, true));
    swarms.returned(ONE, true);
    assert_eq!(
        swarms.counts(ONE),
        Some(counts(3, 2)),
        "one of the three came back"
    );
    swarms.takes(&visit(ONE, 4, false));
    assert_eq!(
        swarms.counts(ONE),
        Some(counts(3, 3)),
        "who is new was not carried"
    );
    swarms.returned(ONE, false);
    assert_eq!(swarms.counts(ONE), Some(counts(3, 2)), "a carried one left");
    swarms.forget_carried();
    assert_eq!(swarms.counts(ONE), Some(counts(1, 1)));
    swarms.carry(TWO, size(1, 0));
    swarms.returned(TWO, true);
    assert_eq!(swarms.counts(TWO), None);
}

#[test]
fn guests_are_recognised_by_what_they_say() {
    let swarms = swarms();
    swarms.carry(ONE, size(1, 1));
    let guest = |peer: u8, event| Visit {
        owner: Owner::Guest(IpAddr::from([10, 9, 9, peer])),
        event,
        ..visit(ONE, 1, false)
    };
    swarms.takes(&guest(1, Event::Started));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 2)));
    swarms.takes(&guest(2, Event::Regular));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 2)));
}

#[test]
fn limits_refuse_newcomers_and_nobody_else() {
    let swarms = bounded(1_000, 2, 3);
    let three = TorrentId(40_003);
    swarms.takes(&visit(ONE, 1, true));
    swarms.takes(&visit(TWO, 1, true));
    let third = swarms.announce(&visit(three, 1, true));
    assert_eq!(third, Err(Limit::MemberTorrents));
    assert_eq!(swarms.counts(three), None);
    swarms.takes(&visit(three, 2, true));
    let other_hash = |member| Visit {
        side: Side::V2,
        ..visit(ONE, member, true)
    };
    swarms.takes(&other_hash(1));
    let another = Visit {
        peer_id: [9; 20],
        ..visit(ONE, 1, true)
    };
    assert_eq!(swarms.announce(&another), Err(Limit::MemberPeers));
    swarms.takes(&visit(ONE, 1, false));
    let stopped = Visit {
        event: Event::Stopped,
        ..another
    };
    swarms.takes(&stopped);
    // Each way out frees what it held.
    swarms.takes(&Visit {
        event: Event::Stopped,
        ..visit(TWO, 1, true)
    });
    swarms.takes(&another);
    swarms.remove(ONE);
    for torrent in [ONE, three] {
        swarms.takes(&visit(torrent, 1, true));
    }
    for step in 0..Swarms::steps() {
        swarms.expire(step, NOW.plus(3_661));
    }
    assert_eq!((swarms.peers(), swarms.occupied()), (0, 0));
    for torrent in [TWO, three] {
        swarms.takes(&visit(torrent, 1, true));
    }
    assert_eq!((swarms.peers(), swarms.occupied()), (2, 2));
    swarms.remove_member(UserId(1));
    assert_eq!((swarms.peers(), swarms.occupied()), (0, 0));
    swarms.takes(&visit(ONE, 1, true));
    swarms.withdraw(&visit(ONE, 1, true));
    assert_eq!((swarms.peers(), swarms.counts(ONE)), (0, None));
    for torrent in [ONE, TWO] {
        swarms.takes(&visit(torrent, 1, true));
    }
}

#[test]
fn a_full_tracker_takes_nobody_new() {
    let swarms = bounded(3, 100, 100);
    for member in 1..=3 {
        swarms.takes(&visit(ONE, member, true));
    }
    let fourth = visit(ONE, 4, false);
    assert_eq!(swarms.announce(&fourth), Err(Limit::TotalPeers));
    let guest = Visit {
        owner: Owner::Guest(IpAddr::from([10, 9, 9, 9])),
        ..fourth
    };
    assert_eq!(swarms.announce(&guest), Err(Limit::TotalPeers));
    swarms.takes(&visit(ONE, 2, false));
    swarms.takes(&Visit {
        event: Event::Stopped,
        ..visit(ONE, 2, false)
    });
    swarms.takes(&fourth);
}

#[test]
fn one_family_is_all_that_some_can_read() {
    let swarms = swarms();
    swarms.takes(&visit(ONE, 1, true));
    for member in 2..=40 {
        swarms.takes(&Visit {
            address: "[2001:db8::1]:7001".parse().unwrap(),
            ..visit(ONE, member, true)
        });
    }
    for (only, found) in [(None, 5), (Some(Family::V6), 5), (Some(Family::V4), 1)] {
        let seen = swarms.takes(&Visit {
            only,
            numwant: 5,
            ..visit(ONE, 99, false)
        });
        let addresses: Vec<SocketAddr> = seen.peers.iter().flat_map(Given::addresses).collect();
        assert_eq!(addresses.len(), found);
        assert!(
            only.is_none()
                || addresses
                    .iter()
                    .all(|a| a.is_ipv4() == (only == Some(Family::V4)))
        );
    }
}

#[test]
fn a_peer_takes_what_the_head_of_the_module_says() {
    const PEERS: i64 = 200_000;
    // Peers in a torrent, and torrents of a member.
    let bytes = |in_torrent: i64, of_member: i64| {
        let swarms = bounded(1_000_000, 1_000, 1_000);
        let empty = held::bytes();
        for n in 0..PEERS {
            let torrent = TorrentId(n / in_torrent);
            let member = n % (PEERS / of_member);
            swarms.takes(&Visit {
                numwant: 0,
                ..visit(torrent, member, n % 3 == 0)
            });
        }
        for torrent in swarms.take_changed(usize::MAX) {
            assert!(torrent.size != Size::default());
        }
        assert_eq!(swarms.peers() as i64, PEERS);
        (held::bytes() - empty) / PEERS as usize
    };
    let (large, usual, alone) = (bytes(10_000, 20), bytes(50, 20), bytes(1, 1));
    println!("{large} bytes a peer in large swarms, {usual} in usual ones, {alone} alone");
    assert!(large <= 200 && usual <= 300 && alone <= 900);
}
