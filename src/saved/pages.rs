//! Saving a search, the list of them with what is new in each, opening, renaming, deleting.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::queries::{self, NameError, Saved};
use super::{MOST, NAME_CHARS, Name};
use crate::accounts::{Member, Visit};
use crate::categories;
use crate::db::Reading;
use crate::error::{Error, Result};
use crate::ids::{SavedId, TorrentId};
use crate::search::rule::Rule;
use crate::search::{Filter, Search, Sort, Who};
use crate::torrents::asked::{Asked, MARKED_AFTER};
use crate::torrents::tools::FeedLink;
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::gate::QUERY_LIMIT;
use crate::web::pager::{counted, with_query};
use crate::web::render::Page;

/// A saved search as the list shows it.
#[derive(Serialize)]
pub struct Row {
    id: SavedId,
    shown_name: String,
    /// As the form to rename it has it.
    name: Field,
    open_url: String,
    rename_action: String,
    delete_action: String,
    feed: FeedLink,
    /// What it asks for, in words.
    asks: String,
    /// Torrents that came since the last look; unknown where the search asks for what is gone.
    new: Option<u64>,
    /// What is wrong with what it asks for.
    notice: Option<String>,
    looked_at: Option<i64>,
}

#[derive(Serialize)]
struct SavedPage {
    rows: Vec<Row>,
    total_text: String,
    /// A search that could not be saved as it came.
    form: Option<SaveForm>,
    most_name: usize,
    notices: Vec<Flash>,
}

#[derive(Serialize)]
struct SaveForm {
    name: Field,
    query: String,
    asks: String,
}

impl Page for SavedPage {
    const TEMPLATE: &'static str = "saved/list.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Saved searches".to_owned()
    }
}

/// `GET /saved`
pub async fn list(member: Member) -> Result<HttpResponse> {
    let rows = rows(&member).await?;
    member.page(&page(rows, None))
}

fn page(rows: Vec<Row>, form: Option<SaveForm>) -> SavedPage {
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    SavedPage {
        total_text: counted(total, "saved search", "saved searches"),
        rows,
        form,
        most_name: NAME_CHARS,
        notices: Vec::new(),
    }
}

/// The member's searches, each with how much is new in it.
pub async fn rows(member: &Member) -> Result<Vec<Row>> {
    let app = &member.app;
    let mut reading = app.db.reading();
    let saved = queries::list(reading.conn().await?, member.user.id).await?;
    let catalogue = app.cache.now(&mut reading).await?;
    let mut rows = Vec::with_capacity(saved.len());
    let mut filters: Vec<Option<Filter>> = Vec::with_capacity(saved.len());
    let queries: Vec<&str> = saved.iter().map(|one| one.query.as_str()).collect();
    let all = Asked::read_all(&mut reading, &catalogue.categories, &queries).await?;
    for (one, (asked, notices)) in saved.into_iter().zip(all) {
        let understood = notices.is_empty();
        let newer = asked
            .filter(app.clock.now())
            .and(Rule::NewerThan(one.seen_torrent_id));
        filters.push(understood.then_some(newer));
        let notice = notices.into_iter().next().map(|notice| notice.text);
        rows.push(row(member, one, &asked, notice));
    }
    drop(reading);
    let (search, who) = (app.search.clone(), who(member));
    let counts = web::block(move || {
        filters
            .iter()
            .map(|filter| filter.as_ref().map(|f| search.count(who, f)).transpose())
            .collect::<anyhow::Result<Vec<_>>>()
    })
    .await??;
    for (row, count) in rows.iter_mut().zip(counts) {
        row.new = count;
    }
    Ok(rows)
}

fn row(member: &Member, saved: Saved, asked: &Asked, notice: Option<String>) -> Row {
    let at = format!("/saved/{}", saved.id);
    Row {
        rename_action: format!("{at}/rename"),
        delete_action: format!("{at}/delete"),
        open_url: at,
        feed: FeedLink::of_listing(member, &saved.query, saved.name.clone()),
        asks: asks(asked),
        new: None,
        notice,
        looked_at: saved.looked_at.map(|at| at.0),
        shown_name: saved.name.clone(),
        name: Field::new(saved.name),
        id: saved.id,
    }
}

fn asks(asked: &Asked) -> String {
    let mut parts: Vec<String> = asked.chips().into_iter().map(|chip| chip.label).collect();
    if parts.is_empty() {
        parts.push("everything".to_owned());
    }
    parts.push(asked.order_text().to_owned());
    parts.join(", ")
}

