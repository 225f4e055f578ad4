//! The query language on the listing: what finds what for whom, what is said, and that text, form and address are one.

use seedbank::accounts::Role;
use seedbank::bittorrent::create::Options;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::settings::Audience;
use seedbank::tags::{self, TagName};
use seedbank::web::filters::urlencode;

use crate::fixtures;
use crate::harness::torrents::{parse, publish, small, upload_with, with};
use crate::harness::{Browser, Reply, settings};

async fn search(person: &mut Browser, text: &str) -> Reply {
    let path = format!("/torrents?q={}", urlencode(text));
    person.get(&path).await.expect(200)
}

fn titles(reply: &Reply) -> Vec<String> {
    let mut titles = reply.texts("tbody .n > a:first-child");
    titles.sort();
    titles
}

async fn found(person: &mut Browser, text: &str) -> Vec<String> {
    titles(&search(person, text).await)
}

/// The address a link of this text leads to.
fn link(reply: &Reply, text: &str) -> String {
    let html = reply.html();
    let links = scraper::Selector::parse("main a").unwrap();
    let found = html.select(&links).find(|a| {
        a.text().collect::<String>().trim() == text || a.attr("aria-label") == Some(text)
    });
    let found = found.unwrap_or_else(|| panic!("no link “{text}” in {}", reply.text));
    found.attr("href").unwrap().to_owned()
}

/// Three torrents of two members that differ in everything that can be asked for.
async fn catalogue(ann: &mut Browser, bob: &mut Browser) {
    let noble = with(
        "noble",
        &[("ubuntu-24.04-desktop.iso", 40_000), ("README.md", 10)],
        Options::default(),
    );
    upload_with(
        ann,
        &noble,
        &[
            ("title", "Ubuntu 24.04 Noble"),
            ("category", "linux-bsd-images"),
            ("tags", "lts, iso"),
            ("description", "Long supported."),
        ],
    )
    .await
    .expect(303);
    let secret = with(
        "trixie",
        &[("debian.iso", 400)],
        Options {
            kind: Kind::V1,
            private: true,
            ..Options::default()
        },
    );
    upload_with(
        ann,
        &secret,
        &[
            ("title", "Debian trixie"),
            ("category", "software"),
            ("tags", "iso"),
        ],
    )
    .await
    .expect(303);
    let film = with(
        "detour",
        &[("détour.mkv", 4_000_000)],
        Options {
            kind: Kind::V2,
            ..Options::default()
        },
    );
    upload_with(
        bob,
        &film,
        &[
            ("title", "Détour 第二版"),
            ("category", "films"),
            ("tags", "noir"),
        ],
    )
    .await
    .expect(303);
}

const NOBLE: &str = "Ubuntu 24.04 Noble";
const TRIXIE: &str = "Debian trixie";
const DETOUR: &str = "Détour 第二版";

