//! The real companion, killed and started again while 100 torrents are uploaded; what it knows is read from its own
//! database.

use super::*;
use crate::harness::{Backend, run_bare};

/// On the database that is there, or as after the loss of its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    Everything,
}

async fn story(mut site: Site, loss: Loss) {
    let Some(mut real) = TorrustReal::start(CLOSED).await else {
        return;
    };
    let category = set_up(&site).await;
    let _ticking = Ticking::of(&site);
    site.reconfigure(uses_real(&real)).await;
    let [ann, bob, cleo, root] = members(&site).await;
    let kinds = [Kind::V1, Kind::Hybrid, Kind::V2];
    let mut ids = Vec::new();
    let mut dead = Vec::new();
    for n in 0..100 {
        let bytes = file(&format!("upload-{n}"), kinds[n % 3]);
        ids.push(upload(&site, ann, category, &bytes).await);
        match n {
            20 | 60 => real.kill(),
            25 => site.kill_and_start().await,
            30 => dead.push(reset(&site, bob).await),
            35 => delete(&site, ids[0], root).await,
            40 | 80 if loss == Loss::Everything => real.start_again_empty().await,
            40 | 80 => real.start_again().await,
            45 => dead.push(ban(&site, cleo, root).await),
            // So that the tracker has heard of some of it.
            n if n % 10 == 0 => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => {}
        }
    }
    told(&site).await;
    site.clock.advance(61);
    let empty = async || rows(&site).await == 0;
    until("an empty outbox", PATIENCE, empty).await;
    let same = async || Truth::in_file_of(&real).await == Truth::of(&site).await;
    until("the tracker to know all, and nothing else", PATIENCE, same).await;
    assert!(Truth::of(&site).await.hashes.len() > 100);
    let keys = real.keys().await;
    assert!(dead.iter().all(|key| !keys.contains(key)));
    site.end().await;
    assert!(real.stop().await.success());
}

fn all(backend: Backend) {
    run_bare(async {
        let on = async |loss| {
            if let Some(site) = Site::fresh(backend).await {
                story(site, loss).await;
            }
        };
        tokio::join!(on(Loss::Nothing), on(Loss::Everything));
    });
}

#[test]
fn sqlite() {
    all(Backend::Sqlite);
}

#[test]
fn postgres() {
    all(Backend::Postgres);
}
