//! A site beside the same page from memory: `listing ADDRESS` serves the configured data directory, and under `/memory`
//! the listing as it was at first, rendered anew for each request. `benches/million.sh` compares the two.

use std::net::TcpListener;
use std::sync::OnceLock;

use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as Site, HttpResponse, HttpServer, web};
use anyhow::Context;
use seedbank::accounts::Viewer;
use seedbank::app::App;
use seedbank::clock::Clock;
use seedbank::config::Config;
use seedbank::error::{Error, Result};
use seedbank::torrents::browse::{self, Listed, ListingPage};
use seedbank::web::{errors, gate};
use seedbank::{jobs, routes};
use tokio::sync::watch;

// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static KEPT: OnceLock<Box<ListingPage>> = OnceLock::new();

async fn from_memory(viewer: Viewer) -> Result<HttpResponse> {
    if KEPT.get().is_none()
        && let Listed::Page(page) = browse::list(&viewer).await?
    {
        let _first = KEPT.set(page);
    }
    browse::show(&viewer, KEPT.get().ok_or(Error::NotFound)?)
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds an argument of its own.
    let address = std::env::args().skip(1).find(|a| a != "--bench");
    let listener = TcpListener::bind(address.context("usage: listing ADDRESS")?)?;
    // As the program has it: its threads wait for the database.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    actix_web::rt::System::with_tokio_rt(move || runtime).block_on(async {
        let app = web::Data::new(App::build(Config::load(None)?, Clock::system()).await?);
        let (stop, stopped) = watch::channel(false);
        let jobs = jobs::start(&app, &stopped);
        let shared = app.clone();
        // The site's own layers, as `serve` has them.
        let served = HttpServer::new(move || {
            Site::new().app_data(shared.clone()).service(
                web::scope("")
                    .wrap(from_fn(gate::guard))
                    .wrap(from_fn(errors::render_errors))
                    .wrap(Compress::default())
                    .wrap(from_fn(gate::watch))
                    .route("/memory", web::get().to(from_memory))
                    .configure(routes::pages),
            )
        })
        .listen(listener)?
        .run();
        let served = tokio::spawn(served).await?;
        stop.send(true)?;
        for job in jobs {
            job.await?;
        }
        Ok(served?)
    })
}
