//! The text index on disk: its fields, what a torrent's document holds, and where in the catalogue's history it
//! stands. It is derived from the database: what cannot be read, or belongs to another database, is built anew.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use tantivy::index::SegmentMeta;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, Schema, SchemaBuilder,
    TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{FutureResult, Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::filter::Kind;
use super::fold;
use super::follow::{Entry, Stamp};
use super::ids::Ids;
use super::tokens::{GramTokens, JoinedTokens, PartTokens};
use crate::db::migrate;

/// Raise it with every change of fields or folding: an index of another format is rebuilt.
const FORMAT: u32 = 2;
const FOLDER: &str = "search";
const PUBLISHED: &str = "published";

/// A text with positions, and beside it what can be found joined.
#[derive(Clone, Copy, Debug)]
pub struct TextField {
    pub parts: Field,
    pub joined: Field,
}

#[derive(Clone, Copy, Debug)]
pub struct Fields {
    pub id: Field,
    pub revision: Field,
    pub state: Field,
    pub owner: Field,
    /// The owner, unless the upload is anonymous.
    pub shown_owner: Field,
    pub category: Field,
    pub tag: Field,
    pub kind: Field,
    /// [`Flag`](super::rule::Flag)s.
    pub flag: Field,
    pub size: Field,
    pub created_at: Field,
    /// [`fold::key`] of the title: to sort by, and to find the exact title.
    pub title_key: Field,
    pub title: TextField,
    /// Left empty where it says the same as the title.
    pub name: TextField,
    /// Tags, and the uploader's name unless the upload is anonymous.
    pub labels: TextField,
    pub files: TextField,
    /// Pieces of the words of title and name, to find what stands inside words.
    pub inside: Field,
}

/// The names of fast fields, by which tantivy opens their columns.
pub mod column {
    pub const ID: &str = "id";
    pub const REVISION: &str = "revision";
    pub const CATEGORY: &str = "category";
    pub const TAG: &str = "tag";
    pub const KIND: &str = "kind";
    pub const SIZE: &str = "size";
    pub const CREATED_AT: &str = "created_at";
    pub const TITLE_KEY: &str = "title_key";
}

impl Fields {
    fn schema() -> (Schema, Self) {
        let mut b = Schema::builder();
        let indexed = || NumericOptions::default() | INDEXED;
        let both = || indexed() | FAST;
        let raw = |fast: bool| {
            let options = TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer("raw")
                    .set_fieldnorms(false)
                    .set_index_option(IndexRecordOption::Basic),
            );
            if fast {
                options.set_fast("raw")
            } else {
                options
            }
        };
        let fields = Self {
            id: b.add_u64_field(column::ID, both()),
            revision: b.add_u64_field(column::REVISION, NumericOptions::default() | FAST),
            state: b.add_text_field("state", raw(false)),
            owner: b.add_u64_field("owner", indexed()),
            shown_owner: b.add_u64_field("shown_owner", indexed()),
            category: b.add_u64_field(column::CATEGORY, both()),
            tag: b.add_u64_field(column::TAG, both()),
            kind: b.add_u64_field(column::KIND, both()),
            flag: b.add_text_field("flag", raw(false)),
            size: b.add_u64_field(column::SIZE, NumericOptions::default() | FAST),
            created_at: b.add_u64_field(column::CREATED_AT, NumericOptions::default() | FAST),
            title_key: b.add_text_field(column::TITLE_KEY, raw(true)),
            title: text_field(&mut b, "title"),
            name: text_field(&mut b, "name"),
            labels: text_field(&mut b, "labels"),
            files: text_field(&mut b, "files"),
            inside: b.add_text_field(
                "inside",
                text_options(GRAMS, IndexRecordOption::WithFreqsAndPositions),
            ),
        };
        (b.build(), fields)
    }

    pub fn published(&self) -> Term {
        Term::from_field_text(self.state, PUBLISHED)
    }

    fn document(&self, entry: &Entry) -> TantivyDocument {
        let mut doc = TantivyDocument::new();
        doc.add_u64(self.id, unsigned(entry.stamp.id));
        doc.add_u64(self.revision, unsigned(entry.stamp.revision));
        doc.add_text(self.state, &entry.state);
        doc.add_u64(self.owner, unsigned(entry.owner.0));
        if !entry.anonymous {
            doc.add_u64(self.shown_owner, unsigned(entry.owner.0));
        }
        doc.add_u64(self.category, unsigned(entry.category.0));
        for (id, _) in &entry.tags {
            doc.add_u64(self.tag, unsigned(id.0));
        }
        doc.add_u64(self.kind, kind_number(entry.kind));
        for flag in entry.flags() {
            doc.add_text(self.flag, flag.as_str());
        }
        doc.add_u64(self.size, unsigned(entry.size));
        doc.add_u64(self.created_at, unsigned(entry.created_at.0));
        doc.add_text(self.title_key, fold::key(&entry.title));

        doc.add_text(self.inside, &entry.title);
        if entry.name != entry.title {
            doc.add_text(self.inside, &entry.name);
        }
        let mut add = |field: TextField, text: &str| {
            doc.add_text(field.parts, text);
            doc.add_text(field.joined, text);
        };
        add(self.title, &entry.title);
        if entry.name != entry.title {
            add(self.name, &entry.name);
        }
        for (_, tag) in &entry.tags {
            add(self.labels, tag);
        }
        if !entry.anonymous {
            add(self.labels, &entry.owner_name);
        }
        for file in &entry.files {
            add(self.files, file);
        }
        doc
    }
}

