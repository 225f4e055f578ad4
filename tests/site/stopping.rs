//! How the program ends: in good order at the first signal, at once at the second, and in time whoever hangs on to it;
//! and that two of it do not serve from one data directory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use seedbank::db::{Db, migrate};

use crate::harness::database::{self, Backend};
use crate::harness::{PATIENCE, run_bare};

/// A started `seedbank`, killed when the test is over.
pub struct Program {
    child: Child,
    pub site: SocketAddr,
    metrics: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn command(directory: &Path, settings: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedbank"));
    command
        .envs(settings.iter().cloned())
        .env("SEEDBANK__SERVER__DATA_DIR", directory.join("data"))
        .env("SEEDBANK__SERVER__LISTEN", "127.0.0.1:0")
        .env("SEEDBANK__SERVER__METRICS_LISTEN", "127.0.0.1:0")
        .env("SEEDBANK__SEARCH__WRITER_BYTES", "15000000")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// The address in a printed line, waited for.
fn printed(lines: &Receiver<String>, before: &str) -> SocketAddr {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap();
        if let Some((start, rest)) = line.split_once("http://")
            && start.contains(before)
        {
            return rest.split('/').next().unwrap().parse().unwrap();
        }
    }
}

fn within_seconds(what: &str, so: impl Fn() -> bool) {
    let from = Instant::now();
    while !so() {
        assert!(from.elapsed() < PATIENCE, "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Program {
    pub fn start(directory: &Path, settings: &[(&str, String)]) -> Self {
        let mut child = command(directory, settings).spawn().unwrap();
        let (said, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        // Read to its end, or the program would stop at a full pipe.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _unheard = said.send(line);
            }
        });
        let site = printed(&lines, "serves");
        let metrics = printed(&lines, "Metrics");
        Self {
            child,
            site,
            metrics,
        }
    }

    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: kill takes two numbers; the child is ours and not waited for yet.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// The exit code, and how long it took from here.
    pub fn ended(&mut self) -> (Option<i32>, Duration) {
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), from.elapsed());
            }
            assert!(from.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the monitoring's address says that the site is stopping.
    fn says_it_stops(&self) {
        within_seconds("stopping", || {
            let ready = Self::get(self.metrics, "/health/ready").unwrap();
            ready.starts_with("HTTP/1.0 503") && ready.contains("stopping")
        });
    }

    fn listens_no_more(&self) {
        within_seconds("closed", || TcpStream::connect(self.site).is_err());
    }

    /// A connection that has sent this much.
    fn sends(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.site).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: seedbank.test\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Runs a story on a fresh database of either kind.
fn with(backend: Backend, story: impl FnOnce(&Path, Vec<(&'static str, String)>) + Send + 'static) {
    run_bare(async {
        let Some(database) = database::fresh(backend).await else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let settings = vec![("SEEDBANK__DATABASE__URL", database.url(&path))];
        tokio::task::spawn_blocking(move || story(&path, settings))
            .await
            .unwrap();
        database.remove().await;
    });
}

/// A connection whose form is being read, and of which only the first bytes have come.
fn half_a_form(program: &Program, keep_alive: bool) -> TcpStream {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut stream = program.sends(&format!(
        "POST /login HTTP/1.1\r\nHost: seedbank.test\r\nConnection: {connection}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\n\r\n"
    ));
    // Until the server says so it has not begun with the request, and may close an idle connection at once.
    const BEGUN: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut begun = [0; BEGUN.len()];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(begun, BEGUN);
    stream.write_all(b"name=ann").unwrap();
    stream
}

fn hangers_on_are_cut_off(directory: &Path, mut settings: Vec<(&'static str, String)>) {
    settings.push(("SEEDBANK__SERVER__SHUTDOWN_TIMEOUT_S", "5".to_owned()));
    let mut program = Program::start(directory, &settings);
    // Somebody idle, somebody slow, somebody who never finishes, and somebody who will.
    let mut idle = program.sends("GET /login HTTP/1.1\r\nHost: seedbank.test\r\n\r\n");
    idle.read_exact(&mut [0; 12]).unwrap();
    let _slow = program.sends("GET /login HTTP/1.1\r\nHost: seed");
    let _never = half_a_form(&program, true);
    let mut in_time = half_a_form(&program, false);
    program.signal(libc::SIGTERM);
    program.says_it_stops();
    program.listens_no_more();
    in_time.write_all(b"&password=ab").unwrap();
    let mut answer = String::new();
    in_time.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.ends_with("</html>\n"),
        "{answer}"
    );
    let (code, took) = program.ended();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[test]
fn hangers_on_are_cut_off_on_sqlite() {
    with(Backend::Sqlite, hangers_on_are_cut_off);
}

#[test]
fn hangers_on_are_cut_off_on_postgres() {
    with(Backend::Postgres, hangers_on_are_cut_off);
}

/// With `server.drain_s` the site goes on answering, but tells balancers to look elsewhere.
#[test]
fn a_balancer_has_time_to_notice() {
    with(Backend::Sqlite, |directory, mut settings| {
        settings.push(("SEEDBANK__SERVER__DRAIN_S", "4".to_owned()));
        let mut program = Program::start(directory, &settings);
        let ready = Program::get(program.site, "/health/ready").unwrap();
        assert!(ready.starts_with("HTTP/1.0 200"), "{ready}");
        program.signal(libc::SIGTERM);
        program.says_it_stops();
        for address in [program.site, program.metrics] {
            let ready = Program::get(address, "/health/ready").unwrap();
            assert!(
                ready.starts_with("HTTP/1.0 503") && ready.contains("stopping"),
                "{ready}"
            );
            assert!(
                Program::get(address, "/health/live")
                    .unwrap()
                    .starts_with("HTTP/1.0 200")
            );
        }
        assert!(
            Program::get(program.site, "/login")
                .unwrap()
                .starts_with("HTTP/1.0 200")
        );
        let (code, took) = program.ended();
        assert_eq!(code, Some(0));
        assert!(
            took > Duration::from_secs(1) && took < Duration::from_secs(10),
            "{took:?}"
        );
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    with(Backend::Sqlite, |directory, settings| {
        let mut program = Program::start(directory, &settings);
        let _never = half_a_form(&program, true);
        program.signal(libc::SIGTERM);
        program.says_it_stops();
        program.listens_no_more();
        std::thread::sleep(Duration::from_millis(700));
        assert!(
            program.child.try_wait().unwrap().is_none(),
            "nobody was waited for"
        );
        program.signal(libc::SIGINT);
        let (code, took) = program.ended();
        assert_eq!(code, Some(1));
        assert!(took < Duration::from_secs(6), "{took:?}");
    });
}

/// The second one is told which directory is taken; any end of the first gives it back.
#[test]
fn one_data_directory_serves_one_program() {
    with(Backend::Sqlite, |directory, settings| {
        let mut first = Program::start(directory, &settings);
        let mut second = command(directory, &settings);
        let refused = second.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        let named = directory.join("data").display().to_string();
        assert!(
            said.contains(&named) && said.contains("another seedbank"),
            "{said}"
        );
        first.signal(libc::SIGKILL);
        first.ended();
        let mut third = Program::start(directory, &settings);
        third.signal(libc::SIGINT);
        assert_eq!(third.ended().0, Some(0));
    });
}

#[test]
fn a_container_asks_the_program_itself() {
    with(Backend::Sqlite, |directory, settings| {
        let mut program = Program::start(directory, &settings);
        let health = |listen: String| {
            let mut command = command(directory, &settings);
            command
                .arg("health")
                .env("SEEDBANK__SERVER__LISTEN", listen);
            let output = command.stderr(Stdio::piped()).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(said).unwrap())
        };
        assert_eq!(
            health(program.site.to_string()),
            (Some(0), "ready\n".to_owned())
        );
        // A site on 0.0.0.0 is asked on this machine.
        assert_eq!(
            health(format!("0.0.0.0:{}", program.site.port())).0,
            Some(0)
        );
        let site = program.site.to_string();
        program.signal(libc::SIGKILL);
        program.ended();
        let (code, said) = health(site.clone());
        assert!(code == Some(1) && said.contains(&site), "{code:?} {said}");
    });
}

/// A thread of the server that ended first took the connections along that it had opened, also those that requests on
/// other threads were using: they answered 500 in the middle of an orderly stop.
fn connections_outlive_their_thread(backend: Backend) {
    run_bare(async {
        let Some(database) = database::fresh(backend).await else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(&database.url(directory.path()), 4).await.unwrap();
        let first = db.read().await.unwrap();
        let elsewhere = db.clone();
        let (mut reading, mut writing) = tokio::task::spawn_blocking(move || {
            let thread = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            thread.block_on(async {
                let reading = elsewhere.read().await.unwrap();
                (reading, elsewhere.write().await.unwrap())
            })
        })
        .await
        .unwrap();
        migrate::version(&mut reading).await.unwrap();
        migrate::version(&mut writing).await.unwrap();
        writing.commit().await.unwrap();
        drop((first, reading));
        db.close().await;
        database.remove().await;
    });
}

#[test]
fn connections_outlive_their_thread_on_sqlite() {
    connections_outlive_their_thread(Backend::Sqlite);
}

#[test]
fn connections_outlive_their_thread_on_postgres() {
    connections_outlive_their_thread(Backend::Postgres);
}
