//! What members keep: bookmarks, saved searches with what is new in them; and the torrents that need somebody.

use reqwest::Method;
use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::db::revisions::{self, Revision};
use seedbank::ids::TorrentId;
use seedbank::search::{Filter, Sort, SortKey, Who};
use seedbank::settings::Audience;

use crate::fixtures::{number, seed_categories, torrents};
use crate::harness::torrents::{publish, small};
use crate::harness::{Browser, Reply, Site, settings};

const ROWS: &str = "table.torrents tbody .n a bdi";

async fn mark(browser: &mut Browser, word: &str, id: i64) -> Reply {
    let id = id.to_string();
    let fields = [(word, id.as_str()), ("return_to", "/torrents?q=x")];
    browser.post("/bookmarks", &fields).await
}

/// The feed that a page leads readers to, as a feed reader gets it.
async fn feed_of(site: &Site, browser: &mut Browser, page: &str) -> Reply {
    let page = browser.get(page).await.expect(200);
    let path = page.attribute("link[rel=alternate]", "href").unwrap();
    site.browser().get(&path).await
}

fn titles(feed: &Reply) -> Vec<String> {
    feed.text
        .split("<item>")
        .skip(1)
        .map(|item| {
            let (_, rest) = item.split_once("<title>").unwrap();
            rest.split_once("</title>").unwrap().0.to_owned()
        })
        .collect()
}

/// Saves the search of a listing through the form that stands over it.
async fn save(browser: &mut Browser, listing: &str, name: &str) -> Reply {
    let page = browser.get(listing).await.expect(200);
    let query = page.attribute("input[name=query]", "value").unwrap();
    browser
        .post("/saved", &[("name", name), ("query", &query)])
        .await
}

