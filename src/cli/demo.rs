//! `seedbank demo N`: fills the catalogue with plausible, valid torrents, members, swarm numbers and their history,
//! so that a newcomer sees a living site. The payload does not exist: nothing can be transferred.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Site;
use super::demo_words::{self as words, Theme};
use seedbank::accounts::queries::{InsertError, NewUser};
use seedbank::accounts::{self, Role, UserName};
use seedbank::bittorrent::create::{self, Options};
use seedbank::bittorrent::metainfo::{self, Kind};
use seedbank::categories::{self, Category};
use seedbank::clock::Timestamp;
use seedbank::db::Tx;
use seedbank::ids::{TorrentId, UserId};
use seedbank::secrets::{random_passkey, random_token};
use seedbank::tags;
use seedbank::torrents::Title;
use seedbank::torrents::publish::{self, Draft, Prepared, Verdict};
use seedbank::tracker::history::{self, Sample};
use seedbank::{exec, on};
use sqlx::QueryBuilder;

const MEMBERS: [&str; 14] = [
    "mira", "otto", "vera", "juno", "tariq", "inge", "sol", "amara", "piet", "noor", "wanda",
    "kofi", "lumi", "rosa",
];
const DAY_S: i64 = 86_400;
const CHUNK: u64 = 50;

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// How many torrents.
    #[arg(default_value_t = 1_000)]
    pub torrents: u64,
    /// The same seed makes the same torrents.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

pub async fn run(site: &Site, arguments: &Arguments) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(arguments.seed);
    let members = members(site).await?;
    let mut tx = site.db.write().await?;
    categories::defaults::seed(&mut tx).await?;
    tx.commit().await?;
    let mut conn = site.db.read().await?;
    let categories = categories::queries::all(&mut conn).await?;
    drop(conn);
    let bar = ProgressBar::new(arguments.torrents).with_style(ProgressStyle::with_template(
        "{bar:40.green} {pos}/{len} torrents {per_sec} {eta}",
    )?);
    let now = site.clock.now();
    let mut made = 0;
    while made < arguments.torrents {
        let count = CHUNK.min(arguments.torrents - made);
        let mut prepared = Vec::new();
        for i in 0..count {
            // Oldest first, so that ids rise with age as they do on a site that grew.
            let left = (arguments.torrents - made - i) as f64 / arguments.torrents as f64;
            let age_s = (left * left * 700.0 * DAY_S as f64) as i64 + rng.random_range(0..1_800);
            prepared.push(one(&mut rng, &members, &categories, now.plus(-age_s))?);
        }
        let verdicts = publish::store_many(&site.intake, &prepared).await?;
        let mut tx = site.db.write().await?;
        for (verdict, one) in verdicts.iter().zip(&prepared) {
            if let Verdict::Added(added) = verdict {
                numbers(&mut tx, &mut rng, added.id, one.new.at(), now).await?;
            }
        }
        tx.commit().await?;
        made += count;
        bar.set_position(made);
    }
    bar.finish();
    println!(
        "{made} torrents by {} members. They are made up: their payload does not exist.",
        members.len()
    );
    Ok(())
}

/// Members with passwords nobody knows.
async fn members(site: &Site) -> anyhow::Result<Vec<UserId>> {
    let mut ids = Vec::new();
    let hash = site
        .passwords
        .hash(&random_token())
        .await
        .context("hashing a password")?;
    for (i, name) in MEMBERS.iter().enumerate() {
        let mut conn = site.db.read().await?;
        if let Some(user) = accounts::queries::by_name(&mut conn, name).await? {
            ids.push(user.id);
            continue;
        }
        drop(conn);
        let name = UserName::parse(name).map_err(anyhow::Error::msg)?;
        let mut tx = site.db.write().await?;
        let new = NewUser {
            name: &name,
            password_hash: &hash,
            role: if i < 3 { Role::Uploader } else { Role::Member },
            passkey: &random_passkey(),
            invited_by: None,
            at: site.clock.now().plus(-710 * DAY_S),
        };
        match accounts::queries::insert(&mut tx, &new).await {
            Ok(id) => ids.push(id),
            Err(InsertError::NameTaken) => continue,
            Err(e) => return Err(e.into()),
        }
        tx.commit().await?;
    }
    Ok(ids)
}

