//! The admins' settings page: the form that set-up asked, again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::forms::{Input, Shown};
use super::{Settings, queries};
use crate::accounts::Admin;
use crate::error::{Error, Result};
use crate::moderation::log::{self, Action, Entry, Subject};
use crate::web::cookies;
use crate::web::flash::Flash;
use crate::web::forms::Form;
use crate::web::render::Page;

#[derive(Serialize)]
struct SettingsPage {
    form: Shown,
}

impl Page for SettingsPage {
    const TEMPLATE: &'static str = "admin/settings.html";
    const SECTION: &'static str = "admin";
    fn title(&self) -> String {
        "Settings".to_owned()
    }
}

/// `GET /admin/settings`
pub async fn form(admin: Admin) -> Result<HttpResponse> {
    admin.page(&SettingsPage {
        form: Shown::of(&admin.settings),
    })
}

/// `POST /admin/settings`
pub async fn submit(admin: Admin, Form(input): Form<Input>) -> Result<HttpResponse> {
    let app = &admin.app;
    let settings = match input.check() {
        Ok(settings) => settings,
        Err(form) => {
            let page = SettingsPage { form: *form };
            return admin.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let was_https = app.https();
    let session = cookies::read(&admin.req, cookies::SESSION, was_https);
    let now = app.clock.now();
    let mut tx = app.db.write().await?;
    let old = queries::find(&mut tx).await?.ok_or(Error::NotFound)?;
    let changes = changes(&old, &settings);
    if changes.is_empty() {
        return Ok(admin.redirect_with("/admin/settings", &Flash::ok("Nothing was changed.")));
    }
    queries::save(&mut tx, &settings, now).await?;
    let entry = Entry {
        at: now,
        actor: Some(admin.user.id),
        action: Action::SettingsChanged,
        subject: Subject::settings(),
        reason: changes.join("; "),
    };
    log::record(&mut tx, &entry).await?;
    tx.commit().await?;
    app.reload_settings().await?;
    tracing::info!(user = %admin.user.id, "settings changed");
    let mut response =
        admin.redirect_with("/admin/settings", &Flash::ok("The settings are saved."));
    // Cookies have other names where the site is https: whoever has just said so stays logged in.
    if let Some(session) = session.filter(|_| app.https().0 != was_https.0) {
        let lifetime_s = app.config.accounts.session_days * 86_400;
        let cookie = cookies::build(cookies::SESSION, session, app.https(), Some(lifetime_s));
        response
            .add_cookie(&cookie)
            .map_err(|e| Error::Internal(anyhow::anyhow!("setting a cookie: {e}")))?;
    }
    Ok(response)
}

/// Each changed setting as `name: old → new`.
fn changes(old: &Settings, new: &Settings) -> Vec<String> {
    [
        ("site name", old.site_name.as_str(), new.site_name.as_str()),
        ("site URL", &old.base_url, &new.base_url),
        (
            "who may become a member",
            old.registration.as_str(),
            new.registration.as_str(),
        ),
        (
            "who may look",
            old.who_may_look.as_str(),
            new.who_may_look.as_str(),
        ),
        (
            "who may download",
            old.who_may_download.as_str(),
            new.who_may_download.as_str(),
        ),
        (
            "who may upload",
            old.who_may_upload.as_str(),
            new.who_may_upload.as_str(),
        ),
        (
            "private flag",
            old.private_flag.as_str(),
            new.private_flag.as_str(),
        ),
    ]
    .into_iter()
    .filter(|(_, old, new)| old != new)
    .map(|(name, old, new)| format!("{name}: {old} → {new}"))
    .collect()
}
