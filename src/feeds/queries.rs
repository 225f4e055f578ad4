//! What a feed tells beyond a listing's row.

use std::collections::HashMap;

use sqlx::QueryBuilder;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::ids::TorrentId;
use crate::on;

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Detail {
    id: TorrentId,
    pub infohash_v1: Option<Vec<u8>>,
    pub file_count: i64,
    pub updated_at: Timestamp,
}

/// Of published torrents; at most some hundred ids.
pub async fn details(
    conn: &mut Conn,
    ids: &[TorrentId],
) -> Result<HashMap<TorrentId, Detail>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Detail> = on!(conn, |c: B| {
        let mut query = QueryBuilder::<B>::new(
            "select id, infohash_v1, file_count, updated_at from torrents where state = 'published' and id in (",
        );
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        query.build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
