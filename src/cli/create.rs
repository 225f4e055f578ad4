//! `seedbank create`: a .torrent from a file or folder, hashed once, with a progress bar.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use seedbank::bittorrent::create::{self, Options};
use seedbank::bittorrent::metainfo::{self, Kind, Metainfo};
use seedbank::clock::Clock;
use seedbank::web::filters;

#[derive(Args)]
pub struct Arguments {
    /// The file or folder to share.
    path: PathBuf,
    /// Where the .torrent goes; the name with `.torrent`, in this directory, unless named.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// `v1` for old clients only, `hybrid` for all, `v2` for new ones only.
    #[arg(long, default_value = "hybrid")]
    kind: Kind,
    /// Peers come from the tracker only (BEP 27).
    #[arg(long)]
    private: bool,
    /// Such as 1MiB or 262144, a power of two from 16KiB to 512MiB; fits the size unless named.
    #[arg(long, value_name = "BYTES", value_parser = piece_length)]
    piece_length: Option<u64>,
    /// An announce address; may be given several times.
    #[arg(long = "tracker", value_name = "URL", value_parser = tracker)]
    trackers: Vec<String>,
    /// A web server that has the same files (BEP 19); may be given several times.
    #[arg(long = "web-seed", value_name = "URL")]
    web_seeds: Vec<String>,
    /// A word in `info` that makes the infohash this site's own.
    #[arg(long)]
    source: Option<String>,
    #[arg(long)]
    comment: Option<String>,
    /// The name inside the torrent; the file's or folder's unless given.
    #[arg(long)]
    name: Option<String>,
    /// Replace a .torrent that is there already.
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let output = match &arguments.output {
        Some(path) => path.clone(),
        None => default_output(&arguments.path)?,
    };
    // Asked before the hashing, which may take hours.
    refuse_overwriting(&output, arguments.force)?;
    let options = Options {
        kind: arguments.kind,
        piece_length: arguments.piece_length,
        private: arguments.private,
        source: arguments.source.clone(),
        trackers: arguments.trackers.clone(),
        web_seeds: arguments.web_seeds.clone(),
        comment: arguments.comment.clone(),
        name: arguments.name.clone(),
        created_by: Some(concat!("Seedbank ", env!("CARGO_PKG_VERSION")).to_owned()),
        created_at: Some(Clock::system().now().0),
    };
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "{bar:40} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
    )?);
    let torrent = create::create(&arguments.path, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let torrent = torrent?;
    let made = metainfo::parse(&torrent)?;
    write(&output, &torrent, arguments.force)?;
    print!("{}", summary(&output, &made));
    Ok(())
}

fn default_output(path: &Path) -> anyhow::Result<PathBuf> {
    // `.` and `..` have a name only once they are resolved.
    let whole =
        fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = whole
        .file_name()
        .with_context(|| format!("{} has no name; say one with --output", path.display()))?;
    let mut name = name.to_owned();
    name.push(".torrent");
    Ok(PathBuf::from(name))
}

fn refuse_overwriting(output: &Path, force: bool) -> anyhow::Result<()> {
    ensure!(
        force || fs::symlink_metadata(output).is_err(),
        "{} is there already; choose another with --output, or replace it with --force",
        output.display()
    );
    Ok(())
}

/// Whole or not at all: written beside its place and moved there.
fn write(output: &Path, torrent: &[u8], force: bool) -> anyhow::Result<()> {
    let mut part = output.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let written = (|| {
        let mut file = File::create_new(&part)?;
        file.write_all(torrent)?;
        file.sync_all()
    })()
    .with_context(|| format!("writing {}", output.display()))
    .and_then(|()| refuse_overwriting(output, force))
    .and_then(|()| {
        fs::rename(&part, output).with_context(|| format!("writing {}", output.display()))
    });
    if written.is_err()
        && let Err(error) = fs::remove_file(&part)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("{} is left over: {error}", part.display());
    }
    written
}

fn summary(output: &Path, made: &Metainfo) -> String {
    let files = made.files.iter().filter(|file| !file.pad).count();
    let count = |n: u64| filters::number(i64::try_from(n).unwrap_or(i64::MAX));
    let bytes = |n: u64| filters::bytes(i64::try_from(n).unwrap_or(i64::MAX));
    let mut text = format!(
        "{}: {} {}, {}, {}{}, {} pieces of {}\n",
        output.display(),
        count(files as u64),
        if files == 1 { "file" } else { "files" },
        bytes(made.size),
        made.kind,
        if made.private { ", private" } else { "" },
        count(made.piece_count),
        bytes(made.piece_length),
    );
    if let Some(hash) = &made.infohash_v1 {
        text.push_str(&format!("infohash v1  {hash}\n"));
    }
    if let Some(hash) = &made.infohash_v2 {
        text.push_str(&format!("infohash v2  {hash}\n"));
    }
    text
}

/// `262144`, `256K`, `256KiB`, `1M`, `1MiB`: always binary, as clients show piece lengths.
fn piece_length(text: &str) -> anyhow::Result<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        _ => bail!("write bytes, KiB or MiB, such as 256KiB"),
    };
    let number: u64 = digits
        .trim()
        .parse()
        .ok()
        .context("write a whole number, such as 256KiB")?;
    number.checked_mul(unit).context("that is too large")
}

fn tracker(text: &str) -> anyhow::Result<String> {
    let url = url::Url::parse(text).context("write a whole URL")?;
    ensure!(
        matches!(url.scheme(), "http" | "https" | "udp" | "ws" | "wss") && url.has_host(),
        "a tracker's URL starts with http://, https:// or udp:// and names a host"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_lengths() {
        for (text, bytes) in [
            ("16384", 16_384),
            ("16KiB", 16_384),
            ("16 kib", 16_384),
            ("1M", 1 << 20),
            ("4MiB", 4 << 20),
        ] {
            assert_eq!(piece_length(text).unwrap(), bytes, "{text}");
        }
        for wrong in [
            "",
            "MiB",
            "1.5MiB",
            "-1",
            "1GB",
            "99999999999999999999",
            "18446744073709551615M",
        ] {
            assert!(piece_length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn trackers() {
        assert!(tracker("https://seeds.example.org/announce/abc").is_ok());
        assert!(tracker("udp://seeds.example.org:6969").is_ok());
        for wrong in [
            "seeds.example.org",
            "file:///etc/passwd",
            "http://",
            "javascript:alert(1)",
        ] {
            assert!(tracker(wrong).is_err(), "{wrong}");
        }
    }
}
