//! Members: the profile, the public page, sessions, and who may change whose standing.

use seedbank::accounts::Role;
use seedbank::accounts::queries::{self as accounts, User};
use seedbank::bittorrent::metainfo::Kind;
use seedbank::ids::UserId;
use seedbank::settings::Audience;

use crate::fixtures::{category, number, torrents};
use crate::harness::torrents::{publish, small};
use crate::harness::{PASSWORD, Site, settings};

async fn user(site: &Site, name: &str) -> User {
    let mut conn = site.app.db.read().await.unwrap();
    accounts::by_name(&mut conn, name).await.unwrap().unwrap()
}

/// What the tracker would now know of a member: their passkey, and whether it is dead.
async fn announce_right(site: &Site, id: UserId) -> (String, bool) {
    let mut conn = site.app.db.read().await.unwrap();
    let rights = accounts::announce_rights_after(&mut conn, 0, 1_000)
        .await
        .unwrap();
    let right = rights.into_iter().find(|right| right.id == id).unwrap();
    (right.passkey, right.banned)
}

async fn logged(site: &Site, action: &str) -> Vec<(String, String)> {
    let mut conn = site.app.db.read().await.unwrap();
    let seek = seedbank::web::pager::Seek::First;
    let rows = seedbank::moderation::log::list(&mut conn, &seek, 100)
        .await
        .unwrap();
    rows.into_iter()
        .filter(|row| row.action == action)
        .map(|row| (row.subject_name, row.reason))
        .collect()
}

