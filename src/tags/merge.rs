//! Merging and deleting tags, in steps (`moderation::steps`). A step moves links of torrents and nothing else; the tag
//! goes in the step that finds none left, together with the log entry, and after a merge its name stays as an alias.
//! So a crash in the middle leaves both tags and every torrent with at least one of them.

use super::Tag;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::Tx;
use crate::db::revisions::{self, Revision};
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::moderation::steps::{self, ROWS, TOUCHED};
use crate::{exec, on};

/// What ends a tag: who and why, as the log will say.
#[derive(Clone, Debug)]
pub struct Ending {
    from: Tag,
    /// The tag that its torrents get instead; none takes it off them.
    into: Option<Tag>,
    entry: Entry,
}

impl Ending {
    pub fn merge(from: Tag, into: Tag, by: UserId, at: Timestamp) -> Self {
        let reason = format!("into {}", into.name);
        Self::new(from, Some(into), by, at, Action::TagMerged, reason)
    }

    pub fn delete(from: Tag, by: UserId, at: Timestamp) -> Self {
        Self::new(from, None, by, at, Action::TagDeleted, String::new())
    }

    fn new(
        from: Tag,
        into: Option<Tag>,
        by: UserId,
        at: Timestamp,
        action: Action,
        reason: String,
    ) -> Self {
        Self {
            entry: Entry {
                at,
                actor: Some(by),
                action,
                subject: Subject::tag(from.id, &from.name),
                reason,
            },
            from,
            into,
        }
    }
}

/// Moves every link and ends the tag; answers how many torrents had it. May be done again after a crash.
pub async fn run(app: &App, ending: &Ending) -> Result<i64> {
    const LINKS: &str = "select count(*) from torrent_tags where tag_id = $1";
    let mut conn = app.db.read().await?;
    let links: i64 = on!(conn, |c| sqlx::query_scalar(LINKS)
        .bind(ending.from.id)
        .fetch_one(c)
        .await)?;
    drop(conn);
    let mut moved = 0;
    for _ in 0..steps::most(links) {
        let mut tx = app.db.write().await?;
        let rows = step(&mut tx, ending).await?;
        // The end comes in a transaction of its own: this one holds the catalogue's revision.
        if rows > 0 {
            tx.commit().await?;
            moved += rows;
            tokio::task::yield_now().await;
            continue;
        }
        if finish(&mut tx, ending).await? {
            log::record(&mut tx, &ending.entry).await?;
            tx.commit().await?;
            tracing::info!(tag = %ending.from.id, moved, "a tag ended");
            return Ok(moved);
        }
    }
    Err(Error::Conflict(format!(
        "Others keep using the tag {}. Try again in a moment.",
        ending.from.name
    )))
}

async fn step(tx: &mut Tx, ending: &Ending) -> Result<i64> {
    const TARGET: &str = "update tags set created_at = created_at where id = $1";
    const TOUCH: &str = "update torrents set revision = $2 where id in \
        (select torrent_id from torrent_tags where tag_id = $1 order by torrent_id limit $3)";
    const LINK: &str = "insert into torrent_tags (torrent_id, tag_id) \
        select id, $1 from torrents where revision = $2 on conflict do nothing";
    const UNLINK: &str = "delete from torrent_tags where tag_id = $1 \
        and torrent_id in (select id from torrents where revision = $2)";
    // Held until the commit, so that the tag that stays cannot go meanwhile.
    if let Some(into) = &ending.into
        && exec!(tx, TARGET, into.id)? == 0
    {
        return Err(Error::Conflict(format!(
            "The tag {} has gone meanwhile. Choose another.",
            into.name
        )));
    }
    let rows = exec!(tx, TOUCH, ending.from.id, TOUCHED, ROWS)?;
    if rows > 0 {
        if let Some(into) = &ending.into {
            exec!(tx, LINK, into.id, TOUCHED)?;
        }
        exec!(tx, UNLINK, ending.from.id, TOUCHED)?;
        steps::stamp(tx).await?;
    }
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// Ends the unused tag; false where somebody has used it since.
async fn finish(tx: &mut Tx, ending: &Ending) -> Result<bool> {
    const ALIASES: &str = "update tag_aliases set tag_id = $2 where tag_id = $1";
    const NO_ALIASES: &str = "delete from tag_aliases where tag_id = $1";
    const DELETE: &str = "delete from tags where id = $1";
    const ALIAS: &str = "insert into tag_aliases (alias, tag_id) values ($1, $2) \
        on conflict (alias) do update set tag_id = excluded.tag_id";
    match &ending.into {
        Some(into) => exec!(tx, ALIASES, ending.from.id, into.id)?,
        None => exec!(tx, NO_ALIASES, ending.from.id)?,
    };
    match exec!(tx, DELETE, ending.from.id) {
        Ok(0) => return Err(Error::NotFound),
        Ok(_) => {}
        Err(sqlx::Error::Database(e)) if e.is_foreign_key_violation() => return Ok(false),
        Err(e) => return Err(e.into()),
    }
    if let Some(into) = &ending.into {
        exec!(tx, ALIAS, ending.from.name.as_str(), into.id)?;
    }
    // Listings keep names in memory.
    revisions::bump(tx, Revision::Catalogue).await?;
    Ok(true)
}
