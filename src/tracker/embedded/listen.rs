//! The tracker's own HTTP address (`tracker.listen`): announces and scrapes, and nothing else of the site.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App as Site, HttpResponse, HttpServer, web};
use anyhow::Context;

use crate::app::App;
use crate::routes;

/// Bound and not yet polled; `None` where the tracker has no address of its own.
pub fn start(app: &web::Data<App>, workers: usize) -> anyhow::Result<Option<Server>> {
    let config = &app.config;
    let inside = app.tracker.embedded().is_some();
    let Some(listen) = config.tracker.listen.0.filter(|_| inside) else {
        return Ok(None);
    };
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on; choose another with SEEDBANK__TRACKER__LISTEN")
    })?;
    let shared = app.clone();
    let server = HttpServer::new(move || {
        Site::new()
            .app_data(shared.clone())
            .configure(routes::clients)
            .default_service(web::to(elsewhere))
    })
    .workers(workers)
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(30))
    .shutdown_timeout(config.server.shutdown_timeout_s)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(Some(server))
}

async fn elsewhere() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/plain; charset=utf-8")
        .body("Torrent clients announce here; the site is elsewhere.\n")
}
