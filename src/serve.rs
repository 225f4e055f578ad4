//! Serving: the HTTP server and the background tasks around it, from start to an orderly stop.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as Site, HttpServer, web};
use anyhow::ensure;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::config;
use crate::metrics::server::{self as metrics, Serving};
use crate::tracker::embedded::listen;
use crate::web::{errors, gate};
use crate::{jobs, routes};

/// What tasks may take to write what they hold, beyond the time that requests have.
const FLUSH: Duration = Duration::from_secs(4);
/// And the database to close.
const CLOSE: Duration = Duration::from_millis(400);

/// A started site.
pub struct Running {
    app: web::Data<App>,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    /// The tracker's own HTTP address, where it has one.
    announcing: Option<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    metrics: Option<Serving>,
    stop: watch::Sender<bool>,
    jobs: Vec<JoinHandle<()>>,
}

/// Starts serving on `listener`; answers from the first moment on, background work follows.
pub fn start(app: &web::Data<App>, listener: TcpListener) -> anyhow::Result<Running> {
    let server = &app.config.server;
    let workers = match server.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    };
    if let Some(tracker) = app.tracker.embedded() {
        tracker.bind(&app.secrets)?;
    }
    let announcing = listen::start(app, workers)?;
    let metrics = match server.metrics_listen.0 {
        Some(address) => Some(metrics::start(app, address)?),
        None => None,
    };
    let shared = app.clone();
    let http = HttpServer::new(move || {
        Site::new()
            .app_data(shared.clone())
            .configure(routes::clients)
            .service(
                web::scope("")
                    // The last one wrapped is the first to see a request.
                    .wrap(from_fn(gate::guard))
                    .wrap(from_fn(errors::render_errors))
                    .wrap(Compress::default())
                    .wrap(from_fn(gate::watch))
                    .configure(routes::pages),
            )
    })
    .workers(workers)
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(30))
    .shutdown_timeout(server.shutdown_timeout_s)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = http.handle();
    let (stop, stopped) = watch::channel(false);
    Ok(Running {
        app: app.clone(),
        server: handle,
        serving: tokio::spawn(http),
        announcing: announcing.map(|http| (http.handle(), tokio::spawn(http))),
        metrics,
        jobs: jobs::start(app, &stopped),
        stop,
    })
}

/// The longest that [`Running::stop`] takes.
pub fn longest_stop(server: &config::Server) -> Duration {
    Duration::from_secs(server.drain_s + server.shutdown_timeout_s) + FLUSH + CLOSE
}

impl Running {
    /// Where `/metrics` is answered, if anywhere.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|serving| serving.address)
    }

    /// Is not ready any more, waits for balancers to notice, finishes running requests, lets every task write what
    /// it holds, closes the database. Clients that hang are cut off; an error says that something was not written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let server = &self.app.config.server;
        let last = Instant::now() + longest_stop(server) - CLOSE;
        self.app.begin_stopping();
        tokio::time::sleep(Duration::from_secs(server.drain_s)).await;
        let announcing = async {
            let Some((server, announced)) = self.announcing else {
                return Ok(Ok(()));
            };
            server.stop(true).await;
            announced.await
        };
        let ((), announced) = tokio::join!(self.server.stop(true), announcing);
        let served = self.serving.await;
        // Nobody listening means that every task has ended already.
        let _all_ended = self.stop.send(true);
        let mut unfinished = 0;
        for job in &mut self.jobs {
            match timeout_at(last, &mut *job).await {
                Ok(Ok(())) => {}
                // The others have something to write all the same.
                Ok(Err(error)) => {
                    tracing::error!(%error, "a background task broke off");
                    unfinished += 1;
                }
                Err(_) => {
                    job.abort();
                    unfinished += 1;
                }
            }
        }
        // What is still in use then is what just was given up.
        let _closed = tokio::time::timeout(CLOSE, self.app.db.close()).await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        ensure!(
            unfinished == 0,
            "{unfinished} background tasks did not write what they held"
        );
        announced??;
        Ok(served??)
    }

    /// Ends without a word to anybody, as `kill -9` would: for tests.
    pub async fn kill(self) {
        for job in &self.jobs {
            job.abort();
        }
        self.server.stop(false).await;
        self.serving.abort();
        if let Some((server, serving)) = self.announcing {
            server.stop(false).await;
            serving.abort();
        }
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
    }
}
