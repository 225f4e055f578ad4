//! Categories as moderators keep them: creating, editing, reordering, merging, deleting.

use seedbank::accounts::Role;
use seedbank::categories::{self, merge::Ending};

use crate::fixtures::{
    catalogue_revision, category, find_category, number, seed_categories, torrents,
};

const LIST: &str = "/moderation/categories";
const IN_CATEGORY: &str = "select count(*) from torrents where category_id = $1";

fn fields<'a>(name: &'a str, slug: &'a str, parent: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("name", name),
        ("slug", slug),
        ("description", ""),
        ("parent", parent),
        ("torznab", "8010"),
        ("icon", "disc"),
    ]
}

both! {
    async fn set_up_seeds_a_tree_in_two_levels(site: Site) {
        let link = site.setup_link().await.unwrap();
        let mut admin = site.browser();
        admin.submit(&link, &link, &[("name", "root"), ("password", crate::harness::PASSWORD), ("site_name", "S"),
            ("site_url", "http://seedbank.test"), ("registration", "open"), ("look", "members"),
            ("download", "members"), ("upload", "members"), ("private_policy", "any")]).await.expect(303);
        let mut conn = site.app.db.read().await.unwrap();
        let groups = categories::tree(&mut conn).await.unwrap();
        drop(conn);
        let labels: Vec<_> = groups.iter().map(|g| g.label.as_str()).collect();
        assert_eq!(labels, ["Software", "Datasets", "Video", "Audio", "Books & papers", "Archives"]);
        let software: Vec<_> = groups[0].options.iter().map(|o| o.value.as_str()).collect();
        assert_eq!(software, ["software", "linux-bsd-images", "applications", "games"]);
        let page = admin.get(LIST).await.expect(200);
        assert_eq!(page.count("table.tree tbody tr"), 26);
        assert_eq!(page.count("table.tree tbody tr.sub"), 20);
        seed_categories(&site).await;
        assert_eq!(admin.get(LIST).await.count("table.tree tbody tr"), 26, "seeding again adds nothing");
    }

    async fn an_empty_site_says_how_to_begin(site: Site) {
        site.set_up().await;
        let mut tx = site.app.db.write().await.unwrap();
        seedbank::exec!(tx, "delete from categories where parent_id is not null").unwrap();
        seedbank::exec!(tx, "delete from categories").unwrap();
        tx.commit().await.unwrap();
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let page = mod_.get(LIST).await.expect(200);
        page.shows("No categories yet");
        let done = mod_.post(LIST, &fields("Linux", "", "")).await.expect(303);
        assert_eq!(done.location(), LIST);
        mod_.get(LIST).await.shows("The category Linux is there.");
        let linux = category(&site, "linux").await;
        assert_eq!((linux.name.as_str(), linux.parent_id, linux.torznab), ("Linux", None, 8010));
        mod_.post(LIST, &fields("Debian & co", "debian", "linux")).await.expect(303);
        assert_eq!(category(&site, "debian").await.parent_id, Some(linux.id));
    }

    async fn wrong_forms_come_back_with_what_was_typed(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let wrong = mod_.submit(LIST, LIST, &[("name", ""), ("slug", "***"), ("description", "kept words"),
            ("parent", "nowhere"), ("torznab", "12"), ("icon", "skull")]).await.expect(422);
        assert_eq!(wrong.count(".field.bad"), 5, "{}", wrong.text);
        assert_eq!(wrong.attribute("input[name=description]", "value").as_deref(), Some("kept words"));
        assert_eq!(wrong.attribute("input[name=slug]", "value").as_deref(), Some("***"));
        let taken = mod_.post(LIST, &fields("Another", "software", "")).await.expect(422);
        taken.shows("Another category has this slug");
        assert_eq!(taken.attribute("input[name=name]", "value").as_deref(), Some("Another"));
        mod_.post(LIST, &fields("Третий", "", "")).await.expect(422).shows("The name gives no slug");
        mod_.post(LIST, &fields("Third level", "", "games")).await.expect(422).shows("two levels");
        mod_.post(LIST, &fields("a\0b", "", "x\0y")).await.expect(400).shows("has a NUL character");
        mod_.post(LIST, &fields("<script>alert(1)</script>", "hostile", "")).await.expect(303);
        let page = mod_.get(LIST).await.expect(200);
        assert_eq!(page.count("script:not([src])"), 0);
        page.shows("&lt;script&gt;");
    }

    async fn editing_keeps_two_levels(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let software = category(&site, "software").await;
        let games = category(&site, "games").await;
        let before = catalogue_revision(&site).await;
        let page = format!("{LIST}/{}", games.id);
        let form = mod_.get(&page).await.expect(200);
        assert_eq!(form.attribute("select[name=parent] option[selected]", "value").as_deref(), Some("software"));
        mod_.post(&page, &fields("Play", "play", "video")).await.expect(303);
        let play = category(&site, "play").await;
        let mut conn = site.app.db.read().await.unwrap();
        let groups = categories::tree(&mut conn).await.unwrap();
        drop(conn);
        assert_eq!(groups[2].options.last().unwrap().value, "play", "it comes last under its new parent");
        assert_eq!(play.id, games.id);
        assert_eq!(catalogue_revision(&site).await, before + 1, "one for the tree; torrents are found by id and keep theirs");

        let top = format!("{LIST}/{}", software.id);
        mod_.post(&top, &fields("Software", "software", "video")).await.expect(422).shows("must stay at the top level");
        mod_.post(&top, &fields("Software", "software", "software")).await.expect(422).shows("below itself");
        let taken = mod_.post(&top, &fields("Renamed", "play", "")).await.expect(422);
        assert_eq!(taken.attribute("input[name=name]", "value").as_deref(), Some("Renamed"));
        assert_eq!(category(&site, "software").await, software);
        mod_.post(&page, &fields("Play", "play", "")).await.expect(303);
        assert_eq!(category(&site, "play").await.parent_id, None);
    }

    async fn siblings_change_places(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let order = async |site: &Site| {
            let mut conn = site.app.db.read().await.unwrap();
            let all = categories::queries::all(&mut conn).await.unwrap();
            all.into_iter().filter(|c| c.parent_id.is_none()).map(|c| c.slug).collect::<Vec<_>>()
        };
        let audio = category(&site, "audio").await.id;
        let first = category(&site, "software").await.id;
        mod_.submit(LIST, &format!("{LIST}/{audio}/up"), &[]).await.expect(303);
        assert_eq!(order(&site).await[2..4], ["audio", "video"]);
        mod_.post(&format!("{LIST}/{first}/up"), &[]).await.expect(303);
        assert_eq!(order(&site).await[0], "software", "the first stays");
        mod_.post(&format!("{LIST}/{first}/down"), &[]).await.expect(303);
        assert_eq!(order(&site).await[..2], ["datasets", "software"]);
        let other = category(&site, "magazines").await.id;
        mod_.post(&format!("{LIST}/{other}/down"), &[]).await.expect(303);
        mod_.post(&format!("{LIST}/99/down"), &[]).await.expect(404);
        let page = mod_.get(LIST).await;
        assert_eq!(page.texts("table.tree tbody tr strong")[0], "Datasets");
    }

    async fn merging_re_homes_every_torrent_and_sub_category(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Uploader).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let (video, audio) = (category(&site, "video").await, category(&site, "audio").await);
        torrents(&site, video.id, ann, 2_300).await;
        let stayed = torrents(&site, audio.id, ann, 3).await;
        let before = catalogue_revision(&site).await;
        let page = format!("{LIST}/{}", video.id);
        mod_.get(&page).await.expect(200).shows("2,300 torrents");
        mod_.post(&format!("{page}/merge"), &[("target", "")]).await.expect(422).shows("Choose the category");
        mod_.post(&format!("{page}/merge"), &[("target", "video")]).await.expect(422).shows("another category");
        mod_.post(&format!("{page}/merge"), &[("target", "films")]).await.expect(422).shows("Films is below Video");
        let done = mod_.post(&format!("{page}/merge"), &[("target", "audio")]).await.expect(303);
        assert_eq!(done.location(), LIST);
        mod_.get(LIST).await.shows("Video is gone; 2,300 torrents moved to Audio.");
        assert!(find_category(&site, "video").await.is_none());
        assert_eq!(number(&site, IN_CATEGORY, audio.id.0).await, 2_303);
        assert_eq!(category(&site, "films").await.parent_id, Some(audio.id), "what was below moves along");
        let after = catalogue_revision(&site).await;
        assert_eq!(after, before + 4, "three steps, and one for the tree");
        let stamped = number(&site, "select count(*) from torrents where revision > $1", before).await;
        assert_eq!(stamped, 2_300);
        assert_eq!(number(&site, "select count(*) from torrents where revision < $1", 0).await, 0);
        assert_eq!(number(&site, "select revision from torrents where id = $1", stayed[0].0).await, 0);
        mod_.post(&format!("{page}/merge"), &[("target", "audio")]).await.expect(404);
    }

    /// A crash between two steps: each torrent is in one of the two, and doing it again finishes.
    async fn a_merge_broken_off_is_done_again(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Uploader).await;
        let (films, music) = (category(&site, "films").await, category(&site, "music").await);
        torrents(&site, films.id, ann, 1_500).await;
        let ending = Ending::merge(films.clone(), music.clone(), ann, site.clock.now());
        let mut tx = site.app.db.write().await.unwrap();
        categories::merge::step(&mut tx, &ending).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(number(&site, IN_CATEGORY, films.id.0).await, 500);
        assert_eq!(number(&site, IN_CATEGORY, music.id.0).await, 1_000);
        assert_eq!(categories::merge::run(&site.app, &ending).await.unwrap(), 500);
        assert_eq!(number(&site, IN_CATEGORY, music.id.0).await, 1_500);
        assert!(find_category(&site, "films").await.is_none());
    }

    async fn a_category_in_use_goes_only_with_a_new_home(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Uploader).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let (films, games) = (category(&site, "films").await, category(&site, "games").await);
        torrents(&site, films.id, ann, 5).await;
        let page = format!("{LIST}/{}", films.id);
        mod_.get(&page).await.expect(200).shows("5 torrents need a new home");
        let refused = mod_.post(&format!("{page}/delete"), &[]).await.expect(422);
        refused.shows("Choose where its torrents go.");
        mod_.post(&format!("{page}/delete"), &[("target", "no-such")]).await.expect(422);
        mod_.post(&format!("{page}/delete"), &[("target", "films")]).await.expect(422);
        assert_eq!(number(&site, IN_CATEGORY, films.id.0).await, 5);
        mod_.post(&format!("{page}/delete"), &[("target", "games")]).await.expect(303);
        assert_eq!(number(&site, IN_CATEGORY, games.id.0).await, 5);
        assert!(find_category(&site, "films").await.is_none());

        let empty = category(&site, "comics").await;
        let page = format!("{LIST}/{}", empty.id);
        mod_.get(&page).await.expect(200).shows("Nothing is filed under it.");
        mod_.post(&format!("{page}/delete"), &[]).await.expect(303);
        assert!(find_category(&site, "comics").await.is_none());

        let parent = category(&site, "datasets").await;
        let page = format!("{LIST}/{}", parent.id);
        mod_.get(&page).await.expect(200).shows("4 categories are below this one");
        mod_.post(&format!("{page}/delete"), &[("target", "games")]).await.expect(422);
        assert!(find_category(&site, "datasets").await.is_some());
    }

    /// Two moderators merge two categories into each other at once: one wins, or both are told; nothing is lost.
    async fn two_opposite_merges_lose_nothing(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Uploader).await;
        let (films, music) = (category(&site, "films").await, category(&site, "music").await);
        torrents(&site, films.id, ann, 1_200).await;
        torrents(&site, music.id, ann, 1_200).await;
        let one = Ending::merge(films.clone(), music.clone(), ann, site.clock.now());
        let two = Ending::merge(music, films, ann, site.clock.now());
        let (a, b) = tokio::join!(categories::merge::run(&site.app, &one), categories::merge::run(&site.app, &two));
        for one in [&a, &b] {
            assert!(matches!(one, Ok(_) | Err(seedbank::error::Error::Conflict(_) | seedbank::error::Error::NotFound)), "{one:?}");
        }
        let left = [find_category(&site, "films").await, find_category(&site, "music").await];
        let mut total = 0;
        for category in left.iter().flatten() {
            total += number(&site, IN_CATEGORY, category.id.0).await;
        }
        assert_eq!(total, 2_400);
        let ended = [a, b].iter().filter(|one| one.is_ok()).count();
        assert_eq!(left.iter().flatten().count(), 2 - ended);
    }

    async fn only_moderators(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let games = category(&site, "games").await;
        let mut uploader = site.member("up", Role::Uploader).await;
        let mut guest = site.browser();
        uploader.get("/profile/password").await;
        guest.get("/login").await;
        let page = format!("{LIST}/{}", games.id);
        uploader.get(LIST).await.expect(403);
        uploader.get(&page).await.expect(403);
        assert!(guest.get(LIST).await.expect(303).location().starts_with("/login"));
        let form = fields("X", "x", "");
        for (path, fields) in [
            (LIST.to_owned(), &form[..]),
            (page.clone(), &form[..]),
            (format!("{page}/up"), &[]),
            (format!("{page}/down"), &[]),
            (format!("{page}/merge"), &[("target", "films")]),
            (format!("{page}/delete"), &[]),
        ] {
            uploader.post(&path, fields).await.expect(403);
            guest.post(&path, fields).await.expect(303);
        }
        assert_eq!(category(&site, "games").await, games);
        let mut mod_ = site.member("mo", Role::Moderator).await;
        mod_.get(LIST).await;
        mod_.post_raw(&format!("{page}/delete"), &[]).await.expect(403);
        mod_.post(&format!("{page}/up"), &[("sneaky", "1")]).await.expect(400);
    }
}
