//! The embedded tracker as clients meet it, and what the books say afterwards.

use reqwest::Method;
use seedbank::accounts::{Role, queries as accounts};
use seedbank::db::revisions::{self, Revision};
use seedbank::ids::{TorrentId, UserId};
use seedbank::secrets::random_passkey;
use seedbank::settings::Audience;
use seedbank::tracker::embedded::Embedded;
use seedbank::tracker::{Health, history, queries};
use seedbank::{exec, on};

use crate::harness::{Browser, PATIENCE, Reply, Site, settings};

/// A member with a torrent client.
pub struct Client {
    pub browser: Browser,
    pub id: UserId,
    pub passkey: String,
    pub peer_id: String,
}

impl Client {
    pub async fn of(site: &Site, name: &str) -> Self {
        let id = site.account(name, Role::Member).await;
        Self::again(site, id, &format!("-SB0001-{name:0>12}")).await
    }

    /// Another client of a member.
    pub async fn again(site: &Site, id: UserId, peer_id: &str) -> Self {
        let mut conn = site.app.db.read().await.unwrap();
        let user = accounts::by_id(&mut conn, id).await.unwrap().unwrap();
        drop(conn);
        // What was committed is known to the tracker within a second; here at once.
        embedded(site).follow().await.unwrap();
        Self {
            browser: site.browser(),
            id,
            passkey: user.passkey,
            peer_id: peer_id.to_owned(),
        }
    }

    pub async fn announce(&mut self, hash: u8, rest: &str) -> Reply {
        let path = format!(
            "/announce/{}?info_hash={}&peer_id={}&port=6881&key=k{}",
            self.passkey,
            encoded(&[hash; 20]),
            self.peer_id,
            rest
        );
        let reply = self.browser.get(&path).await.expect(200);
        assert_eq!(reply.header("content-type"), "text/plain");
        assert!(reply.bytes.starts_with(b"d") && reply.bytes.ends_with(b"e"));
        reply
    }

    pub async fn report(&mut self, hash: u8, totals: (u64, u64), rest: &str) -> Reply {
        let (up, down) = totals;
        let rest = format!("&uploaded={up}&downloaded={down}&left=0{rest}");
        let mut reply = self.announce(hash, &rest).await;
        // Where the disk is slow; a client announces again, too.
        while reply.text.contains("the tracker is busy") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            reply = self.announce(hash, &rest).await;
        }
        reply.shows("8:interval");
        reply
    }

    /// The member's sums on the site.
    pub async fn sums(&self, site: &Site) -> (i64, i64) {
        let mut conn = site.app.db.read().await.unwrap();
        let user = accounts::by_id(&mut conn, self.id).await.unwrap().unwrap();
        (user.uploaded, user.downloaded)
    }
}

pub fn embedded(site: &Site) -> &Embedded {
    site.app.tracker.embedded().unwrap()
}

pub fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("%{b:02x}")).collect()
}

pub fn refused(reply: &Reply, reason: &str) {
    let expected = format!("14:failure reason{}:{reason}", reason.len());
    reply.shows(&expected);
}

/// A published torrent whose hashes are one byte repeated.
pub async fn torrent(site: &Site, by: UserId, v1: Option<u8>, v2: Option<u8>) -> TorrentId {
    const CATEGORY: &str = "insert into categories (slug, name, description, icon, position, torznab) \
        values ('other', 'Other', '', 'folder', 1, 8000) on conflict (slug) do update set name = excluded.name returning id";
    const SQL: &str = "insert into torrents (revision, state, infohash_v1, infohash_v2, name, title, description, \
        category_id, uploader_id, anonymous, private, size, file_count, piece_length, piece_count, web_seeds, \
        created_at, updated_at) values (0, 'published', $1, $2, 'n', 'A title', '', $3, $4, $5, $5, 1, 1, 16384, 1, '[]', \
        $6, $6) returning id";
    let mut tx = site.app.db.write().await.unwrap();
    let category: i64 = on!(tx, |c| sqlx::query_scalar(CATEGORY).fetch_one(c).await).unwrap();
    let sqlite = site.app.db.is_sqlite();
    let sql = match sqlite {
        true => SQL.replace("$5", "0"),
        false => SQL.replace("$5", "false"),
    };
    let sql = sql.replace("$6", "$5");
    let id: i64 = on!(tx, |c| sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone()))
        .bind(v1.map(|b| vec![b; 20]))
        .bind(v2.map(|b| vec![b; 32]))
        .bind(category)
        .bind(by)
        .bind(site.clock.now())
        .fetch_one(c)
        .await)
    .unwrap();
    stamp(&mut tx, id).await;
    tx.commit().await.unwrap();
    embedded(site).follow().await.unwrap();
    TorrentId(id)
}

