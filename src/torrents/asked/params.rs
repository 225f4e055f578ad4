//! The parameters of a listing's URL: the text field, those of the filter form, every field of the language by its
//! name, and those that links to other indexes are written with.

use crate::categories::Category;
use crate::ids::TorrentId;
use crate::search::language::{self, Field, MAX_TERMS, Node};
use crate::search::{Cursor, Notice, SortKey};
use crate::web::flash::Flash;

use super::MAX_PAGE;

#[derive(Default)]
pub struct Read {
    pub nodes: Vec<Node>,
    pub pasted: String,
    pub key: Option<SortKey>,
    pub descending: Option<bool>,
    pub cursor: Option<Cursor>,
    pub page: Option<usize>,
    pub marked_after: Option<TorrentId>,
    pub from_form: bool,
    pub notices: Vec<Notice>,
    pub flashes: Vec<Flash>,
    size: (String, String),
    terms: usize,
}

pub fn read(query: &str, categories: &[Category]) -> Read {
    let mut read = Read::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = value.trim();
        if !value.is_empty() {
            read.parameter(&name, value, categories);
        }
    }
    let (least, most) = std::mem::take(&mut read.size);
    let size = match (least.is_empty(), most.is_empty()) {
        (true, true) => return read,
        (false, true) => format!(">={least}"),
        (true, false) => format!("<={most}"),
        (false, false) => format!("{least}..{most}"),
    };
    read.field(Field::Size, &size);
    read
}

impl Read {
    fn parameter(&mut self, name: &str, value: &str, categories: &[Category]) {
        match name {
            "q" => {
                self.pasted = value.to_owned();
                let (node, notices) = language::parse(value);
                self.notices.extend(notices);
                for node in node.conjuncts() {
                    self.push(node);
                }
            }
            "tag" => {
                for tag in names(value) {
                    self.field(Field::Tag, tag);
                }
            }
            "any" => {
                let tags = names(value).map(|tag| Node::field(Field::Tag, tag));
                self.push(language::any(tags.collect()));
            }
            "none" => {
                for tag in names(value) {
                    self.push(language::not(Node::field(Field::Tag, tag)));
                }
            }
            "size_min" => value.clone_into(&mut self.size.0),
            "size_max" => value.clone_into(&mut self.size.1),
            "kind" => self.field(Field::Is, value),
            "needs" => match value {
                "seeds" => self.push(super::needy()),
                _ => self.warn("The only thing to need is `seeds`."),
            },
            "sort" => match value.parse::<SortKey>() {
                Ok(key) => self.key = Some(key),
                Err(message) => self.warn(&message),
            },
            "order" => match value {
                "asc" => self.descending = Some(false),
                "desc" => self.descending = Some(true),
                _ => self.warn("Order by `asc` or `desc`."),
            },
            "at" => self.cursor = Some(Cursor(value.to_owned())),
            super::MARKED_AFTER => self.marked_after = value.parse().ok().map(TorrentId),
            "filter" => self.from_form = true,
            "c" | "u" | "s" | "o" | "p" | "f" => self.foreign(name, value, categories),
            _ => {
                if let Ok(field) = name.parse::<Field>() {
                    self.field(field, value);
                }
            }
        }
    }

    /// nyaa's: category, user, order, direction, page, filter.
    fn foreign(&mut self, name: &str, value: &str, categories: &[Category]) {
        match (name, value) {
            ("c", "0_0") | ("f", "0") => {}
            ("c", _) => match foreign_category(value, categories) {
                Some(category) => self.field(Field::Category, &category.slug),
                None => self.field(Field::Category, value),
            },
            ("u", _) => self.field(Field::User, value),
            ("s", "id") => self.key = Some(SortKey::Date),
            ("s", "downloads") => self.key = Some(SortKey::Completed),
            ("s", _) => match value.parse() {
                Ok(key) => self.key = Some(key),
                Err(_) => self.warn(&format!(
                    "Torrents cannot be sorted by “{}” here. Choose a column to sort by.",
                    shown(value)
                )),
            },
            ("o", "asc") => self.descending = Some(false),
            ("o", "desc") => self.descending = Some(true),
            ("f", "2") => self.field(Field::Is, "trusted"),
            ("p", _) => match value.parse() {
                Ok(page @ 1..=MAX_PAGE) => self.page = Some(page),
                _ => self.warn(&format!(
                    "Only pages 1 to {MAX_PAGE} have numbers; this is the first. Go on from the end of a page, or narrow the search."
                )),
            },
            _ => self.warn(&format!(
                "“{name}={}” in the address means nothing here and was left out.",
                shown(value)
            )),
        }
    }

