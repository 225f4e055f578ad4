//! Set-up, registration, log-in and log-out, passwords, throttles, form tokens.

use seedbank::accounts::Role;
use seedbank::settings::Registration;

use crate::harness::{PASSWORD, settings};

const SETUP: [(&str, &str); 9] = [
    ("name", "Root"),
    ("password", PASSWORD),
    ("site_name", "Seeds of Ann"),
    ("site_url", "http://seedbank.test/"),
    ("registration", "open"),
    ("look", "members"),
    ("download", "members"),
    ("upload", "members"),
    ("private_policy", "any"),
];

both! {
    async fn the_setup_link_makes_the_first_admin_once(site: Site) {
        let mut browser = site.browser();
        browser.get("/register").await;
        let early = browser.post("/register", &[("name", "early"), ("password", PASSWORD)]).await;
        assert_eq!(early.status, 403, "nobody gains anything by being first");

        let old = site.setup_link().await.unwrap();
        let link = site.setup_link().await.unwrap();
        browser.get(&old).await.expect(403);
        let wrong = browser.submit(&link, &link, &[("name", "x"), ("password", "short"), ("site_name", ""),
            ("site_url", "ftp://x"), ("registration", "maybe"), ("look", "members"), ("download", "members"),
            ("upload", "members"), ("private_policy", "any")]).await.expect(422);
        assert_eq!(wrong.attribute("input[name=name]", "value").as_deref(), Some("x"));
        assert!(wrong.count(".field.bad") >= 5, "{}", wrong.text);

        let done = browser.submit(&link, &link, &SETUP).await.expect(303);
        assert_eq!(done.location(), "/");
        browser.get("/profile/password").await.expect(200);
        browser.get(&link).await.expect(403);
        assert!(site.setup_link().await.is_none());
        assert_eq!(site.app.settings().base_url, "http://seedbank.test");
    }

    async fn two_who_open_the_link_at_once_make_one_admin(site: Site) {
        let link = site.setup_link().await.unwrap();
        let (mut one, mut two) = (site.browser(), site.browser());
        one.get(&link).await.expect(200);
        two.get(&link).await.expect(200);
        let mut other = SETUP;
        other[0].1 = "Other";
        let (a, b) = tokio::join!(one.post(&link, &SETUP), two.post(&link, &other));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403]);
    }

    async fn register_log_out_log_in(site: Site) {
        site.set_up().await;
        let mut ann = site.browser();
        ann.submit("/register", "/register", &[("name", "Ann"), ("password", PASSWORD)]).await.expect(303);
        let mut bob = site.browser();
        let taken = bob.submit("/register", "/register", &[("name", "ANN"), ("password", PASSWORD)]).await.expect(422);
        taken.shows("That name is taken");
        bob.post("/register", &[("name", "Bob"), ("password", PASSWORD)]).await.expect(303);

        ann.get("/profile/password").await.expect(200);
        ann.post("/logout", &[]).await.expect(303);
        let out = ann.get("/profile/password").await.expect(303);
        assert_eq!(out.location(), "/login?next=%2Fprofile%2Fpassword");
        bob.get("/profile/password").await.expect(200);

        let back = ann.submit(out.location(), "/login",
            &[("name", "ann"), ("password", PASSWORD), ("return_to", "/profile/password")]).await.expect(303);
        assert_eq!(back.location(), "/profile/password");
    }

    async fn wrong_passwords_and_unknown_names_get_one_answer(site: Site) {
        site.set_up().await;
        site.account("ann", Role::Member).await;
        let mut browser = site.browser();
        let wrong = browser.submit("/login", "/login", &[("name", "ann"), ("password", "wrong wrong")]).await.expect(422);
        let unknown = browser.submit("/login", "/login", &[("name", "nobody"), ("password", "wrong wrong")]).await.expect(422);
        assert_eq!(wrong.texts(".error-box"), unknown.texts(".error-box"));
        assert_eq!(wrong.attribute("input[name=name]", "value").as_deref(), Some("ann"), "the input is kept");
    }

    async fn guessing_is_slowed_and_never_locks_for_good(site: Site) {
        site.set_up().await;
        site.account("ann", Role::Member).await;
        site.account("bob", Role::Member).await;
        let mut browser = site.browser();
        for _ in 0..5 {
            browser.submit("/login", "/login", &[("name", "ann"), ("password", "wrong wrong")]).await.expect(422);
        }
        let slowed = browser.post("/login", &[("name", "ann"), ("password", PASSWORD)]).await.expect(429);
        assert_eq!(slowed.header("retry-after"), "30");
        site.log_in("bob").await;
        site.clock.advance(31);
        site.log_in("ann").await;
    }

    async fn a_changed_password_ends_the_other_sessions_only(site: Site) {
        site.set_up().await;
        let mut here = site.member("ann", Role::Member).await;
        let mut there = site.log_in("ann").await;
        let mut bob = site.member("bob", Role::Member).await;
        let passkey = passkey_of(&site, "ann").await;
        here.submit("/profile/password", "/profile/password",
            &[("current_password", "not it at all"), ("new_password", "another long sentence")]).await.expect(422);
        there.get("/profile/password").await.expect(200);
        here.post("/profile/password", &[("current_password", PASSWORD), ("new_password", "password")]).await.expect(422);
        here.post("/profile/password",
            &[("current_password", PASSWORD), ("new_password", "another long sentence")]).await.expect(303);
        here.get("/profile/password").await.expect(200);
        there.get("/profile/password").await.expect(303);
        bob.get("/profile/password").await.expect(200);
        assert_eq!(passkey_of(&site, "ann").await, passkey, "clients go on");
    }

    async fn sessions_end(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        for _ in 0..89 {
            site.clock.advance(86_400);
            ann.get("/profile/password").await.expect(200);
        }
        site.clock.advance(86_400);
        ann.get("/profile/password").await.expect(303);
        let mut idle = site.log_in("ann").await;
        site.clock.advance(31 * 86_400);
        idle.get("/profile/password").await.expect(303);
    }

    async fn closed_registration_takes_nobody(site: Site) {
        for registration in [Registration::Closed, Registration::Invite] {
            let mut closed = settings();
            closed.registration = registration;
            site.set_up_with(closed).await;
            let mut browser = site.browser();
            browser.get("/register").await.expect(200);
            browser.get("/login").await;
            browser.post("/register", &[("name", "Ann"), ("password", PASSWORD)]).await.expect(403);
            browser.post("/register", &[("name", "Ann"), ("password", PASSWORD), ("invite", "made-up")]).await;
            assert!(site.app.db.read().await.is_ok());
            let mut conn = site.app.db.read().await.unwrap();
            assert!(seedbank::accounts::queries::by_name(&mut conn, "ann").await.unwrap().is_none());
        }
    }

    /// Threat 42: anybody can write X-Forwarded-For; only a configured proxy is believed, and only its own word.
    async fn only_proxies_say_where_somebody_is(site: Site) {
        site.set_up().await;
        site.reconfigure(|config| config.accounts.failures_per_address = 3).await;
        for i in 0..3 {
            assert_eq!(guess_from(&site, &format!("203.0.113.{i}"), &format!("a{i}")).await, 422);
        }
        assert_eq!(guess_from(&site, "203.0.113.99", "a9").await, 429, "the header is not believed");

        site.clock.advance(3_600);
        site.reconfigure(|config| config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
        for i in 0..3 {
            assert_eq!(guess_from(&site, "203.0.113.7", &format!("b{i}")).await, 422);
        }
        assert_eq!(guess_from(&site, "203.0.113.7", "b9").await, 429);
        assert_eq!(guess_from(&site, "198.51.100.1, 203.0.113.7", "b9").await, 429, "what the client wrote itself");
        assert_eq!(guess_from(&site, "203.0.113.7, 127.0.0.1", "b9").await, 429, "two proxies in a row");
        assert_eq!(guess_from(&site, "203.0.113.8", "b9").await, 422, "somebody else");
    }

    /// What a banned admin gave away opened accounts for as long as it ran.
    async fn invitations_of_the_banned_are_dead(site: Site) {
        site.set_up().await;
        let (bad, good) = (site.account("bad", Role::Admin).await, site.account("good", Role::Admin).await);
        let now = site.clock.now();
        let mut tx = site.app.db.write().await.unwrap();
        for (token, by) in [("of-bad", bad), ("of-good", good)] {
            seedbank::accounts::invites::insert(&mut tx, token, "", by, now, now.plus(1_000)).await.unwrap();
        }
        seedbank::accounts::queries::ban(&mut tx, bad, good, "for the test", now).await.unwrap();
        tx.commit().await.unwrap();
        let mut browser = site.browser();
        browser.get("/invite/of-bad").await.expect(410);
        browser.get("/invite/of-good").await.expect(200);
        let fields = |token| [("name", "cora"), ("password", PASSWORD), ("invite", token)];
        browser.post("/register", &fields("of-bad")).await.expect(422);
        browser.post("/register", &fields("of-good")).await.expect(303);
    }

    /// Threat 11: no POST goes through without a token of this very session, nor from another site.
    async fn forms_need_their_token_and_their_origin(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        ann.get("/profile/password").await;
        bob.get("/profile/password").await;
        let change = [("current_password", PASSWORD), ("new_password", "another long sentence")];
        ann.post_raw("/profile/password", &change).await.expect(403);
        let stolen = bob.csrf.clone();
        ann.post_raw("/profile/password", &[("csrf", &stolen), change[0], change[1]]).await.expect(403);
        let own = ann.csrf.clone();
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let request = ann.request(reqwest::Method::POST, "/profile/password").header("origin", origin)
                .form(&[("csrf", own.as_str()), change[0], change[1]]);
            ann.send(request).await.expect(403);
        }
        ann.post("/profile/password", &[change[0], change[1], ("role", "admin")]).await.expect(400)
            .shows("unknown field `role`");
        ann.post("/profile/password", &change).await.expect(303);
    }

    async fn security_headers_are_on_every_answer(site: Site) {
        site.set_up().await;
        let mut browser = site.browser();
        for path in ["/login", "/nothing-here", "/profile/password", "/favicon.ico"] {
            let reply = browser.get(path).await;
            assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{path}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(reply.header("referrer-policy"), "same-origin", "{path}");
            assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
        }
        let missing = browser.get("/<script>alert(1)</script>").await.expect(404);
        assert_eq!(missing.count("script:not([src])"), 0);
        let request = browser.request(reqwest::Method::POST, "/login").header("content-encoding", "gzip").body("x");
        browser.send(request).await.expect(415);
    }
}

async fn passkey_of(site: &crate::harness::Site, name: &str) -> String {
    let mut conn = site.app.db.read().await.unwrap();
    seedbank::accounts::queries::by_name(&mut conn, name)
        .await
        .unwrap()
        .unwrap()
        .passkey
}

/// One wrong log-in by way of a proxy that says this of its client.
async fn guess_from(site: &crate::harness::Site, forwarded_for: &str, name: &str) -> u16 {
    let mut browser = site.browser();
    browser.get("/login").await;
    let token = browser.csrf.clone();
    let request = browser
        .request(reqwest::Method::POST, "/login")
        .header("x-forwarded-for", forwarded_for)
        .form(&[
            ("csrf", token.as_str()),
            ("name", name),
            ("password", "wrong wrong"),
        ]);
    browser.send(request).await.status
}
