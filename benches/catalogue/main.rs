//! Catalogues to measure on, made through the inserts that the site itself uses. The same numbers make the same
//! torrents; they are made as they are stored, so a million needs no more memory than a thousand.
//!
//!     catalogue DATABASE TORRENTS MEMBERS    DATABASE: a new data directory (SQLite), or an empty one's postgres:// URL
//!     catalogue --files FOLDER TORRENTS      .torrent files, a thousand to a folder, to import
//!
//! `seedbank demo` makes fewer and livelier ones.

mod works;

use std::path::Path;
use std::sync::mpsc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use seedbank::accounts::queries::NewUser;
use seedbank::accounts::{self, Role, UserName, setup};
use seedbank::bittorrent::create::{self, Options};
use seedbank::bittorrent::metainfo;
use seedbank::categories;
use seedbank::clock::{Clock, Timestamp};
use seedbank::db::{Db, Tx};
use seedbank::ids::{CategoryId, TagId, TorrentId, UserId};
use seedbank::on;
use seedbank::secrets::random_passkey;
use seedbank::settings::Settings;
use seedbank::tags;
use seedbank::torrents::Title;
use seedbank::torrents::publish::{Draft, Prepared};
use seedbank::torrents::queries::{self, NewTorrent};
use sqlx::QueryBuilder;
use works::{Work, work};

const BASE_URL: &str = "http://127.0.0.1";
/// Nobody logs in here.
const NO_PASSWORD: &str = "*";
/// Nobody else writes here, so transactions may be long.
const CHUNK: u64 = 1_000;
const THREADS: u64 = 2;
/// The catalogue grew over so long.
const YEARS_S: i64 = 5 * 365 * 86_400;

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds an argument of its own.
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let count = |text: &str| {
        text.parse::<u64>()
            .context("TORRENTS and MEMBERS are numbers")
    };
    match given.as_slice() {
        [flag, folder, torrents] if flag == "--files" => {
            write_files(Path::new(folder), count(torrents)?)
        }
        [database, torrents, members] => tokio::runtime::Runtime::new()?.block_on(fill(
            database,
            count(torrents)?,
            count(members)?,
        )),
        _ => {
            bail!("usage: catalogue DATABASE TORRENTS MEMBERS | catalogue --files FOLDER TORRENTS")
        }
    }
}

fn bar(torrents: u64) -> anyhow::Result<ProgressBar> {
    Ok(
        ProgressBar::new(torrents).with_style(ProgressStyle::with_template(
            "{bar:40.green} {pos}/{len} torrents {per_sec} {eta}",
        )?),
    )
}

fn write_files(folder: &Path, torrents: u64) -> anyhow::Result<()> {
    let bar = bar(torrents)?;
    for i in 0..torrents {
        let below = folder.join(format!("{:04}", i / CHUNK));
        std::fs::create_dir_all(&below)?;
        std::fs::write(
            below.join(format!("{i:07}.torrent")),
            metainfo_of(&work(i, torrents), i)?,
        )?;
        bar.inc(1);
    }
    bar.finish();
    Ok(())
}

fn metainfo_of(work: &Work, i: u64) -> anyhow::Result<Vec<u8>> {
    let options = Options {
        kind: work.kind,
        piece_length: Some(work.piece_length),
        private: work.private,
        web_seeds: work.web_seeds.clone(),
        created_by: Some("Seedbank measurement".to_owned()),
        ..Options::default()
    };
    create::synthesize(&work.name, &work.files, &options, i)
        .with_context(|| format!("making {}", work.name))
}

/// Who and where: rows that torrents refer to.
struct Home {
    members: Vec<UserId>,
    categories: Vec<CategoryId>,
    now: Timestamp,
    torrents: u64,
}

impl Home {
    fn prepare(&self, i: u64) -> anyhow::Result<(Prepared, Work)> {
        let work = work(i, self.torrents);
        let metainfo = metainfo::parse(&metainfo_of(&work, i)?)
            .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let at = |share: f64, len: usize| (share * len as f64) as usize;
        let category = self
            .categories
            .get(at(work.category, self.categories.len()));
        let member = self.members.get(at(work.member, self.members.len()));
        let draft = Draft {
            title: Some(Title::parse(&work.title).map_err(anyhow::Error::msg)?),
            category: *category.context("there is no category")?,
            tags: tags::parse_list(&work.tags.join(", ")).map_err(anyhow::Error::msg)?,
            description: work.description.clone(),
            anonymous: work.anonymous,
        };
        let age = (self.torrents - i) as f64 / self.torrents as f64 * YEARS_S as f64;
        let at = self.now.plus(-(age as i64));
        Ok((
            Prepared::of(
                &metainfo,
                &draft,
                *member.context("there is no member")?,
                at,
            )?,
            work,
        ))
    }
}

