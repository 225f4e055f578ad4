//! Rows that listings keep in memory: what changes counts at the next page, whoever changed it.

use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::categories;
use seedbank::db::Db;
use seedbank::ids::{TorrentId, UserId};
use seedbank::tags::{self, TagName};
use seedbank::torrents::queries;

use crate::harness::Browser;
use crate::harness::torrents::{publish, small, upload_with};

const TITLES: &str = "table.torrents tbody .n a bdi";

async fn titles(browser: &mut Browser, page: &str) -> Vec<String> {
    browser.get(page).await.expect(200).texts(TITLES)
}

both! {
    /// Nobody waits for the index here: it still finds what is gone, and the rows are asked again.
    async fn a_deleted_torrent_disappears_at_once(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mod", Role::Moderator).await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            ids.push(publish(&mut ann, &small(name, Kind::V1), name).await);
        }
        site.indexed().await;
        for page in ["/torrents", "/torrents?sort=name&order=desc", "/members/ann"] {
            assert_eq!(titles(&mut ann, page).await.len(), 3, "{page}");
        }
        let delete = format!("/torrents/{}/delete", ids[0]);
        mod_.submit(&delete, &delete, &[("reason", "twice")]).await.expect(303);
        for page in ["/torrents", "/torrents?sort=name&order=desc", "/members/ann"] {
            assert!(!titles(&mut ann, page).await.contains(&"one".to_owned()), "{page}");
        }
        // As another node would, or a command: nothing tells this one but the database.
        let by: UserId = site.account("eve", Role::Admin).await;
        let elsewhere = Db::open(&site.app.config.database_url(), 1).await.unwrap();
        let mut tx = elsewhere.write().await.unwrap();
        assert!(queries::delete(&mut tx, TorrentId(ids[1]), by, "gone", site.clock.now()).await.unwrap());
        assert_eq!(titles(&mut ann, "/torrents").await, ["three", "two"], "not before the commit");
        tx.commit().await.unwrap();
        assert_eq!(titles(&mut ann, "/torrents").await, ["three"]);
        elsewhere.close().await;
    }

    async fn what_is_renamed_is_shown_so_at_once(site: Site) {
        site.set_up().await;
        let mut mod_ = site.member("mod", Role::Moderator).await;
        let mut ann = site.member("ann", Role::Member).await;
        let fields = [("title", "Before"), ("category", "other"), ("tags", "linux, deb")];
        upload_with(&mut ann, &small("one", Kind::V1), &fields).await.expect(303);
        let fields = [("title", "Other"), ("category", "other"), ("tags", "bsd")];
        upload_with(&mut ann, &small("two", Kind::V1), &fields).await.expect(303);
        site.indexed().await;
        const TAGS: &str = "table.torrents tbody .tag";
        let page = ann.get("/torrents").await.expect(200);
        assert_eq!(page.texts(TITLES), ["Other", "Before"]);
        assert_eq!(page.texts(TAGS), ["bsd", "deb", "linux"]);
        let shelf = page.attribute("table.torrents tbody td a[title]", "title").unwrap();

        let elsewhere = Db::open(&site.app.config.database_url(), 1).await.unwrap();
        let mut tx = elsewhere.write().await.unwrap();
        let linux = tags::queries::find(&mut tx, &TagName::parse("linux").unwrap()).await.unwrap().unwrap();
        tags::queries::rename(&mut tx, linux.id, &TagName::parse("aardvark").unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(ann.get("/torrents").await.texts(TAGS), ["bsd", "aardvark", "deb"], "in the order of the new names");

        let all = categories::queries::all(&mut site.app.db.read().await.unwrap()).await.unwrap();
        let used = all.iter().find(|c| c.name == shelf).unwrap();
        let parent = all.iter().find(|c| Some(c.id) == used.parent_id).map_or("", |parent| &parent.slug);
        let form = [
            ("name", "Renamed shelf"), ("slug", &used.slug), ("description", ""), ("icon", &used.icon),
            ("parent", parent), ("torznab", "8010"),
        ];
        let edit = format!("/moderation/categories/{}", used.id);
        mod_.submit(&edit, &edit, &form).await.expect(303);
        let page = ann.get("/torrents").await.expect(200);
        assert_eq!(page.attribute("table.torrents tbody td a[title]", "title").unwrap(), "Renamed shelf");
        elsewhere.close().await;
    }
}
