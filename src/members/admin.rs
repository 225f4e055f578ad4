//! The admins' table of members, and the forms that change somebody's standing.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::queries::{self, Listed, Which};
use super::show::{self, ControlForm};
use super::standing::{self, Act};
use crate::accounts::queries::{self as accounts, User};
use crate::accounts::{Admin, Member, Moderator, fold_name};
use crate::categories::Choice;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::pager::{Pager, Seek, counted, link};
use crate::web::redirect;
use crate::web::render::Page;

const LIST: &str = "/admin/members";
const ROWS: i64 = 50;
const REASON_CHARS: usize = 500;

#[derive(Serialize)]
struct ListPage {
    words: String,
    role: String,
    roles: Vec<Choice>,
    total_text: String,
    form: Errors,
    pager: Pager,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Errors {
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    id: UserId,
    name: String,
    url: String,
    role: &'static str,
    joined_at: i64,
    last_seen_at: Option<i64>,
    uploads: i64,
    uploaded: i64,
    downloaded: i64,
    banned: Option<Banned>,
    is_self: bool,
    role_action: Option<String>,
    ban_action: Option<String>,
    unban_action: Option<String>,
}

#[derive(Serialize)]
struct Banned {
    reason: String,
}

impl Page for ListPage {
    const TEMPLATE: &'static str = "admin/members.html";
    const SECTION: &'static str = "admin";
    fn title(&self) -> String {
        "Members".to_owned()
    }
}

#[derive(Deserialize)]
pub struct Query {
    #[serde(default)]
    q: String,
    #[serde(default)]
    role: String,
    after: Option<String>,
    before: Option<String>,
}

/// `GET /admin/members`
pub async fn list(admin: Admin, query: web::Query<Query>) -> Result<HttpResponse> {
    let Query {
        q,
        role,
        after,
        before,
    } = query.into_inner();
    let mut errors = Vec::new();
    let which = match role.as_str() {
        "" => Which::Everybody,
        "banned" => Which::Banned,
        text => text.parse().map(Which::Having).unwrap_or_else(|_| {
            errors.push("There is no such role: everybody is shown.".to_owned());
            Which::Everybody
        }),
    };
    let begins: String = fold_name(&q)
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect();
    let key = |text: Option<String>| text.filter(|text| !text.contains('\0'));
    let seek = Seek::of(key(after), key(before));
    let mut conn = admin.app.db.read().await?;
    let rows = queries::list(&mut conn, &begins, &which, &seek, ROWS + 1).await?;
    let total = queries::count(&mut conn, &begins, &which).await?;
    let other_admin = accounts::any_other_admin(&mut conn, admin.user.id).await?;
    drop(conn);
    let role = if which == Which::Everybody { "" } else { &role };
    let parameters = [("q", begins.as_str()), ("role", role)];
    let (rows, pager) = seek.cut(rows, ROWS as usize, |at| match at {
        Some((parameter, row)) => {
            let [q, role] = parameters;
            link(LIST, &[q, role, (parameter, &row.name_folded)])
        }
        None => link(LIST, &parameters),
    });
    admin.page(&ListPage {
        role: role.to_owned(),
        roles: show::roles(),
        total_text: counted(total, "member", "members"),
        form: Errors { errors },
        pager,
        rows: rows
            .into_iter()
            .map(|row| Row::of(row, &admin.user, other_admin))
            .collect(),
        words: q,
    })
}

impl Row {
    /// `actor_not_alone`: there is another admin than the actor.
    fn of(row: Listed, actor: &User, actor_not_alone: bool) -> Self {
        let member = User {
            id: row.id,
            name: row.name,
            role: row.role,
            created_at: row.created_at,
            banned_at: row.banned_at,
            ban_reason: row.ban_reason,
            ..actor.clone()
        };
        // Seen from anybody else, the actor is that other admin.
        let other_admin = row.id != actor.id || actor_not_alone;
        let actions = show::actions(actor, &member, other_admin);
        Self {
            id: member.id,
            url: super::url(&member.name),
            role: member.role.as_str(),
            joined_at: member.created_at.0,
            last_seen_at: row.last_seen_at.map(|at| at.0),
            uploads: row.uploads,
            uploaded: row.uploaded,
            downloaded: row.downloaded,
            banned: member.banned_at.map(|_| Banned {
                reason: member.ban_reason.unwrap_or_default(),
            }),
            is_self: member.id == actor.id,
            role_action: actions.role,
            ban_action: actions.ban,
            unban_action: actions.unban,
            name: member.name,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleInput {
    #[serde(default)]
    return_to: String,
    role: String,
}

/// `POST /admin/members/{id}/role`
pub async fn set_role(
    admin: Admin,
    id: web::Path<i64>,
    Form(input): Form<RoleInput>,
) -> Result<HttpResponse> {
    let mut form = ControlForm {
        role: Field::new(&input.role),
        ..ControlForm::default()
    };
    let outcome = match input.role.parse() {
        Ok(role) => {
            let id = UserId(*id);
            let done = standing::act(&admin.app, admin.user.id, id, Act::SetRole(role), "").await?;
            done.map(|member| format!("{} is {} now.", member.name, role.as_str()))
        }
        Err(message) => Err(message),
    };
    match outcome {
        Ok(said) => Ok(back(&admin, &input.return_to, said)),
        Err(message) => {
            form.role.wrong(&message);
            refuse(&admin, *id, form, message).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanInput {
    #[serde(default)]
    return_to: String,
    reason: String,
}

/// `POST /moderation/members/{id}/ban`
pub async fn ban(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<BanInput>,
) -> Result<HttpResponse> {
    let reason = input.reason.trim();
    let mut form = ControlForm {
        reason: Field::new(reason),
        ..ControlForm::default()
    };
    let outcome = match check_reason(reason) {
        Ok(()) => {
            let (app, id) = (&moderator.app, UserId(*id));
            let done = standing::act(app, moderator.user.id, id, Act::Ban, reason).await?;
            done.map(|member| {
                format!(
                    "{} is banned: every session has ended and the announce address is refused.",
                    member.name
                )
            })
        }
        Err(message) => Err(message),
    };
    match outcome {
        Ok(said) => Ok(back(&moderator, &input.return_to, said)),
        Err(message) => {
            form.reason.wrong(&message);
            refuse(&moderator, *id, form, message).await
        }
    }
}

fn check_reason(reason: &str) -> std::result::Result<(), String> {
    if reason.is_empty() {
        return Err("Give a reason: the member is told it, and the log keeps it.".to_owned());
    }
    if reason.chars().count() > REASON_CHARS || reason.chars().any(char::is_control) {
        return Err(format!(
            "A reason is one line of at most {REASON_CHARS} characters."
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnbanInput {
    #[serde(default)]
    return_to: String,
}

/// `POST /moderation/members/{id}/unban`
pub async fn unban(
    moderator: Moderator,
    id: web::Path<i64>,
    Form(input): Form<UnbanInput>,
) -> Result<HttpResponse> {
    let (app, subject) = (&moderator.app, UserId(*id));
    match standing::act(app, moderator.user.id, subject, Act::Unban, "").await? {
        Ok(member) => {
            let said = format!(
                "{} may log in again, with a new announce address.",
                member.name
            );
            Ok(back(&moderator, &input.return_to, said))
        }
        Err(message) => refuse(&moderator, *id, ControlForm::default(), message).await,
    }
}

fn back(member: &Member, return_to: &str, said: String) -> HttpResponse {
    let path = if return_to.is_empty() {
        "/".to_owned()
    } else {
        redirect::local(return_to)
    };
    member.redirect_with(&path, &Flash::ok(said))
}

/// The member's page with the form as it was sent; with the sentence on its own where the page has no such form.
async fn refuse(
    actor: &Member,
    id: i64,
    form: ControlForm,
    message: String,
) -> Result<HttpResponse> {
    let mut conn = actor.app.db.read().await?;
    let subject = accounts::by_id(&mut conn, UserId(id))
        .await?
        .ok_or(Error::NotFound)?;
    let other_admin = accounts::any_other_admin(&mut conn, subject.id).await?;
    drop(conn);
    let actions = show::actions(&actor.user, &subject, other_admin);
    let has_form = (form.role.error.is_some() && actions.role.is_some())
        || (form.reason.error.is_some() && actions.ban.is_some());
    if !has_form {
        return Err(Error::Unprocessable(message));
    }
    show::refused(actor, &subject, form).await
}
