//! Logging in and out.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{Member, Visit, fold_name, queries, sessions, throttle};
use crate::error::{Error, Result};
use crate::web::forms::{Field, Form};
use crate::web::redirect;
use crate::web::render::Page;
use crate::web::{client, cookies};

#[derive(Default, Serialize)]
struct Shown {
    errors: Vec<String>,
    name: Field,
    password: Field,
}

#[derive(Serialize)]
struct LoginPage {
    return_to: String,
    form: Shown,
}

impl Page for LoginPage {
    const TEMPLATE: &'static str = "accounts/login.html";
    const SECTION: &'static str = "account";
    fn title(&self) -> String {
        "Log in".to_owned()
    }
}

#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(default)]
    return_to: String,
    name: String,
    password: String,
}

pub async fn form(visit: Visit, next: web::Query<Next>) -> Result<HttpResponse> {
    if visit.current.is_some() {
        return Ok(visit.redirect(&redirect::local(&next.next)));
    }
    visit.page(&LoginPage {
        return_to: redirect::local(&next.next),
        form: Shown::default(),
    })
}

/// One answer for an unknown name and a wrong password; "banned" is said only after the right one.
pub async fn submit(visit: Visit, Form(input): Form<Input>) -> Result<HttpResponse> {
    let app = &visit.app;
    let now = app.clock.now();
    let account_bucket = format!(
        "login:{}",
        fold_name(&input.name).chars().take(64).collect::<String>()
    );
    let address_bucket = format!("login@{}", client::bucket(client::address(&visit.req)));
    let limits = &app.config.accounts;
    let mut tx = app.db.write().await?;
    for (bucket, limit) in [
        (&address_bucket, limits.failures_per_address),
        (&account_bucket, limits.failures_per_account),
    ] {
        if let Some(retry_after_s) = throttle::take(&mut tx, bucket, limit, now).await? {
            app.metrics.logins_failed.add_one("too-many");
            return Err(Error::TooMany { retry_after_s });
        }
    }
    tx.commit().await?;
    let mut conn = app.db.read().await?;
    let user = queries::by_name(&mut conn, &input.name).await?;
    let hash = match &user {
        Some(user) => queries::password_hash(&mut conn, user.id).await?,
        None => None,
    };
    drop(conn);
    let right = app
        .passwords
        .verify(&input.password, hash.as_deref())
        .await?;
    let Some(user) = user.filter(|_| right) else {
        app.metrics.logins_failed.add_one("wrong");
        tracing::info!("log-in refused");
        return refuse(
            &visit,
            input,
            "That name and password do not go together. Check both.".to_owned(),
        );
    };
    if user.banned_at.is_some() {
        app.metrics.logins_failed.add_one("banned");
        let reason = user.ban_reason.clone().unwrap_or_default();
        return refuse(
            &visit,
            input,
            format!("This account is banned. The reason given: {reason}"),
        );
    }
    let mut tx = app.db.write().await?;
    // In the order they were taken in, or two at once wait for each other.
    throttle::give_back(&mut tx, &address_bucket, limits.failures_per_address).await?;
    throttle::clear(&mut tx, &account_bucket).await?;
    let cookie = sessions::open(app, &mut tx, &visit.req, user.id, user.epoch).await?;
    tx.commit().await?;
    tracing::info!(user = %user.id, "logged in");
    let mut response = visit.redirect(&redirect::local(&input.return_to));
    set_session(&mut response, cookie, app.https())?;
    Ok(response)
}

/// Puts a new session into an answer and takes the guest's visit away.
pub fn set_session(
    response: &mut HttpResponse,
    cookie: actix_web::cookie::Cookie<'static>,
    https: cookies::Https,
) -> Result<()> {
    let failed = |e| Error::Internal(anyhow::anyhow!("setting a cookie: {e}"));
    response.add_cookie(&cookie).map_err(failed)?;
    response
        .add_cookie(&cookies::remove(cookies::VISIT, https))
        .map_err(failed)
}

fn refuse(visit: &Visit, input: Input, sentence: String) -> Result<HttpResponse> {
    visit.page_with(
        StatusCode::UNPROCESSABLE_ENTITY,
        &LoginPage {
            return_to: redirect::local(&input.return_to),
            form: Shown {
                errors: vec![sentence],
                name: Field::new(input.name),
                password: Field::default(),
            },
        },
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

pub async fn logout(member: Member, _: Form<Nothing>) -> Result<HttpResponse> {
    let mut tx = member.app.db.write().await?;
    queries::delete_session(&mut tx, member.user.id, &member.sid_hash).await?;
    tx.commit().await?;
    tracing::info!(user = %member.user.id, "logged out");
    let mut response = member.redirect("/login");
    set_session(
        &mut response,
        cookies::remove(cookies::SESSION, member.app.https()),
        member.app.https(),
    )?;
    response.headers_mut().insert(
        HeaderName::from_static("clear-site-data"),
        HeaderValue::from_static("\"cache\""),
    );
    Ok(response)
}
