//! `seedbank import DIR`: every .torrent below a folder, with a bar, a report of refusals, and no harm in running
//! it again: what is in the catalogue is passed over.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use actix_web::web::Bytes;
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};

use super::Site;
use seedbank::accounts;
use seedbank::bittorrent::metainfo::MAX_BYTES;
use seedbank::categories;
use seedbank::tags;
use seedbank::torrents::DESCRIPTION_BYTES;
use seedbank::torrents::publish::{self, Draft, Prepared, Verdict};

/// What the command line asks for.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The folder; folders below it are searched too.
    pub folder: PathBuf,
    /// Whose uploads they become.
    #[arg(long = "as", value_name = "NAME")]
    pub member: String,
    /// The slug of their category.
    #[arg(long, value_name = "SLUG")]
    pub category: String,
    /// Tags for all of them, separated by commas.
    #[arg(long, default_value = "")]
    pub tags: String,
    /// A description for all of them (Markdown).
    #[arg(long, default_value = "")]
    pub description: String,
    /// Hide the uploader's name.
    #[arg(long)]
    pub anonymous: bool,
    /// Where refusals are written, a line each.
    #[arg(long, value_name = "FILE", default_value = "import-refused.txt")]
    pub report: PathBuf,
}

/// Files that are parsed before they are stored together.
const CHUNK: usize = 64;
/// Files that are read and parsed at the same time.
const SIDE_BY_SIDE: usize = 8;

#[derive(Default)]
struct Tally {
    added: u64,
    known: u64,
    refused: u64,
}

pub async fn run(site: &Site, arguments: &Arguments) -> anyhow::Result<()> {
    let mut conn = site.db.read().await?;
    let member = accounts::queries::by_name(&mut conn, &arguments.member)
        .await?
        .with_context(|| format!("--as: there is no member called {:?}", arguments.member))?;
    if member.banned_at.is_some() {
        bail!("--as: {} is banned", member.name);
    }
    let all = categories::queries::all(&mut conn).await?;
    drop(conn);
    let Some(category) = all.iter().find(|c| c.slug == arguments.category) else {
        let slugs: Vec<&str> = all.iter().map(|c| c.slug.as_str()).collect();
        bail!(
            "--category: there is no {:?}; there are: {}",
            arguments.category,
            slugs.join(", ")
        );
    };
    if arguments.description.len() > DESCRIPTION_BYTES {
        bail!(
            "--description is longer than {} KiB",
            DESCRIPTION_BYTES / 1024
        );
    }
    let draft = Draft {
        title: None,
        category: category.id,
        tags: tags::parse_list(&arguments.tags).map_err(|m| anyhow::anyhow!("--tags: {m}"))?,
        description: arguments.description.clone(),
        anonymous: arguments.anonymous,
    };
    let files = torrents_below(&arguments.folder)?;
    if files.is_empty() {
        bail!(
            "there is no .torrent file in {}",
            arguments.folder.display()
        );
    }
    let mut report = BufWriter::new(
        File::create(&arguments.report)
            .with_context(|| format!("--report: {}", arguments.report.display()))?,
    );
    let bar = ProgressBar::new(u64::try_from(files.len())?).with_style(
        ProgressStyle::with_template("{bar:40.green} {pos}/{len} {per_sec} {eta} {msg}")?,
    );
    let mut tally = Tally::default();
    for chunk in files.chunks(CHUNK) {
        let mut prepared: Vec<Prepared> = Vec::new();
        let looked_at = stream::iter(chunk).map(async |path| {
            let bytes = match read(path) {
                Ok(bytes) => bytes,
                Err(sentence) => return anyhow::Ok((path, Err(sentence))),
            };
            let one = publish::prepare(&site.intake, site.policy, member.id, bytes, &draft).await?;
            Ok((path, one.map_err(|refused| refused.sentence)))
        });
        let mut looked_at = pin!(looked_at.buffered(SIDE_BY_SIDE));
        while let Some((path, one)) = looked_at.try_next().await? {
            match one {
                Ok(one) => prepared.push(one),
                Err(sentence) => refuse(&mut report, &mut tally, path, &sentence)?,
            }
        }
        for verdict in publish::store_many(&site.intake, &prepared).await? {
            match verdict {
                Verdict::Added(_) => tally.added += 1,
                Verdict::Known(_) => tally.known += 1,
                Verdict::Refused(_) => tally.refused += 1,
            }
        }
        bar.inc(u64::try_from(chunk.len())?);
        bar.set_message(format!(
            "{} added, {} known, {} refused",
            tally.added, tally.known, tally.refused
        ));
    }
    bar.finish();
    report.flush()?;
    println!(
        "{} added, {} in the catalogue already, {} refused.",
        tally.added, tally.known, tally.refused
    );
    if tally.refused > 0 {
        println!(
            "The refusals and their reasons are in {}.",
            arguments.report.display()
        );
    }
    Ok(())
}

fn refuse(
    report: &mut impl Write,
    tally: &mut Tally,
    path: &Path,
    sentence: &str,
) -> std::io::Result<()> {
    tally.refused += 1;
    writeln!(
        report,
        "{}: {sentence}",
        path.display().to_string().escape_debug()
    )
}

fn read(path: &Path) -> Result<Bytes, String> {
    let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > MAX_BYTES as u64 {
        return Err(format!(
            "the file is larger than {} MiB",
            MAX_BYTES / 1024 / 1024
        ));
    }
    std::fs::read(path)
        .map(Bytes::from)
        .map_err(|e| e.to_string())
}

/// Every `*.torrent` below a folder, in order, so that a second run does the same; links are not followed.
fn torrents_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && path
                    .extension()
                    .is_some_and(|e| e.eq_ignore_ascii_case("torrent"))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
