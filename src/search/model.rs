//! The search against a model of it: small random catalogues and questions in the whole query language, answered by
//! the index and by a plain list. Both share folding and the reading of the language, which have tests of their own.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::filter::{Facets, Filter, Kind, Sort, SortKey, Who};
use super::follow::{Entry, Stamp};
use super::index::{Opened, Position, Writer};
use super::language::{self, Names};
use super::numbers::Swarm;
use super::rule::Rule;
use super::words::Term;
use super::{Cursor, Search, fold, query};
use crate::clock::Timestamp;
use crate::config;
use crate::db::Db;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};

const DAY: i64 = 86_400;
const NOW: Timestamp = Timestamp(10 * DAY);
const TEXTS: &[&str] = &[
    "alpha",
    "Alpha-2",
    "S01E02",
    "s01 e02",
    "wi-fi",
    "wifi",
    "24.04",
    "2404",
    "ubuntu",
    "中文",
    "ubuntu中文版",
    "beta",
    "U.S.A.",
    "usa",
    "é",
    "e",
    "02",
    "2",
    "!",
    "a-b-c-d",
];
const TAGS: &[(i64, &str)] = &[(71, "linux"), (72, "wi-fi"), (73, "Beta"), (900_000, "usa")];
const OWNERS: &[(i64, &str)] = &[(31, "ann"), (32, "alpha"), (33, "b.ob")];
/// 11 has 12 and 13 below it.
const CATEGORIES: &[i64] = &[11, 12, 13, 14];

