//! The program as the operator's shell sees it: accounts from the command line, and .torrent files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use seedbank::accounts::{Role, queries};
use seedbank::bittorrent::metainfo::{self, Kind};
use seedbank::db::Conn;
use seedbank::moderation::log;
use seedbank::web::pager::Seek;

use crate::harness::{PASSWORD, run_bare};

pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// It failed, saying `words`, and without a panic.
    pub fn refused(self, words: &str) {
        assert_eq!(self.code, 1, "{}{}", self.stdout, self.stderr);
        assert!(
            self.stderr.contains(words),
            "{words:?} not in {}",
            self.stderr
        );
    }
}

pub async fn seedbank(
    directory: &Path,
    environment: &[(&'static str, String)],
    arguments: &[&str],
    stdin: &str,
) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedbank"));
    command
        .args(arguments)
        .envs(environment.iter().cloned())
        .env("RUST_BACKTRACE", "0")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A program that reads nothing may be gone already.
        let _sent = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    })
    .await
    .unwrap()
}

/// The printed password.
fn password(stdout: &str) -> String {
    let (_, rest) = stdout.split_once("shown this once: ").unwrap();
    rest.lines().next().unwrap().to_owned()
}

/// What the admins' log says, newest first: nobody on the site did it.
async fn logged(conn: &mut Conn) -> Vec<String> {
    let entries = log::list(conn, &Seek::First, 10).await.unwrap();
    assert!(entries.iter().all(|entry| entry.actor_name.is_none()));
    entries
        .iter()
        .map(|entry| format!("{} {} {}", entry.action, entry.subject_name, entry.reason))
        .collect()
}

both! {
    /// `admin create` beside a running site that nobody has set up: the account works and the site is open.
    async fn an_admin_from_the_shell_opens_the_site(site: Site) {
        let link = site.setup_link().await.unwrap();
        let environment = site.environment();
        let run = async |arguments: &[&str], stdin: &str| {
            seedbank(site.directory(), &environment, arguments, stdin).await
        };
        run(&["admin", "create", "root", "--site-url", "seeds.example.org"], "").await.refused("--site-url");
        run(&["admin", "create", "root", "--password-stdin"], "short\n").await.refused("at least");
        run(&["admin", "create", "r"], "").await.refused("2 to 32");
        assert!(!site.app.is_set_up(), "a refusal opened the site");

        let url = ["admin", "create", "Root", "--password-stdin", "--site-url", "https://seeds.example.org/"];
        let said = run(&url, &format!("{PASSWORD}\n")).await.well();
        assert!(said.contains("Root is an admin.") && said.contains("https://seeds.example.org:"), "{said}");
        assert!(!said.contains(PASSWORD));
        site.app.reload_settings().await.unwrap();
        assert_eq!(site.app.settings().base_url, "https://seeds.example.org");
        site.browser().get(&link).await.expect(403);
        assert_eq!(site.setup_link().await, None);

        run(&["admin", "create", "ROOT"], "").await.refused("admin promote ROOT admin");
        run(&["admin", "create", "second", "--site-url", "https://x.example"], "").await.refused("set up already");
        let said = run(&["admin", "create", "second"], "").await.well();
        let mut tx = site.app.db.write().await.unwrap();
        let second = queries::by_name(&mut tx, "second").await.unwrap().unwrap();
        let hash = queries::password_hash(&mut tx, second.id).await.unwrap();
        drop(tx);
        assert_eq!(second.role, Role::Admin);
        assert!(site.app.passwords.verify(&password(&said), hash.as_deref()).await.unwrap());
        let mut conn = site.app.db.read().await.unwrap();
        assert!(!seedbank::categories::queries::all(&mut conn).await.unwrap().is_empty());
        assert_eq!(logged(&mut conn).await, ["user.create second admin", "user.create Root admin"]);
    }

    async fn roles_from_the_shell(site: Site) {
        site.set_up().await;
        site.account("ann", Role::Admin).await;
        site.account("bob", Role::Member).await;
        let environment = site.environment();
        let run = async |arguments: &[&str]| seedbank(site.directory(), &environment, arguments, "").await;
        let role = async |name: &str| {
            let mut conn = site.app.db.read().await.unwrap();
            queries::by_name(&mut conn, name).await.unwrap().unwrap().role
        };
        run(&["admin", "promote", "ann", "member"]).await.refused("last admin");
        run(&["admin", "promote", "nobody", "member"]).await.refused("no member called");
        assert_eq!(run(&["admin", "promote", "bob", "king"]).await.code, 2);
        assert_eq!((role("ann").await, role("bob").await), (Role::Admin, Role::Member));
        run(&["admin", "promote", "BOB", "admin"]).await.well();
        assert!(run(&["admin", "promote", "bob", "admin"]).await.well().contains("already"));
        run(&["admin", "promote", "ann", "uploader"]).await.well();
        assert_eq!((role("ann").await, role("bob").await), (Role::Uploader, Role::Admin));
        let log = logged(&mut site.app.db.read().await.unwrap()).await;
        assert_eq!(log, ["user.role ann admin to uploader", "user.role bob member to admin"]);
    }

    /// A new password from the shell ends the sessions of that member and of nobody else.
    async fn a_password_from_the_shell(site: Site) {
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let environment = site.environment();
        let run = async |arguments: &[&str], stdin: &str| {
            seedbank(site.directory(), &environment, arguments, stdin).await
        };
        run(&["admin", "reset-password", "ann", "--password-stdin"], "ann\n").await.refused("at least");
        ann.get("/profile/password").await.expect(200);
        let said = run(&["admin", "reset-password", "Ann"], "").await.well();
        assert_ne!(ann.get("/profile/password").await.status, 200);
        bob.get("/profile/password").await.expect(200);
        let made = password(&said);
        let mut fresh = site.browser();
        fresh.submit("/login", "/login", &[("name", "ann"), ("password", PASSWORD)]).await.expect(422);
        fresh.submit("/login", "/login", &[("name", "ann"), ("password", &made)]).await.expect(303);
        let own = "four words nobody guesses";
        run(&["admin", "reset-password", "ann", "--password-stdin"], &format!("{own}\r\n")).await.well();
        fresh.submit("/login", "/login", &[("name", "ann"), ("password", own)]).await.expect(303);
    }
}

