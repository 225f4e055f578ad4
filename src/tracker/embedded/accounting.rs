//! What members moved, exactly. Clients report totals per run; what counts is the difference to what was last
//! stored. The database holds the truth: [`super::store`] reads the baseline, adds the difference and writes the
//! new baseline in one transaction, so that a kill at any point neither doubles nor loses a byte: what was not
//! stored is in the next report's difference. The rules, each with a test below:
//!
//! 1. A session is (torrent, member, peer id, key), whichever of a hybrid's hashes it names: the second hash's report
//!    of the same totals adds nothing.
//! 2. A session nobody stored counts from zero, also when its `started` was lost in a kill.
//! 3. Unless sessions of that member and torrent were purged for their age and this one says `started`: it may be a
//!    client that slept that long and goes on with its old totals, so its totals are only noted.
//! 4. A known session counts what each counter grew.
//! 5. A counter that fell began anew: nothing is counted, and the new value is the baseline.
//! 6. Unless the report comes by another way (the other hash, another address) within [`LATE_S`] of the one that
//!    raised the baseline, and is not a `started` after a `stopped`: then it is only late, and the baseline stays.
//! 7. A report without both totals says nothing about bytes.
//! 8. `completed` counts once for a member and torrent, for ever.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::request::Failure;
use crate::clock::Timestamp;
use crate::ids::{TorrentId, UserId};

/// Seconds in which reports of one client by several ways may overtake each other.
pub const LATE_S: i64 = 60;
/// Reports of one session between two batches; more is no client.
const MOST_REPORTS: usize = 32;
/// Sessions waiting to be stored while the database does not answer.
const MOST_WAITING: usize = 200_000;
/// From here on a batch does not wait for its second to pass.
const LARGE: usize = 1_000;
/// How long a client waits for its last words to be stored.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes since the client's run began, as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub uploaded: i64,
    pub downloaded: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    pub torrent: TorrentId,
    pub user: UserId,
    pub peer_id: [u8; 20],
    pub client_key: String,
}

/// One announce as the books see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub totals: Option<Totals>,
    pub started: bool,
    pub stopped: bool,
    pub completed: bool,
    pub seeding: bool,
    /// The way it came: a digest of the hash announced and the address.
    pub way: u64,
    pub at: Timestamp,
}

/// What is known of a session before a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The totals last stored.
    pub baseline: Option<Totals>,
    /// Sessions of this member and torrent were purged for their age.
    pub purged: bool,
    /// Which report raised the baseline; forgotten in a restart.
    pub mark: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub way: u64,
    pub at: Timestamp,
    pub stopped: bool,
}

impl Known {
    /// Takes a report in; answers what it adds.
    pub fn take(&mut self, report: &Report) -> Totals {
        let Some(totals) = report.totals else {
            self.mark_stopped(report);
            return Totals::default();
        };
        let Some(baseline) = self.baseline else {
            self.baseline = Some(totals);
            self.mark = Some(mark(report));
            return match self.purged && report.started {
                true => Totals::default(),
                false => totals,
            };
        };
        let added = Totals {
            uploaded: (totals.uploaded - baseline.uploaded).max(0),
            downloaded: (totals.downloaded - baseline.downloaded).max(0),
        };
        let fell = totals.uploaded < baseline.uploaded || totals.downloaded < baseline.downloaded;
        if fell && self.is_late(report) {
            self.baseline = Some(Totals {
                uploaded: totals.uploaded.max(baseline.uploaded),
                downloaded: totals.downloaded.max(baseline.downloaded),
            });
            self.mark_stopped(report);
        } else {
            self.baseline = Some(totals);
            // Equal totals by a second way leave the first one's mark, or each way would look late to the other.
            if totals == baseline {
                self.mark_stopped(report);
            } else {
                self.mark = Some(mark(report));
            }
        }
        added
    }

    fn is_late(&self, report: &Report) -> bool {
        self.mark.is_some_and(|mark| {
            mark.way != report.way
                && report.at.since(mark.at) <= LATE_S
                && !(report.started && mark.stopped)
        })
    }

    fn mark_stopped(&mut self, report: &Report) {
        if let Some(mark) = &mut self.mark {
            mark.stopped = report.stopped || (mark.stopped && !report.started);
        }
    }
}

fn mark(report: &Report) -> Mark {
    Mark {
        way: report.way,
        at: report.at,
        stopped: report.stopped,
    }
}

pub type Batch = Vec<(SessionKey, Vec<Report>)>;

