//! A catalogue to measure on: `catalogue DIRECTORY TORRENTS MEMBERS` fills a new data directory with torrents of
//! one small file each and members with passkeys, through the inserts that the site itself uses. The same numbers
//! make the same torrents. `seedbank demo` makes fewer and livelier ones.

use std::path::PathBuf;

use anyhow::{Context, bail};
use seedbank::accounts::queries::NewUser;
use seedbank::accounts::{self, Role, UserName, setup};
use seedbank::bittorrent::create::{self, Options};
use seedbank::bittorrent::metainfo::{self, Kind};
use seedbank::categories;
use seedbank::clock::{Clock, Timestamp};
use seedbank::db::Db;
use seedbank::ids::{CategoryId, UserId};
use seedbank::secrets::random_passkey;
use seedbank::settings::Settings;
use seedbank::torrents::Title;
use seedbank::torrents::publish::Draft;
use seedbank::torrents::queries::{self, NewTorrent};

const BASE_URL: &str = "http://127.0.0.1";
/// Nobody logs in here.
const NO_PASSWORD: &str = "*";
/// Nobody else writes here, so transactions may be long.
const CHUNK: u64 = 1_000;

struct Arguments {
    directory: PathBuf,
    torrents: u64,
    members: u64,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds an argument of its own.
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [directory, torrents, members] = given.as_slice() else {
        bail!("usage: catalogue DIRECTORY TORRENTS MEMBERS");
    };
    let arguments = Arguments {
        directory: PathBuf::from(directory),
        torrents: torrents.parse().context("TORRENTS is a number")?,
        members: members.parse().context("MEMBERS is a number")?,
    };
    tokio::runtime::Runtime::new()?.block_on(fill(&arguments))
}

async fn fill(arguments: &Arguments) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.directory)?;
    let file = arguments.directory.join("seedbank.db");
    let db = Db::open(&format!("sqlite:{}", file.display()), 2).await?;
    db.migrate().await?;
    let now = Clock::system().now();
    let mut tx = db.write().await?;
    setup::open_site(&mut tx, &Settings::before_setup(BASE_URL.to_owned()), now).await?;
    let mut members = Vec::new();
    for i in 0..arguments.members {
        let name = UserName::parse(&format!("member{i}")).map_err(anyhow::Error::msg)?;
        let new = NewUser {
            name: &name,
            password_hash: NO_PASSWORD,
            role: Role::Uploader,
            passkey: &random_passkey(),
            invited_by: None,
            at: now,
        };
        members.push(accounts::queries::insert(&mut tx, &new).await?);
    }
    tx.commit().await?;
    let categories = categories::queries::all(&mut db.read().await?).await?;
    let category = categories.first().context("there is no category")?.id;
    let mut made = 0;
    while made < arguments.torrents {
        let next = arguments.torrents.min(made + CHUNK);
        let mut tx = db.write().await?;
        for i in made..next {
            let by = members.get((i % arguments.members) as usize);
            let new = torrent(i, category, *by.context("there is no member")?, now)?;
            queries::insert(&mut tx, &new, &[]).await?;
        }
        tx.commit().await?;
        made = next;
    }
    db.close().await;
    println!("{made} torrents, {} members", members.len());
    Ok(())
}

fn torrent(i: u64, category: CategoryId, by: UserId, at: Timestamp) -> anyhow::Result<NewTorrent> {
    let name = format!("measurement {i:07}");
    let options = Options {
        kind: Kind::V1,
        ..Options::default()
    };
    let files = [(vec![format!("{name}.csv")], 20_000 + i)];
    let bytes = create::synthesize(&name, &files, &options, i)?;
    let metainfo = metainfo::parse(&bytes).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let draft = Draft::plain(category);
    NewTorrent::of(&metainfo, &Title::of_name(&metainfo.name), &draft, by, at)
}
