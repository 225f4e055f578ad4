//! What was understood of a question, in words, each with the listing without it.

use serde::Serialize;

use super::Asked;
use super::names::Known;
use crate::search::language::values::{self, Moment, Range};
use crate::search::language::{Field, Node, Text};
use crate::web::filters::{self, bytes, number};

#[derive(Clone, Debug, Serialize)]
pub struct Chip {
    pub label: String,
    pub remove_url: String,
}

impl Asked {
    /// One for each thing that must hold.
    pub fn chips(&self) -> Vec<Chip> {
        (0..self.nodes.len())
            .map(|place| Chip {
                label: self.label(place),
                remove_url: self.without(&[place]),
            })
            .collect()
    }

    /// The chip's words for what stands in this place of the question.
    pub fn label(&self, place: usize) -> String {
        self.nodes
            .get(place)
            .map(|node| label(node, &self.known))
            .unwrap_or_default()
    }
}

fn label(node: &Node, known: &Known) -> String {
    let joined = |nodes: &[Node], with: &str| {
        let labels: Vec<String> = nodes.iter().map(|node| grouped(node, known)).collect();
        labels.join(with)
    };
    match node {
        Node::All(nodes) => joined(nodes, " and "),
        Node::Any(nodes) => joined(nodes, " or "),
        Node::Not(node) => format!("not {}", grouped(node, known)),
        Node::Text(Text::Word(text) | Text::Phrase(text)) => format!("“{text}”"),
        Node::Text(Text::Prefix(text)) => format!("“{text}…”"),
        Node::Text(Text::Inside(text)) => format!("“…{text}…”"),
        Node::Field(field, value) => of_field(*field, &value.text, known)
            .unwrap_or_else(|| format!("{}: “{}”, unknown", field.as_str(), value.text)),
    }
}

fn grouped(node: &Node, known: &Known) -> String {
    match node {
        Node::All(_) | Node::Any(_) => format!("({})", label(node, known)),
        _ => label(node, known),
    }
}

/// `None`: it means nothing.
fn of_field(field: Field, text: &str, known: &Known) -> Option<String> {
    Some(match field {
        Field::Category => known.category(text)?.name.clone(),
        Field::Tag => format!("tag: {}", known.tag(text)?.name),
        Field::User => format!("by {}", known.member(text)?),
        Field::File => format!("file: {text}"),
        Field::Size => {
            let whole = |n: u64| bytes(i64::try_from(n).unwrap_or(i64::MAX));
            format!("size: {}", range(values::sizes(text)?, whole))
        }
        Field::Seeders | Field::Leechers | Field::Completed => {
            let whole = |n: u64| number(i64::try_from(n).unwrap_or(i64::MAX));
            let range = range(values::counts(text)?, whole);
            format!("{}: {range}", field.as_str())
        }
        Field::After => match values::moment(text)? {
            Moment::At(at) => format!("since {}", day(at.0)),
            Moment::Ago(s) => format!("in the last {}", filters::duration(s)),
            Moment::DaysAgo(0) => "since today".to_owned(),
            Moment::DaysAgo(_) => "since yesterday".to_owned(),
        },
        Field::Before => match values::moment(text)? {
            Moment::At(at) => format!("before {}", day(at.0)),
            Moment::Ago(s) => format!("older than {}", filters::duration(s)),
            Moment::DaysAgo(0) => "before today".to_owned(),
            Moment::DaysAgo(_) => "before yesterday".to_owned(),
        },
        Field::Is => match text.to_ascii_lowercase().as_str() {
            "v1" => "v1 only",
            "v2" => "v2 only",
            "hybrid" => "hybrid",
            "private" => "private",
            "public" => "not private",
            "trusted" => "by trusted members",
            "anonymous" => "anonymous",
            "needy" => "needs seeds",
            _ => return None,
        }
        .to_owned(),
        Field::Has => match text.to_ascii_lowercase().as_str() {
            "v1" => "has a v1 hash",
            "v2" => "has a v2 hash",
            "webseed" | "webseeds" => "has web seeds",
            "description" => "has a description",
            "tag" | "tags" => "has tags",
            _ => return None,
        }
        .to_owned(),
        Field::Hash => {
            let hash = crate::bittorrent::infohash::Infohash::parse_any(text)?;
            let start: String = hash.to_string().chars().take(12).collect();
            format!("hash: {start}…")
        }
    })
}

fn range(range: Range, written: impl Fn(u64) -> String) -> String {
    let Range { from, to } = range;
    match (from, to) {
        (from, to) if from > to => "impossible".to_owned(),
        (from, to) if from == to => written(from),
        (from, u64::MAX) => format!("{} or more", written(from)),
        (0, to) => format!("at most {}", written(to)),
        (from, to) => format!("{} to {}", written(from), written(to)),
    }
}

fn day(at: i64) -> String {
    filters::datetime(at).chars().take(10).collect()
}