pub async fn delete(site: &Site, torrent: TorrentId) {
    let mut tx = site.app.db.write().await.unwrap();
    exec!(
        tx,
        "update torrents set state = 'deleted' where id = $1",
        torrent
    )
    .unwrap();
    stamp(&mut tx, torrent.0).await;
    tx.commit().await.unwrap();
}

async fn stamp(tx: &mut seedbank::db::Tx, torrent: i64) {
    let revision = revisions::bump(tx, Revision::Catalogue).await.unwrap();
    exec!(
        tx,
        "update torrents set revision = $2 where id = $1",
        torrent,
        revision
    )
    .unwrap();
}

pub async fn completed(site: &Site, torrent: TorrentId) -> i64 {
    let mut conn = site.app.db.read().await.unwrap();
    let numbers = queries::numbers_of(&mut conn, torrent).await.unwrap();
    numbers.map_or(-1, |n| n.completed)
}

/// Asks again until the answer shows `text`: what is committed bites within a second, and is not waited for.
async fn until_refused(client: &mut Client, hash: u8, reason: &str) {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        let reply = client.announce(hash, "").await;
        if reply.text.contains(reason) {
            return refused(&reply, reason);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never refused with {reason:?}");
}

both! {
    /// Whatever goes wrong on the way to the tracker, a client reads a reason and never a page.
    async fn errors_are_reasons_and_never_pages(site: Site) {
        site.set_up().await;
        let mut client = site.browser();
        let long = format!("/announce?x={}", "y".repeat(9_000));
        let encoded = client.request(reqwest::Method::GET, "/announce").header("content-encoding", "gzip");
        for reply in [
            client.get(&long).await,
            client.get("/announce/a/b/c").await,
            client.post("/announce", &[]).await,
            client.send(encoded).await,
            client.get("/scrape/x/y").await,
        ] {
            assert_eq!(reply.status, 200);
            assert!(reply.text.starts_with("d14:failure reason"), "{}", reply.text);
            seedbank::bittorrent::bencode::scan(&reply.bytes).unwrap();
        }
        client.get("/announcements").await.expect(404).shows("<html");
    }

    async fn members_meet_and_are_counted(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        let two = torrent(&site, ann.id, Some(2), None).await;
        let first = ann.report(1, (0, 0), "&event=started").await;
        first.shows("8:completei1e10:downloadedi0e11:external ip4:\x7f\0\0\x0110:incompletei0e8:intervali1800e12:min intervali300e5:peers0:");
        let meets = bob.announce(1, "&uploaded=0&downloaded=0&left=500&event=started&numwant=-1").await;
        meets.shows("8:completei1e");
        meets.shows("5:peers6:");
        bob.announce(2, "&left=7&compact=0").await.shows("5:peersle");
        bob.announce(1, "&uploaded=0&downloaded=500&left=0&event=completed").await.shows("10:downloadedi1e");
        ann.report(1, (500, 0), "&event=stopped").await;
        bob.report(1, (20, 500), "&event=stopped").await;
        // The answers to last words come after they are stored.
        assert_eq!(ann.sums(&site).await, (500, 0));
        assert_eq!(bob.sums(&site).await, (20, 500));
        assert_eq!(completed(&site, one).await, 1);
        embedded(&site).flush().await.unwrap();
        assert_eq!(completed(&site, two).await, 0);
        let mut conn = site.app.db.read().await.unwrap();
        let transfers = queries::transfers_of(&mut conn, bob.id, 10).await.unwrap();
        let of_one = transfers.iter().find(|t| t.torrent_id == one).unwrap();
        assert_eq!((of_one.uploaded, of_one.downloaded, of_one.title.as_str()), (20, 500, "A title"));
        assert_eq!(of_one.completed_at, Some(site.clock.now()));
        let of_ann = queries::transfers_of(&mut conn, ann.id, 10).await.unwrap();
        assert_eq!((of_ann.len(), of_ann[0].completed_at), (1, None));
        drop(conn);
        assert_eq!(site.app.tracker.health(), Health::Well);
        assert_eq!(
            site.app.tracker.announce_urls("http://seedbank.test", Some(&ann.passkey)),
            [format!("http://seedbank.test/announce/{}", ann.passkey)]
        );
    }

    async fn keys_that_do_not_count(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        let mut stranger = Client::again(&site, ann.id, "-SB0001-000000000009").await;
        for key in [random_passkey(), ann.passkey.to_uppercase(), "x".repeat(32), "%00".to_owned()] {
            stranger.passkey = key;
            refused(&stranger.announce(1, "").await, "unknown passkey; log in and download the .torrent again");
        }
        ann.report(1, (0, 0), "").await;
        bob.report(1, (0, 0), "").await;
        assert_eq!(embedded(&site).live(one), Some((2, 0)));

        // A reset: the old one says why, the new one works, the other member's is untouched.
        let old = ann.passkey.clone();
        let new = random_passkey();
        let mut tx = site.app.db.write().await.unwrap();
        accounts::rotate_passkey(&mut tx, ann.id, &new, site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let replaced = "this passkey was replaced; download the .torrent again";
        until_refused(&mut ann, 1, replaced).await;
        assert_eq!(embedded(&site).live(one), Some((1, 0)), "the old key's peers are gone");
        ann.passkey = new;
        ann.report(1, (0, 0), "").await;
        bob.report(1, (0, 0), "").await;

        // A ban, and its end.
        let mut tx = site.app.db.write().await.unwrap();
        accounts::ban(&mut tx, bob.id, ann.id, "spam", site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        until_refused(&mut bob, 1, "this account is banned").await;
        assert_eq!(embedded(&site).live(one), Some((1, 0)), "nobody is sent to a banned member");
        ann.report(1, (0, 0), "").await;

        // Both hold after a restart too.
        site.restart().await;
        ann.browser.follow(site.port);
        bob.browser.follow(site.port);
        refused(&bob.announce(1, "").await, "this account is banned");
        ann.report(1, (0, 0), "").await;
        ann.passkey = old;
        refused(&ann.announce(1, "").await, replaced);
        let mut tx = site.app.db.write().await.unwrap();
        accounts::unban(&mut tx, bob.id, site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        embedded(&site).follow().await.unwrap();
        bob.report(1, (0, 0), "").await;
    }

    async fn torrents_that_are_not_here(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let one = torrent(&site, ann.id, Some(1), Some(11)).await;
        torrent(&site, ann.id, Some(2), None).await;
        refused(&ann.announce(9, "").await, "this torrent is not registered here");
        ann.report(1, (0, 0), "").await;
        ann.report(11, (0, 0), "").await;
        ann.report(2, (0, 0), "").await;
        delete(&site, one).await;
        until_refused(&mut ann, 1, "this torrent was deleted here").await;
        refused(&ann.announce(11, "").await, "this torrent was deleted here");
        assert_eq!(embedded(&site).live(one), None);
        ann.report(2, (0, 0), "").await;
        // The same hashes again are another torrent.
        let again = torrent(&site, ann.id, Some(1), Some(11)).await;
        ann.report(11, (0, 0), "").await;
        assert_eq!(embedded(&site).live(again), Some((1, 0)));
        site.restart().await;
        ann.browser.follow(site.port);
        ann.report(1, (0, 0), "").await;
    }

    async fn guests_where_they_may(site: Site) {
        site.set_up().await;
        let ann = site.account("ann", Role::Member).await;
        let one = torrent(&site, ann, Some(1), None).await;
        let mut guest = site.browser();
        let query = format!("info_hash={}&peer_id=-SB0001-000000000001&port=1&left=0&uploaded=5&downloaded=5", encoded(&[1; 20]));
        let announce = format!("/announce?{query}");
        let members_only = "this tracker is for members; log in and download the .torrent again";
        refused(&guest.get(&announce).await.expect(200), members_only);
        refused(&guest.get(&format!("/scrape?{query}")).await, members_only);
        site.set_up_with(seedbank::settings::Settings {
            who_may_look: Audience::Everyone,
            who_may_download: Audience::Everyone,
            ..settings()
        })
        .await;
        guest.get(&announce).await.shows("8:completei1e");
        guest.get(&format!("{announce}&event=stopped")).await.shows("8:completei0e");
        guest.get(&format!("/scrape?{query}")).await.shows("5:filesd20:");
        embedded(&site).flush().await.unwrap();
        let mut conn = site.app.db.read().await.unwrap();
        assert!(queries::transfers_of(&mut conn, ann, 9).await.unwrap().is_empty());
        drop(conn);
        assert_eq!(completed(&site, one).await, 0);
    }

    async fn a_restart_keeps_baselines_and_completions(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "&event=started").await;
        ann.report(1, (100, 1_000), "&event=completed").await;
        site.restart().await;
        ann.browser.follow(site.port);
        ann.report(1, (150, 1_000), "&event=completed").await.shows("10:downloadedi1e");
        let mut other = Client::again(&site, ann.id, "-SB0001-another00000").await;
        other.report(1, (0, 1_000), "&event=completed").await;
        ann.report(1, (150, 1_000), "&event=stopped").await;
        // Goes on after a pause, then begins anew with the same identity.
        ann.report(1, (150, 1_000), "&event=started").await;
        ann.report(1, (7, 0), "&event=stopped").await;
        ann.report(1, (0, 0), "&event=started").await;
        ann.report(1, (30, 0), "&event=stopped").await;
        assert_eq!(ann.sums(&site).await, (150 + 30, 2_000));
        assert_eq!(completed(&site, one).await, 1, "once for a member and torrent, for ever");
    }

    async fn a_kill_neither_doubles_nor_loses(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), Some(11)).await;
        torrent(&site, ann.id, Some(2), None).await;
        ann.report(1, (0, 0), "&event=started").await;
        ann.report(11, (0, 0), "&event=started").await;
        for round in 1..=4u64 {
            // Some of this is stored, some is not, when the end comes.
            ann.report(1, (round * 1_000, round), "").await;
            bob.report(2, (round * 10, round * 100), "").await;
            ann.report(11, (round * 1_000, round), "").await;
            if round % 2 == 0 {
                embedded(&site).flush().await.unwrap();
            }
            ann.report(1, (round * 1_000 + 500, round), "").await;
            site.kill_and_start().await;
            ann.browser.follow(site.port);
            bob.browser.follow(site.port);
        }
        for hash in [1, 11] {
            ann.report(hash, (5_000, 10), "&event=completed").await;
            ann.report(hash, (5_000, 10), "&event=stopped").await;
        }
        // Stored before they were answered, so this end takes nothing from them.
        bob.report(2, (50, 500), "&event=stopped").await;
        site.kill_and_start().await;
        assert_eq!(ann.sums(&site).await, (5_000, 10));
        assert_eq!(bob.sums(&site).await, (50, 500));
        assert_eq!(completed(&site, one).await, 1);
    }

    async fn scrapes(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), Some(11)).await;
        torrent(&site, ann.id, Some(2), None).await;
        ann.report(1, (0, 0), "").await;
        ann.report(11, (0, 0), "").await;
        bob.announce(11, "&left=5&event=paused").await;
        let hashes = |hashes: &[u8]| hashes.iter().map(|h| format!("&info_hash={}", encoded(&[*h; 20]))).collect::<String>();
        let scrape = format!("/scrape/{}?", ann.passkey);
        let reply = ann.browser.get(&format!("{scrape}{}", hashes(&[11, 2, 9, 1, 1]))).await.expect(200);
        let file = |hash: u8, inside: &str| format!("20:{}d{inside}e", String::from_utf8(vec![hash; 20]).unwrap());
        let numbers = "8:completei1e10:downloadedi0e11:downloadersi0e10:incompletei1e";
        let none = "8:completei0e10:downloadedi0e11:downloadersi0e10:incompletei0e";
        let expected = format!(
            "d5:filesd{}{}{}e5:flagsd20:min_request_intervali300eee",
            file(1, numbers),
            file(2, none),
            file(11, numbers)
        );
        assert_eq!(reply.text, expected, "both hashes of a hybrid tell of one torrent");
        refused(&ann.browser.get(&scrape).await, "name the torrents to scrape: info_hash is missing");
        let wrong = format!("/scrape/{}?{}", random_passkey(), hashes(&[1]));
        refused(&ann.browser.get(&wrong).await, "unknown passkey; log in and download the .torrent again");
    }

    async fn refusals_are_for_clients_to_read(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        let base = format!("/announce/{}", ann.passkey);
        let hash = format!("info_hash={}", encoded(&[1; 20]));
        let wrong = [
            (String::new(), "info_hash is missing"),
            ("?info_hash=abc".to_owned(), "info_hash must be 20 bytes, percent-encoded; these are 3"),
            (format!("?{hash}"), "peer_id is missing"),
            (format!("?{hash}&peer_id=-SB0001-000000000001"), "port is missing"),
            (format!("?{hash}&peer_id=-SB0001-000000000001&port=70000"), "port must be a number up to 65535"),
            (format!("?{hash}&peer_id=-SB0001-000000000001&port=1&uploaded=x"), "uploaded must be a whole number of bytes"),
        ];
        for (query, reason) in wrong {
            let reply = ann.browser.get(&format!("{base}{query}")).await.expect(200);
            refused(&reply, reason);
            assert_eq!(reply.header("content-type"), "text/plain");
        }
        // A page elsewhere may name any origin: nothing here is done with a cookie.
        let request = ann.browser.request(Method::GET, &format!("{base}?{hash}")).header("origin", "http://evil.test");
        refused(&ann.browser.send(request).await, "peer_id is missing");
    }

    async fn a_hybrid_is_one_torrent(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let one = torrent(&site, ann.id, Some(1), Some(11)).await;
        for (totals, event) in [((0, 0), "&event=started"), ((40, 400), ""), ((50, 500), "&event=completed"), ((90, 500), "&event=stopped")] {
            for hash in [1, 11] {
                ann.report(hash, totals, event).await;
            }
            if event.is_empty() {
                // One hash's report was overtaken by the other's.
                ann.report(1, (45, 450), "").await;
                ann.report(11, (44, 440), "").await;
                assert_eq!(embedded(&site).live(one), Some((1, 0)));
            }
        }
        assert_eq!(ann.sums(&site).await, (90, 500));
        assert_eq!(completed(&site, one).await, 1);
    }

    async fn numbers_and_their_past(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        let one = torrent(&site, ann.id, Some(1), None).await;
        let two = torrent(&site, ann.id, Some(2), None).await;
        let mut conn = site.app.db.read().await.unwrap();
        assert_eq!(site.app.tracker.numbers(&mut conn, one).await.unwrap(), None);
        drop(conn);
        let start = site.clock.now();
        ann.report(1, (0, 0), "").await;
        embedded(&site).flush().await.unwrap();
        bob.announce(1, "&left=1&uploaded=0&downloaded=0").await;
        embedded(&site).flush().await.unwrap();
        site.clock.advance(900);
        embedded(&site).flush().await.unwrap();
        let mut conn = site.app.db.read().await.unwrap();
        let numbers = site.app.tracker.numbers(&mut conn, one).await.unwrap().unwrap();
        assert_eq!((numbers.seeders, numbers.leechers, numbers.updated_at), (1, 1, site.clock.now()));
        let past = queries::history_of(&mut conn, one, history::day_of(start)).await.unwrap();
        let past: Vec<_> = past.iter().map(|s| (s.at.since(start), s.seeders, s.leechers)).collect();
        assert_eq!(past, [(0, 1, 0), (900, 1, 1)], "one sample in a quarter of an hour, only of changes");
        let changed = queries::changed_numbers_after(&mut conn, start, TorrentId(0), 10).await.unwrap();
        assert_eq!(changed.iter().map(|c| c.torrent_id).collect::<Vec<_>>(), [one]);
        assert!(queries::numbers_of(&mut conn, two).await.unwrap().is_none());
        drop(conn);

        // After a restart the numbers stand until clients are back or overdue.
        site.restart().await;
        ann.browser.follow(site.port);
        bob.browser.follow(site.port);
        assert_eq!(embedded(&site).live(one), Some((1, 1)));
        ann.report(1, (0, 0), "").await;
        bob.announce(1, "&left=1&uploaded=0&downloaded=0&event=stopped").await;
        embedded(&site).flush().await.unwrap();
        assert_eq!(embedded(&site).live(one), Some((1, 0)));
    }

    async fn one_members_forged_counters_hold_up_nobody(site: Site) {
        site.reconfigure(|config| config.tracker.max_bytes_per_s = i64::MAX).await;
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        let most = 1u64 << 53;
        for n in 0..1_100 {
            ann.peer_id = format!("-SB0001-{n:012}");
            ann.report(1, (most, most), "").await;
        }
        bob.report(1, (5, 6), "&event=stopped").await;
        assert_eq!(bob.sums(&site).await, (5, 6));
        embedded(&site).flush().await.unwrap();
        let (up, down) = ann.sums(&site).await;
        assert!(up == down && up > 8_900_000_000_000_000_000, "{up}");
        let refusal = ann.announce(1, &format!("&uploaded={}&downloaded=0", most + 1)).await;
        refused(&refusal, "uploaded is more than this tracker counts; restart the client to start its counters anew");
    }

    async fn sessions_that_slept_too_long_are_not_counted_again(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "&event=started").await;
        ann.report(1, (700, 70), "&event=stopped").await;
        site.clock.advance(15 * 86_400);
        bob.report(1, (5, 0), "&event=stopped").await;
        embedded(&site).purge(site.clock.now()).await.unwrap();
        ann.report(1, (700, 70), "&event=started").await;
        ann.report(1, (750, 70), "&event=stopped").await;
        bob.report(1, (6, 0), "&event=stopped").await;
        assert_eq!(ann.sums(&site).await, (750, 70));
        assert_eq!(bob.sums(&site).await, (6, 0));
    }

    async fn sleepers_need_not_say_that_they_start(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "&event=started").await;
        ann.report(1, (700, 70), "&event=stopped").await;
        site.clock.advance(15 * 86_400);
        embedded(&site).purge(site.clock.now()).await.unwrap();
        ann.report(1, (700, 70), "").await;
        ann.report(1, (750, 70), "&event=stopped").await;
        assert_eq!(ann.sums(&site).await, (750, 70));
    }

    async fn silent_peers_leave_the_numbers(site: Site) {
        site.set_up().await;
        let mut ann = Client::of(&site, "ann").await;
        let mut bob = Client::of(&site, "bob").await;
        torrent(&site, ann.id, Some(1), None).await;
        ann.report(1, (0, 0), "").await;
        site.clock.advance(3_661);
        bob.announce(1, "&left=1").await.shows("5:peers0:");
    }
}
