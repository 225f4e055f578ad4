//! What the demo's torrents are called and made of.

use rand::RngExt;
use rand::rngs::StdRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Image,
    Dataset,
    Corpus,
    Map,
    Model,
    Film,
    Documentary,
    Music,
    Audiobook,
    Book,
    Paper,
    Software,
    WebArchive,
}

impl Theme {
    /// Where the default tree has it.
    pub fn category_slug(self) -> &'static str {
        match self {
            Self::Image => "linux-bsd-images",
            Self::Dataset => "science",
            Self::Corpus => "text-corpora",
            Self::Map => "geodata",
            Self::Model => "models",
            Self::Film => "films",
            Self::Documentary => "documentaries",
            Self::Music => "music",
            Self::Audiobook => "audiobooks",
            Self::Book => "books",
            Self::Paper => "papers",
            Self::Software => "applications",
            Self::WebArchive => "web-archives",
        }
    }
}

/// A path and its bytes.
type File = (Vec<String>, u64);

pub struct Work {
    pub title: String,
    pub name: String,
    pub files: Vec<File>,
    pub tags: Vec<&'static str>,
    pub description: String,
}

pub fn theme(rng: &mut StdRng) -> Theme {
    use Theme::{
        Audiobook, Book, Corpus, Dataset, Documentary, Film, Image, Map, Model, Music, Paper,
        Software, WebArchive,
    };
    let weighted = [
        (22, Image),
        (10, Dataset),
        (7, Corpus),
        (6, Map),
        (5, Model),
        (12, Film),
        (5, Documentary),
        (10, Music),
        (6, Audiobook),
        (8, Book),
        (3, Paper),
        (9, Software),
        (5, WebArchive),
    ];
    let mut at = rng.random_range(0..weighted.iter().map(|(w, _)| w).sum());
    for (weight, theme) in weighted {
        if at < weight {
            return theme;
        }
        at -= weight;
    }
    Theme::Image
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.get(rng.random_range(0..from.len()))
        .copied()
        .unwrap_or_default()
}

const MIB: u64 = 1024 * 1024;

const DISTROS: &[&str] = &[
    "Debian",
    "Ubuntu",
    "Fedora Workstation",
    "Arch Linux",
    "openSUSE Tumbleweed",
    "Linux Mint",
    "NixOS",
    "Alpine Linux",
    "FreeBSD",
    "OpenBSD",
    "NetBSD",
    "Void Linux",
    "Gentoo",
    "Manjaro",
    "Rocky Linux",
    "AlmaLinux",
    "Tails",
    "Qubes OS",
    "Pop!_OS",
    "Zorin OS",
    "elementary OS",
    "Slackware",
    "GhostBSD",
    "Haiku",
    "Trisquel",
    "Guix System",
];
const EDITIONS: &[&str] = &[
    "netinst",
    "DVD",
    "live GNOME",
    "live KDE",
    "server",
    "minimal",
    "desktop",
    "Xfce",
    "cloud image",
];
const ARCHITECTURES: &[&str] = &["amd64", "arm64", "riscv64", "i386", "ppc64le"];
const FIELDS: &[&str] = &[
    "Sea surface temperature",
    "Galaxy spectra",
    "Bird song recordings",
    "Protein structures",
    "Street signs",
    "Handwritten digits",
    "Weather stations",
    "Soil moisture",
    "Retinal scans",
    "Earthquake waveforms",
    "Satellite tiles",
    "Bicycle counts",
    "River gauges",
    "Genome assemblies",
    "Coral reef photographs",
    "Air quality",
    "Tide gauges",
    "Traffic cameras",
    "Plankton images",
    "Solar irradiance",
    "Chess games",
    "Power grid loads",
];
const PLACES: &[&str] = &[
    "Europe",
    "North Sea",
    "Kenya",
    "Iceland",
    "Antarctica",
    "Berlin",
    "Japan",
    "Brazil",
    "Lake Victoria",
    "Alps",
    "Québec",
    "New Zealand",
    "Baltic",
    "Patagonia",
    "Kerala",
    "世界",
];
const ADJECTIVES: &[&str] = &[
    "Silent",
    "Golden",
    "Last",
    "Hidden",
    "Iron",
    "Paper",
    "Northern",
    "Crooked",
    "Blue",
    "Wandering",
    "Little",
    "Salt",
    "Winter",
    "Burning",
    "Forgotten",
    "Glass",
    "Second",
    "Distant",
];
const NOUNS: &[&str] = &[
    "Harbour", "Garden", "Machine", "River", "Orchard", "Signal", "Mountain", "Comedy", "Lantern",
    "Railway", "Kingdom", "Island", "Clock", "Letter", "Meadow", "Fortune", "Shadow", "Voyage",
];
const NAMES: &[&str] = &[
    "Jane Austen",
    "Jules Verne",
    "Mary Shelley",
    "Anton Chekhov",
    "Selma Lagerlöf",
    "Rabindranath Tagore",
    "Mark Twain",
    "Émile Zola",
    "H. G. Wells",
    "Virginia Woolf",
    "Natsume Sōseki",
    "Machado de Assis",
    "Edith Wharton",
    "Franz Kafka",
];
const COMPOSERS: &[&str] = &[
    "J. S. Bach",
    "Clara Schumann",
    "Ludwig van Beethoven",
    "Fanny Hensel",
    "Erik Satie",
    "Scott Joplin",
    "Frédéric Chopin",
    "Antonín Dvořák",
    "Hildegard von Bingen",
    "Claude Debussy",
];
const APPLICATIONS: &[&str] = &[
    "LibreOffice",
    "Blender",
    "GIMP",
    "Krita",
    "Inkscape",
    "Audacity",
    "QGIS",
    "FreeCAD",
    "Kdenlive",
    "OBS Studio",
    "PostgreSQL",
    "Thunderbird",
    "VLC",
    "Ardour",
    "Godot Engine",
    "KiCad",
];
const LANGUAGES: &[&str] = &[
    "English",
    "Deutsch",
    "Français",
    "Kiswahili",
    "हिन्दी",
    "中文",
    "العربية",
    "Português",
    "Íslenska",
];

