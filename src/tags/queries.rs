//! Tags and aliases: all their SQL.

use std::collections::HashMap;

use sqlx::QueryBuilder;

use super::{Tag, TagName};
use crate::clock::Timestamp;
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Tx, violates_unique};
use crate::ids::{TagId, TorrentId};
use crate::web::pager::Seek;
use crate::{exec, on};

/// The tags of these names, made where there are none; an alias becomes its tag. In rising order of id, each once.
pub async fn resolve_or_create(
    tx: &mut Tx,
    names: &[TagName],
    at: Timestamp,
) -> Result<Vec<TagId>, sqlx::Error> {
    const INSERT: &str =
        "insert into tags (name, created_at) values ($1, $2) on conflict (name) do nothing";
    let mut found = resolve(tx, names).await?;
    // Sorted, so that two uploads that make the same tags at once wait for each other in one order.
    let mut missing: Vec<TagName> = names
        .iter()
        .filter(|name| !found.contains_key(*name))
        .cloned()
        .collect();
    missing.sort_unstable();
    for name in &missing {
        exec!(tx, INSERT, name.as_str(), at)?;
    }
    // Read again also for what another upload has made meanwhile.
    found.extend(resolve(tx, &missing).await?);
    let mut ids: Vec<TagId> = found.into_values().collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The tags behind names, by alias or by name; what is unknown is left out.
pub async fn resolve(
    conn: &mut Conn,
    names: &[TagName],
) -> Result<HashMap<TagName, TagId>, sqlx::Error> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, TagId)> = on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new("select name, id from tags where name in ");
        push_names(&mut query, names);
        query.push(" union all select alias, tag_id from tag_aliases where alias in ");
        push_names(&mut query, names);
        query.build_query_as().fetch_all(c).await
    })?;
    // Aliases come last and win: should both be there after two changes at once, the alias is the later word.
    Ok(rows
        .into_iter()
        .map(|(name, id)| (TagName(name), id))
        .collect())
}

fn push_names<B: sqlx::Database>(query: &mut QueryBuilder<B>, names: &[TagName])
where
    String: sqlx::Type<B> + for<'q> sqlx::Encode<'q, B>,
{
    query.push("(");
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind(name.0.clone());
    }
    query.push(")");
}

/// The tag of a name or an alias.
pub async fn find(conn: &mut Conn, name: &TagName) -> Result<Option<Tag>, sqlx::Error> {
    let found = resolve(conn, std::slice::from_ref(name)).await?;
    match found.get(name) {
        Some(id) => by_id(conn, *id).await,
        None => Ok(None),
    }
}

pub async fn by_id(conn: &mut Conn, id: TagId) -> Result<Option<Tag>, sqlx::Error> {
    const SQL: &str = "select id, name from tags where id = $1";
    on!(conn, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)
}

/// The tags with these ids, in no order.
pub async fn by_ids(conn: &mut Conn, ids: &[TagId]) -> Result<Vec<Tag>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new("select id, name from tags where id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        query.build_query_as().fetch_all(c).await
    })
}

#[derive(sqlx::FromRow)]
struct Tagged {
    torrent_id: TorrentId,
    #[sqlx(flatten)]
    tag: Tag,
}

/// The tags of some torrents, each torrent's by name. At most some thousand ids.
pub async fn of_torrents(
    conn: &mut Conn,
    ids: &[TorrentId],
) -> Result<HashMap<TorrentId, Vec<Tag>>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Tagged> = on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new(
            "select l.torrent_id, t.id, t.name from torrent_tags l join tags t on t.id = l.tag_id where l.torrent_id in (",
        );
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(") order by t.name");
        query.build_query_as().fetch_all(c).await
    })?;
    let mut tags: HashMap<TorrentId, Vec<Tag>> = HashMap::new();
    for row in rows {
        tags.entry(row.torrent_id).or_default().push(row.tag);
    }
    Ok(tags)
}

/// Makes these the torrent's tags. The caller stamps the torrent.
pub async fn set_for_torrent(
    tx: &mut Tx,
    torrent: TorrentId,
    tags: &[TagId],
) -> Result<(), sqlx::Error> {
    const CLEAR: &str = "delete from torrent_tags where torrent_id = $1";
    exec!(tx, CLEAR, torrent)?;
    if tags.is_empty() {
        return Ok(());
    }
    on!(tx, |c: B| {
        let mut query = QueryBuilder::<B>::new("insert into torrent_tags (torrent_id, tag_id) ");
        query.push_values(tags, |mut row, tag| {
            row.push_bind(torrent).push_bind(*tag);
        });
        query.push(" on conflict do nothing");
        query.build().execute(c).await.map(drop)
    })
}

