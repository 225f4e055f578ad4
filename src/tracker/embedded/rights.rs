//! Who may announce what: passkeys and infohashes in memory, following the database by revisions. Nothing here
//! depends on a request finishing: whatever was committed, by any process, is seen within a second.
//!
//! A torrent takes about 28 bytes for each of its hashes (`allowed`), a member about 100.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::allowed::{AllowList, Allowed};
use super::queries::{self, TorrentRow};
use super::request::ShortHash;
use super::swarm::Side;
use crate::accounts::queries::{AnnounceRight, announce_rights_after};
use crate::db::revisions::{self, Revision};
use crate::db::{Conn, Db};
use crate::ids::{TorrentId, UserId};

const BATCH: i64 = 1_000;
/// Torrents read at once at the start.
const LOAD: i64 = 5_000;

#[derive(Default)]
pub struct Rights {
    torrents: RwLock<Torrents>,
    members: RwLock<Members>,
    /// Up to where the database has been followed. Held while following: one at a time.
    seen: tokio::sync::Mutex<Seen>,
    went_back: AtomicBool,
}

struct Seen {
    catalogue: i64,
    /// The last torrent of that revision that was taken in.
    torrent: TorrentId,
    members: i64,
    /// What was read and not acted on yet: an error, or the end of who follows, may come between.
    revoked: Revoked,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            catalogue: 0,
            torrent: TorrentId(i64::MAX),
            members: 0,
            revoked: Revoked::default(),
        }
    }
}

#[derive(Default)]
struct Torrents {
    by_hash: AllowList,
}

#[derive(Default)]
struct Members {
    by_passkey: HashMap<Passkey, Right>,
    by_id: HashMap<UserId, Passkey>,
}

/// The 128 bits of a passkey.
pub type Passkey = u128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    May(UserId),
    Banned,
    Replaced,
}

/// What a hash stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Yes(TorrentId, Side),
    Deleted,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Member(UserId),
    Banned,
    /// It was somebody's, and is not any more.
    Replaced,
    /// Nobody's, or replaced before this process began.
    Unknown,
}

/// What following found that swarms must forget.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    pub torrents: Vec<TorrentId>,
    pub members: Vec<UserId>,
}

impl Rights {
    pub fn torrent(&self, hash: &ShortHash) -> Registered {
        match self.torrents.read().by_hash.get(hash) {
            Some(found) if found.deleted => Registered::Deleted,
            Some(found) => Registered::Yes(found.torrent, found.side),
            None => Registered::Unknown,
        }
    }

    pub fn holder(&self, passkey: Passkey) -> Holder {
        match self.members.read().by_passkey.get(&passkey).copied() {
            Some(Right::May(id)) => Holder::Member(id),
            Some(Right::Banned) => Holder::Banned,
            Some(Right::Replaced) => Holder::Replaced,
            None => Holder::Unknown,
        }
    }

    pub fn torrents(&self) -> usize {
        self.torrents.read().by_hash.len()
    }

    /// Whether the database was found to be of an earlier time, since this was last asked.
    pub fn database_went_back(&self) -> bool {
        self.went_back.swap(false, Ordering::Relaxed)
    }

    /// Takes in what was committed since the last time, in batches, and hands to `act` what that takes away. Whatever
    /// was read is acted on, also when reading on fails.
    pub async fn follow(&self, db: &Db, act: impl FnOnce(Revoked)) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().await;
        let outcome = self.read_on(db, &mut seen).await;
        act(std::mem::take(&mut seen.revoked));
        outcome
    }

    async fn read_on(&self, db: &Db, seen: &mut Seen) -> anyhow::Result<()> {
        let mut conn = db.read().await?;
        let catalogue = revisions::current(&mut conn, Revision::Catalogue).await?;
        let members = revisions::current(&mut conn, Revision::Members).await?;
        if catalogue < seen.catalogue || members < seen.members {
            // A backup was put back under us: all that is known is of another time.
            tracing::warn!("the database went back in time; the tracker reads everything again");
            *seen = Seen {
                revoked: std::mem::take(&mut seen.revoked),
                ..Seen::default()
            };
            *self.torrents.write() = Torrents::default();
            *self.members.write() = Members::default();
            self.went_back.store(true, Ordering::Relaxed);
        }
        if seen.catalogue == 0 {
            self.load_torrents(&mut conn).await?;
            (seen.catalogue, seen.torrent) = (catalogue, TorrentId(i64::MAX));
        }
        if catalogue > seen.catalogue {
            self.follow_torrents(&mut conn, seen).await?;
            // Revisions that stamped no torrent. Their order is commit order: nothing older can still appear.
            if catalogue > seen.catalogue {
                (seen.catalogue, seen.torrent) = (catalogue, TorrentId(i64::MAX));
            }
        }
        if members > seen.members {
            self.follow_members(&mut conn, seen).await?;
            seen.members = seen.members.max(members);
        }
        Ok(())
    }

    /// The whole catalogue, by id. What is committed meanwhile has a higher revision, and is followed.
    async fn load_torrents(&self, conn: &mut Conn) -> anyhow::Result<()> {
        let mut id = TorrentId(0);
        while let Some((last, rows)) = queries::torrents_by_id(conn, id, LOAD).await? {
            id = last;
            // Nobody is in a swarm yet.
            self.torrents.write().take(&rows, &mut Revoked::default());
        }
        Ok(())
    }

    async fn follow_torrents(&self, conn: &mut Conn, seen: &mut Seen) -> anyhow::Result<()> {
        loop {
            let rows = queries::torrents_after(conn, seen.catalogue, seen.torrent, BATCH).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            (seen.catalogue, seen.torrent) = (last.revision, last.id);
            self.torrents.write().take(&rows, &mut seen.revoked);
        }
    }

    async fn follow_members(&self, conn: &mut Conn, seen: &mut Seen) -> anyhow::Result<()> {
        loop {
            let rows = announce_rights_after(conn, seen.members, BATCH).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            seen.members = last.revision;
            self.members.write().take(&rows, &mut seen.revoked);
        }
    }
}

