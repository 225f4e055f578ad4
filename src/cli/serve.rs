//! `seedbank serve`: from the bound port to an orderly stop.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::web;
use anyhow::Context;
use seedbank::accounts::setup;
use seedbank::app::App;
use seedbank::clock::Clock;
use seedbank::config::Config;
use seedbank::{data_dir, serve};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Beyond what a stop may take: then the process ends however it stands.
const OVERTIME: Duration = Duration::from_millis(300);

pub async fn run(config: Config) -> anyhow::Result<()> {
    // First of all: whoever sees the port open may ask for a stop.
    let mut signals = Signals::listen()?;
    let _held = data_dir::hold(&config.server.data_dir)?;
    let listen = config.server.listen;
    // Bound before anything is opened: a port in use is said before the database is touched.
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on; choose another with SEEDBANK__SERVER__LISTEN")
    })?;
    let address = shown(listener.local_addr()?);
    let longest_stop = serve::longest_stop(&config.server);
    let app = tokio::select! {
        built = App::build(config, Clock::system()) => web::Data::new(built?),
        // Nothing is served yet, and a migration that is left is none.
        () = signals.next() => return Ok(()),
    };
    // Said in one breath with the address, so it is made before anybody can see the port answer.
    let link = setup::new_link(&app).await?;
    let running = serve::start(&app, listener)?;
    println!(
        "Seedbank {} serves http://{address}",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(metrics) = running.metrics_address() {
        println!("Metrics and health: http://{metrics}/metrics");
    }
    if let Some(link) = link {
        println!("Set it up (this link works once): http://{address}{link}");
    }
    let mut lost = app.lost.subscribe();
    let lost = tokio::select! {
        () = signals.next() => None,
        lost = lost.wait_for(Option::is_some) => lost?.clone(),
    };
    println!("Stopping.");
    end_after(longest_stop + OVERTIME);
    tokio::select! {
        stopped = running.stop() => stopped?,
        () = signals.next() => {
            eprintln!("Stopping at once: what was running is cut off.");
            std::process::exit(1);
        }
    }
    if let Some(why) = lost {
        anyhow::bail!(why);
    }
    // All is written and closed. Returning would wait for threads that still hash what a client left behind.
    std::process::exit(0);
}

/// A thread of its own, so that whatever holds up the others does not hold up the end.
fn end_after(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        eprintln!("The stop takes longer than {limit:?}; ending it.");
        std::process::exit(1);
    });
}

/// The address as somebody on this machine can open it: `0.0.0.0` is none.
fn shown(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// SIGTERM, and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
