//! Every route × every role × one's own and the other member's thing, generated from the route table. A route that
//! this test does not know how to call fails it.

use reqwest::Method;
use seedbank::accounts::{Role, feed_keys};
use seedbank::bittorrent::metainfo::Kind;
use seedbank::ids::{TorrentId, UserId};
use seedbank::routes::{Access, ROUTES, Route};
use seedbank::saved;
use seedbank::settings::{Audience, Publishers};

use crate::harness::torrents::{publish, small};
use crate::harness::{Browser, settings};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Guest,
    Banned,
    Member,
    Uploader,
    Moderator,
    Admin,
}

/// What came of it, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Let through: whatever the handler then said.
    Passed,
    /// Sent to the log-in form.
    ToLogin,
    Refused,
    /// Another's own thing: it is not there.
    Absent,
}

/// An address for a route's pattern: ids of things that belong to somebody else unless `own`.
fn address(pattern: &str, own_torrent: i64, other_torrent: i64, own: bool) -> Option<String> {
    let torrent = if own { own_torrent } else { other_torrent };
    let path = match pattern {
        "/static/{hash}/{name:.*}" => "/static/0/seedbank.css".to_owned(),
        "/setup/{token}" => "/setup/wrong".to_owned(),
        "/invite/{token}" => "/invite/wrong".to_owned(),
        "/members/{name}" => "/members/owner".to_owned(),
        "/t/{infohash}" => format!("/t/{}", "0".repeat(40)),
        "/announce/{passkey}" | "/scrape/{passkey}" => {
            pattern.replace("{passkey}", &"0".repeat(32))
        }
        "/profile/sessions/{handle}/revoke" => "/profile/sessions/wrong/revoke".to_owned(),
        "/saved/{id}" | "/saved/{id}/rename" | "/saved/{id}/delete" => {
            pattern.replace("{id}", &torrent.to_string())
        }
        p if p.starts_with("/torrents/{id}") => p.replace("{id}", &torrent.to_string()),
        p if p.starts_with("/moderation/") || p.starts_with("/admin/") => {
            p.replace("{id}", "999999").replace("{alias}", "none")
        }
        p if p.contains('{') => return None,
        p => p.to_owned(),
    };
    Some(path)
}

/// What the table's word means for somebody. `settings` here: only members look, uploaders and above upload.
fn expected(access: Access, who: Who, pattern: &str, own: bool) -> Outcome {
    let signed_in = who >= Who::Member;
    let least = match access {
        Access::Anyone => return Outcome::Passed,
        Access::Viewer | Access::Downloader | Access::Member => Who::Member,
        Access::Feed | Access::FeedKey if signed_in => return Outcome::Passed,
        Access::Feed | Access::FeedKey => return Outcome::Refused,
        Access::Uploader => Who::Uploader,
        Access::Moderator => Who::Moderator,
        Access::Admin => Who::Admin,
    };
    if !signed_in {
        return Outcome::ToLogin;
    }
    let only_owner = pattern.ends_with("/edit") || pattern == "/torrents/{id}/delete";
    if only_owner && !own && who < Who::Moderator {
        return Outcome::Refused;
    }
    if pattern.starts_with("/saved/{id}") && !own {
        return Outcome::Absent;
    }
    if who >= least {
        Outcome::Passed
    } else {
        Outcome::Refused
    }
}

