//! Tags: made by uploads, kept by moderators.

use seedbank::accounts::Role;
use seedbank::tags;

use crate::fixtures::{
    catalogue_revision, category, number, seed_categories, tag, tag_named, tags_of, torrents,
};

const LIST: &str = "/moderation/tags";

both! {
    async fn names_become_tags_and_aliases_the_tag(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Member).await;
        let games = category(&site, "games").await.id;
        let ids = torrents(&site, games, ann, 2).await;
        tag(&site, &ids[..1], "Linux, ISO, amd64").await;
        tag(&site, &ids[1..], "linux").await;
        assert_eq!(tags_of(&site, ids[0]).await, ["amd64", "iso", "linux"]);
        let linux = tag_named(&site, "LINUX").await.unwrap();
        let mut tx = site.app.db.write().await.unwrap();
        tags::queries::add_alias(&mut tx, linux.id, &tags::TagName::parse("gnu-linux").unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        tag(&site, &ids[..1], "gnu_linux, linux, iso").await;
        assert_eq!(tags_of(&site, ids[0]).await, ["iso", "linux"], "the old ones went, the alias is the tag");
        assert_eq!(tags_of(&site, ids[1]).await, ["linux"]);
        tag(&site, &ids[..1], "").await;
        assert!(tags_of(&site, ids[0]).await.is_empty());
    }

    async fn twenty_uploads_at_once_make_a_tag_once(site: Site) {
        site.set_up().await;
        let work = (0..20).map(|i| {
            let app = site.app.clone();
            let at = site.clock.now();
            tokio::spawn(async move {
                // Each in another order.
                let mut names: Vec<String> = (0..8).map(|n| format!("tag-{n}")).collect();
                names.rotate_left(i % 8);
                let names = tags::parse_list(&names.join(",")).unwrap();
                let mut tx = app.db.write().await.unwrap();
                let ids = tags::queries::resolve_or_create(&mut tx, &names, at).await.unwrap();
                tx.commit().await.unwrap();
                ids
            })
        });
        let mut all = Vec::new();
        for one in work.collect::<Vec<_>>() {
            all.push(one.await.unwrap());
        }
        assert_eq!(all[0].len(), 8);
        assert!(all.iter().all(|ids| *ids == all[0]));
        assert_eq!(number(&site, "select count(*) from tags where id > $1", 0).await, 8);
    }

    async fn the_page_searches_and_pages(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        mod_.get(LIST).await.expect(200).shows("No tags yet");
        for start in (0..120).step_by(20) {
            let names: Vec<String> = (start..start + 20).map(|i| format!("t{i:03}")).collect();
            tag(&site, &[], &names.join(",")).await;
        }
        tag(&site, &[], "c++, ubuntu").await;
        let first = mod_.get(LIST).await.expect(200);
        first.shows("122 tags");
        let names = |page: &crate::harness::Reply| page.texts("tbody tr td:first-child strong");
        assert_eq!(names(&first).len(), 50);
        assert_eq!(names(&first)[..2], ["c++", "t000"]);
        let next = first.attribute("a[rel=next]", "href").unwrap();
        let second = mod_.get(&next).await.expect(200);
        assert_eq!(names(&second)[0], "t049");
        let third = mod_.get(&second.attribute("a[rel=next]", "href").unwrap()).await.expect(200);
        assert_eq!(names(&third).last().unwrap(), "ubuntu");
        assert_eq!(third.count("a[rel=next]"), 0);
        let back = mod_.get(&third.attribute("a[rel=prev]", "href").unwrap()).await.expect(200);
        assert_eq!(names(&back), names(&second));
        assert_eq!(names(&mod_.get(&format!("{LIST}?q=T11")).await).len(), 10);
        assert_eq!(names(&mod_.get(&format!("{LIST}?q=c%2B%2B")).await), ["c++"]);
        mod_.get(&format!("{LIST}?q=zzz%00%25")).await.expect(200).shows("No such tag");
        let ubuntu = tag_named(&site, "ubuntu").await.unwrap();
        mod_.post(&format!("{LIST}/{}/alias", ubuntu.id), &[("name", "Buntu")]).await.expect(303);
        assert_eq!(names(&mod_.get(&format!("{LIST}?q=bunt")).await), ["ubuntu"], "aliases are searched too");
    }

    async fn renaming_and_aliases(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        tag(&site, &[], "linxu, ubuntu").await;
        let (linux, ubuntu) = (tag_named(&site, "linxu").await.unwrap(), tag_named(&site, "ubuntu").await.unwrap());
        let before = catalogue_revision(&site).await;
        let action = |what: &str| format!("{LIST}/{}/{what}", linux.id);
        mod_.get(LIST).await;
        mod_.post(&action("rename"), &[("name", "Linux")]).await.expect(303);
        assert_eq!(tag_named(&site, "linux").await.unwrap().id, linux.id);
        assert_eq!(catalogue_revision(&site).await, before + 1, "one for the name; torrents are found by the tag's id and keep theirs");
        mod_.post(&action("rename"), &[("name", "ubuntu")]).await.expect(422).shows("merge linux into ubuntu");
        mod_.post(&action("rename"), &[("name", "a/b")]).await.expect(422).shows("has `/` in it");
        mod_.post(&action("rename"), &[("name", "")]).await.expect(422);
        mod_.post(&action("rename"), &[("name", "linux")]).await.expect(303);

        mod_.post(&action("alias"), &[("name", "GNU Linux")]).await.expect(303);
        assert_eq!(tag_named(&site, "gnu-linux").await.unwrap().id, linux.id);
        mod_.post(&action("alias"), &[("name", "gnu linux")]).await.expect(303);
        mod_.post(&action("alias"), &[("name", "ubuntu")]).await.expect(422).shows("a tag of its own");
        let other = format!("{LIST}/{}/alias", ubuntu.id);
        mod_.post(&other, &[("name", "gnu-linux")]).await.expect(422).shows("already leads to the tag linux");
        mod_.post(&format!("{LIST}/{}/rename", ubuntu.id), &[("name", "gnu-linux")]).await.expect(422)
            .shows("the tag linux already");
        // Another tag's alias is not this one's to remove.
        mod_.post(&format!("{LIST}/{}/aliases/gnu-linux/delete", ubuntu.id), &[]).await.expect(404);
        let page = mod_.get(&format!("{LIST}?q=linux")).await;
        let remove = page.attribute(".chips form", "action").unwrap();
        mod_.post(&remove, &[]).await.expect(303);
        assert!(tag_named(&site, "gnu-linux").await.is_none());
        mod_.post(&remove, &[]).await.expect(404);
        // A tag takes its own alias as its name.
        mod_.post(&action("alias"), &[("name", "tux")]).await.expect(303);
        mod_.post(&action("rename"), &[("name", "tux")]).await.expect(303);
        assert_eq!(tag_named(&site, "tux").await.unwrap().name, "tux");
    }

    async fn merging_keeps_every_torrent_findable(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Member).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let games = category(&site, "games").await.id;
        let ids = torrents(&site, games, ann, 1_300).await;
        let (both, rest) = ids.split_at(10);
        tag(&site, both, "film, movie, other").await;
        tag(&site, &rest[..1_240], "movie").await;
        tag(&site, &rest[1_240..], "other").await;
        let (film, movie) = (tag_named(&site, "film").await.unwrap(), tag_named(&site, "movie").await.unwrap());
        let mut tx = site.app.db.write().await.unwrap();
        tags::queries::add_alias(&mut tx, movie.id, &tags::TagName::parse("flick").unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        let before = catalogue_revision(&site).await;
        let action = format!("{LIST}/{}/merge", movie.id);
        mod_.get(LIST).await.expect(200).shows("1,250");
        mod_.post(&action, &[("target", "flick")]).await.expect(422).shows("this tag itself");
        mod_.post(&action, &[("target", "cinema")]).await.expect(422).shows("There is no tag cinema");
        mod_.post(&action, &[("target", "Film")]).await.expect(303);
        assert_eq!(number(&site, "select count(*) from torrent_tags where tag_id = $1", film.id.0).await, 1_250);
        assert_eq!(number(&site, "select count(*) from torrent_tags where tag_id = $1", movie.id.0).await, 0);
        assert_eq!(tags_of(&site, both[0]).await, ["film", "other"]);
        for word in ["movie", "flick", "film"] {
            assert_eq!(tag_named(&site, word).await.unwrap().id, film.id, "{word}");
        }
        assert_eq!(number(&site, "select count(*) from torrents where revision > $1", before).await, 1_250);
        assert_eq!(number(&site, "select count(*) from torrents where revision < $1", 0).await, 0);
        mod_.post(&action, &[("target", "film")]).await.expect(404);
    }

    async fn deleting_takes_it_off_and_stamps(site: Site) {
        site.set_up().await;
        seed_categories(&site).await;
        let ann = site.account("ann", Role::Member).await;
        let mut mod_ = site.member("mo", Role::Moderator).await;
        let games = category(&site, "games").await.id;
        let ids = torrents(&site, games, ann, 3).await;
        tag(&site, &ids[..2], "spam, ham").await;
        tag(&site, &ids[2..], "ham").await;
        let spam = tag_named(&site, "spam").await.unwrap();
        let before = catalogue_revision(&site).await;
        let delete = format!("{LIST}/{}/delete", spam.id);
        mod_.submit(LIST, &format!("{LIST}/{}/alias", spam.id), &[("name", "junk")]).await.expect(303);
        mod_.post(&delete, &[]).await.expect(303);
        mod_.get(LIST).await.shows("The tag spam is gone, on 2 torrents.");
        assert!(tag_named(&site, "spam").await.is_none() && tag_named(&site, "junk").await.is_none());
        assert_eq!(tags_of(&site, ids[0]).await, ["ham"]);
        assert_eq!(number(&site, "select count(*) from torrents where revision > $1", before).await, 2);
        mod_.post(&delete, &[]).await.expect(404);
    }

    async fn only_moderators(site: Site) {
        site.set_up().await;
        tag(&site, &[], "linux").await;
        let linux = tag_named(&site, "linux").await.unwrap();
        let mut uploader = site.member("up", Role::Uploader).await;
        uploader.get("/profile/password").await;
        uploader.get(LIST).await.expect(403);
        for (what, fields) in [
            ("rename", &[("name", "x")][..]),
            ("alias", &[("name", "x")]),
            ("aliases/x/delete", &[]),
            ("merge", &[("target", "x")]),
            ("delete", &[]),
        ] {
            uploader.post(&format!("{LIST}/{}/{what}", linux.id), fields).await.expect(403);
        }
        assert_eq!(tag_named(&site, "linux").await.unwrap(), linux);
    }
}
