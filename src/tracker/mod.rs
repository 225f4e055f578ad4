//! What Seedbank asks of a tracker, whichever kind it is: an announce address, a torrent's numbers, and how it
//! feels. Pages go through [`Tracker`] and never wait for it: numbers come from our own tables or from memory.

pub mod chart;
pub mod embedded;
pub mod history;
pub mod queries;

use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::ids::TorrentId;
use embedded::Embedded;

#[derive(Clone)]
pub enum Tracker {
    /// Inside this process (the default).
    Embedded(Arc<Embedded>),
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
        })
    }

    /// The tracker inside, where that is the kind.
    pub fn embedded(&self) -> Option<&Embedded> {
        match self {
            Self::Embedded(tracker) => Some(tracker),
        }
    }

    pub fn health(&self) -> Health {
        match self {
            Self::Embedded(tracker) => tracker.health(),
        }
    }

    /// Does the tracker's work in the background until `stop` says true, and stores what it holds.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        match self {
            Self::Embedded(tracker) => tracker.clone().run(stop).await,
        }
    }
}