/// A form the handler would take, so that what refuses is the right that lacks and not a field.
fn form(pattern: &str) -> &'static [(&'static str, &'static str)] {
    match pattern {
        "/torrents/{id}/edit" => &[("title", "Edited"), ("category", "other")],
        "/torrents/{id}/delete" => &[("reason", "for the test")],
        "/moderation/categories" | "/moderation/categories/{id}" => &[
            ("name", "New"),
            ("slug", ""),
            ("description", ""),
            ("parent", ""),
            ("torznab", "8010"),
            ("icon", "disc"),
        ],
        "/moderation/categories/{id}/merge"
        | "/moderation/categories/{id}/delete"
        | "/moderation/tags/{id}/merge" => &[("target", "other")],
        "/moderation/tags/{id}/rename" | "/moderation/tags/{id}/alias" => &[("name", "word")],
        "/moderation/members/{id}/ban" => &[("reason", "for the test")],
        "/admin/members/{id}/role" => &[("role", "member")],
        "/admin/invites" => &[("note", ""), ("days", "7")],
        "/admin/settings" => &[
            ("site_name", "Testbank"),
            ("site_url", "http://seedbank.test"),
            ("registration", "open"),
            ("look", "members"),
            ("download", "members"),
            ("upload", "uploaders"),
            ("private_policy", "any"),
        ],
        "/profile/password" => &[
            ("current_password", "wrong"),
            ("new_password", "wrong wrong wrong"),
        ],
        "/bookmarks" => &[("add", "999999")],
        "/saved" => &[("name", "Mine"), ("query", "q=x")],
        "/saved/{id}/rename" => &[("name", "Other")],
        "/theme" => &[("theme", "dark")],
        "/upload/preview" => &[("description", "x")],
        _ => &[],
    }
}

async fn outcome(browser: &mut Browser, method: &str, pattern: &str, path: &str) -> (u16, Outcome) {
    let reply = if method == "get" {
        browser.get(path).await
    } else if path == "/upload" {
        browser
            .upload(path, |form| form.text("category", "none"))
            .await
    } else {
        browser.post(path, form(pattern)).await
    };
    assert!(
        reply.status < 500,
        "{method} {path}: {} {}",
        reply.status,
        reply.text
    );
    let outcome = match reply.status {
        303 if reply.location().starts_with("/login?next=") => Outcome::ToLogin,
        // A set-up link that is used up refuses everybody, whoever they are.
        403 if path.starts_with("/setup/") => Outcome::Passed,
        403 => Outcome::Refused,
        404 if path.starts_with("/saved/") => Outcome::Absent,
        _ => Outcome::Passed,
    };
    (reply.status, outcome)
}