#[derive(Clone, Debug)]
struct Question {
    who: Who,
    filter: Filter,
    sort: Sort,
    limit: usize,
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec((select(TEXTS), select(&[" ", "-", ". "][..])), 1..4)
        .prop_map(|words| words.into_iter().map(|(a, b)| format!("{a}{b}")).collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    let texts = (
        text(),
        text(),
        any::<bool>(),
        proptest::collection::vec(text(), 0..3),
    );
    let belongs = (
        select(CATEGORIES),
        select(OWNERS),
        subsequence(TAGS, 0..=TAGS.len()),
        any::<bool>(),
        select(&[Kind::V1, Kind::Hybrid, Kind::V2][..]),
    );
    let states = &["published", "published", "published", "hidden", "deleted"][..];
    let sizes = select(&[0, 1, 2, 65_536, 1 << 30, 1 << 40, i64::MAX][..]);
    let numbers = (1..14_i64, sizes, 0..3_i64, select(states));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (texts, belongs, numbers, flags).prop_map(|(texts, belongs, numbers, flags)| {
        let (title, name, same, files) = texts;
        let (category, owner, tags, anonymous, kind) = belongs;
        let (id, size, created_at, state) = numbers;
        Entry {
            stamp: Stamp { revision: 1, id },
            state: state.to_owned(),
            name: if same { title.clone() } else { name },
            title,
            category: CategoryId(category),
            owner: UserId(owner.0),
            owner_name: owner.1.to_owned(),
            anonymous,
            private: flags.0,
            kind,
            has_web_seeds: flags.1,
            has_description: flags.2,
            size,
            created_at: Timestamp((created_at + 7) * DAY),
            tags: tags
                .iter()
                .map(|(id, name)| (TagId(*id), (*name).to_owned()))
                .collect(),
            files,
        }
    })
}

const FIELDS: &[&str] = &[
    "cat:c11",
    "cat:c12",
    "cat:c14",
    "cat:nowhere",
    "tag:linux",
    "tag:wi-fi",
    "tag:usa",
    "user:ann",
    "user:alpha",
    "user:nobody",
    "is:trusted",
    "is:v1",
    "is:hybrid",
    "is:v2",
    "is:private",
    "is:public",
    "is:anonymous",
    "is:needy",
    "is:purple",
    "has:v1",
    "has:v2",
    "has:webseed",
    "has:description",
    "has:tags",
    "size:>1",
    "size:<=64k",
    "size:1gb",
    "size:1..1gb",
    "after:1970-01-09",
    "before:1970-01-10",
    "after:2d",
    "before:2d",
    "seeders:>0",
    "seeders:0",
    "leechers:<2",
    "completed:1..5",
    "hash:first",
    "hash:seventh",
    "hash:none",
];

fn piece() -> impl Strategy<Value = String> {
    (select(TEXTS), select(TEXTS), select(FIELDS), 0..14).prop_map(|(a, b, field, form)| match form
    {
        0 => format!("\"{a} {b}\""),
        1 => format!("{a}*"),
        2 => format!("{a}-{b}*"),
        3 => format!("{a}{b}"),
        4 => format!("*{}*", inner(a)),
        5 => format!("file:{a}"),
        6 => format!("file:\"{a} {b}\""),
        7..10 => field.to_owned(),
        _ => a.to_owned(),
    })
}

/// Without its first character: something inside a word.
fn inner(text: &str) -> String {
    text.chars().skip(1).collect()
}

/// Some of what may be typed: pieces, groups and exclusions of groups.
fn typed() -> impl Strategy<Value = String> {
    let signed = |text: String, minus: bool| if minus { format!("-{text}") } else { text };
    let minus = || proptest::bool::weighted(0.25);
    let leaf = (piece(), minus()).prop_map(move |(piece, minus)| signed(piece, minus));
    let tree = leaf.prop_recursive(3, 12, 3, move |inner| {
        let members = proptest::collection::vec(inner, 1..4);
        let joint = select(&[" ", " | "][..]);
        (members, joint, minus()).prop_map(move |(members, joint, minus)| {
            signed(format!("({})", members.join(joint)), minus)
        })
    });
    proptest::collection::vec(tree, 0..3).prop_map(|terms| terms.join(" "))
}

fn names() -> Names {
    Names {
        categories: CATEGORIES
            .iter()
            .map(|id| (format!("c{id}"), CategoryId(*id)))
            .collect(),
        tags: TAGS
            .iter()
            .map(|(id, name)| ((*name).to_owned(), TagId(*id)))
            .collect(),
        members: OWNERS
            .iter()
            .map(|(id, name)| ((*name).to_owned(), UserId(*id)))
            .collect(),
        torrents: [("first", 1), ("seventh", 7)]
            .map(|(hash, id)| (hash.to_owned(), TorrentId(id)))
            .into(),
        trusted: vec![UserId(31), UserId(33)],
    }
}

fn question() -> impl Strategy<Value = Question> {
    let filter = (
        typed(),
        proptest::option::weighted(0.2, select(CATEGORIES)),
        proptest::option::weighted(0.1, select(&[Kind::V1, Kind::Hybrid, Kind::V2][..])),
        proptest::option::weighted(0.1, 0..14_i64),
    );
    let who = select(
        &[
            Who::Guest,
            Who::Member(UserId(31)),
            Who::Member(UserId(99)),
            Who::Moderator(UserId(99)),
        ][..],
    );
    let sort = (select(&SortKey::ALL[..]), any::<bool>());
    (filter, who, sort, 1..5_usize).prop_map(|(filter, who, sort, limit)| Question {
        who,
        filter: {
            let (node, _) = language::parse(&filter.0);
            let rule = language::resolve(&node, &names(), NOW, &mut Vec::new());
            let mut rules = Filter::of(rule);
            rules
                .all
                .extend(filter.1.map(|id| Rule::Category(CategoryId(id))));
            rules.all.extend(filter.2.map(Rule::Kind));
            rules
                .all
                .extend(filter.3.map(|id| Rule::NewerThan(TorrentId(id))));
            rules
        },
        sort: Sort {
            key: sort.0,
            descending: sort.1,
        },
        limit,
    })
}

/// The catalogue as a plain list.
struct Model {
    torrents: BTreeMap<i64, Entry>,
    swarms: HashMap<i64, Swarm>,
}

/// The texts of each place, best place first.
fn places(entry: &Entry) -> [Vec<String>; 4] {
    let mut labels: Vec<String> = entry.tags.iter().map(|(_, name)| name.clone()).collect();
    if !entry.anonymous {
        labels.push(entry.owner_name.clone());
    }
    [
        vec![entry.title.clone()],
        vec![entry.name.clone()],
        labels,
        entry.files.clone(),
    ]
}

fn stands_in(term: &Term, text: &str) -> bool {
    let runs = fold::runs(text);
    let parts: Vec<String> = runs.iter().flat_map(|run| run.parts.clone()).collect();
    let in_a_row = |wanted: &[String]| parts.windows(wanted.len()).any(|row| row == wanted);
    match term {
        Term::Phrase(wanted) => in_a_row(wanted),
        // Titles and names alone are looked into.
        Term::Inside(_) => false,
        Term::Word {
            parts: wanted,
            joined,
        } => {
            in_a_row(wanted)
                || joined
                    .as_ref()
                    .is_some_and(|j| fold::joined(text).contains(j) || parts.contains(j))
        }
        Term::Prefix(wanted) => {
            let (last, first) = wanted.split_last().unwrap();
            parts.windows(wanted.len()).any(|row| {
                let (row_last, row_first) = row.split_last().unwrap();
                row_first == first && row_last.starts_with(last.as_str())
            })
        }
    }
}

/// How well the words are met: 1 for anywhere, more where they stand in better places alone; 0 for not at all.
fn level(rules: &[Rule], t: &Torrent<'_>) -> u64 {
    let everywhere = |places| rules.iter().all(|rule| holds(rule, t, places));
    let exact = query::title_keys(rules).contains(&fold::key(&t.entry.title));
    (1..=4).filter(|places| everywhere(*places)).count() as u64 + u64::from(exact)
}

struct Torrent<'m> {
    entry: &'m Entry,
    swarm: Option<Swarm>,
    who: Who,
}

