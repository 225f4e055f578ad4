//! What listings show of torrents, kept in memory: the database costs more for a row than rendering it does.
//!
//! Nothing here is older than the catalogue's revision at the moment it is asked for: every page reads that number
//! first, one small row, and what has been stamped since leaves before anything is handed out. So a change or a deletion
//! counts at once, whichever node or command made it. Swarm numbers are kept by the search.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::QueryBuilder;

use crate::bittorrent::metainfo::Kind;
use crate::categories::{self, Category};
use crate::clock::Timestamp;
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Handle, Mark, Reading};
use crate::error::Result;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};
use crate::on;
use crate::tags::{self, Tag};

/// Rows kept, some 400 bytes each: those of the pages that are looked at again and again.
const ROWS: usize = 40_000;
/// When more than this has changed, everything is read again.
const CHANGES: i64 = 1_000;

/// What a listing shows of a published torrent, to whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: TorrentId,
    pub url: String,
    pub title: String,
    pub category: CategoryId,
    pub uploader: UserId,
    pub uploader_name: String,
    pub anonymous: bool,
    pub private: bool,
    pub kind: Kind,
    /// Bytes.
    pub size: i64,
    pub created_at: Timestamp,
    pub tags: Vec<TagId>,
}

#[derive(Default)]
pub struct Cache(Mutex<State>);

#[derive(Default)]
struct State {
    /// What is kept holds at this revision of the catalogue.
    revision: Option<i64>,
    /// Taken before that revision was read.
    mark: Option<Mark>,
    categories: Option<Arc<Vec<Category>>>,
    tags: HashMap<TagId, Arc<Tag>>,
    rows: Recent,
}

/// The rows asked for last: when `new` is half of what may be kept, it becomes `old` and what nobody has asked for
/// meanwhile goes.
#[derive(Default)]
struct Recent {
    new: HashMap<TorrentId, Arc<Row>>,
    old: HashMap<TorrentId, Arc<Row>>,
}

/// The catalogue as it is now, or newer.
pub struct Catalogue<'c> {
    cache: &'c Cache,
    revision: i64,
    pub categories: Arc<Vec<Category>>,
}

impl Cache {
    /// Forgets what has changed, and reads the categories.
    pub async fn now(&self, reading: &mut Reading<'_>) -> Result<Catalogue<'_>> {
        let mark = reading.db.mark();
        if let Some(catalogue) = mark.and_then(|mark| self.unchanged(&mark)) {
            return Ok(catalogue);
        }
        let conn = reading.conn().await?;
        let revision = revisions::current(conn, Revision::Catalogue).await?;
        let known = self.0.lock().revision;
        if known != Some(revision) {
            let changed = match known {
                Some(known) if known < revision => changed_since(conn, known).await?,
                // Nothing is kept yet, or the database is an older copy of itself.
                _ => None,
            };
            self.0.lock().advance(known, revision, changed);
        }
        self.0.lock().mark_at(revision, mark);
        let kept = self.0.lock().categories_at(revision);
        let categories = match kept {
            Some(categories) => categories,
            None => {
                let read = Arc::new(categories::queries::all(conn).await?);
                let mut state = self.0.lock();
                if state.revision == Some(revision) {
                    state.categories = Some(read.clone());
                }
                read
            }
        };
        Ok(Catalogue {
            cache: self,
            revision,
            categories,
        })
    }

    /// What is kept, if nothing was committed since it was looked at.
    fn unchanged(&self, now: &Mark) -> Option<Catalogue<'_>> {
        let state = self.0.lock();
        state.mark.filter(|mark| mark.still(now))?;
        Some(Catalogue {
            cache: self,
            revision: state.revision?,
            categories: state.categories.clone()?,
        })
    }
}

