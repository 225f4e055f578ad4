//! What members moved, exactly. Clients report totals per run; what counts is the difference to what was last
//! stored. The database holds the truth: [`super::store`] reads the baseline, adds the difference and writes the
//! new baseline in one transaction, so that a kill at any point neither doubles nor loses a byte: what was not
//! stored is in the next report's difference. The rules, each with a test below:
//!
//! 1. A session is (torrent, member, peer id, key), whichever of a hybrid's hashes it names: the second hash's report
//!    of the same totals adds nothing.
//! 2. A session nobody stored counts from zero, also when its `started` was lost in a kill.
//! 3. Unless sessions of that member and torrent were purged for their age: it may be a client that slept that long and
//!    goes on with its old totals, so its totals are only noted. Not so when it comes without `started` while clients
//!    of an earlier run are still expected: then `started` was most likely lost in a kill, and rule 2 holds. (A sleeper
//!    who wakes just then, and says no `started`, is counted again; the two cannot be told apart.)
//! 4. A known session counts what each counter grew.
//! 5. A counter that fell began anew: nothing is counted, and the new value is the baseline.
//! 6. Unless the report comes by another way (the other hash, another address, UDP) within [`LATE_S`] of the one that
//!    raised the baseline, and is not a `started` after a `stopped`: then it is only late, and the baseline stays.
//! 7. A report without both totals says nothing about bytes.
//! 8. `completed` counts once for a member and torrent, for ever.
//! 9. What no line can carry is noted and not counted: more, in either direction, than `max_bytes_per_s` in the time
//!    since the session's last stored change (which is never later than its last report, so that a client that could
//!    not reach us for hours may have moved a lot). A session nobody stored has had the time since the torrent was
//!    published here or the member joined, whichever was later; what was moved before is not this site's. Reports may
//!    come late and close together, so [`BURST_S`] seconds may be used in advance, and fill up again with time.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::request::{Failure, Kind};
use crate::clock::Timestamp;
use crate::ids::{TorrentId, UserId};

/// Seconds in which reports of one client by several ways may overtake each other.
pub const LATE_S: i64 = 60;
/// Seconds' worth of bytes that a session may be ahead of its line. Not above [`LATE_S`], after which marks are
/// forgotten and the burst is full again.
const BURST_S: i64 = LATE_S;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The totals last stored.
    pub baseline: Option<Totals>,
    /// Sessions of this member and torrent were purged for their age.
    pub purged: bool,
    /// Clients of an earlier run may still come back.
    pub returning: bool,
    /// When the baseline was stored; without one, since when there can have been anything to count.
    pub since: Timestamp,
    /// Which report raised the baseline; forgotten in a restart.
    pub mark: Option<Mark>,
}

/// What a report adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub added: Totals,
    /// It grew by more than a line carries, and adds nothing.
    pub too_fast: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub way: u64,
    pub at: Timestamp,
    pub stopped: bool,
    /// Bytes that may still be used in advance.
    pub burst: i64,
}

impl Known {
    /// Takes a report in; answers what it adds.
    pub fn take(&mut self, report: &Report, max_bytes_per_s: i64) -> Taken {
        let full = max_bytes_per_s.saturating_mul(BURST_S);
        let (last, burst) = self.mark.map_or((self.since, full), |m| (m.at, m.burst));
        let grew = self.grow(report, burst);
        if grew == Totals::default() {
            return Taken::default();
        }
        let elapsed_s = report.at.since(last).max(0);
        let line = max_bytes_per_s.saturating_mul(elapsed_s);
        let left = line.saturating_add(burst) - grew.uploaded.max(grew.downloaded);
        if left < 0 {
            return Taken {
                added: Totals::default(),
                too_fast: true,
            };
        }
        if let Some(mark) = &mut self.mark {
            mark.burst = left.min(full);
        }
        Taken {
            added: grew,
            too_fast: false,
        }
    }