async fn ids_of(browser: &mut Browser) -> Vec<i64> {
    let page = browser.get("/saved").await.expect(200);
    let selector = scraper::Selector::parse(".verdicts li > div:first-child > a").unwrap();
    page.html()
        .select(&selector)
        .map(|a| {
            a.attr("href")
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect()
}

async fn swarm(site: &Site, id: i64, seeders: i64, leechers: i64) {
    let mut tx = site.app.db.write().await.unwrap();
    const SQL: &str = "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) values ($1, $2, $3, 0, $4) \
        on conflict (torrent_id) do update set seeders = excluded.seeders, leechers = excluded.leechers, updated_at = excluded.updated_at";
    seedbank::exec!(tx, SQL, id, seeders, leechers, site.clock.now()).unwrap();
    tx.commit().await.unwrap();
}

both! {
    async fn a_bookmark_is_set_shown_and_taken_away(site: Site) {
        let mut open = settings();
        open.who_may_look = Audience::Everyone;
        site.set_up_with(open).await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let (one, two) = (
            publish(&mut ann, &small("one", Kind::V1), "One").await,
            publish(&mut ann, &small("two", Kind::V1), "Two").await,
        );
        site.indexed().await;
        ann.get("/bookmarks").await.expect(200).shows("No bookmarks");
        assert_eq!(site.browser().get("/torrents").await.count("[data-marks]"), 0, "guests keep nothing");
        assert_eq!(site.browser().get("/bookmarks").await.expect(303).location(), "/login?next=%2Fbookmarks");

        let listing = ann.get("/torrents").await.expect(200);
        assert_eq!((listing.count("[data-marks] button[name=add]"), listing.count("[data-marks]")), (2, 1));
        assert_eq!(listing.attribute("[data-marks] [name=return_to]", "value").unwrap(), "/torrents");
        assert_eq!(mark(&mut ann, "add", one).await.expect(303).location(), "/torrents?q=x");
        site.clock.advance(10);
        mark(&mut ann, "add", two).await.expect(303);
        mark(&mut ann, "add", one).await.expect(303);
        let page = ann.get("/bookmarks").await.expect(200);
        assert_eq!(page.texts(ROWS), ["Two", "One"], "the last one first, and twice is once");
        page.shows("2 bookmarks");
        assert_eq!(ann.get("/torrents").await.count("[data-marks] [name=remove]"), 2);
        assert_eq!(ann.get(&format!("/torrents/{one}")).await.count("button[name=remove][aria-pressed=true]"), 1);
        for page in ["/torrents", "/members/ann"] {
            assert_eq!(bob.get(page).await.count("[data-marks] [name=add]"), 2, "{page}: ann's are not bob's");
        }
        bob.get("/bookmarks").await.shows("No bookmarks");
        assert_eq!(titles(&feed_of(&site, &mut ann, "/bookmarks").await), ["Two", "One"]);
        assert!(titles(&feed_of(&site, &mut bob, "/bookmarks").await).is_empty());
        feed_of(&site, &mut ann, "/bookmarks").await.shows("<pubDate>Thu, 15 Jan 2026 00:00:10 +0000</pubDate>");

        mark(&mut bob, "remove", one).await.expect(303);
        ann.get("/bookmarks").await.shows("2 bookmarks");
        mark(&mut ann, "remove", one).await.expect(303);
        assert_eq!(ann.get("/bookmarks").await.texts(ROWS), ["Two"]);
        // What is deleted is left out everywhere, without a word, and cannot be marked.
        let action = format!("/torrents/{two}/delete");
        ann.submit(&action, &action, &[("reason", "for the test")]).await.expect(303);
        let page = ann.get("/bookmarks").await.expect(200);
        page.shows("No bookmarks");
        page.shows("0 bookmarks");
        assert!(titles(&feed_of(&site, &mut ann, "/bookmarks").await.expect(200)).is_empty());
        mark(&mut ann, "add", two).await.expect(404);
        mark(&mut ann, "add", 999_999).await.expect(404);
        mark(&mut ann, "remove", two).await.expect(303);
        for fields in [&[("return_to", "/")][..], &[("add", "1"), ("remove", "1")], &[("add", "x")], &[("add", "1"), ("user", "2")]] {
            ann.post("/bookmarks", fields).await.expect(400);
        }
        let away = ann.post("/bookmarks", &[("remove", "1"), ("return_to", "//evil.example")]).await.expect(303);
        assert_eq!(away.location(), "/");
    }

    async fn bookmarks_come_in_pages_and_have_an_end(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let mut ann = site.member("ann", Role::Member).await;
        let id = site.account("bob", Role::Member).await;
        let other = crate::fixtures::category(&site, "other").await;
        let all = torrents(&site, other.id, id, 120).await;
        let ann_id = number(&site, "select id from users where id <> $1", id.0).await;
        let mut tx = site.app.db.write().await.unwrap();
        for torrent in &all {
            seedbank::exec!(tx, "insert into bookmarks (user_id, torrent_id, created_at) values ($1, $2, 0)", ann_id, *torrent).unwrap();
        }
        tx.commit().await.unwrap();
        let mut seen = Vec::new();
        let mut path = "/bookmarks".to_owned();
        loop {
            let page = ann.get(&path).await.expect(200);
            page.shows("120 bookmarks");
            seen.extend(page.texts(ROWS));
            match page.attribute("a[rel=next]", "href") {
                Some(next) => path = next,
                None => break,
            }
        }
        let expected: Vec<String> = (0..120).rev().map(|i| format!("Title {i}")).collect();
        assert_eq!(seen, expected);
        let back = ann.get(&path).await.attribute("a[rel=prev]", "href").unwrap();
        assert_eq!(ann.get(&back).await.texts(ROWS), expected[50..100]);
        assert_eq!(titles(&feed_of(&site, &mut ann, "/bookmarks").await), expected[..100]);

        // The most is 10,000, deleted ones included; here they are made up.
        let more = torrents(&site, other.id, id, 9_881).await;
        let mut tx = site.app.db.write().await.unwrap();
        const SQL: &str = "insert into bookmarks (user_id, torrent_id, created_at) select $1, id, 0 from torrents where id >= $2 and id < $3";
        seedbank::exec!(tx, SQL, ann_id, more[0], more[9_880]).unwrap();
        tx.commit().await.unwrap();
        let full = mark(&mut ann, "add", more[9_880].0).await.expect(422);
        full.shows("10,000 bookmarks, which is the most");
        mark(&mut ann, "remove", all[0].0).await.expect(303);
        mark(&mut ann, "add", more[9_880].0).await.expect(303);
    }

    async fn a_saved_search_says_what_is_new(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        publish(&mut ann, &small("one", Kind::V1), "Debian one").await;
        publish(&mut ann, &small("else", Kind::V1), "Something else").await;
        site.indexed().await;
        ann.get("/saved").await.expect(200).shows("No saved searches");
        let saved = save(&mut ann, "/torrents?q=debian&kind=v1&at=nonsense&junk=1", "Debian, old style").await.expect(303);
        assert_eq!(saved.location(), "/torrents?q=debian+is%3Av1");
        ann.get(saved.location()).await.shows("Saved as “Debian, old style”");
        save(&mut ann, "/torrents", "Everything").await.expect(303);
        let page = ann.get("/saved").await.expect(200);
        assert_eq!(page.texts(".verdicts li > div:first-child > a"), ["Debian, old style", "Everything"]);
        assert_eq!(page.texts(".verdicts .badge"), [""; 0], "what was there is not new");
        page.shows("“debian”, v1 only, best match first");

        publish(&mut bob, &small("two", Kind::V1), "Debian two").await;
        publish(&mut bob, &small("three", Kind::V2), "Debian three").await;
        site.indexed().await;
        site.clock.advance(60);
        for path in ["/saved", "/profile"] {
            assert_eq!(ann.get(path).await.texts(".verdicts .badge.ok")[..2], ["1 new", "2 new"], "{path}");
        }
        let [debian, everything] = ids_of(&mut ann).await[..] else { panic!("two") };
        // Asking ahead is no look, nor is asking for the head.
        let ahead = ann.request(Method::GET, &format!("/saved/{debian}")).header("sec-purpose", "prefetch");
        assert_eq!(ann.send(ahead).await.status, 303);
        let head = ann.request(Method::HEAD, &format!("/saved/{debian}"));
        assert_eq!(ann.send(head).await.status, 303);
        let opened = ann.get(&format!("/saved/{debian}")).await.expect(303);
        let listing = ann.get(opened.location()).await.expect(200);
        let mut shown = listing.texts("table.torrents tbody .n");
        shown.sort();
        assert_eq!(shown, ["Debian one", "Debian twonew"]);
        // The marks stay while one looks around in it, and are no part of what is saved or fed.
        let sorted = listing.attribute("th a", "href").unwrap();
        assert_eq!(ann.get(&sorted).await.texts("table.torrents .badge.ok"), ["new"]);
        assert_eq!(listing.attribute("input[name=query]", "value").unwrap(), "q=debian+is%3Av1");
        assert!(!listing.attribute("link[rel=alternate]", "href").unwrap().contains("new="));
        let page = ann.get("/saved").await.expect(200);
        assert_eq!(page.texts(".verdicts .badge.ok"), ["2 new"]);
        page.shows("Looked at");
        let again = ann.get(&format!("/saved/{debian}")).await.expect(303).location().to_owned();
        assert_eq!(ann.get(&again).await.texts("table.torrents .badge.ok"), [""; 0]);
        assert_eq!(ann.get(&format!("/saved/{everything}")).await.expect(303).location().split('=').next(), Some("/torrents?new"));

        // Its feed is the listing's.
        let page = ann.get("/saved").await.expect(200);
        let feed = page.attribute(".keep a", "href").unwrap();
        let mut found = titles(&site.browser().get(&feed).await.expect(200));
        found.sort();
        assert_eq!(found, ["Debian one", "Debian two"]);
    }

    async fn a_saved_search_is_renamed_deleted_and_ones_own(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        save(&mut ann, "/torrents?q=a", "First").await.expect(303);
        save(&mut ann, "/torrents?q=b", "Second").await.expect(303);
        save(&mut bob, "/torrents?q=c", "First").await.expect(303);
        let [first, _] = ids_of(&mut ann).await[..] else { panic!("two") };
        let [bobs] = ids_of(&mut bob).await[..] else { panic!("one") };
        for path in [format!("/saved/{bobs}"), "/saved/0".to_owned(), "/saved/x".to_owned()] {
            ann.get(&path).await.expect(404);
            ann.post(&format!("{path}/rename"), &[("name", "Mine now")]).await.expect(404);
            ann.post(&format!("{path}/delete"), &[]).await.expect(404);
        }
        bob.get("/saved").await.shows("First");
        let rename = format!("/saved/{first}/rename");
        ann.post(&rename, &[("name", "  Third  ")]).await.expect(303);
        ann.get("/saved").await.shows("Renamed to “Third”.");
        let taken = ann.post(&rename, &[("name", "Second")]).await.expect(422);
        taken.shows("You have a saved search of that name");
        assert_eq!(taken.attribute(".field.bad input", "value").unwrap(), "Second", "the input is kept");
        assert_eq!(taken.texts(".verdicts strong"), ["Second", "Third"]);
        for wrong in ["", "  ", "a\u{7}b", &"x".repeat(81)] {
            ann.post(&rename, &[("name", wrong)]).await.expect(422);
        }
        ann.post(&rename, &[("name", "a\0b")]).await.expect(400);
        let hostile = "<script>alert(1)</script>\"' \u{202e}";
        ann.post(&rename, &[("name", hostile)]).await.expect(303);
        let page = ann.get("/saved").await.expect(200);
        assert_eq!(page.count("main script"), 0);
        page.shows("&lt;script&gt;alert(1)&lt;");
        ann.post(&format!("/saved/{first}/delete"), &[]).await.expect(303);
        ann.get("/saved").await.shows("1 saved search");
        ann.get(&format!("/saved/{first}")).await.expect(404);
    }

    async fn what_cannot_be_saved_comes_back_with_the_reason(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        save(&mut ann, "/torrents?q=a", "First").await.expect(303);
        let twice = save(&mut ann, "/torrents?q=linux&sort=size", "First").await.expect(422);
        twice.shows("You have a saved search of that name");
        assert_eq!(twice.attribute("input[name=query]", "value").unwrap(), "q=linux&sort=size&order=desc");
        assert_eq!(twice.attribute(".field.bad input", "value").unwrap(), "First");
        let long = "x".repeat(9_000);
        ann.post("/saved", &[("name", "Long"), ("query", &long)]).await.expect(422).shows("too long");
        ann.post("/saved", &[("name", "Whose"), ("query", ""), ("user_id", "1")]).await.expect(400);
        // Rubbish for a query is a search for what is left of it.
        ann.post("/saved", &[("name", "Rubbish"), ("query", "%ff&&q=%00x&tag=none&=")]).await.expect(303);
        for n in 2..100 {
            ann.post("/saved", &[("name", &n.to_string()), ("query", "q=x")]).await.expect(303);
        }
        let full = ann.post("/saved", &[("name", "One too many"), ("query", "q=x")]).await.expect(422);
        full.shows("You have 100 saved searches, which is the most");
        full.shows("100 saved searches");
    }

    async fn a_search_for_what_is_gone_says_so(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        publish(&mut ann, &small("one", Kind::V1), "One").await;
        site.indexed().await;
        save(&mut ann, "/torrents?category=other", "Other").await.expect(303);
        let id = ids_of(&mut ann).await[0];
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::exec!(tx, "update categories set slug = 'moved', name = 'Moved' where slug = 'other'").unwrap();
        revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
        tx.commit().await.unwrap();
        let page = ann.get("/saved").await.expect(200);
        page.shows("There is no category “other”");
        assert_eq!(page.count(".badge.ok"), 0);
        let opened = ann.get(&format!("/saved/{id}")).await.expect(303).location().to_owned();
        ann.get(&opened).await.expect(200).shows("There is no category “other”");
        let feed = page.attribute(".keep a", "href").unwrap();
        site.browser().get(&feed).await.expect(422).shows("leaves nothing out");
    }

    async fn torrents_that_need_seeds_are_listed_by_need(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut ids = Vec::new();
        for name in ["seeded", "two wait", "left", "nine wait", "just left", "never heard of"] {
            ids.push(publish(&mut ann, &small(name, Kind::V1), name).await);
        }
        swarm(&site, ids[2], 0, 0).await;
        site.clock.advance(8 * 86_400);
        swarm(&site, ids[0], 3, 5).await;
        swarm(&site, ids[1], 0, 2).await;
        swarm(&site, ids[3], 0, 9).await;
        swarm(&site, ids[4], 0, 0).await;
        site.indexed().await;
        let listing = ann.get("/torrents").await.expect(200);
        assert_eq!(listing.texts(ROWS).len(), 6);
        let path = listing.attribute(".panel header a", "href").unwrap();
        assert_eq!(path, "/torrents?q=is%3Aneedy");
        let needed = ann.get(&path).await.expect(200);
        assert_eq!(needed.texts(ROWS), ["nine wait", "two wait", "left"]);
        needed.shows("Torrents that need seeds");
        needed.shows("3 torrents, most needed first");
        assert_eq!(titles(&feed_of(&site, &mut ann, &path).await), ["nine wait", "two wait", "left"]);
        let reversed = ann.get("/torrents?needs=seeds&sort=need&order=asc").await;
        assert_eq!(reversed.texts(ROWS), ["left", "two wait", "nine wait"]);
        assert_eq!(ann.get("/torrents?needs=seeds&q=wait").await.texts(ROWS), ["nine wait", "two wait"]);
        ann.get("/torrents?needs=money").await.shows("The only thing to need is");
        // Numbers change without the catalogue, and so does this list.
        swarm(&site, ids[3], 1, 9).await;
        site.indexed().await;
        assert_eq!(ann.get(&path).await.texts(ROWS), ["two wait", "left"]);
        let search = &site.app.search;
        let newer = |id: i64| Filter::default().newer_than(TorrentId(id));
        assert_eq!(search.count(Who::Guest, &newer(ids[3])).unwrap(), 2);
        assert_eq!(search.count(Who::Guest, &newer(0)).unwrap(), 6);
        let by_need = Sort { key: SortKey::Need, descending: true };
        let all = search.page(Who::Guest, &Filter::default(), by_need, None, 50).unwrap();
        assert_eq!(all.ids.last(), Some(&TorrentId(ids[5])), "what is not known comes last");
    }
}
