//! The index through `kill -9` at any moment: while torrents come, change and go, and while it is built anew. After
//! the last start it says what the database says, and everything that was acknowledged is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::header::{CONTENT_TYPE, LOCATION, ORIGIN};
use reqwest::{Method, RequestBuilder};
use seedbank::bittorrent::metainfo::Kind;
use seedbank::db::Db;
use seedbank::search::rebuild;

use crate::commands::seedbank;
use crate::harness::database::{self, Backend};
use crate::harness::multipart::BOUNDARY;
use crate::harness::torrents::{id_in, small};
use crate::harness::{Browser, Multipart, PASSWORD, PATIENCE, run_bare};
use crate::stopping::Program;

const KILLS: usize = 12;
const MOST_KILLS: usize = 100;

/// What was acknowledged: the title a torrent must be found by, or that it must not be found. What a kill cut off may
/// have become either, and is not asked for.
#[derive(Default)]
struct Acknowledged {
    titles: BTreeMap<i64, String>,
    deleted: Vec<String>,
    made: usize,
}

/// Status and Location, unless the program was gone before it answered.
async fn answer(request: RequestBuilder) -> Option<(u16, String)> {
    let reply = request.send().await.ok()?;
    let location = reply.headers().get(LOCATION);
    let location = location.map_or("", |value| value.to_str().unwrap());
    Some((reply.status().as_u16(), location.to_owned()))
}

fn post(ann: &Browser, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut all = vec![("csrf", ann.csrf.as_str())];
    all.extend_from_slice(fields);
    ann.request(Method::POST, path)
        .header(ORIGIN, &ann.base)
        .form(&all)
}

impl Acknowledged {
    /// A torrent comes, changes or goes. `None`: nobody answers any more.
    async fn change_something(&mut self, ann: &Browser, random: &mut StdRng) -> Option<()> {
        let ids: Vec<i64> = self.titles.keys().copied().collect();
        let one = ids.get(random.random_range(0..ids.len().max(1))).copied();
        match (random.random_range(0..10), one) {
            (0 | 1, Some(id)) => {
                let title = self.titles.remove(&id)?;
                let path = format!("/torrents/{id}/delete");
                let reply = answer(post(ann, &path, &[("reason", "chance")])).await?;
                assert_eq!(reply.0, 303);
                self.deleted.push(title);
            }
            (2..=4, Some(id)) => {
                let before = self.titles.remove(&id)?;
                let title = self.title("changed");
                let path = format!("/torrents/{id}/edit");
                let fields = [("title", title.as_str()), ("category", "other")];
                assert_eq!(answer(post(ann, &path, &fields)).await?.0, 303);
                self.titles.insert(id, title);
                self.deleted.push(before);
            }
            _ => {
                let title = self.title("fresh");
                let body = Multipart::new()
                    .text("csrf", &ann.csrf)
                    .text("title", &title)
                    .text("category", "other")
                    .file("files", "upload.torrent", &small(&title, Kind::V1))
                    .finish();
                let kind = format!("multipart/form-data; boundary={BOUNDARY}");
                let request = ann
                    .request(Method::POST, "/upload")
                    .header(ORIGIN, &ann.base);
                let reply = answer(request.header(CONTENT_TYPE, kind).body(body)).await?;
                assert_eq!(reply.0, 303);
                self.titles.insert(id_in(&reply.1), title);
            }
        }
        Some(())
    }

    fn is_poor(&self) -> bool {
        self.titles.is_empty() || self.deleted.is_empty()
    }

    /// A word that no other title has.
    fn title(&mut self, word: &str) -> String {
        self.made += 1;
        format!("{word}{:04}", self.made)
    }
}

async fn is_found(ann: &mut Browser, title: &str) -> bool {
    let reply = ann.get(&format!("/torrents?q={title}")).await.expect(200);
    reply
        .texts("tbody .n > a:first-child")
        .contains(&title.to_owned())
}

