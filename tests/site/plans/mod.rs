//! How the databases run what the program asks of them. Every page is asked for and every deed done, the statements
//! are noted as they go by, and each is explained on both databases: none reads a table that grows from end to end,
//! none sorts more than a page, but for those in `allowed`, which have a reason.
//!
//! Statements that stand in the source and did not go by are explained too where they are whole; what is put together
//! at run time must have gone by. So a new query is looked at before anybody remembers to.

mod allowed;
mod deeds;
mod explain;
mod fill;
mod record;
mod statement;
mod visits;

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Backend, Browser, Site, run};
use allowed::{ALLOWED, Allowed, On};
use explain::Explainer;
use visits::{People, World};

#[test]
fn sqlite() {
    record::alone("plans::sqlite", || run(Backend::Sqlite, story));
}

#[test]
fn postgres() {
    record::alone("plans::postgres", || run(Backend::Postgres, story));
}

async fn story(mut site: Site) {
    record::take();
    let (mut people, world) = visits::begin(&site).await;
    deeds::announces(&site, &mut people, &world).await;
    visits::every_page(&mut people, &world).await;
    costs(&mut people, &world).await;
    deeds::every_deed(&site, &mut people, &world).await;
    deeds::with_companion(&mut site, &mut people, &world).await;
    judge(&database_url(&site), &record::take()).await;
    site.end().await;
}

/// Statements that a page takes at most, whatever the number of its rows: as a member, and as a guest.
async fn costs(people: &mut People, world: &World) {
    let torrent = world.torrent;
    let feed = format!("/torrents.rss?key={}", world.feed_key);
    for (path, as_member, as_guest) in [
        ("/torrents", 6, 4),
        ("/torrents?q=one", 7, 5),
        ("/torrents?q=title&sort=size", 7, 5),
        ("/torrents?q=cat%3Aother+tag%3Ared", 8, 6),
        (&format!("/torrents/{torrent}"), 9, 7),
        (&format!("/torrents/{torrent}/download"), 3, 1),
        (&format!("/torrents/{torrent}/magnet"), 2, 1),
        (&feed, 6, 6),
    ] {
        let asked = statements_for(&mut people.member, path).await;
        assert!(!asked.is_empty(), "what {path} asks was not noted");
        let (count, list) = (asked.len(), asked.join("\n    "));
        assert!(
            count <= as_member,
            "{path} takes a member {count}:\n    {list}"
        );
        let asked = statements_for(&mut people.guest, path).await;
        let (count, list) = (asked.len(), asked.join("\n    "));
        assert!(
            count <= as_guest,
            "{path} takes a guest {count}:\n    {list}"
        );
    }
}

async fn statements_for(browser: &mut Browser, path: &str) -> Vec<String> {
    let reply = browser.get(path).await;
    assert!(reply.status < 400, "{path}: {}", reply.text);
    // What the first was asking has surely been said by the end of a second.
    browser.get(path).await;
    record::of_request(reply.header("x-request-id"))
}

fn database_url(site: &Site) -> String {
    let mut environment = site.environment().into_iter();
    let url = environment.find(|(name, _)| *name == "SEEDBANK__DATABASE__URL");
    url.unwrap().1
}

async fn judge(url: &str, said: &[record::Statement]) {
    let mut explainer = Explainer::of(url).await;
    let mut wrong = Vec::new();
    let mut asked = by_shape(said);
    let went_by = asked.len();
    asked.extend(from_source(&mut explainer, &asked, &mut wrong).await);
    println!("{went_by} statements went by, of {}", asked.len());
    let mut used = BTreeSet::new();
    for sql in asked.values() {
        let plan = match explainer.plan(sql).await {
            Ok(plan) => plan,
            Err(e) => {
                wrong.push(format!("cannot be explained: {sql}\n    {e}\n"));
                continue;
            }
        };
        for finding in plan.findings {
            let allows =
                |a: &&Allowed| a.findings.contains(&finding.as_str()) && sql.contains(a.within);
            match ALLOWED.iter().find(allows) {
                Some(entry) => {
                    used.insert((entry.within, finding));
                }
                None => wrong.push(format!("{finding}: {sql}\n{}", plan.text)),
            }
        }
    }
    let on = explainer.on();
    for entry in ALLOWED.iter().filter(|a| a.on == On::Both || a.on == on) {
        for finding in entry.findings {
            if !used.contains(&(entry.within, (*finding).to_owned())) {
                let Allowed { within, why, .. } = entry;
                wrong.push(format!(
                    "nothing needs {finding} any more: {within} ({why})\n"
                ));
            }
        }
    }
    let (count, all) = (wrong.len(), wrong.join("\n"));
    assert!(wrong.is_empty(), "{count} findings\n\n{all}");
}

/// Of statements that differ in how many values they take, the longest.
fn by_shape(said: &[record::Statement]) -> BTreeMap<String, String> {
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    for statement in said {
        let longest = asked.entry(statement::shape(&statement.sql)).or_default();
        if statement.sql.len() > longest.len() {
            longest.clone_from(&statement.sql);
        }
    }
    asked
}

/// Whole statements of the source that nobody asked; what is a part of one must have been asked.
async fn from_source(
    explainer: &mut Explainer,
    asked: &BTreeMap<String, String>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut whole = BTreeMap::new();
    for literal in statement::in_source() {
        let shape = statement::shape(&literal.sql);
        if asked.contains_key(&shape) {
            continue;
        }
        match explainer.plan(&literal.sql).await {
            Ok(_) => {
                whole.insert(shape, literal.sql);
            }
            Err(_) if literal.is_in(asked.keys()) => {}
            Err(e) => {
                let statement::Literal { place, sql } = literal;
                wrong.push(format!(
                    "{place}: nothing here ran it, and it is no whole statement ({e})\n    {sql}\n"
                ));
            }
        }
    }
    whole
}
