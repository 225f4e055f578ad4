//! `seedbank serve`: from the bound port to an orderly stop.

use std::net::{SocketAddr, TcpListener};

use actix_web::web;
use anyhow::Context;
use seedbank::accounts::setup;
use seedbank::app::App;
use seedbank::clock::Clock;
use seedbank::config::Config;
use seedbank::serve;

pub async fn run(config: Config) -> anyhow::Result<()> {
    let listen = config.server.listen;
    // Bound first: a port in use is said before anything is touched.
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on; choose another with SEEDBANK__SERVER__LISTEN")
    })?;
    let address = shown(listener.local_addr()?);
    let app = web::Data::new(App::build(config, Clock::system()).await?);
    let running = serve::start(&app, listener)?;
    println!(
        "Seedbank {} serves http://{address}",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(link) = setup::new_link(&app).await? {
        println!("Set it up (this link works once): http://{address}{link}");
    }
    let mut lost = app.lost.subscribe();
    let lost = tokio::select! {
        signal = stop_signal() => { signal?; None }
        lost = lost.wait_for(Option::is_some) => lost?.clone(),
    };
    println!("Stopping.");
    running.stop().await?;
    app.db.close().await;
    match lost {
        Some(why) => anyhow::bail!(why),
        None => Ok(()),
    }
}

/// The address as somebody on this machine can open it: `0.0.0.0` is none.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// SIGTERM, or Ctrl-C.
async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        done = tokio::signal::ctrl_c() => done?,
    }
    Ok(())
}