both! {
    async fn every_route_by_role_and_ownership(site: Site) {
        let mut strict = settings();
        strict.who_may_look = Audience::Members;
        strict.who_may_download = Audience::Members;
        strict.who_may_upload = Publishers::Uploaders;
        site.set_up_with(strict).await;
        let owner_id = site.account("owner", Role::Uploader).await;
        let mut owner = site.log_in("owner").await;
        let others = publish(&mut owner, &small("others", Kind::V1), "Others").await;
        let mut failures = Vec::new();
        for who in [Who::Guest, Who::Banned, Who::Member, Who::Uploader, Who::Moderator, Who::Admin] {
            for (i, route) in ROUTES.iter().enumerate() {
                for own in [true, false] {
                    let saved = route.pattern.contains("/saved/{id}");
                    if own && !route.pattern.contains("/torrents/{id}") && !saved {
                        continue;
                    }
                    // A fresh person and torrent each time: the one before may have logged out or deleted it.
                    let name = format!("p{}x{i}x{}", who as u8, u8::from(own));
                    let role = match who {
                        Who::Guest | Who::Banned | Who::Member => Role::Member,
                        Who::Uploader => Role::Uploader,
                        Who::Moderator => Role::Moderator,
                        Who::Admin => Role::Admin,
                    };
                    let mut key = String::new();
                    let (mut browser, mine) = if who == Who::Guest {
                        (site.browser(), others)
                    } else {
                        let id = site.account(&name, role).await;
                        let mut browser = site.log_in(&name).await;
                        let mine = if saved {
                            let keeper = if own { id } else { owner_id };
                            keep(&site, keeper, &name).await
                        } else if own && who != Who::Banned {
                            adopt(&site, &mut owner, &name, id).await
                        } else {
                            others
                        };
                        browser.get("/login").await;
                        browser.get("/profile/password").await;
                        key = key_of(&site, id, route, mine);
                        if who == Who::Banned {
                            let by = site.account(&format!("{name}m"), Role::Moderator).await;
                            let mut tx = site.app.db.write().await.unwrap();
                            seedbank::accounts::queries::ban(&mut tx, id, by, "for the test", site.clock.now()).await.unwrap();
                            tx.commit().await.unwrap();
                            browser.get("/login").await;
                        }
                        (browser, mine)
                    };
                    if browser.csrf.is_empty() {
                        browser.get("/login").await;
                    }
                    let Some(path) = address(route.pattern, mine, others, own) else {
                        failures.push(format!("nobody told this test how to call {}", route.pattern));
                        continue;
                    };
                    let path = format!("{path}{key}");
                    let wanted = expected(route.access, who, route.pattern, own);
                    let (status, got) = outcome(&mut browser, route.method, route.pattern, &path).await;
                    if got != wanted {
                        failures.push(format!(
                            "{} {} as {who:?}, own: {own}: wanted {wanted:?}, got {got:?} ({status})",
                            route.method, route.pattern
                        ));
                    }
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    /// Threat 11 for every route there is: a POST without its token changes nothing.
    async fn every_post_needs_its_token(site: Site) {
        site.set_up().await;
        let mut admin = site.member("root", Role::Admin).await;
        let id = publish(&mut admin, &small("kept", Kind::V1), "Kept").await;
        for route in ROUTES.iter().filter(|r| r.method == "post") {
            let path = address(route.pattern, id, id, true).unwrap();
            let token_less = admin.post_raw(&path, &[("reason", "x")]).await;
            let status = if path == "/upload" {
                let body = crate::harness::Multipart::new().text("category", "other").finish();
                admin.upload_raw(&path, body).await.status
            } else {
                token_less.status
            };
            assert_eq!(status, 403, "{path}");
            let token = admin.csrf.clone();
            let request = admin.request(Method::POST, &path).header("origin", "https://evil.example").form(&[("csrf", token)]);
            assert_eq!(admin.send(request).await.status, 403, "{path} from another origin");
        }
        admin.get(&format!("/torrents/{id}")).await.expect(200);
    }
}

/// A saved search of this member.
async fn keep(site: &crate::harness::Site, id: UserId, name: &str) -> i64 {
    let name = saved::Name::parse(name).unwrap();
    let mut tx = site.app.db.write().await.unwrap();
    let now = site.clock.now();
    saved::queries::insert(&mut tx, id, &name, "q=x", TorrentId(0), now)
        .await
        .unwrap();
    let all = saved::queries::list(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    all.iter().find(|s| s.name == name.as_str()).unwrap().id.0
}

/// What a feed reader of this member puts behind the address, where the route is for feed readers.
fn key_of(site: &crate::harness::Site, id: UserId, route: &Route, torrent: i64) -> String {
    let (secrets, nonce) = (&site.app.secrets, feed_keys::Nonce::default());
    let key = match (route.access, route.pattern.contains("{id}")) {
        (Access::Feed | Access::FeedKey, true) => {
            feed_keys::link_token(secrets, id, &nonce, TorrentId(torrent))
        }
        (Access::Feed | Access::FeedKey, false) => feed_keys::key(secrets, id, &nonce),
        _ => return String::new(),
    };
    format!("?key={key}")
}

/// A torrent that belongs to this member.
async fn adopt(site: &crate::harness::Site, owner: &mut Browser, name: &str, id: UserId) -> i64 {
    let torrent = publish(owner, &small(&format!("of-{name}"), Kind::V1), "Own").await;
    let mut tx = site.app.db.write().await.unwrap();
    seedbank::exec!(
        tx,
        "update torrents set uploader_id = $2 where id = $1",
        torrent,
        id
    )
    .unwrap();
    tx.commit().await.unwrap();
    torrent
}
