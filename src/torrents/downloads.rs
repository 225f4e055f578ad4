//! Who fetched what: gathered in memory and written in batches, so that a download costs no fsync.

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::ids::{TorrentId, UserId};
use crate::{exec, on};

/// One fetched .torrent.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    pub torrent: TorrentId,
    /// Guests have none.
    pub user: Option<UserId>,
    pub at: Timestamp,
}

/// Downloads that are not in the database yet.
#[derive(Default)]
pub struct Pending(Mutex<Vec<Download>>);

/// Rows in one transaction, so that none holds the writer for long.
const BATCH: usize = 200;

impl Pending {
    pub fn add(&self, download: Download) {
        self.0.lock().push(download);
    }

    pub fn of_user(&self, user: UserId) -> i64 {
        let pending = self.0.lock();
        i64::try_from(pending.iter().filter(|d| d.user == Some(user)).count()).unwrap_or(i64::MAX)
    }

    /// Writes what is pending; what cannot be written stays for the next time.
    pub async fn flush(&self, db: &crate::db::Db) -> Result<(), sqlx::Error> {
        loop {
            let batch: Vec<Download> = self.0.lock().iter().take(BATCH).copied().collect();
            if batch.is_empty() {
                return Ok(());
            }
            let mut tx = db.write().await?;
            insert(&mut tx, &batch).await?;
            tx.commit().await?;
            self.0.lock().drain(..batch.len());
            tokio::task::yield_now().await;
        }
    }
}

async fn insert(tx: &mut Tx, batch: &[Download]) -> Result<(), sqlx::Error> {
    const LOG: &str = "insert into downloads (torrent_id, user_id, at) values ($1, $2, $3)";
    const COUNT: &str = "insert into download_counts (torrent_id, count) values ($1, 1) \
        on conflict (torrent_id) do update set count = download_counts.count + 1";
    for download in batch {
        exec!(tx, LOG, download.torrent, download.user, download.at)?;
        exec!(tx, COUNT, download.torrent)?;
    }
    Ok(())
}

/// Downloads of a member since a moment.
pub async fn count_since(
    conn: &mut Conn,
    user: UserId,
    since: Timestamp,
) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from downloads where user_id = $1 and at > $2";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(user)
        .bind(since)
        .fetch_one(c)
        .await)
}
