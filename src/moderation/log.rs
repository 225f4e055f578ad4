//! The log: who did what to what, and why. Written in the transaction of the deed, never changed, never deleted.

use crate::clock::Timestamp;
use crate::db::{Conn, Tx};
use crate::ids::{CategoryId, InviteId, TagId, TorrentId, UserId};
use crate::web::pager::Seek;
use crate::{exec, on};

macro_rules! actions {
    ($($name:ident = $word:literal, $phrase:literal;)+) => {
        /// A deed: the word in the row, and how the page says it before the subject's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($name),+ }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            pub fn phrase(self) -> &'static str {
                match self { $(Self::$name => $phrase),+ }
            }
        }
    };
}

actions! {
    TorrentEdited = "torrent.edit", "edited the torrent";
    TorrentDeleted = "torrent.delete", "deleted the torrent";
    CategoryCreated = "category.create", "created the category";
    CategoryChanged = "category.change", "changed the category";
    CategoryMoved = "category.move", "moved the category";
    CategoryMerged = "category.merge", "merged the category";
    CategoryDeleted = "category.delete", "deleted the category";
    TagRenamed = "tag.rename", "renamed the tag";
    TagAliasAdded = "tag.alias", "added an alias to the tag";
    TagAliasRemoved = "tag.unalias", "removed an alias of the tag";
    TagMerged = "tag.merge", "merged the tag";
    TagDeleted = "tag.delete", "deleted the tag";
    UserCreated = "user.create", "created the account";
    RoleChanged = "user.role", "changed the role of";
    Banned = "user.ban", "banned";
    Unbanned = "user.unban", "lifted the ban of";
    PasswordReset = "user.password", "reset the password of";
    InviteCreated = "invite.create", "made an invitation:";
    InviteRevoked = "invite.revoke", "revoked the invitation:";
    SettingsChanged = "settings.change", "changed the settings";
}

/// What a deed was done to, with the name it had then.
#[derive(Clone, Debug)]
pub struct Subject {
    kind: &'static str,
    id: Option<i64>,
    name: String,
}

impl Subject {
    pub fn torrent(id: TorrentId, title: impl Into<String>) -> Self {
        Self::new("torrent", Some(id.0), title)
    }

    pub fn user(id: UserId, name: impl Into<String>) -> Self {
        Self::new("user", Some(id.0), name)
    }

    pub fn category(id: CategoryId, name: impl Into<String>) -> Self {
        Self::new("category", Some(id.0), name)
    }

    pub fn tag(id: TagId, name: impl Into<String>) -> Self {
        Self::new("tag", Some(id.0), name)
    }

    pub fn invite(id: InviteId, note: impl Into<String>) -> Self {
        Self::new("invite", Some(id.0), note)
    }

    pub fn settings() -> Self {
        Self::new("settings", None, "")
    }

    fn new(kind: &'static str, id: Option<i64>, name: impl Into<String>) -> Self {
        Self {
            kind,
            id,
            name: name.into(),
        }
    }
}

/// One deed.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Timestamp,
    /// `None` where the command line acted.
    pub actor: Option<UserId>,
    pub action: Action,
    pub subject: Subject,
    /// The reason given, or what changed to what; may be empty. Never a secret.
    pub reason: String,
}

pub async fn record(tx: &mut Tx, entry: &Entry) -> Result<(), sqlx::Error> {
    const SQL: &str = "insert into log_entries (at, actor_id, action, subject_kind, subject_id, subject_name, reason) \
        values ($1, $2, $3, $4, $5, $6, $7)";
    exec!(
        tx,
        SQL,
        entry.at,
        entry.actor,
        entry.action.as_str(),
        entry.subject.kind,
        entry.subject.id,
        entry.subject.name.as_str(),
        entry.reason.as_str()
    )
    .map(drop)
}

/// An entry as it was written, with the actor's name.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Logged {
    pub id: i64,
    pub at: Timestamp,
    pub actor_name: Option<String>,
    pub action: String,
    pub subject_kind: String,
    pub subject_id: Option<i64>,
    pub subject_name: String,
    pub reason: String,
    /// Whether the category is still there to be looked at.
    pub category_lives: bool,
}

/// Newest first, at most `limit`; backwards for `Seek::Before`.
pub async fn list(
    conn: &mut Conn,
    seek: &Seek<i64>,
    limit: i64,
) -> Result<Vec<Logged>, sqlx::Error> {
    const OLDER: &str = "select l.id, l.at, u.name as actor_name, l.action, l.subject_kind, l.subject_id, \
        l.subject_name, l.reason, c.id is not null as category_lives from log_entries l \
        left join users u on u.id = l.actor_id \
        left join categories c on l.subject_kind = 'category' and c.id = l.subject_id \
        where l.id < $1 order by l.id desc limit $2";
    const NEWER: &str = "select l.id, l.at, u.name as actor_name, l.action, l.subject_kind, l.subject_id, \
        l.subject_name, l.reason, c.id is not null as category_lives from log_entries l \
        left join users u on u.id = l.actor_id \
        left join categories c on l.subject_kind = 'category' and c.id = l.subject_id \
        where l.id > $1 order by l.id limit $2";
    let (sql, key) = match seek {
        Seek::First => (OLDER, i64::MAX),
        Seek::After(id) => (OLDER, *id),
        Seek::Before(id) => (NEWER, *id),
    };
    on!(conn, |c| sqlx::query_as(sql)
        .bind(key)
        .bind(limit)
        .fetch_all(c)
        .await)
}

pub async fn count(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    const SQL: &str = "select count(*) from log_entries";
    on!(conn, |c| sqlx::query_scalar(SQL).fetch_one(c).await)
}

#[cfg(test)]
mod tests {
    use super::Action;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        let mut words: Vec<_> = Action::ALL.iter().map(|a| a.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Action::ALL.len());
    }
}