/// Whether a rule holds, with words in the first so many places.
fn holds(rule: &Rule, t: &Torrent<'_>, places_wanted: usize) -> bool {
    let entry = t.entry;
    match rule {
        Rule::All(rules) => rules.iter().all(|rule| holds(rule, t, places_wanted)),
        Rule::Any(rules) => rules.iter().any(|rule| holds(rule, t, places_wanted)),
        Rule::Not(rule) => !holds(rule, t, 4),
        Rule::Words(Term::Inside(pieces)) => {
            let runs: Vec<String> = [&entry.title, &entry.name]
                .iter()
                .flat_map(|text| fold::runs(text))
                .map(|run| run.parts.concat())
                .collect();
            // Title and name are looked into together.
            let inside = |piece: &String| runs.iter().any(|run| run.contains(piece.as_str()));
            places_wanted > 1 && pieces.iter().all(inside)
        }
        Rule::Words(term) => places(entry)[..places_wanted]
            .iter()
            .flatten()
            .any(|text| stands_in(term, text)),
        Rule::File(term) => entry.files.iter().any(|text| stands_in(term, text)),
        Rule::Category(id) => entry.category == *id || parent(entry.category) == Some(*id),
        Rule::Tag(id) => entry.tags.iter().any(|(tag, _)| tag == id),
        Rule::Uploaders(ids) => {
            ids.contains(&entry.owner) && (!entry.anonymous || t.who.sees_anonymous_of(entry.owner))
        }
        Rule::Owners(_) => unreachable!("nobody may ask for it"),
        Rule::Kind(kind) => entry.kind == *kind,
        Rule::Flag(flag) => entry.flags().contains(flag),
        Rule::Torrent(id) => entry.stamp.id == id.0,
        Rule::Size(range) => range.holds(u64::try_from(entry.size).unwrap()),
        Rule::Created { from, before } => *from <= entry.created_at && entry.created_at < *before,
        Rule::NewerThan(id) => entry.stamp.id > id.0,
        Rule::Swarm(check) => check.holds(t.swarm),
    }
}

impl Model {
    fn matches(&self, who: Who, rules: &[Rule]) -> Vec<&Entry> {
        self.torrents
            .values()
            .filter(|entry| entry.state == "published")
            .filter(|entry| {
                let torrent = self.torrent(who, entry);
                rules.iter().all(|rule| holds(rule, &torrent, 4))
            })
            .collect()
    }

