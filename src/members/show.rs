//! A member's public page, with controls for those who moderate.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::standing::{self, Act};
use super::uploads::{self, Uploads};
use super::{queries, url};
use crate::accounts::queries::{self as accounts, User};
use crate::accounts::{Role, UserName, Viewer, Visit};
use crate::categories::Choice;
use crate::error::{Error, Result};
use crate::torrents::listing::{RowView, StillColumn};
use crate::torrents::tools::FeedLink;
use crate::web::filters::urlencode;
use crate::web::forms::Field;
use crate::web::pager::Pager;
use crate::web::render::Page;

#[derive(Serialize)]
struct ShowPage {
    member: Shown,
    total_text: String,
    rows: Vec<RowView>,
    columns: [StillColumn; 6],
    pager: Pager,
    feed: FeedLink,
    controls: Option<Controls>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    initial: String,
    role: &'static str,
    joined_at: i64,
    uploads: i64,
    banned: Option<Banned>,
}

/// Why and by whom is for moderators.
#[derive(Serialize)]
struct Banned {
    at: i64,
    by: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Controls {
    role_action: Option<String>,
    ban_action: Option<String>,
    unban_action: Option<String>,
    roles: Vec<Choice>,
    form: ControlForm,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlForm {
    pub errors: Vec<String>,
    pub role: Field,
    pub reason: Field,
}

impl Page for ShowPage {
    const TEMPLATE: &'static str = "members/show.html";
    fn title(&self) -> String {
        self.member.name.clone()
    }
}

/// `GET /members/{name}`
pub async fn page(
    viewer: Viewer,
    name: web::Path<String>,
    query: web::Query<uploads::Query>,
) -> Result<HttpResponse> {
    let name = UserName::parse(&name).map_err(|_| Error::NotFound)?;
    let mut conn = viewer.app.db.read().await?;
    let member = accounts::by_name(&mut conn, name.as_str())
        .await?
        .ok_or(Error::NotFound)?;
    drop(conn);
    let page = build(&viewer, &member, &query, ControlForm::default()).await?;
    viewer.page(&page)
}

/// The page again with what is wrong with a control's form, 422.
pub async fn refused(visit: &Visit, member: &User, form: ControlForm) -> Result<HttpResponse> {
    let page = build(visit, member, &uploads::Query::default(), form).await?;
    visit.page_framed(StatusCode::UNPROCESSABLE_ENTITY, &page, |frame| {
        // Where the forms of this page lead back to: itself, not the address that was posted to.
        frame.path = url(&member.name);
    })
}

async fn build(
    visit: &Visit,
    member: &User,
    query: &uploads::Query,
    form: ControlForm,
) -> Result<ShowPage> {
    let mut reading = visit.app.db.reading();
    let Uploads {
        rows,
        columns,
        total_text,
        pager,
        count,
    } = uploads::of(visit, &mut reading, member, query, &url(&member.name)).await?;
    let conn = reading.conn().await?;
    let banned = match member.banned_at {
        Some(at) if visit.is_moderator() => Some(Banned {
            at: at.0,
            by: queries::banned_by(conn, member.id).await?,
            reason: member.ban_reason.clone(),
        }),
        Some(at) => Some(Banned {
            at: at.0,
            by: None,
            reason: None,
        }),
        None => None,
    };
    let other_admin = accounts::any_other_admin(conn, member.id).await?;
    drop(reading);
    Ok(ShowPage {
        member: Shown {
            initial: initial(&member.name),
            name: member.name.clone(),
            role: member.role.as_str(),
            joined_at: member.created_at.0,
            uploads: count,
            banned,
        },
        total_text,
        rows,
        columns,
        pager,
        feed: FeedLink::of_listing(
            visit,
            &format!("user={}", urlencode(&member.name)),
            format!("Torrents by {}", member.name),
        ),
        controls: visit
            .user()
            .and_then(|actor| controls(actor, member, other_admin, form)),
    })
}

fn controls(
    actor: &User,
    member: &User,
    other_admin: bool,
    mut form: ControlForm,
) -> Option<Controls> {
    let actions = actions(actor, member, other_admin);
    let any = actions.role.is_some() || actions.ban.is_some() || actions.unban.is_some();
    if form.role.value.is_empty() {
        form.role.value = member.role.as_str().to_owned();
    }
    // A refusal that leaves nothing to press is still said.
    (any || !form.errors.is_empty()).then(|| Controls {
        role_action: actions.role,
        ban_action: actions.ban,
        unban_action: actions.unban,
        roles: roles(),
        form,
    })
}

/// Where the forms about a member go; none where the actor may not.
pub struct Actions {
    pub role: Option<String>,
    pub ban: Option<String>,
    pub unban: Option<String>,
}

pub fn actions(actor: &User, member: &User, other_admin: bool) -> Actions {
    let may = |act| standing::allowed(actor, member, act, other_admin).is_ok();
    let any_role = Role::ALL.into_iter().any(|role| may(Act::SetRole(role)));
    Actions {
        role: any_role.then(|| format!("/admin/members/{}/role", member.id)),
        ban: may(Act::Ban).then(|| format!("/moderation/members/{}/ban", member.id)),
        unban: may(Act::Unban).then(|| format!("/moderation/members/{}/unban", member.id)),
    }
}

/// Every role as a choice.
pub fn roles() -> Vec<Choice> {
    Role::ALL
        .into_iter()
        .map(|role| Choice {
            value: role.as_str().to_owned(),
            label: role
                .as_str()
                .chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .chain(role.as_str().chars().skip(1))
                .collect(),
        })
        .collect()
}

fn initial(name: &str) -> String {
    name.chars().take(1).flat_map(char::to_uppercase).collect()
}
