//! The names in a question, looked up: categories by slug or name, tags by name or alias, members, infohashes, and who
//! is trusted.

use std::collections::HashMap;

use crate::accounts::UserName;
use crate::accounts::queries as accounts;
use crate::bittorrent::infohash::Infohash;
use crate::categories::Category;
use crate::db::Reading;
use crate::ids::UserId;
use crate::search::language::{self, Field, Names, Node};
use crate::tags::{self, Tag, TagName};
use crate::torrents::queries;

/// What the names stand for, by the spelling of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Known {
    categories: HashMap<String, Category>,
    tags: HashMap<String, Tag>,
    members: HashMap<String, (UserId, String)>,
}

pub async fn look_up(
    reading: &mut Reading<'_>,
    categories: &[Category],
    nodes: &[Node],
) -> Result<(Known, Names), sqlx::Error> {
    let wanted = language::wanted(nodes);
    let mut known = Known::default();
    for typed in wanted.categories {
        let same = |text: &str| text.to_lowercase() == typed.to_lowercase();
        let by_slug = categories.iter().find(|c| same(&c.slug));
        if let Some(found) = by_slug.or_else(|| categories.iter().find(|c| same(&c.name))) {
            known.categories.insert(typed, found.clone());
        }
    }
    let spelled: Vec<(String, TagName)> = wanted
        .tags
        .into_iter()
        .filter_map(|typed| Some((TagName::parse(&typed).ok()?, typed)))
        .map(|(name, typed)| (typed, name))
        .collect();
    if !spelled.is_empty() {
        let names: Vec<TagName> = spelled.iter().map(|(_, name)| name.clone()).collect();
        let ids = tags::queries::resolve(reading.conn().await?, &names).await?;
        let found: Vec<_> = ids.values().copied().collect();
        let found = tags::queries::by_ids(reading.conn().await?, &found).await?;
        for (typed, name) in spelled {
            let tag = ids
                .get(&name)
                .and_then(|id| found.iter().find(|t| t.id == *id));
            if let Some(tag) = tag {
                known.tags.insert(typed, tag.clone());
            }
        }
    }
    for typed in wanted.members {
        if let Ok(name) = UserName::parse(&typed)
            && let Some(user) = accounts::by_name(reading.conn().await?, name.as_str()).await?
        {
            known.members.insert(typed, (user.id, user.name));
        }
    }
    let mut torrents = HashMap::new();
    for typed in wanted.hashes {
        for hash in Infohash::all_in(&typed) {
            if let Some(found) = queries::by_pasted_infohash(reading.conn().await?, hash).await? {
                torrents.entry(typed.clone()).or_insert(found.id);
            }
        }
    }
    let trusted = match wanted.trusted {
        true => accounts::trusted(reading.conn().await?).await?,
        false => Vec::new(),
    };
    known.add_spellings();
    let names = Names {
        categories: ids(&known.categories, |c| c.id),
        tags: ids(&known.tags, |t| t.id),
        members: ids(&known.members, |(id, _)| *id),
        torrents,
        trusted,
    };
    Ok((known, names))
}

fn ids<T, I>(known: &HashMap<String, T>, id: impl Fn(&T) -> I) -> HashMap<String, I> {
    known
        .iter()
        .map(|(name, value)| (name.clone(), id(value)))
        .collect()
}

impl Known {
    /// What was found by another spelling can be found by the catalogue's, too.
    fn add_spellings(&mut self) {
        for category in self.categories.values().cloned().collect::<Vec<_>>() {
            self.categories.insert(category.slug.clone(), category);
        }
        for tag in self.tags.values().cloned().collect::<Vec<_>>() {
            self.tags.insert(tag.name.clone(), tag);
        }
        for member in self.members.values().cloned().collect::<Vec<_>>() {
            self.members.insert(member.1.clone(), member);
        }
    }

    pub fn category(&self, slug: &str) -> Option<&Category> {
        self.categories.get(slug)
    }

    pub fn tag(&self, name: &str) -> Option<&Tag> {
        self.tags.get(name)
    }

    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.get(name).map(|(_, name)| name.as_str())
    }

    /// The tree in the catalogue's spelling: a tag's alias becomes its name, a category's name its slug.
    pub fn spelled(&self, node: Node) -> Node {
        let each = |nodes: Vec<Node>| nodes.into_iter().map(|node| self.spelled(node)).collect();
        match node {
            Node::All(nodes) => Node::All(each(nodes)),
            Node::Any(nodes) => Node::Any(each(nodes)),
            Node::Not(node) => Node::Not(Box::new(self.spelled(*node))),
            Node::Field(field, value) => {
                let name = match field {
                    Field::Category => self.categories.get(&value.text).map(|c| &c.slug),
                    Field::Tag => self.tags.get(&value.text).map(|t| &t.name),
                    Field::User => self.members.get(&value.text).map(|(_, name)| name),
                    _ => None,
                };
                match name {
                    Some(name) => Node::field(field, name),
                    None => Node::Field(field, value),
                }
            }
            node => node,
        }
    }
}
