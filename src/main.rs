//! The command line: `seedbank` serves; the other commands look after what it serves.

use std::net::TcpListener;
use std::path::PathBuf;

use actix_web::web;
use anyhow::Context;
use clap::{Parser, Subcommand};
use seedbank::accounts::setup;
use seedbank::app::App;
use seedbank::clock::Clock;
use seedbank::config::{Config, LogFormat};
use seedbank::serve;
use tracing_subscriber::EnvFilter;

/// Seedbank: a torrent index with a tracker inside.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration file; `seedbank.toml` in this directory unless named.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the site and the tracker (the default).
    Serve,
    /// Print the effective configuration, secrets masked.
    Config,
    /// Bring the database up to date and stop.
    Migrate,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load(arguments.config.as_deref())?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Config => {
            print!("{}", config.masked()?);
            Ok(())
        }
        Command::Serve => {
            log_to_stderr(&config)?;
            runtime(serve(config))
        }
        Command::Migrate => {
            log_to_stderr(&config)?;
            runtime(async {
                App::build(config, Clock::system()).await?.db.close().await;
                println!("The database is up to date.");
                Ok(())
            })
        }
    }
}

fn runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    actix_web::rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("no threads to run on: {error}"))
    })
    .block_on(work)
}

fn log_to_stderr(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.filter).context("log.filter")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let listen = config.server.listen;
    // Bound first: a port in use is said before anything is touched.
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("{listen} cannot be listened on; choose another with SEEDBANK__SERVER__LISTEN")
    })?;
    let address = listener.local_addr()?;
    let app = web::Data::new(App::build(config, Clock::system()).await?);
    let running = serve::start(&app, listener)?;
    println!(
        "Seedbank {} serves http://{address}",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(link) = setup::new_link(&app).await? {
        println!("Set it up (this link works once): http://{address}{link}");
    }
    stop_signal().await?;
    println!("Stopping.");
    running.stop().await?;
    app.db.close().await;
    Ok(())
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