    fn torrent<'m>(&self, who: Who, entry: &'m Entry) -> Torrent<'m> {
        Torrent {
            entry,
            swarm: self.swarms.get(&entry.stamp.id).copied(),
            who,
        }
    }

    fn listing(&self, question: &Question) -> Vec<TorrentId> {
        let rules = &question.filter.all;
        let has_words = rules.iter().any(Rule::has_words);
        let mut found = self.matches(question.who, rules);
        let swarm = |t: &Entry, number: fn(&Swarm) -> u32| self.swarms.get(&t.stamp.id).map(number);
        let Sort { key, descending } = question.sort;
        found.sort_by(|a, b| {
            let numbers = |number: fn(&Swarm) -> u32| match (swarm(a, number), swarm(b, number)) {
                (Some(a), Some(b)) => {
                    if descending {
                        b.cmp(&a)
                    } else {
                        a.cmp(&b)
                    }
                }
                // Unknown comes last either way.
                (a, b) => a.is_none().cmp(&b.is_none()),
            };
            let turned =
                |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
            let order = match key {
                SortKey::Relevance if has_words => {
                    let level = |entry| level(rules, &self.torrent(question.who, entry));
                    turned(level(a).cmp(&level(b)))
                }
                SortKey::Date | SortKey::Relevance => turned(a.created_at.cmp(&b.created_at)),
                SortKey::Size => turned(a.size.cmp(&b.size)),
                SortKey::Name => turned(fold::key(&a.title).cmp(&fold::key(&b.title))),
                SortKey::Seeders => numbers(|s| s.seeders),
                SortKey::Leechers => numbers(|s| s.leechers),
                SortKey::Completed => numbers(|s| s.completed),
                SortKey::Need => {
                    let need = |t: &Entry| {
                        self.swarms.get(&t.stamp.id).map(|s| {
                            let size = std::cmp::Reverse(t.size >> 16);
                            (s.seeders == 0, s.leechers, size)
                        })
                    };
                    match (need(a), need(b)) {
                        (Some(a), Some(b)) => turned(a.cmp(&b)),
                        (a, b) => a.is_none().cmp(&b.is_none()),
                    }
                }
            };
            order.then(turned(a.stamp.id.cmp(&b.stamp.id)))
        });
        found.iter().map(|t| TorrentId(t.stamp.id)).collect()
    }

    fn facets(&self, who: Who, filter: &Filter) -> Facets {
        let mut categories = BTreeMap::new();
        let any_category = without_one(&filter.all, |rule| matches!(rule, Rule::Category(_)));
        for t in self.matches(who, &any_category) {
            *categories.entry(t.category).or_default() += 1;
            if let Some(parent) = parent(t.category) {
                *categories.entry(parent).or_default() += 1;
            }
        }
        let mut tags: BTreeMap<TagId, u64> = BTreeMap::new();
        for (id, _) in self.matches(who, &filter.all).iter().flat_map(|t| &t.tags) {
            *tags.entry(*id).or_default() += 1;
        }
        let mut tags: Vec<_> = tags.into_iter().collect();
        tags.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        let any_kind = without_one(&filter.all, |rule| matches!(rule, Rule::Kind(_)));
        let of_any_kind = self.matches(who, &any_kind);
        let kinds = [Kind::V1, Kind::Hybrid, Kind::V2].map(|kind| {
            (
                kind,
                of_any_kind.iter().filter(|t| t.kind == kind).count() as u64,
            )
        });
        Facets {
            categories: categories.into_iter().collect(),
            tags,
            kinds: kinds.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// Without the one rule of a sort, if there is one and no other.
fn without_one(rules: &[Rule], is_choice: fn(&Rule) -> bool) -> Vec<Rule> {
    let mut choices: Vec<&Rule> = rules.iter().filter(|rule| is_choice(rule)).collect();
    choices.dedup();
    let keep = |rule: &&Rule| choices.len() != 1 || !is_choice(rule);
    rules.iter().filter(keep).cloned().collect()
}

fn parent(category: CategoryId) -> Option<CategoryId> {
    [12, 13].contains(&category.0).then_some(CategoryId(11))
}

fn empty_database() -> &'static Db {
    static DB: std::sync::OnceLock<(Db, tokio::runtime::Runtime, tempfile::TempDir)> =
        std::sync::OnceLock::new();
    let (db, _, _) = DB.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("empty.db").display());
        let db = runtime.block_on(Db::open(&url, 1)).unwrap();
        (db, runtime, folder)
    });
    db
}