impl Catalogue<'_> {
    /// The published ones of these torrents, in this order.
    pub async fn rows(
        &self,
        reading: &mut Reading<'_>,
        ids: &[TorrentId],
    ) -> Result<Vec<Arc<Row>>> {
        let mut found: Vec<Option<Arc<Row>>> = {
            let mut state = self.cache.0.lock();
            match state.revision == Some(self.revision) {
                true => ids.iter().map(|id| state.rows.get(*id)).collect(),
                false => vec![None; ids.len()],
            }
        };
        let missing = missing(ids, &found);
        if !missing.is_empty() {
            let read: HashMap<TorrentId, Arc<Row>> = read_rows(reading.conn().await?, &missing)
                .await?
                .into_iter()
                .map(|row| (row.id, Arc::new(row)))
                .collect();
            for (place, id) in found.iter_mut().zip(ids) {
                if place.is_none() {
                    *place = read.get(id).cloned();
                }
            }
            // What was read is at least as new as this revision. If the cache has gone on, it may be older than that.
            let mut state = self.cache.0.lock();
            if state.revision == Some(self.revision) {
                for row in read.into_values() {
                    state.rows.keep(row);
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Those of the tags that are there.
    pub async fn tags(
        &self,
        reading: &mut Reading<'_>,
        ids: &[TagId],
    ) -> Result<HashMap<TagId, Arc<Tag>>> {
        let mut found: Vec<Option<Arc<Tag>>> = {
            let state = self.cache.0.lock();
            match state.revision == Some(self.revision) {
                true => ids.iter().map(|id| state.tags.get(id).cloned()).collect(),
                false => vec![None; ids.len()],
            }
        };
        let missing = missing(ids, &found);
        if !missing.is_empty() {
            let read = tags::queries::by_ids(reading.conn().await?, &missing).await?;
            let read: Vec<Arc<Tag>> = read.into_iter().map(Arc::new).collect();
            found.extend(read.iter().cloned().map(Some));
            let mut state = self.cache.0.lock();
            if state.revision == Some(self.revision) {
                if state.tags.len() > ROWS {
                    state.tags.clear();
                }
                state.tags.extend(read.into_iter().map(|tag| (tag.id, tag)));
            }
        }
        Ok(found
            .into_iter()
            .flatten()
            .map(|tag| (tag.id, tag))
            .collect())
    }

    pub fn category(&self, id: CategoryId) -> Option<&Category> {
        self.categories.iter().find(|category| category.id == id)
    }
}

fn missing<I: Copy, T>(ids: &[I], found: &[Option<T>]) -> Vec<I> {
    ids.iter()
        .zip(found)
        .filter(|(_, found)| found.is_none())
        .map(|(id, _)| *id)
        .collect()
}

impl State {
    /// Everything committed before `mark` was taken is in `revision`.
    fn mark_at(&mut self, revision: i64, mark: Option<Mark>) {
        if self.revision == Some(revision) {
            self.mark = mark;
        }
    }

    /// From one revision to the next, without what changed between (`None`: anything may have).
    fn advance(&mut self, from: Option<i64>, to: i64, changed: Option<Vec<TorrentId>>) {
        if self.revision != from {
            // Another page has brought it forward meanwhile; past this revision is as good.
            if self.revision >= Some(to) {
                return;
            }
            // The changes that were read begin at a revision that is not the one kept here.
            *self = Self::default();
        }
        self.revision = Some(to);
        // Names change without a stamp on anything that has them.
        self.categories = None;
        self.tags.clear();
        match changed {
            Some(ids) => ids.iter().for_each(|id| self.rows.forget(*id)),
            None => self.rows = Recent::default(),
        }
    }

    fn categories_at(&self, revision: i64) -> Option<Arc<Vec<Category>>> {
        let categories = self.categories.as_ref()?;
        (self.revision == Some(revision)).then(|| categories.clone())
    }
}

impl Recent {
    fn get(&mut self, id: TorrentId) -> Option<Arc<Row>> {
        if let Some(row) = self.new.get(&id) {
            return Some(row.clone());
        }
        let row = self.old.remove(&id)?;
        self.keep(row.clone());
        Some(row)
    }

    fn keep(&mut self, row: Arc<Row>) {
        if self.new.len() >= ROWS / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(row.id, row);
    }

    fn forget(&mut self, id: TorrentId) {
        self.new.remove(&id);
        self.old.remove(&id);
    }
}

/// The torrents stamped after a revision; `None` when they are many.
async fn changed_since(conn: &mut Conn, revision: i64) -> Result<Option<Vec<TorrentId>>> {
    const SQL: &str = "select id from torrents where revision > $1 order by revision, id limit $2";
    let ids: Vec<TorrentId> = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(revision)
        .bind(CHANGES)
        .fetch_all(c)
        .await)?;
    Ok(i64::try_from(ids.len())
        .is_ok_and(|count| count < CHANGES)
        .then_some(ids))
}

/// A row as the JSON array it arrives in.
#[derive(serde::Deserialize)]
struct Array(
    i64,            // id
    String,         // title
    i64,            // category
    i64,            // uploader
    String,         // uploader's name
    i64,            // anonymous
    i64,            // private
    i64,            // 1 v1, 2 v2, 3 hybrid
    i64,            // size
    i64,            // created_at
    Option<String>, // tags
);

const COLUMNS: &str = "t.id, t.title, t.category_id, t.uploader_id, u.name, \
    case when t.anonymous then 1 else 0 end, case when t.private then 1 else 0 end, \
    (case when t.infohash_v1 is null then 0 else 1 end) + (case when t.infohash_v2 is null then 0 else 2 end), \
    t.size, t.created_at, \
    (select string_agg(cast(l.tag_id as text), ' ') from torrent_tags l where l.torrent_id = t.id)";

/// The published ones of these, in no order. All rows come as one: sqlx pays per row.
async fn read_rows(conn: &mut Conn, ids: &[TorrentId]) -> Result<Vec<Row>> {
    // Both gather JSON arrays into one, each under its own names.
    let (agg, array) = match conn.handle() {
        Handle::Sqlite(_) => ("json_group_array", "json_array"),
        Handle::Postgres(_) => ("json_agg", "json_build_array"),
    };
    let text: Option<String> = on!(conn, |c: B| {
        let mut q = QueryBuilder::<B>::new("select cast(");
        q.push(agg)
            .push("(")
            .push(array)
            .push("(")
            .push(COLUMNS)
            .push(")) as text) from torrents t join users u on u.id = t.uploader_id");
        q.push(" where t.state = 'published' and t.id in (");
        let mut list = q.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        q.push(")");
        q.build_query_scalar().fetch_one(c).await
    })?;
    let rows: Vec<Array> =
        serde_json::from_str(text.as_deref().unwrap_or("[]")).map_err(anyhow::Error::from)?;
    Ok(rows.into_iter().map(Row::from).collect())
}

impl From<Array> for Row {
    fn from(row: Array) -> Self {
        Self {
            id: TorrentId(row.0),
            url: super::url(TorrentId(row.0), &row.1),
            title: row.1,
            category: CategoryId(row.2),
            uploader: UserId(row.3),
            uploader_name: row.4,
            anonymous: row.5 == 1,
            private: row.6 == 1,
            kind: match row.7 {
                2 => Kind::V2,
                3 => Kind::Hybrid,
                _ => Kind::V1,
            },
            size: row.8,
            created_at: Timestamp(row.9),
            tags: row
                .10
                .iter()
                .flat_map(|ids| ids.split(' '))
                .filter_map(|id| id.parse().ok().map(TagId))
                .collect(),
        }
    }
}
