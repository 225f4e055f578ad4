//! Revisions: every transaction that changes what a follower must learn takes the next number, as its last
//! statement but for stamping rows it already holds, so that revision order is commit order on both databases.

use super::{Conn, Tx};
use crate::on;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// What can be found: torrents, their tags and categories.
    Catalogue,
    /// Who may announce: passkeys and bans.
    Members,
}

impl Revision {
    fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Members => "members",
        }
    }
}

/// Takes the next revision. The row stays locked until the commit.
pub async fn bump(tx: &mut Tx, which: Revision) -> Result<i64, sqlx::Error> {
    const SQL: &str = "update revisions set value = value + 1 where name = $1 returning value";
    on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(which.name())
        .fetch_one(c)
        .await)
}

pub async fn current(conn: &mut Conn, which: Revision) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select value from revisions where name = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(which.name())
        .fetch_one(c)
        .await)
}
