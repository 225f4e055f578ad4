//! What the embedded tracker bounds: peers, torrents, speeds; what it is reached by; what errors may not undo.

use seedbank::accounts::queries as accounts;
use seedbank::config::Listen;
use seedbank::db::revisions::{self, Revision};
use seedbank::exec;

use crate::tracker::{Client, embedded, encoded, refused, torrent};
use crate::udp::Socket;

#[test]
fn an_address_in_use_is_said_at_start() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_seedbank"))
        .env("SEEDBANK__SERVER__LISTEN", "127.0.0.1:0")
        .env("SEEDBANK__SERVER__DATA_DIR", directory.path())
        .env("SEEDBANK__TRACKER__UDP_LISTEN", &address)
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains(&format!("{address} cannot be listened on by UDP")),
        "{said}"
    );
    assert!(said.contains("SEEDBANK__TRACKER__UDP_LISTEN"), "{said}");
}

both! {
    async fn an_address_of_its_own_for_announces(site: Site) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        site.reconfigure(|config| config.tracker.listen = Listen(Some(free))).await;
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "").await;
        bob.browser.follow(free.port());
        bob.report(1, (0, 0), "").await.shows("8:completei2e");
        let hash = encoded(&[1; 20]);
        bob.browser.get(&format!("/scrape/{}?info_hash={hash}", bob.passkey)).await.shows("8:completei2e");
        refused(&bob.browser.get("/announce").await, "this tracker is for members; log in and download the .torrent again");
        for path in ["/", "/login", "/announce/a/b", "/static/x/seedbank.css", "/metrics"] {
            let reply = bob.browser.get(path).await.expect(404);
            assert_eq!(reply.text, "Torrent clients announce here; the site is elsewhere.\n");
        }
        // It ends with the site, so that the next start finds the address free.
        site.restart().await;
        bob.report(1, (0, 0), "").await;
    }

    async fn limits_name_themselves_and_free_up(site: Site) {
        site.reconfigure(|config| {
            config.tracker.udp_listen = Listen(Some("127.0.0.1:0".parse().unwrap()));
            config.tracker.member_torrents = 2;
            config.tracker.member_peers = 3;
            config.tracker.total_peers = 4;
        })
        .await;
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        for hash in 1..=4 {
            torrent(&site, ann.id, Some(hash), None).await;
        }
        ann.report(1, (0, 0), "").await;
        ann.report(2, (0, 0), "").await;
        let torrents = "your clients are in 2 torrents, as many as one member may be in (member_torrents); stop one first";
        refused(&ann.announce(3, "&uploaded=900&downloaded=0&left=0").await, torrents);
        let anns = Socket::from("127.0.0.1:0", &site, &ann).await;
        assert_eq!(anns.refusal(3).await, torrents);
        let mut second = Client::again(&site, ann.id, "-SB0001-second000000").await;
        second.report(1, (0, 0), "").await;
        let peers = "your clients announce 3 times over, as often as one member may (member_peers); stop one first";
        refused(&second.announce(2, "").await, peers);
        ann.report(1, (5, 0), "").await;
        bob.report(3, (0, 0), "").await;
        refused(&bob.announce(4, "").await, "this tracker is full (total_peers); it has room again as others leave");
        // Stopping frees a place, and so does a ban.
        ann.report(2, (0, 0), "&event=stopped").await;
        ann.report(3, (0, 0), "").await;
        refused(&bob.announce(4, "").await, "this tracker is full (total_peers); it has room again as others leave");
        let mut tx = site.app.db.write().await.unwrap();
        accounts::ban(&mut tx, ann.id, bob.id, "spam", site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        embedded(&site).follow().await.unwrap();
        bob.report(4, (0, 0), "").await;
        let counters = embedded(&site).counters();
        assert_eq!((counters.refused_limit, counters.peers, counters.torrents), (5, 2, 2));
        assert_eq!(ann.sums(&site).await.0, 5, "what was refused was not noted, and is in the next difference");
    }

    async fn impossible_speeds_are_not_counted(site: Site) {
        site.reconfigure(|config| config.tracker.max_bytes_per_s = 1_000).await;
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "&event=started").await;
        bob.report(1, (0, 0), "&event=started").await;
        embedded(&site).flush().await.unwrap();
        site.clock.advance(1_800);
        ann.report(1, (90_000_000, 0), "").await;
        bob.report(1, (1_800_000, 0), "").await;
        embedded(&site).flush().await.unwrap();
        site.clock.advance(1_800);
        ann.report(1, (90_500_000, 0), "&event=stopped").await;
        bob.report(1, (3_600_000, 0), "&event=stopped").await;
        assert_eq!(ann.sums(&site).await, (500_000, 0), "noted, not counted, and counted on from there");
        assert_eq!(bob.sums(&site).await, (3_600_000, 0));
        assert_eq!(embedded(&site).counters().too_fast, 1);
    }

    /// What following read before an error was forgotten, and the peers of a deleted torrent stayed.
    async fn what_was_revoked_is_acted_on_whatever_fails_then(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "").await;
        let away = async |from: &str, to: &str| {
            let sql = format!("alter table users rename column {from} to {to}");
            let mut tx = site.app.db.write().await.unwrap();
            seedbank::on!(tx, |c| sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(c).await.map(drop)).unwrap();
            tx.commit().await.unwrap();
        };
        away("passkey", "gone").await;
        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, "update torrents set state = 'deleted' where id = $1", one).unwrap();
        let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
        exec!(tx, "update torrents set revision = $2 where id = $1", one, revision).unwrap();
        revisions::bump(&mut tx, Revision::Members).await.unwrap();
        tx.commit().await.unwrap();
        assert!(embedded(&site).follow().await.is_err());
        assert_eq!(embedded(&site).live(one), None);
        away("gone", "passkey").await;
        embedded(&site).follow().await.unwrap();
    }
}
