//! The companion's numbers: fetched in one answer or by hash, written when they changed, and old rather than wrong.

use std::fmt::Write;

use seedbank::tracker::{Health, Numbers, queries as swarms};

use super::*;
use crate::fixtures;
use crate::harness::torrust_stub::Mood;

async fn numbers(site: &Site, torrent: TorrentId) -> Option<Numbers> {
    let mut conn = site.app.db.read().await.unwrap();
    site.app.tracker.numbers(&mut conn, torrent).await.unwrap()
}

async fn until_numbers(site: &Site, torrent: TorrentId, expected: (i64, i64, i64)) {
    let begun = Instant::now();
    loop {
        let found = numbers(site, torrent).await;
        let found = found.map(|n| (n.seeders, n.leechers, n.completed));
        if found == Some(expected) {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{found:?} instead of {expected:?}"
        );
        tokio::time::sleep(STEP).await;
    }
}

/// The hashes of a torrent as the tracker writes them.
async fn hashes(site: &Site, torrent: TorrentId) -> Vec<String> {
    let mut conn = site.app.db.read().await.unwrap();
    let all = companion::listed_before(&mut conn, TorrentId(torrent.0 + 1), 1)
        .await
        .unwrap();
    all.into_iter()
        .flat_map(|(_, v1, v2)| v1.into_iter().chain(v2))
        .collect()
}

async fn written_since(site: &Site, second: i64) -> i64 {
    const SQL: &str = "select count(*) from swarms where updated_at >= $1";
    fixtures::number(site, SQL, second).await
}

together! {
    async fn only_what_changed_is_written(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let mut ann = site.member("ann", Role::Member).await;
        let [bob] = members(&site).await;
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(upload(&site, bob, category, &file(&format!("f{n}"), Kind::V1)).await);
        }
        for (n, id) in ids.iter().enumerate().skip(1) {
            stub.set_numbers(&hashes(&site, *id).await[0], n as u64, 1, 2);
        }
        for (n, id) in ids.iter().enumerate().skip(1) {
            until_numbers(&site, *id, (n as i64, 1, 2)).await;
        }
        // Nobody has announced the first one: unknown is not zero.
        assert_eq!(numbers(&site, ids[0]).await, None);
        let stats = ann.get(&format!("/torrents/{}", ids[0])).await.texts(".stats dd");
        assert!(stats[2..5].iter().all(|text| !text.contains('0')), "{stats:?}");

        site.clock.advance(1_000);
        let now = site.clock.now();
        stub.set_numbers(&hashes(&site, ids[3]).await[0], 9, 1, 2);
        until_numbers(&site, ids[3], (9, 1, 2)).await;
        let counted = async || numbers(&site, ids[1]).await.unwrap().updated_at == now;
        until("the others to be confirmed", PATIENCE, counted).await;
        assert_eq!(written_since(&site, now.0).await, 1);
        let mut conn = site.app.db.read().await.unwrap();
        let past = swarms::history_of(&mut conn, ids[3], 0).await.unwrap();
        let past: Vec<_> = past.iter().map(|s| (s.seeders, s.leechers)).collect();
        assert_eq!(past, [(3, 1), (9, 1)], "a sample for each change");
        let past = swarms::history_of(&mut conn, ids[1], 0).await.unwrap();
        assert_eq!(past.len(), 1, "and none without");
    }

    async fn of_a_hybrids_two_swarms_the_larger_counts(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann] = members(&site).await;
        let both = upload(&site, ann, category, &file("both", Kind::Hybrid)).await;
        let [v1, v2]: [String; 2] = hashes(&site, both).await.try_into().unwrap();
        stub.set_numbers(&v1, 5, 1, 3);
        until_numbers(&site, both, (5, 1, 3)).await;
        // The other one is heard of a round later: what both count was completed once.
        stub.set_numbers(&v2, 4, 2, 3);
        until_numbers(&site, both, (5, 2, 3)).await;
        stub.set_numbers(&v2, 4, 2, 4);
        until_numbers(&site, both, (5, 2, 4)).await;
        stub.set_numbers(&v1, 0, 0, 3);
        until_numbers(&site, both, (4, 2, 4)).await;
    }

    async fn completed_outlives_the_tracker_and_the_site(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann] = members(&site).await;
        let one = upload(&site, ann, category, &file("one", Kind::V1)).await;
        let hash = &hashes(&site, one).await[0];
        stub.set_numbers(hash, 3, 1, 7);
        until_numbers(&site, one, (3, 1, 7)).await;
        // In no answer: nobody is in its swarm.
        stub.set(Mood::RestartsEmpty).await;
        until_numbers(&site, one, (0, 0, 7)).await;
        stub.set_numbers(hash, 1, 0, 1);
        until_numbers(&site, one, (1, 0, 8)).await;
        site.kill_and_start().await;
        until_numbers(&site, one, (1, 0, 8)).await;
        stub.set_numbers(hash, 2, 0, 3);
        until_numbers(&site, one, (2, 0, 10)).await;
        site.restart().await;
        stub.set_numbers(hash, 2, 0, 4);
        until_numbers(&site, one, (2, 0, 11)).await;
    }

    async fn an_outage_shows_as_age_and_never_as_zero(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let mut ann = site.member("ann", Role::Member).await;
        let [bob] = members(&site).await;
        let one = upload(&site, bob, category, &file("one", Kind::V1)).await;
        stub.set_numbers(&hashes(&site, one).await[0], 3, 1, 7);
        until_numbers(&site, one, (3, 1, 7)).await;
        for mood in [Mood::Refused, Mood::Garbage, Mood::HalfBody, Mood::Error500] {
            stub.set(mood).await;
            let ailing = async || matches!(site.app.tracker.health(), Health::Ailing { .. });
            until("the tracker to ail", PATIENCE, ailing).await;
            site.clock.advance(3 * 3_600);
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let page = ann.get(&format!("/torrents/{one}")).await.expect(200);
            let stats = page.texts(".stats dd");
            assert_eq!(stats[2..5], ["3", "1", "7"], "{mood:?}");
            let told = page.texts("p.muted.small");
            assert!(told.iter().any(|t| t.contains("Swarm counted 3 h ago")), "{mood:?}: {told:?}");
            stub.set(Mood::Well).await;
            let well = async || {
                let fresh = numbers(&site, one).await.unwrap().updated_at == site.clock.now();
                fresh && site.app.tracker.health() == Health::Well
            };
            until("the tracker to be well", PATIENCE, well).await;
        }
    }

    async fn a_tracker_of_many_is_asked_by_hash(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        let [ann] = members(&site).await;
        let ids = fixtures::torrents(&site, category, ann, 400).await;
        for n in 0..14_000 {
            let mut hash = String::new();
            write!(hash, "{n:040x}").unwrap();
            stub.set_numbers(&hash, 1, 1, 1);
        }
        for id in [ids[0], ids[399]] {
            stub.set_numbers(&hashes(&site, id).await[0], 8, 2, 1);
        }
        site.reconfigure(uses_stub(&stub)).await;
        until_numbers(&site, ids[0], (8, 2, 1)).await;
        until_numbers(&site, ids[399], (8, 2, 1)).await;
        assert_eq!(numbers(&site, ids[1]).await, None);
        // 150 hashes a question.
        let asked = stub.calls("GET /torrents");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let more = stub.calls("GET /torrents") - asked;
        assert!((3..=12).contains(&more), "{more} questions");
    }
}