async fn fill(database: &str, torrents: u64, members: u64) -> anyhow::Result<()> {
    let url = if database.starts_with("postgres") {
        database.to_owned()
    } else {
        std::fs::create_dir_all(database)?;
        format!(
            "sqlite:{}",
            Path::new(database).join("seedbank.db").display()
        )
    };
    let db = Db::open(&url, 2).await?;
    db.migrate().await?;
    let home = home(&db, torrents, members).await?;
    let bar = bar(torrents)?;
    let made = std::thread::scope(|threads| -> anyhow::Result<u64> {
        // Threads take turns, so that chunks come in order and the database never waits for long.
        let chunks: Vec<_> = (0..THREADS)
            .map(|turn| {
                let (send, chunks) = mpsc::sync_channel(1);
                let home = &home;
                threads.spawn(move || {
                    for from in (turn * CHUNK..torrents).step_by((THREADS * CHUNK) as usize) {
                        let chunk: anyhow::Result<Vec<_>> = (from..torrents.min(from + CHUNK))
                            .map(|i| home.prepare(i))
                            .collect();
                        if send.send(chunk).is_err() {
                            return;
                        }
                    }
                });
                chunks
            })
            .collect();
        let mut made = 0;
        for turn in chunks.iter().cycle() {
            let Ok(chunk) = turn.recv() else { break };
            let chunk = chunk?;
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(store(&db, &home, &chunk))
            })?;
            made += chunk.len() as u64;
            bar.set_position(made);
        }
        Ok(made)
    })?;
    bar.finish();
    // Postgres plans by what it knows of the tables.
    let mut tx = db.write().await?;
    on!(tx, |c| sqlx::query("analyze").execute(c).await.map(drop))?;
    tx.commit().await?;
    db.close().await;
    println!("{made} torrents, {} members", home.members.len());
    Ok(())
}

async fn home(db: &Db, torrents: u64, members: u64) -> anyhow::Result<Home> {
    let now = Clock::system().now();
    let mut tx = db.write().await?;
    setup::open_site(&mut tx, &Settings::before_setup(BASE_URL.to_owned()), now).await?;
    let mut ids = Vec::new();
    for i in 0..members {
        let name = UserName::parse(&format!("member{i}")).map_err(anyhow::Error::msg)?;
        let new = NewUser {
            name: &name,
            password_hash: NO_PASSWORD,
            role: Role::Uploader,
            passkey: &random_passkey(),
            invited_by: None,
            at: now,
        };
        ids.push(accounts::queries::insert(&mut tx, &new).await?);
    }
    tx.commit().await?;
    let categories = categories::queries::all(&mut db.read().await?).await?;
    let is_leaf = |id: CategoryId| categories.iter().all(|other| other.parent_id != Some(id));
    Ok(Home {
        members: ids,
        categories: categories
            .iter()
            .map(|c| c.id)
            .filter(|id| is_leaf(*id))
            .collect(),
        now,
        torrents,
    })
}

async fn store(db: &Db, home: &Home, chunk: &[(Prepared, Work)]) -> anyhow::Result<()> {
    let mut tx = db.write().await?;
    let mut tags = Vec::with_capacity(chunk.len());
    for (prepared, _) in chunk {
        tags.push(tags::queries::resolve_or_create(&mut tx, &prepared.tags, home.now).await?);
    }
    let rows: Vec<(&NewTorrent, &[TagId])> = chunk
        .iter()
        .zip(&tags)
        .map(|((prepared, _), tags)| (&prepared.new, &tags[..]))
        .collect();
    let mut ids = Vec::with_capacity(chunk.len());
    for some in rows.chunks(queries::AT_ONCE) {
        ids.extend(queries::insert_unstamped(&mut tx, some).await?);
    }
    let swarms: Vec<_> = ids
        .iter()
        .zip(chunk)
        .filter_map(|(id, (_, work))| Some((*id, work.swarm?)))
        .collect();
    store_swarms(&mut tx, &swarms, home.now).await?;
    queries::stamp(&mut tx, &ids).await?;
    Ok(tx.commit().await?)
}

async fn store_swarms(
    tx: &mut Tx,
    swarms: &[(TorrentId, (i64, i64, i64))],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if swarms.is_empty() {
        return Ok(());
    }
    on!(tx, |c: B| {
        let mut query = QueryBuilder::<B>::new(
            "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) ",
        );
        query.push_values(swarms, |mut row, (id, (seeders, leechers, completed))| {
            row.push_bind(*id)
                .push_bind(*seeders)
                .push_bind(*leechers)
                .push_bind(*completed)
                .push_bind(at.plus(-(id.0 % 86_400)));
        });
        query.build().execute(c).await.map(drop)
    })
}
