//! `seedbank search ..`: whether the index says what the database does, and a new one. A running site builds it itself,
//! when asked, and answers from the old one meanwhile; without one this command does it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use seedbank::config::Config;
use seedbank::data_dir;
use seedbank::db::{Db, migrate};
use seedbank::search::rebuild::{self, Rebuild};
use seedbank::search::{self, Fault, Looking};
use seedbank::web::pager::counted;

use super::open_database;

#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Command {
    /// Compare the index with the database; changes nothing.
    Check,
    /// Build the index anew.
    Rebuild,
}

const LOOK: Duration = Duration::from_millis(200);
/// A site that has not gone on for so long may need looking after.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(config: Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check => check(&config).await,
        Command::Rebuild => {
            let db = open_database(&config).await?;
            let outcome = new_index(&config, &db).await;
            db.close().await;
            outcome
        }
    }
}

fn bar(of: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(&format!(
        "{{bar:40.green}} {{pos}}/{{len}} {of}, {{elapsed}} gone, {{eta}} to go {{msg}}"
    ))?);
    Ok(bar)
}

async fn check(config: &Config) -> anyhow::Result<()> {
    // Neither made nor brought up to date: this command only looks.
    let url = config.database_url();
    if let Some(path) = url.strip_prefix("sqlite:")
        && !Path::new(path).exists()
    {
        bail!("there is no database at {path}: is server.data_dir the site's?");
    }
    let db = Db::open(&url, 2).await?;
    let version = migrate::version(&mut db.read().await?).await;
    if !version.is_ok_and(|version| version >= migrate::schema_version()) {
        bail!("the database is not up to date: start the site, or run `seedbank migrate`");
    }
    let bar = bar("torrents")?;
    let looked = search::look(&config.server.data_dir, &db, &|looking| match looking {
        Looking::Verifying => bar.set_message("(reading every file of the index)"),
        Looking::Comparing { done, total } => {
            bar.set_message("");
            bar.set_length(total);
            bar.set_position(done);
        }
    })
    .await;
    bar.finish_and_clear();
    db.close().await;
    let checked = match looked? {
        Ok(checked) => checked,
        Err(unusable) => bail!(
            "the search index in {} is of no use: {unusable}. A site builds it anew when it starts, and so does \
             `seedbank search rebuild`.",
            config.server.data_dir.display()
        ),
    };
    println!(
        "{} in the database, {} in the index, {} not yet followed.",
        torrents(checked.stored),
        number(checked.indexed),
        counted(signed(checked.not_yet_followed), "change", "changes")
    );
    tell(&checked.missing, "missing from the index");
    tell(&checked.outdated, "in the index as before a change");
    tell(
        &checked.surplus,
        "in the index although deleted or unknown, or twice",
    );
    if !checked.is_sound() {
        bail!(
            "the search index differs from the database: `seedbank search rebuild` makes it anew"
        );
    }
    println!("The search index is sound.");
    Ok(())
}

fn tell(fault: &Fault, what: &str) {
    if fault.count > 0 {
        let ids: Vec<String> = fault.ids.iter().map(|id| id.0.to_string()).collect();
        let more = if fault.count > ids.len() as u64 {
            ", .."
        } else {
            ""
        };
        println!(
            "- {} {what}: {}{more}",
            torrents(fault.count),
            ids.join(", ")
        );
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn number(n: u64) -> String {
    seedbank::web::filters::number(signed(n))
}

fn torrents(n: u64) -> String {
    counted(signed(n), "torrent", "torrents")
}

async fn new_index(config: &Config, db: &Db) -> anyhow::Result<()> {
    let data_dir = &config.server.data_dir;
    let bar = bar("torrents")?;
    let mut request = None;
    let mut last = (Rebuild::Requested, Instant::now());
    loop {
        if let Some(request) = &request {
            let now = rebuild::state(data_dir, request, db).await?;
            match &now {
                Rebuild::Done => break,
                Rebuild::Failed(why) => bail!("the site could not build it: {why}"),
                Rebuild::Building { done, total } => {
                    bar.set_length(*total);
                    bar.set_position(*done);
                }
                Rebuild::Requested => {}
            }
            if last.0 != now {
                bar.set_message("");
                last = (now, Instant::now());
            } else if last.1.elapsed() > PATIENCE {
                bar.set_message("(no progress; the site's log may say why)");
            }
        }
        // Held until the end: a site that starts meanwhile is told so.
        if let Some(_held) = data_dir::hold_if_free(data_dir)? {
            rebuild::alone(data_dir, db, &config.search, |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            })
            .await?;
            break;
        }
        if request.is_none() {
            request = Some(rebuild::request(data_dir, db).await?);
            println!(
                "A site serves from {}: it builds the new index, and answers from the old one until then. This command \
                 only shows how far it is.",
                data_dir.display()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    bar.finish_and_clear();
    println!("The search index is a new one.");
    Ok(())
}
