//! Changing one's password: the other sessions end, this browser gets a new one, announce addresses stay.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::login::set_session;
use super::passwords::{MIN_CHARS, check_new};
use super::{Member, queries, sessions, throttle};
use crate::error::{Error, Result};
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::render::Page;

#[derive(Default, Serialize)]
struct Shown {
    errors: Vec<String>,
    current_password: Field,
    new_password: Field,
}

#[derive(Serialize)]
struct PasswordPage {
    password_min: usize,
    other_sessions: i64,
    form: Shown,
}

impl Page for PasswordPage {
    const TEMPLATE: &'static str = "accounts/password.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Change password".to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    current_password: String,
    new_password: String,
}

pub async fn form(member: Member) -> Result<HttpResponse> {
    let page = page(&member, Shown::default()).await?;
    member.page(&page)
}

pub async fn submit(member: Member, Form(input): Form<Input>) -> Result<HttpResponse> {
    let app = &member.app;
    let now = app.clock.now();
    // A stolen session must not become a guessing machine for the password.
    let bucket = format!("password:{}", member.user.id);
    let mut tx = app.db.write().await?;
    let limit = app.config.accounts.failures_per_account;
    if let Some(retry_after_s) = throttle::take(&mut tx, &bucket, limit, now).await? {
        return Err(Error::TooMany { retry_after_s });
    }
    tx.commit().await?;
    let mut conn = app.db.read().await?;
    let hash = queries::password_hash(&mut conn, member.user.id).await?;
    drop(conn);
    let mut shown = Shown::default();
    if !app
        .passwords
        .verify(&input.current_password, hash.as_deref())
        .await?
    {
        shown
            .current_password
            .wrong("That is not your current password.");
    } else if let Err(message) = check_new(
        &input.new_password,
        &[&member.user.name, &member.settings.site_name],
    ) {
        shown.new_password.wrong(message);
    }
    if shown.current_password.error.is_some() || shown.new_password.error.is_some() {
        let page = page(&member, shown).await?;
        return member.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let hash = app.passwords.hash(&input.new_password).await?;
    let mut tx = app.db.write().await?;
    let epoch = queries::set_password(&mut tx, member.user.id, &hash).await?;
    throttle::clear(&mut tx, &bucket).await?;
    let cookie = sessions::open(app, &mut tx, &member.req, member.user.id, epoch).await?;
    tx.commit().await?;
    tracing::info!(user = %member.user.id, "password changed");
    let flash = Flash::ok(
        "Your password is changed and other browsers are logged out. If somebody else knew it, reset the announce passkey too.",
    );
    let mut response = member.redirect_with("/profile", &flash);
    set_session(&mut response, cookie, app.https())?;
    Ok(response)
}

async fn page(member: &Member, form: Shown) -> Result<PasswordPage> {
    let mut conn = member.app.db.read().await?;
    let sessions = queries::sessions_of(&mut conn, member.user.id, member.app.clock.now()).await?;
    Ok(PasswordPage {
        password_min: MIN_CHARS,
        other_sessions: i64::try_from(sessions.len()).unwrap_or(0).saturating_sub(1),
        form,
    })
}
