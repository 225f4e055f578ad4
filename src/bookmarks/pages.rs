//! One's own bookmarks as a listing, and the form behind every bookmark button.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{MOST, queries};
use crate::accounts::Member;
use crate::error::{Error, Result};
use crate::ids::TorrentId;
use crate::torrents::listing::{self, RowView, StillColumn};
use crate::torrents::tools::FeedLink;
use crate::web::filters::number;
use crate::web::forms::Form;
use crate::web::pager::{Pager, Seek, counted, link};
use crate::web::redirect;
use crate::web::render::Page;

const ROWS: usize = 50;

#[derive(Serialize)]
struct BookmarksPage {
    rows: Vec<RowView>,
    columns: [StillColumn; 6],
    total_text: String,
    pager: Pager,
    feed: FeedLink,
}

impl Page for BookmarksPage {
    const TEMPLATE: &'static str = "bookmarks/list.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Bookmarks".to_owned()
    }
}

#[derive(Default, Deserialize)]
pub struct Query {
    after: Option<i64>,
    before: Option<i64>,
}

/// `GET /bookmarks`
pub async fn page(member: Member, query: web::Query<Query>) -> Result<HttpResponse> {
    let mut reading = member.app.db.reading();
    let seek = Seek::of(query.after, query.before);
    let marks = queries::list(
        reading.conn().await?,
        member.user.id,
        &seek,
        ROWS as i64 + 1,
    )
    .await?;
    let (marks, pager) = seek.cut(marks, ROWS, |at| match at {
        Some((parameter, mark)) => link("/bookmarks", &[(parameter, &mark.id.to_string())]),
        None => "/bookmarks".to_owned(),
    });
    let count = queries::count(reading.conn().await?, member.user.id).await?;
    let catalogue = member.app.cache.now(&mut reading).await?;
    let ids: Vec<TorrentId> = marks.iter().map(|mark| mark.torrent_id).collect();
    let rows = listing::rows(&member, &mut reading, &catalogue, &ids).await?;
    drop(reading);
    member.page(&BookmarksPage {
        rows,
        columns: listing::still_columns(),
        total_text: counted(count, "bookmark", "bookmarks"),
        pager,
        feed: FeedLink::of(&member, "/bookmarks.rss", "", "Your bookmarks".to_owned()),
    })
}

/// What a bookmark button sends: one of the first two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    add: Option<i64>,
    remove: Option<i64>,
    #[serde(default)]
    return_to: String,
}

/// `POST /bookmarks`
pub async fn change(member: Member, Form(change): Form<Change>) -> Result<HttpResponse> {
    let mut tx = member.app.db.write().await?;
    let user = member.user.id;
    match (change.add, change.remove) {
        (Some(id), None) => {
            if queries::hold_and_count(&mut tx, user).await? >= MOST {
                return Err(Error::Unprocessable(format!(
                    "You have {} bookmarks, which is the most. Remove one that you need no more.",
                    number(MOST)
                )));
            }
            let at = member.app.clock.now();
            if !queries::add(&mut tx, user, TorrentId(id), at).await? {
                return Err(Error::NotFound);
            }
        }
        (None, Some(id)) => queries::remove(&mut tx, user, TorrentId(id)).await?,
        _ => {
            return Err(Error::BadRequest(
                "Say one torrent to add, or one to remove.".to_owned(),
            ));
        }
    }
    tx.commit().await?;
    Ok(member.redirect(&redirect::local(&change.return_to)))
}
