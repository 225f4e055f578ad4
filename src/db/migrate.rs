//! Migrations: forward only, two folders of the same names (`migrations/`), embedded in the binary.

use anyhow::Context;
use sqlx::migrate::Migrator;

use super::{Conn, Db, Pools};
use crate::{exec, on};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

impl Db {
    /// Brings the schema up to date and names the database on first sight.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        match &self.pools {
            Pools::Sqlite { write, .. } => SQLITE.run(write).await,
            Pools::Postgres(pool, _) => POSTGRES.run(pool).await,
        }
        .context("migrating the database")?;
        let mut tx = self.write().await?;
        name_database(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn name_database(conn: &mut Conn) -> Result<(), sqlx::Error> {
    const SQL: &str =
        "insert into identity (one, database_id) values (1, $1) on conflict (one) do nothing";
    let id: [u8; 16] = rand::random();
    exec!(conn, SQL, &id[..]).map(drop)
}

/// The 16 bytes that name this database; a restored copy gets new ones.
pub async fn database_id(conn: &mut Conn) -> Result<Vec<u8>, sqlx::Error> {
    const SQL: &str = "select database_id from identity where one = 1";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)
}

/// The last migration this database has been through.
pub async fn version(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select coalesce(max(version), 0) from _sqlx_migrations where success";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)
}

/// How many migrations this binary knows; part of what derived state is checked against.
pub fn schema_version() -> i64 {
    SQLITE.iter().map(|m| m.version).max().unwrap_or(0)
}
