//! What the torrents are called and made of: words as often as a language has them (the one of rank r about 1 / r as
//! often as the first), shapes as sites have them, and some words in the same number of torrents whatever the size of
//! the catalogue, so that costs can be compared between sizes.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use seedbank::bittorrent::metainfo::Kind;

const VOCABULARY: f64 = 60_000.0;
const TAGS: f64 = 2_000.0;
const SYLLABLES: [&str; 20] = [
    "ka", "to", "li", "ner", "us", "mo", "ra", "den", "is", "po", "ve", "sil", "an", "gru", "te",
    "fa", "or", "mi", "bel", "qu",
];
/// Planted in so many torrents of every catalogue.
const PLANTED: [(&str, u64); 3] = [
    ("quillwort", 20),
    ("Silver Birch", 500),
    ("meadowsweet", 2_000),
];
const PLANTED_FILES: u64 = 200;
const PLANTED_TAG: u64 = 300;
const MIB: f64 = 1_048_576.0;

pub struct Work {
    pub title: String,
    pub name: String,
    pub files: Vec<(Vec<String>, u64)>,
    pub tags: Vec<String>,
    pub description: String,
    pub kind: Kind,
    pub private: bool,
    pub anonymous: bool,
    pub web_seeds: Vec<String>,
    pub piece_length: u64,
    /// Below 1: the share of the way through the categories.
    pub category: f64,
    /// Below 1: the share of the way through the members.
    pub member: f64,
    /// Nothing is known of some swarms.
    pub swarm: Option<(i64, i64, i64)>,
}

/// The word of a rank from 1 on.
fn word(rank: u64) -> String {
    let count = SYLLABLES.len() as u64;
    let mut left = rank;
    let mut word = String::new();
    while word.len() < 4 || left > 0 {
        word.push_str(SYLLABLES[(left % count) as usize]);
        left /= count;
    }
    word
}

fn zipf(random: &mut StdRng, count: f64) -> u64 {
    count.powf(random.random_range(0.0..1.0)) as u64
}

fn words(random: &mut StdRng, count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let word = word(zipf(random, VOCABULARY));
        if n > 0 {
            text.push(' ');
        }
        let (first, rest) = word.split_at(1);
        text.push_str(&first.to_uppercase());
        text.push_str(rest);
    }
    text
}

/// Whether the torrent is one of `hits` spread over all.
fn is_among(i: u64, of: u64, hits: u64, offset: u64) -> bool {
    let step = (of / hits).max(1);
    i % step == offset % step && i / step < hits
}

