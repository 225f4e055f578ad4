//! What a listing's URL asks for. Every part can be changed into the URL of the listing next to it; a value that
//! names nothing is said aloud, never ignored.

use crate::accounts;
use crate::accounts::UserName;
use crate::accounts::queries::User;
use crate::categories::Category;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::ids::TorrentId;
use crate::search::{Cursor, Filter, Kind, Sort, SortKey};
use crate::tags::{self, Tag, TagName};
use crate::web::flash::Flash;

/// Each tag asks the database.
const MOST_TAGS: usize = 10;
/// The parameter that says after which torrent everything is new to whoever looks.
pub const MARKED_AFTER: &str = "new";
const WORDS_CHARS: usize = 500;

#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub words: String,
    pub category: Option<Category>,
    pub tags: Vec<Tag>,
    pub uploader: Option<User>,
    pub kind: Option<Kind>,
    pub sort: Sort,
    /// Whether the order was chosen, or is what fits.
    sort_chosen: bool,
    pub cursor: Option<Cursor>,
    /// Nobody seeds it, and somebody waits or nobody has been seen for a week.
    pub needs_seeds: bool,
    /// Torrents later than this one are marked as new.
    pub marked_after: Option<TorrentId>,
}

impl Asked {
    pub async fn read(
        conn: &mut Conn,
        categories: &[Category],
        query: &str,
    ) -> Result<(Self, Vec<Flash>)> {
        let mut asked = Self::default();
        let mut notices = Vec::new();
        let mut tags_read = 0;
        let mut key = None;
        let mut descending = None;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match name.as_ref() {
                "q" => {
                    asked.words = value
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(WORDS_CHARS)
                        .collect()
                }
                "category" => {
                    asked.category = categories.iter().find(|c| c.slug == value).cloned();
                    if asked.category.is_none() {
                        notices.push(unknown("category", value));
                    }
                }
                "tag" => {
                    tags_read += 1;
                    if tags_read == MOST_TAGS + 1 {
                        notices.push(Flash::warn(format!(
                            "Only the first {MOST_TAGS} tags count."
                        )));
                    }
                    if tags_read > MOST_TAGS {
                        continue;
                    }
                    match known_tag(conn, value).await? {
                        Some(tag) if asked.tags.iter().any(|t| t.id == tag.id) => {}
                        Some(tag) => asked.tags.push(tag),
                        None => notices.push(unknown("tag", value)),
                    }
                }
                "user" if asked.uploader.is_none() => {
                    asked.uploader = match UserName::parse(value) {
                        Ok(name) => accounts::queries::by_name(conn, name.as_str()).await?,
                        Err(_) => None,
                    };
                    if asked.uploader.is_none() {
                        notices.push(unknown("member", value));
                    }
                }
                "kind" => match value.parse() {
                    Ok(kind) => asked.kind = Some(kind),
                    Err(_) => notices.push(unknown("kind", value)),
                },
                "sort" => match value.parse::<SortKey>() {
                    Ok(found) => key = Some(found),
                    Err(message) => notices.push(Flash::warn(message)),
                },
                "order" => match value {
                    "asc" => descending = Some(false),
                    "desc" => descending = Some(true),
                    _ => notices.push(Flash::warn("Order by `asc` or `desc`.")),
                },
                "needs" => match value {
                    "seeds" => asked.needs_seeds = true,
                    _ => notices.push(Flash::warn("The only thing to need is `seeds`.")),
                },
                MARKED_AFTER => asked.marked_after = value.parse().ok().map(TorrentId),
                "at" => asked.cursor = Some(Cursor(value.to_owned())),
                _ => {}
            }
        }
        asked.sort_chosen = key.is_some();
        // With words the best match comes first, without them the newest, and those in need by how much they are.
        let fitting = if asked.needs_seeds {
            SortKey::Need
        } else if asked.words.is_empty() {
            SortKey::Date
        } else {
            SortKey::Relevance
        };
        let key = key.unwrap_or(fitting);
        asked.sort = Sort {
            key,
            descending: descending.unwrap_or(key != SortKey::Name),
        };
        Ok((asked, notices))
    }

    /// `now` tells how long a torrent has been without anybody.
    pub fn filter(&self, now: Timestamp) -> Filter {
        Filter {
            words: self.words.clone(),
            category: self.category.as_ref().map(|c| c.id),
            tags: self.tags.iter().map(|t| t.id).collect(),
            uploader: self.uploader.as_ref().map(|u| u.id),
            kind: self.kind,
            needs_seeds: self.needs_seeds.then(|| silent_since(now)),
            newer_than: None,
        }
    }

    /// What a feed of it asks for: the newest, unless an order was chosen, and from the beginning.
    pub fn for_feed(mut self) -> Self {
        self.cursor = None;
        if !self.sort_chosen && !self.needs_seeds {
            self.sort = Sort::NEWEST;
        }
        self
    }

    pub fn heading(&self) -> String {
        match (&self.words, &self.category, &self.uploader) {
            (words, _, _) if !words.is_empty() => format!("Torrents matching “{words}”"),
            (_, Some(category), _) => category.name.clone(),
            (_, _, Some(uploader)) => format!("Torrents by {}", uploader.name),
            _ if self.needs_seeds => "Torrents that need seeds".to_owned(),
            _ => "All torrents".to_owned(),
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
        self.changed(|asked| asked.category = category.cloned())
    }

    pub fn with_kind(&self, kind: Option<Kind>) -> String {
        self.changed(|asked| asked.kind = kind)
    }

    pub fn needing_seeds(&self, needs_seeds: bool) -> String {
        self.changed(|asked| asked.needs_seeds = needs_seeds)
    }

    pub fn with_tag(&self, name: &str) -> String {
        let own = self.changed(|_| {});
        let joint = if own.contains('?') { '&' } else { '?' };
        format!("{own}{joint}tag={}", crate::web::filters::urlencode(name))
    }

    pub fn without_tag(&self, name: &str) -> String {
        self.changed(|asked| asked.tags.retain(|tag| tag.name != name))
    }

    pub fn without_words(&self) -> String {
        self.changed(|asked| asked.words.clear())
    }

    pub fn without_uploader(&self) -> String {
        self.changed(|asked| asked.uploader = None)
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

    fn url(&self) -> String {
        let query = self.query();
        if query.is_empty() {
            "/torrents".to_owned()
        } else {
            format!("/torrents?{query}")
        }
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.words.is_empty() {
            query.append_pair("q", &self.words);
        }
        if let Some(category) = &self.category {
            query.append_pair("category", &category.slug);
        }
        for tag in &self.tags {
            query.append_pair("tag", &tag.name);
        }
        if let Some(uploader) = &self.uploader {
            query.append_pair("user", &uploader.name);
        }
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.as_str());
        }
        if self.needs_seeds {
            query.append_pair("needs", "seeds");
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

/// Whole hours, so that what is asked within one is the same question.
fn silent_since(now: Timestamp) -> Timestamp {
    let week_ago = now.plus(-7 * 86_400).0;
    Timestamp(week_ago - week_ago.rem_euclid(3_600))
}

/// The tag of a name or an alias, as loosely written as a tag field takes it.
async fn known_tag(conn: &mut Conn, text: &str) -> Result<Option<Tag>> {
    match TagName::parse(text) {
        Ok(name) => Ok(tags::queries::find(conn, &name).await?),
        Err(_) => Ok(None),
    }
}

fn unknown(what: &str, value: &str) -> Flash {
    let shown: String = value.chars().take(60).collect();
    Flash::warn(format!(
        "There is no {what} “{shown}”, so it was left out of the search."
    ))
}
