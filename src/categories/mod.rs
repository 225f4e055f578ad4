//! Categories: two levels, each with a slug for addresses, an icon, and the number Torznab clients sort by. Every
//! torrent is in one. `merge` re-homes torrents; `defaults` is the tree a new site begins with.

pub mod defaults;
pub mod forms;
pub mod merge;
pub mod pages;
pub mod queries;

pub use defaults::seed as seed_defaults;

use std::ops::RangeInclusive;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::db::Conn;
use crate::ids::CategoryId;
use crate::web::filters::urlencode;

/// What a category may be drawn as: names of the sprite.
pub const ICONS: [&str; 16] = [
    "disc",
    "dataset",
    "film",
    "music",
    "book",
    "software",
    "archive",
    "image",
    "game",
    "code",
    "flask",
    "headphones",
    "globe",
    "chip",
    "folder",
    "file",
];

/// Newznab's categories and the range left for a site's own.
pub const TORZNAB: RangeInclusive<i64> = 1_000..=199_999;

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Category {
    pub id: CategoryId,
    /// A category of the top level, or none.
    pub parent_id: Option<CategoryId>,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub icon: String,
    /// Among its siblings, rising.
    pub position: i64,
    pub torznab: i64,
}

impl Category {
    /// The listing of its torrents.
    pub fn url(&self) -> String {
        format!("/torrents?category={}", urlencode(&self.slug))
    }
}

/// A category in an address: `a` to `z`, digits and single `-` between them, 1 to 60 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

impl Slug {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let slug = fold(text);
        if slug.is_empty() {
            return Err("Write a slug of the letters a to z, digits and -.");
        }
        if slug.len() > 60 {
            return Err("A slug has at most 60 characters. Shorten it.");
        }
        Ok(Self(slug))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters without their marks, everything else a single `-`.
fn fold(text: &str) -> String {
    let mut slug = String::new();
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A choice in a select element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub value: String,
    pub label: String,
}

/// A group of choices in a select element: a category of the top level with those under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    pub label: String,
    pub options: Vec<Choice>,
}

impl Choice {
    fn of(category: &Category) -> Self {
        Self {
            value: category.slug.clone(),
            label: category.name.clone(),
        }
    }
}

/// Every category by slug, grouped for a form's select element.
pub async fn tree(conn: &mut Conn) -> Result<Vec<Group>, sqlx::Error> {
    Ok(groups(&queries::all(conn).await?))
}

/// As [`tree`], from what [`queries::all`] answered.
pub fn groups(all: &[Category]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for category in all {
        match (category.parent_id, groups.last_mut()) {
            (Some(_), Some(group)) => group.options.push(Choice::of(category)),
            _ => groups.push(Group {
                label: category.name.clone(),
                options: vec![Choice::of(category)],
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for (text, slug) in [
            ("Linux & BSD images", "linux-bsd-images"),
            ("  Séries -- télé ", "series-tele"),
            ("ＦＵＬＬ", "full"),
        ] {
            assert_eq!(Slug::parse(text).unwrap().as_str(), slug);
        }
        for wrong in ["", "---", "Кино", &"x".repeat(61)] {
            assert!(Slug::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_icon_is_in_the_sprite() {
        let sprite = include_str!("../../static/icons.svg");
        for icon in ICONS {
            assert!(sprite.contains(&format!("id=\"{icon}\"")), "{icon}");
        }
    }
}