/// A tag as moderators see it. Torrents are counted with the removed ones, which keep their tags.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    pub id: TagId,
    pub name: String,
    pub count: i64,
}

/// Tags that begin, or have an alias that begins, with `words` (folded), by name.
pub async fn list(
    conn: &mut Conn,
    words: &str,
    seek: &Seek<String>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    const COLUMNS: &str = "select t.id, t.name, \
        (select count(*) from torrent_tags l where l.tag_id = t.id) as count from tags t where ";
    on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new(COLUMNS);
        push_begins(&mut query, words);
        match seek {
            Seek::First => query.push(" order by t.name limit "),
            Seek::After(name) => query
                .push(" and t.name > ")
                .push_bind(name.clone())
                .push(" order by t.name limit "),
            Seek::Before(name) => query
                .push(" and t.name < ")
                .push_bind(name.clone())
                .push(" order by t.name desc limit "),
        };
        query.push_bind(limit);
        query.build_query_as().fetch_all(c).await
    })
}

pub async fn count(conn: &mut Conn, words: &str) -> Result<i64, sqlx::Error> {
    on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new("select count(*) from tags t where ");
        push_begins(&mut query, words);
        query.build_query_scalar().fetch_one(c).await
    })
}

/// A prefix as a range, which both databases answer from the index.
fn push_begins<B: sqlx::Database>(query: &mut QueryBuilder<B>, words: &str)
where
    String: sqlx::Type<B> + for<'q> sqlx::Encode<'q, B>,
{
    if words.is_empty() {
        query.push("true");
        return;
    }
    let end = format!("{words}\u{10ffff}");
    // Not as one `or`, for which Postgres reads every tag.
    query
        .push("t.id in (select id from tags where name >= ")
        .push_bind(words.to_owned())
        .push(" and name < ")
        .push_bind(end.clone())
        .push(" union all select tag_id from tag_aliases where alias >= ")
        .push_bind(words.to_owned())
        .push(" and alias < ")
        .push_bind(end)
        .push(")");
}

/// The aliases of some tags, each tag's by name.
pub async fn aliases_of(
    conn: &mut Conn,
    ids: &[TagId],
) -> Result<HashMap<TagId, Vec<String>>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(TagId, String)> = on!(conn, |c: B| {
        let mut query =
            QueryBuilder::<B>::new("select tag_id, alias from tag_aliases where tag_id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(") order by alias");
        query.build_query_as().fetch_all(c).await
    })?;
    let mut aliases: HashMap<TagId, Vec<String>> = HashMap::new();
    for (tag, alias) in rows {
        aliases.entry(tag).or_default().push(alias);
    }
    Ok(aliases)
}

#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The tag that has it, by name or by alias.
    #[error("that name is taken")]
    Taken(Tag),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Gives a tag another name, which may have been an alias of it. Torrents are found by their tags' ids and keep their
/// stamp; the catalogue's revision goes up, because listings keep names in memory.
pub async fn rename(tx: &mut Tx, id: TagId, name: &TagName) -> Result<(), NameError> {
    const OWN_ALIAS: &str = "delete from tag_aliases where alias = $1 and tag_id = $2";
    const SQL: &str = "update tags set name = $2 where id = $1";
    exec!(tx, OWN_ALIAS, name.as_str(), id)?;
    if let Some(other) = find(tx, name).await?
        && other.id != id
    {
        return Err(NameError::Taken(other));
    }
    match exec!(tx, SQL, id, name.as_str()) {
        Ok(_) => {
            revisions::bump(tx, Revision::Catalogue).await?;
            Ok(())
        }
        // Somebody made it between the look and the change; their transaction is over, ours must end here.
        Err(e) if violates_unique(&e, "tags", "name") => Err(NameError::Taken(Tag {
            id,
            name: name.as_str().to_owned(),
        })),
        Err(e) => Err(e.into()),
    }
}

/// Makes a word another one for the tag; a word that is a tag itself must be merged instead.
pub async fn add_alias(tx: &mut Tx, id: TagId, alias: &TagName) -> Result<(), NameError> {
    const SQL: &str =
        "insert into tag_aliases (alias, tag_id) values ($1, $2) on conflict (alias) do nothing";
    if let Some(other) = find(tx, alias).await? {
        return Err(NameError::Taken(other));
    }
    exec!(tx, SQL, alias.as_str(), id).map(drop)?;
    Ok(())
}

/// False where the tag has no such alias.
pub async fn remove_alias(tx: &mut Tx, id: TagId, alias: &str) -> Result<bool, sqlx::Error> {
    const SQL: &str = "delete from tag_aliases where tag_id = $1 and alias = $2";
    Ok(exec!(tx, SQL, id, alias)? > 0)
}
