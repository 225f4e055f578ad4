//! Serving: the HTTP server and the background tasks around it, from start to an orderly stop.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as Site, HttpServer, web};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::tracker::embedded::listen;
use crate::web::{errors, gate};
use crate::{jobs, routes};

/// A started site.
pub struct Running {
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    /// The tracker's own HTTP address, where it has one.
    announcing: Option<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
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
        server: handle,
        serving: tokio::spawn(http),
        announcing: announcing.map(|http| (http.handle(), tokio::spawn(http))),
        jobs: jobs::start(app, &stopped),
        stop,
    })
}

impl Running {
    /// Finishes running requests, then lets every task write what it holds.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.stop(true).await;
        self.serving.await??;
        if let Some((server, serving)) = self.announcing {
            server.stop(true).await;
            serving.await??;
        }
        // Nobody listening means that every task has ended already.
        let _all_ended = self.stop.send(true);
        for job in self.jobs {
            job.await?;
        }
        Ok(())
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
    }
}