/// Reports on their way to the database: gathered here, stored in batches, one after the other.
pub struct Ledger {
    waiting: Mutex<Waiting>,
    /// Wakes the writer before its second has passed.
    pub urgent: Notify,
    stored: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    sessions: HashMap<SessionKey, Vec<Report>>,
    /// The number of the batch that these will be.
    batch: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                sessions: HashMap::new(),
                batch: 1,
            }),
            urgent: Notify::new(),
            stored: watch::Sender::new(0),
        }
    }
}

impl Ledger {
    /// Notes a report; answers the number of the batch it will be stored with. Does not wait.
    pub fn note(&self, key: SessionKey, report: Report) -> Result<u64, Failure> {
        let mut waiting = self.waiting.lock();
        let full = waiting.sessions.len() >= MOST_WAITING;
        let reports = match waiting.sessions.get_mut(&key) {
            Some(reports) => reports,
            None if full => {
                return Err(Failure::now(
                    "the tracker cannot write at the moment; it will take your numbers with the next announce",
                ));
            }
            None => waiting.sessions.entry(key).or_default(),
        };
        let many = reports.len() >= MOST_REPORTS;
        match &mut reports[..] {
            // The middle one of three that grow adds nothing.
            [.., before, last] if before.leads_to(last) && last.leads_to(&report) => {
                last.join(&report);
            }
            _ if many => {
                return Err(Failure::now("too many announces; keep to the interval"));
            }
            _ => reports.push(report),
        }
        let batch = waiting.batch;
        let large = waiting.sessions.len() >= LARGE;
        drop(waiting);
        if large || report.stopped || report.completed {
            self.urgent.notify_one();
        }
        Ok(batch)
    }

    /// What waits, and the number of its batch.
    pub fn take(&self) -> (u64, Batch) {
        let mut waiting = self.waiting.lock();
        let batch = waiting.batch;
        waiting.batch += 1;
        (batch, waiting.sessions.drain().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.lock().sessions.is_empty()
    }

    /// Tells those who wait that this batch, and all before it, are stored.
    pub fn publish(&self, batch: u64) {
        self.stored.send_replace(batch);
    }

    /// Waits until a batch is stored; `false` when it takes longer than a client should wait.
    pub async fn stored(&self, batch: u64, patience: Duration) -> bool {
        let mut stored = self.stored.subscribe();
        let waited = tokio::time::timeout(patience, stored.wait_for(|&n| n >= batch)).await;
        matches!(waited, Ok(Ok(_)))
    }
}

impl Report {
    /// Whether `next` goes on where this one ends, without anything beginning anew between them.
    fn leads_to(&self, next: &Self) -> bool {
        let grew = match (self.totals, next.totals) {
            (Some(a), Some(b)) => a.uploaded <= b.uploaded && a.downloaded <= b.downloaded,
            (None, None) => true,
            _ => false,
        };
        self.way == next.way && grew && !next.started && !self.stopped
    }