/// `create` makes what the upload accepts, prints the hashes it will have, and never writes over a file unasked.
#[test]
fn torrents_from_the_shell() {
    run_bare(async {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let folder = here.join("dataset");
        std::fs::create_dir_all(folder.join("raw")).unwrap();
        std::fs::write(folder.join("README.md"), "two files\n").unwrap();
        std::fs::write(folder.join("raw/a.bin"), vec![7; 100_000]).unwrap();
        let run = async |arguments: &[&str]| seedbank(here, &[], arguments, "").await;

        let said = run(&["create", "dataset"]).await.well();
        let made = metainfo::parse(&std::fs::read(here.join("dataset.torrent")).unwrap()).unwrap();
        assert_eq!((made.kind, made.name.as_str()), (Kind::Hybrid, "dataset"));
        assert_eq!(made.size, 100_010);
        assert!(said.contains("2 files"), "{said}");
        assert!(said.contains(&made.infohash_v1.unwrap().to_string()));
        assert!(said.contains(&made.infohash_v2.unwrap().to_string()));

        run(&["create", "dataset", "--kind", "v1"])
            .await
            .refused("--force");
        run(&["create", "dataset", "--kind", "v1", "--force"])
            .await
            .well();
        let tracker = "https://seeds.example.org/announce/0123";
        run(&[
            "create",
            "dataset",
            "-o",
            "other.torrent",
            "--kind",
            "v2",
            "--private",
            "--piece-length",
            "64KiB",
            "--tracker",
            tracker,
            "--web-seed",
            "https://mirror.example.org/",
            "--source",
            "seeds",
        ])
        .await
        .well();
        let read = |name: &str| metainfo::parse(&std::fs::read(here.join(name)).unwrap()).unwrap();
        assert_eq!(read("dataset.torrent").kind, Kind::V1);
        let other = read("other.torrent");
        assert_eq!(
            (other.kind, other.private, other.piece_length),
            (Kind::V2, true, 65_536)
        );
        assert_eq!(other.source.as_deref(), Some("seeds"));
        assert_eq!(other.outer.web_seeds, ["https://mirror.example.org/"]);

        run(&["create", "nowhere"]).await.refused("nowhere");
        run(&[
            "create",
            "dataset",
            "-o",
            "x.torrent",
            "--piece-length",
            "100KiB",
        ])
        .await
        .refused("power of two");
        assert_eq!(run(&["create", "dataset", "--kind", "v3"]).await.code, 2);
        assert_eq!(
            run(&["create", "dataset", "--tracker", "tracker"])
                .await
                .code,
            2
        );
        let mut left: Vec<_> = std::fs::read_dir(here)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["dataset", "dataset.torrent", "other.torrent"]);
    });
}
