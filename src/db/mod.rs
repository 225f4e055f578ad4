//! The database: SQLite or Postgres behind one type, one SQL text for both (DESIGN 3).
//!
//! `read()` for reading, `write()` for anything that will write. What differs between the two is in `dialect`.

pub mod dialect;
mod home;
pub mod lease;
mod mark;
pub mod migrate;
pub mod revisions;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection,
    SqlitePool, Transaction,
};
use tokio::sync::watch;

use crate::counters::{Counter, Histogram};
use home::Home;
pub use mark::Mark;

/// Longest wait for a connection: past it the answer is 503, not a queue that grows.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const SLOW_STATEMENT: Duration = Duration::from_millis(500);
/// A connection to Postgres that answered this recently is not asked whether it is still there: the question takes as
/// long as a small query.
const TRUSTED: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Db {
    pools: Pools,
    committed: watch::Sender<u64>,
    waits: Arc<Waits>,
}

/// How long callers waited for [`Db::read`] and [`Db::write`], and how often in vain.
#[derive(Debug, Default)]
pub struct Waits {
    pub read: Histogram,
    pub write: Histogram,
    pub read_failed: Counter,
    pub write_failed: Counter,
}

/// A pool of connections at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub name: &'static str,
    pub open: u32,
    pub idle: usize,
    pub most: u32,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        log: Arc<PathBuf>,
    },
    Postgres(PgPool, Home),
}

/// A connection for reading, or the inside of a [`Tx`].
pub enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
}

/// The typed connection inside a [`Conn`], as the `on!` macro hands it out.
pub enum Handle<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A write transaction; rolls back when dropped.
pub struct Tx {
    conn: Conn,
    committed: watch::Sender<u64>,
}

/// Runs one body on either database: `on!(conn, |c| sqlx::query_as(SQL).bind(x).fetch_all(c).await)`.
/// With `|c: B|`, `B` names the database type, for `QueryBuilder::<B>`.
#[macro_export]
macro_rules! on {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn.handle() {
            $crate::db::Handle::Sqlite($c) => $body,
            $crate::db::Handle::Postgres($c) => $body,
        }
    };
    ($conn:expr, |$c:ident: $B:ident| $body:expr) => {
        match $conn.handle() {
            $crate::db::Handle::Sqlite($c) => {
                type $B = sqlx::Sqlite;
                $body
            }
            $crate::db::Handle::Postgres($c) => {
                type $B = sqlx::Postgres;
                $body
            }
        }
    };
}

/// Runs a statement and tells how many rows it changed: `exec!(tx, SQL, a, b)`.
#[macro_export]
macro_rules! exec {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::on!($conn, |c| sqlx::query($sql)$(.bind($bind))*.execute(c).await.map(|done| done.rows_affected()))
    };
}

impl Db {
    /// Opens (and for SQLite creates) the database. `url` is `postgres://..`, or `sqlite:PATH`.
    pub async fn open(url: &str, readers: u32) -> anyhow::Result<Self> {
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            open_sqlite(Path::new(path), readers).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, readers).await?
        } else {
            anyhow::bail!(
                "database.url must start with `sqlite:` or `postgres://`; it is {:?}",
                url.split(':').next().unwrap_or_default()
            );
        };
        Ok(Self {
            pools,
            committed: watch::Sender::new(0),
            waits: Arc::default(),
        })
    }

    pub async fn read(&self) -> Result<Conn, sqlx::Error> {
        let asked = Instant::now();
        let conn = match &self.pools {
            Pools::Sqlite { read, .. } => read.acquire().await.map(Conn::Sqlite),
            Pools::Postgres(pool, home) => home.run(pool.acquire()).await.map(Conn::Postgres),
        };
        self.waits.read.observe(asked.elapsed());
        conn.inspect_err(|_| self.waits.read_failed.add_one())
    }

    /// A write transaction. On SQLite there is one writer and the lock is taken at once: a plain `begin` that
    /// reads first and writes later fails under load.
    pub async fn write(&self) -> Result<Tx, sqlx::Error> {
        let asked = Instant::now();
        let conn = match &self.pools {
            Pools::Sqlite { write, .. } => write
                .begin_with("begin immediate")
                .await
                .map(Conn::SqliteTx),
            Pools::Postgres(pool, home) => home
                .run(pool.begin_with("begin"))
                .await
                .map(Conn::PostgresTx),
        };
        self.waits.write.observe(asked.elapsed());
        Ok(Tx {
            conn: conn.inspect_err(|_| self.waits.write_failed.add_one())?,
            committed: self.committed.clone(),
        })
    }

    /// Changes after every commit of this process; followers look at `revisions` when it does (and each second
    /// anyway, for what other processes commit).
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// What tells whether anything is committed from here on; `None` where only the database knows, which is always
    /// on Postgres.
    pub fn mark(&self) -> Option<Mark> {
        match &self.pools {
            Pools::Sqlite { log, .. } => Mark::take(*self.committed.borrow(), log),
            Pools::Postgres(..) => None,
        }
    }

    /// Reads that may turn out to need no connection.
    pub fn reading(&self) -> Reading<'_> {
        Reading {
            db: self,
            conn: None,
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    pub fn waits(&self) -> &Waits {
        &self.waits
    }

    /// SQLite has one pool to read and one connection to write; Postgres has one for both.
    pub fn pools(&self) -> Vec<Pool> {
        match &self.pools {
            Pools::Sqlite { read, write, .. } => vec![state("read", read), state("write", write)],
            Pools::Postgres(pool, _) => vec![state("all", pool)],
        }
    }

    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool, _) => pool.close().await,
        }
    }
}