/// The site may be at work yet, but not for long.
async fn is_sound_soon(directory: &Path, environment: &[(&'static str, String)]) {
    let from = Instant::now();
    loop {
        let said = seedbank(directory, environment, &["search", "check"], "").await;
        if said.code == 0 && said.stdout.contains(" 0 changes not yet followed") {
            assert!(said.stdout.contains("is sound"), "{}", said.stdout);
            return;
        }
        let so_far = format!("{}{}", said.stdout, said.stderr);
        assert!(from.elapsed() < PATIENCE, "{so_far}");
    }
}

async fn story(directory: &Path, mut settings: Vec<(&'static str, String)>, seed: u64) {
    let data_dir = directory.join("data");
    settings.extend([
        ("SEEDBANK__ACCOUNTS__ARGON2_MEMORY_KIB", "8".to_owned()),
        ("SEEDBANK__ACCOUNTS__ARGON2_PASSES", "1".to_owned()),
    ]);
    let mut environment = settings.clone();
    environment.push(("SEEDBANK__SERVER__DATA_DIR", data_dir.display().to_string()));
    let run = async |arguments: &[&str], stdin: &str| {
        seedbank(directory, &environment, arguments, stdin).await
    };
    let root = ["admin", "create", "root", "--password-stdin", "--site-url"];
    let root = [&root[..], &["http://seedbank.test"]].concat();
    run(&root, PASSWORD).await.well();
    run(&["demo", "200", "--seed", &seed.to_string()], "")
        .await
        .well();
    let db = Db::open(&settings[0].1, 1).await.unwrap();

    let mut random = StdRng::seed_from_u64(seed);
    let mut known = Acknowledged::default();
    let mut round = 0;
    // On a busy machine a life may be too short for anything to be acknowledged.
    while round < KILLS || round < MOST_KILLS && known.is_poor() {
        let mut program = Program::start(directory, &settings);
        let mut ann = Browser::new(program.site.port());
        let name = [("name", "root"), ("password", PASSWORD)];
        ann.submit("/login", "/login", &name).await.expect(303);
        ann.get("/upload").await.expect(200);
        if round == 0 {
            is_sound_soon(directory, &environment).await;
        }
        // Every other time, while it is built anew.
        if round % 2 == 1 {
            rebuild::request(&data_dir, &db).await.unwrap();
        }
        let life = Duration::from_millis(random.random_range(20..400));
        let at_work = async { while known.change_something(&ann, &mut random).await.is_some() {} };
        let kill = async {
            tokio::time::sleep(life).await;
            program.signal(libc::SIGKILL);
        };
        tokio::join!(at_work, kill);
        program.ended();
        round += 1;
    }

    let program = Program::start(directory, &settings);
    let mut ann = Browser::new(program.site.port());
    let name = [("name", "root"), ("password", PASSWORD)];
    ann.submit("/login", "/login", &name).await.expect(303);
    // What was asked for before the kills is done, and what they cut off is gone.
    let from = Instant::now();
    let left = ["search/rebuild", "search.new", "search.old"];
    while left.iter().any(|name| data_dir.join(name).exists()) {
        let said = || std::fs::read_to_string(data_dir.join(left[0]));
        assert!(from.elapsed() < PATIENCE, "not rebuilt: {:?}", said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_sound_soon(directory, &environment).await;
    assert!(!known.is_poor());
    for title in known.titles.values() {
        assert!(is_found(&mut ann, title).await, "{title} is lost");
    }
    for title in &known.deleted {
        assert!(!is_found(&mut ann, title).await, "{title} is still there");
    }
    db.close().await;
}

fn killed(backend: Backend) {
    let seed: u64 = std::env::var("SEEDBANK_TEST_SEED").map_or_else(
        |_| rand::random_range(0..10_000),
        |seed| seed.parse().unwrap(),
    );
    // Shown when the test fails.
    println!("again with SEEDBANK_TEST_SEED={seed}");
    run_bare(async {
        let Some(database) = database::fresh(backend).await else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let settings = vec![("SEEDBANK__DATABASE__URL", database.url(directory.path()))];
        story(directory.path(), settings, seed).await;
        database.remove().await;
    });
}

#[test]
fn killed_at_any_moment_on_sqlite() {
    killed(Backend::Sqlite);
}

#[test]
fn killed_at_any_moment_on_postgres() {
    killed(Backend::Postgres);
}
