//! The admins' page of invitations: making links, seeing what became of them, taking them back.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::accounts::Admin;
use crate::accounts::invites::{self, Invite};
use crate::categories::Choice;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::InviteId;
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::secrets::random_token;
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::pager::{Pager, Seek, counted, link};
use crate::web::render::Page;

const LIST: &str = "/admin/invites";
const ROWS: i64 = 50;
const NOTE_CHARS: usize = 200;
const DAY_S: i64 = 86_400;
/// How long a link may be good for, in days.
const LIFETIMES: [(i64, &str); 4] = [
    (1, "a day"),
    (7, "a week"),
    (30, "30 days"),
    (365, "a year"),
];

#[derive(Serialize)]
struct InvitesPage {
    created: Option<Created>,
    form: Shown,
    days_options: Vec<Choice>,
    total_text: String,
    pager: Pager,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Created {
    url: String,
    expires_at: i64,
}

#[derive(Serialize)]
struct Shown {
    errors: Vec<String>,
    note: Field,
    days: Field,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            errors: Vec::new(),
            note: Field::default(),
            days: Field::new("7"),
        }
    }
}

#[derive(Serialize)]
struct Row {
    id: InviteId,
    note: Option<String>,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    state: &'static str,
    used_by: Option<Person>,
    revoke_action: Option<String>,
}

#[derive(Serialize)]
struct Person {
    name: String,
    url: String,
}

impl Page for InvitesPage {
    const TEMPLATE: &'static str = "admin/invites.html";
    const SECTION: &'static str = "admin";
    fn title(&self) -> String {
        "Invitations".to_owned()
    }
}

#[derive(Default, Deserialize)]
pub struct Query {
    after: Option<i64>,
    before: Option<i64>,
}

/// `GET /admin/invites`
pub async fn list(admin: Admin, query: web::Query<Query>) -> Result<HttpResponse> {
    let page = page(&admin, &query, Shown::default(), None).await?;
    admin.page(&page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(default)]
    note: String,
    days: String,
}

/// `POST /admin/invites`: the link stands in this answer and nowhere else, so the page is the answer.
pub async fn create(admin: Admin, Form(input): Form<Input>) -> Result<HttpResponse> {
    let mut form = Shown {
        errors: Vec::new(),
        note: Field::new(input.note.trim()),
        days: Field::new(input.days),
    };
    if form.note.value.chars().count() > NOTE_CHARS || form.note.value.chars().any(char::is_control)
    {
        form.note.wrong(format!(
            "A note is one line of at most {NOTE_CHARS} characters."
        ));
    }
    let days: Option<i64> = form.days.value.parse().ok();
    let days = days.filter(|days| LIFETIMES.iter().any(|(lifetime, _)| lifetime == days));
    if days.is_none() {
        form.days.wrong("Choose one of the lifetimes.");
    }
    let (Some(days), None) = (days, &form.note.error) else {
        let page = page(&admin, &Query::default(), form, None).await?;
        return admin.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let now = admin.app.clock.now();
    let expires_at = now.plus(days * DAY_S);
    let token = random_token();
    let mut tx = admin.app.db.write().await?;
    let note = &form.note.value;
    let id = invites::insert(&mut tx, &token, note, admin.user.id, now, expires_at).await?;
    let entry = Entry {
        at: now,
        actor: Some(admin.user.id),
        action: Action::InviteCreated,
        subject: Subject::invite(id, named(note)),
        reason: String::new(),
    };
    log::record(&mut tx, &entry).await?;
    tx.commit().await?;
    let created = Created {
        url: admin.settings.link(&format!("/invite/{token}")),
        expires_at: expires_at.0,
    };
    let page = page(&admin, &Query::default(), Shown::default(), Some(created)).await?;
    admin.page_framed(StatusCode::CREATED, &page, |frame| {
        frame.path = LIST.to_owned();
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// `POST /admin/invites/{id}/revoke`
pub async fn revoke(admin: Admin, id: web::Path<i64>, _: Form<Nothing>) -> Result<HttpResponse> {
    let now = admin.app.clock.now();
    let id = InviteId(*id);
    let mut tx = admin.app.db.write().await?;
    let Some(note) = invites::revoke(&mut tx, id, now).await? else {
        let flash = Flash::warn("That invitation has been used or taken back already.");
        return Ok(admin.redirect_with(LIST, &flash));
    };
    let entry = Entry {
        at: now,
        actor: Some(admin.user.id),
        action: Action::InviteRevoked,
        subject: Subject::invite(id, named(&note)),
        reason: String::new(),
    };
    log::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(admin.redirect_with(LIST, &Flash::ok("The link does not work any more.")))
}

fn named(note: &str) -> &str {
    if note.is_empty() {
        "without a note"
    } else {
        note
    }
}

async fn page(
    admin: &Admin,
    query: &Query,
    form: Shown,
    created: Option<Created>,
) -> Result<InvitesPage> {
    let seek = Seek::of(query.after, query.before);
    let mut conn = admin.app.db.read().await?;
    let rows = invites::list(&mut conn, &seek, ROWS + 1).await?;
    let total = invites::count(&mut conn).await?;
    drop(conn);
    let (rows, pager) = seek.cut(rows, ROWS as usize, |at| match at {
        Some((parameter, row)) => link(LIST, &[(parameter, &row.id.to_string())]),
        None => LIST.to_owned(),
    });
    let now = admin.app.clock.now();
    Ok(InvitesPage {
        created,
        form,
        days_options: LIFETIMES
            .iter()
            .map(|(days, label)| Choice {
                value: days.to_string(),
                label: (*label).to_owned(),
            })
            .collect(),
        total_text: counted(total, "invitation", "invitations"),
        pager,
        rows: rows
            .into_iter()
            .map(|invite| Row::of(invite, now))
            .collect(),
    })
}

impl Row {
    fn of(invite: Invite, now: Timestamp) -> Self {
        let state = if invite.used_at.is_some() {
            "used"
        } else if invite.revoked_at.is_some() {
            "revoked"
        } else if invite.expires_at <= now {
            "expired"
        } else {
            "open"
        };
        Self {
            id: invite.id,
            note: Some(invite.note).filter(|note| !note.is_empty()),
            created_by: invite.created_by_name,
            created_at: invite.created_at.0,
            expires_at: invite.expires_at.0,
            used_by: invite.used_by_name.map(|name| Person {
                url: super::url(&name),
                name,
            }),
            revoke_action: (state == "open").then(|| format!("{LIST}/{}/revoke", invite.id)),
            state,
        }
    }
}
