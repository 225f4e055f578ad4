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
/// Seconds until the next try: doubled from the first to the last. Revocations wait no longer than the breaker
/// does, so that they arrive within ten seconds of the tracker's return.
const FIRST_S: i64 = 1;
const LAST_S: i64 = 60;
const LAST_REVOCATION_S: i64 = 5;
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
    ///
    /// Whether it was known before is said once: an answer that is lost would leave a tracker that has forgotten
    /// everything but the sentinel. So while one is outstanding the sentinel counts as doubtful, and what follows a
    /// doubtful one is everything. What only reads is asked first, so that no absent tracker leaves a doubt.
    async fn ask(&mut self, companion: &Companion) -> anyhow::Result<bool> {
        let (db, api) = (&self.tracker.db, &self.tracker.api);
        let now = self.tracker.clock.now();
        if let Err(failure) = api.stats().await {
            return self.away(&failure).await.map(|()| false);
        }
        let trusted = companion.sentinel_at != queries::IN_DOUBT;
        let old = trusted && now.since(companion.sentinel_at) >= SENTINEL_S;
        let mut sentinel = companion.sentinel.clone();
        let mut since = if trusted { companion.sentinel_at } else { now };
        if sentinel.is_empty() {
            sentinel = random_passkey();
        }
        let Some(known) = self.post(&sentinel, companion.sentinel_at).await? else {
            return Ok(false);
        };
        let forgotten = !trusted || known == Admitted::New;
        if old && !forgotten {
            let fresh = random_passkey();
            let mut tx = db.write().await?;
            messages::retired(&mut tx, &sentinel, None, now).await?;
            tx.commit().await?;
            (sentinel, since) = (fresh, now);
            if self.post(&sentinel, queries::IN_DOUBT).await?.is_none() {
                return Ok(false);
            }
        }
        let mut tx = db.write().await?;
        queries::set_sentinel(&mut tx, &sentinel, since).await?;
        if forgotten {
            if !companion.sentinel.is_empty() {
                tracing::warn!(
                    "the tracker may have forgotten what it was told; it is told everything again"
                );
            }
            self.queueing = None;
            queries::want_everything(&mut tx).await?;
        }
        tx.commit().await?;
        self.recognised = Some(Instant::now());
        self.back(companion).await?;
        Ok(true)
    }

    /// Posts a sentinel, which is in doubt until the answer is noted; `None` where the tracker is away after all.
    /// A refusal is an answer: nothing was changed, and the time is `before` again.
    async fn post(
        &mut self,
        sentinel: &str,
        before: Timestamp,
    ) -> anyhow::Result<Option<Admitted>> {
        let db = &self.tracker.db;
        let mut tx = db.write().await?;
        queries::set_sentinel(&mut tx, sentinel, queries::IN_DOUBT).await?;
        tx.commit().await?;
        let failure = match self.tracker.api.admit(sentinel).await {
            Ok(known) => return Ok(Some(known)),
            Err(failure) => failure,
        };
        if !matches!(failure, Failure::Away(_)) {
            let mut tx = db.write().await?;
            queries::set_sentinel(&mut tx, sentinel, before).await?;
            tx.commit().await?;
        }
        self.away(&failure).await?;
        Ok(None)
    }

    /// The tracker answers.
    async fn back(&mut self, companion: &Companion) -> anyhow::Result<()> {
        let was_away = self.breaker.worked();
        if !was_away && companion.ailing_since.is_none() {
            return Ok(());
        }
        let mut tx = self.tracker.db.write().await?;
        outbox::hasten(&mut tx, self.tracker.clock.now()).await?;
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
            for (n, message) in due.iter().enumerate() {
                // Whatever was committed meanwhile may go before this: here, or by another node and not seen yet. The
                // first one goes in any case, so that a busy site gets on.
                let overtaken = self.commits.has_changed()? && !message.kind.revokes();
                if n > 0 && (overtaken || begun.elapsed() >= TURN) || !lease.keep().await? {
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
        let failure = match self.send(message).await {
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
        let given_up = hopeless || message.tries + 1 >= TRIES;
        let why = failure.to_string();
        // What takes away is never given up, nor what arrived already and is said once more.
        let goes_on = message.kind.revokes() || message.delivered_at.is_some();
        let parked_at = (given_up && !goes_on).then_some(now);
        let longest_s = match (message.kind.revokes(), hopeless) {
            (true, false) => LAST_REVOCATION_S,
            _ => LAST_S,
        };
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
            due_at: next_try(message.tries, longest_s, now),
            parked_at,
        };
        let mut tx = self.tracker.db.write().await?;
        outbox::failed(&mut tx, message, &failed).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// 1, 2, 4 .. `longest_s` seconds, each up to half shorter.
fn next_try(tries: i64, longest_s: i64, now: Timestamp) -> Timestamp {
    let pause_s = (FIRST_S << tries.clamp(0, 6)).min(longest_s);
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
            let pause = next_try(tries, LAST_S, now).since(now);
            assert!((1..=60).contains(&pause), "{tries}: {pause}");
            last = pause;
            assert!(next_try(tries, LAST_REVOCATION_S, now).since(now) <= 5);
        }
        assert!(last >= 30);
        assert!(next_try(0, LAST_S, now).since(now) <= 1);
        assert!(next_try(3, LAST_S, now).since(now) <= 8);
    }
}
