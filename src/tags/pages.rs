//! The moderators' page: every tag with its aliases; renaming, merging, deleting.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::merge::{self, Ending};
use super::queries::{self, NameError};
use super::{Tag, TagName, listing_url};
use crate::accounts::Moderator;
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::ids::TagId;
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::moderation::steps;
use crate::web::filters::urlencode;
use crate::web::flash::Flash;
use crate::web::forms::Form;
use crate::web::pager::{Pager, Seek, counted, link};
use crate::web::render::Page;

const LIST: &str = "/moderation/tags";
const ROWS: i64 = 50;

#[derive(Serialize)]
struct ListPage {
    words: String,
    form: Errors,
    total_text: String,
    pager: Pager,
    rows: Vec<Row>,
}

#[derive(Default, Serialize)]
struct Errors {
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    id: TagId,
    name: String,
    url: String,
    count: i64,
    aliases: Vec<Alias>,
    rename_action: String,
    alias_action: String,
    merge_action: String,
    delete_action: String,
}

#[derive(Serialize)]
struct Alias {
    name: String,
    remove_action: String,
}

impl Page for ListPage {
    const TEMPLATE: &'static str = "moderation/tags.html";
    const SECTION: &'static str = "moderation";
    fn title(&self) -> String {
        "Tags".to_owned()
    }
}

#[derive(Default, Deserialize)]
pub struct Query {
    #[serde(default)]
    q: String,
    after: Option<String>,
    before: Option<String>,
}

