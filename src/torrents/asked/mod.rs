//! What a listing's URL asks for. Text field, filter form and the parameters other sites use are views of one tree of
//! the query language, which every URL, chip and saved search is printed from. What names nothing matches nothing,
//! and is said.

mod chips;
mod form;
mod names;
mod params;

pub use chips::Chip;
pub use form::FormView;

use std::sync::Arc;

use crate::categories::Category;
use crate::clock::Timestamp;
use crate::db::Reading;
use crate::error::Result;
use crate::ids::{TagId, TorrentId};
use crate::search::language::{self, Field, Names, Node, Text};
use crate::search::rule::Rule;
use crate::search::{Cursor, Filter, Kind, Notice, Sort, SortKey};
use crate::web::flash::Flash;
use crate::web::pager::with_query;
use names::Known;
use params::Read;

/// The parameter that says after which torrent everything is new to whoever looks.
pub const MARKED_AFTER: &str = "new";
/// Pages that a number leads to; beyond, `next` leads on.
pub const MAX_PAGE: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What must all hold, names in the spelling of the catalogue.
    nodes: Vec<Node>,
    names: Arc<Names>,
    known: Arc<Known>,
    /// The text field as it came, for what is no query: a pasted infohash or magnet link.
    pub pasted: String,
    pub sort: Sort,
    /// Whether the order was chosen, or is what fits.
    sort_chosen: bool,
    pub cursor: Option<Cursor>,
    /// A page by its number, from 1.
    pub page: Option<usize>,
    /// Torrents later than this one are marked as new.
    pub marked_after: Option<TorrentId>,
    /// It came from the filter form, whose address says the same at more length.
    pub from_form: bool,
}