impl Torrents {
    fn take(&mut self, rows: &[TorrentRow], revoked: &mut Revoked) {
        for row in rows {
            let v1 = row.infohash_v1.as_deref().and_then(short);
            let v2 = row.infohash_v2.as_deref().and_then(short);
            let hashes = [(v1, Side::V1), (v2, Side::V2)];
            for (hash, side) in hashes {
                let Some(hash) = hash else { continue };
                let held = self.by_hash.get(&hash);
                // A deleted torrent's hash may live on in a newer one.
                if !row.allowed && held.is_some_and(|h| h.torrent != row.id && !h.deleted) {
                    continue;
                }
                let allowed = Allowed {
                    torrent: row.id,
                    side,
                    deleted: !row.allowed,
                };
                self.by_hash.insert(&hash, allowed);
            }
            if !row.allowed {
                revoked.torrents.push(row.id);
            }
        }
    }
}

impl Members {
    fn take(&mut self, rows: &[AnnounceRight], revoked: &mut Revoked) {
        for row in rows {
            let Some(key) = parse(&row.passkey) else {
                tracing::error!(member = %row.id, "the stored passkey is not 32 hexadecimal digits; reset it");
                continue;
            };
            let old = self.by_id.insert(row.id, key);
            let replaced = old.filter(|old| *old != key);
            if let Some(old) = replaced {
                self.by_passkey.insert(old, Right::Replaced);
            }
            let right = match row.banned {
                true => Right::Banned,
                false => Right::May(row.id),
            };
            self.by_passkey.insert(key, right);
            if row.banned || replaced.is_some() {
                revoked.members.push(row.id);
            }
        }
    }
}

/// v1 as it is, v2 cut to its first 20 bytes.
fn short(hash: &[u8]) -> Option<ShortHash> {
    hash.get(..20)?.try_into().ok()
}

/// 32 lower-case hexadecimal digits; `None` is nobody's passkey.
pub fn parse(passkey: &str) -> Option<Passkey> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if passkey.len() != 32 || !passkey.bytes().all(plain) {
        return None;
    }
    u128::from_str_radix(passkey, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torrent(id: i64, allowed: bool, v1: Option<u8>, v2: Option<u8>) -> TorrentRow {
        TorrentRow {
            id: TorrentId(id),
            revision: 1,
            allowed,
            infohash_v1: v1.map(|b| vec![b; 20]),
            infohash_v2: v2.map(|b| vec![b; 32]),
        }
    }

    fn member(id: i64, passkey: &str, banned: bool) -> AnnounceRight {
        AnnounceRight {
            id: UserId(id),
            passkey: passkey.repeat(32),
            banned,
            revision: 1,
        }
    }

    #[test]
    fn both_hashes_lead_to_one_torrent() {
        let rights = Rights::default();
        let mut revoked = Revoked::default();
        rights
            .torrents
            .write()
            .take(&[torrent(7, true, Some(1), Some(2))], &mut revoked);
        assert_eq!(
            rights.torrent(&[1; 20]),
            Registered::Yes(TorrentId(7), Side::V1)
        );
        assert_eq!(
            rights.torrent(&[2; 20]),
            Registered::Yes(TorrentId(7), Side::V2)
        );
        assert_eq!(rights.torrent(&[3; 20]), Registered::Unknown);
        assert_eq!(revoked, Revoked::default());
    }

    #[test]
    fn deletion_bites_and_a_new_upload_of_the_same_hash_lives() {
        let rights = Rights::default();
        let mut revoked = Revoked::default();
        let mut take = |row| rights.torrents.write().take(&[row], &mut revoked);
        take(torrent(7, true, Some(1), None));
        take(torrent(7, false, Some(1), None));
        assert_eq!(rights.torrent(&[1; 20]), Registered::Deleted);
        take(torrent(8, true, Some(1), None));
        // The old row is stamped again, when its blob goes.
        take(torrent(7, false, Some(1), None));
        assert_eq!(
            rights.torrent(&[1; 20]),
            Registered::Yes(TorrentId(8), Side::V1)
        );
        assert_eq!(revoked.torrents, [TorrentId(7), TorrentId(7)]);
    }

    #[test]
    fn passkeys_bans_and_resets() {
        let rights = Rights::default();
        let mut revoked = Revoked::default();
        let mut take = |row| rights.members.write().take(&[row], &mut revoked);
        let holder = |digit: &str| rights.holder(parse(&digit.repeat(32)).unwrap());
        take(member(1, "a", false));
        take(member(2, "b", false));
        assert_eq!(holder("a"), Holder::Member(UserId(1)));
        assert_eq!(parse(&"A".repeat(32)), None);
        assert_eq!(parse("a"), None);
        assert_eq!(parse(&format!("+{}", "a".repeat(31))), None);
        take(member(1, "c", false));
        assert_eq!(holder("a"), Holder::Replaced);
        assert_eq!(holder("c"), Holder::Member(UserId(1)));
        take(member(2, "b", true));
        assert_eq!(holder("b"), Holder::Banned);
        take(member(2, "b", false));
        assert_eq!(holder("b"), Holder::Member(UserId(2)));
        assert_eq!(revoked.members, [UserId(1), UserId(2)]);
    }
}
