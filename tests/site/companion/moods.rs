//! 100 uploads while the tracker has a bad day, with deletions, new passkeys and bans between them and the site
//! killed in the middle: afterwards the tracker knows what is listed and who may announce, and nothing else.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::*;
use crate::harness::torrust_stub::{Mood, WriteCall};
use crate::harness::{Backend, run_bare};

const UPLOADS: usize = 100;
/// Longer than a client's patience with one call.
const SLOW: Duration = Duration::from_secs(5);
const MOODS: [Mood; 9] = [
    Mood::Refused,
    Mood::BlackHole,
    Mood::Slow(SLOW),
    Mood::Error500,
    Mood::WrongToken,
    Mood::Garbage,
    Mood::HalfBody,
    Mood::DiesAfter,
    Mood::RestartsEmpty,
];

async fn story(mut site: Site, mood: Mood) {
    let category = set_up(&site).await;
    let _ticking = Ticking::of(&site);
    let stub = TorrustStub::start(CLOSED).await;
    site.reconfigure(uses_stub(&stub)).await;
    let [ann, bob, cleo, dora, root] = members(&site).await;
    let mut erin = site.member("erin", Role::Member).await;
    let before = upload(&site, ann, category, &file("before", Kind::Hybrid)).await;
    told(&site).await;
    assert_eq!(Truth::at(&stub), Truth::of(&site).await, "{mood:?}");

    // ---- While it lasts
    if mood != Mood::RestartsEmpty {
        stub.set(mood).await;
    }
    let kinds = [Kind::V1, Kind::Hybrid, Kind::V2];
    let mut dead = (Vec::new(), Vec::new());
    let mut first_bytes = Vec::new();
    let mut ids = Vec::new();
    let mut took = Vec::new();
    for n in 0..UPLOADS {
        let bytes = file(&format!("upload-{n}"), kinds[n % 3]);
        if n % 33 == 1 {
            erin.follow(site.port);
            let begun = Instant::now();
            ids.push(TorrentId(made::publish(&mut erin, &bytes, "By hand").await));
            let page = format!("/torrents/{}", ids[n]);
            erin.get(&page).await.expect(200);
            took.push(begun.elapsed());
        } else {
            ids.push(upload(&site, ann, category, &bytes).await);
        }
        match n {
            0 => first_bytes = bytes,
            10 => dead.0.push(reset(&site, bob).await),
            20 => delete(&site, before, root).await,
            30 => dead.0.push(ban(&site, cleo, root).await),
            // Deleted and uploaded again, and once more, before the tracker heard of any of it.
            40 => delete(&site, ids[0], root).await,
            50 => {
                if mood == Mood::RestartsEmpty {
                    stub.set(mood).await;
                }
                ids[0] = upload(&site, ann, category, &first_bytes).await;
            }
            60 => dead.0.push(reset(&site, bob).await),
            70 => delete(&site, ids[3], root).await,
            80 => delete(&site, ids[0], root).await,
            90 => ids[0] = upload(&site, ann, category, &first_bytes).await,
            _ => {}
        }
        if n == 25 || n == 75 {
            site.kill_and_start().await;
        }
    }
    // Each was three requests, none of which waits for a tracker whose patience is seconds: on a busy machine the
    // quickest tells.
    assert!(
        took.iter().min().unwrap() < &Duration::from_secs(3),
        "{mood:?}: {took:?}"
    );
    // Who starts after a kill asks, and is not answered, before it is over.
    let asked = stub.calls("GET /stats");
    if !matches!(mood, Mood::Refused | Mood::RestartsEmpty) {
        until("the tracker to be asked", PATIENCE, async || {
            stub.calls("GET /stats") > asked + 1
        })
        .await;
    } else {
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let late = ban(&site, dora, root).await;
    dead.0.push(late);
    dead.1.push(ids[3]);

    // ---- It ends
    if mood != Mood::RestartsEmpty {
        stub.set(Mood::Well).await;
    }
    let gone = async || dead.0.iter().all(|key| !stub.keys().contains(key));
    until(&format!("{mood:?}: keys to be dead"), SOON, gone).await;
    site.kill_and_start().await;
    told(&site).await;
    if let Mood::Slow(wait) = mood {
        // What the site gave up on is done now.
        tokio::time::sleep(wait).await;
    }
    // What is said once more.
    site.clock.advance(61);
    until(
        &format!("{mood:?}: an empty outbox"),
        PATIENCE,
        async || rows(&site).await == 0,
    )
    .await;
    told(&site).await;
    assert_eq!(Truth::at(&stub), Truth::of(&site).await, "{mood:?}");
    let listed = Truth::of(&site).await.hashes.len();
    assert!(listed > UPLOADS, "{listed}");

    // ---- Nothing twice at once, and nothing again and again
    assert_eq!(stub.most_writes_at_once(), 1, "{mood:?}");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for write in stub.writes() {
        if let (WriteCall::Allow(hash), Some(_)) = (write.call, write.done) {
            *times.entry(hash).or_default() += 1;
        }
    }
    let most = times.values().max().copied().unwrap_or_default();
    // A repetition of everything, and one that was answered and not noted, are no harm.
    assert!(most <= 5, "{mood:?}: {most} times");
    let written = stub.writes().len();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut rest = stub.writes().split_off(written);
    let sentinel = Truth::of(&site).await.keys;
    rest.retain(|write| !matches!(&write.call, WriteCall::Admit(key) if sentinel.contains(key)));
    assert!(rest.is_empty(), "{mood:?}: {rest:?}");
    site.end().await;
}

fn all(backend: Backend) {
    run_bare(async {
        // Mostly they wait: together they take little longer than one.
        join_all(MOODS.map(|mood| async move {
            if let Some(site) = Site::fresh(backend).await {
                story(site, mood).await;
            }
        }))
        .await;
    });
}

#[test]
fn sqlite() {
    all(Backend::Sqlite);
}

#[test]
fn postgres() {
    all(Backend::Postgres);
}
