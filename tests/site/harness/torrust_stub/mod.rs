//! A stand-in for Torrust Tracker 3.0.0: its REST API and its announces on one port, as the real program answers
//! them (`torrust_contract` holds both to the same words), with moods that can be switched at any time.
//!
//! Plain TCP, so that a half body or a dying connection is exactly that. `answers` knows what to say, this file when.

mod answers;
mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};

pub use answers::WriteCall;
use answers::{Answer, Books};
use http::{Read, Request};

/// The token that the stand-in takes.
pub const TOKEN: &str = "a-token-for-tests";

/// What is wrong with it today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// The port is closed. It is kept, and is the same one afterwards.
    Refused,
    /// Takes connections and requests, and never answers.
    BlackHole,
    /// Does the work and answers after this long, and does it too when the client has gone.
    Slow(Duration),
    /// Its database is locked: every API call fails with status 500 and a text.
    Error500,
    /// Takes no token for valid.
    WrongToken,
    /// Answers 200 with JSON of another world, or what is no JSON at all, in turn. Does nothing.
    Garbage,
    /// Does the work, announces a longer body than it sends, and closes.
    HalfBody,
    /// Does the work and closes without a word.
    DiesAfter,
    /// Forgets every hash, key and number, once; connections end as they do at a restart. Then well.
    RestartsEmpty,
}

/// What it demands of an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    pub listed: bool,
    pub private: bool,
}

/// A call that changes hashes or keys, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub call: WriteCall,
    pub arrived: Instant,
    /// When it took effect; `None` while it has not, or never did.
    pub done: Option<Instant>,
}

pub struct TorrustStub {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound and never listening: nobody else gets the port while the mood is [`Mood::Refused`].
    _keeps_the_port: TcpSocket,
    _ends_with_this: watch::Sender<()>,
}

struct Shared {
    mode: Mode,
    state: Mutex<State>,
    /// The mood, and a number that rises whenever connections must end.
    mood: watch::Sender<(Mood, u64)>,
}

#[derive(Default)]
struct State {
    books: Books,
    writes: Vec<Write>,
    calls: BTreeMap<String, u64>,
    /// Write calls whose client waits for an answer: now, and at the most so far.
    waiting: usize,
    most_waiting: usize,
    garbage: u64,
    /// Hashes and keys that no change of works.
    spoiled: BTreeSet<String>,
}

impl TorrustStub {
    pub async fn start(mode: Mode) -> Self {
        let keeper = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = keeper.local_addr().unwrap();
        let (mood, moods) = watch::channel((Mood::Well, 0));
        let shared = Arc::new(Shared {
            mode,
            state: Mutex::default(),
            mood,
        });
        let (alive, end) = watch::channel(());
        let (ready, listening) = oneshot::channel();
        tokio::spawn(serve(address, shared.clone(), moods, end, ready));
        listening.await.unwrap();
        Self {
            address,
            shared,
            _keeps_the_port: keeper,
            _ends_with_this: alive,
        }
    }

