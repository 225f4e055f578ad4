//! The books' way into the database: batches of reports, each part one short transaction that reads the baselines,
//! adds what grew and stores both. A part that fails is kept and tried again; because the baseline is read anew,
//! one whose commit was answered by a broken connection is not counted twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::accounting::{Batch, Known, LATE_S, Ledger, Mark, Report, SessionKey, Totals};
use super::numbers::NumbersBook;
use super::queries::{self, Additions, Baseline, BookRow, NewNumbers};
use super::swarm::Swarms;
use crate::clock::Timestamp;
use crate::db::Db;
use crate::ids::{TorrentId, UserId};

/// Sessions in one transaction: a few milliseconds of the writer's time.
const PART: usize = 150;
/// Seconds after which a session that moved nothing is written all the same, so that it does not look asleep.
const TOUCH_S: i64 = 86_400;
const MOST_TOLD: usize = 10_000;

/// What is being stored, and what memory knows of sessions besides the database.
pub struct Store {
    batch: Batch,
    number: u64,
    marks: HashMap<SessionKey, Mark>,
    /// Sessions heard of in this run, while numbers of an earlier run are carried.
    heard: Option<HashSet<SessionKey>>,
    /// Sessions whose impossible reports were logged: each once.
    told: HashSet<SessionKey>,
}

/// What a flush goes by.
#[derive(Clone, Copy)]
pub struct Terms {
    pub now: Timestamp,
    /// Clients of an earlier run may still come back.
    pub returning: bool,
    pub max_bytes_per_s: i64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            batch: Batch::default(),
            number: 0,
            marks: HashMap::new(),
            heard: Some(HashSet::new()),
            told: HashSet::new(),
        }
    }
}

impl Store {
    /// From now on no numbers of an earlier run are carried.
    pub fn forget_carried(&mut self) {
        self.heard = None;
    }

    /// Stores what is left of the last batch, and one batch more; answers how many reports were too fast to count.
    pub async fn flush(
        &mut self,
        db: &Db,
        ledger: &Ledger,
        swarms: &Swarms,
        numbers: &NumbersBook,
        terms: Terms,
    ) -> Result<u64, sqlx::Error> {
        let mut too_fast = self.write_out(db, swarms, numbers, terms).await?;
        ledger.publish(self.number);
        if !ledger.is_empty() {
            (self.number, self.batch) = ledger.take();
            too_fast += self.write_out(db, swarms, numbers, terms).await?;
            ledger.publish(self.number);
        }
        self.marks
            .retain(|_, mark| terms.now.since(mark.at) <= LATE_S);
        Ok(too_fast)
    }

