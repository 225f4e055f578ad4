//! A new index in the place of the old one: built in a folder beside it while the old one answers, and exchanged when
//! it is complete. A running site is asked for it by a file in the index folder, in which it says how far it is: the
//! request lasts through any kill until the folder it lies in has been replaced.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::index::{self, Opened, Position};
use super::queries;
use super::track::Track;
use crate::config;
use crate::db::Db;

const REQUEST: &str = "rebuild";
const REFUSED: &str = "failed: ";

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// Nobody has begun with it.
    Requested,
    /// Torrents read, of how many.
    Building { done: u64, total: u64 },
    /// It was given up, for this reason.
    Failed(String),
    /// The index is a new one.
    Done,
}

/// The catalogue as it was when a new index of it was asked for.
pub struct Request {
    start: Position,
    head: i64,
}

/// Asks the site that serves from `data_dir` for a new index; it notices within a second.
pub async fn request(data_dir: &Path, db: &Db) -> anyhow::Result<Request> {
    let (database_id, head) = queries::head(&mut db.read().await?).await?;
    ask(&index::folder(data_dir))?;
    let start = Position::start(&database_id);
    Ok(Request { start, head })
}

/// How far the site is with what was requested.
pub async fn state(data_dir: &Path, request: &Request, db: &Db) -> anyhow::Result<Rebuild> {
    let folder = index::folder(data_dir);
    if let Some(state) = written(&folder)? {
        return Ok(state);
    }
    // The site may have found the old index to be of no use, and builds in its place.
    let position = Opened::open(&folder)
        .ok()
        .and_then(|opened| opened.position)
        .filter(|position| position.source == request.start.source)
        .unwrap_or_else(|| request.start.clone());
    let mut conn = db.read().await?;
    let total = queries::count_after(&mut conn, 0).await?;
    let later = queries::count_after(&mut conn, request.head).await?;
    let left = queries::count_after(&mut conn, position.stamp.revision).await? - later;
    if left <= 0 {
        return Ok(Rebuild::Done);
    }
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let (done, total) = (count(total - left), count(total));
    Ok(Rebuild::Building { done, total })
}

/// What stands in the request's file, if there is one.
fn written(folder: &Path) -> anyhow::Result<Option<Rebuild>> {
    let path = folder.join(REQUEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
    };
    if let Some(why) = text.strip_prefix(REFUSED) {
        return Ok(Some(Rebuild::Failed(why.to_owned())));
    }
    let mut words = text.split(' ').map_while(|word| word.parse().ok());
    // A file that is just being written is empty.
    Ok(Some(match (words.next(), words.next()) {
        (Some(done), Some(total)) => Rebuild::Building { done, total },
        _ => Rebuild::Requested,
    }))
}

fn ask(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(REQUEST);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, ""))
        .with_context(|| format!("writing {}", path.display()))
}

/// Builds the index of `data_dir` anew, which no site may be serving from; the old one stays until the new one is
/// complete. Calls `progress` with (done, total).
pub async fn alone(
    data_dir: &Path,
    db: &Db,
    config: &config::Search,
    progress: impl Fn(u64, u64),
) -> anyhow::Result<()> {
    let folder = index::folder(data_dir);
    tidy(&folder)?;
    let (database_id, head) = queries::head(&mut db.read().await?).await?;
    let opened = Arc::new(Opened::create(&beside(&folder))?);
    let start = Position::start(&database_id);
    let mut track = Track::begun(opened, start, head, config.writer_bytes);
    loop {
        let mut conn = db.read().await?;
        track.measure(&mut conn).await?;
        let batch = track.read(&mut conn).await?;
        drop(conn);
        let taken = tokio::task::spawn_blocking(move || {
            track.take(&batch)?;
            if batch.is_last {
                track.close()?;
            }
            anyhow::Ok((track, batch.is_last))
        });
        let is_last;
        (track, is_last) = taken.await??;
        if let Some((done, total)) = track.progress() {
            progress(done, total);
        }
        if is_last {
            break;
        }
    }
    exchange(&folder)
}

