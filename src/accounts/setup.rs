//! Set-up: a one-time link, printed at start, makes the first admin and the settings. Nobody gains rights by
//! being first.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::login::set_session;
use super::passwords::{MIN_CHARS, check_new};
use super::queries::{InsertError, NewUser};
use super::{Role, UserName, Visit, queries, sessions};
use crate::app::App;
use crate::categories;
use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::secrets::{random_passkey, random_token, token_hash};
use crate::settings::{self, Settings};
use crate::web::flash::Flash;
use crate::web::forms::{Field, Form};
use crate::web::render::Page;
use crate::{exec, on};

#[derive(Serialize)]
struct Shown {
    name: Field,
    password: Field,
    #[serde(flatten)]
    settings: settings::forms::Shown,
}

#[derive(Serialize)]
struct SetupPage {
    action: String,
    password_min: usize,
    form: Shown,
}

impl Page for SetupPage {
    const TEMPLATE: &'static str = "accounts/setup.html";
    fn title(&self) -> String {
        "Set up".to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    name: String,
    password: String,
    site_name: String,
    site_url: String,
    registration: String,
    look: String,
    download: String,
    upload: String,
    private_policy: String,
}

/// A fresh link's path while the site is not set up; the one printed before stops working.
pub async fn new_link(app: &App) -> Result<Option<String>> {
    if app.is_set_up() {
        return Ok(None);
    }
    let token = random_token();
    let mut tx = app.db.write().await?;
    replace_link(&mut tx, &token_hash(&token), app.clock.now()).await?;
    tx.commit().await?;
    Ok(Some(format!("/setup/{token}")))
}

pub async fn form(visit: Visit, token: web::Path<String>) -> Result<HttpResponse> {
    let mut conn = visit.app.db.read().await?;
    check_link(&visit, &mut conn, &token).await?;
    drop(conn);
    // The address in the browser's bar is the best guess at the site's own.
    let host = visit.req.connection_info().host().to_owned();
    let proposed = Settings::proposed(format!("http://{host}"));
    visit.page(&page(
        &token,
        Shown {
            name: Field::default(),
            password: Field::default(),
            settings: settings::forms::Shown::of(&proposed),
        },
    ))
}

pub async fn submit(
    visit: Visit,
    token: web::Path<String>,
    Form(input): Form<Input>,
) -> Result<HttpResponse> {
    let app = &visit.app;
    let mut conn = app.db.read().await?;
    check_link(&visit, &mut conn, &token).await?;
    drop(conn);
    let mut name_field = Field::new(input.name.trim());
    let mut password_field = Field::default();
    let name = UserName::parse(&input.name)
        .map_err(|message| name_field.wrong(message))
        .ok();
    if let Err(message) = check_new(&input.password, &[&input.name, &input.site_name]) {
        password_field.wrong(message);
    }
    let settings = settings::forms::Input {
        site_name: input.site_name,
        site_url: input.site_url,
        registration: input.registration,
        look: input.look,
        download: input.download,
        upload: input.upload,
        private_policy: input.private_policy,
    }
    .check();
    let (name, settings) = match (name, settings) {
        (Some(name), Ok(settings)) if password_field.error.is_none() => (name, settings),
        (_, settings) => {
            let settings = settings.map_or_else(|shown| *shown, |s| settings::forms::Shown::of(&s));
            let form = Shown {
                name: name_field,
                password: password_field,
                settings,
            };
            return visit.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page(&token, form));
        }
    };
    let password_hash = app.passwords.hash(&input.password).await?;
    let passkey = random_passkey();
    let now = app.clock.now();
    let mut tx = app.db.write().await?;
    if !take_link(&mut tx, &token_hash(&token)).await? {
        return Err(used_up());
    }
    let new = NewUser {
        name: &name,
        password_hash: &password_hash,
        role: Role::Admin,
        passkey: &passkey,
        invited_by: None,
        at: now,
    };
    let id = match queries::insert(&mut tx, &new).await {
        Ok(id) => id,
        Err(InsertError::NameTaken) => {
            name_field.wrong("That name is taken. Choose another.");
            let form = Shown {
                name: name_field,
                password: password_field,
                settings: settings::forms::Shown::of(&settings),
            };
            return visit.page_with(StatusCode::UNPROCESSABLE_ENTITY, &page(&token, form));
        }
        Err(InsertError::Database(e)) => return Err(e.into()),
    };
    open_site(&mut tx, &settings, now).await?;
    let cookie = sessions::open(app, &mut tx, &visit.req, id, 0).await?;
    tx.commit().await?;
    app.reload_settings().await?;
    tracing::info!(user = %id, "set up");
    let flash = Flash::ok(format!(
        "{} is open. Upload a first torrent, or invite somebody.",
        settings.site_name
    ));
    let mut response = visit.redirect_with("/", &flash);
    // Secure from the moment the site is https: the cookie's name may have changed with the settings.
    set_session(&mut response, cookie, app.https())?;
    Ok(response)
}

/// Writes the first settings, with which the site is set up and no link works any more, and categories to start with.
pub async fn open_site(tx: &mut Tx, settings: &Settings, at: Timestamp) -> Result<(), sqlx::Error> {
    clear_links(tx).await?;
    settings::queries::save(tx, settings, at).await?;
    categories::seed_defaults(tx).await
}

async fn check_link(visit: &Visit, conn: &mut Conn, token: &str) -> Result<()> {
    const SQL: &str = "select count(*) from setup_links where token_hash = $1";
    if visit.app.is_set_up() {
        return Err(used_up());
    }
    let known: i64 = on!(conn, |c| sqlx::query_scalar(SQL)
        .bind(token_hash(token))
        .fetch_one(c)
        .await)?;
    if known == 1 { Ok(()) } else { Err(used_up()) }
}

fn used_up() -> Error {
    Error::Forbidden(
        "This set-up link does not work: it has been used, or a newer one was printed at the last start.".to_owned(),
    )
}

async fn replace_link(tx: &mut Tx, token_hash: &[u8], at: Timestamp) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into setup_links (token_hash, created_at) values ($1, $2)";
    clear_links(tx).await?;
    exec!(tx, SQL, token_hash, at).map(drop)
}

async fn clear_links(tx: &mut Tx) -> Result<(), sqlx::Error> {
    const SQL: &str = "delete from setup_links";
    exec!(tx, SQL).map(drop)
}

async fn take_link(tx: &mut Tx, token_hash: &[u8]) -> Result<bool, sqlx::Error> {
    const SQL: &str = "delete from setup_links where token_hash = $1";
    Ok(exec!(tx, SQL, token_hash)? == 1)
}

fn page(token: &str, form: Shown) -> SetupPage {
    SetupPage {
        action: format!("/setup/{}", crate::web::filters::urlencode(token)),
        password_min: MIN_CHARS,
        form,
    }
}
