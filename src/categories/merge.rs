//! Merging and deleting categories: every torrent finds a new home, in steps (`moderation::steps`).
//!
//! A step moves torrents and nothing else; the category goes in the step that finds it empty, together with the log
//! entry. So a crash in the middle leaves both categories and each torrent in one of them.

use super::{Category, queries};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::Tx;
use crate::db::revisions::{self, Revision};
use crate::error::{Error, Result};
use crate::ids::{CategoryId, UserId};
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::moderation::steps::{self, ROWS, TOUCHED};
use crate::{exec, on};

/// What ends a category: who and why, as the log will say.
#[derive(Clone, Debug)]
pub struct Ending {
    pub from: Category,
    /// Where torrents and sub-categories go; none only where there are none.
    pub into: Option<Category>,
    pub entry: Entry,
}

impl Ending {
    pub fn merge(from: Category, into: Category, by: UserId, at: Timestamp) -> Self {
        Self {
            entry: Entry {
                at,
                actor: Some(by),
                action: Action::CategoryMerged,
                subject: Subject::category(from.id, &from.name),
                reason: format!("into {}", into.name),
            },
            from,
            into: Some(into),
        }
    }

    pub fn delete(from: Category, into: Option<Category>, by: UserId, at: Timestamp) -> Self {
        Self {
            entry: Entry {
                at,
                actor: Some(by),
                action: Action::CategoryDeleted,
                subject: Subject::category(from.id, &from.name),
                reason: into
                    .as_ref()
                    .map(|into| format!("its torrents moved to {}", into.name))
                    .unwrap_or_default(),
            },
            from,
            into,
        }
    }

    /// Why it cannot be done, in a sentence for the form.
    pub fn refusal(&self) -> Option<String> {
        let into = self.into.as_ref()?;
        if into.id == self.from.id {
            return Some("Choose another category than this one.".to_owned());
        }
        if into.parent_id == Some(self.from.id) {
            return Some(format!(
                "{} is below {}. Move it to the top level first.",
                into.name, self.from.name
            ));
        }
        None
    }
}

/// Moves everything and ends the category; answers how many torrents moved. May be done again after a crash.
pub async fn run(app: &App, ending: &Ending) -> Result<i64> {
    if let Some(refusal) = ending.refusal() {
        return Err(Error::Unprocessable(refusal));
    }
    let mut conn = app.db.read().await?;
    let most = steps::most(queries::count(&mut conn, ending.from.id).await?);
    drop(conn);
    let mut moved = 0;
    for _ in 0..most {
        let mut tx = app.db.write().await?;
        let rows = step(&mut tx, ending).await?;
        // In a transaction of its own: this one holds the catalogue's revision, which whoever is just filing
        // something under the category waits for, and the end would wait for them.
        if rows > 0 {
            tx.commit().await?;
            moved += rows;
            tokio::task::yield_now().await;
            continue;
        }
        if finish(&mut tx, ending).await? {
            log::record(&mut tx, &ending.entry).await?;
            tx.commit().await?;
            tracing::info!(category = %ending.from.id, moved, "a category ended");
            return Ok(moved);
        }
    }
    Err(Error::Conflict(format!(
        "Others keep filing torrents under {}. Try again in a moment.",
        ending.from.name
    )))
}

/// One step; answers how many torrents it moved.
pub async fn step(tx: &mut Tx, ending: &Ending) -> Result<i64> {
    const TARGET: &str = "update categories set position = position where id = $1";
    const MOVE: &str = "update torrents set category_id = $2, revision = $3 where id in \
        (select id from torrents where category_id = $1 order by id limit $4)";
    let Some(into) = &ending.into else {
        return Ok(0);
    };
    // Held until the commit, so that the new home cannot go while somebody moves in.
    if exec!(tx, TARGET, into.id)? == 0 {
        return Err(Error::Conflict(format!(
            "{} has gone meanwhile. Choose another category.",
            into.name
        )));
    }
    let rows = exec!(tx, MOVE, ending.from.id, into.id, TOUCHED, ROWS)?;
    if rows > 0 {
        steps::stamp(tx).await?;
    }
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// Ends the empty category; false where something has been filed under it since.
async fn finish(tx: &mut Tx, ending: &Ending) -> Result<bool> {
    const LAST: &str = "select coalesce(max(position), 0) from categories where parent_id = $1";
    const CHILDREN: &str =
        "update categories set parent_id = $2, position = position + $3 where parent_id = $1";
    const LEFT: &str = "select (select count(*) from torrents where category_id = $1) \
        + (select count(*) from categories where parent_id = $1)";
    const DELETE: &str = "delete from categories where id = $1";
    let from = ending.from.id;
    if let Some(into) = &ending.into {
        let parent: CategoryId = into.parent_id.unwrap_or(into.id);
        let last: i64 = on!(tx, |c| sqlx::query_scalar(LAST)
            .bind(parent)
            .fetch_one(c)
            .await)?;
        exec!(tx, CHILDREN, from, parent, last)?;
    }
    let left: i64 = on!(tx, |c| sqlx::query_scalar(LEFT)
        .bind(from)
        .fetch_one(c)
        .await)?;
    if left > 0 {
        return match &ending.into {
            Some(_) => Ok(false),
            None => Err(Error::Unprocessable(format!(
                "{} is in use. Choose where what is filed under it goes.",
                ending.from.name
            ))),
        };
    }
    match exec!(tx, DELETE, from) {
        Ok(0) => Err(Error::NotFound),
        Ok(_) => {
            // Children have moved, and a name is gone that listings keep in memory.
            revisions::bump(tx, Revision::Catalogue).await?;
            Ok(true)
        }
        // Somebody committed a torrent into it while the deletion waited for them.
        Err(sqlx::Error::Database(e)) if e.is_foreign_key_violation() => Ok(false),
        Err(e) => Err(e.into()),
    }
}
