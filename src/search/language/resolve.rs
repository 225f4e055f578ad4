//! From a tree to a [`Rule`]: texts folded, values read, names looked up. What means nothing matches nothing, so that
//! a misspelt name never finds more than was asked for, and is said.

use std::collections::HashMap;

use super::{Field, Node, Text, Value, values};
use crate::bittorrent::infohash::Infohash;
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};
use crate::search::filter::Notice;
use crate::search::rule::{Check, Number, Rule};
use crate::search::words::{self, Term};

/// The names a tree has in it, as typed, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    pub members: Vec<String>,
    /// Infohashes in any spelling.
    pub hashes: Vec<String>,
    /// Whether it asks for uploads of the trusted.
    pub trusted: bool,
}

/// What the names stand for; a name that is not in here stands for nothing.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub categories: HashMap<String, CategoryId>,
    pub tags: HashMap<String, TagId>,
    pub members: HashMap<String, UserId>,
    pub torrents: HashMap<String, TorrentId>,
    pub trusted: Vec<UserId>,
}

pub fn wanted<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Wanted {
    let mut wanted = Wanted::default();
    for node in nodes {
        want(node, &mut wanted);
    }
    wanted
}

fn want(node: &Node, wanted: &mut Wanted) {
    let (field, value) = match node {
        Node::All(nodes) | Node::Any(nodes) => {
            return nodes.iter().for_each(|node| want(node, wanted));
        }
        Node::Not(node) => return want(node, wanted),
        Node::Text(_) => return,
        Node::Field(field, value) => (field, value),
    };
    let names = match field {
        Field::Category => &mut wanted.categories,
        Field::Tag => &mut wanted.tags,
        Field::User => &mut wanted.members,
        Field::Hash => &mut wanted.hashes,
        Field::Is => return wanted.trusted |= is_trusted(value),
        _ => return,
    };
    if !names.contains(&value.text) {
        names.push(value.text.clone());
    }
}

fn is_trusted(value: &Value) -> bool {
    value.text.eq_ignore_ascii_case("trusted")
}

/// The rule of a tree, with spans of time before `now`; what had to be said is added to `notices`.
pub fn resolve(node: &Node, names: &Names, now: Timestamp, notices: &mut Vec<Notice>) -> Rule {
    let note = |notices: &mut Vec<Notice>, notice| {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    };
    match node {
        Node::All(nodes) => Rule::All(each(nodes, names, now, notices)),
        Node::Any(nodes) => Rule::Any(each(nodes, names, now, notices)),
        Node::Not(node) => Rule::Not(Box::new(resolve(node, names, now, notices))),
        Node::Text(text) => match words::term(text) {
            Some(term) => {
                let short = matches!((text, &term), (Text::Inside(_), Term::Prefix(_)));
                if short && term.parts().iter().any(|part| part.is_ascii()) {
                    note(notices, Notice::ShortInside(text.to_string()));
                }
                Rule::Words(term)
            }
            None => Rule::All(Vec::new()),
        },
        Node::Field(field, value) => rule_of(*field, value, names, now).unwrap_or_else(|| {
            let (field, value) = (*field, value.text.clone());
            note(
                notices,
                match field {
                    Field::Category => Notice::UnknownCategory(value),
                    Field::Tag => Notice::UnknownTag(value),
                    Field::User => Notice::UnknownMember(value),
                    Field::Hash if Infohash::parse_any(&value).is_some() => {
                        Notice::UnknownHash(value)
                    }
                    _ => Notice::BadValue { field, value },
                },
            );
            Rule::nothing()
        }),
    }
}

fn each(nodes: &[Node], names: &Names, now: Timestamp, notices: &mut Vec<Notice>) -> Vec<Rule> {
    nodes
        .iter()
        .map(|node| resolve(node, names, now, notices))
        .collect()
}

fn rule_of(field: Field, value: &Value, names: &Names, now: Timestamp) -> Option<Rule> {
    let text = value.text.as_str();
    let swarm = |number| Some(Rule::Swarm(Check::Within(number, values::counts(text)?)));
    match field {
        Field::Category => names.categories.get(text).map(|id| Rule::Category(*id)),
        Field::Tag => names.tags.get(text).map(|id| Rule::Tag(*id)),
        Field::User => names.members.get(text).map(|id| Rule::Uploaders(vec![*id])),
        Field::File => words::term(&file_text(value)).map(Rule::File),
        Field::Size => values::sizes(text).map(Rule::Size),
        Field::After => Some(Rule::Created {
            from: values::moment(text)?.at(now),
            before: Timestamp(i64::MAX),
        }),
        Field::Before => Some(Rule::Created {
            from: Timestamp(0),
            before: values::moment(text)?.at(now),
        }),
        Field::Seeders => swarm(Number::Seeders),
        Field::Leechers => swarm(Number::Leechers),
        Field::Completed => swarm(Number::Completed),
        Field::Is if is_trusted(value) => Some(Rule::Uploaders(names.trusted.clone())),
        Field::Is => values::is(text, now),
        Field::Has => values::has(text),
        Field::Hash => names.torrents.get(text).map(|id| Rule::Torrent(*id)),
    }
}

