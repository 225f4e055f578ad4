//! What every kind of tracker does for the site: the one inside, the real companion, and its stand-in.

use super::*;
use crate::harness::{Backend, Browser, run_bare};

enum Which {
    Inside,
    StandIn(TorrustStub),
    Real(TorrustReal),
}

/// A member's client; it says whether it was let in.
struct Client {
    http: Browser,
    passkey: String,
}

impl Client {
    async fn is_served(&self, site: &Site, hash: &str) -> bool {
        let url = &site
            .app
            .tracker
            .announce_urls(&self.http.base, Some(&self.passkey))[0];
        let hash: String = (0..20)
            .map(|i| format!("%{}", &hash[i * 2..i * 2 + 2]))
            .collect();
        let url = format!(
            "{url}?info_hash={hash}&peer_id=-XX0001-{:0>12}&port=5001&uploaded=0&downloaded=0&left=0&compact=1",
            &self.passkey[..12]
        );
        let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
        assert!(answer.starts_with('d'), "{answer}");
        !answer.contains("failure reason")
    }

    async fn until_served(&self, site: &Site, hash: &str) {
        until("an announce to be taken", PATIENCE, || {
            self.is_served(site, hash)
        })
        .await;
    }

    async fn until_refused(&self, site: &Site, hash: &str) {
        let refused = async || !self.is_served(site, hash).await;
        until("an announce to be refused", PATIENCE, refused).await;
    }
}

fn hashes(file: &[u8]) -> Vec<String> {
    let metainfo = made::parse(file);
    let v1 = metainfo.infohash_v1.map(|h| h.as_bytes().to_vec());
    let v2 = metainfo.infohash_v2.map(|h| h.as_bytes()[..20].to_vec());
    v1.into_iter()
        .chain(v2)
        .map(|hash| data_encoding::HEXLOWER.encode(&hash))
        .collect()
}

async fn story(mut site: Site, which: Which) {
    let category = set_up(&site).await;
    let _ticking = Ticking::of(&site);
    match &which {
        Which::Inside => {}
        Which::StandIn(stub) => site.reconfigure(uses_stub(stub)).await,
        Which::Real(real) => site.reconfigure(uses_real(real)).await,
    }
    let mut ann = site.member("ann", Role::Member).await;
    let bob = site.account("bob", Role::Member).await;
    let root = site.account("root", Role::Admin).await;
    let client = async |member| Client {
        http: Browser::new(site.port),
        passkey: passkey(&site, member).await,
    };
    let bobs = client(bob).await;

    // Each of a hybrid's hashes may be announced, and its numbers are one swarm's.
    let both = file("both", Kind::Hybrid);
    let id = made::publish(&mut ann, &both, "Both").await;
    for hash in hashes(&both) {
        bobs.until_served(&site, &hash).await;
    }
    let page = format!("/torrents/{id}");
    let begun = Instant::now();
    loop {
        let stats = ann.get(&page).await.expect(200).texts(".stats dd");
        if stats[2] == "1" && stats[3] == "0" {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{stats:?}");
        tokio::time::sleep(STEP).await;
    }

    // A deleted torrent is refused; uploaded again it is served again.
    let plain = file("plain", Kind::V1);
    let hash = &hashes(&plain)[0];
    let by = upload(&site, root, category, &plain).await;
    bobs.until_served(&site, hash).await;
    delete(&site, by, root).await;
    bobs.until_refused(&site, hash).await;
    let again = upload(&site, root, category, &plain).await;
    assert_ne!(again, by);
    bobs.until_served(&site, hash).await;
    let known = async || {
        let mut conn = site.app.db.read().await.unwrap();
        let numbers = site.app.tracker.numbers(&mut conn, again).await.unwrap();
        numbers.is_some_and(|n| n.seeders == 1)
    };
    until("the new torrent's numbers", PATIENCE, known).await;

    // A replaced key and a banned member's are refused, and nobody else's.
    let roots = client(root).await;
    roots.until_served(&site, hash).await;
    reset(&site, bob).await;
    bobs.until_refused(&site, hash).await;
    let bobs = client(bob).await;
    bobs.until_served(&site, hash).await;
    ban(&site, bob, root).await;
    bobs.until_refused(&site, hash).await;
    assert!(roots.is_served(&site, hash).await);

    match &which {
        Which::Inside => {}
        Which::StandIn(stub) => assert_eq!(Truth::at(stub), Truth::of(&site).await),
        Which::Real(real) => assert_eq!(Truth::in_file_of(real).await, Truth::of(&site).await),
    }
    site.end().await;
}

/// On both databases at the same time.
fn on_both(which: impl AsyncFn() -> Option<Which>) {
    run_bare(async {
        let on = async |backend| {
            if let (Some(site), Some(which)) = (Site::fresh(backend).await, which().await) {
                story(site, which).await;
            }
        };
        tokio::join!(on(Backend::Sqlite), on(Backend::Postgres));
    });
}

#[test]
fn the_one_inside() {
    on_both(async || Some(Which::Inside));
}

#[test]
fn the_stand_in() {
    on_both(async || Some(Which::StandIn(TorrustStub::start(CLOSED).await)));
}

#[test]
fn the_real_one() {
    on_both(async || TorrustReal::start(CLOSED).await.map(Which::Real));
}
