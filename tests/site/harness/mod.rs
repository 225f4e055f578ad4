//! A site per test: its own database, its own port, and people with browsers.
//!
//! `both!` makes each test run on SQLite and on Postgres. Postgres tests need `SEEDBANK_TEST_POSTGRES`, a URL of a
//! server where databases may be made; without it they say so and do nothing, and with `SEEDBANK_TEST_ALL` set
//! (as `scripts/test` does) they fail instead.

pub mod browser;
pub mod database;
pub mod multipart;
pub mod node;
pub mod torrents;
pub mod torrust_real;
pub mod torrust_stub;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use seedbank::accounts::queries::NewUser;
use seedbank::accounts::{Role, UserName, queries, setup};
use seedbank::app::App;
use seedbank::clock::{Clock, Timestamp};
use seedbank::config::Config;
use seedbank::ids::UserId;
use seedbank::secrets::random_passkey;
use seedbank::serve::{self, Running};
use seedbank::settings::{Audience, PrivateFlag, Publishers, Registration, Settings};

pub use browser::{Browser, Reply};
pub use database::Backend;
pub use multipart::Multipart;

/// How long is waited for what happens by itself. On a machine that runs every test at once, and whose host may lend it
/// half a processor and a slow disk, a second may take ten; a wait that is not in vain costs nothing by being long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Good enough for every member of every test.
pub const PASSWORD: &str = "correct horse battery staple";
/// When every test begins: 2026-01-15.
pub const START: Timestamp = Timestamp(1_768_435_200);

#[macro_export]
macro_rules! both {
    ($($(#[$doc:meta])* async fn $name:ident($site:ident: Site) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::harness::{Backend, Site};

            async fn story(#[allow(unused_mut)] mut $site: Site) {
                $body
                $site.end().await;
            }

            #[test]
            fn sqlite() {
                $crate::harness::run(Backend::Sqlite, story);
            }

            #[test]
            fn postgres() {
                $crate::harness::run(Backend::Postgres, story);
            }
        }
    )+};
}

pub struct Site {
    pub app: web::Data<App>,
    pub clock: Clock,
    pub port: u16,
    running: Option<Running>,
    config: Config,
    directory: Arc<tempfile::TempDir>,
    database: database::Temporary,
}

/// Runs one test's story on a fresh site of its own.
pub fn run<F, Fut>(backend: Backend, story: F)
where
    F: FnOnce(Site) -> Fut,
    Fut: Future<Output = ()>,
{
    run_bare(async {
        if let Some(database) = database::fresh(backend).await {
            story(Site::start(database).await).await;
        }
    });
}

/// Runs something that needs no site.
pub fn run_bare(work: impl Future<Output = ()>) {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };
    actix_web::rt::System::with_tokio_rt(runtime).block_on(work);
}

/// Settings that let everybody in who has an account.
pub fn settings() -> Settings {
    Settings {
        site_name: "Testbank".to_owned(),
        base_url: "http://seedbank.test".to_owned(),
        registration: Registration::Open,
        who_may_look: Audience::Members,
        who_may_download: Audience::Members,
        who_may_upload: Publishers::Members,
        private_flag: PrivateFlag::Any,
    }
}

impl Site {
    async fn start(database: database::Temporary) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let mut config = Config::default();
        config.server.data_dir = directory.path().join("data");
        config.server.workers = 1;
        config.server.shutdown_timeout_s = 10;
        config.database.url.0 = database.url(directory.path());
        config.accounts.argon2_memory_kib = 8;
        config.accounts.argon2_passes = 1;
        config.search.writer_bytes = 15_000_000;
        config.torrents.downloads_per_hour = 20;
        let clock = Clock::fixed(START);
        let (app, port, running) = launch(&config, &clock).await;
        Self {
            app,
            clock,
            port,
            running: Some(running),
            config,
            directory,
            database,
        }
    }

    /// A site besides others; `None` where there is no server for its database.
    pub async fn fresh(backend: Backend) -> Option<Self> {
        match database::fresh(backend).await {
            Some(database) => Some(Self::start(database).await),
            None => None,
        }
    }

    /// Sets the site up without the page, for tests about other things.
    pub async fn set_up(&self) {
        self.set_up_with(settings()).await;
    }

    pub async fn set_up_with(&self, settings: Settings) {
        let mut tx = self.app.db.write().await.unwrap();
        setup::open_site(&mut tx, &settings, self.clock.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.app.reload_settings().await.unwrap();
    }

    /// A member, made by the production insert.
    pub async fn account(&self, name: &str, role: Role) -> UserId {
        let name = UserName::parse(name).unwrap();
        let hash = self.app.passwords.hash(PASSWORD).await.unwrap();
        let mut tx = self.app.db.write().await.unwrap();
        let new = NewUser {
            name: &name,
            password_hash: &hash,
            role,
            passkey: &random_passkey(),
            invited_by: None,
            at: self.clock.now(),
        };
        let id = queries::insert(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A member with a browser, logged in through the form.
    pub async fn member(&self, name: &str, role: Role) -> Browser {
        self.account(name, role).await;
        self.log_in(name).await
    }

    pub async fn log_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let reply = browser
            .submit(
                "/login",
                "/login",
                &[("name", name), ("password", PASSWORD)],
            )
            .await;
        assert_eq!(reply.status, 303, "{name} cannot log in: {}", reply.text);
        browser
    }

    /// A browser nobody is logged in with.
    pub fn browser(&self) -> Browser {
        Browser::new(self.port)
    }

    /// Somebody who looks where metrics and health are answered.
    pub fn watcher(&self) -> Browser {
        let address = self.running.as_ref().and_then(Running::metrics_address);
        Browser::new(address.unwrap().port())
    }

    pub async fn setup_link(&self) -> Option<String> {
        setup::new_link(&self.app).await.unwrap()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.config.server.data_dir.clone()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What makes the program itself work on this site's data.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let accounts = &self.config.accounts;
        vec![
            (
                "SEEDBANK__SERVER__DATA_DIR",
                self.data_dir().display().to_string(),
            ),
            (
                "SEEDBANK__DATABASE__URL",
                self.config.database.url.0.clone(),
            ),
            (
                "SEEDBANK__ACCOUNTS__ARGON2_MEMORY_KIB",
                accounts.argon2_memory_kib.to_string(),
            ),
            (
                "SEEDBANK__ACCOUNTS__ARGON2_PASSES",
                accounts.argon2_passes.to_string(),
            ),
        ]
    }

    /// Stops in good order and starts again on the same data, on another port.
    pub async fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await.unwrap();
        }
        self.app.db.close().await;
        self.launch_again().await;
    }

    /// Starts again with another configuration.
    pub async fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.restart().await;
    }

    /// Ends at once, as `kill -9` would, and starts again.
    pub async fn kill_and_start(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill().await;
        }
        self.launch_again().await;
    }

    async fn launch_again(&mut self) {
        let (app, port, running) = launch(&self.config, &self.clock).await;
        self.app = app;
        self.port = port;
        self.running = Some(running);
    }

    pub async fn end(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await.unwrap();
        }
        self.app.db.close().await;
        self.database.remove().await;
    }
}

async fn launch(config: &Config, clock: &Clock) -> (web::Data<App>, u16, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = web::Data::new(App::build(config.clone(), clock.clone()).await.unwrap());
    let running = serve::start(&app, listener).unwrap();
    (app, port, running)
}
