//! The tracker inside: swarms in memory, rights that follow the database, books that are stored in batches.
//! `announce` is what clients reach, by HTTP and through `udp`; `accounting` says how bytes are counted;
//! [`Embedded::run`] does the rest.

mod accounting;
mod address;
mod allowed;
pub mod announce;
mod answer;
mod carried;
mod counters;
#[cfg(test)]
mod held;
mod holdings;
mod id_set;
pub mod listen;
mod lookups;
mod memory;
mod numbers;
mod peers;
pub(super) mod queries;
mod request;
mod rights;
mod store;
mod swarm;
mod udp;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;

use super::{Health, Numbers};
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::db::Db;
use crate::ids::TorrentId;
use crate::search;
use crate::secrets::Secrets;
use crate::settings::Settings;
use accounting::Ledger;
use address::announce_urls;
pub use counters::Counters;
use counters::Tally;
use holdings::Most;
use lookups::Lookups;
use numbers::NumbersBook;
use rights::Rights;
use store::Store;
use swarm::{Bounds, Swarms};

const TICK: Duration = Duration::from_secs(1);
/// Between two parts of the numbers, while more wait.
const BREATH: Duration = Duration::from_millis(50);
/// Beyond two intervals, what a peer may be late before it is forgotten.
const SLACK_S: u32 = 60;
/// Days after which a silent session is forgotten, and a sample.
const SESSION_DAYS: i64 = 14;
const SAMPLE_DAYS: i64 = 400;
const DAY_S: i64 = 86_400;
/// Samples that one step of forgetting takes.
const PURGE: i64 = 200;
/// Ticks between two such steps.
const PURGE_TICKS: u64 = 10;
/// Seconds a start must lie back before anything is forgotten.
const PURGE_AFTER_START_S: i64 = 86_400;
/// Tries to store what is left when the process stops.
const LAST_TRIES: usize = 5;

pub struct Embedded {
    db: Db,
    clock: Clock,
    config: config::Tracker,
    settings: Box<dyn Fn() -> Arc<Settings> + Send + Sync>,
    rights: Rights,
    lookups: Lookups,
    swarms: Swarms,
    ledger: Ledger,
    numbers: NumbersBook,
    /// One flush at a time.
    store: tokio::sync::Mutex<Store>,
    /// Until when the numbers of an earlier run are believed.
    carried_until: Timestamp,
    carries: AtomicBool,
    trouble: Mutex<Troubles>,
    tally: Tally,
    /// What answers by UDP, from being bound until it runs, and its address.
    udp: Mutex<Option<udp::Bound>>,
    udp_address: OnceLock<SocketAddr>,
    /// One permit for each datagram that waits for the database.
    waiting: Arc<Semaphore>,
}

/// What does not work at the moment, and since when.
#[derive(Default)]
struct Troubles {
    following: Option<(Timestamp, String)>,
    writing: Option<(Timestamp, String)>,
}

impl Embedded {
    /// Loads everybody who may announce and everything that may be announced, and the numbers of the last run.
    pub async fn open(
        db: Db,
        clock: Clock,
        config: config::Tracker,
        numbers: Arc<search::Numbers>,
        settings: impl Fn() -> Arc<Settings> + Send + Sync + 'static,
    ) -> anyhow::Result<Arc<Self>> {
        let lifetime_s = config.interval_s.saturating_mul(2).saturating_add(SLACK_S);
        let tracker = Self {
            rights: Rights::default(),
            lookups: Lookups::default(),
            swarms: Swarms::new(Bounds {
                lifetime_s,
                total_peers: config.total_peers,
                of_member: Most {
                    torrents: config.member_torrents,
                    peers: config.member_peers,
                },
            }),
            ledger: Ledger::default(),
            numbers: NumbersBook::new(numbers),
            store: tokio::sync::Mutex::new(Store::new(lifetime_s, config.total_peers)),
            carried_until: clock.now().plus(i64::from(lifetime_s)),
            carries: AtomicBool::new(true),
            trouble: Mutex::default(),
            tally: Tally::default(),
            udp: Mutex::default(),
            udp_address: OnceLock::new(),
            waiting: Arc::new(Semaphore::new(udp::MOST_WAITING)),
            settings: Box::new(settings),
            db,
            clock,
            config,
        };
        tracker
            .rights
            .follow(&tracker.db, |_nobody_is_here_yet| {})
            .await
            .context("loading who may announce what")?;
        tracker
            .numbers
            .load(&tracker.db, &tracker.swarms)
            .await
            .context("loading the numbers of swarms")?;
        tracing::info!(
            infohashes = tracker.rights.torrents(),
            "the tracker is ready"
        );
        Ok(Arc::new(tracker))
    }