fn one(
    rng: &mut StdRng,
    members: &[UserId],
    categories: &[Category],
    at: Timestamp,
) -> anyhow::Result<Prepared> {
    let theme = words::theme(rng);
    let work = words::work(rng, theme);
    let kind = match rng.random_range(0..10) {
        0 => Kind::V2,
        1 | 2 => Kind::Hybrid,
        _ => Kind::V1,
    };
    let size: u64 = work.files.iter().map(|(_, length)| length).sum();
    // Few pieces: their hashes are most of what is stored.
    let piece_length = (size / 150)
        .next_power_of_two()
        .clamp(16 * 1024, 64 * 1024 * 1024);
    let options = Options {
        kind,
        piece_length: Some(piece_length),
        private: rng.random_bool(0.1),
        web_seeds: if rng.random_bool(0.15) {
            vec!["https://mirror.example.org/files/".to_owned()]
        } else {
            Vec::new()
        },
        created_by: Some("Seedbank demo".to_owned()),
        created_at: Some(at.0),
        ..Options::default()
    };
    let bytes = create::synthesize(&work.name, &work.files, &options, rng.random())
        .with_context(|| format!("making {}", work.name))?;
    let metainfo = metainfo::parse(&bytes).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let fitting = category(categories, theme).or(categories.first());
    let draft = Draft {
        title: Title::parse(&work.title).ok(),
        category: fitting.context("there is no category")?.id,
        tags: tags::parse_list(&work.tags.join(", ")).map_err(anyhow::Error::msg)?,
        description: work.description,
        anonymous: rng.random_bool(0.05),
    };
    // A few members do most of it, as everywhere.
    let first = rng.random_range(0..members.len());
    let uploader = members
        .get(rng.random_range(0..=first))
        .context("there is no member")?;
    Prepared::of(&metainfo, &draft, *uploader, at)
}

fn category(categories: &[Category], theme: Theme) -> Option<&Category> {
    categories.iter().find(|c| c.slug == theme.category_slug())
}

/// A swarm that rose and fell, sampled daily, and what it is now.
async fn numbers(
    tx: &mut Tx,
    rng: &mut StdRng,
    id: TorrentId,
    since: Timestamp,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    const SWARM: &str = "insert into swarms (torrent_id, seeders, leechers, completed, updated_at) \
        values ($1, $2, $3, $4, $5)";
    const COUNT: &str = "insert into download_counts (torrent_id, count) values ($1, $2)";
    // Most are small, a few are big.
    let fame = rng.random_range(0.0f64..1.0).powi(6) * 2_500.0 + rng.random_range(0.0..6.0);
    let age_days = (now.since(since) / DAY_S) as f64;
    let mut days = Vec::new();
    let mut seeders = 0.0;
    let mut leechers = 0.0;
    let history_days = age_days.min(45.0) as i64;
    for back in (0..=history_days).rev() {
        let at = now.plus(-back * DAY_S);
        let age = (at.since(since) as f64 / DAY_S as f64).max(0.1);
        seeders = (fame
            * (1.0 - (-age / 3.0).exp())
            * (0.35 + 0.65 * (-age / 200.0).exp())
            * rng.random_range(0.85..1.15))
        .max(0.0);
        leechers = seeders * (0.02 + 0.8 * (-age / 5.0).exp()) * rng.random_range(0.6..1.4);
        let sample = Sample {
            at,
            seeders: seeders as u32,
            leechers: leechers as u32,
        };
        days.push((history::day_of(at), history::put(&[], &sample)));
    }
    // One statement for all days: sqlx pays per statement.
    on!(tx, |c: B| {
        let mut query =
            QueryBuilder::<B>::new("insert into swarm_history (torrent_id, day, samples) ");
        query.push_values(&days, |mut row, (day, packed)| {
            row.push_bind(id)
                .push_bind(*day)
                .push_bind(packed.as_slice());
        });
        query.build().execute(c).await.map(drop)
    })?;
    let completed = (fame * (age_days + 1.0).ln() * 2.5) as i64;
    exec!(
        tx,
        SWARM,
        id,
        seeders as i64,
        leechers as i64,
        completed,
        now
    )?;
    exec!(tx, COUNT, id, completed + completed / 4)?;
    Ok(())
}
