//! Feeds: what a listing has is in its twin, for whoever the key says, and for nobody else.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::Method;
use seedbank::accounts::Role;
use seedbank::bittorrent::bencode;
use seedbank::bittorrent::create::Options;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::settings::Audience;

use crate::harness::torrents::{publish, small, upload_with, with};
use crate::harness::{Browser, Reply, Site, settings};

/// An element of an item or of the channel: name, text, attributes.
type Element = (String, String, BTreeMap<String, String>);

struct Feed {
    channel: Vec<Element>,
    items: Vec<Vec<Element>>,
}

impl Feed {
    /// Reads strictly: what is not well formed, or holds what XML forbids, fails.
    fn parse(text: &str) -> Self {
        let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
        assert!(!text.contains(forbidden), "{text:?}");
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut feed = Self {
            channel: Vec::new(),
            items: Vec::new(),
        };
        let mut path: Vec<String> = Vec::new();
        loop {
            let event = reader
                .read_event()
                .unwrap_or_else(|e| panic!("{e}: {text}"));
            let opened = match &event {
                Event::Start(tag) | Event::Empty(tag) => Some(tag),
                _ => None,
            };
            if let Some(tag) = opened {
                let name = tag.name().as_ref().to_owned();
                let attributes = tag
                    .attributes()
                    .map(|a| {
                        let a = a.unwrap();
                        let key = a.key.as_ref().to_owned();
                        (key, unescaped(&a.value))
                    })
                    .collect();
                let parent = path.last().map(String::as_str);
                match (parent, name.as_str()) {
                    (Some("channel"), "item") => feed.items.push(Vec::new()),
                    (Some("channel"), _) => {
                        feed.channel.push((name.clone(), String::new(), attributes))
                    }
                    (Some("item"), _) => {
                        let item = feed.items.last_mut().unwrap();
                        item.push((name.clone(), String::new(), attributes));
                    }
                    _ => {}
                }
                if matches!(event, Event::Start(_)) {
                    path.push(name);
                }
                continue;
            }
            let mut add = |more: &str| {
                let parent = path.len().checked_sub(2).map(|n| path[n].as_str());
                match parent {
                    Some("channel") => feed.channel.last_mut().unwrap().1.push_str(more),
                    Some("item") => feed
                        .items
                        .last_mut()
                        .unwrap()
                        .last_mut()
                        .unwrap()
                        .1
                        .push_str(more),
                    _ => {}
                }
            };
            match event {
                Event::Text(text) => add(&unescaped(&text)),
                Event::GeneralRef(name) => {
                    add(&unescaped(&format!("&{};", &*name)));
                }
                Event::End(_) => {
                    path.pop();
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert!(path.is_empty(), "left open: {path:?}");
        feed
    }

    fn titles(&self) -> Vec<&str> {
        self.items
            .iter()
            .map(|item| text_of(item, "title"))
            .collect()
    }
}

fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).unwrap().into_owned()
}

fn text_of<'e>(elements: &'e [Element], name: &str) -> &'e str {
    let mut found = elements.iter().filter(|(n, ..)| n == name);
    let one = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    &one.1
}

fn attribute<'e>(elements: &'e [Element], name: &str, attribute: &str) -> &'e str {
    let element = elements.iter().find(|(n, ..)| n == name);
    &element.unwrap_or_else(|| panic!("no {name}")).2[attribute]
}

/// What `torznab:attr` says of a name.
fn told<'e>(item: &'e [Element], name: &str) -> Option<&'e str> {
    item.iter()
        .find(|(n, _, a)| n == "torznab:attr" && a["name"] == name)
        .map(|(_, _, a)| a["value"].as_str())
}

/// The feed that a page leads readers to.
async fn address(browser: &mut Browser, page: &str) -> String {
    let page = browser.get(page).await.expect(200);
    page.attribute("link[rel=alternate]", "href").unwrap()
}

/// As a feed reader reads: without a cookie.
async fn read(site: &Site, path: &str) -> Reply {
    site.browser().get(path).await
}

async fn feed(site: &Site, path: &str) -> Feed {
    let reply = read(site, path).await.expect(200);
    assert_eq!(
        reply.header("content-type"),
        "application/rss+xml; charset=utf-8"
    );
    Feed::parse(&reply.text)
}

/// The path of an address of this site.
fn local(address: &str) -> &str {
    address
        .strip_prefix("http://seedbank.test")
        .unwrap_or_else(|| panic!("{address}"))
}

fn announce_of(torrent: &[u8]) -> String {
    let document = bencode::scan(torrent).unwrap();
    let root = document.root().as_dict().unwrap();
    let announce = root.get(b"announce").unwrap().as_bytes().unwrap();
    String::from_utf8(announce.to_vec()).unwrap()
}

