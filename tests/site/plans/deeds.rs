//! What the people of `visits` do to the site: every deed there is, their torrent clients, and a companion tracker.

use std::time::Duration;

use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::config::TrackerKind;
use seedbank::ids::TorrentId;
use seedbank::routes::ROUTES;
use seedbank::tracker::embedded::Embedded;
use seedbank::tracker::torrust::queries as companion;

use super::visits::{People, SITE, World};
use crate::fixtures;
use crate::harness::torrents::small;
use crate::harness::torrust_stub::{self, Mode, TorrustStub};
use crate::harness::{PASSWORD, Site};

/// Every deed, on things made for it; a POST of the route table that nobody does here fails.
pub async fn every_deed(site: &Site, people: &mut People, world: &World) {
    let mut failed = Vec::new();
    let mut done = vec![
        "/setup/{token}",
        "/login",
        "/upload",
        "/saved",
        "/admin/invites",
        "/torrents/{id}/delete",
    ];
    let id = |pattern: &str, id: i64| pattern.replace("{id}", &id.to_string());
    let torrent = world.torrent.to_string();
    let bob = site.account("bob", Role::Member).await;
    let mut bobs = site.log_in("bob").await;
    let again = site.log_in("bob").await;
    drop(again);

    let file = small("more", Kind::V1);
    people.uploader.get("/upload").await;
    for title in ["More", "More again"] {
        let reply = people.uploader.upload("/upload", |form| {
            form.text("title", title)
                .text("category", "other")
                .text("tags", "red, crimson")
                .file("files", "a.torrent", &file)
        });
        reply.await;
    }
    let profile = bobs.get("/profile").await;
    let session = profile.text.split("/profile/sessions/").nth(1).unwrap();
    let session: String = session
        .chars()
        .take_while(char::is_ascii_hexdigit)
        .collect();
    let category = fixtures::category(site, "other").await.id.0;
    let lone = people.moderator.submit(
        "/moderation/categories",
        "/moderation/categories",
        &[
            ("name", "Lone"),
            ("slug", "lone"),
            ("description", ""),
            ("parent", ""),
            ("torznab", "8010"),
            ("icon", "disc"),
        ],
    );
    lone.await.expect(303);
    done.push("/moderation/categories");
    let lone = fixtures::category(site, "lone").await.id.0;
    let edit = [
        ("name", "Lone one"),
        ("slug", "lone"),
        ("description", ""),
        ("parent", "software"),
        ("torznab", "8010"),
        ("icon", "disc"),
    ];

    macro_rules! deed {
        ($who:expr, $pattern:literal, $path:expr, $fields:expr) => {{
            let path: String = $path;
            let reply = $who.post(&path, $fields).await;
            let refused = reply.status >= 500 || reply.status == 403;
            if refused {
                failed.push(format!("{path}: {} {}", reply.status, reply.text));
            }
            done.push($pattern);
        }};
    }
    deed!(
        people.member,
        "/bookmarks",
        "/bookmarks".to_owned(),
        &[("add", torrent.as_str())]
    );
    people.member.get("/bookmarks").await;
    people
        .member
        .get(&format!("/bookmarks.rss?key={}", world.feed_key))
        .await;
    deed!(
        people.member,
        "/bookmarks",
        "/bookmarks".to_owned(),
        &[("remove", torrent.as_str())]
    );
    deed!(
        people.member,
        "/saved/{id}/rename",
        id("/saved/{id}/rename", world.saved),
        &[("name", "Other")]
    );
    deed!(
        people.member,
        "/saved/{id}/delete",
        id("/saved/{id}/delete", world.saved),
        &[]
    );
    deed!(
        people.member,
        "/torrents/{id}/edit",
        id("/torrents/{id}/edit", world.torrent),
        &[
            ("title", "One, edited"),
            ("category", "other"),
            ("tags", "red, blue, green")
        ]
    );
    deed!(
        people.member,
        "/upload/preview",
        "/upload/preview".to_owned(),
        &[("description", "x")]
    );
    deed!(
        people.member,
        "/theme",
        "/theme".to_owned(),
        &[("theme", "dark")]
    );
    deed!(
        bobs,
        "/profile/sessions/{handle}/revoke",
        format!("/profile/sessions/{session}/revoke"),
        &[]
    );
    bobs.submit(
        "/login",
        "/login",
        &[("name", "bob"), ("password", PASSWORD)],
    )
    .await;
    bobs.get("/profile").await;
    deed!(
        bobs,
        "/profile/feed-key",
        "/profile/feed-key".to_owned(),
        &[]
    );
    deed!(bobs, "/profile/passkey", "/profile/passkey".to_owned(), &[]);
    let new = "staple battery horse correct";
    for password in ["wrong", PASSWORD] {
        deed!(
            bobs,
            "/profile/password",
            "/profile/password".to_owned(),
            &[("current_password", password), ("new_password", new)]
        );
    }
    bobs.get("/profile").await;
    deed!(bobs, "/logout", "/logout".to_owned(), &[]);
    for name in ["bob", "nobody"] {
        people
            .guest
            .submit("/login", "/login", &[("name", name), ("password", "wrong")])
            .await;
    }
    let invite = [
        ("name", "dora"),
        ("password", PASSWORD),
        ("invite", world.invite.as_str()),
    ];
    deed!(people.guest, "/register", "/register".to_owned(), &invite);
    people.guest = site.browser();
    people.guest.get("/register").await;
    deed!(
        people.guest,
        "/register",
        "/register".to_owned(),
        &[("name", "emil"), ("password", PASSWORD)]
    );
    people.guest = site.browser();
    people.guest.get("/login").await;

    let m = &mut people.moderator;
    m.get("/moderation/categories").await;
    deed!(
        m,
        "/moderation/categories/{id}",
        id("/moderation/categories/{id}", lone),
        &edit
    );
    deed!(
        m,
        "/moderation/categories/{id}/up",
        id("/moderation/categories/{id}/up", lone),
        &[]
    );
    deed!(
        m,
        "/moderation/categories/{id}/down",
        id("/moderation/categories/{id}/down", lone),
        &[]
    );
    m.submit(
        "/moderation/categories",
        "/moderation/categories",
        &[
            ("name", "Third"),
            ("slug", "third"),
            ("description", ""),
            ("parent", ""),
            ("torznab", "8010"),
            ("icon", "disc"),
        ],
    )
    .await
    .expect(303);
    let third = fixtures::category(site, "third").await.id.0;
    deed!(
        m,
        "/moderation/categories/{id}/merge",
        id("/moderation/categories/{id}/merge", category),
        &[("target", "third")]
    );
    deed!(
        m,
        "/moderation/categories/{id}/delete",
        id("/moderation/categories/{id}/delete", third),
        &[("target", "lone")]
    );
    let tag =
        |name: &'static str| async move { fixtures::tag_named(site, name).await.unwrap().id.0 };
    let (red, crimson, blue) = (tag("red").await, tag("crimson").await, tag("blue").await);
    deed!(
        m,
        "/moderation/tags/{id}/rename",
        id("/moderation/tags/{id}/rename", red),
        &[("name", "scarlet")]
    );
    deed!(
        m,
        "/moderation/tags/{id}/alias",
        id("/moderation/tags/{id}/alias", red),
        &[("name", "rouge")]
    );
    m.get("/moderation/tags?q=rou").await;
    deed!(
        m,
        "/moderation/tags/{id}/aliases/{alias}/delete",
        id("/moderation/tags/{id}/aliases/rouge/delete", red),
        &[]
    );
    deed!(
        m,
        "/moderation/tags/{id}/merge",
        id("/moderation/tags/{id}/merge", crimson),
        &[("target", "scarlet")]
    );
    deed!(
        m,
        "/moderation/tags/{id}/delete",
        id("/moderation/tags/{id}/delete", blue),
        &[]
    );
    deed!(
        m,
        "/moderation/members/{id}/ban",
        id("/moderation/members/{id}/ban", bob.0),
        &[("reason", "for the test")]
    );
    people.admin.get("/members/bob").await;
    deed!(
        people.moderator,
        "/moderation/members/{id}/unban",
        id("/moderation/members/{id}/unban", bob.0),
        &[]
    );

    let a = &mut people.admin;
    a.get("/admin/settings").await;
    deed!(
        a,
        "/admin/members/{id}/role",
        id("/admin/members/{id}/role", bob.0),
        &[("role", "moderator")]
    );
    deed!(a, "/admin/settings", "/admin/settings".to_owned(), SITE);
    deed!(
        a,
        "/admin/invites/{id}/revoke",
        id("/admin/invites/{id}/revoke", 999_999),
        &[]
    );
    deed!(
        a,
        "/admin/tracker/messages/{id}/retry",
        id("/admin/tracker/messages/{id}/retry", 999_999),
        &[]
    );
    deed!(
        a,
        "/admin/tracker/retry",
        "/admin/tracker/retry".to_owned(),
        &[]
    );
    deed!(
        a,
        "/admin/tracker/resync",
        "/admin/tracker/resync".to_owned(),
        &[]
    );
    for route in ROUTES.iter().filter(|route| route.method == "post") {
        assert!(
            done.contains(&route.pattern),
            "plans/visits.rs does not do what {} is for",
            route.pattern
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Two clients on one torrent, one of which completes it; and everything that follows from it.
pub async fn announces(site: &Site, people: &mut People, world: &World) {
    let tracker: &Embedded = site.app.tracker.embedded().unwrap();
    tracker.follow().await.unwrap();
    let hash: String = world
        .infohash
        .as_bytes()
        .chunks(2)
        .map(|hex| format!("%{}", std::str::from_utf8(hex).unwrap()))
        .collect();
    for (peer, totals) in [
        (
            "-SB0001-aaaaaaaaaaaa",
            "uploaded=0&downloaded=0&left=40000&event=started",
        ),
        (
            "-SB0001-bbbbbbbbbbbb",
            "uploaded=0&downloaded=0&left=0&event=started",
        ),
        (
            "-SB0001-aaaaaaaaaaaa",
            "uploaded=70&downloaded=40000&left=0&event=completed",
        ),
        (
            "-SB0001-aaaaaaaaaaaa",
            "uploaded=90&downloaded=40000&left=0&event=stopped",
        ),
    ] {
        site.clock.advance(60);
        let path = format!(
            "/announce/{}?info_hash={hash}&peer_id={peer}&port=6881&key=k&{totals}",
            world.passkey
        );
        people
            .guest
            .get(&path)
            .await
            .expect(200)
            .shows("8:interval");
    }
    people
        .guest
        .get(&format!("/scrape/{}?info_hash={hash}", world.passkey))
        .await
        .expect(200);
    tracker.flush().await.unwrap();
    tracker.purge(site.clock.now()).await.unwrap();
    for path in [
        "/profile".to_owned(),
        format!("/torrents/{}", world.torrent),
    ] {
        people.member.get(&path).await.expect(200);
    }
}

/// The same site with a companion tracker, which is told everything and asked for numbers.
pub async fn with_companion(site: &mut Site, people: &mut People, world: &World) {
    let stub = TorrustStub::start(Mode {
        listed: true,
        private: true,
    })
    .await;
    let (api, announce) = (stub.api_url(), stub.announce_url());
    site.reconfigure(|config| {
        config.tracker.kind = TrackerKind::Torrust;
        config.tracker.api_url = api;
        config.tracker.announce_urls = vec![announce];
        config.tracker.api_token.0 = torrust_stub::TOKEN.to_owned();
        config.tracker.numbers_every_s = 1;
        config.tracker.check_every_s = 1;
    })
    .await;
    for browser in people.all() {
        browser.follow(site.port);
    }
    stub.set_numbers(&world.infohash, 3, 2, 1);
    for path in [
        "/profile".to_owned(),
        format!("/torrents/{}", world.torrent),
        "/members/ann".to_owned(),
    ] {
        people.member.get(&path).await.expect(200);
    }
    people.admin.get("/admin/tracker").await.expect(200);
    let tracker = site.app.tracker.torrust().unwrap();
    for _ in 0..600 {
        if stub.whitelist().contains(&world.infohash) && tracker.status().counted_at.is_some() {
            break;
        }
        site.clock.advance(1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        stub.whitelist().contains(&world.infohash),
        "the companion was never told"
    );
    // Asked for where a tracker does not tell all of its swarms at once.
    let mut conn = site.app.db.read().await.unwrap();
    companion::listed_before(&mut conn, TorrentId(i64::MAX), 10)
        .await
        .unwrap();
    drop(conn);
    for action in [
        "/admin/tracker/retry",
        "/admin/tracker/resync",
        "/admin/tracker/messages/1/retry",
    ] {
        people
            .admin
            .submit("/admin/tracker", action, &[])
            .await
            .expect(303);
    }
}