/// File names are searched by word: `*.iso` is the word `iso`.
fn file_text(value: &Value) -> Text {
    let bare = value.text.trim_matches('*').to_owned();
    if value.quoted {
        Text::Phrase(bare)
    } else if value.text.ends_with('*') {
        Text::Prefix(bare)
    } else {
        Text::Word(bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::language::parse;

    fn names() -> Names {
        let tag = |name: &str, id| (name.to_owned(), TagId(id));
        Names {
            categories: [("linux".to_owned(), CategoryId(11))].into(),
            tags: [tag("lts", 71), tag("Long Term", 71)].into(),
            members: [("ann".to_owned(), UserId(31))].into(),
            torrents: [("c9e1".to_owned(), TorrentId(51))].into(),
            trusted: vec![UserId(31), UserId(32)],
        }
    }

    fn rule(text: &str) -> (Rule, Vec<Notice>) {
        let mut notices = Vec::new();
        let rule = resolve(&parse(text).0, &names(), Timestamp(0), &mut notices);
        (rule, notices)
    }

    #[test]
    fn names_become_ids() {
        assert_eq!(rule("hash:c9e1").0, Rule::Torrent(TorrentId(51)));
        let text = "cat:linux (tag:lts | -tag:\"Long Term\") user:ann is:trusted tag:lts";
        let found = wanted([&parse(text).0]);
        assert_eq!(found.categories, ["linux"]);
        assert_eq!(found.tags, ["lts", "Long Term"]);
        assert_eq!(found.members, ["ann"]);
        assert!(found.trusted);
        let (rule, notices) = rule(text);
        let tag = || Rule::Tag(TagId(71));
        assert_eq!(
            rule,
            Rule::All(vec![
                Rule::Category(CategoryId(11)),
                Rule::Any(vec![tag(), Rule::Not(Box::new(tag()))]),
                Rule::Uploaders(vec![UserId(31)]),
                Rule::Uploaders(vec![UserId(31), UserId(32)]),
                tag(),
            ])
        );
        assert_eq!(notices, []);
    }

    #[test]
    fn what_means_nothing_matches_nothing_and_is_said() {
        for (text, notice) in [
            ("cat:linus", Notice::UnknownCategory("linus".to_owned())),
            ("tag:linus", Notice::UnknownTag("linus".to_owned())),
            ("user:linus", Notice::UnknownMember("linus".to_owned())),
            (
                "hash:c9e15763f722f23e98a29decdfae341b98d53056",
                Notice::UnknownHash("c9e15763f722f23e98a29decdfae341b98d53056".to_owned()),
            ),
            (
                "hash:c9",
                Notice::BadValue {
                    field: Field::Hash,
                    value: "c9".to_owned(),
                },
            ),
            (
                "size:large",
                Notice::BadValue {
                    field: Field::Size,
                    value: "large".to_owned(),
                },
            ),
            (
                "is:purple",
                Notice::BadValue {
                    field: Field::Is,
                    value: "purple".to_owned(),
                },
            ),
        ] {
            let (rule, notices) = rule(&format!("{text} {text}"));
            assert_eq!(
                rule,
                Rule::All(vec![Rule::nothing(), Rule::nothing()]),
                "{text}"
            );
            assert_eq!(notices, [notice], "{text}");
        }
        assert_eq!(rule("*ab*").1, [Notice::ShortInside("*ab*".to_owned())]);
        assert_eq!(rule("*中文*").1, []);
    }

    #[test]
    fn files_are_searched_by_word() {
        let word = |text| words::term(&text).map(Rule::File).unwrap();
        for (text, term) in [
            ("file:*.iso", Text::Word("iso".to_owned())),
            ("file:read*", Text::Prefix("read".to_owned())),
            ("file:\"read me\"", Text::Phrase("read me".to_owned())),
        ] {
            let (Rule::File(found), _) = rule(text) else {
                panic!("{text}");
            };
            let Rule::File(expected) = word(term) else {
                unreachable!()
            };
            assert_eq!(found.parts(), expected.parts(), "{text}");
        }
    }
}