/// A title, a folder or file, its files, its tags, and a few lines about it.
pub fn work(rng: &mut StdRng, theme: Theme) -> Work {
    let year = rng.random_range(2009..=2026);
    let (title, tags, files, licence): (String, Vec<&'static str>, Vec<File>, &str) = match theme {
        Theme::Image => {
            let (distro, edition) = (pick(rng, DISTROS), pick(rng, EDITIONS));
            let architecture = pick(rng, ARCHITECTURES);
            let version = format!("{}.{}", rng.random_range(8..=42), rng.random_range(0..=11));
            let title = format!("{distro} {version} {edition} {architecture}");
            let file = format!("{}.iso", slug(&title));
            (
                title,
                vec!["linux", architecture, "iso"],
                vec![(vec![file], size(rng, 300, 6_000))],
                "Free software",
            )
        }
        Theme::Dataset => {
            let title = format!("{}, {}, {year}", pick(rng, FIELDS), pick(rng, PLACES));
            (
                title,
                vec!["dataset", "csv", "cc-by"],
                numbered(rng, "part", "parquet", 4, 400, 20, 900),
                "CC BY 4.0",
            )
        }
        Theme::Corpus => {
            let title = format!("{} text corpus {year}", pick(rng, LANGUAGES));
            (
                title,
                vec!["corpus", "text", "jsonl"],
                numbered(rng, "shard", "jsonl", 8, 120, 50, 700),
                "ODC-By",
            )
        }
        Theme::Map => {
            let title = format!("Open map extract: {} {year}", pick(rng, PLACES));
            (
                title,
                vec!["maps", "geodata", "odbl"],
                numbered(rng, "tile", "tif", 3, 900, 2, 60),
                "ODbL",
            )
        }
        Theme::Model => {
            let title = format!(
                "{} {} {}B open weights",
                pick(rng, ADJECTIVES),
                pick(rng, NOUNS),
                rng.random_range(1..=70)
            );
            (
                title,
                vec!["model", "weights", "apache-2"],
                numbered(rng, "model", "safetensors", 1, 24, 900, 5_000),
                "Apache-2.0",
            )
        }
        Theme::Film => {
            let year = rng.random_range(1912..=1957);
            let title = format!(
                "The {} {} ({year}), restored",
                pick(rng, ADJECTIVES),
                pick(rng, NOUNS)
            );
            let mut files = vec![(vec![format!("{}.mkv", slug(&title))], size(rng, 700, 9_000))];
            for code in ["de", "en", "fr"] {
                files.push((
                    vec!["subtitles".to_owned(), format!("{code}.srt")],
                    rng.random_range(20_000..120_000),
                ));
            }
            (
                title,
                vec!["film", "public-domain", "1080p"],
                files,
                "Public domain",
            )
        }
        Theme::Documentary => {
            let title = format!(
                "{}: a documentary in {} parts",
                pick(rng, PLACES),
                rng.random_range(2..=8)
            );
            (
                title,
                vec!["documentary", "cc-by"],
                numbered(rng, "episode", "mp4", 2, 8, 300, 1_500),
                "CC BY-SA 3.0",
            )
        }
        Theme::Music => {
            let title = format!(
                "{}: {} works, recorded {year} (FLAC)",
                pick(rng, COMPOSERS),
                rng.random_range(3..=40)
            );
            (
                title,
                vec!["music", "flac", "classical"],
                numbered(rng, "track", "flac", 3, 40, 8, 90),
                "CC0",
            )
        }
        Theme::Audiobook => {
            let title = format!(
                "{}: The {} {}, read aloud",
                pick(rng, NAMES),
                pick(rng, ADJECTIVES),
                pick(rng, NOUNS)
            );
            (
                title,
                vec!["audiobook", "public-domain", "mp3"],
                numbered(rng, "chapter", "mp3", 6, 60, 5, 50),
                "Public domain",
            )
        }
        Theme::Book => {
            let title = format!("{}: collected works (EPUB)", pick(rng, NAMES));
            (
                title,
                vec!["books", "epub", "public-domain"],
                numbered(rng, "volume", "epub", 1, 80, 1, 12),
                "Public domain",
            )
        }
        Theme::Paper => {
            let title = format!(
                "Proceedings on {}, {year}",
                pick(rng, FIELDS).to_lowercase()
            );
            (
                title,
                vec!["papers", "pdf", "open-access"],
                numbered(rng, "paper", "pdf", 20, 400, 1, 9),
                "CC BY 4.0",
            )
        }
        Theme::Software => {
            let title = format!(
                "{} {}.{}.{} source and binaries",
                pick(rng, APPLICATIONS),
                rng.random_range(1..=25),
                rng.random_range(0..=9),
                rng.random_range(0..=9)
            );
            (
                title,
                vec!["software", "gpl", "source"],
                numbered(rng, "package", "tar.xz", 2, 12, 20, 400),
                "GPL-3.0-or-later",
            )
        }
        Theme::WebArchive => {
            let title = format!(
                "Web archive of {} {}, {year}",
                pick(rng, ADJECTIVES).to_lowercase(),
                pick(rng, NOUNS).to_lowercase()
            );
            (
                title,
                vec!["warc", "web", "archive"],
                numbered(rng, "crawl", "warc.gz", 10, 200, 100, 1_000),
                "As found",
            )
        }
    };
    // A number that few share, or titles repeat too soon.
    let title = if rng.random_bool(0.5) {
        format!("{title}, rev. {}", rng.random_range(2..=99))
    } else {
        title
    };
    let name = match files.as_slice() {
        [(path, _)] => path.first().cloned().unwrap_or_default(),
        _ => slug(&title),
    };
    let description = format!(
        "**{title}**\n\nLicence: {licence}.\n\n- checked against the publisher's sums\n- seeded from {}\n",
        pick(rng, PLACES)
    );
    Work {
        title,
        name,
        files,
        tags,
        description,
    }
}

fn size(rng: &mut StdRng, from_mib: u64, to_mib: u64) -> u64 {
    rng.random_range(from_mib * MIB..to_mib * MIB)
}

fn numbered(
    rng: &mut StdRng,
    stem: &str,
    ending: &str,
    least: u64,
    most: u64,
    from_mib: u64,
    to_mib: u64,
) -> Vec<File> {
    let count = rng.random_range(least..=most);
    let mut files: Vec<File> = (1..=count)
        .map(|i| {
            let file = format!("{stem}-{i:04}.{ending}");
            let path = if count > 100 {
                vec![format!("{stem}s-{:02}", i / 100), file]
            } else {
                vec![file]
            };
            (path, size(rng, from_mib, to_mib))
        })
        .collect();
    files.push((vec!["README.txt".to_owned()], rng.random_range(400..9_000)));
    files.push((vec!["SHA256SUMS".to_owned()], 100 * count));
    files
}

fn slug(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect::<String>()
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_lowercase()
}