/// The torrent of number `i` among `of`.
pub fn work(i: u64, of: u64) -> Work {
    let random = &mut StdRng::seed_from_u64(i);
    let year = random.random_range(1950..2027);
    let (mut title, extension) = match random.random_range(0..10) {
        0 | 1 => (
            format!("{} {year} 1080p WEB x264", said(random, 4, 6)),
            "mkv",
        ),
        2 => {
            let (season, episode) = (random.random_range(1..12), random.random_range(1..25));
            (
                format!("{} S{season:02}E{episode:02} 720p", said(random, 3, 5)),
                "mkv",
            )
        }
        3 => {
            let (major, minor) = (random.random_range(1..30), random.random_range(0..12));
            (
                format!("{} {major}.{minor:02} amd64 desktop", said(random, 2, 4)),
                "iso",
            )
        }
        4 | 5 => (
            format!("{}: {} ({year})", said(random, 2, 3), said(random, 3, 5)),
            "csv",
        ),
        6 => (
            format!("{} - {} (2nd ed.)", said(random, 2, 2), said(random, 3, 6)),
            "pdf",
        ),
        7 | 8 => (
            format!(
                "{} – {} [FLAC] {year}",
                said(random, 1, 3),
                said(random, 2, 4)
            ),
            "flac",
        ),
        _ => (said(random, 4, 8), "tar.zst"),
    };
    if random.random_bool(0.02) {
        title.push_str(
            [
                " 日本語の資料集",
                " Собрание карт",
                " 中文維基百科",
                " مجموعة",
            ][random.random_range(0..4)],
        );
    }
    for (n, (word, hits)) in PLANTED.into_iter().enumerate() {
        if is_among(i, of, hits, n as u64) {
            title = format!("{title} {word}");
        }
    }
    let name = if random.random_bool(0.6) {
        let plain: String = title
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '.' })
            .collect();
        format!(
            "{}-{}",
            plain.trim_end_matches('.'),
            word(zipf(random, 500.0)).to_uppercase()
        )
    } else {
        title.replace('/', " ")
    };
    let mut tags: Vec<String> = (0..random.random_range(0..6))
        .map(|_| word(zipf(random, TAGS)))
        .collect();
    if is_among(i, of, PLANTED_TAG, 3) {
        tags.push("planted".to_owned());
    }
    tags.sort();
    tags.dedup();
    let kind = match random.random_range(0..20) {
        0 => Kind::V2,
        1 | 2 => Kind::Hybrid,
        _ => Kind::V1,
    };
    // From some MB to some hundred GB, most in between.
    let size = 10.0_f64.powf(random.random_range(0.6..5.2)) * MIB;
    // 65 to 130 pieces: about 2 kB of hashes.
    let piece_length = (size as u64 / 130)
        .next_power_of_two()
        .clamp(16 << 10, 512 << 20);
    let files = files(
        random,
        &name,
        extension,
        size,
        is_among(i, of, PLANTED_FILES, 4),
    );
    let known = random.random_bool(0.85);
    let fame = random.random_range(0.0_f64..1.0).powi(8) * 3_000.0 + random.random_range(0.0..4.0);
    Work {
        title,
        name,
        files,
        tags,
        description: match random.random_range(0..3) {
            0 => format!("## {}\n\n{}.", words(random, 3), words(random, 40)),
            _ => String::new(),
        },
        kind,
        private: random.random_bool(0.1),
        anonymous: random.random_bool(0.05),
        web_seeds: match random.random_bool(0.1) {
            true => vec!["https://mirror.example.org/files/".to_owned()],
            false => Vec::new(),
        },
        piece_length,
        category: random.random_range(0.0_f64..1.0).powi(2),
        member: random.random_range(0.0_f64..1.0).powi(3),
        swarm: known.then(|| {
            let leechers = fame * random.random_range(0.0..0.5);
            (
                fame as i64,
                leechers as i64,
                (fame * random.random_range(1.0..20.0)) as i64,
            )
        }),
    }
}

fn said(random: &mut StdRng, least: usize, most: usize) -> String {
    let count = random.random_range(least..=most);
    words(random, count)
}

/// One file for half of the torrents, some hundred for few; eight on average.
fn files(
    random: &mut StdRng,
    name: &str,
    extension: &str,
    size: f64,
    planted: bool,
) -> Vec<(Vec<String>, u64)> {
    let mut files = Vec::new();
    if random.random_bool(0.5) && !planted {
        files.push((vec![name.to_owned()], size as u64));
        return files;
    }
    let count = 2 + (random.random_range(0.0_f64..1.0).powi(9) * 150.0) as u64;
    // Mostly files are called what the whole is called; chapters and tracks have titles of their own.
    let of_title: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 3)
        .collect();
    let own = of_title.is_empty() || random.random_bool(0.25);
    for n in 1..=count {
        let called = match own {
            true => said(random, 1, 3),
            false => of_title[..of_title.len().min(3)].join(" "),
        };
        let mut path = vec![format!("{n:03} {called}.{extension}")];
        if count > 20 {
            path.insert(0, format!("Part {}", n / 20 + 1));
        }
        files.push((path, (size / count as f64) as u64 + n));
    }
    if planted {
        files.push((vec!["appendix zweizahn.tex".to_owned()], 10_000));
    }
    files
}