/// Takes a connection for reading when it is first needed, and keeps it until it is dropped or let go.
pub struct Reading<'d> {
    pub db: &'d Db,
    conn: Option<Conn>,
}

impl Reading<'_> {
    pub async fn conn(&mut self) -> Result<&mut Conn, sqlx::Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.db.read().await?,
        };
        Ok(self.conn.insert(conn))
    }

    /// For while something else takes its time.
    pub fn let_go(&mut self) {
        self.conn = None;
    }
}

impl Conn {
    pub fn handle(&mut self) -> Handle<'_> {
        match self {
            Self::Sqlite(c) => Handle::Sqlite(c),
            Self::SqliteTx(c) => Handle::Sqlite(c),
            Self::Postgres(c) => Handle::Postgres(c),
            Self::PostgresTx(c) => Handle::Postgres(c),
        }
    }
}

impl Tx {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.conn {
            Conn::SqliteTx(tx) => tx.commit().await?,
            Conn::PostgresTx(tx) => tx.commit().await?,
            Conn::Sqlite(_) | Conn::Postgres(_) => {}
        }
        self.committed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// Whether `error` is a violated unique index on this column. Unique indexes are named `{table}_{column}_key`.
pub fn violates_unique(error: &sqlx::Error, table: &str, column: &str) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    if !error.is_unique_violation() {
        return false;
    }
    match error.constraint() {
        Some(name) => name == format!("{table}_{column}_key"),
        // SQLite names columns: "UNIQUE constraint failed: users.name_folded"
        None => error.message().rsplit(": ").next().is_some_and(|columns| {
            columns
                .split(", ")
                .any(|c| c == format!("{table}.{column}"))
        }),
    }
}

fn state<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> Pool {
    Pool {
        name,
        open: pool.size(),
        idle: pool.num_idle(),
        most: pool.options().get_max_connections(),
    }
}

async fn open_sqlite(path: &Path, readers: u32) -> anyhow::Result<Pools> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL is what survives a power cut in WAL mode.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .log_slow_statements(log::LevelFilter::Warn, SLOW_STATEMENT);
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|c, _| Box::pin(check_sqlite(c)))
        .connect_with(options.clone())
        .await
        .with_context(|| format!("opening the SQLite database {}", path.display()))?;
    let read = SqlitePoolOptions::new()
        .max_connections(readers)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Nobody can hang up on us here, and the question costs as much as a small query.
        .test_before_acquire(false)
        .after_connect(|c, _| Box::pin(check_sqlite(c)))
        .connect_with(options.read_only(true))
        .await
        .with_context(|| format!("opening the SQLite database {} to read", path.display()))?;
    Ok(Pools::Sqlite {
        read,
        write,
        log: Arc::new(mark::log_of(path)),
    })
}

/// Reads the settings back on every connection: a promise about power cuts is not left to hope.
async fn check_sqlite(c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mode: String = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(&mut *c)
        .await?;
    let synchronous: i64 = sqlx::query_scalar("pragma synchronous")
        .fetch_one(&mut *c)
        .await?;
    let foreign_keys: i64 = sqlx::query_scalar("pragma foreign_keys")
        .fetch_one(&mut *c)
        .await?;
    if mode != "wal" || synchronous != 2 || foreign_keys != 1 {
        return Err(sqlx::Error::Configuration(
            format!("SQLite did not take journal_mode=wal, synchronous=full, foreign_keys=on (it says {mode}, {synchronous}, {foreign_keys})").into(),
        ));
    }
    Ok(())
}

async fn open_postgres(url: &str, connections: u32) -> anyhow::Result<Pools> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| anyhow::anyhow!("database.url is not a Postgres URL"))?
        .application_name("seedbank")
        .statement_cache_capacity(256)
        .log_slow_statements(log::LevelFilter::Warn, SLOW_STATEMENT);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|c, used| {
            Box::pin(async move {
                if used.idle_for > TRUSTED {
                    c.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .context("connecting to Postgres")?;
    let mut c = pool.acquire().await?;
    let synchronous: String = sqlx::query_scalar("show synchronous_commit")
        .fetch_one(&mut *c)
        .await?;
    ensure!(
        synchronous != "off",
        "Postgres runs with synchronous_commit=off: an acknowledged upload could be lost; turn it on"
    );
    drop(c);
    Ok(Pools::Postgres(pool, Home::here()))
}
