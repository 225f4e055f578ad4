//! A site with something of everything, and what its people ask of it: every page there is, in the ways that change
//! what the database is asked. What they do to it is in `deeds`.

use seedbank::accounts::{Role, feed_keys};
use seedbank::bittorrent::metainfo::Kind;
use seedbank::ids::TorrentId;
use seedbank::routes::{ROUTES, Route};

use crate::fixtures;
use crate::harness::torrents::{id_in, parse, small, upload_with};
use crate::harness::{Browser, PASSWORD, Site};

/// A name of each kind of thing that addresses name.
pub struct World {
    pub torrent: i64,
    pub deleted: i64,
    pub infohash: String,
    pub passkey: String,
    pub saved: i64,
    pub category: i64,
    pub invite: String,
    pub setup: String,
    pub feed_key: String,
    pub link_token: String,
}

/// Everybody who looks.
pub struct People {
    pub guest: Browser,
    pub member: Browser,
    pub uploader: Browser,
    pub moderator: Browser,
    pub admin: Browser,
}

impl People {
    pub fn all(&mut self) -> [&mut Browser; 5] {
        [
            &mut self.guest,
            &mut self.member,
            &mut self.uploader,
            &mut self.moderator,
            &mut self.admin,
        ]
    }
}

pub const SITE: &[(&str, &str)] = &[
    ("site_name", "Testbank"),
    ("site_url", "http://seedbank.test"),
    ("registration", "open"),
    ("look", "everyone"),
    ("download", "everyone"),
    ("upload", "members"),
    ("private_policy", "any"),
];

/// Sets up through the page, and fills the site.
pub async fn begin(site: &Site) -> (People, World) {
    let setup = site.setup_link().await.unwrap();
    let mut admin = site.browser();
    let account = [("name", "root"), ("password", PASSWORD)];
    let form = [&account[..], SITE].concat();
    admin.submit(&setup, &setup, &form).await.expect(303);
    let id = site.account("ann", Role::Member).await;
    let mut people = People {
        guest: site.browser(),
        member: site.log_in("ann").await,
        uploader: site.member("ulla", Role::Uploader).await,
        moderator: site.member("mod", Role::Moderator).await,
        admin: site.log_in("root").await,
    };
    people.guest.get("/login").await;

    let other = fixtures::category(site, "other").await;
    let many = fixtures::torrents(site, other.id, id, 130).await;
    fixtures::tag(site, &many[..60], "red, blue").await;
    let mut ids = Vec::new();
    let mut infohash = String::new();
    for (name, kind) in [("one", Kind::V1), ("two", Kind::V2), ("both", Kind::Hybrid)] {
        let file = small(name, kind);
        let fields = [("title", name), ("category", "other"), ("tags", "red, new")];
        let reply = upload_with(&mut people.member, &file, &fields)
            .await
            .expect(303);
        ids.push(id_in(reply.location()));
        if kind == Kind::V1 {
            infohash = parse(&file).infohash_v1.unwrap().to_string();
        }
    }
    let page = format!("/torrents/{}/delete", ids[1]);
    people
        .member
        .submit(&page, &page, &[("reason", "for the test")])
        .await
        .expect(303);

    let page = people
        .admin
        .submit(
            "/admin/invites",
            "/admin/invites",
            &[("note", "one"), ("days", "7")],
        )
        .await;
    let invite = page.text.split("/invite/").nth(1).unwrap();
    let invite = invite
        .chars()
        .take_while(|c| c.is_alphanumeric() || "-_".contains(*c))
        .collect();
    let page = people
        .member
        .submit("/saved", "/saved", &[("name", "Mine"), ("query", "q=one")])
        .await;
    assert_eq!(page.status, 303, "{}", page.text);
    let saved = people.member.get("/saved").await.text;
    let saved = saved.split("/saved/").nth(1).unwrap();
    let saved = saved
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>();

    let mut conn = site.app.db.read().await.unwrap();
    let user = seedbank::accounts::queries::by_id(&mut conn, id)
        .await
        .unwrap()
        .unwrap();
    drop(conn);
    site.indexed().await;
    let (secrets, nonce) = (&site.app.secrets, feed_keys::Nonce::default());
    let world = World {
        torrent: ids[0],
        deleted: ids[1],
        infohash,
        passkey: user.passkey,
        saved: saved.parse().unwrap(),
        category: other.id.0,
        invite,
        setup,
        feed_key: feed_keys::key(secrets, id, &nonce),
        link_token: feed_keys::link_token(secrets, id, &nonce, TorrentId(ids[0])),
    };
    (people, world)
}