/// The same changes into both; a commit after each change that is paired with `true`.
fn filled(changes: &[(Entry, bool)], swarms: &[(i64, u32)]) -> (std::sync::Arc<Search>, Model) {
    let nowhere = tempfile::tempdir().unwrap();
    let search = Search::open(
        nowhere.path(),
        empty_database().clone(),
        &config::Search {
            writer_bytes: 15_000_000,
        },
    )
    .unwrap();
    search.set_categories(
        CATEGORIES
            .iter()
            .map(|id| (CategoryId(*id), parent(CategoryId(*id))))
            .collect(),
    );
    let opened = Opened::empty().unwrap();
    let mut writer = Writer::open(&opened, 15_000_000).unwrap();
    let position = Position::start(b"model");
    let mut model = Model {
        torrents: BTreeMap::new(),
        swarms: HashMap::new(),
    };
    for (entry, commit) in changes {
        writer.remove(entry);
        model.torrents.remove(&entry.stamp.id);
        if entry.state != "deleted" {
            writer.add(entry).unwrap();
            model.torrents.insert(entry.stamp.id, entry.clone());
        }
        if *commit {
            writer.commit(&position).unwrap();
        }
    }
    writer.commit(&position).unwrap();
    writer.close().unwrap();
    opened.reader.reload().unwrap();
    search.replace(opened.into());
    for (id, n) in swarms {
        let swarm = Swarm {
            seeders: *n,
            leechers: if id % 2 == 0 { 2 - *n } else { 0 },
            completed: *n / 2,
            updated_at: Timestamp(if id % 3 == 0 { 7 } else { NOW.0 }),
        };
        search.numbers.set(TorrentId(*id), swarm);
        // A counter that never falls.
        let known = model.swarms.get(id).map_or(0, |known| known.completed);
        let completed = swarm.completed.max(known);
        model.swarms.insert(*id, Swarm { completed, ..swarm });
    }
    (search, model)
}

fn compare(search: &Search, model: &Model, q: &Question) -> Result<(), TestCaseError> {
    let expected = model.listing(q);
    let facets = model.facets(q.who, &q.filter);
    let page = |cursor: Option<&Cursor>| {
        search
            .page(q.who, &q.filter, q.sort, cursor, q.limit)
            .unwrap()
    };
    // Forward, every page in turn ..
    let mut seen: Vec<TorrentId> = Vec::new();
    let mut found = page(None);
    loop {
        prop_assert_eq!(found.total, expected.len() as u64);
        prop_assert_eq!(&found.facets, &facets);
        prop_assert_eq!(found.position, seen.len() as u64);
        prop_assert_eq!(found.previous.is_some(), !seen.is_empty());
        seen.extend(&found.ids);
        let Some(next) = found.next.clone() else {
            break;
        };
        prop_assert_eq!(found.ids.len(), q.limit);
        found = page(Some(&next));
    }
    prop_assert_eq!(&seen, &expected);
    // .. and back again.
    let mut back: Vec<TorrentId> = found.ids.iter().rev().copied().collect();
    while let Some(previous) = found.previous.clone() {
        found = page(Some(&previous));
        prop_assert_eq!(found.ids.len(), q.limit);
        back.extend(found.ids.iter().rev());
    }
    back.reverse();
    prop_assert_eq!(&back, &expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
    ))]

    #[test]
    fn the_index_answers_as_the_list_does(
        changes in proptest::collection::vec((entry(), proptest::bool::weighted(0.2)), 0..24),
        swarms in proptest::collection::vec((1..14_i64, 0..3_u32), 0..8),
        questions in proptest::collection::vec(question(), 12),
        remembering in any::<bool>(),
    ) {
        let (search, model) = filled(&changes, &swarms);
        if remembering {
            search.remembered.always();
        }
        for question in &questions {
            compare(&search, &model, question)?;
        }
    }
}
