//! Editing a torrent: its uploader and moderators change what was said about it, never the torrent itself.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::fields::{Fields, Sent, category_groups};
use super::queries::{self, Change, InsertError, Torrent};
use super::{Title, id_of, may_change, url};
use crate::accounts::Member;
use crate::categories::{self, Group};
use crate::error::{Error, Result};
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::tags;
use crate::web::flash::Flash;
use crate::web::forms::{Form, checkbox};
use crate::web::markdown;
use crate::web::render::Page;

/// A torrent in a sentence, for pages that are about doing something to it.
#[derive(Serialize)]
pub struct Card {
    title: String,
    url: String,
    size: i64,
    file_count: i64,
    created_at: i64,
}

impl Card {
    pub fn of(torrent: &Torrent) -> Self {
        Self {
            title: torrent.title.clone(),
            url: url(torrent.id, &torrent.title),
            size: torrent.size,
            file_count: torrent.file_count,
            created_at: torrent.created_at.0,
        }
    }
}

#[derive(Serialize)]
struct EditPage {
    torrent: Card,
    action: String,
    form: Fields,
    category_groups: Vec<Group>,
    preview_html: Option<String>,
    may_hide: bool,
}

impl Page for EditPage {
    const TEMPLATE: &'static str = "torrents/edit.html";
    const SECTION: &'static str = "browse";
    fn title(&self) -> String {
        format!("Edit {}", self.torrent.title)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    title: String,
    category: String,
    #[serde(default)]
    tags: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "checkbox")]
    anonymous: bool,
    #[serde(default, deserialize_with = "checkbox")]
    preview: bool,
}

/// The torrent, if this member may change it.
pub async fn changeable(member: &Member, id: &str) -> Result<Torrent> {
    let id = id_of(id).ok_or(Error::NotFound)?;
    let mut conn = member.app.db.read().await?;
    let torrent = queries::by_id(&mut conn, id)
        .await?
        .filter(|t| !t.is_deleted())
        .ok_or(Error::NotFound)?;
    if may_change(member, torrent.uploader_id) {
        Ok(torrent)
    } else {
        Err(Error::Forbidden(
            "Only the uploader and moderators may change a torrent.".to_owned(),
        ))
    }
}

pub async fn form(member: Member, id: web::Path<String>) -> Result<HttpResponse> {
    let torrent = changeable(&member, &id).await?;
    let mut conn = member.app.db.read().await?;
    let category = categories::queries::by_id(&mut conn, torrent.category_id).await?;
    let tags = tags::queries::of_torrents(&mut conn, &[torrent.id])
        .await?
        .remove(&torrent.id)
        .unwrap_or_default();
    drop(conn);
    let fields = Fields::of(&Sent {
        title: torrent.title.clone(),
        category: category.map(|c| c.slug).unwrap_or_default(),
        tags: tags
            .iter()
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        description: torrent.description.clone(),
        anonymous: torrent.anonymous,
    });
    answer(&member, StatusCode::OK, &torrent, fields, None).await
}

pub async fn submit(
    member: Member,
    id: web::Path<String>,
    Form(input): Form<Input>,
) -> Result<HttpResponse> {
    let torrent = changeable(&member, &id).await?;
    let app = &member.app;
    // Who is hidden is the uploader's own choice; a moderator's edit leaves it as it is.
    let anonymous = if torrent.uploader_id == member.user.id {
        input.anonymous
    } else {
        torrent.anonymous
    };
    let mut fields = Fields::of(&Sent {
        title: input.title,
        category: input.category,
        tags: input.tags,
        description: input.description,
        anonymous,
    });
    if input.preview {
        let html = markdown::render(&fields.description.value);
        return answer(&member, StatusCode::OK, &torrent, fields, Some(html)).await;
    }
    let mut conn = app.db.read().await?;
    let draft = fields.check(&mut conn).await?;
    drop(conn);
    let title = Title::parse(&fields.title.value).map_err(|message| fields.title.wrong(message));
    let (Some(draft), Ok(title)) = (draft, title) else {
        return answer(
            &member,
            StatusCode::UNPROCESSABLE_ENTITY,
            &torrent,
            fields,
            None,
        )
        .await;
    };
    let now = app.clock.now();
    let mut tx = app.db.write().await?;
    let tag_ids = tags::queries::resolve_or_create(&mut tx, &draft.tags, now).await?;
    if torrent.uploader_id != member.user.id {
        log::record(
            &mut tx,
            &Entry {
                at: now,
                actor: Some(member.user.id),
                action: Action::TorrentEdited,
                subject: Subject::torrent(torrent.id, &torrent.title),
                reason: String::new(),
            },
        )
        .await?;
    }
    let change = Change {
        title: &title,
        description: &draft.description,
        category_id: draft.category,
        anonymous: draft.anonymous,
        tags: &tag_ids,
        at: now,
    };
    match queries::update(&mut tx, torrent.id, &change).await {
        Ok(true) => tx.commit().await?,
        Ok(false) => return Err(Error::NotFound),
        Err(InsertError::NoCategory) => {
            drop(tx);
            fields
                .category
                .wrong("That category is gone. Choose another.");
            return answer(
                &member,
                StatusCode::UNPROCESSABLE_ENTITY,
                &torrent,
                fields,
                None,
            )
            .await;
        }
        Err(InsertError::Known) => return Err(Error::Busy),
        Err(InsertError::Database(e)) => return Err(e.into()),
    }
    Ok(member.redirect_with(&url(torrent.id, title.as_str()), &Flash::ok("Saved.")))
}

async fn answer(
    member: &Member,
    status: StatusCode,
    torrent: &Torrent,
    form: Fields,
    preview_html: Option<String>,
) -> Result<HttpResponse> {
    let mut conn = member.app.db.read().await?;
    let category_groups = category_groups(&mut conn).await?;
    drop(conn);
    let page = EditPage {
        torrent: Card::of(torrent),
        action: format!("/torrents/{}/edit", torrent.id),
        form,
        category_groups,
        preview_html,
        may_hide: torrent.uploader_id == member.user.id,
    };
    member.page_with(status, &page)
}