both! {
    async fn the_profile_shows_ones_own_and_nobody_elses(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        site.browser().get("/profile").await.expect(303);
        let (own, other) = (user(&site, "ann").await.passkey, user(&site, "bob").await.passkey);
        let empty = ann.get("/profile").await.expect(200);
        empty.shows("Nothing uploaded yet");
        assert_eq!(empty.header("cache-control"), "private, no-store");
        assert_eq!(empty.attribute("#announce-url", "value").unwrap(), format!("http://seedbank.test/announce/{own}"));
        assert!(!empty.text.contains(&other));
        publish(&mut ann, &small("one", Kind::V1), "Ann's first").await;
        publish(&mut bob, &small("two", Kind::V1), "Bob's first").await;
        let page = ann.get("/profile").await.expect(200);
        assert_eq!(page.texts("table.torrents tbody .n a bdi"), ["Ann's first"]);
        page.shows("1 torrent");
        let public = bob.get("/members/Ann").await.expect(200);
        assert!(!public.text.contains(&own), "a passkey is on no other page");
        assert_eq!(public.texts("table.torrents tbody .n a bdi"), ["Ann's first"]);
        assert_eq!(public.count("aside"), 0, "no controls for members");
    }

    async fn a_reset_passkey_reaches_the_tracker(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        site.member("bob", Role::Member).await;
        let (old, bobs) = (user(&site, "ann").await, user(&site, "bob").await);
        ann.submit("/profile", "/profile/passkey", &[]).await.expect(303);
        let page = ann.get("/profile").await.expect(200);
        page.shows("You have a new announce address");
        let new = user(&site, "ann").await;
        assert_ne!(new.passkey, old.passkey);
        assert_eq!(announce_right(&site, new.id).await, (new.passkey.clone(), false));
        assert_eq!(user(&site, "bob").await.passkey, bobs.passkey);
        assert!(page.attribute("#announce-url", "value").unwrap().ends_with(&new.passkey));
        assert!(!page.text.contains(&old.passkey));
        ann.post_raw("/profile/passkey", &[]).await.expect(403);
    }

    async fn sessions_are_ended_one_by_one_and_only_ones_own(site: Site) {
        site.set_up().await;
        let mut here = site.member("ann", Role::Member).await;
        let mut there = site.log_in("ann").await;
        let mut bob = site.member("bob", Role::Member).await;
        let page = here.get("/profile").await.expect(200);
        assert_eq!(page.count(".verdicts li"), 2);
        assert_eq!(page.count(".verdicts form"), 1, "this one is ended by logging out");
        let revoke = page.attribute(".verdicts form", "action").unwrap();
        bob.get("/profile").await;
        bob.post(&revoke, &[]).await.expect(404);
        there.get("/profile").await.expect(200);
        here.post(&revoke, &[]).await.expect(303);
        there.get("/profile").await.expect(303);
        here.get("/profile").await.expect(200);
        bob.get("/profile").await.expect(200);
        here.post(&revoke, &[]).await.expect(404);
        here.post("/profile/sessions/nonsense/revoke", &[]).await.expect(404);
    }

    /// Anonymous uploads are known to their uploader and to moderators.
    async fn member_pages_keep_anonymous_uploads_to_themselves(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Uploader).await;
        let mut bob = site.member("bob", Role::Uploader).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let id = user(&site, "ann").await.id;
        let other = category(&site, "other").await.id;
        torrents(&site, other, id, 70).await;
        let public = bob.get("/members/ann").await.expect(200);
        public.shows("60 torrents");
        let rows = |page: &crate::harness::Reply| page.texts("table.torrents tbody .n a bdi");
        assert_eq!(rows(&public).len(), 50);
        let second = bob.get(&public.attribute("a[rel=next]", "href").unwrap()).await.expect(200);
        assert_eq!(rows(&second).len(), 10);
        let mut seen: Vec<_> = rows(&public).into_iter().chain(rows(&second)).collect();
        assert_eq!(seen[0], "Title 69", "newest first");
        assert!(!seen.contains(&"Title 3".to_owned()));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 60, "none twice, none left out");
        let back = bob.get(&second.attribute("a[rel=prev]", "href").unwrap()).await.expect(200);
        assert_eq!(rows(&back), rows(&public));
        for browser in [&mut ann, &mut mod_] {
            browser.get("/members/ann").await.expect(200).shows("70 torrents");
        }
        let own = ann.get("/profile").await.expect(200);
        own.shows("70 torrents");
        let more = own.attribute("a[rel=next]", "href").unwrap();
        assert!(more.starts_with("/profile?after="), "{more}");
        assert_eq!(rows(&ann.get(&more).await.expect(200)).len(), 20);
        for nobody in ["/members/nobody", "/members/%00", "/members/%3Cscript%3E"] {
            bob.get(nobody).await.expect(404);
        }
    }

    async fn who_may_look_may_see_member_pages(site: Site) {
        site.set_up().await;
        site.account("ann", Role::Member).await;
        site.browser().get("/members/ann").await.expect(303);
        let mut open = settings();
        open.who_may_look = Audience::Everyone;
        site.set_up_with(open).await;
        let page = site.browser().get("/members/ann").await.expect(200);
        page.shows("No uploads");
        assert_eq!(page.count("aside"), 0);
    }

    async fn a_ban_bites_at_once_everywhere(site: Site) {
        site.set_up().await;
        let mut admin = site.member("root", Role::Admin).await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut elsewhere = site.log_in("ann").await;
        let mut bob = site.member("bob", Role::Member).await;
        let before = user(&site, "ann").await;
        let (ban, unban) = (format!("/moderation/members/{}/ban", before.id), format!("/moderation/members/{}/unban", before.id));
        let page = admin.get("/members/ann").await.expect(200);
        assert_eq!(page.attribute(".danger-zone form", "action").as_deref(), Some(ban.as_str()));
        let refused = admin.post(&ban, &[("return_to", "/members/ann"), ("reason", "  ")]).await.expect(422);
        refused.shows("Give a reason");
        assert_eq!(refused.attribute(".danger-zone input[name=return_to]", "value").as_deref(), Some("/members/ann"));
        let long = "x".repeat(501);
        let kept = admin.post(&ban, &[("reason", &long)]).await.expect(422);
        assert_eq!(kept.attribute("input[name=reason]", "value"), Some(long));
        ann.get("/profile").await.expect(200);

        let done = admin.post(&ban, &[("return_to", "/members/ann"), ("reason", "Reported <false> totals.")]).await.expect(303);
        assert_eq!(done.location(), "/members/ann");
        for browser in [&mut ann, &mut elsewhere] {
            browser.get("/profile").await.expect(303);
        }
        bob.get("/profile").await.expect(200);
        assert!(announce_right(&site, before.id).await.1, "the tracker is told");
        assert!(!announce_right(&site, user(&site, "bob").await.id).await.1);
        let mut browser = site.browser();
        let told = browser.submit("/login", "/login", &[("name", "ann"), ("password", PASSWORD)]).await.expect(422);
        told.shows("Reported &lt;false&gt; totals.");
        admin.get("/members/ann").await.expect(200).shows("Reported &lt;false&gt; totals.");
        let public = bob.get("/members/ann").await.expect(200);
        public.shows("Banned");
        assert!(!public.text.contains("totals"), "the reason is for moderators");
        admin.post(&ban, &[("reason", "again")]).await.expect(422);

        admin.post(&unban, &[("return_to", "/admin/members")]).await.expect(303);
        site.log_in("ann").await;
        ann.get("/profile").await.expect(303);
        let after = user(&site, "ann").await;
        assert_ne!(after.passkey, before.passkey, "a new announce address");
        assert_eq!(announce_right(&site, before.id).await, (after.passkey, false));
        admin.post(&unban, &[]).await.expect(422);
        assert_eq!(logged(&site, "user.ban").await, [("ann".to_owned(), "Reported <false> totals.".to_owned())]);
        assert_eq!(logged(&site, "user.unban").await.len(), 1);
    }

    async fn moderators_ban_members_and_uploaders_only(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        for (name, role, status) in [
            ("ann", Role::Member, 303),
            ("una", Role::Uploader, 303),
            ("moe", Role::Moderator, 422),
            ("root", Role::Admin, 422),
        ] {
            let id = site.account(name, role).await;
            let page = mod_.get(&format!("/members/{name}")).await.expect(200);
            assert_eq!(page.count(".danger-zone"), usize::from(status == 303), "{name}");
            mod_.post(&format!("/moderation/members/{id}/ban"), &[("reason", "spam")]).await.expect(status);
            assert_eq!(user(&site, name).await.banned_at.is_some(), status == 303, "{name}");
            mod_.post(&format!("/admin/members/{id}/role"), &[("role", "member")]).await.expect(403);
        }
        let own = user(&site, "mo").await.id;
        mod_.post(&format!("/moderation/members/{own}/ban"), &[("reason", "spam")]).await.expect(422);
        mod_.get("/profile").await.expect(200);
        mod_.post("/moderation/members/1/ban", &[("reason", "spam")]).await.expect(404);
        let mut uploader = site.member("upa", Role::Uploader).await;
        let ann = user(&site, "ann").await.id;
        uploader.get("/profile").await;
        uploader.post(&format!("/moderation/members/{ann}/unban"), &[]).await.expect(403);
        uploader.post(&format!("/moderation/members/{own}/ban"), &[("reason", "x")]).await.expect(403);
    }

    async fn roles_are_changed_by_other_admins_and_the_last_stays(site: Site) {
        site.set_up().await;
        let mut root = site.member("root", Role::Admin).await;
        let mut ann = site.member("ann", Role::Member).await;
        let (root_id, ann_id) = (user(&site, "root").await.id, user(&site, "ann").await.id);
        let role = |id: UserId| format!("/admin/members/{id}/role");
        root.get("/admin/members").await.expect(200);
        root.post(&role(root_id), &[("role", "member")]).await.expect(422).shows("Nobody changes their own role");
        root.post(&role(ann_id), &[("role", "emperor")]).await.expect(422).shows("Choose one of");
        root.post(&role(ann_id), &[("role", "member")]).await.expect(422).shows("ann is a member already");
        ann.get("/admin/members").await.expect(403);
        let done = root.post(&role(ann_id), &[("role", "admin"), ("return_to", "//evil.example")]).await.expect(303);
        assert_eq!(done.location(), "/");
        ann.get("/admin/members").await.expect(200);
        ann.post(&role(root_id), &[("role", "uploader")]).await.expect(303);
        root.get("/admin/members").await.expect(403);
        ann.post(&role(ann_id), &[("role", "member")]).await.expect(422);
        assert_eq!(user(&site, "ann").await.role, Role::Admin);
        assert_eq!(logged(&site, "user.role").await, [
            ("root".to_owned(), "from admin to uploader".to_owned()),
            ("ann".to_owned(), "from member to admin".to_owned()),
        ]);
    }

    /// Two admins demote, or ban, each other at the same moment: one of them stays.
    async fn two_admins_at_once_leave_one(site: Site) {
        site.set_up().await;
        for round in 0..4 {
            let names = [format!("one{round}"), format!("two{round}")];
            let mut one = site.member(&names[0], Role::Admin).await;
            let mut two = site.member(&names[1], Role::Admin).await;
            let (a, b) = (user(&site, &names[0]).await.id, user(&site, &names[1]).await.id);
            one.get("/admin/members").await;
            two.get("/admin/members").await;
            let paths = if round % 2 == 0 {
                [format!("/admin/members/{b}/role"), format!("/admin/members/{a}/role")]
            } else {
                [format!("/moderation/members/{b}/ban"), format!("/moderation/members/{a}/ban")]
            };
            let fields = if round % 2 == 0 { [("role", "member")] } else { [("reason", "quarrel")] };
            let (first, second) = tokio::join!(one.post(&paths[0], &fields), two.post(&paths[1], &fields));
            assert!(first.status == 303 || second.status == 303);
            let left = number(&site, "select count(*) from users where role = 'admin' and banned_at is null and id > $1", 0).await;
            assert_eq!(left, 1, "{} {}", first.status, second.status);
            let (mut last, last_id, gone) = if first.status == 303 { (one, a, b) } else { (two, b, a) };
            last.get("/admin/members").await.expect(200);
            last.post(&format!("/moderation/members/{last_id}/ban"), &[("reason", "me")]).await.expect(422);
            assert_ne!(last_id, gone);
            // Makes room for the next round's two.
            let mut tx = site.app.db.write().await.unwrap();
            accounts::set_role(&mut tx, last_id, Role::Member).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    async fn admins_find_members(site: Site) {
        site.set_up().await;
        let mut root = site.member("root", Role::Admin).await;
        for i in 0..60 {
            let role = if i % 10 == 0 { Role::Uploader } else { Role::Member };
            site.account(&format!("Person{i:02}"), role).await;
        }
        let banned = site.account("troll", Role::Member).await;
        root.submit("/admin/members", &format!("/moderation/members/{banned}/ban"), &[("reason", "noise")]).await.expect(303);
        let names = |page: &crate::harness::Reply| page.texts("tbody td:first-child strong");
        let first = root.get("/admin/members").await.expect(200);
        first.shows("62 members");
        assert_eq!(names(&first).len(), 50);
        let next = root.get(&first.attribute("a[rel=next]", "href").unwrap()).await.expect(200);
        assert_eq!(names(&next).len(), 12);
        assert_eq!(names(&next).last().unwrap(), "troll");
        let back = root.get(&next.attribute("a[rel=prev]", "href").unwrap()).await.expect(200);
        assert_eq!(names(&back), names(&first));
        assert_eq!(names(&root.get("/admin/members?q=PERSON1").await).len(), 10);
        assert_eq!(names(&root.get("/admin/members?role=uploader").await).len(), 6);
        assert_eq!(names(&root.get("/admin/members?q=person0&role=uploader").await), ["Person00"]);
        let banned = root.get("/admin/members?role=banned").await.expect(200);
        assert_eq!(names(&banned), ["troll"]);
        banned.shows("noise");
        root.get("/admin/members?q=nobody").await.expect(200).shows("Nobody found");
        root.get("/admin/members?q=%00%25_&role=king&after=%00").await.expect(200);
        let own = root.get("/admin/members?q=root").await.expect(200);
        assert_eq!(own.count("details.manage"), 0, "nothing to do to oneself");
    }
}
