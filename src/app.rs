//! The application: what every request shares, how it is built, and how it runs and stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpRequest, web};
use anyhow::Context;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::accounts::extract;
use crate::accounts::passwords::Passwords;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::db::lease::Lease;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::search::Search;
use crate::secrets::Secrets;
use crate::settings::{self, Settings};
use crate::torrents::cache::Cache;
use crate::torrents::downloads::Pending;
use crate::torrents::publish::Intake;
use crate::tracker::{Tracker, seat};
use crate::web::assets;
use crate::web::cookies::{self, Https};
use crate::web::errors::{self, RequestId};
use crate::web::render::{Frame, Templates};

pub struct App {
    pub config: Config,
    pub db: Db,
    pub clock: Clock,
    pub secrets: Secrets,
    pub templates: Templates,
    pub passwords: Passwords,
    pub search: Arc<Search>,
    /// What listings show of torrents.
    pub cache: Cache,
    pub tracker: Tracker,
    /// The way in for .torrents.
    pub intake: Intake,
    /// Downloads on their way into the database.
    pub downloads: Pending,
    /// This node's right to serve the database, until the task that keeps it takes it.
    pub seat: Mutex<Option<Lease>>,
    /// Why this node must stop, once it must.
    pub lost: watch::Sender<Option<String>>,
    pub metrics: Metrics,
    /// `None` until the site is set up. Changed here at once, and each second for what other nodes change.
    settings: Arc<RwLock<Option<Arc<Settings>>>>,
    /// What stands in for settings before set-up.
    unset: Arc<Settings>,
    /// A stop has begun.
    stopping: AtomicBool,
}

impl App {
    /// Opens everything; migrates the database; serves nothing yet.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let data_dir = &config.server.data_dir;
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("creating the data directory {}", data_dir.display()))?;
        let secrets = Secrets::load(&config.accounts.session_key.0, data_dir)?;
        let db = Db::open(&config.database_url(), config.database.connections).await?;
        db.migrate().await?;
        let settings = settings::queries::find(&mut db.read().await?).await?;
        let settings = Arc::new(RwLock::new(settings.map(Arc::new)));
        let unset = Arc::new(Settings::before_setup(format!(
            "http://{}",
            config.server.listen
        )));
        let current = {
            let (settings, unset) = (settings.clone(), unset.clone());
            move || settings.read().clone().unwrap_or_else(|| unset.clone())
        };
        let seat = seat::take(&db, config.tracker.kind, data_dir).await?;
        let search = Search::open(data_dir, db.clone(), &config.search)?;
        let numbers = &search.numbers;
        let tracker = Tracker::open(&db, &clock, &config.tracker, numbers, current).await?;
        Ok(Self {
            templates: Templates::load(clock.clone())?,
            passwords: Passwords::new(&config.accounts)?,
            search,
            cache: Cache::default(),
            tracker,
            seat: Mutex::new(seat),
            lost: watch::Sender::new(None),
            intake: Intake::new(db.clone(), clock.clone()),
            downloads: Pending::default(),
            metrics: Metrics::new(clock.now()),
            settings,
            unset,
            stopping: AtomicBool::new(false),
            config,
            db,
            clock,
            secrets,
        })
    }

    /// The application behind a request.
    pub fn of(req: &HttpRequest) -> Result<web::Data<Self>, Error> {
        req.app_data::<web::Data<Self>>()
            .cloned()
            .ok_or_else(|| Error::Internal(anyhow::anyhow!("no application behind the request")))
    }

    pub fn settings(&self) -> Arc<Settings> {
        self.settings
            .read()
            .clone()
            .unwrap_or_else(|| self.unset.clone())
    }

    pub fn is_set_up(&self) -> bool {
        self.settings.read().is_some()
    }

    /// From here on this process is not ready for new requests, though it answers them while it still listens.
    pub fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn https(&self) -> Https {
        Https(self.settings().https())
    }

    /// Reads the settings row again; called after a change here and each second for changes elsewhere.
    pub async fn reload_settings(&self) -> anyhow::Result<()> {
        let found = settings::queries::find(&mut self.db.read().await?).await?;
        *self.settings.write() = found.map(Arc::new);
        Ok(())
    }

    /// The frame of a page for whoever asks; for somebody unknown where even that cannot be found out.
    pub async fn frame(&self, req: &HttpRequest) -> Frame {
        match extract::frame(req).await {
            Ok(frame) => frame,
            Err(_) => self.guest_frame(req),
        }
    }

    /// The frame of a page for somebody unknown.
    pub fn guest_frame(&self, req: &HttpRequest) -> Frame {
        let settings = self.settings();
        let theme = req.cookie(cookies::THEME).map(|c| c.value().to_owned());
        Frame {
            site_name: settings.site_name.clone(),
            title: String::new(),
            theme: theme
                .filter(|t| matches!(t.as_str(), "light" | "dark"))
                .unwrap_or_else(|| "auto".to_owned()),
            path: errors::here(req),
            csrf: String::new(),
            asset: assets::URLS.clone(),
            version: env!("CARGO_PKG_VERSION"),
            request_id: request_id(req),
            listing_url: "/torrents",
            viewer: None,
            registration: settings.registration.as_str().to_owned(),
            guests_may_look: settings.may_look(None),
            search_words: String::new(),
            flash: Vec::new(),
            section: "",
            elapsed_ms: None,
        }
    }
}

fn request_id(req: &HttpRequest) -> String {
    use actix_web::HttpMessage;
    req.extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default()
}
