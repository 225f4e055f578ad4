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
const LARGE: usize = 20_000;
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
        match waiting.sessions.get_mut(&key) {
            Some(reports) => append(reports, report)?,
            None if full => {
                return Err(busy(
                    "the tracker cannot write at the moment; it will take your numbers with the next announce",
                ));
            }
            None => {
                waiting.sessions.insert(key, vec![report]);
            }
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
        let (batch, sessions) = {
            let mut waiting = self.waiting.lock();
            let batch = waiting.batch;
            waiting.batch += 1;
            // The next batch is about as large.
            let next = HashMap::with_capacity(waiting.sessions.len());
            (batch, std::mem::replace(&mut waiting.sessions, next))
        };
        (batch, sessions.into_iter().collect())
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

/// Adds a report to those of its session.
fn append(reports: &mut Vec<Report>, report: Report) -> Result<(), Failure> {
    let many = reports.len() >= MOST_REPORTS;
    match &mut reports[..] {
        // The middle one of three that grow adds nothing.
        [.., before, last] if before.leads_to(last) && last.leads_to(&report) => last.join(&report),
        _ if many => return Err(Failure::now("too many announces; keep to the interval")),
        _ => reports.push(report),
    }
    Ok(())
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
#[path = "accounting_tests.rs"]
mod tests;
