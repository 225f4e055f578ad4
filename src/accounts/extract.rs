//! The extractors: who asks, and what they may. A handler that takes `Moderator` cannot be reached by less.
//!
//! `Visit` is anybody, also before set-up; `Viewer` may look; `Downloader` may fetch .torrents; `Member` has an
//! account; then `Uploader`, `Moderator`, `Admin`. Feeds have their own in `feed_keys`.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev, web};

use super::feed_keys::Nonce;
use super::queries::User;
use super::sessions;
use super::{Role, sessions::Current};
use crate::app::App;
use crate::error::{Error, Result};
use crate::secrets::random_token;
use crate::settings::Settings;
use crate::web::errors::KnownFrame;
use crate::web::flash::{self, Flash};
use crate::web::render::{Frame, FrameViewer, Page};
use crate::web::{cookies, csrf, redirect};

/// One request by somebody.
pub struct Visit {
    pub app: web::Data<App>,
    pub settings: Arc<Settings>,
    pub req: HttpRequest,
    pub current: Option<Current>,
    frame: Frame,
    /// Cookies that the answer sets: a new visit, a flash that has been shown.
    set: Vec<Cookie<'static>>,
}

impl Visit {
    pub fn role(&self) -> Option<Role> {
        self.current.as_ref().map(|current| current.user.role)
    }

    pub fn user(&self) -> Option<&User> {
        self.current.as_ref().map(|current| &current.user)
    }

    pub fn is_moderator(&self) -> bool {
        self.role() >= Some(Role::Moderator)
    }

    /// A page, 200.
    pub fn page<P: Page>(&self, page: &P) -> Result<HttpResponse> {
        self.page_with(StatusCode::OK, page)
    }

    /// A page with another status, such as a form that needs mending (422).
    pub fn page_with<P: Page>(&self, status: StatusCode, page: &P) -> Result<HttpResponse> {
        self.page_framed(status, page, |_| {})
    }

    /// A page whose frame needs a word from the handler, such as the searched words in the header's box.
    pub fn page_framed<P: Page>(
        &self,
        status: StatusCode,
        page: &P,
        adjust: impl FnOnce(&mut Frame),
    ) -> Result<HttpResponse> {
        let mut frame = self.frame.clone();
        frame.title = page.title();
        frame.section = P::SECTION;
        adjust(&mut frame);
        let html = self.app.templates.render(P::TEMPLATE, &frame, page)?;
        let mut response = HttpResponse::build(status);
        response.content_type("text/html; charset=utf-8");
        for cookie in &self.set {
            response.cookie(cookie.clone());
        }
        Ok(response.body(html))
    }

    /// 303 to a path of this site.
    pub fn redirect(&self, path: &str) -> HttpResponse {
        redirect::to(path)
    }

    /// 303, with a message on the page that follows.
    pub fn redirect_with(&self, path: &str, flash: &Flash) -> HttpResponse {
        let mut response = redirect::to(path);
        if let Some(cookie) = flash::cookie(&self.app.secrets, flash, self.app.https())
            && let Err(error) = response.add_cookie(&cookie)
        {
            tracing::warn!(%error, "a message could not be set");
        }
        response
    }

    /// This request's path and query, for links that come back.
    pub fn path(&self) -> &str {
        &self.frame.path
    }

    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// The frame alone, for pages that no handler of ours answers.
pub async fn frame(req: &HttpRequest) -> Result<Frame> {
    Ok(visit(req.clone()).await?.frame)
}

async fn visit(req: HttpRequest) -> Result<Visit> {
    let app = App::of(&req)?;
    let settings = app.settings();
    let https = app.https();
    let current = sessions::current(&app, &req).await?;
    let mut set = Vec::new();
    let basis = match (&current, csrf::basis(&req, https)) {
        (Some(_), Some(basis)) => basis,
        // A guest's token hangs on a visit cookie, also where a dead session cookie is still about.
        _ => match cookies::read(&req, cookies::VISIT, https)
            .filter(|value| value.len() == 43 && !req_has_session(&req, https))
        {
            Some(visit) => visit,
            None => {
                let visit = random_token();
                set.push(cookies::build(cookies::VISIT, visit.clone(), https, None));
                if req_has_session(&req, https) {
                    set.push(cookies::remove(cookies::SESSION, https));
                }
                visit
            }
        },
    };
    let mut frame = app.guest_frame(&req);
    frame.csrf = csrf::token(&app.secrets, &basis);
    if let Some(flash) = flash::read(&req, &app.secrets, https) {
        frame.flash.push(flash);
        set.push(cookies::remove(cookies::FLASH, https));
    }
    if let Some(Current { user, .. }) = &current {
        frame.viewer = Some(FrameViewer {
            name: user.name.clone(),
            role: user.role.as_str(),
            is_moderator: user.role >= Role::Moderator,
            is_admin: user.role >= Role::Admin,
            may_upload: settings.may_upload(Some(user.role)),
            initial: user
                .name
                .chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .collect(),
        });
        if req.cookie(cookies::THEME).is_none() {
            frame.theme.clone_from(&user.theme);
        }
    }
    req.extensions_mut().insert(KnownFrame(frame.clone()));
    Ok(Visit {
        app,
        settings,
        req,
        current,
        frame,
        set,
    })
}

/// A visit whose feed key says who it is, or a guest's: whatever cookies came along, they count for nothing.
pub(super) fn by_key(
    app: web::Data<App>,
    req: HttpRequest,
    holder: Option<(User, Nonce)>,
) -> Visit {
    Visit {
        settings: app.settings(),
        frame: app.guest_frame(&req),
        current: holder.map(|(user, feed_nonce)| Current {
            user,
            sid_hash: Vec::new(),
            feed_nonce,
        }),
        set: Vec::new(),
        app,
        req,
    }
}

fn req_has_session(req: &HttpRequest, https: cookies::Https) -> bool {
    cookies::read(req, cookies::SESSION, https).is_some_and(|value| !value.is_empty())
}

pub(super) type Extracting<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

impl FromRequest for Visit {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        Box::pin(visit(req.clone()))
    }
}

