//! Two nodes on one Postgres: with the companion they share everything; with the tracker inside there is only one.

use std::collections::BTreeMap;

use seedbank::settings;

use super::*;
use crate::harness::torrust_stub::WriteCall;
use crate::harness::{Backend, run};

async fn shared(site: &mut Site, stub: &TorrustStub) -> (CategoryId, [UserId; 3]) {
    let category = set_up(site).await;
    let uses = uses_stub(stub);
    site.reconfigure(|config| {
        uses(config);
        config.accounts.session_key = Secret("one key for all nodes of this site".to_owned());
    })
    .await;
    (category, members(site).await)
}

#[test]
fn what_one_node_does_holds_on_the_other() {
    run(Backend::Postgres, async |mut site| {
        let stub = TorrustStub::start(CLOSED).await;
        let (category, [ann, bob, _]) = shared(&mut site, &stub).await;
        let node = site.node("two", |_| {}).await.unwrap();
        told(&site).await;

        // A login here is one there.
        let mut member = site.log_in("member0").await;
        member.follow(node.port);
        member.get("/profile").await.expect(200);

        // Messages are delivered once, whichever node they are from, one after the other.
        let mut ids = Vec::new();
        for n in 0..40 {
            let bytes = file(&format!("f{n}"), Kind::V1);
            let intake = if n % 2 == 0 {
                &site.app.intake
            } else {
                &node.app.intake
            };
            let draft = Draft::plain(category);
            let verdict =
                publish::publish(intake, PrivateFlag::Any, ann, bytes.into(), &draft).await;
            match verdict.unwrap() {
                Verdict::Added(added) => ids.push(added.id),
                other => panic!("{other:?}"),
            }
        }
        told(&site).await;
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for write in stub.writes() {
            if let WriteCall::Allow(hash) = write.call {
                *times.entry(hash).or_default() += 1;
            }
        }
        assert_eq!(times.len(), 40);
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        assert_eq!(stub.most_writes_at_once(), 1);

        // Numbers fetched by one are seen by both.
        stub.set_numbers(times.first_key_value().unwrap().0, 5, 4, 3);
        for app in [&site.app, &node.app] {
            until("numbers", PATIENCE, async || {
                let mut seen = false;
                for id in &ids {
                    let mut conn = app.db.read().await.unwrap();
                    let numbers = app.tracker.numbers(&mut conn, *id).await.unwrap();
                    seen |=
                        numbers.is_some_and(|n| (n.seeders, n.leechers, n.completed) == (5, 4, 3));
                }
                seen
            })
            .await;
        }

        // Limits hold across both.
        let limit = 20;
        let mut served = 0;
        for (n, id) in ids.iter().enumerate().take(limit + 8) {
            member.follow(if n % 2 == 0 { site.port } else { node.port });
            let reply = member.get(&format!("/torrents/{id}/download")).await;
            match reply.status {
                200 => served += 1,
                429 => assert!(n >= limit, "{n}"),
                status => panic!("{status}"),
            }
            // What was fetched is written each second; until then the other node does not know of it.
            if n == limit - 3 || n == limit + 3 {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
            }
        }
        assert!((limit..=limit + 2).contains(&served), "{served}");
        let mut guesses = (0, 0);
        let mut browsers = [site.browser(), node.browser()];
        for n in 0..40 {
            let browser = &mut browsers[n % 2];
            let fields = [("name", "member1"), ("password", "not this one at all")];
            let reply = browser.submit("/login", "/login", &fields).await;
            match reply.status {
                429 => guesses.1 += 1,
                _ => guesses.0 += 1,
            }
        }
        println!("{guesses:?} guesses looked at and not");
        for browser in &mut browsers {
            let fields = [("name", "member1"), ("password", crate::harness::PASSWORD)];
            let reply = browser.submit("/login", "/login", &fields).await;
            assert_eq!(reply.status, 429, "on both");
        }
        assert!(guesses.0 < 20 && guesses.1 > 0, "{guesses:?}");

        // Settings changed on one reach the other.
        let mut tx = node.app.db.write().await.unwrap();
        let mut changed = node.app.settings().as_ref().clone();
        changed.site_name = "Renamed".to_owned();
        settings::queries::save(&mut tx, &changed, site.clock.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let renamed = async || site.app.settings().site_name == "Renamed";
        until("the settings", PATIENCE, renamed).await;

        // The one that speaks to the tracker dies; the other takes over.
        site.kill().await;
        let begun = Instant::now();
        let mut tx = node.app.db.write().await.unwrap();
        accounts::ban(&mut tx, bob, ann, "enough", site.clock.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let bobs = passkey(&site, bob).await;
        until("a ban to arrive", SOON, async || {
            !stub.keys().contains(&bobs)
        })
        .await;
        println!("a ban arrived {:?} after a node's death", begun.elapsed());
        node.stop().await;
        site.end().await;
    });
}

#[test]
fn the_tracker_inside_is_one() {
    run(Backend::Postgres, async |mut site| {
        set_up(&site).await;
        let refused = async |site: &Site, name: &str, uses: Option<&TorrustStub>| {
            let uses = uses.map(uses_stub);
            let node = site.node(name, |config| {
                if let Some(uses) = uses {
                    uses(config);
                }
            });
            format!("{:#}", node.await.err().unwrap())
        };
        let why = refused(&site, "two", None).await;
        assert!(
            why.contains("serves this database with the tracker inside"),
            "{why}"
        );
        assert!(why.contains("tracker.kind = \"torrust\""), "{why}");
        let stub = TorrustStub::start(CLOSED).await;
        let why = refused(&site, "two", Some(&stub)).await;
        assert!(
            why.contains("all nodes need the same tracker.kind"),
            "{why}"
        );

        // The same directory has its place again at once after a crash.
        let begun = Instant::now();
        site.kill_and_start().await;
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );

        // Another has to see for itself that the first is gone, unless that one said so.
        site.kill().await;
        let two = site.node("two", |_| {}).await.unwrap();
        two.stop().await;
        let begun = Instant::now();
        let three = site.node("three", |_| {}).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        three.stop().await;
        let begun = Instant::now();
        let four = site.node("four", uses_stub(&stub)).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        // With the companion there is room for all of its kind.
        let five = site.node("five", uses_stub(&stub)).await.unwrap();
        let why = refused(&site, "six", None).await;
        assert!(
            why.contains("tracker.kind = \"torrust\": all nodes need the same one"),
            "{why}"
        );
        five.stop().await;
        four.stop().await;
        site.end().await;
    });
}
