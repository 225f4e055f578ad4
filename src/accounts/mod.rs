//! Accounts: who somebody is and what they may do. Users, passwords, sessions, invitations, roles, and the
//! extractors that every handler takes its rights from. Imports no other feature but the settings it obeys.

pub mod extract;
pub mod feed_keys;
pub mod invites;
pub mod jwt;
pub mod login;
pub mod password;
pub mod passwords;
pub mod queries;
pub mod register;
pub mod sessions;
pub mod setup;
pub mod theme;
pub mod throttle;

pub use extract::{Admin, Downloader, Member, Moderator, Uploader, Viewer, Visit};
pub use feed_keys::{FeedReader, LinkHolder};

use serde::Serialize;

/// In rising order: each may what the one before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Member,
    Uploader,
    Moderator,
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Member, Self::Uploader, Self::Moderator, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Uploader => "uploader",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "Choose one of: member, uploader, moderator, admin.".to_owned())
    }
}

/// A member's name as typed once and shown for ever: 2 to 32 letters, digits, `_`, `-`, `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let length = text.chars().count();
        if !(2..=32).contains(&length) {
            return Err("A name has 2 to 32 characters.".to_owned());
        }
        // One script that nobody can mistake for another: a look-alike name is an attack on the others.
        if !text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        {
            return Err(
                "A name is made of the letters a to z, digits, and _ - . between them.".to_owned(),
            );
        }
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !edge(text.chars().next()) || !edge(text.chars().last()) {
            return Err("A name starts and ends with a letter or a digit.".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn folded(&self) -> String {
        fold_name(&self.0)
    }
}

/// How names are compared.
pub fn fold_name(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(UserName::parse(" Ann.B-1 ").unwrap().folded(), "ann.b-1");
        for wrong in [
            "",
            "a",
            "<b>",
            "a b",
            "-ab",
            "ab.",
            "аdmin",
            &"x".repeat(33),
        ] {
            assert!(UserName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_are_a_ladder() {
        assert!(Role::Admin > Role::Moderator && Role::Uploader > Role::Member);
        assert_eq!("moderator".parse(), Ok(Role::Moderator));
        assert!("root".parse::<Role>().is_err());
    }
}
