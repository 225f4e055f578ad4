//! `seedbank search check` and `seedbank search rebuild`, beside a running site and without one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;
use seedbank::db::Db;
use seedbank::db::revisions::{self, Revision};
use seedbank::search::{Filter, Search, Sort, Who};
use seedbank::{config, data_dir, exec, on};

use crate::commands::{Ended, seedbank};
use crate::harness::Site as Running;
use crate::harness::torrents::{publish, small};

/// The program in a data directory of its own, on the database of a site.
struct Tools {
    directory: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Tools {
    fn of(site: &Running, directory: PathBuf) -> Self {
        let mut environment = site.environment();
        environment.push((
            "SEEDBANK__SERVER__DATA_DIR",
            directory.display().to_string(),
        ));
        Self {
            directory,
            environment,
        }
    }

    async fn run(&self, what: &str) -> Ended {
        std::fs::create_dir_all(&self.directory).unwrap();
        seedbank(&self.directory, &self.environment, &["search", what], "").await
    }

    fn index(&self) -> PathBuf {
        self.directory.join("search")
    }

    /// Nothing but the index is left behind.
    fn is_tidy(&self) -> bool {
        ["search.new", "search.old", "search/rebuild"]
            .iter()
            .all(|name| !self.directory.join(name).exists())
    }
}

fn change_file(index: &Path, extension: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = std::fs::read_dir(index)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == extension))
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Puts `n` more of a torrent into the catalogue, all by one change; gives the last one's id.
pub async fn copies(db: &Db, id: i64, n: usize) -> i64 {
    const COPY: &str = "insert into torrents (revision, state, infohash_v1, name, title, description, category_id, \
        uploader_id, anonymous, private, size, file_count, piece_length, piece_count, web_seeds, created_at, updated_at) \
        select $1, state, $2, name, title, description, category_id, uploader_id, anonymous, private, size, file_count, \
        piece_length, piece_count, web_seeds, created_at, updated_at from torrents where id = $3 returning id";
    let mut last = 0;
    let mut tx = db.write().await.unwrap();
    let revision = revisions::bump(&mut tx, Revision::Catalogue).await.unwrap();
    for _ in 0..n {
        let hash: [u8; 20] = rand::random();
        let made = on!(tx, |c| sqlx::query_scalar(COPY)
            .bind(revision)
            .bind(&hash[..])
            .bind(id)
            .fetch_one(c)
            .await);
        last = made.unwrap();
    }
    tx.commit().await.unwrap();
    last
}

async fn sql(db: &Db, sql: &'static str, id: i64) {
    let mut tx = db.write().await.unwrap();
    assert_eq!(exec!(tx, sql, id).unwrap(), 1);
    tx.commit().await.unwrap();
}