/// Anybody who may look at the catalogue.
pub struct Viewer(Visit);

/// Anybody who may fetch .torrents and magnets.
pub struct Downloader(Visit);

/// Somebody with an account.
pub struct Member {
    visit: Visit,
    pub user: User,
    pub sid_hash: Vec<u8>,
}

/// A member who may publish.
pub struct Uploader(Member);

pub struct Moderator(Member);

pub struct Admin(Member);

fn set_up(visit: &Visit) -> Result<()> {
    if visit.app.is_set_up() {
        return Ok(());
    }
    Err(Error::Forbidden(
        "This site is not set up yet. Open the set-up link that the program printed when it started.".to_owned(),
    ))
}

async fn viewer(req: HttpRequest) -> Result<Viewer> {
    let visit = visit(req).await?;
    set_up(&visit)?;
    if visit.settings.may_look(visit.role()) {
        Ok(Viewer(visit))
    } else {
        Err(Error::Unauthenticated)
    }
}

async fn downloader(req: HttpRequest) -> Result<Downloader> {
    let visit = visit(req).await?;
    set_up(&visit)?;
    if visit.settings.may_download(visit.role()) {
        Ok(Downloader(visit))
    } else {
        Err(Error::Unauthenticated)
    }
}

async fn member(req: HttpRequest) -> Result<Member> {
    let mut visit = visit(req).await?;
    set_up(&visit)?;
    match visit.current.take() {
        Some(current) => {
            let (user, sid_hash) = (current.user.clone(), current.sid_hash.clone());
            visit.current = Some(current);
            Ok(Member {
                visit,
                user,
                sid_hash,
            })
        }
        None => Err(Error::Unauthenticated),
    }
}

async fn at_least(req: HttpRequest, role: Role, what: &str) -> Result<Member> {
    let member = member(req).await?;
    if member.user.role >= role {
        Ok(member)
    } else {
        Err(Error::Forbidden(format!("This page is for {what}.")))
    }
}

async fn uploader(req: HttpRequest) -> Result<Uploader> {
    let member = member(req).await?;
    if member.settings.may_upload(Some(member.user.role)) {
        Ok(Uploader(member))
    } else {
        Err(Error::Forbidden(
            "Your account may not upload here. Ask a moderator to make you an uploader.".to_owned(),
        ))
    }
}

macro_rules! extractor {
    ($name:ident, $req:ident => $extract:expr) => {
        impl FromRequest for $name {
            type Error = Error;
            type Future = Extracting<Self>;

            fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                let $req = req.clone();
                Box::pin(async move { $extract })
            }
        }
    };
}

extractor!(Viewer, req => viewer(req).await);
extractor!(Downloader, req => downloader(req).await);
extractor!(Member, req => member(req).await);
extractor!(Uploader, req => uploader(req).await);
extractor!(Moderator, req => at_least(req, Role::Moderator, "moderators").await.map(Moderator));
extractor!(Admin, req => at_least(req, Role::Admin, "admins").await.map(Admin));

macro_rules! derefs {
    ($($name:ty => $target:ty, |$self:ident| $field:expr;)+) => {$(
        impl Deref for $name {
            type Target = $target;
            fn deref(&self) -> &$target {
                let $self = self;
                $field
            }
        }
    )+};
}

// Feeds have extractors of their own.
pub(super) use {derefs, extractor};

derefs! {
    Viewer => Visit, |s| &s.0;
    Downloader => Visit, |s| &s.0;
    Member => Visit, |s| &s.visit;
    Uploader => Member, |s| &s.0;
    Moderator => Member, |s| &s.0;
    Admin => Member, |s| &s.0;
}

/// Headers of an answer that must not stay anywhere: a .torrent with a passkey, a page with a secret.
pub const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "private, no-store");
