//! The command line: `seedbank` serves; the other commands look after what it serves.

mod admin;
mod create;
mod demo;
mod demo_words;
mod health;
mod import;
mod search;
mod serve;
mod tracker;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use seedbank::accounts::passwords::Passwords;
use seedbank::clock::Clock;
use seedbank::config::{Config, LogFormat};
use seedbank::db::Db;
use seedbank::settings::{self, PrivateFlag};
use seedbank::torrents::publish::Intake;
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
    /// Ask the running site whether it is ready: ends with 0 or 1.
    Health,
    /// Bring the database up to date and stop.
    Migrate,
    /// Make an admin, change a role, give a new password.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Look after the companion tracker.
    #[command(subcommand)]
    Tracker(tracker::Command),
    /// Check the search index, or build it anew.
    #[command(subcommand)]
    Search(search::Command),
    /// Publish every .torrent below a folder.
    Import(import::Arguments),
    /// Fill the catalogue with made-up torrents, members and numbers, to look around in.
    Demo(demo::Arguments),
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
        Command::Health => health::run(&config()?),
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
        Command::Tracker(command) => {
            let config = config()?;
            log_to_stderr(&config, "warn")?;
            runtime(tracker::run(config, command))
        }
        Command::Search(command) => {
            let config = config()?;
            log_to_stderr(&config, "warn")?;
            runtime(search::run(config, command))
        }
        Command::Import(arguments) => {
            let config = config()?;
            log_to_stderr(&config, "warn")?;
            runtime(async move { import::run(&Site::open(&config).await?, &arguments).await })
        }
        Command::Demo(arguments) => {
            let config = config()?;
            log_to_stderr(&config, "warn")?;
            runtime(async move { demo::run(&Site::open(&config).await?, &arguments).await })
        }
        // Needs no site, so a broken configuration does not keep it from working.
        Command::Create(options) => create::run(&options),
    }
}

/// What commands need that publish beside a running site, which finds out by itself what they add.
struct Site {
    db: Db,
    clock: Clock,
    passwords: Passwords,
    intake: Intake,
    policy: PrivateFlag,
}

impl Site {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let (db, clock) = (open_database(config).await?, Clock::system());
        let settings = settings::queries::find(&mut db.read().await?).await?;
        Ok(Self {
            passwords: Passwords::new(&config.accounts)?,
            intake: Intake::new(db.clone(), clock.clone()),
            policy: settings.map_or(PrivateFlag::Any, |s| s.private_flag),
            db,
            clock,
        })
    }
}

/// The database alone, migrated: for commands that work beside a running site.
async fn open_database(config: &Config) -> anyhow::Result<Db> {
    let data_dir = &config.server.data_dir;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("creating the data directory {}", data_dir.display()))?;
    let db = Db::open(&config.database_url(), 2).await?;
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
