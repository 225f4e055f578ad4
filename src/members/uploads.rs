//! A member's uploads, as their own profile and their public page list them.

use serde::{Deserialize, Serialize};

use super::queries;
use crate::accounts::Visit;
use crate::accounts::queries::User;
use crate::db::Reading;
use crate::error::Result;
use crate::torrents::listing::{self, RowView, StillColumn};
use crate::torrents::queries::count_of;
use crate::web::pager::{Pager, Seek, counted, link};

const ROWS: i64 = 50;

#[derive(Default, Deserialize)]
pub struct Query {
    after: Option<i64>,
    before: Option<i64>,
}

#[derive(Serialize)]
pub struct Uploads {
    pub rows: Vec<RowView>,
    pub columns: [StillColumn; 6],
    pub total_text: String,
    pub pager: Pager,
    #[serde(skip)]
    pub count: i64,
}

/// `path` is the page that lists them. Anonymous uploads are for the member and for moderators.
pub async fn of(
    visit: &Visit,
    reading: &mut Reading<'_>,
    member: &User,
    query: &Query,
    path: &str,
) -> Result<Uploads> {
    let own = visit.user().is_some_and(|user| user.id == member.id);
    let with_anonymous = own || visit.is_moderator();
    let seek = Seek::of(query.after, query.before);
    let conn = reading.conn().await?;
    let ids = queries::upload_ids(conn, member.id, with_anonymous, &seek, ROWS + 1).await?;
    let (ids, pager) = seek.cut(ids, ROWS as usize, |at| match at {
        Some((parameter, id)) => link(path, &[(parameter, &id.to_string())]),
        None => path.to_owned(),
    });
    let count = count_of(conn, member.id, with_anonymous).await?;
    let catalogue = visit.app.cache.now(reading).await?;
    Ok(Uploads {
        rows: listing::rows(visit, reading, &catalogue, &ids).await?,
        columns: listing::still_columns(),
        total_text: counted(count, "torrent", "torrents"),
        pager,
        count,
    })
}
