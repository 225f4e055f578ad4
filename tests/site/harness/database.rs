//! Databases for tests: a migrated SQLite file copied per test, a Postgres database per test from a migrated
//! template. Ids of every table start 10,000 apart, so that a wrong id fails instead of passing by luck.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use seedbank::db::Db;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::sync::OnceCell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

pub enum Temporary {
    Sqlite(Vec<u8>),
    Postgres { server: String, name: String },
}

static SQLITE: OnceCell<Vec<u8>> = OnceCell::const_new();
static POSTGRES: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The Postgres server that tests may use, if there is one.
pub fn postgres_server() -> Option<String> {
    std::env::var("SEEDBANK_TEST_POSTGRES")
        .ok()
        .filter(|url| !url.is_empty())
}

/// A fresh migrated database, or `None` where there is no server for it.
pub async fn fresh(backend: Backend) -> Option<Temporary> {
    match backend {
        Backend::Sqlite => {
            let template = SQLITE.get_or_init(sqlite_template).await;
            Some(Temporary::Sqlite(template.clone()))
        }
        Backend::Postgres => {
            let Some(server) = postgres_server() else {
                assert!(
                    std::env::var("SEEDBANK_TEST_ALL").is_err(),
                    "SEEDBANK_TEST_ALL is set, but SEEDBANK_TEST_POSTGRES is not"
                );
                eprintln!(
                    "left out: Postgres (scripts/test starts one; or set SEEDBANK_TEST_POSTGRES)"
                );
                return None;
            };
            let template = POSTGRES
                .get_or_init(|| postgres_template(server.clone()))
                .await;
            let name = format!(
                "seedbank_test_{}_{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::SeqCst)
            );
            let mut admin = PgConnection::connect(&server).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!(
                "create database {name} template {template}"
            )))
            .execute(&mut admin)
            .await
            .unwrap();
            Some(Temporary::Postgres { server, name })
        }
    }
}

impl Temporary {
    /// The database's URL; for SQLite the file is put into `directory`.
    pub fn url(&self, directory: &Path) -> String {
        match self {
            Self::Sqlite(template) => {
                let path = directory.join("seedbank.db");
                std::fs::write(&path, template).unwrap();
                format!("sqlite:{}", path.display())
            }
            Self::Postgres { server, name } => with_database(server, name),
        }
    }

    pub async fn remove(self) {
        if let Self::Postgres { server, name } = self {
            let mut admin = PgConnection::connect(&server).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)")))
                .execute(&mut admin)
                .await
                .unwrap();
        }
    }
}

async fn sqlite_template() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("template.db");
    let db = Db::open(&format!("sqlite:{}", path.display()), 1)
        .await
        .unwrap();
    db.migrate().await.unwrap();
    db.close().await;
    let mut c = SqliteConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    // Every autoincrement table gets a first id of its own; a second `insert` per table would be a row.
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_schema where type = 'table' and sql like '%autoincrement%' order by name",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    for (i, table) in tables.iter().enumerate() {
        sqlx::query("delete from sqlite_sequence where name = $1")
            .bind(table)
            .execute(&mut c)
            .await
            .unwrap();
        sqlx::query("insert into sqlite_sequence (name, seq) values ($1, $2)")
            .bind(table)
            .bind((i as i64 + 1) * 10_000)
            .execute(&mut c)
            .await
            .unwrap();
    }
    // Everything into the one file that is copied.
    sqlx::query("pragma wal_checkpoint(truncate)")
        .execute(&mut c)
        .await
        .unwrap();
    c.close().await.unwrap();
    std::fs::read(&path).unwrap()
}

async fn postgres_template(server: String) -> String {
    let name = format!("seedbank_template_{}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    let url = with_database(&server, &name);
    let db = Db::open(&url, 2).await.unwrap();
    db.migrate().await.unwrap();
    db.close().await;
    let mut c = PgConnection::connect(&url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns where table_schema = 'public' and is_identity = 'YES' order by 1",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    for (i, table) in tables.iter().enumerate() {
        let first = (i + 1) * 10_000 + 1;
        sqlx::raw_sql(AssertSqlSafe(format!(
            "alter table {table} alter column id restart with {first}"
        )))
        .execute(&mut c)
        .await
        .unwrap();
    }
    c.close().await.unwrap();
    name
}

fn with_database(server: &str, name: &str) -> String {
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(&format!("/{name}"));
    url.to_string()
}