/// What is added to `/torrents`.
const LISTINGS: &[&str] = &[
    "",
    "?sort=size",
    "?sort=size&order=asc",
    "?sort=seeders",
    "?sort=leechers",
    "?sort=completed",
    "?sort=name",
    "?sort=name&order=asc",
    "?sort=date&order=asc",
    "?sort=relevance&q=title",
    "?p=2",
    "?p=3&s=size&o=asc",
    "?c=1_2&u=ann&f=2",
    "?cat=other",
    "?q=title",
    "?q=title+7",
    "?q=%22title+7%22+-9",
    "?q=tit*+%7C+one",
    "?q=title+nosuchword",
    "?q=titel",
    "?q=cat%3Aother+tag%3Ared+-tag%3Ablue",
    "?q=tag%3Anosuchtag",
    "?q=user%3Aann",
    "?q=ann",
    "?q=user%3Anobody",
    "?q=file%3Aone",
    "?q=size%3A%3E1kb+after%3A2020-01-01",
    "?q=seeders%3A%3E0",
    "?q=is%3Atrusted",
    "?q=is%3Av2",
    "?q=has%3Awebseed",
    "?any=red,blue&none=new",
    "?needs=seeds",
    "?size_min=1&size_max=100000",
];

/// The addresses of a route's pages; none where this file was not told.
pub fn addresses(route: &Route, world: &World) -> Vec<String> {
    let pattern = route.pattern;
    let with = |rest: &[&str]| rest.iter().map(|r| format!("{pattern}{r}")).collect();
    let numbered = |id: i64, rest: &[&str]| {
        let path = pattern.replace("{id}", &id.to_string());
        rest.iter().map(|r| format!("{path}{r}")).collect()
    };
    match pattern {
        "/torrents" => with(LISTINGS),
        "/torrents.rss" => {
            let own = LISTINGS.iter().map(|r| {
                let and = if r.is_empty() { "?" } else { "&" };
                format!("{pattern}{r}{and}key={}", world.feed_key)
            });
            own.chain([
                pattern.to_owned(),
                format!("{pattern}?limit=10&q={}", world.infohash),
            ])
            .collect()
        }
        "/bookmarks.rss" => with(&[&format!("?key={}", world.feed_key)]),
        "/static/{hash}/{name:.*}" => vec!["/static/0/seedbank.css".to_owned()],
        "/setup/{token}" => vec![world.setup.clone()],
        "/invite/{token}" => vec![
            format!("/invite/{}", world.invite),
            "/invite/wrong".to_owned(),
        ],
        "/members/{name}" => ["", "?after=20000", "?before=20000"]
            .iter()
            .flat_map(|rest| ["ann", "root"].map(|name| format!("/members/{name}{rest}")))
            .collect(),
        "/profile" => with(&["", "?after=20000", "?before=20000"]),
        "/bookmarks" => with(&["", "?after=20000", "?before=1"]),
        "/t/{infohash}" => [&world.infohash, &"0".repeat(40), &"0".repeat(64)]
            .map(|hash| format!("/t/{hash}"))
            .to_vec(),
        "/announce/{passkey}" | "/scrape/{passkey}" => {
            vec![
                pattern.replace("{passkey}", &world.passkey),
                pattern.replace("{passkey}", &"0".repeat(32)),
            ]
        }
        "/torrents/{id}" => [world.torrent, world.deleted, 999_999]
            .iter()
            .map(|id| format!("/torrents/{id}"))
            .collect(),
        "/torrents/{id}/download.torrent" => {
            numbered(world.torrent, &[&format!("?key={}", world.link_token)])
        }
        "/saved/{id}" => numbered(world.saved, &[""]),
        "/moderation/categories/{id}" => numbered(world.category, &[""]),
        "/moderation/tags" => with(&[
            "",
            "?q=re",
            "?after=blue",
            "?before=red",
            "?q=r&after=re",
            "?q=r&before=z",
        ]),
        "/admin/members" => with(&[
            "",
            "?q=an",
            "?role=moderator",
            "?role=banned",
            "?role=member&q=a",
            "?after=b",
            "?before=z",
            "?q=a&after=a",
            "?role=banned&after=a",
            "?role=member&before=z",
        ]),
        "/admin/invites" | "/admin/log" => with(&["", "?after=999999", "?before=1"]),
        p if p.starts_with("/torrents/{id}/") => numbered(world.torrent, &[""]),
        p if p.contains('{') => Vec::new(),
        _ => with(&[""]),
    }
}

/// Every page, by everybody; a page that this file does not know how to reach fails.
pub async fn every_page(people: &mut People, world: &World) {
    for route in ROUTES.iter().filter(|route| route.method == "get") {
        let addresses = addresses(route, world);
        assert!(
            !addresses.is_empty(),
            "plans/visits.rs does not know the address of {}",
            route.pattern
        );
        for address in &addresses {
            for browser in people.all() {
                let reply = browser.get(address).await;
                assert!(
                    reply.status < 500,
                    "{address}: {} {}",
                    reply.status,
                    reply.text
                );
            }
        }
    }
    follow_cursors(&mut people.member, "/torrents?q=title").await;
    follow_cursors(&mut people.member, "/torrents?sort=size").await;
    people.guest.get("/login").await;
}

/// To the end of a listing, and a page back.
async fn follow_cursors(browser: &mut Browser, listing: &str) {
    let mut page = browser.get(listing).await.expect(200);
    for rel in ["next", "prev"] {
        let link = page.attribute(&format!("a[rel={rel}]"), "href");
        let link = link.unwrap_or_else(|| panic!("no {rel} page in {listing}"));
        page = browser.get(&link).await.expect(200);
    }
}
