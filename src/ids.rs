//! Row ids as types of their own: a member's id where a torrent's belongs does not compile.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids!(
    /// `users.id`
    UserId,
    /// `torrents.id`
    TorrentId,
    /// `categories.id`
    CategoryId,
    /// `tags.id`
    TagId,
    /// `invites.id`
    InviteId,
    /// `saved_searches.id`
    SavedId,
);
