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

/// What is being stored, and what memory knows of sessions besides the database.
pub struct Store {
    batch: Batch,
    number: u64,
    marks: HashMap<SessionKey, Mark>,
    /// Sessions heard of in this run, while numbers of an earlier run are carried.
    heard: Option<HashSet<SessionKey>>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            batch: Batch::default(),
            number: 0,
            marks: HashMap::new(),
            heard: Some(HashSet::new()),
        }
    }
}

impl Store {
    /// From now on no numbers of an earlier run are carried.
    pub fn forget_carried(&mut self) {
        self.heard = None;
    }

    /// Stores what is left of the last batch, and one batch more.
    pub async fn flush(
        &mut self,
        db: &Db,
        ledger: &Ledger,
        swarms: &Swarms,
        numbers: &NumbersBook,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        self.write_out(db, swarms, numbers, now).await?;
        ledger.publish(self.number);
        if !ledger.is_empty() {
            (self.number, self.batch) = ledger.take();
            self.write_out(db, swarms, numbers, now).await?;
            ledger.publish(self.number);
        }
        self.marks.retain(|_, mark| now.since(mark.at) <= LATE_S);
        Ok(())
    }

    async fn write_out(
        &mut self,
        db: &Db,
        swarms: &Swarms,
        numbers: &NumbersBook,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut size = PART;
        while !self.batch.is_empty() {
            let from = self.batch.len().saturating_sub(size);
            let part = &self.batch[from..];
            match write_part(db, part, &self.marks, swarms, now).await {
                Ok(written) => {
                    self.marks.extend(written.marks);
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
        Ok(())
    }
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
    completed: Vec<NewNumbers>,
    /// Places in the part whose sessions were stored before.
    known_before: HashSet<i64>,
}

async fn write_part(
    db: &Db,
    part: &[(SessionKey, Vec<Report>)],
    marks: &HashMap<SessionKey, Mark>,
    swarms: &Swarms,
    now: Timestamp,
) -> Result<Written, sqlx::Error> {
    let mut tx = db.write().await?;
    let keys: Vec<&SessionKey> = part.iter().map(|(key, _)| key).collect();
    let books = queries::books(&mut tx, &keys).await?;
    let entries = entries(part, &books, marks, now);
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
    now: Timestamp,
) -> Entries<'a> {
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
            mark: marks.get(key).copied(),
        };
        let mut added = Totals::default();
        for report in reports {
            let more = known.take(report);
            added.uploaded = added.uploaded.saturating_add(more.uploaded);
            added.downloaded = added.downloaded.saturating_add(more.downloaded);
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
