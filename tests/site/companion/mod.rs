//! The companion tracker as the site uses it: told by the outbox, asked for numbers, on bad days and by two nodes.
//! `contract` asks every kind of tracker for the same; `moods` and `real` are about what goes wrong.

/// Stories on a site of each, all at the same time, for mostly they wait: one test on SQLite, one on Postgres.
macro_rules! together {
    ($($(#[$doc:meta])* async fn $name:ident($site:ident: Site) $body:block)+) => {
        $(
            $(#[$doc])*
            async fn $name(#[allow(unused_mut)] mut $site: Site) {
                $body
                $site.end().await;
                println!("{} holds", stringify!($name));
            }
        )+

        fn all(backend: $crate::harness::Backend) {
            $crate::harness::run_bare(async {
                let mut stories: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
                $(if let Some(site) = Site::fresh(backend).await {
                    stories.push(Box::pin($name(site)));
                })+
                futures_util::future::join_all(stories).await;
            });
        }

        #[test]
        fn sqlite() {
            all($crate::harness::Backend::Sqlite);
        }

        #[test]
        fn postgres() {
            all($crate::harness::Backend::Postgres);
        }
    };
}

mod contract;
mod moods;
mod nodes;
mod numbers;
mod outbox;
mod real;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use seedbank::accounts::queries as accounts;
use seedbank::accounts::{Role, queries};
use seedbank::bittorrent::metainfo::Kind;
use seedbank::categories;
use seedbank::config::{self, Config, Secret, TrackerKind};
use seedbank::ids::{CategoryId, TorrentId, UserId};
use seedbank::on;
use seedbank::secrets::random_passkey;
use seedbank::settings::PrivateFlag;
use seedbank::torrents;
use seedbank::torrents::publish::{self, Draft, Verdict};
use seedbank::tracker::torrust::queries as companion;

use crate::harness::torrents as made;
use crate::harness::torrust_real::{self, TorrustReal};
use crate::harness::torrust_stub::{self, Mode, TorrustStub};
use crate::harness::{PATIENCE, Site};

const CLOSED: Mode = Mode {
    listed: true,
    private: true,
};
const STEP: Duration = Duration::from_millis(25);
/// Within which a revocation arrives, of the tracker's return or of its own commit: 10 s are promised, and this machine
/// runs every other test meanwhile (see `PATIENCE`).
const SOON: Duration = Duration::from_secs(30);

/// What the site is configured with to use this tracker; it looks after it each second.
fn uses(api_url: String, announce_url: String, token: &str) -> impl FnOnce(&mut Config) + use<> {
    let tracker = config::Tracker {
        kind: TrackerKind::Torrust,
        api_url,
        announce_urls: vec![announce_url],
        api_token: Secret(token.to_owned()),
        numbers_every_s: 1,
        check_every_s: 1,
        ..config::Tracker::default()
    };
    |config| {
        config.tracker = tracker;
        config.database.connections = 5;
    }
}

fn uses_stub(stub: &TorrustStub) -> impl FnOnce(&mut Config) + use<> {
    uses(stub.api_url(), stub.announce_url(), torrust_stub::TOKEN)
}

fn uses_real(real: &TorrustReal) -> impl FnOnce(&mut Config) + use<> {
    uses(real.api_url(), real.announce_url(), torrust_real::TOKEN)
}

/// Lets the site's clock go on while it lives.
struct Ticking(tokio::task::JoinHandle<()>);

impl Ticking {
    fn of(site: &Site) -> Self {
        let clock = site.clock.clone();
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                clock.advance(1);
            }
        }))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until `ready`; `what` is said where it never is.
async fn until<F>(what: &str, patience: Duration, ready: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let begun = Instant::now();
    while !ready().await {
        assert!(begun.elapsed() < patience, "waited {patience:?} for {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// A set-up site with categories, which uses no companion yet.
async fn set_up(site: &Site) -> CategoryId {
    site.set_up().await;
    let mut tx = site.app.db.write().await.unwrap();
    if categories::queries::by_slug(&mut tx, "other")
        .await
        .unwrap()
        .is_none()
    {
        categories::seed_defaults(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut conn = site.app.db.read().await.unwrap();
    let other = categories::queries::by_slug(&mut conn, "other")
        .await
        .unwrap();
    other.unwrap().id
}

/// The way of the upload form, without the form.
async fn upload(site: &Site, by: UserId, category: CategoryId, file: &[u8]) -> TorrentId {
    let draft = Draft::plain(category);
    let bytes = Bytes::copy_from_slice(file);
    let verdict = publish::publish(&site.app.intake, PrivateFlag::Any, by, bytes, &draft).await;
    match verdict.unwrap() {
        Verdict::Added(added) => added.id,
        other => panic!("{other:?}"),
    }
}

async fn delete(site: &Site, torrent: TorrentId, by: UserId) {
    let mut tx = site.app.db.write().await.unwrap();
    let gone = torrents::queries::delete(&mut tx, torrent, by, "over", site.clock.now()).await;
    assert!(gone.unwrap());
    tx.commit().await.unwrap();
}

/// Gives the member a new passkey; answers the old one.
async fn reset(site: &Site, member: UserId) -> String {
    let old = passkey(site, member).await;
    let mut tx = site.app.db.write().await.unwrap();
    let (new, now) = (random_passkey(), site.clock.now());
    accounts::rotate_passkey(&mut tx, member, &new, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    old
}

/// Bans the member; answers the passkey that is dead now.
async fn ban(site: &Site, member: UserId, by: UserId) -> String {
    let mut tx = site.app.db.write().await.unwrap();
    accounts::ban(&mut tx, member, by, "enough", site.clock.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    passkey(site, member).await
}

async fn passkey(site: &Site, member: UserId) -> String {
    let mut conn = site.app.db.read().await.unwrap();
    queries::by_id(&mut conn, member)
        .await
        .unwrap()
        .unwrap()
        .passkey
}

/// What the tracker is to know: the hashes of what is listed (of v2 the first 20 bytes), and the keys of those who
/// are not banned, with the one of nobody's.
#[derive(Debug, PartialEq, Eq)]
struct Truth {
    hashes: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl Truth {
    async fn of(site: &Site) -> Self {
        let mut conn = site.app.db.read().await.unwrap();
        const TORRENTS: &str =
            "select infohash_v1, infohash_v2 from torrents where state <> 'deleted'";
        type Row = (Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Row> = on!(conn, |c| sqlx::query_as(TORRENTS).fetch_all(c).await).unwrap();
        let hashes = rows
            .into_iter()
            .flat_map(|(v1, v2)| v1.into_iter().chain(v2))
            .map(|hash| data_encoding::HEXLOWER.encode(&hash[..20]))
            .collect();
        const MEMBERS: &str = "select passkey from users where banned_at is null";
        let keys: Vec<String> =
            on!(conn, |c| sqlx::query_scalar(MEMBERS).fetch_all(c).await).unwrap();
        let companion = companion::find(&mut conn).await.unwrap();
        let sentinel = companion.map(|c| c.sentinel).filter(|s| !s.is_empty());
        Self {
            hashes,
            keys: keys.into_iter().chain(sentinel).collect(),
        }
    }

    fn at(stub: &TorrustStub) -> Self {
        Self {
            hashes: stub.whitelist(),
            keys: stub.keys(),
        }
    }

    async fn in_file_of(real: &TorrustReal) -> Self {
        Self {
            hashes: real.whitelist().await,
            keys: real.keys().await,
        }
    }
}

/// Rows of the outbox, those included that only wait to be sent once more.
async fn rows(site: &Site) -> i64 {
    let mut conn = site.app.db.read().await.unwrap();
    on!(conn, |c| sqlx::query_scalar("select count(*) from outbox")
        .fetch_one(c)
        .await)
    .unwrap()
}

/// Nothing waits any more, and nothing is to be put in anew.
async fn is_told(site: &Site) -> bool {
    let tracker = site.app.tracker.torrust().unwrap();
    tracker.look().await.unwrap();
    let status = tracker.status();
    status.depth.waiting == 0 && !status.queueing && status.ailing.is_none()
}

async fn told(site: &Site) {
    until("everything to be told", PATIENCE, || is_told(site)).await;
}

/// A .torrent like no other.
fn file(name: &str, kind: Kind) -> Vec<u8> {
    use seedbank::bittorrent::create::Options;
    let options = Options {
        kind,
        ..Options::default()
    };
    made::with(name, &[(name, 64)], options)
}

async fn members<const N: usize>(site: &Site) -> [UserId; N] {
    let mut ids = [UserId(0); N];
    for (n, id) in ids.iter_mut().enumerate() {
        *id = site.account(&format!("member{n}"), Role::Member).await;
    }
    ids
}
