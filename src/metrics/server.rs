//! `server.metrics_listen`: `/metrics` and `/health/*` on an address of their own, which nobody but the operator's
//! network should reach. One thread; it is the last to stop, so that a stop can be watched.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App as Site, HttpResponse, HttpServer, web};
use anyhow::Context;
use tokio::task::JoinHandle;

use super::{gather, text};
use crate::app::App;
use crate::health;

pub struct Serving {
    pub address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

pub fn start(app: &web::Data<App>, address: SocketAddr) -> anyhow::Result<Serving> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!(
            "{address} cannot be listened on; choose another with SEEDBANK__SERVER__METRICS_LISTEN"
        )
    })?;
    let address = listener.local_addr()?;
    let shared = app.clone();
    let http = HttpServer::new(move || {
        Site::new()
            .app_data(shared.clone())
            .route("/metrics", web::get().to(metrics))
            .route("/health/live", web::get().to(health::live))
            .route("/health/ready", web::get().to(health::ready))
    })
    .workers(1)
    .client_request_timeout(Duration::from_secs(5))
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(Serving {
        address,
        handle: http.handle(),
        task: tokio::spawn(http),
    })
}

impl Serving {
    /// Ends at once: nothing here is worth waiting for.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        self.task.abort();
    }
}

async fn metrics(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, text::CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(gather(&app).await)
}
