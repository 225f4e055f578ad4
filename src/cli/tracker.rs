//! `seedbank tracker check|resync`: whether the companion is what the configuration says, and telling it everything
//! anew. A running site does the telling; without one this command does it itself.

use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use seedbank::clock::Clock;
use seedbank::config::{Config, TrackerKind};
use seedbank::tracker::torrust::{Torrust, queries};
use tokio::sync::watch;

use super::open_database;

#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Command {
    /// Ask the tracker whether it is what the configuration says, and show what waits for it.
    Check,
    /// Tell the tracker every infohash and passkey anew.
    Resync,
}

const LOOK: Duration = Duration::from_millis(500);

pub async fn run(config: Config, command: Command) -> anyhow::Result<()> {
    match config.tracker.kind {
        TrackerKind::Torrust => {}
        TrackerKind::Embedded => {
            println!(
                "The tracker is inside this program and follows the database: there is nothing to check."
            );
            return Ok(());
        }
        TrackerKind::None => {
            println!("tracker.kind is \"none\": the trackers are others' and are told nothing.");
            return Ok(());
        }
    }
    let db = open_database(&config).await?;
    let tracker = Torrust::new(db.clone(), Clock::system(), config.tracker.clone())?;
    let mut tx = db.write().await?;
    queries::engage(&mut tx, config.tracker.listed, config.tracker.private).await?;
    if matches!(command, Command::Resync) {
        queries::want_everything(&mut tx).await?;
    }
    tx.commit().await?;
    let outcome = match command {
        Command::Check => check(&tracker).await,
        Command::Resync => resync(&tracker).await,
    };
    db.close().await;
    outcome
}

async fn check(tracker: &Torrust) -> anyhow::Result<()> {
    tracker.look().await?;
    let status = tracker.status();
    let depth = status.depth;
    println!("{} messages wait for the tracker.", depth.waiting);
    if status.queueing {
        println!(
            "It is to be told everything; a running site does that, or `seedbank tracker resync`."
        );
    }
    if depth.parked > 0 {
        println!(
            "{} messages were given up; /admin/tracker shows why and tries them again.",
            depth.parked
        );
    }
    let findings = tracker.findings().await?;
    if findings.is_empty() && depth.parked == 0 {
        println!("The tracker answers, and its mode is the configured one.");
        return Ok(());
    }
    for finding in &findings {
        println!("- {}", finding.0);
    }
    bail!("the tracker needs looking after")
}

async fn resync(tracker: &Torrust) -> anyhow::Result<()> {
    if let Some(finding) = tracker.findings().await?.first() {
        println!("- {}", finding.0);
    }
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} messages, {elapsed} gone, {eta} to go {msg}",
    )?);
    let (stop, stopped) = watch::channel(false);
    let work = tracker.run(stopped);
    let watch = async {
        let outcome = watch_until_done(tracker, &bar).await;
        let _all_ended = stop.send(true);
        outcome
    };
    let ((), outcome) = tokio::join!(work, watch);
    outcome?;
    bar.finish();
    println!("The tracker knows everything it should.");
    Ok(())
}

/// Until everything was put into the outbox and has left it.
async fn watch_until_done(tracker: &Torrust, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut most = 0;
    loop {
        tracker.look().await?;
        let status = tracker.status();
        let left = status.depth.repeating.unsigned_abs();
        if !status.queueing && status.depth.waiting == 0 {
            bar.set_position(most);
            if status.depth.parked > 0 {
                bail!(
                    "{} messages were given up; /admin/tracker shows why",
                    status.depth.parked
                );
            }
            return Ok(());
        }
        most = most.max(left);
        bar.set_length(most);
        bar.set_position(most - left);
        bar.set_message(match &status.ailing {
            Some((_, why)) => format!("(waiting: {why})"),
            None => String::new(),
        });
        tokio::time::sleep(LOOK).await;
    }
}
