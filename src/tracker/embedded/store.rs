//! The books' way into the database: batches of reports, each part one short transaction that adds what grew and
//! stores the new baselines. Baselines that this process stored or read are remembered, so that most reports need no
//! reading, and those that change nothing no transaction. A part that fails is kept and tried again; because its
//! baselines are read anew, one whose commit was answered by a broken connection is not counted twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::accounting::{Batch, Known, LATE_S, Ledger, Mark, Report, SessionKey, Totals};
use super::memory::{Memory, Remembered};
use super::numbers::NumbersBook;
use super::queries::{self, Additions, Baseline, BookRow, NewNumbers, StoredNumbers};
use super::swarm::Swarms;
use crate::clock::Timestamp;
use crate::db::{Db, Tx};
use crate::ids::{TorrentId, UserId};

/// Sessions in the first transaction, and in any.
const PART: usize = 128;
const MOST: usize = 4_096;
/// How long one transaction should hold the writer at the most.
const HELD: Duration = Duration::from_millis(25);
/// Seconds after which a session that moved nothing is written all the same, so that it does not look asleep, and
/// to which a transfer's last use is known, because it is in an index.
const TOUCH_S: i64 = 86_400;
const MOST_TOLD: usize = 10_000;
/// Sessions that one step of purging looks at.
const PURGE: i64 = 1_000;

/// What is being stored, and what memory knows of sessions besides the database.
pub struct Store {
    batch: Batch,
    number: u64,
    part: usize,
    /// What the database holds. Only this process writes it; what is being written is taken out first, so that
    /// whatever becomes of the transaction, it is read again unless the commit was seen to succeed.
    stored: Memory<Remembered>,
    marks: Memory<Mark>,
    /// Sessions heard of in this run, while numbers of an earlier run are carried.
    heard: Option<HashSet<SessionKey>>,
    /// Sessions whose impossible reports were logged: each once.
    told: HashSet<SessionKey>,
    /// The session up to which old ones were purged; from the first one again without it.
    purged: Option<SessionKey>,
}

/// What a flush goes by.
#[derive(Clone, Copy)]
pub struct Terms {
    pub now: Timestamp,
    /// Clients of an earlier run may still come back.
    pub returning: bool,
    pub max_bytes_per_s: i64,
}

impl Store {
    /// Remembers at most `most` sessions, each for as long as its peer lives.
    pub fn new(lifetime_s: u32, most: usize) -> Self {
        Self {
            batch: Batch::default(),
            number: 0,
            part: PART,
            stored: Memory::new(i64::from(lifetime_s), most),
            marks: Memory::new(LATE_S, most),
            heard: Some(HashSet::new()),
            told: HashSet::new(),
            purged: None,
        }
    }

    /// From now on no numbers of an earlier run are carried.
    pub fn forget_carried(&mut self) {
        self.heard = None;
    }

    /// Forgets some of the sessions that were stored before `before`; answers how many.
    pub async fn purge(
        &mut self,
        tx: &mut Tx,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let from = self.purged.take();
        let (forgotten, next) =
            queries::purge_sessions(tx, before, from.as_ref(), PURGE, now).await?;
        self.purged = next;
        if forgotten > 0 {
            self.stored.forget(|known| known.session_at < before);
        }
        Ok(forgotten)
    }

    /// The database is not the one that was written.
    pub fn forget_everything(&mut self) {
        self.stored.forget(|_| true);
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
        self.stored.turn(terms.now);
        self.marks.turn(terms.now);
        let mut too_fast = self.write_out(db, swarms, numbers, terms).await?;
        ledger.publish(self.number);
        if !ledger.is_empty() {
            (self.number, self.batch) = ledger.take();
            // Neighbours in the tables next to each other, so that a part writes few pages.
            self.batch.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            too_fast += self.write_out(db, swarms, numbers, terms).await?;
            ledger.publish(self.number);
        }
        Ok(too_fast)
    }

