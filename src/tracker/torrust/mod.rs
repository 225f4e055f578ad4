//! The companion: a Torrust Tracker, told by its REST API what may be announced and by whom, and asked for numbers.
//! One node at a time speaks to it (`leases`), one call after the other, because its database takes no two changes
//! at once. No page waits for it: what it shall know stands in the outbox, what it said in our own tables.

mod api;
mod breaker;
mod deliver;
mod numbers;
pub mod probe;
pub mod queries;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Health, Numbers as Counted};
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::db::Db;
use crate::db::lease::{BEAT, Lease};
use crate::outbox::queries::{self as outbox, Depth};
use api::Api;
use deliver::Deliveries;
use numbers::Numbers;
use probe::Finding;

const LEASE: &str = "companion";
/// How often this node looks at what all nodes know.
const LOOK: Duration = Duration::from_secs(1);

pub struct Torrust {
    db: Db,
    clock: Clock,
    config: config::Tracker,
    api: Api,
    check_every: Duration,
    status: RwLock<Status>,
    /// Whether this node is the one that speaks to the tracker.
    speaks: AtomicBool,
}

/// What is known of the companion, at most a few seconds old.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub depth: Depth,
    /// When the numbers of all swarms were last fetched.
    pub counted_at: Option<Timestamp>,
    /// Since when it fails, and how.
    pub ailing: Option<(Timestamp, String)>,
    /// Everything is to be put into the outbox, or is being put.
    pub queueing: bool,
    /// What is wrong with the configuration or the tracker's.
    pub findings: Vec<Finding>,
}

impl Torrust {
    pub fn new(db: Db, clock: Clock, config: config::Tracker) -> anyhow::Result<Self> {
        Ok(Self {
            api: Api::new(&config)?,
            check_every: Duration::from_secs(config.check_every_s),
            status: RwLock::default(),
            speaks: AtomicBool::new(false),
            db,
            clock,
            config,
        })
    }

    /// Whether it serves holders of passkeys only.
    pub fn is_private(&self) -> bool {
        self.config.private
    }

    /// `{announce_url}/{passkey}`; on a tracker for everybody there are no passkeys.
    pub fn announce_urls(&self, passkey: Option<&str>) -> Vec<String> {
        let urls = self.config.announce_urls.iter();
        match passkey.filter(|_| self.config.private) {
            Some(passkey) => urls
                .map(|url| format!("{}/{passkey}", url.trim_end_matches('/')))
                .collect(),
            None => urls.cloned().collect(),
        }
    }

    /// Stored numbers with the time when they were last true: rows that did not change are not written.
    pub fn confirmed(&self, numbers: Counted) -> Counted {
        let counted_at = self.status.read().counted_at;
        Counted {
            updated_at: counted_at.map_or(numbers.updated_at, |at| at.max(numbers.updated_at)),
            ..numbers
        }
    }

    pub fn status(&self) -> Status {
        self.status.read().clone()
    }

    pub fn health(&self) -> Health {
        match &self.status.read().ailing {
            None => Health::Well,
            Some((since, why)) => Health::Ailing {
                since: *since,
                why: why.clone(),
            },
        }
    }

    /// Speaks to the tracker while it is this node's turn, until `stop` says true.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        tokio::join!(
            self.deliver_until(stop.clone()),
            self.count_until(stop.clone()),
            self.look_until(stop)
        );
    }

    /// What is wrong with the configuration, as far as can be found out now.
    pub async fn findings(&self) -> anyhow::Result<Vec<Finding>> {
        if let Some(finding) = probe::api(&self.api, &self.config).await {
            return Ok(vec![finding]);
        }
        let companion = queries::find(&mut self.db.read().await?).await?;
        let sentinel = companion.map(|c| c.sentinel).unwrap_or_default();
        Ok(probe::mode(&self.config, &sentinel).await)
    }

    /// Reads what all nodes know of the companion.
    pub async fn look(&self) -> anyhow::Result<()> {
        let mut conn = self.db.read().await?;
        let companion = queries::find(&mut conn).await?;
        let depth = outbox::depth(&mut conn).await?;
        drop(conn);
        let mut status = self.status.write();
        status.depth = depth;
        if let Some(companion) = companion {
            status.counted_at = companion.counted_at;
            status.queueing = companion.queued_at.is_none();
            status.ailing = companion
                .ailing_since
                .map(|since| (since, companion.ailing_why));
        }
        Ok(())
    }

    async fn deliver_until(&self, mut stop: watch::Receiver<bool>) {
        let holder = crate::secrets::random_token();
        let mut lease = Lease::new(self.db.clone(), LEASE, holder);
        let mut commits = self.db.commits();
        let mut deliveries = Deliveries::new(self);
        let mut tick = tokio::time::interval(BEAT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let more = match self.deliver_turn(&mut lease, &mut deliveries).await {
                Ok(more) => {
                    failing = false;
                    more
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "reading or writing the outbox failed; trying again"
                        );
                    }
                    failing = true;
                    false
                }
            };
            if *stop.borrow() {
                break;
            }
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => break,
                _ = tick.tick() => {}
                Ok(()) = commits.changed(), if !failing && self.speaks.load(Ordering::Relaxed) => {}
            }
        }
        self.speaks.store(false, Ordering::Relaxed);
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, "another node can speak to the tracker in some seconds only");
        }
    }

    async fn deliver_turn<'t>(
        &'t self,
        lease: &mut Lease,
        deliveries: &mut Deliveries<'t>,
    ) -> anyhow::Result<bool> {
        let held = self.speaks.load(Ordering::Relaxed);
        let holds = if held {
            lease.keep().await?
        } else {
            lease.hold().await?
        };
        self.speaks.store(holds, Ordering::Relaxed);
        if !holds {
            *deliveries = Deliveries::new(self);
            return Ok(false);
        }
        deliveries.turn(lease).await
    }

    async fn count_until(&self, mut stop: watch::Receiver<bool>) {
        let mut numbers = Numbers::default();
        let mut tick = tokio::time::interval(Duration::from_secs(self.config.numbers_every_s));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                _ = tick.tick() => {}
            }
            if !self.speaks.load(Ordering::Relaxed) {
                numbers.forget();
                // Soon asked again whether it is this node's turn by now.
                tick.reset_after(BEAT);
                continue;
            }
            let begun = Instant::now();
            let round = tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                round = numbers.refresh(self) => round,
            };
            match round {
                Ok(round) => {
                    let took_ms = begun.elapsed().as_millis();
                    tracing::debug!(round.swarms, round.written, took_ms, "numbers fetched");
                    failing = false;
                }
                Err(error) => {
                    // What was half written is read again.
                    numbers.forget();
                    if !failing {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "fetching the tracker's numbers failed; pages say how old theirs are"
                        );
                    }
                    failing = true;
                }
            }
        }
    }

    async fn look_until(&self, mut stop: watch::Receiver<bool>) {
        let found = async {
            match self.findings().await {
                Ok(findings) => {
                    for finding in &findings {
                        tracing::error!("{}", finding.0);
                    }
                    self.status.write().findings = findings;
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "the tracker could not be checked"
                ),
            }
        };
        let mut watched = stop.clone();
        tokio::select! {
            _ = watched.wait_for(|&stopped| stopped) => return,
            () = found => {}
        }
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|&stopped| stopped) => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.look().await {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "looking after the tracker failed"
                );
            }
        }
    }
}
