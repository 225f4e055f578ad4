//! Upload, page, download, edit, delete: the life of a torrent.

use seedbank::accounts::Role;
use seedbank::bittorrent::bencode;
use seedbank::bittorrent::create::Options;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::categories;
use seedbank::ids::UserId;
use seedbank::settings::{Audience, PrivateFlag, Publishers};
use seedbank::torrents::publish::{self as batch, Draft, Prepared, Verdict};

use crate::harness::torrents::{id_in, parse, publish, small, upload, upload_with, with};
use crate::harness::{Multipart, Site, settings};

/// Torrents ready to be stored, as an import makes them.
async fn prepared(site: &Site, by: UserId, names: impl Iterator<Item = String>) -> Vec<Prepared> {
    let category = categories::queries::all(&mut site.app.db.read().await.unwrap())
        .await
        .unwrap()[0]
        .id;
    let draft = Draft::plain(category);
    let mut all = Vec::new();
    for name in names {
        let file = small(&name, Kind::V1).into();
        let one = batch::prepare(&site.app.intake, PrivateFlag::Any, by, file, &draft).await;
        all.push(
            one.unwrap()
                .unwrap_or_else(|refused| panic!("{}", refused.sentence)),
        );
    }
    all
}

both! {
    /// On Postgres each batch held the revision while it waited for a row that the other had inserted.
    async fn two_imports_at_once_do_not_lock_each_other_out(site: Site) {
        site.set_up().await;
        let ann = site.account("ann", Role::Uploader).await;
        let up = prepared(&site, ann, (0..60).map(|n| format!("both-{n}"))).await;
        let down = prepared(&site, ann, (0..60).rev().map(|n| format!("both-{n}"))).await;
        let other = prepared(&site, ann, (0..60).map(|n| format!("other-{n}"))).await;
        let intake = &site.app.intake;
        let (one, two) = tokio::join!(batch::store_many(intake, &up), batch::store_many(intake, &other));
        assert!(one.unwrap().iter().chain(&two.unwrap()).all(|v| matches!(v, Verdict::Added(_))));
        let again = batch::store_many(intake, &down).await.unwrap();
        assert!(again.iter().all(|v| matches!(v, Verdict::Known(_))));
        site.indexed().await;
        let page = site.log_in("ann").await.get("/torrents?q=other").await.expect(200);
        page.shows("60 torrents");
    }

    async fn what_is_uploaded_leaves_as_it_came(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        for (i, kind) in [Kind::V1, Kind::Hybrid, Kind::V2].into_iter().enumerate() {
            let file = with(&format!("set-{i}"), &[("a/one.bin", 50_000), ("b/two.bin", 20_001)], Options {
                kind,
                trackers: vec!["http://foreign.example/announce?passkey=abc".to_owned(), "udp://other.example:80".to_owned()],
                web_seeds: vec!["https://mirror.example/".to_owned()],
                comment: Some("a secret comment".to_owned()),
                source: Some("SRC".to_owned()),
                ..Options::default()
            });
            let sent = parse(&file);
            let reply = upload(&mut ann, &file, "").await.expect(303);
            let id = id_in(reply.location());
            let page = ann.get(reply.location()).await.expect(200);
            page.shows("2 trackers of other sites were dropped");
            for hash in [sent.infohash_v1.map(|h| h.to_string()), sent.infohash_v2.map(|h| h.to_string())].into_iter().flatten() {
                page.shows(&hash);
            }
            for person in [&mut ann, &mut bob] {
                let got = person.get(&format!("/torrents/{id}/download")).await.expect(200);
                let served = parse(&got.bytes);
                assert_eq!(served.info, sent.info, "byte for byte");
                assert_eq!((served.infohash_v1, served.infohash_v2), (sent.infohash_v1, sent.infohash_v2));
                assert_eq!(served.outer.web_seeds, ["https://mirror.example/"]);
                assert!(!got.text.contains("foreign.example") && !got.text.contains("a secret comment"));
                assert_eq!(got.header("cache-control"), "private, no-store");
                assert_eq!(got.header("content-type"), "application/x-bittorrent");
                assert!(got.header("content-disposition").contains(&format!("set-{i}.torrent")));
                assert_eq!(served.outer.comment.as_deref(), Some(format!("http://seedbank.test/torrents/{id}").as_str()));
            }
        }
    }

    /// Threat 26: the announce URL is the asker's own, whoever else asks at the same time.
    async fn everybody_gets_their_own_announce_url(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let id = publish(&mut ann, &small("shared", Kind::V1), "Shared").await;
        let mut conn = site.app.db.read().await.unwrap();
        let mut keys = Vec::new();
        for name in ["ann", "bob"] {
            keys.push(seedbank::accounts::queries::by_name(&mut conn, name).await.unwrap().unwrap().passkey);
        }
        drop(conn);
        let path = format!("/torrents/{id}/download");
        for _ in 0..20 {
            let (a, b) = tokio::join!(ann.get(&path), bob.get(&path));
            for (reply, own, other) in [(a, &keys[0], &keys[1]), (b, &keys[1], &keys[0])] {
                let document = bencode::scan(&reply.bytes).unwrap();
                let root = document.root().as_dict().unwrap();
                let announce = root.get(b"announce").unwrap().as_bytes().unwrap();
                assert_eq!(announce, format!("http://seedbank.test/announce/{own}").as_bytes());
                assert!(!reply.text.contains(other.as_str()));
                assert_eq!(reply.text.matches(own.as_str()).count(), 2, "announce and its one tier");
            }
        }
    }

    async fn a_known_hash_answers_with_its_page(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        publish(&mut ann, &small("other", Kind::Hybrid), "Other").await;
        let file = small("mine", Kind::Hybrid);
        let id = publish(&mut ann, &file, "Mine").await;
        let known = upload(&mut bob, &file, "Kept title").await.expect(409);
        assert_eq!(known.attribute("form .notice a", "href").unwrap(), format!("/torrents/{id}-mine"));
        assert_eq!(known.attribute("input[name=title]", "value").as_deref(), Some("Kept title"));
        let count = twenty_at_once(&site, &small("raced", Kind::V1)).await;
        assert_eq!(count, (1, 19), "one row, the rest are told");
    }

    async fn refusals_name_the_rule_and_keep_the_input(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        for (file, word) in [
            (b"".to_vec(), "empty"),
            (b"<html>".to_vec(), "bencode"),
            (b"d4:infodee".to_vec(), "name"),
            (with("x", &[("a", 5)], Options { kind: Kind::V1, ..Options::default() })
                .windows(1).map(|w| w[0]).take(40).collect(), ""),
        ] {
            let reply = upload_with(&mut ann, &file, &[("title", "My title"), ("category", "other"),
                ("tags", "linux, iso"), ("description", "about it"), ("anonymous", "1")]).await.expect(422);
            assert_eq!(reply.count(".field.bad"), 1, "{word}: {}", reply.text);
            assert_eq!(reply.attribute("input[name=title]", "value").as_deref(), Some("My title"));
            assert_eq!(reply.attribute("input[name=tags]", "value").as_deref(), Some("linux, iso"));
            assert_eq!(reply.texts("textarea[name=description]"), ["about it"]);
            assert!(reply.attribute("input[name=anonymous]", "checked").is_some());
            assert!(reply.attribute("option[value=other]", "selected").is_some());
        }
        let none = upload_with(&mut ann, &small("x", Kind::V1), &[("title", "t"), ("category", "gone")]).await.expect(422);
        none.shows("That category is gone");
        let long = upload_with(&mut ann, &small("x", Kind::V1), &[("title", &"x".repeat(301)), ("category", "other")]).await.expect(422);
        long.shows("at most 300 characters");
    }

    async fn a_batch_gives_each_file_its_verdict(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let known = small("known", Kind::V1);
        publish(&mut ann, &known, "Known").await;
        ann.get("/upload").await;
        let reply = ann.upload("/upload", |form: Multipart| form.text("category", "other").text("tags", "batch")
            .file("files", "one.torrent", &small("one", Kind::V1))
            .file("files", "known.torrent", &known)
            .file("files", "broken.torrent", b"d4:infod4:name2:..ee")
            .file("files", "two.torrent", &small("two", Kind::V2))).await.expect(200);
        assert_eq!(reply.count(".verdicts li"), 4);
        let badges = reply.texts(".verdicts .badge");
        assert_eq!(badges, ["added", "already here", "refused", "added"]);
        site.indexed().await;
        assert_eq!(ann.get("/torrents?tag=batch").await.expect(200).count("tbody tr"), 2);
    }

    async fn the_private_flag_policy_refuses_and_never_rewrites(site: Site) {
        let private = |private| with("p", &[("a", 9_000)], Options { kind: Kind::V1, private, ..Options::default() });
        for (policy, accepted) in [(PrivateFlag::Require, true), (PrivateFlag::Forbid, false)] {
            let mut wanted = settings();
            wanted.private_flag = policy;
            site.set_up_with(wanted).await;
            let name = format!("u{}", policy.as_str());
            let mut user = site.member(&name, Role::Member).await;
            upload(&mut user, &private(!accepted), "no").await.expect(422).shows("would change the infohash");
            upload(&mut user, &private(accepted), "yes").await.expect(303);
        }
    }

    async fn the_page_shows_the_files_a_folder_at_a_time(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let many: Vec<(String, usize)> = (0..620).map(|i| (format!("many/{i:04}.txt"), 10)).collect();
        let mut files: Vec<(&str, usize)> = many.iter().map(|(p, s)| (p.as_str(), *s)).collect();
        files.push(("readme.md", 30_000));
        files.push(("deep/er/still.bin", 5));
        let file = with("tree", &files, Options { kind: Kind::Hybrid, ..Options::default() });
        let id = publish(&mut ann, &file, "Tree").await;
        let top = ann.get(&format!("/torrents/{id}")).await.expect(200);
        assert_eq!(top.texts(".files tbody tr td:first-child"), ["deep", "many", "readme.md"]);
        top.shows("alignment files hidden");
        let many = ann.get(&format!("/torrents/{id}?folder=many")).await.expect(200);
        assert_eq!(many.count(".files tbody tr"), 500);
        let next = many.attribute("#files a[rel=next]", "href").unwrap();
        assert_eq!(ann.get(&next).await.expect(200).count(".files tbody tr"), 120);
        ann.get(&format!("/torrents/{id}?folder=deep/er")).await.expect(200).shows("still.bin");
        ann.get(&format!("/torrents/{id}?folder=nowhere")).await.expect(404);
        ann.get(&format!("/torrents/{id}?folder=many&page=99999999999999999999")).await.expect(200);
    }

    async fn the_uploader_and_moderators_edit(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        let mut moderator = site.member("mo", Role::Moderator).await;
        publish(&mut ann, &small("first", Kind::V1), "First").await;
        let id = publish(&mut ann, &small("second", Kind::V1), "Second").await;
        let (page, change) = (format!("/torrents/{id}/edit"), [("title", "Changed"), ("category", "films"), ("tags", "new-tag"),
            ("description", "*new*")]);
        bob.get(&page).await.expect(403);
        bob.get("/upload").await;
        bob.post(&page, &change).await.expect(403);
        ann.submit(&page, &page, &[("title", ""), ("category", "films")]).await.expect(422);
        let saved = ann.post(&page, &change).await.expect(303);
        let shown = bob.get(saved.location()).await.expect(200);
        assert_eq!(shown.texts("h1"), ["Changed"]);
        shown.shows("<em>new</em>");
        moderator.submit(&page, &page, &[("title", "By the moderator"), ("category", "films"), ("anonymous", "1")]).await.expect(303);
        let shown = bob.get(&format!("/torrents/{id}")).await.expect(200);
        assert_eq!(shown.texts("h1"), ["By the moderator"]);
        assert_eq!(shown.count("a[href='/members/ann']"), 1, "a moderator does not decide who hides");
        site.indexed().await;
        assert_eq!(bob.get("/torrents?category=films").await.count("tbody tr"), 1);
        assert_eq!(bob.get("/torrents?category=other").await.count("tbody tr"), 1);
    }

    async fn deleting_takes_a_reason_and_frees_the_hash(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        let file = small("doomed", Kind::Hybrid);
        publish(&mut ann, &small("spared", Kind::V1), "Spared").await;
        let id = publish(&mut ann, &file, "Doomed").await;
        let action = format!("/torrents/{id}/delete");
        bob.get(&action).await.expect(403);
        bob.get("/upload").await;
        bob.post(&action, &[("reason", "mine now")]).await.expect(403);
        ann.submit(&action, &action, &[("reason", " ")]).await.expect(422);
        ann.post(&action, &[("reason", "Replaced by a better one")]).await.expect(303);
        let gone = bob.get(&format!("/torrents/{id}-doomed")).await.expect(410);
        gone.shows("Replaced by a better one");
        for path in ["/download", "/magnet", "/edit", "/delete"] {
            let reply = ann.get(&format!("/torrents/{id}{path}")).await;
            assert_eq!(reply.status, 404, "{path}");
        }
        site.indexed().await;
        let listing = bob.get("/torrents").await.expect(200);
        assert_eq!(listing.texts("tbody .n a:first-child"), ["Spared"]);
        let again = publish(&mut bob, &file, "Reborn").await;
        assert_ne!(again, id);
        bob.get(&format!("/torrents/{id}")).await.expect(410);
        site.clock.advance(31 * 86_400);
        let mut tx = site.app.db.write().await.unwrap();
        let gone = seedbank::torrents::queries::purge_blobs(&mut tx, site.clock.now().plus(-30 * 86_400), 10).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(gone, 1, "the deleted one's bytes only");
    }

    async fn anonymous_means_anonymous(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        let mut moderator = site.member("mo", Role::Moderator).await;
        let reply = upload_with(&mut ann, &small("hidden", Kind::V1),
            &[("title", "Hidden"), ("category", "other"), ("anonymous", "1")]).await.expect(303);
        let path = reply.location().to_owned();
        publish(&mut ann, &small("open", Kind::V1), "Open").await;
        site.indexed().await;
        for (person, sees) in [(&mut bob, 0), (&mut ann, 1), (&mut moderator, 1)] {
            assert_eq!(person.get(&path).await.expect(200).count("article a[href='/members/ann']"), sees);
            assert_eq!(person.get("/torrents?user=ann").await.expect(200).count("tbody tr"), 1 + sees);
            assert_eq!(person.get("/torrents").await.expect(200).count("tbody tr"), 2);
        }
    }

    async fn settings_decide_who_looks_downloads_and_uploads(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Uploader).await;
        let id = publish(&mut ann, &small("seen", Kind::V1), "Seen").await;
        site.indexed().await;
        let (page, file) = (format!("/torrents/{id}"), format!("/torrents/{id}/download"));
        let mut guest = site.browser();
        for path in ["/torrents", &page, &file] {
            assert!(guest.get(path).await.expect(303).location().starts_with("/login?next="));
        }
        let mut open = settings();
        open.who_may_look = Audience::Everyone;
        open.who_may_upload = Publishers::Uploaders;
        site.set_up_with(open.clone()).await;
        guest.get("/torrents").await.expect(200).shows("Seen");
        assert_eq!(guest.get(&page).await.expect(200).count("[data-download]"), 0);
        guest.get(&file).await.expect(303);
        open.who_may_download = Audience::Everyone;
        site.set_up_with(open).await;
        let got = guest.get(&file).await.expect(200);
        assert!(got.text.contains("http://seedbank.test/announce13:announce-list"), "no key in a guest's file");
        let mut member = site.member("mem", Role::Member).await;
        member.get("/upload").await.expect(403);
        ann.get("/upload").await.expect(200);
    }

    async fn magnets_and_permanent_addresses(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let file = small("magnetic", Kind::Hybrid);
        let sent = parse(&file);
        let id = publish(&mut ann, &file, "Magnetic").await;
        let secret = with("secret", &[("a", 100)], Options { kind: Kind::V1, private: true, ..Options::default() });
        let private = publish(&mut ann, &secret, "Secret").await;
        let magnet = ann.get(&format!("/torrents/{id}/magnet")).await.expect(303);
        let (v1, v2) = (sent.infohash_v1.unwrap(), sent.infohash_v2.unwrap());
        assert!(magnet.location().starts_with(&format!("magnet:?xt=urn:btih:{v1}&xt=urn:btmh:1220{v2}&dn=magnetic")));
        assert!(magnet.location().contains("tr=http%3A%2F%2Fseedbank.test%2Fannounce%2F"));
        ann.get(&format!("/torrents/{private}/magnet")).await.expect(409);
        for text in [v1.to_string(), v1.to_string().to_uppercase(), v2.to_string(), format!("1220{v2}")] {
            let to = format!("/torrents/{id}-magnetic");
            assert_eq!(ann.get(&format!("/t/{text}")).await.expect(303).location(), to);
            assert_eq!(ann.get(&format!("/torrents?q={text}")).await.expect(303).location(), to);
        }
        ann.get(&format!("/t/{}", "0".repeat(40))).await.expect(404);
        ann.get(&format!("/torrents?q={}", "0".repeat(40))).await.expect(200).shows("No torrent here has that infohash");
    }

    async fn downloads_are_counted_and_have_a_budget(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let id = publish(&mut ann, &small("counted", Kind::V1), "Counted").await;
        let other = publish(&mut ann, &small("uncounted", Kind::V1), "Uncounted").await;
        for _ in 0..3 {
            bob.get(&format!("/torrents/{id}/download")).await.expect(200);
        }
        site.app.downloads.flush(&site.app.db).await.unwrap();
        let stats = |reply: &crate::harness::Reply| reply.texts("dl.stats div").last().cloned().unwrap();
        assert_eq!(stats(&ann.get(&format!("/torrents/{id}")).await), "Downloads3");
        assert_eq!(stats(&ann.get(&format!("/torrents/{other}")).await), "Downloads0");
        let budget = site.app.config.torrents.downloads_per_hour;
        for _ in 3..budget {
            bob.get(&format!("/torrents/{id}/download")).await.expect(200);
        }
        bob.get(&format!("/torrents/{other}/download")).await.expect(429);
        ann.get(&format!("/torrents/{other}/download")).await.expect(200);
        site.clock.advance(3_601);
        bob.get(&format!("/torrents/{other}/download")).await.expect(200);
    }

    /// The search went on looking for a moved category under its old parent until somebody's next upload.
    async fn a_moved_category_takes_its_torrents_along(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut mo = site.member("mo", Role::Moderator).await;
        upload_with(&mut ann, &small("a", Kind::V1), &[("title", "A"), ("category", "games")]).await.expect(303);
        upload_with(&mut ann, &small("b", Kind::V1), &[("title", "B"), ("category", "applications")]).await.expect(303);
        site.indexed().await;
        assert_eq!(ann.get("/torrents?category=software").await.count("tbody tr"), 2);
        let games = crate::fixtures::category(&site, "games").await;
        let path = format!("/moderation/categories/{}", games.id);
        mo.submit(&path, &path, &[("name", "Games"), ("slug", "games"), ("description", ""), ("parent", "video"),
            ("torznab", "4050"), ("icon", "game")]).await.expect(303);
        site.indexed().await;
        assert_eq!(ann.get("/torrents?category=software").await.count("tbody tr"), 1);
        assert_eq!(ann.get("/torrents?category=video").await.texts("tbody .n a:first-child"), ["A"]);
    }

    /// A thousand tags in an address kept a connection for as many queries.
    async fn an_address_holds_so_many_tags(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let tags: String = (0..900).map(|i| format!("&tag=t{i}")).collect();
        let page = ann.get(&format!("/torrents?q=x{tags}")).await.expect(200);
        page.shows("Only the first 32 words and filters count");
    }

    async fn preview_without_and_with_script(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let page = upload_with(&mut ann, b"", &[("title", "T"), ("category", "other"),
            ("description", "**bold** <script>x</script>"), ("preview", "1")]).await.expect(200);
        assert_eq!(page.texts("[data-preview-out] strong"), ["bold"]);
        let fragment = ann.post("/upload/preview", &[("description", "*soft*")]).await.expect(200);
        assert_eq!(fragment.text.trim(), "<p><em>soft</em></p>");
    }
}

/// Twenty members send the same file at the same time: (added, known).
async fn twenty_at_once(site: &crate::harness::Site, file: &[u8]) -> (usize, usize) {
    let mut sending = Vec::new();
    for i in 0..20 {
        let mut person = site.member(&format!("racer{i}"), Role::Member).await;
        let file = file.to_vec();
        sending.push(async move { upload(&mut person, &file, "Raced").await.status });
    }
    let statuses = futures_util::future::join_all(sending).await;
    (
        statuses.iter().filter(|s| **s == 303).count(),
        statuses.iter().filter(|s| **s == 409).count(),
    )
}
