//! Background work: started with the site, told to stop with it. Each task owns its pace.

use std::time::Duration;

use actix_web::web;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::{queries, throttle};
use crate::app::App;

const SETTINGS_EVERY: Duration = Duration::from_secs(1);
const PURGE_EVERY: Duration = Duration::from_secs(600);
/// Rows taken away in one transaction, so that no background job holds the writer for long.
const PURGE_ROWS: i64 = 500;

pub fn start(app: &web::Data<App>, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(app.search.clone().run(stop.clone())),
        tokio::spawn(every(
            SETTINGS_EVERY,
            app.clone(),
            stop.clone(),
            "settings",
            async |app| app.reload_settings().await,
        )),
        tokio::spawn(every(
            PURGE_EVERY,
            app.clone(),
            stop.clone(),
            "purge",
            purge,
        )),
    ]
}

/// Runs `work` at a steady pace until told to stop; a failure is logged and the next turn tries again.
async fn every<F>(
    pace: Duration,
    app: web::Data<App>,
    mut stop: watch::Receiver<bool>,
    name: &str,
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
            tracing::warn!(
                job = name,
                error = format!("{error:#}"),
                "a job failed and will be tried again"
            );
        }
    }
}

/// Ended sessions and old throttles.
async fn purge(app: &App) -> anyhow::Result<()> {
    loop {
        let mut tx = app.db.write().await?;
        let gone = queries::purge_sessions(&mut tx, app.clock.now(), PURGE_ROWS).await?;
        throttle::purge(&mut tx, app.clock.now()).await?;
        tx.commit().await?;
        if gone < PURGE_ROWS.unsigned_abs() {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
