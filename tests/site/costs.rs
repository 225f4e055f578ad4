//! What a page costs does not grow with the catalogue where its number of hits stays the same. Ratios of times measured
//! here, one beside the other; milliseconds are what `benches/million.sh` is for.

use std::time::{Duration, Instant};

use seedbank::accounts::Role;
use seedbank::bittorrent::metainfo::Kind;

use crate::harness::torrents::{publish, small};
use crate::harness::{Browser, Site};
use crate::search_tools::copies;

const FEW: usize = 500;
const MANY: usize = 10_000;
/// Quickest of so many: what else the machine does makes a page slower, never quicker.
const TRIES: usize = 12;
const AT_MOST: f64 = 2.0;

/// The quickest answer to each path.
async fn quickest(browser: &mut Browser, paths: &[String], known: &mut [Duration]) {
    for _ in 0..TRIES {
        for (path, quickest) in paths.iter().zip(known.iter_mut()) {
            let begun = Instant::now();
            browser.get(path).await.expect(200);
            *quickest = begun.elapsed().min(*quickest);
        }
    }
}

async fn grow(site: &Site, torrent: i64, from: usize, to: usize) {
    for _ in (from..to).step_by(FEW) {
        copies(&site.app.db, torrent, FEW).await;
        site.indexed().await;
    }
}

both! {
    async fn the_same_hits_cost_the_same(site: Site) {
        site.reconfigure(|config| config.torrents.downloads_per_hour = 1_000_000).await;
        site.set_up().await;
        let mut ann = site.member("ann", Role::Member).await;
        let mut bob = site.member("bob", Role::Member).await;
        let common = publish(&mut ann, &small("oats", Kind::V1), "Common oats and barley").await;
        let mut planted = 0;
        for n in 0..12 {
            let name = format!("seeds-{n}.zweizahn");
            planted = publish(&mut bob, &small(&name, Kind::V1), &format!("Quillwort oats {n}")).await;
        }
        let paths: Vec<String> = [
            "/torrents",
            "/torrents?sort=seeders&order=desc",
            "/torrents?sort=name&order=asc",
            "/torrents?q=quillwort",
            "/torrents?q=quillwort&sort=size&order=asc",
            "/torrents?q=%22quillwort+oats%22",
            "/torrents?q=quillwort+-barley",
            "/torrents?q=quillwort+oats",
            "/torrents?q=quillw*",
            "/torrents?q=*uillwor*",
            "/torrents?q=file%3Azweizahn",
            "/torrents?q=user%3Abob",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("/torrents/{planted}"), format!("/torrents/{planted}/download")])
        .collect();

        grow(&site, common, 0, FEW).await;
        let mut before = vec![Duration::MAX; paths.len()];
        quickest(&mut ann, &paths, &mut before).await;
        grow(&site, common, FEW, MANY).await;
        let mut after = vec![Duration::MAX; paths.len()];
        let is_more = |(before, after): (&Duration, &Duration)| after.as_secs_f64() > AT_MOST * before.as_secs_f64();
        for _ in 0..5 {
            quickest(&mut ann, &paths, &mut after).await;
            if !before.iter().zip(&after).any(is_more) {
                break;
            }
        }
        for ((path, before), after) in paths.iter().zip(&before).zip(&after) {
            println!("{before:>10.1?} {after:>10.1?} {path}");
            assert!(!is_more((before, after)), "{path}: {before:?} with {FEW} torrents, {after:?} with {MANY}");
        }
    }
}
