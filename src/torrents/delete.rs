//! Deleting a torrent: with a reason, which stays on its page (410) and in the log.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::edit::{Card, changeable};
use super::queries;
use crate::accounts::Member;
use crate::error::{Error, Result};
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::render::Page;

const REASON_CHARS: usize = 500;

#[derive(Default, Serialize)]
struct Shown {
    errors: Vec<String>,
    reason: Field,
}

#[derive(Serialize)]
struct DeletePage {
    torrent: Card,
    action: String,
    seeders: Option<i64>,
    form: Shown,
}

impl Page for DeletePage {
    const TEMPLATE: &'static str = "torrents/delete.html";
    const SECTION: &'static str = "browse";
    fn title(&self) -> String {
        "Delete this torrent?".to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    reason: String,
}

pub async fn form(member: Member, id: web::Path<String>) -> Result<HttpResponse> {
    let torrent = changeable(&member, &id).await?;
    answer(&member, StatusCode::OK, &torrent, Shown::default()).await
}

pub async fn submit(
    member: Member,
    id: web::Path<String>,
    Form(input): Form<Input>,
) -> Result<HttpResponse> {
    let torrent = changeable(&member, &id).await?;
    let mut shown = Shown {
        errors: Vec::new(),
        reason: Field::new(input.reason.trim()),
    };
    let length = shown.reason.value.chars().count();
    if length == 0 {
        shown
            .reason
            .wrong("Say why in a sentence: it stays for those who look for the torrent.");
    } else if length > REASON_CHARS || shown.reason.value.chars().any(char::is_control) {
        shown.reason.wrong(format!(
            "A reason is one line of at most {REASON_CHARS} characters."
        ));
    }
    if shown.reason.error.is_some() {
        return answer(&member, StatusCode::UNPROCESSABLE_ENTITY, &torrent, shown).await;
    }
    let app = &member.app;
    let now = app.clock.now();
    let mut tx = app.db.write().await?;
    log::record(
        &mut tx,
        &Entry {
            at: now,
            actor: Some(member.user.id),
            action: Action::TorrentDeleted,
            subject: Subject::torrent(torrent.id, &torrent.title),
            reason: shown.reason.value.clone(),
        },
    )
    .await?;
    if !queries::delete(
        &mut tx,
        torrent.id,
        member.user.id,
        &shown.reason.value,
        now,
    )
    .await?
    {
        return Err(Error::NotFound);
    }
    tx.commit().await?;
    tracing::info!(torrent = %torrent.id, by = %member.user.id, "deleted");
    Ok(member.redirect_with(
        "/torrents",
        &Flash::ok(format!("Deleted: {}", torrent.title)),
    ))
}

async fn answer(
    member: &Member,
    status: StatusCode,
    torrent: &queries::Torrent,
    form: Shown,
) -> Result<HttpResponse> {
    let mut conn = member.app.db.read().await?;
    let numbers = member.app.tracker.numbers(&mut conn, torrent.id).await?;
    drop(conn);
    let page = DeletePage {
        torrent: Card::of(torrent),
        action: format!("/torrents/{}/delete", torrent.id),
        seeders: numbers.map(|n| n.seeders),
        form,
    };
    member.page_with(status, &page)
}