both! {
    async fn every_field_finds_what_it_says(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        catalogue(&mut ann, &mut bob).await;
        site.indexed().await;
        for (text, expected) in [
            ("ubuntu | detour", &[DETOUR, NOBLE][..]),
            ("iso -(noble | nothing)", &[TRIXIE]),
            ("(debian | ubuntu) tag:lts", &[NOBLE]),
            ("debian | ubuntu tag:noir", &[TRIXIE]),
            ("*bunt*", &[NOBLE]),
            ("*bIA*", &[TRIXIE]),
            ("第二", &[DETOUR]),
            ("*二版*", &[DETOUR]),
            ("nob* -trixie", &[NOBLE]),
            ("cat:software", &[TRIXIE, NOBLE]),
            ("cat:\"Linux & BSD images\"", &[NOBLE]),
            ("-cat:software", &[DETOUR]),
            ("tag:ISO -tag:lts", &[TRIXIE]),
            ("user:ANN", &[TRIXIE, NOBLE]),
            ("-user:ann", &[DETOUR]),
            ("file:readme", &[NOBLE]),
            ("file:\"ubuntu 24\"", &[NOBLE]),
            ("file:*.mkv", &[DETOUR]),
            ("size:>1mb", &[DETOUR]),
            ("size:..1k", &[TRIXIE]),
            ("size:4MB | size:400", &[TRIXIE, DETOUR]),
            ("is:private", &[TRIXIE]),
            ("is:public is:v2", &[DETOUR]),
            ("is:trusted", &[DETOUR]),
            ("has:v1", &[TRIXIE, NOBLE]),
            ("has:description", &[NOBLE]),
            ("-has:tags", &[]),
            ("after:1h", &[TRIXIE, DETOUR, NOBLE]),
            ("before:1h", &[]),
            ("before:1970", &[]),
            // Nobody has announced, so no number is known, and unknown is not zero.
            ("seeders:0", &[]),
            ("-seeders:0 | is:v2", &[TRIXIE, DETOUR, NOBLE]),
        ] {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            let reply = search(&mut ann, text).await;
            assert_eq!(titles(&reply), expected, "{text}");
            assert_eq!(reply.count(".notice.warn"), 0, "{text}");
        }
        // An hour and a day later the same words mean another time.
        site.clock.advance(90_000);
        assert_eq!(found(&mut ann, "after:1h").await, [""; 0]);
        assert_eq!(found(&mut ann, "before:1d").await.len(), 3);
    }

    async fn what_is_not_understood_is_said_and_widens_nothing(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        catalogue(&mut ann, &mut bob).await;
        site.indexed().await;
        for (text, said) in [
            ("iso tag:none", "There is no tag “none”"),
            ("iso cat:none", "There is no category “none”"),
            ("iso user:none", "There is no member “none”"),
            ("iso size:large", "size:700mb..4gb"),
            ("iso is:purple", "is:hybrid"),
            ("iso after:soon", "after:7d"),
        ] {
            let reply = search(&mut ann, text).await;
            reply.shows(said);
            assert_eq!(titles(&reply), [""; 0], "{text}");
            // Which it was, and the way on without it.
            reply.shows("matches nothing by itself");
            let without = ann.get(&link(&reply, &format!("Without {}", reply.texts(".chip > span")[1]))).await.expect(200);
            assert_eq!(titles(&without), [TRIXIE, NOBLE], "{text}");
        }
        let reply = search(&mut ann, "foo:ubuntu").await;
        reply.shows("There is no filter “foo:”");
        let reply = search(&mut ann, "http://x 12:30").await;
        assert_eq!(reply.count(".notice.warn"), 0);
        for query in ["kind=v9", "category=none", "tag=none", "size_min=x", "seeders=many"] {
            let reply = ann.get(&format!("/torrents?{query}")).await.expect(200);
            assert_eq!((reply.count("tbody tr"), reply.count(".notice.warn")), (0, 1), "{query}");
        }
    }

    async fn text_form_and_address_are_one(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        catalogue(&mut ann, &mut bob).await;
        let iso = fixtures::tag_named(&site, "iso").await.unwrap();
        let mut tx = site.app.db.write().await.unwrap();
        tags::queries::add_alias(&mut tx, iso.id, &TagName::parse("image").unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        site.indexed().await;
        let sent = "/torrents?filter=1&q=-trixie&category=linux-bsd-images&tag=LTS&any=noir,image&none=noir&size_min=1k&size_max=\
            &after=7d&before=&seeders=&kind=hybrid&user=Ann";
        let to = ann.get(sent).await.expect(303).location().to_owned();
        let text = "-trixie cat:linux-bsd-images tag:lts (tag:noir | tag:iso) -tag:noir after:7d is:hybrid user:ann size:>=1k";
        assert_eq!(to, format!("/torrents?q={}", url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()));
        let page = ann.get(&to).await.expect(200);
        assert_eq!(titles(&page), [NOBLE]);
        assert_eq!(page.attribute(".find input", "value").as_deref(), Some(text));
        let value = |name: &str| page.attribute(&format!(".refine [name={name}]"), "value").unwrap();
        for (name, expected) in [("q", "-trixie"), ("tag", "lts"), ("any", "noir, iso"), ("none", "noir"), ("size_min", "1k"),
            ("size_max", ""), ("after", "7d"), ("user", "ann")] {
            assert_eq!(value(name), expected, "{name}");
        }
        assert_eq!(page.attribute("[name=category] [selected]", "value").as_deref(), Some("linux-bsd-images"));
        assert_eq!(page.attribute("[name=kind] [selected]", "value").as_deref(), Some("hybrid"));
        let chips = page.texts(".filters .chip > span");
        assert_eq!(chips, ["not “trixie”", "Linux & BSD images", "tag: lts", "tag: noir or tag: iso", "not tag: noir",
            "in the last 7 days", "hybrid", "by ann", "size: 1.0 KiB or more"]);
        let fewer = ann.get(&link(&page, "Remove tag: lts")).await.expect(200);
        assert_eq!(fewer.count(".filters .chip"), chips.len() - 1);
        assert_eq!(fewer.count(".notice.warn"), 0);
        // A facet takes the place of what was chosen.
        let moved = ann.get(&link(&page, "Everything")).await.expect(200);
        assert!(!moved.texts(".filters .chip > span").iter().any(|chip| chip.contains("Linux")));
        // Other indexes' addresses.
        let foreign = ann.get("/torrents?f=2&c=0_0&q=detour&u=bob&s=size&o=asc&p=1").await.expect(200);
        assert_eq!(titles(&foreign), [DETOUR]);
        assert_eq!(foreign.count(".notice.warn"), 0);
        ann.get("/torrents?s=comments").await.shows("cannot be sorted by “comments”");
        // The order survives the form and the field.
        let page = ann.get("/torrents?sort=size&order=asc").await.expect(200);
        assert_eq!(page.attribute(".refine [name=sort]", "value").as_deref(), Some("size"));
    }

    async fn pages_have_numbers(site: Site) {
        site.set_up().await;
        site.account("ann", Role::Member).await;
        let uploader = site.account("bob", Role::Member).await;
        let other = fixtures::category(&site, "other").await;
        let ids = fixtures::torrents(&site, other.id, uploader, 120).await;
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::torrents::queries::stamp(&mut tx, &ids).await.unwrap();
        tx.commit().await.unwrap();
        site.indexed().await;
        let mut person = site.log_in("ann").await;
        let first = person.get("/torrents").await.expect(200);
        let next = person.get(&link(&first, "Next")).await.expect(200);
        let second = person.get("/torrents?p=2").await.expect(200);
        assert_eq!(titles(&second), titles(&next));
        assert_eq!(person.get("/torrents?p=3").await.count("tbody tr"), 20);
    }

    async fn nothing_found_offers_the_nearest_spelling(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        catalogue(&mut ann, &mut bob).await;
        site.indexed().await;
        let reply = search(&mut ann, "ubunut cat:software").await;
        reply.shows("Did you mean");
        let right = ann.get(&link(&reply, "ubuntu")).await.expect(200);
        assert_eq!(titles(&right), [NOBLE]);
        // A word that finds nothing with the rest is no help.
        let reply = search(&mut ann, "ubunut cat:films").await;
        assert!(!reply.text.contains("Did you mean"));
        // Two that match nothing are dropped together; two that exclude each other one by one.
        let reply = search(&mut ann, "qqqq ubuntu wwww").await;
        let both = ann.get(&link(&reply, "Without “qqqq” and “wwww”")).await.expect(200);
        assert_eq!(titles(&both), [NOBLE]);
        let reply = search(&mut ann, "noble trixie").await;
        assert_eq!(titles(&ann.get(&link(&reply, "Without “noble”")).await), [TRIXIE]);
        // A deleted torrent's words are not offered.
        let id = publish(&mut ann, &small("zyzzyva", Kind::V1), "Zyzzyva").await;
        site.indexed().await;
        search(&mut ann, "zyzzyvas").await.shows("Zyzzyva".to_lowercase().as_str());
        ann.get("/upload").await;
        ann.post(&format!("/torrents/{id}/delete"), &[("reason", "gone")]).await.expect(303);
        site.indexed().await;
        assert!(!search(&mut ann, "zyzzyvas").await.text.contains("Did you mean"));
        let member = search(&mut ann, "BOB").await;
        assert_eq!(titles(&ann.get(&link(&member, "what bob has uploaded")).await), [DETOUR]);
    }

    async fn an_infohash_in_any_form_leads_to_its_torrent(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let hybrid = small("both", Kind::Hybrid);
        let id = publish(&mut ann, &hybrid, "Both").await;
        let v2 = small("second", Kind::V2);
        let second = publish(&mut ann, &v2, "Second").await;
        site.indexed().await;
        let (sent, v2) = (parse(&hybrid), parse(&v2).infohash_v2.unwrap());
        let (hash1, hash2) = (sent.infohash_v1.unwrap(), sent.infohash_v2.unwrap());
        let base32 = data_encoding::BASE32.encode(hash1.as_bytes());
        let elsewhere = "0".repeat(40);
        for (text, to) in [
            (hash1.to_string(), id),
            (format!("  {}  ", hash1.to_string().to_uppercase()), id),
            (base32.to_lowercase(), id),
            (base32, id),
            (hash2.to_string(), id),
            (format!("1220{hash2}"), id),
            (format!("magnet:?xt=urn:btih:{hash1}&dn=x&tr=http%3A%2F%2Fx"), id),
            (format!("magnet:?xt=urn:btmh:1220{hash2}"), id),
            // The v1 hash is of another making, the v2 hash is ours.
            (format!("magnet:?xt=urn:btih:{elsewhere}&xt=urn:btmh:1220{v2}"), second),
            // Clients show the first 20 bytes of a v2 hash.
            (v2.truncated().to_string(), second),
        ] {
            let reply = ann.get(&format!("/torrents?q={}", urlencode(&text))).await.expect(303);
            assert!(reply.location().starts_with(&format!("/torrents/{to}-")), "{text}");
        }
        assert_eq!(found(&mut ann, &format!("hash:{hash1} | hash:{}", v2.truncated())).await, ["Both", "Second"]);
        search(&mut ann, &elsewhere).await.shows("No torrent here has that infohash");
    }

    /// Neither asking for a member nor taking one out tells whose an anonymous upload is.
    async fn anonymous_uploads_stay_anonymous(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Uploader).await;
        let mut bob = site.member("bob", Role::Member).await;
        let mut moderator = site.member("mo", Role::Moderator).await;
        upload_with(&mut ann, &small("hidden", Kind::V1),
            &[("title", "Hidden"), ("category", "other"), ("anonymous", "1")]).await.expect(303);
        publish(&mut ann, &small("open", Kind::V1), "Open").await;
        publish(&mut bob, &small("bobs", Kind::V1), "Bobs").await;
        site.indexed().await;
        for (text, stranger, knowing) in [
            ("user:ann", &["Open"][..], &["Hidden", "Open"][..]),
            ("-user:ann", &["Bobs", "Hidden"], &["Bobs"]),
            ("(user:ann | user:bob)", &["Bobs", "Open"], &["Bobs", "Hidden", "Open"]),
            ("-(-user:ann)", &["Open"], &["Hidden", "Open"]),
            ("is:trusted", &["Open"], &["Hidden", "Open"]),
            ("-is:trusted", &["Bobs", "Hidden"], &["Bobs"]),
            ("is:anonymous user:ann", &[], &["Hidden"]),
            ("is:anonymous", &["Hidden"], &["Hidden"]),
            // A name among the words is in no text of it, for nobody.
            ("ann", &["Open"], &["Open"]),
        ] {
            assert_eq!(found(&mut bob, text).await, stranger, "{text}");
            assert_eq!(found(&mut ann, text).await, knowing, "{text}");
            assert_eq!(found(&mut moderator, text).await, knowing, "{text}");
        }
        // Nor does the explanation of an empty page.
        let reply = search(&mut bob, "user:ann hidden").await;
        reply.shows("Without by ann");
        assert!(!reply.text.contains("matches nothing by itself"));
    }

    async fn guests_search_where_they_may_look(site: Site) {
        let mut open = settings();
        open.who_may_look = Audience::Everyone;
        site.set_up_with(open).await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        catalogue(&mut ann, &mut bob).await;
        site.indexed().await;
        let mut guest = site.browser();
        assert_eq!(found(&mut guest, "user:ann -is:private").await, [NOBLE]);
        assert_eq!(found(&mut guest, "is:trusted | *bunt*").await, [DETOUR, NOBLE]);
        let mut closed = settings();
        closed.who_may_look = Audience::Members;
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::settings::queries::save(&mut tx, &closed, site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        site.app.reload_settings().await.unwrap();
        assert_eq!(guest.get("/torrents?q=noble").await.status, 303);
    }
}