fn text_field(b: &mut SchemaBuilder, name: &str) -> TextField {
    TextField {
        parts: b.add_text_field(
            &format!("{name}_parts"),
            text_options(PARTS, IndexRecordOption::WithFreqsAndPositions),
        ),
        joined: b.add_text_field(
            &format!("{name}_joined"),
            text_options(JOINED, IndexRecordOption::Basic),
        ),
    }
}

fn text_options(tokenizer: &str, record: IndexRecordOption) -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(tokenizer)
            // Lengths of texts would only serve BM25.
            .set_fieldnorms(false)
            .set_index_option(record),
    )
}

const PARTS: &str = "seedbank_parts";
const JOINED: &str = "seedbank_joined";
const GRAMS: &str = "seedbank_grams";

pub fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::V1 => 0,
        Kind::Hybrid => 1,
        Kind::V2 => 2,
    }
}

/// Ids, sizes and times are never negative in the database.
pub fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// How far an index has come, as its commit says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Everything up to here is in the index.
    pub stamp: Stamp,
    /// Which database it was, in which schema, read into which format.
    pub source: String,
}

impl Position {
    /// An index of this database that holds nothing yet.
    pub fn start(database_id: &[u8]) -> Self {
        let id = data_encoding::HEXLOWER.encode(database_id);
        Self {
            stamp: Stamp::default(),
            source: format!("{FORMAT}/{}/{id}", migrate::schema_version()),
        }
    }

    /// The part of `source` that names the database.
    pub fn database(&self) -> &str {
        self.source.rsplit('/').next().unwrap_or_default()
    }

    fn to_payload(&self) -> String {
        format!("{} {} {}", self.source, self.stamp.revision, self.stamp.id)
    }

    fn from_payload(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            source: words.next()?.to_owned(),
            stamp: Stamp {
                revision: words.next()?.parse().ok()?,
                id: words.next()?.parse().ok()?,
            },
        })
    }
}

/// An index that can be read.
pub struct Opened {
    pub index: Index,
    pub reader: IndexReader,
    pub fields: Fields,
    pub ids: Ids,
    /// Tells this opening from others of the process: what is remembered about one is wrong for the next.
    pub serial: u64,
    /// `None`: an index without a commit of ours.
    pub position: Option<Position>,
}

pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER)
}

impl Opened {
    /// The index in `folder`, as far as it can be opened without reading all of it.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let index = Index::open_in_dir(folder)?;
        let (schema, fields) = Fields::schema();
        ensure!(index.schema() == schema, "its fields are of another format");
        let mut opened = Self::of(index, fields, None)?;
        opened.position = opened.committed_position()?;
        Ok(opened)
    }

    /// Empties `folder` and starts an index there.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        match std::fs::remove_dir_all(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("emptying {}", folder.display()));
            }
            _ => {}
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let (schema, fields) = Fields::schema();
        let index = Index::create_in_dir(folder, schema)
            .with_context(|| format!("starting a search index in {}", folder.display()))?;
        Self::of(index, fields, None)
    }

    /// An index that holds nothing and stands in until there is one on disk.
    pub fn empty() -> anyhow::Result<Self> {
        let (schema, fields) = Fields::schema();
        Self::of(Index::create_in_ram(schema), fields, None)
    }

    fn of(index: Index, fields: Fields, position: Option<Position>) -> anyhow::Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        index
            .tokenizers()
            .register(PARTS, TextAnalyzer::from(PartTokens));
        index
            .tokenizers()
            .register(JOINED, TextAnalyzer::from(JoinedTokens));
        index
            .tokenizers()
            .register(GRAMS, TextAnalyzer::from(GramTokens));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            fields,
            ids: Ids::default(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            position,
        })
    }

    /// Where the last commit stands, also of other processes.
    pub fn committed_position(&self) -> anyhow::Result<Option<Position>> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.as_deref().and_then(Position::from_payload))
    }

    /// Reads every file and compares it with its checksum.
    pub fn verify(&self) -> anyhow::Result<()> {
        let damaged = self.index.validate_checksum()?;
        let mut names: Vec<_> = damaged
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        names.sort_unstable();
        ensure!(names.is_empty(), "{}", names.join(", "));
        Ok(())
    }
}