/// Asked after every change.
pub fn is_requested(folder: &Path) -> bool {
    matches!(
        written(folder),
        Ok(Some(Rebuild::Requested | Rebuild::Building { .. }))
    )
}

pub fn report(folder: &Path, done: u64, total: u64) -> anyhow::Result<()> {
    let path = folder.join(REQUEST);
    fs::write(&path, format!("{done} {total}"))
        .with_context(|| format!("writing {}", path.display()))
}

pub fn refuse(folder: &Path, why: &anyhow::Error) -> anyhow::Result<()> {
    let path = folder.join(REQUEST);
    // The shorter of two ways to end it: on a full disk the reason may find no room.
    fs::write(&path, format!("{REFUSED}{why:#}"))
        .or_else(|_| fs::remove_file(&path))
        .with_context(|| format!("writing {}", path.display()))
}

/// Where a new index is built.
pub fn beside(folder: &Path) -> PathBuf {
    folder.with_extension("new")
}

fn replaced(folder: &Path) -> PathBuf {
    folder.with_extension("old")
}

/// The complete index beside takes the place of the old one, and with it goes the request. Both must be closed for
/// writing; who still reads the old one may go on.
pub fn exchange(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        rename(folder, &replaced(folder))?;
    }
    rename(&beside(folder), folder)?;
    remove(&replaced(folder))
}

/// Clears up after an exchange or a building that was cut off.
pub fn tidy(folder: &Path) -> anyhow::Result<()> {
    // Only a complete index moves the old one out of its place.
    if replaced(folder).exists() && !folder.exists() {
        let (new, old) = (beside(folder), replaced(folder));
        rename(if new.exists() { &new } else { &old }, folder)?;
    }
    remove(&replaced(folder))?;
    remove(&beside(folder))
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::rename(from, to).with_context(|| format!("renaming {} {}", from.display(), to.display()))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However far an exchange came, one of the two is in place afterwards and nothing else is left.
    #[test]
    fn an_exchange_may_be_cut_off_anywhere() {
        let made = tempfile::tempdir().unwrap();
        let folder = made.path().join("search");
        let (new, old) = (beside(&folder), replaced(&folder));
        let put = |path: &Path, text: &str| {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("which"), text).unwrap();
        };
        type Left<'a> = [(&'a Path, &'a str); 2];
        let states: [(Left<'_>, &str); 4] = [
            ([(&folder, "old"), (&new, "new")], "old"),
            ([(&old, "old"), (&new, "new")], "new"),
            ([(&folder, "new"), (&old, "old")], "new"),
            ([(&old, "old"), (&old, "old")], "old"),
        ];
        for (left, kept) in states {
            for (path, text) in left {
                put(path, text);
            }
            tidy(&folder).unwrap();
            assert_eq!(fs::read_to_string(folder.join("which")).unwrap(), kept);
            assert!(!new.exists() && !old.exists(), "{left:?}");
            remove(&folder).unwrap();
        }
        put(&folder, "old");
        put(&new, "new");
        exchange(&folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("which")).unwrap(), "new");
        assert!(!new.exists() && !old.exists());
    }

    #[test]
    fn a_request_is_answered_in_its_file() {
        let made = tempfile::tempdir().unwrap();
        let folder = index::folder(made.path());
        let state = || written(&folder).unwrap();
        assert_eq!(state(), None);
        ask(&folder).unwrap();
        assert_eq!(state(), Some(Rebuild::Requested));
        assert!(is_requested(&folder));
        report(&folder, 3, 17).unwrap();
        assert_eq!(state(), Some(Rebuild::Building { done: 3, total: 17 }));
        assert!(is_requested(&folder));
        refuse(&folder, &anyhow::anyhow!("the disk is full")).unwrap();
        let failed = Rebuild::Failed("the disk is full".to_owned());
        assert_eq!(state(), Some(failed));
        assert!(!is_requested(&folder));
    }
}
