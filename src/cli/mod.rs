//! The command line: `seedbank` serves; the other commands look after what it serves.

mod admin;
mod create;
mod serve;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use seedbank::config::{Config, LogFormat};
use seedbank::db::Db;
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
    /// Make an admin, change a role, give a new password.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Make a .torrent from a file or folder.
    Create(create::Arguments),
}

pub fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = || Config::load(arguments.config.as_deref());
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let config = config()?;
            log_to_stderr(&config, &config.log.filter)?;
            runtime(serve::run(config))
        }
        Command::Config => {
            print!("{}", config()?.masked()?);
            Ok(())
        }
        Command::Migrate => {
            let config = config()?;
            log_to_stderr(&config, &config.log.filter)?;
            runtime(async move {
                open_database(&config).await?.close().await;
                println!("The database is up to date.");
                Ok(())
            })
        }
        Command::Admin(command) => {
            let config = config()?;
            log_to_stderr(&config, "warn")?;
            runtime(admin::run(config, command))
        }
        // Needs no site, so a broken configuration does not keep it from working.
        Command::Create(options) => create::run(&options),
    }
}

/// The database alone, migrated: for commands that work beside a running site.
async fn open_database(config: &Config) -> anyhow::Result<Db> {
    let data_dir = &config.server.data_dir;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("creating the data directory {}", data_dir.display()))?;
    let db = Db::open(&config.database_url(), 1).await?;
    db.migrate().await?;
    Ok(db)
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

fn log_to_stderr(config: &Config, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("log.filter")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
