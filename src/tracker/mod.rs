//! What Seedbank asks of a tracker, whichever kind it is: an announce address, a torrent's numbers, and how it
//! feels. Pages go through [`Tracker`] and never wait for it: numbers come from our own tables or from memory.

pub mod chart;
pub mod embedded;
pub mod history;
mod measure;
pub mod pages;
pub mod queries;
pub mod seat;
pub mod torrust;

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::config::{self, TrackerKind};
use crate::db::{Conn, Db};
use crate::ids::{TorrentId, UserId};
use crate::outbox;
use crate::search;
use crate::settings::Settings;
use embedded::Embedded;
use torrust::Torrust;

#[derive(Clone)]
pub enum Tracker {
    /// Inside this process (the default).
    Embedded(Arc<Embedded>),
    /// Another program, told and asked through its API.
    Torrust(Arc<Torrust>),
    /// Trackers of others, which know nothing of this site: their announce URLs.
    Public(Vec<String>),
}

impl Tracker {
    /// The tracker of the configuration, which shows in `numbers` what it stores; what was kept for a companion is let
    /// go where there is none any more.
    pub async fn open(
        db: &Db,
        clock: &Clock,
        config: &config::Tracker,
        numbers: &Arc<search::Numbers>,
        settings: impl Fn() -> Arc<Settings> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let mut tx = db.write().await?;
        match config.kind {
            TrackerKind::Torrust => {
                torrust::queries::engage(&mut tx, config.listed, config.private).await?;
            }
            TrackerKind::Embedded | TrackerKind::None => {
                torrust::queries::dismiss(&mut tx).await?;
            }
        }
        tx.commit().await?;
        let (db, clock, config) = (db.clone(), clock.clone(), config.clone());
        Ok(match config.kind {
            TrackerKind::Embedded => {
                let numbers = numbers.clone();
                Self::Embedded(Embedded::open(db, clock, config, numbers, settings).await?)
            }
            TrackerKind::Torrust => Self::Torrust(Arc::new(Torrust::new(db, clock, config)?)),
            TrackerKind::None => Self::Public(config.announce_urls),
        })
    }
}

/// The numbers of a torrent's swarm and when they were true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Numbers {
    pub seeders: i64,
    pub leechers: i64,
    /// Once per member and torrent; never falls.
    pub completed: i64,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// Something does not work; it goes on with what it knows.
    Ailing {
        since: Timestamp,
        why: String,
    },
}

impl Tracker {
    /// Where a member's clients announce, with the passkey, or guests', without one. The first is the one to name
    /// where there is room for one only.
    pub fn announce_urls(&self, base_url: &str, passkey: Option<&str>) -> Vec<String> {
        match self {
            Self::Embedded(tracker) => tracker.announce_urls(base_url, passkey),
            Self::Torrust(tracker) => tracker.announce_urls(passkey),
            Self::Public(urls) => urls.clone(),
        }
    }

    /// A torrent's numbers, as fresh as they can be had without waiting; `None` while nothing is known.
    pub async fn numbers(
        &self,
        conn: &mut Conn,
        torrent: TorrentId,
    ) -> Result<Option<Numbers>, sqlx::Error> {
        let stored = queries::numbers_of(conn, torrent).await?;
        Ok(match self {
            Self::Embedded(tracker) => tracker.refreshed(torrent, stored),
            Self::Torrust(tracker) => stored.map(|numbers| tracker.confirmed(numbers)),
            Self::Public(_) => stored,
        })
    }

    /// Whether the tracker has yet to learn of this torrent.
    pub async fn awaits(&self, conn: &mut Conn, torrent: TorrentId) -> Result<bool, sqlx::Error> {
        match self {
            Self::Torrust(_) => outbox::queries::awaits(conn, torrent).await,
            Self::Embedded(_) | Self::Public(_) => Ok(false),
        }
    }

    /// Whether the tracker has yet to learn of this member's passkey.
    pub async fn awaits_passkey(
        &self,
        conn: &mut Conn,
        member: UserId,
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Torrust(_) => outbox::queries::awaits_passkey(conn, member).await,
            Self::Embedded(_) | Self::Public(_) => Ok(false),
        }
    }

    /// Whether it tells what each member moved.
    pub fn counts_bytes(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// Whether members announce with passkeys.
    pub fn knows_members(&self) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Torrust(tracker) => tracker.is_private(),
            Self::Public(_) => false,
        }
    }

    /// The tracker inside, where that is the kind.
    pub fn embedded(&self) -> Option<&Embedded> {
        match self {
            Self::Embedded(tracker) => Some(tracker),
            Self::Torrust(_) | Self::Public(_) => None,
        }
    }

    /// The companion, where that is the kind.
    pub fn torrust(&self) -> Option<&Torrust> {
        match self {
            Self::Torrust(tracker) => Some(tracker),
            Self::Embedded(_) | Self::Public(_) => None,
        }
    }

    pub fn health(&self) -> Health {
        match self {
            Self::Embedded(tracker) => tracker.health(),
            Self::Torrust(tracker) => tracker.health(),
            Self::Public(_) => Health::Well,
        }
    }

    /// Does the tracker's work in the background until `stop` says true, and stores what it holds.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        match self {
            Self::Embedded(tracker) => tracker.clone().run(stop).await,
            Self::Torrust(tracker) => tracker.run(stop).await,
            Self::Public(_) => {}
        }
    }
}