fn who(member: &Member) -> Who {
    Who::of(member.user.id, member.user.role)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveInput {
    name: String,
    query: String,
}

/// `POST /saved`
pub async fn create(member: Member, Form(input): Form<SaveInput>) -> Result<HttpResponse> {
    if input.query.len() > QUERY_LIMIT {
        return Err(Error::Unprocessable(
            "That search is too long to be saved. Search for fewer words.".to_owned(),
        ));
    }
    let app = &member.app;
    let mut reading = app.db.reading();
    let asked = read(&mut reading, &input.query).await?;
    drop(reading);
    let query = asked.query_string();
    let mut field = Field::new(input.name);
    let name = match Name::parse(&field.value) {
        Ok(name) => name,
        Err(message) => {
            field.wrong(message);
            return refused(&member, &asked, field).await;
        }
    };
    let seen = newest(&member, &asked).await?;
    let mut tx = app.db.write().await?;
    if queries::hold_and_count(&mut tx, member.user.id).await? >= MOST {
        drop(tx);
        field.wrong(format!(
            "You have {MOST} saved searches, which is the most. Delete one, then save this one."
        ));
        return refused(&member, &asked, field).await;
    }
    let at = app.clock.now();
    match queries::insert(&mut tx, member.user.id, &name, &query, seen, at).await {
        Ok(()) => {}
        Err(NameError::Taken) => {
            drop(tx);
            field.wrong("You have a saved search of that name. Choose another.");
            return refused(&member, &asked, field).await;
        }
        Err(NameError::Database(error)) => return Err(error.into()),
    }
    tx.commit().await?;
    let flash = Flash::ok(format!(
        "Saved as “{}”. Your saved searches say how much is new in each.",
        name.as_str()
    ));
    Ok(member.redirect_with(&asked.at(None), &flash))
}

async fn refused(member: &Member, asked: &Asked, name: Field) -> Result<HttpResponse> {
    let form = SaveForm {
        name,
        query: asked.query_string(),
        asks: asks(asked),
    };
    let rows = rows(member).await?;
    member.page_framed(
        StatusCode::UNPROCESSABLE_ENTITY,
        &page(rows, Some(form)),
        at_list,
    )
}

/// Forms of the page lead back to the list, not to where the refused one was posted.
fn at_list(frame: &mut crate::web::render::Frame) {
    "/saved".clone_into(&mut frame.path);
}

/// `GET /saved/{id}`: the listing, with marks on what came since the last look, which from now on is this one.
pub async fn open(member: Member, id: web::Path<String>) -> Result<HttpResponse> {
    let saved = own(&member, &id).await?;
    let mut reading = member.app.db.reading();
    let asked = read(&mut reading, &saved.query).await?;
    drop(reading);
    if is_look(&member) {
        let seen = newest(&member, &asked).await?;
        let mut tx = member.app.db.write().await?;
        let at = member.app.clock.now();
        queries::looked(&mut tx, member.user.id, saved.id, seen, at).await?;
        tx.commit().await?;
    }
    // The stored query rather than what was understood of it: the listing says what it does not know.
    let marks = format!("{MARKED_AFTER}={}", saved.seen_torrent_id);
    Ok(member.redirect(&with_query("/torrents", &[&saved.query, &marks])))
}

/// Not where a browser asks ahead of its reader.
fn is_look(visit: &Visit) -> bool {
    let headers = visit.req.headers();
    let ahead = ["purpose", "sec-purpose", "x-moz"].iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch"))
    });
    *visit.req.method() == Method::GET && !ahead
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameInput {
    name: String,
}

/// `POST /saved/{id}/rename`
pub async fn rename(
    member: Member,
    id: web::Path<String>,
    Form(input): Form<RenameInput>,
) -> Result<HttpResponse> {
    let saved = own(&member, &id).await?;
    let mut field = Field::new(input.name);
    match Name::parse(&field.value) {
        Err(message) => field.wrong(message),
        Ok(name) => {
            let mut tx = member.app.db.write().await?;
            match queries::rename(&mut tx, member.user.id, saved.id, &name).await {
                Ok(true) => {
                    tx.commit().await?;
                    let flash = Flash::ok(format!("Renamed to “{}”.", name.as_str()));
                    return Ok(member.redirect_with("/saved", &flash));
                }
                Ok(false) => return Err(Error::NotFound),
                Err(NameError::Taken) => {
                    field.wrong("You have a saved search of that name. Choose another.");
                }
                Err(NameError::Database(error)) => return Err(error.into()),
            }
        }
    }
    let mut rows = rows(&member).await?;
    if let Some(row) = rows.iter_mut().find(|row| row.id == saved.id) {
        row.name = field;
    }
    member.page_framed(StatusCode::UNPROCESSABLE_ENTITY, &page(rows, None), at_list)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /saved/{id}/delete`
pub async fn delete(
    member: Member,
    id: web::Path<String>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let saved = own(&member, &id).await?;
    let mut tx = member.app.db.write().await?;
    if !queries::delete(&mut tx, member.user.id, saved.id).await? {
        return Err(Error::NotFound);
    }
    tx.commit().await?;
    let flash = Flash::ok(format!("“{}” is deleted.", saved.name));
    Ok(member.redirect_with("/saved", &flash))
}

/// The member's own search; another's is not there.
async fn own(member: &Member, id: &str) -> Result<Saved> {
    let id = id.parse().map_err(|_| Error::NotFound)?;
    let mut conn = member.app.db.read().await?;
    queries::find(&mut conn, member.user.id, SavedId(id))
        .await?
        .ok_or(Error::NotFound)
}

async fn read(reading: &mut Reading<'_>, query: &str) -> Result<Asked> {
    let categories = categories::queries::all(reading.conn().await?).await?;
    let (asked, _) = Asked::read(reading, &categories, query).await?;
    Ok(asked)
}

/// The newest torrent the search finds at this moment, as the index knows it: what it does not know yet is not seen.
async fn newest(member: &Member, asked: &Asked) -> Result<TorrentId> {
    let filter = asked.filter(member.app.clock.now());
    let (search, who) = (member.app.search.clone(), who(member));
    let newest = move |search: &Search| -> anyhow::Result<Option<TorrentId>> {
        // Some, because clocks may have been set back between two uploads.
        let found = search.page(who, &filter, Sort::NEWEST, None, 50)?;
        Ok(found.ids.into_iter().max())
    };
    let found = web::block(move || newest(&search)).await??;
    Ok(found.unwrap_or(TorrentId(0)))
}