/// `GET /moderation/tags`
pub async fn list(moderator: Moderator, query: web::Query<Query>) -> Result<HttpResponse> {
    let page = list_page(&moderator, query.into_inner(), None).await?;
    moderator.page(&page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    name: String,
}

/// `POST /moderation/tags/{id}/rename`
pub async fn rename(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Name>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let tag = find(&mut tx, *id).await?;
    let name = match TagName::parse(&input.name) {
        Ok(name) => name,
        Err(message) => return refuse(&moderator, tx, &tag, message).await,
    };
    if name.as_str() == tag.name {
        let flash = Flash::ok(format!("The tag is already called {}.", tag.name));
        return Ok(moderator.redirect_with(&at(&tag.name), &flash));
    }
    match queries::rename(&mut tx, tag.id, &name).await {
        Ok(()) => {}
        Err(NameError::Taken(other)) => {
            let message = format!(
                "{} is the tag {} already. To make the two one, merge {} into {}.",
                name.as_str(),
                other.name,
                tag.name,
                other.name
            );
            return refuse(&moderator, tx, &tag, message).await;
        }
        Err(NameError::Database(e)) => return Err(e.into()),
    }
    let reason = format!("now {}", name.as_str());
    note(&mut tx, &moderator, Action::TagRenamed, &tag, reason).await?;
    tx.commit().await?;
    let flash = Flash::ok(format!("{} is now called {}.", tag.name, name.as_str()));
    Ok(moderator.redirect_with(&at(name.as_str()), &flash))
}

/// `POST /moderation/tags/{id}/alias`
pub async fn add_alias(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Name>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let tag = find(&mut tx, *id).await?;
    let alias = match TagName::parse(&input.name) {
        Ok(alias) => alias,
        Err(message) => return refuse(&moderator, tx, &tag, message).await,
    };
    match queries::add_alias(&mut tx, tag.id, &alias).await {
        Ok(()) => {}
        Err(NameError::Taken(other)) if other.id == tag.id => {
            let flash = Flash::ok(format!("{} leads to {} already.", alias.as_str(), tag.name));
            return Ok(moderator.redirect_with(&at(&tag.name), &flash));
        }
        Err(NameError::Taken(other)) if other.name == alias.as_str() => {
            let message = format!(
                "{} is a tag of its own. To make it another word for {}, merge it into {}.",
                other.name, tag.name, tag.name
            );
            return refuse(&moderator, tx, &tag, message).await;
        }
        Err(NameError::Taken(other)) => {
            let message = format!(
                "{} already leads to the tag {}. Remove it there first.",
                alias.as_str(),
                other.name
            );
            return refuse(&moderator, tx, &tag, message).await;
        }
        Err(NameError::Database(e)) => return Err(e.into()),
    }
    let reason = alias.as_str().to_owned();
    note(&mut tx, &moderator, Action::TagAliasAdded, &tag, reason).await?;
    tx.commit().await?;
    let flash = Flash::ok(format!("{} leads to {} now.", alias.as_str(), tag.name));
    Ok(moderator.redirect_with(&at(&tag.name), &flash))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /moderation/tags/{id}/aliases/{alias}/delete`
pub async fn remove_alias(
    moderator: Moderator,
    path: web::Path<(i64, String)>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let (id, alias) = path.into_inner();
    let Ok(alias) = TagName::parse(&alias) else {
        return Err(Error::NotFound);
    };
    let mut tx = moderator.app.db.write().await?;
    let tag = find(&mut tx, id).await?;
    if !queries::remove_alias(&mut tx, tag.id, alias.as_str()).await? {
        return Err(Error::NotFound);
    }
    let reason = alias.as_str().to_owned();
    note(&mut tx, &moderator, Action::TagAliasRemoved, &tag, reason).await?;
    tx.commit().await?;
    let flash = Flash::ok(format!(
        "{} no longer leads to {}.",
        alias.as_str(),
        tag.name
    ));
    Ok(moderator.redirect_with(&at(&tag.name), &flash))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    target: String,
}

/// `POST /moderation/tags/{id}/merge`
pub async fn merge(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<Target>,
) -> Result<HttpResponse> {
    let mut tx = moderator.app.db.write().await?;
    let tag = find(&mut tx, *id).await?;
    let name = match TagName::parse(&input.target) {
        Ok(name) => name,
        Err(message) => return refuse(&moderator, tx, &tag, message).await,
    };
    let into = match queries::find(&mut tx, &name).await? {
        Some(into) if into.id != tag.id => into,
        Some(_) => {
            let message = format!("{} is this tag itself. Name another.", name.as_str());
            return refuse(&moderator, tx, &tag, message).await;
        }
        None => {
            let message = format!(
                "There is no tag {} to merge into. To give {} that name, rename it.",
                name.as_str(),
                tag.name
            );
            return refuse(&moderator, tx, &tag, message).await;
        }
    };
    drop(tx);
    let ending = Ending::merge(
        tag.clone(),
        into.clone(),
        moderator.user.id,
        moderator.app.clock.now(),
    );
    let gone = format!("{} is {} now", tag.name, into.name);
    end(&moderator, ending, &gone, &at(&into.name)).await
}

/// `POST /moderation/tags/{id}/delete`
pub async fn delete(
    moderator: Moderator,
    id: web::Path<i64>,
    _: Form<Nothing>,
) -> Result<HttpResponse> {
    let mut conn = moderator.app.db.read().await?;
    let tag = find(&mut conn, *id).await?;
    drop(conn);
    let gone = format!("The tag {} is gone", tag.name);
    let ending = Ending::delete(tag, moderator.user.id, moderator.app.clock.now());
    end(&moderator, ending, &gone, LIST).await
}

async fn end(
    moderator: &Moderator,
    ending: Ending,
    gone: &str,
    next: &str,
) -> Result<HttpResponse> {
    let app = moderator.app.clone();
    let flash = match steps::detached(async move { merge::run(&app, &ending).await }).await? {
        Some(0) => Flash::ok(format!("{gone}.")),
        Some(moved) => Flash::ok(format!(
            "{gone}, on {}.",
            counted(moved, "torrent", "torrents")
        )),
        None => Flash::warn(
            "Many torrents have this tag. It goes when the last is done; should it still be here later, do it again.",
        ),
    };
    Ok(moderator.redirect_with(next, &flash))
}

/// The list, where this tag is to be seen.
fn at(name: &str) -> String {
    link(LIST, &[("q", name)])
}

async fn find(conn: &mut Conn, id: i64) -> Result<Tag> {
    queries::by_id(conn, TagId(id))
        .await?
        .ok_or(Error::NotFound)
}

async fn note(
    tx: &mut Tx,
    moderator: &Moderator,
    action: Action,
    tag: &Tag,
    reason: String,
) -> Result<()> {
    let entry = Entry {
        at: moderator.app.clock.now(),
        actor: Some(moderator.user.id),
        action,
        subject: Subject::tag(tag.id, &tag.name),
        reason,
    };
    Ok(log::record(tx, &entry).await?)
}

/// The list at this tag, with what is wrong on top; nothing has changed.
async fn refuse(moderator: &Moderator, tx: Tx, tag: &Tag, message: String) -> Result<HttpResponse> {
    drop(tx);
    let query = Query {
        q: tag.name.clone(),
        ..Query::default()
    };
    let page = list_page(moderator, query, Some(message)).await?;
    moderator.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn list_page(moderator: &Moderator, query: Query, error: Option<String>) -> Result<ListPage> {
    // As names are folded, but unfinished: the beginning of a word need not be one.
    let words: String = query
        .q
        .trim()
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|c| {
            if c.is_whitespace() || c == '_' {
                '-'
            } else {
                c
            }
        })
        .filter(|c| !c.is_control())
        .take(super::LONGEST)
        .collect();
    let key = |text: Option<String>| text.filter(|text| !text.contains('\0'));
    let seek = Seek::of(key(query.after), key(query.before));
    let mut conn = moderator.app.db.read().await?;
    let rows = queries::list(&mut conn, &words, &seek, ROWS + 1).await?;
    let total = queries::count(&mut conn, &words).await?;
    let (rows, pager) = seek.cut(rows, ROWS as usize, |at| match at {
        Some((parameter, row)) => link(LIST, &[("q", &words), (parameter, &row.name)]),
        None => link(LIST, &[("q", &words)]),
    });
    let ids: Vec<TagId> = rows.iter().map(|row| row.id).collect();
    let mut aliases = queries::aliases_of(&mut conn, &ids).await?;
    drop(conn);
    let rows = rows
        .into_iter()
        .map(|row| {
            let action = |what: &str| format!("{LIST}/{}/{what}", row.id);
            let alias = |name: String| Alias {
                remove_action: action(&format!("aliases/{}/delete", urlencode(&name))),
                name,
            };
            Row {
                aliases: aliases
                    .remove(&row.id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(alias)
                    .collect(),
                rename_action: action("rename"),
                alias_action: action("alias"),
                merge_action: action("merge"),
                delete_action: action("delete"),
                id: row.id,
                url: listing_url(&row.name),
                name: row.name,
                count: row.count,
            }
        })
        .collect();
    Ok(ListPage {
        words,
        form: Errors {
            errors: error.into_iter().collect(),
        },
        total_text: counted(total, "tag", "tags"),
        pager,
        rows,
    })
}