    fn join(&mut self, next: &Self) {
        self.totals = next.totals;
        self.stopped |= next.stopped;
        self.completed |= next.completed;
        self.seeding = next.seeding;
        self.at = next.at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn says(uploaded: i64, downloaded: i64) -> Report {
        Report {
            totals: Some(Totals {
                uploaded,
                downloaded,
            }),
            started: false,
            stopped: false,
            completed: false,
            seeding: false,
            way: 1,
            at: NOW,
        }
    }

    fn started(uploaded: i64, downloaded: i64) -> Report {
        Report {
            started: true,
            ..says(uploaded, downloaded)
        }
    }

    fn by_other_way(report: Report) -> Report {
        Report { way: 2, ..report }
    }

    fn sum(known: &mut Known, reports: &[Report]) -> (i64, i64) {
        reports.iter().fold((0, 0), |(up, down), report| {
            let added = known.take(report);
            (up + added.uploaded, down + added.downloaded)
        })
    }

    #[test]
    fn growth_counts_once() {
        let mut known = Known::default();
        let reports = [started(0, 0), says(100, 10), says(100, 10), says(250, 30)];
        assert_eq!(sum(&mut known, &reports), (250, 30));
    }

    #[test]
    fn a_hybrids_second_hash_adds_nothing() {
        let mut known = Known::default();
        let mut reports = Vec::new();
        for report in [started(0, 0), says(100, 10), says(300, 20)] {
            reports.extend([report, by_other_way(report)]);
        }
        assert_eq!(sum(&mut known, &reports), (300, 20));
    }

    #[test]
    fn an_unknown_session_counts_from_zero() {
        assert_eq!(sum(&mut Known::default(), &[says(700, 70)]), (700, 70));
        assert_eq!(sum(&mut Known::default(), &[started(700, 70)]), (700, 70));
    }

    #[test]
    fn a_sleeper_whose_session_was_purged_is_not_counted_again() {
        let purged = Known {
            purged: true,
            ..Known::default()
        };
        assert_eq!(
            sum(&mut { purged }, &[started(700, 70), says(750, 70)]),
            (50, 0)
        );
        // A new run whose `started` was lost in a kill is no sleeper.
        assert_eq!(sum(&mut { purged }, &[says(20, 5)]), (20, 5));
        assert_eq!(sum(&mut { purged }, &[started(0, 0), says(20, 5)]), (20, 5));
    }

    #[test]
    fn a_restart_of_ours_goes_on_from_the_stored_baseline() {
        let mut stored = Known {
            baseline: Some(Totals {
                uploaded: 500,
                downloaded: 50,
            }),
            ..Known::default()
        };
        assert_eq!(sum(&mut stored, &[says(800, 60)]), (300, 10));
    }

    #[test]
    fn pausing_and_going_on_counts_once() {
        let mut known = Known::default();
        let stopped = Report {
            stopped: true,
            ..says(500, 50)
        };
        let reports = [started(0, 0), stopped, started(500, 50), says(600, 50)];
        assert_eq!(sum(&mut known, &reports), (600, 50));
    }

    #[test]
    fn counters_that_fall_count_zero_and_begin_anew() {
        let mut known = Known::default();
        let reports = [started(0, 0), says(500, 50), says(100, 50), says(130, 55)];
        assert_eq!(sum(&mut known, &reports), (530, 55));
        let mut known = Known::default();
        let reports = [started(0, 0), says(500, 50), started(0, 0), says(20, 5)];
        assert_eq!(sum(&mut known, &reports), (520, 55));
    }

    #[test]
    fn a_report_overtaken_on_its_other_way_is_only_late() {
        let mut known = Known::default();
        let reports = [
            says(500, 50),
            by_other_way(says(450, 40)),
            says(600, 60),
            by_other_way(says(600, 60)),
        ];
        assert_eq!(sum(&mut known, &reports), (600, 60));
        // The same fall long after is a client that began anew.
        let mut known = Known::default();
        let later = Report {
            at: NOW.plus(LATE_S + 1),
            ..by_other_way(says(100, 10))
        };
        let on = Report {
            at: NOW.plus(LATE_S + 2),
            ..says(150, 10)
        };
        assert_eq!(sum(&mut known, &[says(500, 50), later, on]), (550, 50));
    }

    #[test]
    fn a_start_after_a_stop_is_never_late() {
        let mut known = Known::default();
        let stopped = Report {
            stopped: true,
            ..says(500, 50)
        };
        let reports = [
            says(400, 40),
            stopped,
            by_other_way(stopped),
            by_other_way(started(0, 0)),
            started(0, 0),
            says(70, 7),
        ];
        assert_eq!(sum(&mut known, &reports), (570, 57));
    }

    #[test]
    fn missing_totals_change_nothing() {
        let mut known = Known::default();
        let silent = Report {
            totals: None,
            ..says(0, 0)
        };
        assert_eq!(
            sum(&mut known, &[says(500, 50), silent, says(600, 50)]),
            (600, 50)
        );
    }

    #[test]
    fn merging_waiting_reports_changes_no_sum() {
        let key = SessionKey {
            torrent: TorrentId(1),
            user: UserId(2),
            peer_id: [3; 20],
            client_key: String::new(),
        };
        let reports = [
            started(0, 0),
            says(10, 1),
            says(20, 2),
            by_other_way(says(20, 2)),
            says(5, 2),
            says(9, 3),
            says(12, 3),
        ];
        let ledger = Ledger::default();
        for report in reports {
            assert_eq!(ledger.note(key.clone(), report).unwrap(), 1);
        }
        let (batch, sessions) = ledger.take();
        assert_eq!((batch, sessions.len(), sessions[0].1.len()), (1, 1, 5));
        assert_eq!(
            sum(&mut Known::default(), &sessions[0].1),
            sum(&mut Known::default(), &reports)
        );
        assert!(ledger.is_empty());
        assert_eq!(ledger.note(key, says(1, 1)).unwrap(), 2);
    }

    #[test]
    fn a_flood_of_one_session_is_refused() {
        let ledger = Ledger::default();
        let key = SessionKey {
            torrent: TorrentId(1),
            user: UserId(2),
            peer_id: [3; 20],
            client_key: String::new(),
        };
        let refused = (0..100)
            .filter(|n| ledger.note(key.clone(), says(100 - n, 0)).is_err())
            .count();
        assert_eq!(refused, 100 - MOST_REPORTS);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_batch_or_with_patience() {
        let ledger = Ledger::default();
        let short = Duration::from_millis(5);
        assert!(!ledger.stored(1, short).await);
        ledger.publish(1);
        assert!(ledger.stored(1, short).await);
        assert!(!ledger.stored(2, short).await);
    }
}