    async fn write_out(
        &mut self,
        db: &Db,
        swarms: &Swarms,
        numbers: &NumbersBook,
        terms: Terms,
    ) -> Result<u64, sqlx::Error> {
        self.leave_out_unchanged(terms);
        let mut too_fast = 0;
        while !self.batch.is_empty() {
            let from = self.batch.len().saturating_sub(self.part);
            let part = &self.batch[from..];
            let known: Vec<Option<BookRow>> = part
                .iter()
                .map(|(key, _)| self.stored.take(key).map(BookRow::from))
                .collect();
            let begun = Instant::now();
            match write_part(db, part, &known, &mut self.marks, swarms, terms).await {
                Ok(written) => {
                    if let Some(heard) = &mut self.heard {
                        note_returned(heard, part, &written.known_before, swarms);
                    }
                    for (key, stored) in written.stored {
                        self.stored.put(key, stored);
                    }
                    for (key, mark) in written.marks {
                        self.marks.put(key, mark);
                    }
                    too_fast += tell_once(&mut self.told, written.too_fast);
                    for row in &written.completed {
                        swarms.stored(row.torrent, row.size);
                    }
                    numbers.wrote(&written.completed);
                    self.batch.truncate(from);
                    self.part = next_part(self.part, begun.elapsed());
                }
                // One row that the schema refuses must not hold up the others: look for it, and leave it out.
                Err(error) if is_refused(&error) && part.len() > 1 => self.part = 1,
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

    /// Most announces come from clients that moved nothing since their last one.
    fn leave_out_unchanged(&mut self, terms: Terms) {
        let Self { stored, marks, .. } = self;
        self.batch.retain(|(key, reports)| {
            let Some(known) = stored.get(key) else {
                return true;
            };
            let mark = marks.get(key);
            let judged = judge(reports, &BookRow::from(known), mark, terms);
            if judged.writes() {
                return true;
            }
            if let Some(mark) = judged.mark.filter(|_| judged.mark != mark) {
                marks.put(key.clone(), mark);
            }
            false
        });
    }
}

/// Sessions for the next transaction, given how long one of `part` took.
fn next_part(part: usize, took: Duration) -> usize {
    if took > HELD {
        (part / 2).max(1)
    } else if took * 2 < HELD {
        (part * 2).min(MOST)
    } else {
        part
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
    stored: Vec<(SessionKey, Remembered)>,
    marks: Vec<(SessionKey, Mark)>,
    too_fast: Vec<(SessionKey, u64)>,
    completed: Vec<StoredNumbers>,
    /// Places in the part whose sessions an earlier run may have stored.
    known_before: HashSet<i64>,
}

/// Stores a part, of which `known` says what is stored already, where that is remembered.
async fn write_part(
    db: &Db,
    part: &[(SessionKey, Vec<Report>)],
    known: &[Option<BookRow>],
    marks: &mut Memory<Mark>,
    swarms: &Swarms,
    terms: Terms,
) -> Result<Written, sqlx::Error> {
    let now = terms.now;
    let mut tx = db.write().await?;
    let unknown: Vec<(i64, &SessionKey)> = (0i64..)
        .zip(part.iter().zip(known))
        .filter(|(_, (_, known))| known.is_none())
        .map(|(place, ((key, _), _))| (place, key))
        .collect();
    let read = queries::books(&mut tx, &unknown).await?;
    let known_before = read
        .iter()
        .filter(|row| row.session_at.is_some())
        .map(|row| row.place)
        .collect();
    let read: HashMap<i64, BookRow> = read.into_iter().map(|row| (row.place, row)).collect();
    let entries = entries(part, known, &read, marks, terms);
    queries::save_baselines(&mut tx, &entries.baselines).await?;
    queries::add_to_transfers(&mut tx, &entries.transfers, now).await?;
    queries::add_to_users(&mut tx, &entries.users).await?;
    let mut completed: BTreeMap<TorrentId, i64> = BTreeMap::new();
    for &(torrent, user) in &entries.completed {
        if queries::complete(&mut tx, torrent, user, now).await? {
            *completed.entry(torrent).or_default() += 1;
        }
    }
    let completed = save_completed(&mut tx, &completed, swarms, now).await?;
    if entries.writes_nothing() {
        drop(tx);
    } else {
        tx.commit().await?;
    }
    Ok(Written {
        stored: entries.stored,
        marks: entries.marks,
        too_fast: entries.too_fast,
        completed,
        known_before,
    })
}

/// Adds to how often torrents were completed, with their numbers of now; answers what is stored then.
async fn save_completed(
    tx: &mut Tx,
    more: &BTreeMap<TorrentId, i64>,
    swarms: &Swarms,
    now: Timestamp,
) -> Result<Vec<StoredNumbers>, sqlx::Error> {
    if more.is_empty() {
        return Ok(Vec::new());
    }
    // Until the commit is seen to succeed nobody knows what is stored.
    swarms.mark_changed(more.keys().copied());
    let row = |(&torrent, &completed)| NewNumbers {
        torrent,
        size: swarms.counts(torrent).unwrap_or_default().size(),
        completed,
    };
    let rows: Vec<NewNumbers> = more.iter().map(row).collect();
    queries::save_numbers(tx, &rows, now).await?;
    let torrents: Vec<TorrentId> = more.keys().copied().collect();
    let completed = queries::completed_of(tx, &torrents).await?;
    let completed: HashMap<TorrentId, i64> = completed.into_iter().collect();
    let stored = |row: &NewNumbers| StoredNumbers {
        torrent: row.torrent,
        size: row.size,
        completed: completed.get(&row.torrent).copied().unwrap_or(0),
        updated_at: now,
    };
    Ok(rows.iter().map(stored).collect())
}

#[derive(Default)]
struct Entries<'a> {
    baselines: Vec<Baseline<'a>>,
    transfers: Additions,
    users: BTreeMap<UserId, Totals>,
    completed: Vec<(TorrentId, UserId)>,
    stored: Vec<(SessionKey, Remembered)>,
    marks: Vec<(SessionKey, Mark)>,
    /// Sessions with the number of their reports that were not counted.
    too_fast: Vec<(SessionKey, u64)>,
}

impl Entries<'_> {
    fn writes_nothing(&self) -> bool {
        self.baselines.is_empty() && self.transfers.is_empty()
    }
}

/// What a session's reports come to, given what is stored of it.
struct Judged {
    baseline: Option<Totals>,
    mark: Option<Mark>,
    added: Totals,
    too_fast: u64,
    completed: bool,
    /// Whether the session's row is written, and the transfer's, and whether that says that it was used now.
    session: bool,
    transfer: bool,
    touches: bool,
}

impl Judged {
    fn writes(&self) -> bool {
        self.session || self.transfer
    }
}

fn judge(reports: &[Report], row: &BookRow, mark: Option<Mark>, terms: Terms) -> Judged {
    let now = terms.now;
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
        mark: mark.filter(|mark| now.since(mark.at) <= LATE_S),
    };
    let (mut added, mut too_fast) = (Totals::default(), 0);
    for report in reports {
        let taken = known.take(report, terms.max_bytes_per_s);
        add(&mut added, taken.added);
        too_fast += u64::from(taken.too_fast);
    }
    let is_old = |at: Option<Timestamp>| at.is_none_or(|at| now.since(at) > TOUCH_S);
    let completed = reports.iter().any(|r| r.completed);
    let changed = known.baseline != baseline || is_old(row.session_at);
    let touches = is_old(row.transfer_at);
    Judged {
        baseline: known.baseline,
        mark: known.mark,
        added,
        too_fast,
        completed,
        session: known.baseline.is_some() && changed,
        transfer: added != Totals::default() || completed || touches,
        touches,
    }
}

/// What a part of a batch comes to, given what is stored.
fn entries<'a>(
    part: &'a [(SessionKey, Vec<Report>)],
    known: &[Option<BookRow>],
    read: &HashMap<i64, BookRow>,
    marks: &mut Memory<Mark>,
    terms: Terms,
) -> Entries<'a> {
    let now = terms.now;
    let mut entries = Entries::default();
    let nothing = BookRow::default();
    for ((key, reports), (place, known)) in part.iter().zip((0i64..).zip(known)) {
        let row = known.as_ref().or(read.get(&place)).unwrap_or(&nothing);
        let judged = judge(reports, row, marks.get(key), terms);
        if judged.too_fast > 0 {
            entries.too_fast.push((key.clone(), judged.too_fast));
        }
        if let Some(mark) = judged.mark {
            entries.marks.push((key.clone(), mark));
        }
        if let Some(totals) = judged.baseline.filter(|_| judged.session) {
            entries.baselines.push(Baseline {
                key,
                totals,
                at: now,
            });
        }
        let at =
            |written: bool, before: Option<Timestamp>| if written { Some(now) } else { before };
        let session_at = at(judged.session, row.session_at);
        let transfer_at = at(judged.touches, row.transfer_at);
        if let (Some(baseline), Some(session_at), Some(transfer_at)) =
            (judged.baseline, session_at, transfer_at)
        {
            let stored = Remembered {
                baseline,
                session_at,
                transfer_at,
            };
            entries.stored.push((key.clone(), stored));
        }
        let pair = (key.torrent, key.user);
        if judged.transfer {
            let addition = entries.transfers.entry(pair).or_default();
            add(&mut addition.totals, judged.added);
            addition.touches |= judged.touches;
        }
        if judged.added != Totals::default() {
            add(entries.users.entry(key.user).or_default(), judged.added);
        }
        if judged.completed {
            entries.completed.push(pair);
        }
    }
    entries.completed.sort_unstable();
    entries.completed.dedup();
    entries
}

impl From<Remembered> for BookRow {
    /// Of a stored session nothing else is asked.
    fn from(known: Remembered) -> Self {
        Self {
            uploaded: Some(known.baseline.uploaded),
            downloaded: Some(known.baseline.downloaded),
            session_at: Some(known.session_at),
            transfer_at: Some(known.transfer_at),
            ..Self::default()
        }
    }
}

fn add(sum: &mut Totals, more: Totals) {
    sum.uploaded = sum.uploaded.saturating_add(more.uploaded);
    sum.downloaded = sum.downloaded.saturating_add(more.downloaded);
}
