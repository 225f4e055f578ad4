//! Which nodes may serve one database: with the tracker inside only one, because swarms are in its memory; with a
//! companion as many as there are. Whoever runs moves the beat of one lease, whose holder names the kind of tracker and,
//! for the one inside, the data directory. That directory may retake it at once after a crash.
//!
//! On SQLite there is nothing to do: the database is in the data directory, which one process at a time may serve.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use tokio::sync::watch;

use crate::config::TrackerKind;
use crate::db::Db;
use crate::db::lease::{BEAT, Lease, STILL};

const LEASE: &str = "tracker";
const ID_FILE: &str = "node.id";

/// Takes this node's seat, or says why it cannot have one.
pub async fn take(db: &Db, kind: TrackerKind, data_dir: &Path) -> anyhow::Result<Option<Lease>> {
    if db.is_sqlite() {
        return Ok(None);
    }
    let holder = match kind {
        TrackerKind::Embedded => format!("embedded {}", node_id(data_dir)?),
        TrackerKind::Torrust => "torrust".to_owned(),
        TrackerKind::None => "none".to_owned(),
    };
    let mut lease = Lease::new(db.clone(), LEASE, holder);
    let begun = Instant::now();
    let mut told = false;
    while !lease.hold().await? {
        let other = lease.other().unwrap_or_default().to_owned();
        if lease.other_lives() {
            bail!(refusal(kind, &other));
        }
        if !told {
            told = true;
            tracing::info!(
                holder = other,
                "another node served this database; waiting to see whether it still does"
            );
        }
        if begun.elapsed() > STILL * 3 {
            bail!(refusal(kind, &other));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(Some(lease))
}

/// Why there is no seat beside `other`.
fn refusal(kind: TrackerKind, other: &str) -> String {
    match (kind, other.strip_prefix("embedded ")) {
        (TrackerKind::Embedded, Some(id)) => format!(
            "another node (data directory {id}) serves this database with the tracker inside, whose swarms are in its memory: \
            a second one would know half of the peers. Stop it first, or run all nodes with tracker.kind = \"torrust\""
        ),
        (_, Some(id)) => format!(
            "another node (data directory {id}) serves this database with the tracker inside: stop it first; all nodes need the same tracker.kind"
        ),
        (_, None) => format!(
            "other nodes serve this database with tracker.kind = \"{other}\": all nodes need the same one"
        ),
    }
}

/// Keeps the seat until `stop`; answers early, with the reason, when it is lost.
pub async fn keep(
    mut lease: Lease,
    kind: TrackerKind,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut last = Instant::now();
    loop {
        tokio::select! {
            _ = stop.wait_for(|&stopped| stopped) => break,
            () = tokio::time::sleep(BEAT) => {}
        }
        match lease.hold().await {
            Ok(true) => last = Instant::now(),
            Ok(false) if lease.other().is_some() || last.elapsed() > STILL => {
                return Err(format!(
                    "another node took over the tracker while this one was not heard of for {} s",
                    last.elapsed().as_secs()
                ));
            }
            Ok(false) => {}
            // Nobody else can take it either while the database is away.
            Err(error) => tracing::debug!(%error, "the tracker's lease could not be renewed"),
        }
    }
    // Others of the same kind may go on: their seat is not this node's to give up.
    if kind == TrackerKind::Embedded
        && let Err(error) = lease.release().await
    {
        tracing::debug!(%error, "the tracker's lease stays until it is stale");
    }
    Ok(())
}

/// The data directory's name for itself, made at first start.
fn node_id(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join(ID_FILE);
    match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    }
    let id: [u8; 8] = rand::random();
    let id = HEXLOWER.encode(&id);
    std::fs::write(&path, format!("{id}\n"))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(id)
}
