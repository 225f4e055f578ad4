//! Making an account: openly, or with an invitation.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::login::set_session;
use super::passwords::{MIN_CHARS, check_new};
use super::queries::{InsertError, NewUser};
use super::{Role, UserName, Visit, invites, queries, sessions, throttle};
use crate::error::{Error, Result};
use crate::secrets::random_passkey;
use crate::settings::Registration;
use crate::web::client;
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::render::Page;

/// Accounts one address may make in a window before it has to wait.
const ACCOUNTS_PER_ADDRESS: i64 = 10;

#[derive(Default, Serialize)]
struct Shown {
    errors: Vec<String>,
    invite: Field,
    name: Field,
    password: Field,
}

#[derive(Serialize)]
struct InviteShown {
    from: Option<String>,
    note: Option<String>,
    expires_at: Option<i64>,
}

#[derive(Serialize)]
struct RegisterPage {
    invite: Option<InviteShown>,
    password_min: usize,
    form: Shown,
}

impl Page for RegisterPage {
    const TEMPLATE: &'static str = "accounts/register.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Register".to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(default)]
    invite: String,
    name: String,
    password: String,
}

pub async fn form(visit: Visit) -> Result<HttpResponse> {
    if visit.current.is_some() {
        return Ok(visit.redirect("/"));
    }
    visit.page(&page(None, Shown::default()))
}

/// `GET /invite/{token}`: the register form with the invitation filled in.
pub async fn invited(visit: Visit, token: web::Path<String>) -> Result<HttpResponse> {
    let mut conn = visit.app.db.read().await?;
    let found = invites::find_usable(&mut conn, &token, visit.app.clock.now()).await?;
    let mut shown = Shown::default();
    shown.invite.value = token.into_inner();
    if found.is_none() {
        shown.errors.push(NOT_USABLE.to_owned());
        shown.invite.value.clear();
        return visit.page_with(StatusCode::GONE, &page(None, shown));
    }
    visit.page(&page(found, shown))
}

const NOT_USABLE: &str =
    "This invitation has been used, taken back or has run out. Ask for a new one.";

pub async fn submit(visit: Visit, Form(input): Form<Input>) -> Result<HttpResponse> {
    let app = &visit.app;
    let now = app.clock.now();
    let mut shown = Shown {
        errors: Vec::new(),
        invite: Field::new(invite_token(&input.invite)),
        name: Field::new(input.name.trim()),
        password: Field::default(),
    };
    let invited = !shown.invite.value.is_empty();
    let allowed = match visit.settings.registration {
        Registration::Open => true,
        Registration::Invite => invited,
        Registration::Closed => false,
    };
    if !app.is_set_up() || !allowed {
        return Err(Error::Forbidden(match visit.settings.registration {
            Registration::Invite => {
                "New members come by invitation: open the link you were given.".to_owned()
            }
            _ => "This site takes no new members at the moment.".to_owned(),
        }));
    }
    let bucket = format!("register@{}", client::bucket(client::address(&visit.req)));
    let mut conn = app.db.read().await?;
    if let Some(retry_after_s) = throttle::wait_s(&mut conn, &bucket, now).await? {
        return Err(Error::TooMany { retry_after_s });
    }
    let invite = if invited {
        invites::find_usable(&mut conn, &shown.invite.value, now).await?
    } else {
        None
    };
    drop(conn);
    if invited && invite.is_none() {
        shown.errors.push(NOT_USABLE.to_owned());
    }
    let name = match UserName::parse(&input.name) {
        Ok(name) => Some(name),
        Err(message) => {
            shown.name.wrong(message);
            None
        }
    };
    if let Err(message) = check_new(&input.password, &[&input.name, &visit.settings.site_name]) {
        shown.password.wrong(message);
    }
    let wrong = !shown.errors.is_empty() || shown.password.error.is_some();
    let Some(name) = name.filter(|_| !wrong) else {
        return visit.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page(invite, shown));
    };
    let password_hash = app.passwords.hash(&input.password).await?;
    let passkey = random_passkey();
    let mut tx = app.db.write().await?;
    // Used up in the same transaction that makes the account: of two at once, one finds it gone.
    let taken = if invited {
        invites::take(&mut tx, &shown.invite.value, now).await?
    } else {
        None
    };
    if invited && taken.is_none() {
        shown.errors.push(NOT_USABLE.to_owned());
        return visit.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page(None, shown));
    }
    let new = NewUser {
        name: &name,
        password_hash: &password_hash,
        role: Role::Member,
        passkey: &passkey,
        invited_by: taken.map(|(_, by)| by),
        at: now,
    };
    let id = match queries::insert(&mut tx, &new).await {
        Ok(id) => id,
        Err(InsertError::NameTaken) => {
            shown.name.wrong("That name is taken. Choose another.");
            return visit.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page(invite, shown));
        }
        Err(InsertError::Database(e)) => return Err(e.into()),
    };
    if let Some((invite, _)) = taken {
        invites::set_user(&mut tx, invite, id).await?;
    }
    // Registering is no failure, but an address that does it all day has to wait like one.
    if let Some(retry_after_s) = throttle::take(&mut tx, &bucket, ACCOUNTS_PER_ADDRESS, now).await?
    {
        return Err(Error::TooMany { retry_after_s });
    }
    let cookie = sessions::open(app, &mut tx, &visit.req, id, 0).await?;
    tx.commit().await?;
    tracing::info!(user = %id, "registered");
    let mut response = visit.redirect_with("/", &Flash::ok(format!("Welcome, {}.", name.as_str())));
    set_session(&mut response, cookie, app.https())?;
    Ok(response)
}

/// The code itself, also where the whole link was pasted.
fn invite_token(text: &str) -> String {
    let text = text.trim();
    text.rsplit('/').next().unwrap_or(text).to_owned()
}

fn page(invite: Option<invites::Usable>, form: Shown) -> RegisterPage {
    RegisterPage {
        invite: invite.map(|i| InviteShown {
            from: Some(i.created_by_name),
            note: Some(i.note).filter(|note| !note.is_empty()),
            expires_at: Some(i.expires_at.0),
        }),
        password_min: MIN_CHARS,
        form,
    }
}