both! {
    /// What the catalogue and the index say of each other, each kind of difference by its name.
    async fn an_index_is_compared_with_the_database(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut ids = Vec::new();
        for name in ["one", "two", "three", "four"] {
            ids.push(publish(&mut ann, &small(name, Kind::V1), name).await);
        }
        let db = &site.app.db;
        let tools = Tools::of(&site, site.directory().join("apart"));
        tools.run("check").await.refused("there is none yet");
        assert!(!tools.index().exists(), "a look changed something");
        tools.run("rebuild").await.well();
        assert!(tools.is_tidy());
        let said = tools.run("check").await.well();
        assert!(said.contains("4 torrents in the database, 4 in the index, 0 changes"), "{said}");
        assert!(said.contains("is sound"), "{said}");
        // What comes later is no fault.
        publish(&mut ann, &small("five", Kind::V1), "five").await;
        let said = tools.run("check").await.well();
        assert!(said.contains("5 torrents in the database, 4 in the index, 1 change not"), "{said}");

        tools.run("rebuild").await.well();
        sql(db, "update torrents set revision = revision - 1 where id = $1", ids[1]).await;
        sql(db, "update torrents set state = 'deleted' where id = $1", ids[2]).await;
        let missing = copies(db, ids[0], 1).await;
        sql(db, "update torrents set revision = 1 where id = $1", missing).await;
        let found = tools.run("check").await;
        let said = found.stdout.clone();
        found.refused("search rebuild");
        for words in [
            format!("- 1 torrent missing from the index: {missing}\n"),
            format!("- 1 torrent in the index as before a change: {}\n", ids[1]),
            format!("- 1 torrent in the index although deleted or unknown, or twice: {}\n", ids[2]),
        ] {
            assert!(said.contains(&words), "no {words:?} in {said}");
        }
        tools.run("rebuild").await.well();
        tools.run("check").await.well();
    }

    /// Each way in which an index is of no use is told apart, and a rebuild heals it.
    async fn an_index_of_no_use_is_told_apart(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        publish(&mut ann, &small("one", Kind::V1), "one").await;
        publish(&mut ann, &small("two", Kind::V1), "two").await;
        let tools = Tools::of(&site, site.directory().join("apart"));
        type Damage = (&'static str, fn(&Path));
        let damages: [Damage; 5] = [
            ("there is none yet", |index| std::fs::remove_dir_all(index).unwrap()),
            ("it cannot be opened", |index| std::fs::write(index.join("meta.json"), "{").unwrap()),
            ("its files are damaged", |index| change_file(index, "term", |bytes| bytes[0] ^= 1)),
            ("another version of the program", |index| {
                let meta = index.join("meta.json");
                let text = std::fs::read_to_string(&meta).unwrap();
                assert!(text.contains("\"payload\": \""), "{text}");
                std::fs::write(&meta, text.replace("\"payload\": \"", "\"payload\": \"0")).unwrap();
            }),
            ("never finished", |index| {
                let meta = index.join("meta.json");
                let text = std::fs::read_to_string(&meta).unwrap();
                std::fs::write(&meta, text.replace("\"payload\"", "\"other\"")).unwrap();
            }),
        ];
        for (words, damage) in damages {
            tools.run("rebuild").await.well();
            damage(&tools.index());
            tools.run("check").await.refused(words);
        }
        tools.run("rebuild").await.well();
        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, "update revisions set value = value - 1 where name = 'catalogue'").unwrap();
        tx.commit().await.unwrap();
        tools.run("check").await.refused("ahead of the database");
        let mut tx = site.app.db.write().await.unwrap();
        exec!(tx, "update revisions set value = value + 1 where name = 'catalogue'").unwrap();
        exec!(tx, "update identity set database_id = $1", &[7_u8; 16][..]).unwrap();
        tx.commit().await.unwrap();
        tools.run("check").await.refused("of another database");
        tools.run("rebuild").await.well();
        tools.run("check").await.well();
    }

    /// A site that holds its data directory builds the new index itself, answers completely meanwhile, and finds
    /// what comes meanwhile; the node beside it keeps its own.
    async fn a_running_site_rebuilds_while_it_answers(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let first = publish(&mut ann, &small("one", Kind::V1), "one").await;
        copies(&site.app.db, first, 3_499).await;
        site.indexed().await;
        let held = data_dir::hold(&site.data_dir()).unwrap();
        let tools = Tools::of(&site, site.data_dir());
        let marker = tools.index().join("marker");
        std::fs::write(&marker, "").unwrap();
        // As another node would have it.
        let others = site.directory().join("other");
        let config = config::Search { writer_bytes: 15_000_000 };
        let other = Search::open(&others, site.app.db.clone(), &config).unwrap();
        other.refresh_now().await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let other = tokio::spawn(other.run(stopped));
        std::fs::write(others.join("search/marker"), "").unwrap();

        let search = site.app.search.clone();
        let (over, mut is_over) = tokio::sync::watch::channel(false);
        let watch = tokio::spawn(async move {
            let mut least = u64::MAX;
            while !*is_over.borrow_and_update() {
                let found = search.page(Who::Guest, &Filter::default(), Sort::NEWEST, None, 50).unwrap();
                least = least.min(found.total);
                assert_eq!(search.progress(), None, "results are said to be incomplete");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            least
        });
        let file = small("late", Kind::V1);
        let (built, late) = tokio::join!(tools.run("rebuild"), publish(&mut ann, &file, "latecomer"));
        let said = built.well();
        assert!(said.contains("A site serves from") && said.contains("is a new one"), "{said}");
        over.send(true).unwrap();
        assert!(watch.await.unwrap() >= 3_500);
        assert!(!marker.exists() && others.join("search/marker").exists());
        assert!(tools.is_tidy());
        site.indexed().await;
        let found = site.app.search.page(Who::Guest, &Filter::words("latecomer"), Sort::NEWEST, None, 50).unwrap();
        assert_eq!(found.ids.iter().map(|id| id.0).collect::<Vec<_>>(), [late]);
        tools.run("check").await.well();

        // Where it cannot be built, whoever asked is told why, and the old one goes on answering.
        std::fs::write(site.data_dir().join("search.new"), "in the way").unwrap();
        tools.run("rebuild").await.refused("search.new");
        assert_eq!(site.app.search.documents(), 3_501);
        std::fs::remove_file(site.data_dir().join("search.new")).unwrap();
        tools.run("rebuild").await.well();

        // Without the site the command does it itself.
        drop(held);
        std::fs::write(&marker, "").unwrap();
        stop.send(true).unwrap();
        other.await.unwrap();
        site.kill().await;
        let said = tools.run("rebuild").await.well();
        assert!(!said.contains("A site serves") && !marker.exists(), "{said}");
        tools.run("check").await.well();
    }
}
