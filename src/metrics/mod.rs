//! Metrics: what the site counts about itself, as text for Prometheus on an address of its own (`server`).
//! [`gather`] lists the sources; a source is a `measure(&mut Page)` beside what it measures.

pub mod process;
pub mod requests;
pub mod server;
pub mod text;

use std::time::{Duration, Instant};

use crate::app::App;
use crate::bittorrent::metainfo::Rule;
use crate::clock::Timestamp;
use crate::counters::{Counter, Tally};
use crate::db::Db;
use crate::routes::ROUTES;
use crate::search::{Search, queries};
use requests::Requests;
use text::Page;

/// How long the database may take to say how far the catalogue is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is counted where it happens.
pub struct Metrics {
    pub requests: Requests,
    /// .torrents that were sent: added, known already, refused.
    pub uploads: Tally,
    /// By [`Rule::slug`], or the site's own reason.
    pub uploads_refused: Tally,
    /// .torrents that were handed out.
    pub downloads: Counter,
    pub logins_failed: Tally,
    /// Turns of background jobs that failed, by the job's name.
    pub jobs_failed: Tally,
    started_at: Timestamp,
    started: Instant,
}

impl Metrics {
    pub fn new(now: Timestamp) -> Self {
        let of_the_site = ["private-flag", "not-stored"];
        Self {
            requests: Requests::new(ROUTES.iter().map(|route| route.pattern)),
            uploads: Tally::of(["added", "known", "refused"]),
            uploads_refused: Tally::of(Rule::ALL.map(Rule::slug).into_iter().chain(of_the_site)),
            downloads: Counter::default(),
            logins_failed: Tally::of(["wrong", "banned", "too-many"]),
            jobs_failed: Tally::default(),
            started_at: now,
            started: Instant::now(),
        }
    }

    fn measure(&self, page: &mut Page) {
        self.requests.measure(page);
        tally(
            page.counter(
                "seedbank_uploads_total",
                "Uploaded .torrents by what came of them.",
            ),
            "outcome",
            &self.uploads,
        );
        tally(
            page.counter(
                "seedbank_uploads_refused_total",
                "Refused .torrents by the rule they break.",
            ),
            "reason",
            &self.uploads_refused,
        );
        page.counter("seedbank_downloads_total", "Handed out .torrents.")
            .sample(&[], self.downloads.get());
        tally(
            page.counter("seedbank_logins_failed_total", "Refused log-ins by reason."),
            "reason",
            &self.logins_failed,
        );
        tally(
            page.counter(
                "seedbank_job_failures_total",
                "Failed turns of background jobs; each is tried again.",
            ),
            "job",
            &self.jobs_failed,
        );
        page.gauge(
            "process_start_time_seconds",
            "When the process started, in unix seconds.",
        )
        .sample(&[], self.started_at.0);
        page.gauge("seedbank_uptime_seconds", "Seconds since then.")
            .sample(&[], self.started.elapsed().as_secs());
    }
}

/// The whole page: every source there is, one after the other.
pub async fn gather(app: &App) -> String {
    let mut page = Page::default();
    of_the_build(&mut page, app);
    app.metrics.measure(&mut page);
    of_the_database(&mut page, &app.db);
    of_the_search(&mut page, &app.db, &app.search).await;
    app.tracker.measure(&mut page, app.clock.now());
    process::measure(&mut page);
    page.finish()
}

fn of_the_build(page: &mut Page, app: &App) {
    let database = if app.db.is_sqlite() {
        "sqlite"
    } else {
        "postgres"
    };
    page.gauge("seedbank_build_info", "What runs here; always 1.")
        .sample(
            &[
                ("version", env!("CARGO_PKG_VERSION")),
                ("database", database),
            ],
            1,
        );
    page.gauge(
        "seedbank_stopping",
        "1 from the signal to stop on, while running requests finish.",
    )
    .sample(&[], u8::from(app.is_stopping()));
}

fn of_the_database(page: &mut Page, db: &Db) {
    let waits = db.waits();
    page.histogram(
        "seedbank_db_wait_seconds",
        "Time until a connection to read, or a transaction to write, was there.",
    )
    .durations(&[("for", "read")], &waits.read.read())
    .durations(&[("for", "write")], &waits.write.read());
    page.counter(
        "seedbank_db_wait_failures_total",
        "Times that none was there in the end.",
    )
    .sample(&[("for", "read")], waits.read_failed.get())
    .sample(&[("for", "write")], waits.write_failed.get());
    let pools = db.pools();
    let mut family = page.gauge("seedbank_db_connections", "Open connections by pool.");
    for pool in &pools {
        family.sample(&[("pool", pool.name)], pool.open);
    }
    let mut family = page.gauge("seedbank_db_connections_idle", "Those that nobody uses.");
    for pool in &pools {
        family.sample(&[("pool", pool.name)], pool.idle);
    }
    let mut family = page.gauge("seedbank_db_connections_max", "How many there may be.");
    for pool in &pools {
        family.sample(&[("pool", pool.name)], pool.most);
    }
}

async fn of_the_search(page: &mut Page, db: &Db, search: &Search) {
    page.gauge("seedbank_search_documents", "Torrents that can be found.")
        .sample(&[], search.documents());
    page.counter(
        "seedbank_search_failures_total",
        "Times that the index could not follow the catalogue; each is tried again.",
    )
    .sample(&[], search.failures());
    page.gauge(
        "seedbank_search_building",
        "1 while the index is being built and results are not complete.",
    )
    .sample(&[], u8::from(search.progress().is_some()));
    // Before the question, or what is committed in between would look like being ahead.
    let followed = search.followed();
    let head = async { queries::head(&mut db.read().await?).await };
    let head = tokio::time::timeout(PATIENCE, head).await;
    let answered = matches!(head, Ok(Ok(_)));
    page.gauge(
        "seedbank_db_up",
        "Whether the database answered a question within a second just now.",
    )
    .sample(&[], u8::from(answered));
    // What is not known is left out: it is not zero.
    if let (Ok(Ok((_, head))), Some(followed)) = (head, followed) {
        page.gauge(
            "seedbank_search_lag_revisions",
            "Changes of the catalogue that cannot be found yet.",
        )
        .sample(&[], (head - followed).max(0));
    }
}

fn tally(mut family: text::Family, label: &'static str, counted: &Tally) {
    for (word, n) in counted.read() {
        family.sample(&[(label, word)], n);
    }
}