impl Asked {
    /// Reads the query part of a URL. Asks the database about the names in it.
    pub async fn read(
        reading: &mut Reading<'_>,
        categories: &[Category],
        query: &str,
    ) -> Result<(Self, Vec<Flash>)> {
        let mut all = Self::read_all(reading, categories, &[query]).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Reads many at once, in their order, for no more questions to the database than one has.
    pub async fn read_all(
        reading: &mut Reading<'_>,
        categories: &[Category],
        queries: &[&str],
    ) -> Result<Vec<(Self, Vec<Flash>)>> {
        let read: Vec<Read> = queries
            .iter()
            .map(|query| params::read(query, categories))
            .collect();
        let nodes: Vec<Node> = read.iter().flat_map(|read| read.nodes.clone()).collect();
        let (known, names) = names::look_up(reading, categories, &nodes).await?;
        let (known, names) = (Arc::new(known), Arc::new(names));
        Ok(read
            .into_iter()
            .map(|read| Self::of(read, known.clone(), names.clone()))
            .collect())
    }

    fn of(read: Read, known: Arc<Known>, names: Arc<Names>) -> (Self, Vec<Flash>) {
        let mut notices = read.notices;
        let mut asked = Self {
            nodes: Vec::new(),
            names,
            known,
            pasted: read.pasted,
            sort: Sort::NEWEST,
            sort_chosen: read.key.is_some(),
            cursor: read.cursor,
            page: read.page,
            marked_after: read.marked_after,
            from_form: read.from_form,
        };
        for node in read.nodes {
            let node = asked.known.spelled(node);
            if !asked.nodes.contains(&node) {
                asked.nodes.push(node);
            }
        }
        asked.resolved(Timestamp(0), &mut notices);
        // With words the best match comes first, without them the newest, and those in need by how much they are.
        let fitting = if asked.needs_seeds() {
            SortKey::Need
        } else if asked.has_words() {
            SortKey::Relevance
        } else {
            SortKey::Date
        };
        let key = read.key.unwrap_or(fitting);
        asked.sort = Sort {
            key,
            descending: read.descending.unwrap_or(key != SortKey::Name),
        };
        let notices = notices.iter().map(|notice| Flash::warn(notice.to_string()));
        (asked, read.flashes.into_iter().chain(notices).collect())
    }

    /// What the search is asked; spans such as `after:7d` end at `now`.
    pub fn filter(&self, now: Timestamp) -> Filter {
        Filter {
            all: self.resolved(now, &mut Vec::new()),
        }
    }

    fn resolved(&self, now: Timestamp, notices: &mut Vec<Notice>) -> Vec<Rule> {
        self.nodes
            .iter()
            .map(|node| language::resolve(node, &self.names, now, notices))
            .collect()
    }

    /// What a feed of it asks for: the newest, unless an order was chosen, and from the beginning.
    pub fn for_feed(mut self) -> Self {
        self.cursor = None;
        self.page = None;
        if !self.sort_chosen && !self.needs_seeds() {
            self.sort = Sort::NEWEST;
        }
        self
    }

    /// All of it as text, as it would be typed.
    pub fn text(&self) -> String {
        Node::All(self.nodes.clone()).to_string()
    }

    /// Nothing is asked: the whole catalogue.
    pub fn is_everything(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The whole question, if it is one plain word.
    pub fn only_word(&self) -> Option<&str> {
        match self.nodes.as_slice() {
            [Node::Text(Text::Word(word) | Text::Phrase(word))] => Some(word),
            _ => None,
        }
    }

    fn has_words(&self) -> bool {
        self.nodes.iter().any(is_worded)
    }

    pub fn needs_seeds(&self) -> bool {
        self.nodes.contains(&needy())
    }

    /// The category chosen, if it is one.
    pub fn category(&self) -> Option<&Category> {
        let mut values = self.values(Field::Category);
        let first = values.next()?;
        match values.next() {
            Some(_) => None,
            None => self.known.category(first),
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        let mut kinds = self.nodes.iter().filter_map(kind_of);
        let first = kinds.next()?;
        kinds.next().is_none().then_some(first)
    }

    /// Whether the tag has to be there.
    pub fn has_tag(&self, id: TagId) -> bool {
        let mut tags = self.values(Field::Tag);
        tags.any(|name| self.known.tag(name).is_some_and(|tag| tag.id == id))
    }

    /// The values of a field that must hold.
    fn values(&self, field: Field) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(move |node| match node {
            Node::Field(f, value) if *f == field => Some(value.text.as_str()),
            _ => None,
        })
    }

    pub fn heading(&self) -> String {
        let worded: Vec<Node> = self
            .nodes
            .iter()
            .filter(|n| is_worded(n))
            .cloned()
            .collect();
        if !worded.is_empty() {
            return format!("Torrents matching “{}”", Node::All(worded));
        }
        match (self.nodes.as_slice(), self.category()) {
            ([], _) => "All torrents".to_owned(),
            (_, Some(category)) => category.name.clone(),
            ([Node::Field(Field::User, name)], _) => format!("Torrents by {}", name.text),
            ([node], _) if *node == needy() => "Torrents that need seeds".to_owned(),
            _ => "Filtered torrents".to_owned(),
        }
    }

    pub fn order_text(&self) -> &'static str {
        match (self.sort.key, self.sort.descending) {
            (SortKey::Date, true) => "newest first",
            (SortKey::Date, false) => "oldest first",
            (SortKey::Size, true) => "largest first",
            (SortKey::Size, false) => "smallest first",
            (SortKey::Seeders, true) => "most seeders first",
            (SortKey::Seeders, false) => "fewest seeders first",
            (SortKey::Leechers, true) => "most leechers first",
            (SortKey::Leechers, false) => "fewest leechers first",
            (SortKey::Completed, true) => "most completed first",
            (SortKey::Completed, false) => "least completed first",
            (SortKey::Name, false) => "by name",
            (SortKey::Name, true) => "by name, backwards",
            (SortKey::Need, true) => "most needed first",
            (SortKey::Need, false) => "least needed first",
            (SortKey::Relevance, true) => "best match first",
            (SortKey::Relevance, false) => "best match last",
        }
    }

    pub fn with_category(&self, category: Option<&Category>) -> String {
        self.changed(|asked| {
            asked
                .nodes
                .retain(|node| !matches!(node, Node::Field(Field::Category, _)));
            let chosen = category.map(|c| Node::field(Field::Category, &c.slug));
            asked.nodes.extend(chosen);
        })
    }

    pub fn with_kind(&self, kind: Option<Kind>) -> String {
        self.changed(|asked| {
            asked.nodes.retain(|node| kind_of(node).is_none());
            let chosen = kind.map(|kind| Node::field(Field::Is, kind.as_str()));
            asked.nodes.extend(chosen);
        })
    }

    pub fn needing_seeds(&self, needs_seeds: bool) -> String {
        self.changed(|asked| {
            asked.nodes.retain(|node| *node != needy());
            asked.nodes.extend(needs_seeds.then(needy));
        })
    }

    pub fn with_tag(&self, name: &str) -> String {
        self.changed(|asked| asked.nodes.push(Node::field(Field::Tag, name)))
    }

    pub fn without_tag(&self, name: &str) -> String {
        let tag = Node::field(Field::Tag, name);
        self.changed(|asked| asked.nodes.retain(|node| *node != tag))
    }

    /// The uploads of a member, instead of all this.
    pub fn of_member(&self, name: &str) -> String {
        self.changed(|asked| asked.nodes = vec![Node::field(Field::User, name)])
    }

    /// The plain words it looks for, each once.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for node in &self.nodes {
            plain_words(node, &mut words);
        }
        words
    }

    /// With another word in place of one, wherever it stands.
    pub fn respelled(&self, word: &str, other: &str) -> Self {
        let mut asked = self.clone();
        asked.cursor = None;
        for node in &mut asked.nodes {
            respell(node, word, other);
        }
        asked
    }

    pub fn sorted(&self, key: SortKey, descending: bool) -> String {
        self.changed(|asked| {
            asked.sort = Sort { key, descending };
            asked.sort_chosen = true;
        })
    }

    /// The same listing at another place.
    pub fn at(&self, cursor: Option<&Cursor>) -> String {
        let mut asked = self.clone();
        asked.cursor = cursor.cloned();
        asked.url()
    }

    /// The same listing from a page's beginning, by its number.
    pub fn at_page(&self, page: usize) -> String {
        let first = self.at(None);
        match page {
            0 | 1 => first,
            _ if first.contains('?') => format!("{first}&p={page}"),
            _ => format!("{first}?p={page}"),
        }
    }

    /// The listing without what must hold in these places of the question.
    pub fn without(&self, places: &[usize]) -> String {
        self.kept(places).url()
    }

    /// What is asked without these.
    fn kept(&self, left_out: &[usize]) -> Self {
        let mut asked = self.clone();
        asked.cursor = None;
        asked.nodes = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(n, _)| !left_out.contains(n))
            .map(|(_, node)| node.clone())
            .collect();
        asked
    }

    /// Another listing starts at its first page.
    fn changed(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        asked.cursor = None;
        change(&mut asked);
        asked.url()
    }

    /// What the listing is asked for, in its canonical form: without the place in it and without marks.
    pub fn query_string(&self) -> String {
        let mut asked = self.clone();
        asked.cursor = None;
        asked.marked_after = None;
        asked.query()
    }

    /// The canonical address.
    pub fn url(&self) -> String {
        with_query("/torrents", &[&self.query()])
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.nodes.is_empty() {
            query.append_pair("q", &self.text());
        }
        if self.sort_chosen {
            query.append_pair("sort", self.sort.key.as_str());
            query.append_pair("order", if self.sort.descending { "desc" } else { "asc" });
        }
        if let Some(after) = self.marked_after {
            query.append_pair(MARKED_AFTER, &after.to_string());
        }
        if let Some(cursor) = &self.cursor {
            query.append_pair("at", &cursor.0);
        }
        query.finish()
    }
}

fn needy() -> Node {
    Node::field(Field::Is, "needy")
}

fn kind_of(node: &Node) -> Option<Kind> {
    match node {
        Node::Field(Field::Is, value) => value.text.parse().ok(),
        _ => None,
    }
}

/// Whether it looks for words.
fn is_worded(node: &Node) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(is_worded),
        Node::Text(_) => true,
        Node::Not(_) | Node::Field(..) => false,
    }
}

fn plain_words(node: &Node, words: &mut Vec<String>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            for node in nodes {
                plain_words(node, words);
            }
        }
        Node::Text(Text::Word(word)) if !words.contains(word) => words.push(word.clone()),
        _ => {}
    }
}

fn respell(node: &mut Node, word: &str, other: &str) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            for node in nodes {
                respell(node, word, other);
            }
        }
        Node::Text(Text::Word(text)) if text == word => other.clone_into(text),
        _ => {}
    }
}