/// Segments on their way to be one.
pub type Merge = Pin<Box<FutureResult<Option<SegmentMeta>>>>;

/// The least memory of a thread that writes.
const LEAST_BYTES: usize = 15_000_000;

/// Writes what the follower reads. Nothing is seen, nor survives, before a commit.
pub struct Writer {
    writer: IndexWriter,
    fields: Fields,
}

impl Writer {
    /// With a thread and `bytes` of memory.
    pub fn open(opened: &Opened, bytes: usize) -> anyhow::Result<Self> {
        Self::with(opened, 1, bytes)
    }

    /// To write a whole index: with every processor, up to four, and `bytes` of memory for all. The more memory, the
    /// fewer segments that have to be merged.
    pub fn open_wide(opened: &Opened, bytes: usize) -> anyhow::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // Less than this for one is refused.
        let threads = threads.clamp(1, 4).min((bytes / LEAST_BYTES).max(1));
        let writer = Self::with(opened, threads, bytes / threads)?;
        // Each is merged once, when all are there.
        let none = tantivy::merge_policy::NoMergePolicy;
        writer.writer.set_merge_policy(Box::new(none));
        Ok(writer)
    }

    /// Begins to make one segment of all; it can be read after the next reload.
    pub fn merge_all(&mut self, opened: &Opened) -> anyhow::Result<Option<Merge>> {
        let segments = opened.index.searchable_segment_ids()?;
        Ok((segments.len() > 1).then(|| Box::pin(self.writer.merge(&segments))))
    }

    fn with(opened: &Opened, threads: usize, bytes: usize) -> anyhow::Result<Self> {
        let options = tantivy::indexer::IndexWriterOptions::builder()
            .num_worker_threads(threads)
            .num_merge_threads(1)
            .memory_budget_per_thread(bytes)
            .build();
        let writer = opened
            .index
            .writer_with_options(options)
            .context("writing the search index (is another process using this data directory?)")?;
        let mut policy = tantivy::merge_policy::LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(0.25);
        writer.set_merge_policy(Box::new(policy));
        Ok(Self {
            writer,
            fields: opened.fields,
        })
    }

    /// Takes out what the index holds of this torrent.
    pub fn remove(&self, entry: &Entry) {
        let id = Term::from_field_u64(self.fields.id, unsigned(entry.stamp.id));
        self.writer.delete_term(id);
    }

    pub fn add(&self, entry: &Entry) -> anyhow::Result<()> {
        self.writer.add_document(self.fields.document(entry))?;
        Ok(())
    }

    pub fn commit(&mut self, position: &Position) -> anyhow::Result<()> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&position.to_payload());
        commit.commit()?;
        Ok(())
    }

    /// Ends writing in good order: merges that run are waited for, so that nothing is written afterwards.
    pub fn close(self) -> anyhow::Result<()> {
        Ok(self.writer.wait_merging_threads()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::{CategoryId, TagId, UserId};

    /// Words as often as they are in a language: the one of rank r about 1 / r as often as the first.
    fn words(random: &mut u64, count: usize) -> String {
        let mut next = || {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            *random
        };
        let mut text = Vec::new();
        for _ in 0..count {
            let share = (next() % 1_000_000) as f64 / 1_000_000.0;
            let mut rank = 20_000_f64.powf(share) as u64;
            let mut word = String::new();
            while word.len() < 4 || rank > 0 {
                let syllables = [
                    "ka", "to", "li", "ner", "us", "mo", "ra", "den", "is", "po", "ve",
                ];
                word.push_str(syllables[(rank % 11) as usize]);
                rank /= 11;
            }
            text.push(word);
        }
        text.join(" ")
    }

    fn entry(id: i64, title: &str) -> Entry {
        Entry {
            stamp: Stamp { revision: id, id },
            state: PUBLISHED.to_owned(),
            title: title.to_owned(),
            name: title.to_owned(),
            category: CategoryId(1),
            owner: UserId(1),
            owner_name: "ann".to_owned(),
            anonymous: false,
            private: false,
            kind: Kind::V1,
            has_web_seeds: false,
            has_description: false,
            size: 1,
            created_at: Timestamp(id),
            tags: Vec::new(),
            files: Vec::new(),
        }
    }

    /// What is written meanwhile is found beside the one segment that the others became.
    #[test]
    fn a_whole_index_becomes_one_segment_and_is_written_on() {
        let opened = Opened::empty().unwrap();
        // Memory for one thread: a segment a commit.
        let mut writer = Writer::open_wide(&opened, LEAST_BYTES).unwrap();
        let position = Position::start(b"x");
        // Two in each: a segment that loses its last goes at once, and a merge that counted on it is given up.
        for id in [1, 3, 5, 7] {
            writer.add(&entry(id, "Title")).unwrap();
            writer.add(&entry(id + 1, "Title")).unwrap();
            writer.commit(&position).unwrap();
        }
        assert_eq!(opened.index.searchable_segment_ids().unwrap().len(), 4);
        let merge = writer.merge_all(&opened).unwrap().unwrap();
        writer.remove(&entry(2, "Title"));
        writer.add(&entry(2, "Renamed")).unwrap();
        writer.commit(&position).unwrap();
        writer.close().unwrap();
        drop(merge);
        opened.reader.reload().unwrap();
        let searcher = opened.reader.searcher();
        assert_eq!(searcher.segment_readers().len(), 2);
        assert_eq!(searcher.num_docs(), 8);
        let renamed = Term::from_field_text(opened.fields.title.parts, "renamed");
        assert_eq!(searcher.doc_freq(&renamed).unwrap(), 1);
    }

    /// What finding inside words costs, so that it is known when it changes. Prints the bytes of each field.
    #[test]
    fn pieces_of_words_take_less_than_half_of_the_index() {
        const TORRENTS: i64 = 10_000;
        let opened = Opened::empty().unwrap();
        let mut writer = Writer::open(&opened, 50_000_000).unwrap();
        let mut random = 88_172_645_463_325_252;
        for id in 1..=TORRENTS {
            let title = format!(
                "{} {} S{:02}",
                words(&mut random, 5),
                1950 + id % 76,
                id % 20
            );
            let name = title.replace(' ', ".");
            let files: Vec<String> = (0..5)
                .map(|n| format!("{} {n}.mkv", words(&mut random, 3)))
                .collect();
            let entry = Entry {
                stamp: Stamp { revision: id, id },
                state: PUBLISHED.to_owned(),
                name: format!("{name}-{}", words(&mut random, 1)),
                title,
                category: CategoryId(id % 30),
                owner: UserId(id % 500),
                owner_name: format!("member{}", id % 500),
                anonymous: id % 7 == 0,
                private: id % 5 == 0,
                kind: Kind::Hybrid,
                has_web_seeds: id % 50 == 0,
                has_description: true,
                size: id * 1_000_003,
                created_at: Timestamp(1_700_000_000 + id),
                tags: vec![(TagId(id % 300), format!("tag{}", id % 300))],
                files,
            };
            writer.add(&entry).unwrap();
        }
        writer.commit(&Position::start(b"sizes")).unwrap();
        writer.close().unwrap();
        opened.reader.reload().unwrap();
        let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
        for segment in opened.reader.searcher().space_usage().unwrap().segments() {
            let parts = [
                segment.termdict(),
                segment.postings(),
                segment.positions(),
                segment.fast_fields(),
            ];
            for field in parts.iter().flat_map(|part| part.fields()) {
                *bytes.entry(field.field_name().to_owned()).or_default() +=
                    field.total().get_bytes();
            }
        }
        let total: u64 = bytes.values().sum();
        for (field, bytes) in &bytes {
            println!(
                "{field:>14} {:>6} bytes a torrent",
                *bytes as f64 / TORRENTS as f64
            );
        }
        let share = 100 * bytes["inside"] / total;
        println!(
            "{share} % of {} bytes a torrent are pieces of words",
            total as f64 / TORRENTS as f64
        );
        assert!(share < 50, "{share} %");
    }
}
