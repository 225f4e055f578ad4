//! The real Torrust Tracker 3.0.0, started by a test with a database of its own, killed and started again.
//!
//! Tests that need it are left out, and say so, where the program is not installed; with `SEEDBANK_TEST_ALL` set
//! they fail instead, unless `SEEDBANK_TEST_WITHOUT` names `torrust-tracker`, as `scripts/test fast` may.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::torrust_stub::Mode;

/// The token of its API.
pub const TOKEN: &str = "a-token-for-tests";
const PROGRAM: &str = "torrust-tracker";
/// It is ready within a quarter of a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

pub struct TorrustReal {
    program: PathBuf,
    directory: tempfile::TempDir,
    mode: Mode,
    child: Option<Child>,
    http: SocketAddr,
    api: SocketAddr,
    health: SocketAddr,
    /// Bound and never listening: the ports stay its own from one run to the next.
    _keeps_the_ports: [TcpSocket; 3],
}

impl TorrustReal {
    /// Ready to be asked; `None` where the program is missing and may be.
    pub async fn start(mode: Mode) -> Option<Self> {
        let Some(program) = installed() else {
            let without = std::env::var("SEEDBANK_TEST_WITHOUT").unwrap_or_default();
            assert!(
                std::env::var("SEEDBANK_TEST_ALL").is_err() || without.contains(PROGRAM),
                "SEEDBANK_TEST_ALL is set, but {PROGRAM} is not installed (scripts/test does it)"
            );
            eprintln!("left out: the real Torrust Tracker (scripts/test installs it)");
            return None;
        };
        let [(http, a), (api, b), (health, c)] = [(); 3].map(|()| kept_port());
        let mut tracker = Self {
            program,
            directory: tempfile::tempdir().unwrap(),
            mode,
            child: None,
            http,
            api,
            health,
            _keeps_the_ports: [a, b, c],
        };
        tracker.start_again().await;
        Some(tracker)
    }

    /// Where the API is, without a path.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Where clients announce, without a key.
    pub fn announce_url(&self) -> String {
        format!("http://{}/announce", self.http)
    }

    /// On the database that is there, and the same ports.
    pub async fn start_again(&mut self) {
        let configuration = self.directory.path().join("tracker.toml");
        std::fs::write(&configuration, self.configuration()).unwrap();
        let log = std::fs::File::create(self.log()).unwrap();
        let child = Command::new(&self.program)
            .current_dir(self.directory.path())
            .env_clear()
            .env("TORRUST_TRACKER_CONFIG_TOML_PATH", &configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while !self.answers().await {
            let ended = self.child.as_mut().and_then(|c| c.try_wait().unwrap());
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{PROGRAM} did not start: {}",
                std::fs::read_to_string(self.log()).unwrap()
            );
            tokio::time::sleep(STEP).await;
        }
    }

    /// As after the loss of its disk: nothing of what it knew is there.
    pub async fn start_again_empty(&mut self) {
        self.kill();
        for file in ["tracker.db", "tracker.db-journal"] {
            let _ = std::fs::remove_file(self.directory.path().join(file));
        }
        self.start_again().await;
    }

    /// `kill -9`. Its ports are closed, and kept, until it is started again.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// By SIGINT: to SIGTERM it closes its ports and stays for ever.
    pub async fn stop(mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        let pid = libc::pid_t::try_from(child.id()).unwrap();
        // SAFETY: kill takes any numbers; the child was not waited for yet, so its id is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{PROGRAM} does not stop");
            tokio::time::sleep(STEP).await;
        }
    }

    /// The hashes in its own database, in lower-case hex.
    pub async fn whitelist(&self) -> BTreeSet<String> {
        self.column("select info_hash from whitelist").await
    }

    pub async fn keys(&self) -> BTreeSet<String> {
        self.column("select key from keys").await
    }

    async fn column(&self, sql: &'static str) -> BTreeSet<String> {
        let mut c = SqliteConnectOptions::new()
            .filename(self.directory.path().join("tracker.db"))
            .read_only(true)
            .connect()
            .await
            .unwrap();
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut c).await.unwrap();
        c.close().await.unwrap();
        let distinct: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(distinct.len(), rows.len(), "something is there twice");
        distinct
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Both of its servers, each asked for its health.
    async fn answers(&self) -> bool {
        healthy(self.api, "/api/health_check").await && healthy(self.http, "/health_check").await
    }

    /// Short intervals, so that a test sees peers go.
    fn configuration(&self) -> String {
        let Mode { listed, private } = self.mode;
        format!(
            r#"
[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "2.0.0"

[logging]
threshold = "info"

[core]
listed = {listed}
private = {private}
inactive_peer_cleanup_interval = 2

[core.announce_policy]
interval = 5
interval_min = 2

[core.database]
driver = "sqlite3"
path = "./tracker.db"

[core.net]
external_ip = "127.0.0.1"

[core.tracker_policy]
max_peer_timeout = 20

[[http_trackers]]
bind_address = "{http}"

[http_api]
bind_address = "{api}"

[http_api.access_tokens]
tests = "{TOKEN}"

[health_check_api]
bind_address = "{health}"
"#,
            http = self.http,
            api = self.api,
            health = self.health
        )
    }
}

impl Drop for TorrustReal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody else is given while the socket lives, though a server may listen on it.
fn kept_port() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket
        .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .unwrap();
    (socket.local_addr().unwrap(), socket)
}

async fn healthy(address: SocketAddr, path: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asked.await.is_ok_and(|a| a.starts_with("HTTP/1.1 200 "))
}

/// Where `scripts/test` puts it, or where it is anyway.
fn installed() -> Option<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("SEEDBANK_TEST_TORRUST").map(PathBuf::from);
    let found = [
        cache.join("seedbank/torrust-tracker-3.0.0/bin"),
        home.join(".cargo/bin"),
    ];
    named
        .into_iter()
        .chain(
            found
                .into_iter()
                .chain(std::env::split_paths(&path))
                .map(|directory| directory.join(PROGRAM)),
        )
        .find(|file| Path::is_file(file))
}