async fn passkey(site: &Site, name: &str) -> String {
    let mut conn = site.app.db.read().await.unwrap();
    let user = seedbank::accounts::queries::by_name(&mut conn, name).await;
    user.unwrap().unwrap().passkey
}

/// Refused, in words that a feed reader shows.
fn refused(reply: &Reply, status: u16, says: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(
        reply.header("content-type"),
        "application/rss+xml; charset=utf-8"
    );
    let feed = Feed::parse(&reply.text);
    assert!(
        text_of(&feed.channel, "description").contains(says),
        "{}",
        reply.text
    );
    assert!(feed.titles()[0].contains(says));
    assert_eq!(
        feed.items[0]
            .iter()
            .filter(|(n, ..)| n == "enclosure")
            .count(),
        0
    );
}

both! {
    async fn a_listing_and_its_feed_say_the_same(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let one = publish(&mut ann, &small("one", Kind::Hybrid), "Debian one").await;
        site.clock.advance(60);
        publish(&mut ann, &small("two", Kind::V2), "Debian two").await;
        site.clock.advance(60);
        publish(&mut ann, &small("three", Kind::V1), "Ubuntu three").await;
        site.indexed().await;
        site.clock.advance(60);

        let all = address(&mut ann, "/torrents").await;
        assert_eq!(feed(&site, &all).await.titles(), ["Ubuntu three", "Debian two", "Debian one"]);
        // A feed is newest first where nobody chose, though words are listed by how well they match.
        let debian = address(&mut ann, "/torrents?q=debian&at=nonsense").await;
        let found = feed(&site, &debian).await;
        assert_eq!(found.titles(), ["Debian two", "Debian one"]);
        assert!(!text_of(&found.channel, "title").is_empty());
        assert_eq!(text_of(&found.channel, "link"), "http://seedbank.test/torrents?q=debian");
        assert_eq!(attribute(&found.channel, "atom:link", "href"), "http://seedbank.test/torrents.rss?q=debian");
        assert_eq!(text_of(&found.channel, "lastBuildDate"), "Thu, 15 Jan 2026 00:01:00 +0000");
        let by_name = address(&mut ann, "/torrents?sort=name&order=asc&kind=v1").await;
        assert_eq!(feed(&site, &by_name).await.titles(), ["Ubuntu three"]);
        let oldest = address(&mut ann, "/torrents?sort=date&order=asc").await;
        assert_eq!(feed(&site, &format!("{oldest}&limit=2")).await.titles(), ["Debian one", "Debian two"]);
        assert_eq!(feed(&site, &address(&mut ann, "/members/ann").await).await.titles().len(), 3);

        let item = &found.items[1];
        let page = format!("http://seedbank.test/torrents/{one}");
        assert_eq!(text_of(item, "guid"), page);
        assert_eq!(text_of(item, "comments"), page);
        assert_eq!(attribute(item, "guid", "isPermaLink"), "true");
        assert_eq!(text_of(item, "pubDate"), "Thu, 15 Jan 2026 00:00:00 +0000");
        assert_eq!(attribute(item, "enclosure", "type"), "application/x-bittorrent");
        assert_eq!(attribute(item, "enclosure", "length"), "40000");
        assert_eq!(attribute(item, "enclosure", "url"), text_of(item, "link"));
        assert!(text_of(item, "description").contains("Size: 39.1 KiB"));
        assert_eq!(text_of(item, "torrent:infoHash").len(), 40);
        assert_eq!(told(item, "infohash"), Some(text_of(item, "torrent:infoHash")));
        assert_eq!((told(item, "size"), told(item, "seeders")), (Some("40000"), None), "unknown is not zero");
        assert!(!found.items[0].iter().any(|(n, ..)| n == "torrent:infoHash"), "v2 alone has no such hash");
        for (name, ..) in item {
            let foreign = name.split_once(':').map(|(_, local)| local);
            assert!(!matches!(foreign, Some("title" | "link" | "description" | "enclosure" | "author" | "guid")), "{name}");
        }
    }

    async fn a_link_in_a_feed_needs_no_cookie_and_counts_as_the_members(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let (first, second) = (
            publish(&mut ann, &small("one", Kind::V1), "One").await,
            publish(&mut ann, &small("two", Kind::V1), "Two").await,
        );
        site.indexed().await;
        let bobs = feed(&site, &address(&mut bob, "/torrents").await).await;
        let links: Vec<&str> = bobs.items.iter().map(|item| local(text_of(item, "link"))).collect();
        let fetched = read(&site, links[0]).await.expect(200);
        assert_eq!(fetched.header("content-type"), "application/x-bittorrent");
        assert_eq!(fetched.header("cache-control"), "private, no-store");
        assert!(announce_of(&fetched.bytes).ends_with(&passkey(&site, "bob").await));
        // One link is for one torrent of one member.
        let moved = links[0].replace(&format!("/{second}/"), &format!("/{first}/"));
        assert_ne!(moved, links[0]);
        read(&site, &moved).await.expect(403).shows("not valid");
        // Neither the key of the feed opens a torrent, nor the link's token a feed, nor either anything else.
        let key = address(&mut bob, "/torrents").await.split_once("key=").unwrap().1.to_owned();
        let token = links[0].split_once("key=").unwrap().1;
        read(&site, &format!("/torrents/{first}/download.torrent?key={key}")).await.expect(403);
        refused(&read(&site, &format!("/torrents.rss?key={token}")).await, 403, "not valid");
        for path in ["/torrents", "/profile", "/bookmarks", &format!("/torrents/{first}"), &format!("/torrents/{first}/download")] {
            for key in [key.as_str(), token] {
                let reply = read(&site, &format!("{path}?key={key}")).await.expect(303);
                assert!(reply.location().starts_with("/login?next="), "{path}");
            }
        }
        // The budget holds for both ways together: 20 in these tests.
        let head = site.browser();
        for _ in 0..3 {
            let request = head.request(Method::HEAD, links[0]);
            assert_eq!(site.browser().send(request).await.status, 200, "looking at the head is no download");
        }
        for n in 1..20 {
            let status = match n % 2 {
                0 => read(&site, links[1]).await.status,
                _ => bob.get(&format!("/torrents/{first}/download")).await.status,
            };
            assert_eq!(status, 200, "{n}");
        }
        let over = read(&site, links[1]).await.expect(429);
        assert!(!over.header("retry-after").is_empty());
        ann.get(&format!("/torrents/{first}/download")).await.expect(200);
    }

    async fn keys_that_hold_no_more_are_refused_in_words(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let mut root = site.member("root", Role::Moderator).await;
        publish(&mut ann, &small("one", Kind::V1), "One").await;
        site.indexed().await;
        refused(&read(&site, "/torrents.rss").await, 403, "needs a key");
        refused(&ann.get("/torrents.rss").await, 403, "needs a key");
        for wrong in ["x", "1-x", "99999999-AAAAAAAAAAAAAAAAAAAAAA", "-", "%00", "%ff", "10001"] {
            refused(&read(&site, &format!("/torrents.rss?key={wrong}")).await, 403, "not valid");
            refused(&read(&site, &format!("/bookmarks.rss?key={wrong}")).await, 403, "not valid");
        }
        let (anns, bobs) = (address(&mut ann, "/torrents").await, address(&mut bob, "/torrents").await);
        let (ann_id, mac) = anns.split_once("key=").unwrap().1.split_once('-').unwrap();
        let bob_id = bobs.split_once("key=").unwrap().1.split_once('-').unwrap().0;
        refused(&read(&site, &format!("/torrents.rss?key={bob_id}-{mac}")).await, 403, "not valid");
        let link = local(text_of(&feed(&site, &anns).await.items[0], "link")).to_owned();

        // Reset: the old one is dead with its links, the new one lives, and so does the other member's.
        ann.get("/profile").await.shows("Last used");
        ann.submit("/profile", "/profile/feed-key", &[]).await.expect(303);
        let profile = ann.get("/profile").await.expect(200);
        profile.shows("You have a new feed key");
        profile.shows("Not used yet");
        refused(&read(&site, &anns).await, 403, "not valid");
        read(&site, &link).await.expect(403);
        let renewed = address(&mut ann, "/torrents").await;
        assert_ne!(renewed, anns);
        assert!(profile.attribute("#feed-url", "value").unwrap().ends_with(&renewed));
        assert!(renewed.contains(&format!("key={ann_id}-")));
        let link = local(text_of(&feed(&site, &renewed).await.items[0], "link")).to_owned();
        feed(&site, &bobs).await;
        ann.post_raw("/profile/feed-key", &[]).await.expect(403);

        // Banned: dead at once, and after the ban is lifted there is another.
        let action = format!("/moderation/members/{ann_id}/ban");
        root.submit("/members/ann", &action, &[("reason", "for the test"), ("return_to", "/")]).await.expect(303);
        refused(&read(&site, &renewed).await, 403, "not valid");
        read(&site, &link).await.expect(403);
        let action = format!("/moderation/members/{ann_id}/unban");
        root.submit("/members/ann", &action, &[("return_to", "/")]).await.expect(303);
        refused(&read(&site, &renewed).await, 403, "not valid");
        let mut ann = site.log_in("ann").await;
        feed(&site, &address(&mut ann, "/torrents").await).await;
    }

    async fn a_feed_shows_what_its_member_may_see(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let shy = [("title", "Shy"), ("category", "other"), ("anonymous", "1")];
        upload_with(&mut ann, &small("shy", Kind::V1), &shy).await.expect(303);
        let gone = publish(&mut ann, &small("gone", Kind::V1), "Gone").await;
        site.indexed().await;
        let (anns, bobs) = (address(&mut ann, "/torrents?user=ann").await, address(&mut bob, "/torrents?user=ann").await);
        assert_eq!(feed(&site, &anns).await.titles(), ["Gone", "Shy"]);
        assert_eq!(feed(&site, &bobs).await.titles(), ["Gone"], "an anonymous upload does not say whose it is");
        let everything = address(&mut bob, "/torrents").await;
        let all = feed(&site, &everything).await;
        let named: Vec<bool> = all.items.iter().map(|item| text_of(item, "description").contains("ann")).collect();
        assert_eq!(named, [true, false]);
        let link = local(text_of(&all.items[0], "link")).to_owned();
        read(&site, &link).await.expect(200);
        let action = format!("/torrents/{gone}/delete");
        ann.submit(&action, &action, &[("reason", "for the test")]).await.expect(303);
        assert_eq!(feed(&site, &everything).await.titles(), ["Shy"], "at once, before the index follows");
        read(&site, &link).await.expect(404);

        // What a feed does not know it does not leave out, or a client would fetch everything.
        let key = everything.split_once("key=").unwrap().1;
        for query in ["category=none", "tag=none", "user=nobody", "kind=v9", "sort=luck"] {
            let reply = read(&site, &format!("/torrents.rss?{query}&key={key}")).await;
            refused(&reply, 422, "leaves nothing out");
        }
        for limit in ["0", "251", "x", "-1"] {
            refused(&read(&site, &format!("/torrents.rss?limit={limit}&key={key}")).await, 422, "from 1 to 250");
        }
    }

    async fn guests_read_feeds_where_they_may_look(site: Site) {
        let mut open = settings();
        open.who_may_look = Audience::Everyone;
        site.set_up_with(open.clone()).await;
        let mut ann = site.member("ann", Role::Member).await;
        let id = publish(&mut ann, &small("one", Kind::V1), "One").await;
        site.indexed().await;
        let guests = address(&mut site.browser(), "/torrents").await;
        assert_eq!(guests, "/torrents.rss");
        let item = &feed(&site, &guests).await.items[0];
        assert_eq!(text_of(item, "link"), format!("http://seedbank.test/torrents/{id}"));
        assert!(!item.iter().any(|(n, ..)| n == "enclosure"), "nothing to fetch for guests");
        refused(&read(&site, "/torrents.rss?key=1-x").await, 403, "not valid");
        refused(&read(&site, "/bookmarks.rss").await, 403, "member's own");
        open.who_may_download = Audience::Everyone;
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::settings::queries::save(&mut tx, &open, site.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        site.app.reload_settings().await.unwrap();
        let item = &feed(&site, &guests).await.items[0];
        read(&site, local(attribute(item, "enclosure", "url"))).await.expect(200);
    }

    async fn a_reader_is_told_when_nothing_has_changed(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let id = publish(&mut ann, &small("one", Kind::V1), "One").await;
        site.indexed().await;
        let path = address(&mut ann, "/torrents").await;
        let ask = async |name: &str, value: &str| {
            let mut reader = site.browser();
            let request = reader.request(Method::GET, &path).header(name, value);
            reader.send(request).await
        };
        let fresh = read(&site, &path).await.expect(200);
        assert_eq!(fresh.header("last-modified"), "", "more may come in the same second");
        assert!(!fresh.text.contains("lastBuildDate"));
        site.clock.advance(5);
        let reply = read(&site, &path).await.expect(200);
        let (tag, date) = (reply.header("etag").to_owned(), reply.header("last-modified").to_owned());
        assert_eq!(date, "Thu, 15 Jan 2026 00:00:00 GMT");
        assert!(tag.starts_with("W/\""), "{tag}");
        assert_eq!(reply.header("cache-control"), "private, max-age=300");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("x-robots-tag"), "noindex");
        for (name, value) in [("if-none-match", tag.as_str()), ("if-none-match", "*"), ("if-modified-since", &date)] {
            let known = ask(name, value).await;
            assert_eq!((known.status, known.bytes.len()), (304, 0), "{name}: {value}");
            assert_eq!(known.header("etag"), tag);
            assert_eq!(known.header("cache-control"), "private, max-age=300");
        }
        ask("if-none-match", "W/\"other\"").await.expect(200);
        ask("if-modified-since", "Wed, 14 Jan 2026 00:00:00 GMT").await.expect(200);
        ask("if-modified-since", "rubbish").await.expect(200);
        // Numbers alone are no change; a title is.
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::exec!(tx, "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) values ($1, 3, 1, 0, $2)",
            id, site.clock.now()).unwrap();
        tx.commit().await.unwrap();
        site.indexed().await;
        ask("if-none-match", &tag).await.expect(304);
        let item = &feed(&site, &path).await.items[0];
        assert_eq!((told(item, "seeders"), told(item, "peers")), (Some("3"), Some("4")));
        let action = format!("/torrents/{id}/edit");
        ann.submit(&action, &action, &[("title", "Renamed"), ("category", "other"), ("tags", ""), ("description", "")]).await.expect(303);
        ask("if-none-match", &tag).await.expect(200);
        ask("if-modified-since", &date).await.expect(200);
    }

    async fn hostile_names_stay_text_in_a_feed(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let titles = [
            "<script>alert(1)</script> & \"quotes\" 'too' ]]> <![CDATA[",
            "\u{202e}תורנט\u{2066} &lt;b&gt; &#0; &nope;",
            &format!("{}\u{1f331}", "W".repeat(290)),
            "not a character: \u{fffe}\u{ffff}.",
        ];
        for (i, title) in titles.iter().enumerate() {
            let file = with(&format!("h{i}"), &[("a.bin", 1_000)], Options { kind: Kind::V1, ..Options::default() });
            let fields = [("title", *title), ("category", "other"), ("tags", "a&b, <i>")];
            let reply = upload_with(&mut ann, &file, &fields).await;
            if reply.status == 422 {
                upload_with(&mut ann, &file, &fields[..2]).await.expect(303);
            }
        }
        site.indexed().await;
        let found = feed(&site, &address(&mut ann, "/torrents").await).await;
        let mut expected: Vec<String> = titles.iter().map(|t| t.replace(['\u{fffe}', '\u{ffff}'], "")).collect();
        expected.reverse();
        assert_eq!(found.titles(), expected);
        for item in &found.items {
            assert!(!text_of(item, "description").contains("<script"));
        }
        let asked = address(&mut ann, "/torrents?q=%22%3Cscript%3E%20%26%20%5D%5D%3E%00%EF%BF%BF%22").await;
        let found = feed(&site, &asked).await;
        assert!(text_of(&found.channel, "title").contains("<script> & ]]>"));
    }

    /// Threats 15 and 28: the database knows no key, and no page but the member's own shows one.
    async fn feed_keys_stay_where_they_belong(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut root = site.member("root", Role::Admin).await;
        publish(&mut ann, &small("one", Kind::V1), "One").await;
        site.indexed().await;
        ann.submit("/profile", "/profile/feed-key", &[]).await.expect(303);
        let path = address(&mut ann, "/torrents").await;
        let key = path.split_once("key=").unwrap().1.to_owned();
        let mac = key.split_once('-').unwrap().1.to_owned();
        let link = text_of(&feed(&site, &path).await.items[0], "link").to_owned();
        let token = link.split_once("key=").unwrap().1.split_once('-').unwrap().1.to_owned();
        for page in ["/torrents", "/members/ann", "/admin/members", "/admin/log", "/profile", "/bookmarks", "/saved"] {
            let reply = root.get(page).await.expect(200);
            assert!(!reply.text.contains(&mac), "{page}");
            assert_eq!(reply.header("cache-control"), "private, no-store", "{page}");
        }
        let mut conn = site.app.db.read().await.unwrap();
        let nonces: Vec<Vec<u8>> = seedbank::on!(conn, |c| sqlx::query_scalar("select nonce from feed_keys").fetch_all(c).await).unwrap();
        drop(conn);
        for nonce in nonces {
            for code in [data_encoding::BASE64URL_NOPAD.encode(&nonce), data_encoding::HEXLOWER.encode(&nonce)] {
                assert_ne!(code, mac);
                assert_ne!(code, token);
                read(&site, &path.replace(&mac, &code)).await.expect(403);
            }
        }
        assert!(!feed(&site, &path).await.channel.iter().any(|(_, text, a)| text.contains(&mac) || a.values().any(|v| v.contains(&mac))),
            "a feed that is handed on tells the key in no other place than its links' tokens");
    }
}
