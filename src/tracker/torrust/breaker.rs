//! Whether the tracker is spoken to. A few failures in a row open the breaker: from then on it is only asked, every
//! few seconds, whether it is back, and no message's tries are spent on a tracker that is away.

use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FEW: u32 = 3;
/// Between two questions: from the first to the last. Short, because what is revoked must be dead within ten
/// seconds of the tracker's return.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Questions that were not answered.
    questions: u32,
    next: Instant,
}

impl Breaker {
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it is time to ask an absent tracker again.
    pub fn may_ask(&self, now: Instant) -> bool {
        self.open.as_ref().is_none_or(|open| now >= open.next)
    }

    /// A call failed; answers whether this opened the breaker.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.open.is_some() {
            self.unanswered(now);
            return false;
        }
        if self.failures < FEW {
            return false;
        }
        self.open(now);
        true
    }

    /// Nothing will work for now, whatever the count.
    pub fn open(&mut self, now: Instant) {
        self.open = Some(Open {
            questions: 0,
            next: now + FIRST,
        });
    }

    fn unanswered(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.questions = open.questions.saturating_add(1);
            let pause = FIRST.saturating_mul(2u32.saturating_pow(open.questions.min(8)));
            open.next = now + jittered(pause.min(LAST));
        }
    }

    /// A call worked; answers whether the tracker had been away: open, and a question went unanswered.
    pub fn worked(&mut self) -> bool {
        self.failures = 0;
        self.open.take().is_some_and(|open| open.questions > 0)
    }
}

/// Between half and all of it, so that nodes and messages do not march in step.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_open_it_and_one_success_closes_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(!breaker.failed(now) && !breaker.failed(now));
        assert!(!breaker.worked(), "it was never away");
        assert!(!breaker.failed(now) && !breaker.failed(now));
        assert!(breaker.failed(now) && breaker.is_open());
        assert!(!breaker.may_ask(now));
        assert!(breaker.may_ask(now + FIRST));
        assert!(!breaker.worked(), "it answered the first question");
        assert!(!breaker.is_open() && breaker.may_ask(now));
    }

    #[test]
    fn questions_become_rarer_up_to_a_bound() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.open(now);
        for _ in 0..100 {
            assert!(!breaker.failed(now));
            assert!(!breaker.may_ask(now));
            assert!(breaker.may_ask(now + LAST));
        }
        assert!(breaker.worked(), "it had been away");
    }
}
