use super::*;

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
        at: NOW,
    }
}

fn swarms() -> Swarms {
    Swarms::new(3_660)
}

fn counts(seeders: u32, leechers: u32) -> Counts {
    Counts {
        seeders,
        leechers,
        paused: 0,
    }
}

#[test]
fn leechers_meet_everybody_and_seeders_only_leechers() {
    let swarms = swarms();
    swarms.announce(&visit(ONE, 1, true));
    swarms.announce(&visit(ONE, 2, true));
    let leecher = swarms.announce(&visit(ONE, 3, false));
    assert_eq!((leecher.counts, leecher.peers.len()), (counts(2, 1), 2));
    let seeder = swarms.announce(&visit(ONE, 1, true));
    assert_eq!(seeder.peers.len(), 1);
    assert_eq!(seeder.peers[0].v4, Some("10.0.0.3:7000".parse().unwrap()));
    assert!(
        swarms.announce(&visit(TWO, 9, false)).peers.is_empty(),
        "another torrent is another swarm"
    );
    assert_eq!(swarms.peers(), 4);
}

#[test]
fn numwant_is_kept_and_every_peer_gets_its_turn() {
    let swarms = swarms();
    for member in 1..=20 {
        swarms.announce(&visit(ONE, member, member % 2 == 0));
    }
    let mut seen = HashSet::new();
    for _ in 0..400 {
        let found = swarms.announce(&Visit {
            numwant: 3,
            ..visit(ONE, 99, false)
        });
        assert_eq!(found.peers.len(), 3);
        seen.extend(found.peers.iter().map(|p| p.id));
    }
    assert_eq!(seen.len(), 20);
    let none = swarms.announce(&Visit {
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
    swarms.announce(&visit(ONE, 1, true));
    swarms.announce(&v2(1, true));
    swarms.announce(&v2(2, true));
    let found = swarms.announce(&visit(ONE, 3, false));
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
    swarms.announce(&visit(ONE, 1, false));
    let done = swarms.announce(&Visit {
        event: Event::Completed,
        ..visit(ONE, 1, true)
    });
    assert_eq!(done.counts, counts(1, 0));
    let gone = swarms.announce(&Visit {
        event: Event::Stopped,
        ..visit(ONE, 1, true)
    });
    assert_eq!((gone.counts, gone.peers.len()), (counts(0, 0), 0));
    assert_eq!((swarms.counts(ONE), swarms.peers()), (None, 0));
    assert_eq!(swarms.take_changed(10), [(ONE, counts(0, 0))]);
    assert!(swarms.take_changed(10).is_empty());
}

#[test]
fn partial_seeds_are_leechers_that_want_nothing() {
    let swarms = swarms();
    swarms.announce(&visit(ONE, 1, true));
    let paused = Visit {
        event: Event::Paused,
        ..visit(ONE, 2, false)
    };
    assert!(swarms.announce(&paused).peers.is_empty());
    assert_eq!(
        swarms.counts(ONE),
        Some(Counts {
            paused: 1,
            ..counts(1, 1)
        })
    );
    swarms.announce(&visit(ONE, 2, false));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 1)));
}

#[test]
fn both_families_of_one_client_are_one_peer() {
    let swarms = swarms();
    swarms.announce(&visit(ONE, 1, true));
    let v6 = Visit {
        address: "[2001:db8::1]:7001".parse().unwrap(),
        ..visit(ONE, 1, true)
    };
    swarms.announce(&v6);
    let found = swarms.announce(&visit(ONE, 2, false));
    assert_eq!(found.counts, counts(1, 1));
    let given: Vec<_> = found.peers[0].addresses().map(|a| a.to_string()).collect();
    assert_eq!(given, ["10.0.0.1:7000", "[2001:db8::1]:7001"]);
    // Only IPv6 goes on: the IPv4 address grows old and is no longer given.
    let later = NOW.plus(3_000);
    swarms.announce(&Visit { at: later, ..v6 });
    let found = swarms.announce(&Visit {
        at: later.plus(1_000),
        ..visit(ONE, 2, false)
    });
    assert_eq!(found.peers[0].addresses().count(), 1);
}

#[test]
fn who_cannot_be_reached_is_counted_but_not_given() {
    let swarms = swarms();
    swarms.announce(&Visit {
        address: "10.0.0.1:0".parse().unwrap(),
        ..visit(ONE, 1, true)
    });
    let found = swarms.announce(&visit(ONE, 2, false));
    assert_eq!((found.counts, found.peers.len()), (counts(1, 1), 0));
}

#[test]
fn the_silent_expire() {
    let swarms = swarms();
    swarms.announce(&visit(ONE, 1, true));
    swarms.announce(&Visit {
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
    assert_eq!(swarms.take_changed(10), [(ONE, counts(0, 1))]);
    assert_eq!(swarms.peers(), 1);
}

#[test]
fn the_banned_and_the_deleted_are_gone() {
    let swarms = swarms();
    for torrent in [ONE, TWO] {
        swarms.announce(&visit(torrent, 1, true));
        swarms.announce(&visit(torrent, 2, true));
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
        swarms.announce(&flood);
    }
    assert_eq!(swarms.peers(), MOST_PEERS_OF_MEMBER);
    let found = swarms.announce(&visit(ONE, 2, false));
    assert!(
        found.peers.iter().all(|p| p.id[0] >= 90),
        "the oldest make room"
    );
}

#[test]
fn nobody_moves_anothers_peer() {
    let swarms = swarms();
    swarms.announce(&visit(ONE, 1, true));
    let thief = Visit {
        owner: Owner::Member(UserId(2)),
        event: Event::Stopped,
        ..visit(ONE, 1, true)
    };
    swarms.announce(&thief);
    assert_eq!(swarms.counts(ONE), Some(counts(1, 0)));
}

#[test]
fn numbers_survive_a_restart_and_become_true_again() {
    let swarms = swarms();
    swarms.carry(ONE, 3, 2);
    assert_eq!(swarms.counts(ONE), Some(counts(3, 2)));
    swarms.announce(&visit(ONE, 1, true));
    swarms.returned(ONE, true);
    assert_eq!(
        swarms.counts(ONE),
        Some(counts(3, 2)),
        "one of the three came back"
    );
    swarms.announce(&visit(ONE, 4, false));
    assert_eq!(
        swarms.counts(ONE),
        Some(counts(3, 3)),
        "who is new was not carried"
    );
    swarms.returned(ONE, false);
    assert_eq!(swarms.counts(ONE), Some(counts(3, 2)), "a carried one left");
    swarms.forget_carried();
    assert_eq!(swarms.counts(ONE), Some(counts(1, 1)));
    swarms.carry(TWO, 1, 0);
    swarms.returned(TWO, true);
    assert_eq!(swarms.counts(TWO), None);
}

#[test]
fn guests_are_recognised_by_what_they_say() {
    let swarms = swarms();
    swarms.carry(ONE, 1, 1);
    let guest = |peer: u8, event| Visit {
        owner: Owner::Guest(IpAddr::from([10, 9, 9, peer])),
        event,
        ..visit(ONE, 1, false)
    };
    swarms.announce(&guest(1, Event::Started));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 2)));
    swarms.announce(&guest(2, Event::Regular));
    assert_eq!(swarms.counts(ONE), Some(counts(1, 2)));
}

#[test]
fn a_peer_takes_what_the_head_of_the_module_says() {
    let entry = size_of::<Key>() + size_of::<Peer>() + size_of::<usize>();
    assert!(entry + 12 <= 112, "{entry} bytes and the index");
}
