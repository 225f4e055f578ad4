//! Delivering the outbox to the tracker, one message at a time: revocations first, then additions, then what repeats
//! everything. And finding out, by a key of nobody's that is posted again and again, whether the tracker still has
//! the database that was filled: one that takes it for new has forgotten everything.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Torrust;
use super::api::{Admitted, Failure};
use super::breaker::{Breaker, jittered};
use super::queries::{self, Companion};
use crate::clock::Timestamp;
use crate::db::lease::Lease;
use crate::outbox::queries::{self as outbox, Failed, Message, everything};
use crate::outbox::{self as messages, Kind};
use crate::secrets::random_passkey;

/// Messages read at once.
const BATCH: i64 = 20;
/// How long deliveries go on before other work has its turn.
const TURN: Duration = Duration::from_secs(1);
/// Tries after which an addition waits for an admin.
const TRIES: i64 = 20;
/// Seconds until the next try: doubled from the first to the last.
const FIRST_S: i64 = 1;
const LAST_S: i64 = 60;
/// While its database is locked, the same call again after this, this many times.
const LOCKED: Duration = Duration::from_millis(100);
const LOCKED_TRIES: u32 = 10;
/// The pace at which everything is repeated, so that clients' announces keep their share of the tracker.
const REPEATED_PER_S: u32 = 150;
/// Seconds for which one sentinel serves. A tracker put back from a backup knows older ones only.
const SENTINEL_S: i64 = 3_600;
/// Rows put into the outbox in one step, and how long these steps go on.
const STEP: i64 = 400;
const STEPS: Duration = Duration::from_millis(200);

pub struct Deliveries<'t> {
    tracker: &'t Torrust,
    breaker: Breaker,
    /// When the sentinel was last recognised.
    recognised: Option<Instant>,
    queueing: Option<Queueing>,
    commits: watch::Receiver<u64>,
}

/// How far everything has been put into the outbox.
#[derive(Clone, Copy, Debug)]
enum Queueing {
    Retired(i64),
    Members(i64),
    Torrents(i64),
}

impl<'t> Deliveries<'t> {
    pub fn new(tracker: &'t Torrust) -> Self {
        Self {
            tracker,
            breaker: Breaker::default(),
            recognised: None,
            queueing: None,
            commits: tracker.db.commits(),
        }
    }

    /// One turn; `true` when there is more to do at once.
    pub async fn turn(&mut self, lease: &mut Lease) -> anyhow::Result<bool> {
        let companion = queries::find(&mut self.tracker.db.read().await?).await?;
        let Some(companion) = companion else {
            return Ok(false);
        };
        if !self.breaker.may_ask(Instant::now()) {
            return Ok(false);
        }
        let every = self.tracker.check_every;
        if self.breaker.is_open() || self.recognised.is_none_or(|at| at.elapsed() >= every) {
            if !self.ask(&companion).await? {
                return Ok(false);
            }
            // The row may say now that everything is wanted.
            return Ok(true);
        }
        let queueing = companion.queued_at.is_none() && self.queue_everything().await?;
        let more = self.deliver(lease).await?;
        Ok(queueing || more)
    }

    /// Posts the sentinel; answers whether the tracker is there.
    async fn ask(&mut self, companion: &Companion) -> anyhow::Result<bool> {
        let tracker = self.tracker;
        let now = tracker.clock.now();
        let first = companion.sentinel.is_empty();
        let old = now.since(companion.sentinel_at) >= SENTINEL_S;
        let known = if first {
            None
        } else {
            match tracker.api.admit(&companion.sentinel).await {
                Ok(known) => Some(known),
                Err(failure) => return self.away(&failure).await.map(|()| false),
            }
        };
        let fresh = random_passkey();
        let renew = first || old;
        if renew && let Err(failure) = tracker.api.admit(&fresh).await {
            return self.away(&failure).await.map(|()| false);
        }
        if first || renew || known == Some(Admitted::New) {
            let mut tx = tracker.db.write().await?;
            if renew {
                queries::set_sentinel(&mut tx, &fresh, now).await?;
            }
            if renew && !first {
                messages::retired(&mut tx, &companion.sentinel, None, now).await?;
            }
            if first || known == Some(Admitted::New) {
                if !first {
                    tracing::warn!(
                        "the tracker has forgotten what it was told; it is told everything again"
                    );
                }
                self.queueing = None;
                queries::want_everything(&mut tx).await?;
            }
            tx.commit().await?;
        }
        self.recognised = Some(Instant::now());
        self.back(companion).await?;
        Ok(true)
    }

    /// The tracker answers.
    async fn back(&mut self, companion: &Companion) -> anyhow::Result<()> {
        let was_away = self.breaker.worked();
        if !was_away && companion.ailing_since.is_none() {
            return Ok(());
        }
        let mut tx = self.tracker.db.write().await?;
        if was_away {
            outbox::hasten(&mut tx, self.tracker.clock.now()).await?;
        }
        queries::set_ailing(&mut tx, None).await?;
        tx.commit().await?;
        tracing::info!("the tracker answers");
        Ok(())
    }

