//! Categories: all their SQL.

use std::collections::HashMap;

use super::{Category, Slug};
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Tx, violates_unique};
use crate::ids::CategoryId;
use crate::{exec, on};

/// What a form says of a category.
#[derive(Clone, Debug)]
pub struct NewCategory<'a> {
    pub parent_id: Option<CategoryId>,
    pub slug: &'a Slug,
    pub name: &'a str,
    pub description: &'a str,
    pub icon: &'a str,
    pub torznab: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("Another category has this slug. Choose a different one.")]
    SlugTaken,
    #[error("Categories have two levels: choose one of the top level, or none.")]
    ParentNotTop,
    #[error("It has categories below it, so it must stay at the top level. Move those away first.")]
    HasChildren,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Every category: the top level by position, each followed by what is under it.
pub async fn all(conn: &mut Conn) -> Result<Vec<Category>, sqlx::Error> {
    const SQL: &str = "select id, parent_id, slug, name, description, icon, position, torznab from categories \
        order by position, id";
    let rows: Vec<Category> = on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    let mut under: HashMap<Option<CategoryId>, Vec<Category>> = HashMap::new();
    for row in rows {
        under.entry(row.parent_id).or_default().push(row);
    }
    let mut ordered = Vec::new();
    for top in under.remove(&None).unwrap_or_default() {
        let children = under.remove(&Some(top.id)).unwrap_or_default();
        ordered.push(top);
        ordered.extend(children);
    }
    Ok(ordered)
}

pub async fn by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Category>, sqlx::Error> {
    const SQL: &str = "select id, parent_id, slug, name, description, icon, position, torznab from categories \
        where slug = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(slug)
        .fetch_optional(c)
        .await)
}

pub async fn by_id(conn: &mut Conn, id: CategoryId) -> Result<Option<Category>, sqlx::Error> {
    const SQL: &str = "select id, parent_id, slug, name, description, icon, position, torznab from categories \
        where id = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// Adds a category as the last of its siblings.
pub async fn insert(tx: &mut Tx, new: &NewCategory<'_>) -> Result<CategoryId, SaveError> {
    const SQL: &str = "insert into categories (parent_id, slug, name, description, icon, position, torznab) \
        values ($1, $2, $3, $4, $5, $6, $7) returning id";
    hold_parent(tx, new.parent_id).await?;
    let position = last_position(tx, new.parent_id).await? + 1;
    let id = on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(new.parent_id)
        .bind(new.slug.as_str())
        .bind(new.name)
        .bind(new.description)
        .bind(new.icon)
        .bind(position)
        .bind(new.torznab)
        .fetch_one(c)
        .await)
    .map_err(slug_taken)?;
    revisions::bump(tx, Revision::Catalogue).await?;
    Ok(id)
}

/// Changes a category; under another parent it comes last.
pub async fn update(tx: &mut Tx, old: &Category, new: &NewCategory<'_>) -> Result<(), SaveError> {
    const SQL: &str = "update categories set parent_id = $2, slug = $3, name = $4, description = $5, icon = $6, \
        position = $7, torznab = $8 where id = $1";
    const CHILDREN: &str = "select count(*) from categories where parent_id = $1";
    let position = if old.parent_id == new.parent_id {
        old.position
    } else {
        last_position(tx, new.parent_id).await? + 1
    };
    // Its own row first, then the parent's: whoever puts something under this one at the same time waits for us,
    // or we for them, and then one of the two looks again.
    exec!(
        tx,
        SQL,
        old.id,
        new.parent_id,
        new.slug.as_str(),
        new.name,
        new.description,
        new.icon,
        position,
        new.torznab
    )
    .map_err(slug_taken)?;
    if new.parent_id.is_some() {
        let children: i64 = on!(tx, |c| sqlx::query_scalar(CHILDREN)
            .bind(old.id)
            .fetch_one(c)
            .await)?;
        if children > 0 {
            return Err(SaveError::HasChildren);
        }
    }
    hold_parent(tx, new.parent_id).await?;
    // The search finds a parent's torrents by its children, and listings keep names in memory.
    revisions::bump(tx, Revision::Catalogue).await?;
    Ok(())
}

/// Makes sure that the parent is of the top level and stays so until the commit.
async fn hold_parent(tx: &mut Tx, parent: Option<CategoryId>) -> Result<(), SaveError> {
    const SQL: &str =
        "update categories set position = position where id = $1 and parent_id is null";
    match parent {
        Some(parent) if exec!(tx, SQL, parent)? == 0 => Err(SaveError::ParentNotTop),
        _ => Ok(()),
    }
}

fn slug_taken(error: sqlx::Error) -> SaveError {
    if violates_unique(&error, "categories", "slug") {
        SaveError::SlugTaken
    } else {
        error.into()
    }
}

async fn last_position(tx: &mut Tx, parent: Option<CategoryId>) -> Result<i64, sqlx::Error> {
    const SQL: &str =
        "select coalesce(max(position), 0) from categories where parent_id is not distinct from $1";
    on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(parent)
        .fetch_one(c)
        .await)
}

/// Changes places with the sibling before; the first stays.
pub async fn move_up(tx: &mut Tx, category: &Category) -> Result<(), sqlx::Error> {
    swap(tx, category, |place| place.checked_sub(1)).await
}

/// Changes places with the sibling after; the last stays.
pub async fn move_down(tx: &mut Tx, category: &Category) -> Result<(), sqlx::Error> {
    swap(tx, category, |place| place.checked_add(1)).await
}

async fn swap(
    tx: &mut Tx,
    category: &Category,
    to: impl Fn(usize) -> Option<usize>,
) -> Result<(), sqlx::Error> {
    const SIBLINGS: &str =
        "select id from categories where parent_id is not distinct from $1 order by position, id";
    const PLACE: &str = "update categories set position = $2 where id = $1";
    let mut siblings: Vec<CategoryId> = on!(tx, |c| sqlx::query_scalar(SIBLINGS)
        .bind(category.parent_id)
        .fetch_all(c)
        .await)?;
    let place = siblings.iter().position(|id| *id == category.id);
    let Some((place, other)) = place.and_then(|place| Some((place, to(place)?))) else {
        return Ok(());
    };
    if other < siblings.len() {
        siblings.swap(place, other);
        // All anew: positions that two share, from two changes at once, come apart again.
        for (position, id) in (1_i64..).zip(siblings) {
            exec!(tx, PLACE, id, position)?;
        }
        revisions::bump(tx, Revision::Catalogue).await?;
    }
    Ok(())
}

/// Torrents in each category itself, removed ones too: they keep their category, for the day they come back.
pub async fn counts(conn: &mut Conn) -> Result<HashMap<CategoryId, i64>, sqlx::Error> {
    const SQL: &str = "select category_id, count(*) from torrents group by category_id";
    let rows: Vec<(CategoryId, i64)> = on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    Ok(rows.into_iter().collect())
}

/// As [`counts`], of one.
pub async fn count(conn: &mut Conn, id: CategoryId) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from torrents where category_id = $1";
    on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .fetch_one(c)
        .await)
}
