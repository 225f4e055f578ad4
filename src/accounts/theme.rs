//! Light, dark, or as the system says: a cookie for everybody, and the account's own for the next browser.

use actix_web::HttpResponse;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::{Visit, queries};
use crate::error::{Error, Result};
use crate::web::cookies;
use crate::web::forms::Form;
use crate::web::redirect;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    theme: String,
    #[serde(default)]
    return_to: String,
}

pub async fn submit(visit: Visit, Form(input): Form<Input>) -> Result<HttpResponse> {
    if !matches!(input.theme.as_str(), "light" | "dark" | "auto") {
        return Err(Error::BadRequest("Choose light, dark or auto.".to_owned()));
    }
    if let Some(user) = visit.user() {
        let mut tx = visit.app.db.write().await?;
        queries::set_theme(&mut tx, user.id, &input.theme).await?;
        tx.commit().await?;
    }
    let mut response = visit.redirect(&redirect::local(&input.return_to));
    let cookie = Cookie::build(cookies::THEME, input.theme)
        .path("/")
        .same_site(SameSite::Lax)
        .secure(visit.app.https().0)
        .max_age(Duration::days(365))
        .finish();
    response
        .add_cookie(&cookie)
        .map_err(|e| Error::Internal(anyhow::anyhow!("setting a cookie: {e}")))?;
    Ok(response)
}
