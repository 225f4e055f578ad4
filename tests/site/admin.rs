//! Administration: settings, invitations, the log.

use seedbank::accounts::Role;
use seedbank::settings::Registration;

use crate::fixtures::number;
use crate::harness::{PASSWORD, settings};

const SETTINGS: [(&str, &str); 7] = [
    ("site_name", "Testbank"),
    ("site_url", "http://seedbank.test"),
    ("registration", "open"),
    ("look", "members"),
    ("download", "members"),
    ("upload", "members"),
    ("private_policy", "any"),
];

both! {
    async fn settings_change_at_once_and_are_written_down(site: Site) {
        site.set_up().await;
        let mut root = site.member("root", Role::Admin).await;
        let page = root.get("/admin/settings").await.expect(200);
        assert_eq!(page.attribute("input[name=site_name]", "value").as_deref(), Some("Testbank"));
        let mut wrong = SETTINGS;
        (wrong[0].1, wrong[1].1, wrong[2].1) = ("", "ftp://x", "perhaps");
        let back = root.post("/admin/settings", &wrong).await.expect(422);
        assert_eq!(back.count(".field.bad"), 3);
        assert_eq!(back.attribute("input[name=site_url]", "value").as_deref(), Some("ftp://x"));
        assert_eq!(*site.app.settings(), settings());
        root.post("/admin/settings", &SETTINGS).await.expect(303);
        root.get("/admin/settings").await.shows("Nothing was changed.");

        let mut other = SETTINGS;
        (other[0].1, other[2].1, other[3].1) = ("Renamed", "closed", "everyone");
        root.post("/admin/settings", &other).await.expect(303);
        assert_eq!(site.app.settings().registration, Registration::Closed);
        let mut guest = site.browser();
        guest.get("/").await.expect(200).shows("Renamed");
        guest.get("/login").await;
        guest.post("/register", &[("name", "Ann"), ("password", PASSWORD)]).await.expect(403);
        let log = root.get("/admin/log").await.expect(200);
        log.shows("changed the settings");
        log.shows("who may become a member: open → closed");
        log.shows("site name: Testbank → Renamed");
    }

    /// Cookies are called something else where the site is https; saying so must not log the admin out.
    async fn going_https_keeps_the_admin(site: Site) {
        site.set_up().await;
        let mut root = site.member("root", Role::Admin).await;
        root.get("/admin/settings").await;
        let mut secure = SETTINGS;
        secure[1].1 = "https://seedbank.test";
        let done = root.post("/admin/settings", &secure).await.expect(303);
        let session = done.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap().to_owned())
            .find(|v| v.starts_with("__Host-seedbank=")).unwrap();
        assert!(session.contains("Secure") && session.contains("HttpOnly"));
        let cookie = session.split(';').next().unwrap().to_owned();
        let mut browser = site.browser();
        let request = browser.request(reqwest::Method::GET, "/admin/settings").header("cookie", cookie);
        browser.send(request).await.expect(200);
    }

    async fn an_invitation_is_shown_once_and_works_once(site: Site) {
        let mut by_invitation = settings();
        by_invitation.registration = Registration::Invite;
        site.set_up_with(by_invitation).await;
        let mut root = site.member("root", Role::Admin).await;
        root.get("/admin/invites").await.expect(200).shows("No invitations yet");
        let long = "x".repeat(201);
        let wrong = root.post("/admin/invites", &[("note", &long), ("days", "8")]).await.expect(422);
        assert_eq!(wrong.count(".field.bad"), 2);
        assert_eq!(wrong.attribute("input[name=note]", "value"), Some(long));

        let made = root.post("/admin/invites", &[("note", "For <Ann>"), ("days", "7")]).await.expect(201);
        let url = made.attribute("#invite-url", "value").unwrap();
        assert_eq!(made.header("cache-control"), "private, no-store");
        let path = url.strip_prefix("http://seedbank.test").unwrap().to_owned();
        let token = path.strip_prefix("/invite/").unwrap().to_owned();
        let list = root.get("/admin/invites").await.expect(200);
        assert!(!list.text.contains(&token), "shown once");
        list.shows("For &lt;Ann&gt;");
        assert!(!root.get("/admin/log").await.text.contains(&token));

        let mut ann = site.browser();
        ann.get(&path).await.expect(200).shows("For &lt;Ann&gt;");
        ann.post("/register", &[("invite", &token), ("name", "ann"), ("password", PASSWORD)]).await.expect(303);
        let used = root.get("/admin/invites").await.expect(200);
        used.shows("/members/ann");
        assert_eq!(used.count("tbody form"), 0, "a used link has nothing to revoke");
        let mut late = site.browser();
        late.get(&path).await.expect(410);
        late.post("/register", &[("invite", &token), ("name", "late"), ("password", PASSWORD)]).await.expect(422);
    }

    async fn twenty_at_once_on_one_invitation_make_one_account(site: Site) {
        let mut by_invitation = settings();
        by_invitation.registration = Registration::Invite;
        site.set_up_with(by_invitation).await;
        let mut root = site.member("root", Role::Admin).await;
        let made = root.submit("/admin/invites", "/admin/invites", &[("days", "1")]).await.expect(201);
        let url = made.attribute("#invite-url", "value").unwrap();
        let token = url.rsplit('/').next().unwrap().to_owned();
        let mut tries = Vec::new();
        for i in 0..20 {
            let mut browser = site.browser();
            let token = token.clone();
            tries.push(tokio::spawn(async move {
                browser.get(&format!("/invite/{token}")).await;
                let name = format!("guest{i}");
                browser.post("/register", &[("invite", &token), ("name", &name), ("password", PASSWORD)]).await.status
            }));
        }
        let mut made = 0;
        for one in tries {
            made += usize::from(one.await.unwrap() == 303);
        }
        assert_eq!(made, 1);
        assert_eq!(number(&site, "select count(*) from users where id > $1", 0).await, 2);
    }

    async fn invitations_are_revoked_and_run_out(site: Site) {
        let mut by_invitation = settings();
        by_invitation.registration = Registration::Invite;
        site.set_up_with(by_invitation).await;
        let mut root = site.member("root", Role::Admin).await;
        root.get("/admin/invites").await;
        let mut tokens = Vec::new();
        for note in ["first", "second"] {
            let made = root.post("/admin/invites", &[("note", note), ("days", "1")]).await.expect(201);
            tokens.push(made.attribute("#invite-url", "value").unwrap().rsplit('/').next().unwrap().to_owned());
        }
        let list = root.get("/admin/invites").await.expect(200);
        assert_eq!(list.texts("tbody td:first-child"), ["second", "first"]);
        let revoke = list.attribute("tbody form", "action").unwrap();
        root.post(&revoke, &[]).await.expect(303);
        let after = root.get("/admin/invites").await.expect(200);
        assert_eq!(after.texts("tbody .badge"), ["revoked", "open"]);
        root.post(&revoke, &[]).await.expect(303);
        root.get("/admin/invites").await.shows("used or taken back already");
        let mut guest = site.browser();
        guest.get(&format!("/invite/{}", tokens[1])).await.expect(410);
        guest.get(&format!("/invite/{}", tokens[0])).await.expect(200);
        site.clock.advance(86_400);
        guest.get(&format!("/invite/{}", tokens[0])).await.expect(410);
        assert_eq!(root.get("/admin/invites").await.texts("tbody .badge"), ["revoked", "expired"]);
        let log = root.get("/admin/log").await.expect(200);
        assert_eq!(log.count("tbody tr"), 3, "what did nothing is not written down");
    }

    async fn the_log_pages_by_id(site: Site) {
        site.set_up().await;
        let mut root = site.member("root", Role::Admin).await;
        root.get("/admin/log").await.expect(200).shows("Nothing has happened");
        root.get("/admin/invites").await;
        for i in 0..55 {
            root.post("/admin/invites", &[("note", &format!("note {i:02}")), ("days", "1")]).await.expect(201);
        }
        let notes = |page: &crate::harness::Reply| page.texts("tbody td[data-label=What] a");
        let first = root.get("/admin/log").await.expect(200);
        first.shows("55 entries");
        assert_eq!((notes(&first).len(), notes(&first)[0].as_str()), (50, "note 54"));
        let second = root.get(&first.attribute("a[rel=next]", "href").unwrap()).await.expect(200);
        assert_eq!(notes(&second), ["note 04", "note 03", "note 02", "note 01", "note 00"]);
        let back = root.get(&second.attribute("a[rel=prev]", "href").unwrap()).await.expect(200);
        assert_eq!(notes(&back), notes(&first));
        let invites = root.get("/admin/invites").await.expect(200);
        let more = root.get(&invites.attribute("a[rel=next]", "href").unwrap()).await.expect(200);
        assert_eq!(more.count("tbody tr"), 5);
        root.get("/admin/log?after=x").await.expect(400);
    }

    async fn only_admins(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        for path in ["/admin/settings", "/admin/members", "/admin/invites", "/admin/log"] {
            mod_.get(path).await.expect(403);
            assert!(site.browser().get(path).await.expect(303).location().starts_with("/login"));
        }
        mod_.get("/profile").await;
        mod_.post("/admin/settings", &SETTINGS).await.expect(403);
        mod_.post("/admin/invites", &[("days", "1")]).await.expect(403);
        mod_.post("/admin/invites/1/revoke", &[]).await.expect(403);
        mod_.post("/admin/members/1/role", &[("role", "admin")]).await.expect(403);
        let mut root = site.member("root", Role::Admin).await;
        root.get("/admin/settings").await;
        let mut extra = SETTINGS.to_vec();
        extra.push(("one", "2"));
        root.post("/admin/settings", &extra).await.expect(400);
        root.post_raw("/admin/settings", &SETTINGS).await.expect(403);
    }
}
