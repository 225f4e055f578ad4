//! Background work: started with the site, told to stop with it. Each task owns its pace.

use std::time::Duration;

use actix_web::web;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::{queries, throttle};
use crate::app::App;
use crate::db::lease::Lease;
use crate::secrets::random_token;
use crate::torrents;
use crate::tracker::seat;

const SETTINGS_EVERY: Duration = Duration::from_secs(1);
const DOWNLOADS_EVERY: Duration = Duration::from_secs(1);
/// How long the bytes of a deleted torrent are kept, and how many go at a time.
const BLOBS_KEPT_S: i64 = 30 * 86_400;
const PURGE_BLOBS: i64 = 20;
const PURGE_EVERY: Duration = Duration::from_secs(600);
/// Rows taken away in one transaction, so that no background job holds the writer for long.
const PURGE_ROWS: i64 = 500;

pub fn start(app: &web::Data<App>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let (search, tracker, stopped) = (app.search.clone(), app.tracker.clone(), stop.clone());
    vec![
        tokio::spawn(search.run(stop.clone())),
        tokio::spawn(async move { tracker.run(stopped).await }),
        tokio::spawn(keep_seat(app.clone(), stop.clone())),
        tokio::spawn(write_downloads(app.clone(), stop.clone())),
        tokio::spawn(every(
            SETTINGS_EVERY,
            app.clone(),
            stop.clone(),
            "settings",
            async |app| app.reload_settings().await,
        )),
        tokio::spawn(purge_alone(app.clone(), stop.clone())),
    ]
}

/// Keeps this node's right to serve the database; without it the node must stop.
async fn keep_seat(app: web::Data<App>, stop: watch::Receiver<bool>) {
    let Some(seat) = app.seat.lock().take() else {
        return;
    };
    if let Err(why) = seat::keep(seat, app.config.tracker.kind, stop).await {
        tracing::error!("{why}; this node stops");
        app.lost.send_replace(Some(why));
    }
}

/// Runs `work` at a steady pace until told to stop; a failure is logged and the next turn tries again.
async fn every<F>(
    pace: Duration,
    app: web::Data<App>,
    mut stop: watch::Receiver<bool>,
    name: &'static str,
    work: F,
) where
    F: AsyncFn(&App) -> anyhow::Result<()>,
{
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pace) => {}
        }
        if let Err(error) = work(&app).await {
            failed(&app, name, &error);
        }
    }
}

/// Downloads go into the database each second, and once more at the end.
async fn write_downloads(app: web::Data<App>, stop: watch::Receiver<bool>) {
    every(
        DOWNLOADS_EVERY,
        app.clone(),
        stop,
        "downloads",
        async |app| Ok(app.downloads.flush(&app.db).await?),
    )
    .await;
    if let Err(error) = app.downloads.flush(&app.db).await {
        tracing::warn!(%error, "the last downloads were not counted");
    }
}

/// Purges while it is this node's turn. Whoever sees the other's beat stand still from one turn to its next takes over.
async fn purge_alone(app: web::Data<App>, mut stop: watch::Receiver<bool>) {
    let mut lease = Lease::new(app.db.clone(), "purge", random_token());
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(PURGE_EVERY) => {}
        }
        let purged = match lease.hold().await {
            Ok(true) => purge(&app).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = purged {
            failed(&app, "purge", &error);
        }
    }
}

fn failed(app: &App, job: &'static str, error: &anyhow::Error) {
    app.metrics.jobs_failed.add_one(job);
    tracing::warn!(
        job,
        error = format!("{error:#}"),
        "a job failed and will be tried again"
    );
}

/// Ended sessions, old throttles, and the blobs of torrents deleted a month ago.
async fn purge(app: &App) -> anyhow::Result<()> {
    loop {
        let mut tx = app.db.write().await?;
        let gone = queries::purge_sessions(&mut tx, app.clock.now(), PURGE_ROWS).await?;
        throttle::purge(&mut tx, app.clock.now()).await?;
        tx.commit().await?;
        let mut tx = app.db.write().await?;
        let before = app.clock.now().plus(-BLOBS_KEPT_S);
        let blobs = torrents::queries::purge_blobs(&mut tx, before, PURGE_BLOBS).await?;
        tx.commit().await?;
        if blobs == PURGE_BLOBS.unsigned_abs() {
            continue;
        }
        if gone < PURGE_ROWS.unsigned_abs() {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
