//! The outbox's rules: what goes first, what is said again, what is given up, and when there is nothing to say.

use seedbank::outbox::Kind as Told;
use seedbank::outbox::queries::{self as outbox, Listed};

use super::*;
use crate::fixtures;
use crate::harness::torrust_stub::{Mood, WriteCall};

async fn listed(site: &Site) -> Vec<Listed> {
    let mut conn = site.app.db.read().await.unwrap();
    outbox::list(&mut conn, 10).await.unwrap()
}

fn hash_of(file: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(made::parse(file).infohash_v1.unwrap().as_bytes())
}

/// When each call of this kind took effect.
fn done(stub: &TorrustStub, call: &WriteCall) -> Vec<Instant> {
    let writes = stub
        .writes()
        .into_iter()
        .filter(|write| write.call == *call);
    writes.filter_map(|write| write.done).collect()
}

/// 2,000 torrents that the tracker has yet to learn of.
async fn two_thousand(site: &Site, category: CategoryId, by: UserId) {
    let ids = fixtures::torrents(site, category, by, 2_000).await;
    let mut tx = site.app.db.write().await.unwrap();
    for id in ids {
        seedbank::outbox::torrent(&mut tx, id, site.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

together! {
    async fn revocations_overtake_two_thousand_additions(site: Site) {
        let category = set_up(&site).await;
        let _ticking = Ticking::of(&site);
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann, bob, cleo] = members(&site).await;
        let file = file("one", Kind::V1);
        let one = upload(&site, ann, category, &file).await;
        told(&site).await;

        // Of the tracker's return.
        stub.set(Mood::Refused).await;
        two_thousand(&site, category, ann).await;
        let bobs = ban(&site, bob, ann).await;
        delete(&site, one, ann).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // A slow disk, so that the queue is long.
        stub.set(Mood::Slow(Duration::from_millis(40))).await;
        let back = Instant::now();
        let dead = async || !stub.keys().contains(&bobs) && !stub.whitelist().contains(&hash_of(&file));
        until("a banned member's key and a deleted torrent to be dead", SOON, dead).await;
        println!("{:?} after its return", back.elapsed());

        // While it is up and busy.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        let cleos = reset(&site, cleo).await;
        until("a replaced key to be dead", SOON, async || !stub.keys().contains(&cleos)).await;
        println!("{:?} while it is busy", asked.elapsed());
        assert!(rows(&site).await > 1_000, "the queue was to be long");
        stub.set(Mood::Well).await;
        told(&site).await;
        assert_eq!(Truth::at(&stub), Truth::of(&site).await);
        assert_eq!(stub.most_writes_at_once(), 1);
    }

    async fn additions_get_on_while_others_commit(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann] = members(&site).await;
        told(&site).await;
        let db = site.app.db.clone();
        let busy = tokio::spawn(async move {
            loop {
                db.write().await.unwrap().commit().await.unwrap();
            }
        });
        for n in 0..30 {
            upload(&site, ann, category, &file(&format!("f{n}"), Kind::V1)).await;
        }
        told(&site).await;
        busy.abort();
        assert_eq!(stub.whitelist().len(), 30);
    }

    async fn the_last_word_on_a_subject_counts(site: Site) {
        let category = set_up(&site).await;
        // What failed too seldom for the tracker to count as away is due a second later.
        let _ticking = Ticking::of(&site);
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann, bob] = members(&site).await;
        let (kept, gone) = (file("kept", Kind::V1), file("gone", Kind::V1));
        stub.set(Mood::Refused).await;
        let first = upload(&site, ann, category, &kept).await;
        delete(&site, first, ann).await;
        let second = upload(&site, ann, category, &kept).await;
        let third = upload(&site, ann, category, &gone).await;
        delete(&site, third, ann).await;
        {
            let mut conn = site.app.db.read().await.unwrap();
            assert!(outbox::awaits(&mut conn, second).await.unwrap());
            assert!(!outbox::awaits(&mut conn, first).await.unwrap());
            assert!(outbox::awaits_passkey(&mut conn, bob).await.unwrap());
        }
        stub.set(Mood::Well).await;
        told(&site).await;
        assert_eq!(Truth::at(&stub), Truth::of(&site).await);
        assert_eq!(stub.whitelist().len(), 1);
        {
            let mut conn = site.app.db.read().await.unwrap();
            assert!(!outbox::awaits(&mut conn, second).await.unwrap());
        }
        // What took another's place, and what takes away, is said once more; then there is nothing left to say.
        let (allow, forbid) = (WriteCall::Allow(hash_of(&kept)), WriteCall::Forbid(hash_of(&gone)));
        assert_eq!((done(&stub, &allow).len(), done(&stub, &forbid).len()), (1, 1));
        site.clock.advance(61);
        until("an empty outbox", PATIENCE, async || rows(&site).await == 0).await;
        assert_eq!((done(&stub, &allow).len(), done(&stub, &forbid).len()), (2, 2));
        assert_eq!(done(&stub, &WriteCall::Forbid(hash_of(&kept))).len(), 0);
        assert_eq!(Truth::at(&stub), Truth::of(&site).await);
    }

    async fn what_comes_late_does_not_win(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        let uses = uses_stub(&stub);
        site.reconfigure(|config| {
            uses(config);
            // Questions that are not answered in time would keep the deletion from being tried at all.
            config.tracker.check_every_s = 60;
        })
        .await;
        let [ann, bob] = members(&site).await;
        let file = file("again", Kind::V1);
        let hash = hash_of(&file);
        // A new companion is told everything, which may say a second time what is uploaded meanwhile.
        told(&site).await;
        let torrent = upload(&site, ann, category, &file).await;
        told(&site).await;
        // The site gives the call up after three seconds; the tracker carries it out long afterwards.
        stub.set(Mood::Slow(Duration::from_secs(20))).await;
        delete(&site, torrent, ann).await;
        let bobs = reset(&site, bob).await;
        let arrived = async || stub.writes().iter().any(|w| w.call == WriteCall::Forbid(hash.clone()));
        until("the deletion to be on its way", PATIENCE, arrived).await;
        stub.set(Mood::Well).await;
        upload(&site, ann, category, &file).await;
        let late = async || done(&stub, &WriteCall::Forbid(hash.clone())).len() == 1;
        until("it to come late", PATIENCE, late).await;
        let allowed = done(&stub, &WriteCall::Allow(hash.clone()));
        assert_eq!(allowed.len(), 2, "once, and again before the late call");
        assert!(!stub.whitelist().contains(&hash));
        told(&site).await;
        site.clock.advance(61);
        until("it to be allowed once more", PATIENCE, async || stub.whitelist().contains(&hash)).await;
        until("an empty outbox", PATIENCE, async || rows(&site).await == 0).await;
        assert!(!stub.keys().contains(&bobs));
        assert_eq!(Truth::at(&stub), Truth::of(&site).await);
    }

    async fn additions_are_given_up_and_tried_again_by_hand(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann, bob] = members(&site).await;
        told(&site).await;
        let file = file("never", Kind::V1);
        stub.spoil(&hash_of(&file), true);
        let [old, new] = [passkey(&site, bob).await, "N".repeat(32)];
        stub.spoil(&old, true);
        stub.spoil(&new, true);
        let torrent = upload(&site, ann, category, &file).await;
        let mut tx = site.app.db.write().await.unwrap();
        accounts::rotate_passkey(&mut tx, bob, &new, site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();

        let clock = site.clock.clone();
        // Half a minute in a tenth of a second.
        let hurry = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                clock.advance(30);
            }
        });
        let parked = async || {
            let rows = listed(&site).await;
            rows.iter().filter(|row| row.parked_at.is_some()).count() == 2
        };
        until("two additions to be given up", PATIENCE, parked).await;
        hurry.abort();
        let rows = listed(&site).await;
        for row in &rows {
            println!("{row:?}");
            assert!(row.last_error.starts_with("500 cannot /api/v1/"), "{row:?}");
            let secrets = [&old, &new, torrust_stub::TOKEN];
            assert!(!secrets.iter().any(|s| format!("{row:?}").contains(*s)), "{row:?}");
            match row.kind {
                Told::Allow | Told::Admit => assert_eq!(row.tries, 20),
                _ => assert!(row.parked_at.is_none()),
            }
        }
        let of_torrent = rows.iter().find(|row| row.torrent_id == Some(torrent)).unwrap();
        assert_eq!((of_torrent.kind, of_torrent.title.as_deref()), (Told::Allow, Some("never")));
        assert!(rows.iter().any(|r| r.kind == Told::Revoke && r.member.as_deref() == Some("member1")));
        {
            let mut conn = site.app.db.read().await.unwrap();
            assert!(outbox::awaits(&mut conn, torrent).await.unwrap());
            assert_eq!(outbox::depth(&mut conn).await.unwrap().parked, 2);
        }

        for subject in [&hash_of(&file), &old, &new] {
            stub.spoil(subject, false);
        }
        site.clock.advance(61);
        until("the revocation to arrive", PATIENCE, async || !stub.keys().contains(&old)).await;
        assert!(!stub.whitelist().contains(&hash_of(&file)), "it waits for an admin");
        let mut tx = site.app.db.write().await.unwrap();
        let now = site.clock.now();
        assert!(outbox::retry(&mut tx, of_torrent.id, now).await.unwrap());
        assert!(!outbox::retry(&mut tx, 1, now).await.unwrap());
        tx.commit().await.unwrap();
        until("it to be allowed", PATIENCE, async || stub.whitelist().contains(&hash_of(&file))).await;
        let mut tx = site.app.db.write().await.unwrap();
        assert_eq!(outbox::retry_all(&mut tx, now).await.unwrap(), 1);
        tx.commit().await.unwrap();
        until("it to be admitted", PATIENCE, async || stub.keys().contains(&new)).await;
    }

    /// A kill in the middle of the question whether the tracker has forgotten everything: by the same question it
    /// would seem that it has not.
    async fn an_answer_that_was_lost_is_no_answer(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        site.reconfigure(uses_stub(&stub)).await;
        let [ann] = members(&site).await;
        upload(&site, ann, category, &file("one", Kind::Hybrid)).await;
        told(&site).await;
        site.kill().await;
        stub.set(Mood::RestartsEmpty).await;
        let mut tx = site.app.db.write().await.unwrap();
        let sentinel = companion::find(&mut tx).await.unwrap().unwrap().sentinel;
        companion::set_sentinel(&mut tx, &sentinel, companion::IN_DOUBT).await.unwrap();
        tx.commit().await.unwrap();
        let url = format!("{}/api/v1/keys?token={}", stub.api_url(), torrust_stub::TOKEN);
        let key = serde_json::json!({ "key": sentinel, "seconds_valid": null });
        let posted = reqwest::Client::new().post(url).json(&key).send().await.unwrap();
        assert_eq!(posted.status(), 200);
        site.kill_and_start().await;
        let told = async || Truth::at(&stub) == Truth::of(&site).await;
        until("everything to be told anew", PATIENCE, told).await;
        assert_eq!(stub.whitelist().len(), 2);
    }

    async fn without_a_companion_there_is_nothing_to_say(site: Site) {
        let category = set_up(&site).await;
        let stub = TorrustStub::start(CLOSED).await;
        let [ann, bob, cleo] = members(&site).await;
        let one = upload(&site, ann, category, &file("one", Kind::Hybrid)).await;
        reset(&site, bob).await;
        assert_eq!(rows(&site).await, 0);

        site.reconfigure(uses_stub(&stub)).await;
        told(&site).await;
        assert_eq!(Truth::at(&stub), Truth::of(&site).await);
        assert_eq!(stub.whitelist().len(), 2);

        // While the tracker inside is in use, the companion hears nothing of what is taken away.
        site.reconfigure(|config| config.tracker = config::Tracker::default()).await;
        assert_eq!(rows(&site).await, 0);
        delete(&site, one, ann).await;
        reset(&site, bob).await;
        ban(&site, cleo, ann).await;
        upload(&site, ann, category, &file("two", Kind::V1)).await;
        assert_eq!((rows(&site).await, stub.whitelist().len()), (0, 2));

        site.reconfigure(uses_stub(&stub)).await;
        let same = async || Truth::at(&stub) == Truth::of(&site).await;
        until("everything to be told anew", PATIENCE, same).await;
        assert_eq!((stub.whitelist().len(), stub.keys().len()), (1, 3));
    }
}