    /// Rules 1 to 7.
    fn grow(&mut self, report: &Report, burst: i64) -> Totals {
        let Some(totals) = report.totals else {
            self.mark_stopped(report);
            return Totals::default();
        };
        let Some(baseline) = self.baseline else {
            self.baseline = Some(totals);
            self.mark = Some(mark(report, burst));
            return match self.purged && (report.started || !self.returning) {
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
                self.mark = Some(mark(report, burst));
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

fn mark(report: &Report, burst: i64) -> Mark {
    Mark {
        burst,
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
                return Err(busy(
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

fn busy(reason: &'static str) -> Failure {
    Failure::now(reason).about(Kind::Busy)
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
    /// Bytes a second: nothing here moves more in a minute.
    const LINE: i64 = 1_000;

    impl Default for Known {
        fn default() -> Self {
            Self {
                baseline: None,
                purged: false,
                returning: false,
                since: NOW,
                mark: None,
            }
        }
    }

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
            let added = known.take(report, LINE).added;
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
        assert_eq!(
            sum(&mut { purged }, &[says(700, 70), says(750, 70)]),
            (50, 0)
        );
        // A new run whose `started` was lost in a kill is no sleeper.
        let killed = Known {
            returning: true,
            ..purged
        };
        assert_eq!(sum(&mut { killed }, &[says(20, 5)]), (20, 5));
        assert_eq!(sum(&mut { killed }, &[started(700, 70)]), (0, 0));
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

    fn later(seconds: i64, report: Report) -> Report {
        Report {
            at: NOW.plus(seconds),
            ..report
        }
    }

    #[test]
    fn what_no_line_can_carry_is_noted_and_not_counted() {
        let mut known = Known {
            since: NOW,
            ..Known::default()
        };
        let burst = LINE * BURST_S;
        let mut take = |report: Report| known.take(&report, LINE);
        assert_eq!(take(started(0, 0)), Taken::default());
        let forged = take(later(100, says(burst + 100 * LINE + 1, 0)));
        assert_eq!((forged.added, forged.too_fast), (Totals::default(), true));
        // The baseline moved: what comes after is counted, and the forged part never.
        let next = take(later(200, says(burst + 100 * LINE + 501, 5)));
        assert_eq!((next.added.uploaded, next.too_fast), (500, false));
        assert_eq!(next.added.downloaded, 5);
        let forged = take(later(201, says(burst + 100 * LINE + 501, 1_000_000)));
        assert!(forged.too_fast, "either direction");
    }

    #[test]
    fn the_burst_is_used_once() {
        let mut known = Known {
            since: NOW,
            ..Known::default()
        };
        let burst = LINE * BURST_S;
        let reports = [
            started(0, 0),
            says(burst, 0),
            later(1, says(burst + LINE, 0)),
            later(2, says(burst + 3 * LINE, 0)),
        ];
        assert_eq!(sum(&mut known, &reports), (burst + LINE, 0));
        let rested = later(2 + BURST_S, says(2 * burst + 3 * LINE, 0));
        assert_eq!(sum(&mut known, &[rested]), (burst, 0));
    }

    #[test]
    fn the_honest_are_counted_however_long_they_were_away() {
        // Stored a day ago, and running at full speed since.
        let away = Known {
            baseline: Some(Totals::default()),
            since: NOW.plus(-86_400),
            ..Known::default()
        };
        let day = 86_400 * LINE;
        assert_eq!(sum(&mut { away }, &[says(day, day)]), (day, day));
        // Its `started` never arrived: it may have run since there was something to run for.
        let unknown = Known {
            baseline: None,
            ..away
        };
        assert_eq!(sum(&mut { unknown }, &[says(day, 0)]), (day, 0));
        assert_eq!(sum(&mut { unknown }, &[says(2 * day, 0)]), (0, 0));
        // Two reports of one client, the first held up on its way.
        let running = Known {
            baseline: Some(Totals::default()),
            since: NOW.plus(-1_800),
            ..Known::default()
        };
        let reports = [
            later(15, says(1_800 * LINE, 0)),
            later(16, says(1_816 * LINE, 0)),
        ];
        assert_eq!(sum(&mut { running }, &reports), (1_816 * LINE, 0));
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
