//! The search against a model of it: small random catalogues and questions, answered by the index and by a plain
//! list. Both share folding and the reading of words, which have tests of their own.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::filter::{Facets, Filter, Kind, Sort, SortKey, Who};
use super::follow::{Entry, Stamp};
use super::index::{Opened, Position, Writer};
use super::numbers::Swarm;
use super::words::{Term, Words};
use super::{Cursor, Search, fold, query, words};
use crate::clock::Timestamp;
use crate::config;
use crate::db::Db;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};

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
    let sizes = select(&[0, 1, 2, 65_536, 1 << 40, i64::MAX][..]);
    let numbers = (1..14_i64, sizes, 0..3_i64, select(states));
    (texts, belongs, numbers).prop_map(|(texts, belongs, numbers)| {
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
            private: false,
            kind,
            size,
            created_at: Timestamp(created_at),
            tags: tags
                .iter()
                .map(|(id, name)| (TagId(*id), (*name).to_owned()))
                .collect(),
            files,
        }
    })
}

fn typed() -> impl Strategy<Value = String> {
    let term = (select(TEXTS), select(TEXTS), 0..8).prop_map(|(a, b, form)| match form {
        0 => format!("-{a}"),
        1 => format!("\"{a} {b}\""),
        2 => format!("-\"{a} {b}\""),
        3 => format!("{a}*"),
        4 => format!("{a}-{b}*"),
        5 => format!("{a}{b}"),
        _ => a.to_owned(),
    });
    proptest::collection::vec(term, 0..3).prop_map(|terms| terms.join(" "))
}

fn question() -> impl Strategy<Value = Question> {
    let filter = (
        typed(),
        proptest::option::weighted(0.3, select(CATEGORIES)),
        subsequence(TAGS, 0..=1),
        proptest::option::weighted(0.3, select(OWNERS)),
        proptest::option::weighted(0.2, select(&[Kind::V1, Kind::Hybrid, Kind::V2][..])),
        proptest::option::weighted(0.2, select(&[7, 8][..])),
        proptest::option::weighted(0.2, 0..14_i64),
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
        filter: Filter {
            words: filter.0,
            category: filter.1.map(CategoryId),
            tags: filter.2.iter().map(|(id, _)| TagId(*id)).collect(),
            uploader: filter.3.map(|(id, _)| UserId(id)),
            kind: filter.4,
            needs_seeds: filter.5.map(Timestamp),
            newer_than: filter.6.map(TorrentId),
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
        Term::Word {
            parts: wanted,
            joined,
        } => {
            in_a_row(wanted)
                || joined
                    .as_ref()
                    .is_some_and(|j| fold::joined(&runs).contains(j) || parts.contains(j))
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

fn all_in(words: &Words, places: &[Vec<String>]) -> bool {
    let texts = || places.iter().flatten();
    words
        .with
        .iter()
        .all(|term| texts().any(|text| stands_in(term, text)))
}

fn level(words: &Words, entry: &Entry) -> u64 {
    let places = places(entry);
    let levels = [
        all_in(words, &places[..3]),
        all_in(words, &places[..2]),
        all_in(words, &places[..1]),
        query::title_key(words) == fold::key(&entry.title),
    ];
    levels.into_iter().map(u64::from).sum()
}

impl Model {
    fn matches(&self, who: Who, filter: &Filter) -> Vec<&Entry> {
        let words = words::read(&filter.words).0;
        self.torrents
            .values()
            .filter(|t| t.state == "published")
            .filter(|t| all_in(&words, &places(t)))
            .filter(|t| {
                !words
                    .without
                    .iter()
                    .any(|term| places(t).iter().flatten().any(|text| stands_in(term, text)))
            })
            .filter(|t| match filter.category {
                Some(chosen) => t.category == chosen || parent(t.category) == Some(chosen),
                None => true,
            })
            .filter(|t| {
                filter
                    .tags
                    .iter()
                    .all(|tag| t.tags.iter().any(|(id, _)| id == tag))
            })
            .filter(|t| match filter.uploader {
                Some(uploader) => {
                    t.owner == uploader && (!t.anonymous || who.sees_anonymous_of(uploader))
                }
                None => true,
            })
            .filter(|t| filter.kind.is_none_or(|kind| t.kind == kind))
            .filter(|t| filter.newer_than.is_none_or(|id| t.stamp.id > id.0))
            .filter(
                |t| match (filter.needs_seeds, self.swarms.get(&t.stamp.id)) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(since), Some(swarm)) => {
                        swarm.seeders == 0 && (swarm.leechers > 0 || swarm.updated_at < since)
                    }
                },
            )
            .collect()
    }

    fn listing(&self, question: &Question) -> Vec<TorrentId> {
        let words = words::read(&question.filter.words).0;
        let mut found = self.matches(question.who, &question.filter);
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
                SortKey::Relevance if !words.with.is_empty() => {
                    turned(level(&words, a).cmp(&level(&words, b)))
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
        let any_category = Filter {
            category: None,
            ..filter.clone()
        };
        for t in self.matches(who, &any_category) {
            *categories.entry(t.category).or_default() += 1;
            if let Some(parent) = parent(t.category) {
                *categories.entry(parent).or_default() += 1;
            }
        }
        let mut tags: BTreeMap<TagId, u64> = BTreeMap::new();
        for (id, _) in self.matches(who, filter).iter().flat_map(|t| &t.tags) {
            *tags.entry(*id).or_default() += 1;
        }
        let mut tags: Vec<_> = tags.into_iter().collect();
        tags.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        let any_kind = Filter {
            kind: None,
            ..filter.clone()
        };
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
    search.replace(opened);
    for (id, n) in swarms {
        let swarm = Swarm {
            seeders: *n,
            leechers: if id % 2 == 0 { 2 - *n } else { 0 },
            completed: *n / 2,
            updated_at: Timestamp(7),
        };
        model.swarms.insert(*id, swarm);
        search.numbers.set(TorrentId(*id), swarm);
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