    /// The tracker does not do what is asked of it.
    async fn away(&mut self, failure: &Failure) -> anyhow::Result<()> {
        let now = Instant::now();
        let was_open = self.breaker.is_open();
        match failure {
            Failure::Token if !was_open => self.breaker.open(now),
            _ => drop(self.breaker.failed(now)),
        }
        // A question that fails is one too many, unless it is the first after a while.
        if !self.breaker.is_open() {
            return Ok(());
        }
        if !was_open {
            tracing::warn!(%failure, "the tracker fails; messages to it wait");
        }
        let why = failure.to_string();
        let mut tx = self.tracker.db.write().await?;
        queries::set_ailing(&mut tx, Some((self.tracker.clock.now(), &why))).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Puts everything into the outbox, in small steps; `true` while there is more.
    async fn queue_everything(&mut self) -> anyhow::Result<bool> {
        let db = &self.tracker.db;
        let now = self.tracker.clock.now();
        let begun = Instant::now();
        let mut at = self.queueing.unwrap_or(Queueing::Retired(i64::MIN));
        while begun.elapsed() < STEPS {
            let mut tx = db.write().await?;
            let next = match at {
                Queueing::Retired(after) => everything::retired(&mut tx, after, STEP, now)
                    .await?
                    .map_or(Some(Queueing::Members(i64::MIN)), |last| {
                        Some(Queueing::Retired(last))
                    }),
                Queueing::Members(after) => everything::members(&mut tx, after, STEP, now)
                    .await?
                    .map_or(Some(Queueing::Torrents(i64::MIN)), |last| {
                        Some(Queueing::Members(last))
                    }),
                Queueing::Torrents(after) => everything::torrents(&mut tx, after, STEP, now)
                    .await?
                    .map(Queueing::Torrents),
            };
            if next.is_none() {
                queries::set_queued(&mut tx, now).await?;
            }
            tx.commit().await?;
            self.queueing = next;
            match next {
                Some(next) => at = next,
                None => return Ok(false),
            }
            tokio::task::yield_now().await;
        }
        Ok(true)
    }

    /// Delivers for a while; `true` when there is more.
    async fn deliver(&mut self, lease: &mut Lease) -> anyhow::Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < TURN {
            self.commits.borrow_and_update();
            let now = self.tracker.clock.now();
            let due = outbox::due(&mut self.tracker.db.read().await?, now, BATCH).await?;
            if due.is_empty() {
                return Ok(false);
            }
            let mut done = Vec::new();
            let mut outcome = Ok(true);
            for message in &due {
                // Whatever was committed meanwhile may go before this.
                let overtaken = !message.kind.revokes() && self.commits.has_changed()?;
                if overtaken || !lease.keep().await? {
                    break;
                }
                match self.deliver_one(message).await {
                    Ok(true) => done.push(message),
                    Ok(false) => {}
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
                if self.breaker.is_open() {
                    outcome = Ok(false);
                    break;
                }
            }
            if !done.is_empty() {
                let mut tx = self.tracker.db.write().await?;
                for message in done {
                    outbox::delivered(&mut tx, message, now).await?;
                }
                tx.commit().await?;
            }
            if !outcome? || !lease.is_sure() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends one message; `true` when it arrived.
    async fn deliver_one(&mut self, message: &Message) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let mut result = self.send(message).await;
        for _ in 0..LOCKED_TRIES {
            if result != Err(Failure::Locked) {
                break;
            }
            tokio::time::sleep(jittered(LOCKED)).await;
            result = self.send(message).await;
        }
        let failure = match result {
            Ok(()) => {
                self.breaker.worked();
                if message.repeats_everything() {
                    let pace = Duration::from_secs(1) / REPEATED_PER_S;
                    tokio::time::sleep(pace.saturating_sub(begun.elapsed())).await;
                }
                return Ok(true);
            }
            Err(failure) => failure,
        };
        // A token that is not accepted is no fault of the message.
        if failure != Failure::Token {
            self.note_failure(message, &failure).await?;
        }
        if !matches!(failure, Failure::Refused(_)) {
            self.away(&failure).await?;
        }
        Ok(false)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let (api, subject) = (&self.tracker.api, message.subject.as_str());
        match message.kind {
            Kind::Allow => api.allow(subject).await,
            Kind::Forbid => api.forbid(subject).await,
            Kind::Admit => api.admit(subject).await.map(drop),
            Kind::Revoke => api.revoke(subject).await,
        }
    }

    async fn note_failure(&self, message: &Message, failure: &Failure) -> anyhow::Result<()> {
        let now = self.tracker.clock.now();
        let hopeless = matches!(failure, Failure::Refused(_));
        let tried_enough = message.tries + 1 >= TRIES && !message.kind.revokes();
        // What it says may name the passkey.
        let why = failure.to_string().replace(&message.subject, "…");
        let parked_at = (hopeless || tried_enough).then_some(now);
        if parked_at.is_some() {
            tracing::error!(
                message = message.id,
                kind = message.kind.as_str(),
                why,
                "a message to the tracker is given up until an admin tries it again"
            );
        }
        let failed = Failed {
            why: &why,
            due_at: next_try(message.tries, now),
            parked_at,
        };
        let mut tx = self.tracker.db.write().await?;
        outbox::failed(&mut tx, message, &failed).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// 1, 2, 4 .. 60 seconds, each up to half shorter.
fn next_try(tries: i64, now: Timestamp) -> Timestamp {
    let pause_s = (FIRST_S << tries.clamp(0, 6)).min(LAST_S);
    let pause = jittered(Duration::from_secs(pause_s.unsigned_abs()));
    now.plus(i64::try_from(pause.as_secs_f64().ceil() as u64).unwrap_or(LAST_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rarer_up_to_a_minute() {
        let now = Timestamp(1_000);
        let mut last = 0;
        for tries in 0..200 {
            let pause = next_try(tries, now).since(now);
            assert!((1..=60).contains(&pause), "{tries}: {pause}");
            last = pause;
        }
        assert!(last >= 30);
        assert!(next_try(0, now).since(now) <= 1);
        assert!(next_try(3, now).since(now) <= 8);
    }
}