    /// Takes the UDP address, where one is configured, before anything is served; [`Self::run`] answers there.
    pub fn bind(&self, secrets: &Secrets) -> anyhow::Result<()> {
        let Some(listen) = self.config.udp_listen.0 else {
            return Ok(());
        };
        let bound = udp::Bound::to(listen, secrets)?;
        // Where the port was left to the system, this says which it is.
        let address = bound.address()?;
        self.udp_address.get_or_init(|| address);
        *self.udp.lock() = Some(bound);
        Ok(())
    }

    /// Where announces by UDP are answered, once it is bound.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        self.udp_address.get().copied()
    }

    /// Follows the database, answers by UDP, stores the books, forgets the silent, until `stop` says true; then stores what is left.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let bound = self.udp.lock().take();
        tokio::join!(
            self.clone().answer_datagrams(bound, stop.clone()),
            self.follow_until(stop.clone()),
            self.write_until(stop.clone()),
            self.tidy_until(stop)
        );
        self.numbers.sample_everything();
        for _ in 0..LAST_TRIES {
            match self.write_everything().await {
                Ok(()) => {
                    self.answered().await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "storing the last announces failed; trying again")
                }
            }
            tokio::time::sleep(TICK).await;
        }
        tracing::error!(
            "the last announces could not be stored; clients' next reports make up for them"
        );
    }

    /// Takes in what changed in the database, and drops who and what may not be here any more.
    pub async fn follow(&self) -> anyhow::Result<()> {
        let drop_them = |revoked: rights::Revoked| {
            for torrent in revoked.torrents {
                self.swarms.remove(torrent);
            }
            for member in revoked.members {
                self.swarms.remove_member(member);
            }
        };
        self.rights.follow(&self.db, drop_them).await
    }

    /// Lets datagrams that waited for what was stored just now have their answers.
    async fn answered(&self) {
        let all = u32::try_from(udp::MOST_WAITING).unwrap_or(u32::MAX);
        let waited = tokio::time::timeout(TICK, self.waiting.acquire_many(all)).await;
        if waited.is_err() {
            tracing::debug!("some datagrams were not answered in time");
        }
    }

    /// What was done since the start, and what is there now.
    pub fn counters(&self) -> Counters {
        self.tally
            .snapshot(self.swarms.peers(), self.swarms.occupied())
    }

    /// Stores the books and the numbers that changed, one part of each.
    pub async fn flush(&self) -> Result<bool, sqlx::Error> {
        let now = self.clock.now();
        {
            let terms = store::Terms {
                now,
                returning: now <= self.carried_until,
                max_bytes_per_s: self.config.max_bytes_per_s,
            };
            let mut store = self.store.lock().await;
            if self.rights.database_went_back() {
                store.forget_everything();
            }
            let too_fast = store
                .flush(&self.db, &self.ledger, &self.swarms, &self.numbers, terms)
                .await?;
            self.tally.too_fast(too_fast);
        }
        let numbers = self.numbers.flush(&self.db, &self.swarms, now).await?;
        let samples = self.numbers.sample(&self.db, &self.swarms, now).await?;
        Ok(numbers || samples)
    }

    async fn write_everything(&self) -> Result<(), sqlx::Error> {
        while self.flush().await? || !self.ledger.is_empty() {}
        Ok(())
    }

    /// The HTTP address, and the UDP one where that is served; with the passkey, or without for guests.
    pub fn announce_urls(&self, base_url: &str, passkey: Option<&str>) -> Vec<String> {
        announce_urls(&self.config, self.udp_address(), base_url, passkey)
    }

    /// Seeders and leechers as memory knows them; `None` when nobody is here.
    pub fn live(&self, torrent: TorrentId) -> Option<(u32, u32)> {
        let counts = self.swarms.counts(torrent)?;
        Some((counts.seeders, counts.leechers))
    }

    /// Peers in all swarms.
    pub fn peers(&self) -> usize {
        self.swarms.peers()
    }

    /// Stored numbers made as fresh as memory has them.
    pub fn refreshed(&self, torrent: TorrentId, stored: Option<Numbers>) -> Option<Numbers> {
        let live = self.live(torrent);
        let (seeders, leechers) = match (live, stored) {
            (Some(live), _) => live,
            (None, Some(_)) => (0, 0),
            (None, None) => return None,
        };
        Some(Numbers {
            seeders: i64::from(seeders),
            leechers: i64::from(leechers),
            completed: stored.map_or(0, |n| n.completed),
            updated_at: self.clock.now(),
        })
    }

    pub fn health(&self) -> Health {
        let trouble = self.trouble.lock();
        let worst = trouble.following.as_ref().or(trouble.writing.as_ref());
        match worst {
            None => Health::Well,
            Some((since, why)) => Health::Ailing {
                since: *since,
                why: why.clone(),
            },
        }
    }

    async fn follow_until(&self, mut stop: watch::Receiver<bool>) {
        let mut commits = self.db.commits();
        let mut tick = ticks();
        loop {
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                _ = tick.tick() => {}
                Ok(()) = commits.changed() => {}
            }
            let outcome = self.follow().await;
            self.note(
                |t| &mut t.following,
                "following the database",
                outcome.err().map(|e| format!("{e:#}")),
            );
        }
    }

    async fn write_until(&self, mut stop: watch::Receiver<bool>) {
        let (mut tick, mut more) = (ticks(), false);
        loop {
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                _ = tick.tick() => {}
                () = self.ledger.urgent.notified() => {}
                // Others write too.
                () = tokio::time::sleep(BREATH), if more => {}
            }
            let outcome = self.flush().await;
            let failed = outcome.is_err();
            more = matches!(outcome, Ok(true));
            self.note(
                |t| &mut t.writing,
                "storing announces",
                outcome.err().map(|e| e.to_string()),
            );
            if failed {
                tokio::time::sleep(TICK).await;
            }
        }
    }

    /// Expires one part of the swarms a tick (all within about a minute), and purges old rows in small steps.
    async fn tidy_until(&self, mut stop: watch::Receiver<bool>) {
        let mut tick = ticks();
        for n in 0u64.. {
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                _ = tick.tick() => {}
            }
            let now = self.clock.now();
            let step = usize::try_from(n % Swarms::steps() as u64).unwrap_or(0);
            self.swarms.expire(step, now);
            if now > self.carried_until && self.carries.swap(false, Ordering::Relaxed) {
                self.store.lock().await.forget_carried();
                self.swarms.forget_carried();
            }
            // Only once everybody has had the time to come back: after a long silence of the site itself the running
            // sessions look old too, and forgetting them would count their bytes twice.
            if n % PURGE_TICKS == 0
                && now > self.carried_until.plus(PURGE_AFTER_START_S)
                && let Err(error) = self.purge(now).await
            {
                tracing::warn!(%error, "forgetting old announce sessions failed");
            }
        }
    }

    /// Forgets some sessions and samples past their days.
    pub async fn purge(&self, now: Timestamp) -> Result<(), sqlx::Error> {
        let mut store = self.store.lock().await;
        let mut tx = self.db.write().await?;
        let before = now.plus(-SESSION_DAYS * DAY_S);
        let sessions = store.purge(&mut tx, before, now).await?;
        let day = super::history::day_of(now) - SAMPLE_DAYS;
        let samples = queries::purge_samples(&mut tx, day, PURGE).await?;
        if sessions + samples > 0 {
            tx.commit().await?;
        }
        Ok(())
    }

    fn note(
        &self,
        which: impl FnOnce(&mut Troubles) -> &mut Option<(Timestamp, String)>,
        what: &str,
        failure: Option<String>,
    ) {
        let mut trouble = self.trouble.lock();
        let slot = which(&mut trouble);
        match (failure, slot.is_some()) {
            (None, false) => {}
            (None, true) => {
                *slot = None;
                tracing::info!("{what} works again");
            }
            (Some(why), false) => {
                tracing::warn!("{what} fails: {why}");
                *slot = Some((self.clock.now(), format!("{what} fails: {why}")));
            }
            (Some(_), true) => {}
        }
    }
}

fn ticks() -> tokio::time::Interval {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