    async fn write_out(
        &mut self,
        db: &Db,
        swarms: &Swarms,
        numbers: &NumbersBook,
        terms: Terms,
    ) -> Result<u64, sqlx::Error> {
        let (mut size, mut too_fast) = (PART, 0);
        while !self.batch.is_empty() {
            let from = self.batch.len().saturating_sub(size);
            let part = &self.batch[from..];
            match write_part(db, part, &self.marks, swarms, terms).await {
                Ok(written) => {
                    self.marks.extend(written.marks);
                    too_fast += tell_once(&mut self.told, written.too_fast);
                    numbers.wrote(&written.completed);
                    if let Some(heard) = &mut self.heard {
                        note_returned(heard, part, &written.known_before, swarms);
                    }
                    self.batch.truncate(from);
                }
                // One row that the schema refuses must not hold up the others: look for it, and leave it out.
                Err(error) if is_refused(&error) && part.len() > 1 => size = 1,
                Err(error) if is_refused(&error) => {
                    let key = &part[0].0;
                    tracing::error!(torrent = %key.torrent, member = %key.user, %error, "a report cannot be stored; it is left out");
                    self.batch.truncate(from);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(too_fast)
    }
}

/// Logs each session of impossible reports once, without its passkey; answers how many reports there were.
fn tell_once(told: &mut HashSet<SessionKey>, too_fast: Vec<(SessionKey, u64)>) -> u64 {
    let mut reports = 0;
    if told.len() >= MOST_TOLD {
        told.clear();
    }
    for (key, more) in too_fast {
        reports += more;
        if !told.contains(&key) {
            tracing::warn!(
                torrent = %key.torrent,
                member = %key.user,
                "a client reports more than tracker.max_bytes_per_s allows; it is not counted"
            );
            told.insert(key);
        }
    }
    reports
}

/// Clients that an earlier run stored, and so counted, are not carried any more.
fn note_returned(
    heard: &mut HashSet<SessionKey>,
    part: &[(SessionKey, Vec<Report>)],
    known_before: &HashSet<i64>,
    swarms: &Swarms,
) {
    for ((key, reports), place) in part.iter().zip(0i64..) {
        let Some(first) = reports.first() else {
            continue;
        };
        let is_first = heard.insert(key.clone());
        if is_first && !first.started && known_before.contains(&place) {
            swarms.returned(key.torrent, first.seeding && !first.completed);
        }
    }
}

/// A row's own fault, unlike a database that is away or busy.
fn is_refused(error: &sqlx::Error) -> bool {
    use sqlx::error::ErrorKind;
    match error {
        sqlx::Error::Database(e) => !matches!(e.kind(), ErrorKind::Other),
        _ => false,
    }
}

struct Written {
    marks: Vec<(SessionKey, Mark)>,
    too_fast: Vec<(SessionKey, u64)>,
    completed: Vec<NewNumbers>,
    /// Places in the part whose sessions were stored before.
    known_before: HashSet<i64>,
}

async fn write_part(
    db: &Db,
    part: &[(SessionKey, Vec<Report>)],
    marks: &HashMap<SessionKey, Mark>,
    swarms: &Swarms,
    terms: Terms,
) -> Result<Written, sqlx::Error> {
    let now = terms.now;
    let mut tx = db.write().await?;
    let keys: Vec<&SessionKey> = part.iter().map(|(key, _)| key).collect();
    let books = queries::books(&mut tx, &keys).await?;
    let entries = entries(part, &books, marks, terms);
    queries::save_baselines(&mut tx, &entries.baselines).await?;
    queries::add_to_transfers(&mut tx, &entries.transfers, now).await?;
    queries::add_to_users(&mut tx, &entries.users).await?;
    let mut completed: BTreeMap<TorrentId, i64> = BTreeMap::new();
    for &(torrent, user) in &entries.completed {
        if queries::complete(&mut tx, torrent, user, now).await? {
            *completed.entry(torrent).or_default() += 1;
        }
    }
    let completed: Vec<NewNumbers> = completed
        .into_iter()
        .map(|(torrent, completed)| {
            let counts = swarms.counts(torrent).unwrap_or_default();
            NewNumbers {
                torrent,
                seeders: counts.seeders,
                leechers: counts.leechers,
                completed,
            }
        })
        .collect();
    queries::save_numbers(&mut tx, &completed, now).await?;
    if entries.writes_nothing() {
        drop(tx);
    } else {
        tx.commit().await?;
    }
    Ok(Written {
        marks: entries.marks,
        too_fast: entries.too_fast,
        completed,
        known_before: books
            .iter()
            .filter(|row| row.session_at.is_some())
            .map(|row| row.place)
            .collect(),
    })
}

#[derive(Default)]
struct Entries<'a> {
    baselines: Vec<Baseline<'a>>,
    transfers: Additions,
    users: BTreeMap<UserId, Totals>,
    completed: Vec<(TorrentId, UserId)>,
    marks: Vec<(SessionKey, Mark)>,
    /// Sessions with the number of their reports that were not counted.
    too_fast: Vec<(SessionKey, u64)>,
}

impl Entries<'_> {
    fn writes_nothing(&self) -> bool {
        self.baselines.is_empty() && self.transfers.is_empty()
    }
}

/// What a part of a batch comes to, given what is stored.
fn entries<'a>(
    part: &'a [(SessionKey, Vec<Report>)],
    books: &[BookRow],
    marks: &HashMap<SessionKey, Mark>,
    terms: Terms,
) -> Entries<'a> {
    let now = terms.now;
    let mut entries = Entries::default();
    let by_place: HashMap<i64, &BookRow> = books.iter().map(|row| (row.place, row)).collect();
    let nothing = BookRow::default();
    for ((key, reports), place) in part.iter().zip(0i64..) {
        let row = by_place.get(&place).copied().unwrap_or(&nothing);
        let baseline = row.uploaded.zip(row.downloaded);
        let baseline = baseline.map(|(uploaded, downloaded)| Totals {
            uploaded,
            downloaded,
        });
        let mut known = Known {
            baseline,
            purged: row.sessions_purged_at.is_some(),
            returning: terms.returning,
            since: row
                .session_at
                .or(row.published_at.max(row.joined_at))
                .unwrap_or(now),
            mark: marks.get(key).copied(),
        };
        let (mut added, mut too_fast) = (Totals::default(), 0);
        for report in reports {
            let taken = known.take(report, terms.max_bytes_per_s);
            add(&mut added, taken.added);
            too_fast += u64::from(taken.too_fast);
        }
        if too_fast > 0 {
            entries.too_fast.push((key.clone(), too_fast));
        }
        if let Some(mark) = known.mark {
            entries.marks.push((key.clone(), mark));
        }
        let is_old = |at: Option<Timestamp>| at.is_none_or(|at| now.since(at) > TOUCH_S);
        let changed = known.baseline != baseline || is_old(row.session_at);
        if let Some(totals) = known.baseline.filter(|_| changed) {
            entries.baselines.push(Baseline {
                key,
                totals,
                at: now,
            });
        }
        let pair = (key.torrent, key.user);
        let completed = reports.iter().any(|r| r.completed);
        if added != Totals::default() || completed || is_old(row.transfer_at) {
            add(entries.transfers.entry(pair).or_default(), added);
        }
        if added != Totals::default() {
            add(entries.users.entry(key.user).or_default(), added);
        }
        if completed {
            entries.completed.push(pair);
        }
    }
    entries.completed.sort_unstable();
    entries.completed.dedup();
    entries
}

fn add(sum: &mut Totals, more: Totals) {
    sum.uploaded = sum.uploaded.saturating_add(more.uploaded);
    sum.downloaded = sum.downloaded.saturating_add(more.downloaded);
}
