//! Leases: what only one node does at a time. The holder's beat moves; whoever waits sees it stand still, by its own
//! clock, and takes over. No two machines' clocks are compared.

use std::time::{Duration, Instant};

use super::{Conn, Db};
use crate::{exec, on};

/// How long a beat must stand still before another may take the lease.
pub const STILL: Duration = Duration::from_secs(6);
/// How long after a beat of ours the lease is surely ours: what begins by then and takes at most three seconds ends
/// before anybody else begins.
const SURE: Duration = Duration::from_secs(2);

/// How often the holder's beat moves.
pub const BEAT: Duration = Duration::from_secs(1);

pub struct Lease {
    db: Db,
    name: &'static str,
    holder: String,
    held_at: Option<Instant>,
    /// What another holder's row said, and since when it has said so.
    seen: Option<(Row, Instant)>,
    /// How often that holder's beat was seen to move.
    moves: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Row {
    /// Empty: nobody.
    pub holder: String,
    pub beat: i64,
}

impl Lease {
    /// A lease that nobody has taken yet; `holder` names who asks, and is empty for nobody.
    pub fn new(db: Db, name: &'static str, holder: String) -> Self {
        Self {
            db,
            name,
            holder,
            held_at: None,
            seen: None,
            moves: 0,
        }
    }

    /// Takes the lease, or keeps it; to be called about each second. `false` while another holds it.
    pub async fn hold(&mut self) -> Result<bool, sqlx::Error> {
        let begun = Instant::now();
        let taken = match self.held_at {
            Some(_) => beat(&self.db, self.name, &self.holder).await?,
            None => self.try_take().await?,
        };
        self.held_at = taken.then_some(begun);
        Ok(taken)
    }

    /// Keeps a lease that is held, without asking more often than each second.
    pub async fn keep(&mut self) -> Result<bool, sqlx::Error> {
        match self.held_at {
            Some(at) if at.elapsed() < BEAT => Ok(true),
            Some(_) => self.hold().await,
            None => Ok(false),
        }
    }

    /// Whether it is ours for at least another three seconds.
    pub fn is_sure(&self) -> bool {
        self.held_at.is_some_and(|at| at.elapsed() < SURE)
    }

    /// Who holds it, when that is another.
    pub fn other(&self) -> Option<&str> {
        self.seen.as_ref().map(|(row, _)| row.holder.as_str())
    }

    /// Whether that other was seen to be alive.
    pub fn other_lives(&self) -> bool {
        self.moves > 0
    }

    /// Lets others have it at once.
    pub async fn release(&mut self) -> Result<(), sqlx::Error> {
        const SQL: &str = "update leases set holder = '' where name = $1 and holder = $2";
        self.held_at = None;
        let mut tx = self.db.write().await?;
        exec!(tx, SQL, self.name, &self.holder)?;
        tx.commit().await
    }

    async fn try_take(&mut self) -> Result<bool, sqlx::Error> {
        let row = find(&mut self.db.read().await?, self.name).await?;
        let Some(row) = row else {
            return take(&self.db, self.name, None, &self.holder).await;
        };
        let free = row.holder.is_empty() || row.holder == self.holder;
        let since = match &self.seen {
            Some((seen, since)) if *seen == row => *since,
            Some((seen, _)) if seen.holder == row.holder => {
                self.moves += 1;
                Instant::now()
            }
            _ => {
                self.moves = 0;
                Instant::now()
            }
        };
        if free || since.elapsed() >= STILL {
            self.seen = None;
            self.moves = 0;
            return take(&self.db, self.name, Some(&row), &self.holder).await;
        }
        self.seen = Some((row, since));
        Ok(false)
    }
}

async fn find(conn: &mut Conn, name: &str) -> Result<Option<Row>, sqlx::Error> {
    const SQL: &str = "select holder, beat from leases where name = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(name)
        .fetch_optional(c)
        .await)
}

/// Moves the beat; `false` when the lease is another's by now.
async fn beat(db: &Db, name: &str, holder: &str) -> Result<bool, sqlx::Error> {
    const SQL: &str = "update leases set beat = beat + 1 where name = $1 and holder = $2";
    let mut tx = db.write().await?;
    let changed = exec!(tx, SQL, name, holder)?;
    tx.commit().await?;
    Ok(changed == 1)
}

/// Takes it if it still is as it was seen.
async fn take(db: &Db, name: &str, seen: Option<&Row>, holder: &str) -> Result<bool, sqlx::Error> {
    const NEW: &str =
        "insert into leases (name, holder, beat) values ($1, $2, 1) on conflict (name) do nothing";
    const SQL: &str = "update leases set holder = $2, beat = beat + 1 where name = $1 and holder = $3 and beat = $4";
    let mut tx = db.write().await?;
    let changed = match seen {
        None => exec!(tx, NEW, name, holder)?,
        Some(row) => exec!(tx, SQL, name, holder, &row.holder, row.beat)?,
    };
    tx.commit().await?;
    Ok(changed == 1)
}
