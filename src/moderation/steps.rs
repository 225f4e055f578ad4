//! Changes that touch any number of torrents, made in steps: each step is one short transaction that moves at most
//! [`ROWS`] torrents and stamps them with one catalogue revision. A crash between steps leaves every torrent in
//! exactly one place, old or new, and both places there; doing it again finishes the work.

use std::time::Duration;

use crate::db::Tx;
use crate::db::revisions::{self, Revision};
use crate::error::{Error, Result};
use crate::exec;

/// Torrents per step: few enough that the writer is free again within some 25 ms.
pub const ROWS: i64 = 1_000;

/// The revision of torrents that this transaction has touched, until [`stamp`] gives them theirs. Never committed,
/// so no other transaction sees it; a list of ids would have to travel to the program and back.
pub const TOUCHED: i64 = -1;

/// How long an answer waits for the work; past it the work goes on and the answer says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the touched torrents the next catalogue revision. The last thing before the commit.
pub async fn stamp(tx: &mut Tx) -> std::result::Result<(), sqlx::Error> {
    const SQL: &str = "update torrents set revision = $1 where revision = $2";
    let revision = revisions::bump(tx, Revision::Catalogue).await?;
    exec!(tx, SQL, revision, TOUCHED).map(drop)
}

/// Steps that `rows` torrents may take before it must be said that others keep adding to them.
pub fn most(rows: i64) -> i64 {
    rows / ROWS + 20
}

/// Runs the work apart from the request, so that a closed browser does not stop it halfway; `None` where it is not
/// done yet.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<Option<T>> {
    let (send, receive) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        // Nobody waits any more: what went wrong is said here instead.
        if let Err(Err(error)) = send.send(work.await) {
            tracing::error!(?error, "work in steps failed after its answer");
        }
    });
    match tokio::time::timeout(PATIENCE, receive).await {
        Ok(Ok(done)) => done.map(Some),
        Ok(Err(_)) => Err(Error::Internal(anyhow::anyhow!(
            "the work ended without an answer"
        ))),
        Err(_) => Ok(None),
    }
}