    /// Where the API is, without a path.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where clients announce, without a key.
    pub fn announce_url(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    /// From now on. A closed port is closed, and an open one open, when this returns.
    pub async fn set(&self, mood: Mood) {
        let restarts = mood == Mood::RestartsEmpty;
        if restarts {
            self.shared.state.lock().books = Books::default();
        }
        let next = if restarts { Mood::Well } else { mood };
        self.shared.mood.send_modify(|(now, epoch)| {
            let ends = restarts || (next == Mood::Refused) != (*now == Mood::Refused);
            *epoch += u64::from(ends);
            *now = next;
        });
        let opens = next != Mood::Refused;
        while TcpStream::connect(self.address).await.is_ok() != opens {
            tokio::task::yield_now().await;
        }
    }

    /// The hashes that may be announced, in lower-case hex.
    pub fn whitelist(&self) -> BTreeSet<String> {
        self.shared.state.lock().books.whitelist.clone()
    }

    pub fn keys(&self) -> BTreeSet<String> {
        let state = self.shared.state.lock();
        state.books.keys.keys().cloned().collect()
    }

    pub fn writes(&self) -> Vec<Write> {
        self.shared.state.lock().writes.clone()
    }

    /// How often a route was called, such as `POST /whitelist`, `GET /torrents`, `GET /announce`.
    pub fn calls(&self, route: &str) -> u64 {
        let state = self.shared.state.lock();
        state.calls.get(route).copied().unwrap_or(0)
    }

    /// Write calls that clients waited for at the same time, at the most.
    pub fn most_writes_at_once(&self) -> usize {
        self.shared.state.lock().most_waiting
    }

    /// Changes of this hash or key fail from now on, or work again; the answer quotes the URL, as proxies do.
    pub fn spoil(&self, subject: &str, spoiled: bool) {
        let mut state = self.shared.state.lock();
        if spoiled {
            state.spoiled.insert(subject.to_owned());
        } else {
            state.spoiled.remove(subject);
        }
    }

    /// What a swarm's numbers are from now on; a hash without any is not among the torrents.
    pub fn set_numbers(&self, hash: &str, seeders: u64, leechers: u64, completed: u64) {
        let numbers = answers::Numbers {
            seeders,
            completed,
            leechers,
        };
        let mut state = self.shared.state.lock();
        state.books.numbers.insert(hash.to_lowercase(), numbers);
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Listens while the mood allows it.
async fn serve(
    address: SocketAddr,
    shared: Arc<Shared>,
    mut moods: watch::Receiver<(Mood, u64)>,
    mut end: watch::Receiver<()>,
    ready: oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    let mut listener: Option<TcpListener> = None;
    loop {
        let open = moods.borrow_and_update().0 != Mood::Refused;
        match (open, &listener) {
            (true, None) => listener = Some(bound(address).listen(1024).unwrap()),
            (false, Some(_)) => listener = None,
            _ => {}
        }
        if let Some(ready) = ready.take() {
            ready.send(()).unwrap();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = end.changed() => return,
            _ = moods.changed() => {}
            Ok((stream, _)) = accepted => {
                tokio::spawn(connection(stream, shared.clone(), end.clone()));
            }
        }
    }
}

/// Requests one after another, until the client leaves or the mood ends the connection.
async fn connection(stream: TcpStream, shared: Arc<Shared>, mut end: watch::Receiver<()>) {
    let mut moods = shared.mood.subscribe();
    let epoch = moods.borrow_and_update().1;
    let restarted =
        async { while moods.changed().await.is_ok() && moods.borrow_and_update().1 == epoch {} };
    tokio::select! {
        _ = end.changed() => {}
        () = restarted => {}
        _ = converse(stream, &shared) => {}
    }
}

async fn converse(stream: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = http::Stream::new(stream);
    loop {
        let request = match stream.read().await? {
            Read::Request(request) => request,
            Read::TooLong => return stream.send(&Answer::empty(414).encoded()).await,
            Read::End => return Ok(()),
        };
        let arrival = Arrival::of(&request, shared);
        let mood = shared.mood.borrow().0;
        let work = Work {
            shared: shared.clone(),
            request,
            log: arrival.log,
        };
        let answer = match mood {
            Mood::BlackHole | Mood::Refused => return stream.gone().await,
            Mood::Slow(wait) => {
                // A task of its own: the real program goes on when the client has gone.
                let late = tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    work.done()
                });
                tokio::select! {
                    left = stream.gone() => return left,
                    answer = late => answer.map_err(std::io::Error::other)?,
                }
            }
            Mood::Error500 if work.request.is_api() => Answer::locked(),
            Mood::WrongToken if work.request.is_api() => Answer::token_not_valid(),
            Mood::Garbage if work.request.is_api() => shared.garbage(),
            Mood::HalfBody => {
                let whole = work.done().encoded();
                let half = whole.len() - work_left_out(&whole);
                stream.send(whole.get(..half).unwrap_or(&whole)).await?;
                return Ok(());
            }
            Mood::DiesAfter => {
                work.done();
                return Ok(());
            }
            _ => work.done(),
        };
        stream.send(&answer.encoded()).await?;
        drop(arrival.waits);
        if stream.closes {
            return stream.inner.shutdown().await;
        }
    }
}

/// The second half of a body, one byte at the least.
fn work_left_out(whole: &[u8]) -> usize {
    let head = whole.windows(4).position(|w| w == b"\r\n\r\n");
    let body = whole.len() - head.map_or(0, |at| at + 4);
    body.div_ceil(2)
}

/// What a request leaves behind the moment it is there.
struct Arrival {
    /// Its place in the log of writes, where it is one.
    log: Option<usize>,
    waits: Option<Waits>,
}

struct Waits(Arc<Shared>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

impl Arrival {
    fn of(request: &Request, shared: &Arc<Shared>) -> Self {
        let mut state = shared.state.lock();
        *state.calls.entry(request.route()).or_default() += 1;
        let Some(call) = WriteCall::of(request) else {
            return Self {
                log: None,
                waits: None,
            };
        };
        state.writes.push(Write {
            call,
            arrived: Instant::now(),
            done: None,
        });
        state.waiting += 1;
        state.most_waiting = state.most_waiting.max(state.waiting);
        Self {
            log: Some(state.writes.len() - 1),
            waits: Some(Waits(shared.clone())),
        }
    }
}

/// A request that is to be carried out.
struct Work {
    shared: Arc<Shared>,
    request: Request,
    log: Option<usize>,
}

impl Work {
    fn done(&self) -> Answer {
        let mut state = self.shared.state.lock();
        if let Some(call) = WriteCall::of(&self.request)
            && state.spoiled.contains(call.subject())
        {
            return Answer::spoiled(&self.request, call.subject());
        }
        let answer = answers::answer(&self.request, self.shared.mode, &mut state.books);
        if answer.status == 200
            && let Some(write) = self.log.and_then(|at| state.writes.get_mut(at))
        {
            write.done = Some(Instant::now());
        }
        answer
    }
}

impl Shared {
    fn garbage(&self) -> Answer {
        let mut state = self.state.lock();
        state.garbage += 1;
        match state.garbage % 2 {
            0 => Answer::json(r#"{"status":"o"#.to_owned()),
            _ => Answer::json(r#"{"weather":["rain",7],"status":null}"#.to_owned()),
        }
    }
}
