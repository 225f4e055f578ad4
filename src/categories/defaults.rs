//! The tree a new site begins with; moderators make it theirs.

use super::Slug;
use super::queries::{self, NewCategory, SaveError};
use crate::db::Tx;
use crate::ids::CategoryId;
use crate::on;

/// Name, icon, Torznab number.
type Leaf = (&'static str, &'static str, i64);

const TREE: &[(Leaf, &[Leaf])] = &[
    (
        ("Software", "software", 4_000),
        &[
            ("Linux & BSD images", "disc", 4_020),
            ("Applications", "chip", 4_010),
            ("Games", "game", 4_050),
        ],
    ),
    (
        ("Datasets", "dataset", 8_010),
        &[
            ("Science", "flask", 8_010),
            ("Text & corpora", "file", 8_010),
            ("Geodata", "globe", 8_010),
            ("Models", "code", 8_010),
        ],
    ),
    (
        ("Video", "film", 2_000),
        &[
            ("Films", "film", 2_000),
            ("Series & programmes", "film", 5_000),
            ("Documentaries", "film", 5_080),
        ],
    ),
    (
        ("Audio", "music", 3_000),
        &[
            ("Music", "music", 3_000),
            ("Audiobooks", "headphones", 3_030),
            ("Sound", "headphones", 3_050),
        ],
    ),
    (
        ("Books & papers", "book", 7_000),
        &[
            ("Books", "book", 7_020),
            ("Papers", "file", 7_040),
            ("Comics", "book", 7_030),
            ("Magazines", "book", 7_010),
        ],
    ),
    (
        ("Archives", "archive", 8_000),
        &[
            ("Web archives", "globe", 8_010),
            ("Images", "image", 8_010),
            ("Other", "folder", 8_010),
        ],
    ),
];

/// Adds the tree where there is no category at all.
pub async fn seed(tx: &mut Tx) -> Result<(), sqlx::Error> {
    const SQL: &str = "select count(*) from categories";
    let categories: i64 = on!(tx, |c| sqlx::query_scalar(SQL).fetch_one(c).await)?;
    if categories > 0 {
        return Ok(());
    }
    for (top, children) in TREE {
        let parent = add(tx, None, top).await?;
        for child in *children {
            add(tx, Some(parent), child).await?;
        }
    }
    Ok(())
}

async fn add(
    tx: &mut Tx,
    parent_id: Option<CategoryId>,
    (name, icon, torznab): &Leaf,
) -> Result<CategoryId, sqlx::Error> {
    let slug = Slug::parse(name).map_err(|e| sqlx::Error::Protocol(format!("{name}: {e}")))?;
    let new = NewCategory {
        parent_id,
        slug: &slug,
        name,
        description: "",
        icon,
        torznab: *torznab,
    };
    match queries::insert(tx, &new).await {
        Ok(id) => Ok(id),
        Err(SaveError::Database(e)) => Err(e),
        Err(other) => Err(sqlx::Error::Protocol(format!("{name}: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{ICONS, TORZNAB};
    use super::*;

    #[test]
    fn the_tree_fits_the_rules() {
        let leaves = TREE
            .iter()
            .flat_map(|(top, children)| std::iter::once(top).chain(*children));
        let mut slugs = HashSet::new();
        for (name, icon, torznab) in leaves {
            let slug = Slug::parse(name).unwrap();
            assert!(slugs.insert(slug.as_str().to_owned()), "{name} twice");
            assert!(ICONS.contains(icon) && TORZNAB.contains(torznab), "{name}");
        }
    }
}