    fn field(&mut self, field: Field, value: &str) {
        let node = Node::field(field, value);
        if !matches!(&node, Node::Field(_, value) if value.text.is_empty()) {
            self.push(node);
        }
    }

    fn push(&mut self, node: Node) {
        let terms = node.terms();
        if terms == 0 || self.nodes.contains(&node) {
            return;
        }
        if self.terms + terms > MAX_TERMS {
            let notice = Notice::TooManyWords { kept: MAX_TERMS };
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
            return;
        }
        self.terms += terms;
        self.nodes.push(node);
    }

    fn warn(&mut self, text: &str) {
        self.flashes.push(Flash::warn(text));
    }
}

/// Tags in one field, between commas.
fn names(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// The category here that comes closest to one of nyaa's, by the numbers that Torznab knows both by. One that is not
/// of that form may be one of ours.
fn foreign_category<'c>(value: &str, categories: &'c [Category]) -> Option<&'c Category> {
    let number = match value {
        "2_1" => 3_040,
        "2_2" => 3_010,
        "6_1" => 4_010,
        "6_2" => 4_050,
        _ => match value.split_once('_')?.0 {
            "1" => 5_070,
            "2" => 3_000,
            "3" => 7_000,
            "4" => 5_000,
            "6" => 4_000,
            _ => return None,
        },
    };
    let with = |number: i64| categories.iter().find(|c| c.torznab == number);
    with(number).or_else(|| with(number / 1_000 * 1_000))
}

fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CategoryId;

    fn category(id: i64, slug: &str, torznab: i64) -> Category {
        Category {
            id: CategoryId(id),
            parent_id: None,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            description: String::new(),
            icon: String::new(),
            position: 1,
            torznab,
        }
    }

    fn printed(query: &str) -> (String, Read) {
        let categories = [category(1, "audio", 3_000), category(2, "games", 4_050)];
        let read = super::read(query, &categories);
        (Node::All(read.nodes.clone()).to_string(), read)
    }

    #[test]
    fn form_and_text_are_the_same_question() {
        let (text, _) = printed(
            "q=ubuntu+-beta&category=linux&tag=lts,+server&any=a,b&none=c&size_min=1gb&size_max=4gb\
             &after=7d&before=&seeders=%3E0&kind=v2&user=ann&filter=1",
        );
        assert_eq!(
            text,
            "ubuntu -beta cat:linux tag:lts tag:server (tag:a | tag:b) -tag:c after:7d seeders:>0 is:v2 user:ann size:1gb..4gb"
        );
        assert_eq!(
            printed(&format!("q={}", crate::web::filters::urlencode(&text))).0,
            text
        );
        assert_eq!(printed("size_max=4gb&q=a+%7C+b").0, "(a | b) size:<=4gb");
        assert_eq!(printed("q=&tag=,,&any=,&user=%22").0, "");
    }

    #[test]
    fn links_to_other_indexes_work() {
        let (text, read) = printed("f=2&c=2_2&q=x&u=ann&s=downloads&o=asc&p=3");
        assert_eq!(text, "is:trusted cat:audio x user:ann");
        assert_eq!(read.key, Some(SortKey::Completed));
        assert_eq!((read.descending, read.page), (Some(false), Some(3)));
        assert!(read.flashes.is_empty());
        assert_eq!(printed("c=6_2&s=id&p=1").0, "cat:games");
        assert_eq!(printed("c=0_0&f=0").0, "");
        // What cannot be mapped finds nothing or is said.
        assert_eq!(printed("c=5_1").0, "cat:5_1");
        for query in ["s=comments", "p=0", "p=101", "p=x", "f=1"] {
            assert_eq!(printed(query).1.flashes.len(), 1, "{query}");
        }
    }

    #[test]
    fn an_address_holds_so_much() {
        let tags: String = (0..900).map(|n| format!("&tag=t{n}")).collect();
        let (_, read) = printed(&format!("q=x{tags}"));
        assert_eq!(read.nodes.len(), MAX_TERMS);
        assert_eq!(read.notices, [Notice::TooManyWords { kept: MAX_TERMS }]);
    }
}
