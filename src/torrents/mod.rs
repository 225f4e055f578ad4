//! Torrents: publishing them, their pages, their download. What a .torrent is stands in `bittorrent`.
//!
//! `publish` is the one way in, for the form, for batches, for `seedbank import` and for the demo.

pub mod asked;
pub mod browse;
pub mod cache;
pub mod delete;
pub mod download;
pub mod downloads;
pub mod edit;
pub mod fields;
mod help;
pub mod listing;
mod nothing;
mod pager;
pub mod publish;
pub mod queries;
pub mod show;
pub mod tools;
pub mod upload;

use crate::accounts::Visit;
use crate::ids::{TorrentId, UserId};

/// The longest title, in characters.
pub const TITLE_CHARS: usize = 300;
/// The longest description, in bytes.
pub const DESCRIPTION_BYTES: usize = 64 * 1024;

/// What the listing calls a torrent: one line of text, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

impl Title {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("Give the torrent a title.".to_owned());
        }
        if text.chars().count() > TITLE_CHARS {
            return Err(format!("A title has at most {TITLE_CHARS} characters."));
        }
        if text.chars().any(char::is_control) {
            return Err("A title is one line without control characters.".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// A title from a torrent's name, which is valid but for its length.
    pub fn of_name(name: &str) -> Self {
        let clean: String = name
            .chars()
            .filter(|c| !c.is_control())
            .take(TITLE_CHARS)
            .collect();
        let clean = clean.trim();
        Self(if clean.is_empty() {
            "unnamed".to_owned()
        } else {
            clean.to_owned()
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The torrent's page: its id decides, the words after it are for people.
pub fn url(id: TorrentId, title: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    const MOST: usize = 36;
    let mut slug = String::with_capacity(MOST);
    for c in title.nfkd() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty()
            && !slug.ends_with('-')
            && !unicode_normalization::char::is_combining_mark(c)
        {
            slug.push('-');
        }
        if slug.len() >= MOST {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        format!("/torrents/{id}")
    } else {
        format!("/torrents/{id}-{slug}")
    }
}

/// The id at the head of `12345-some-words`.
pub fn id_of(segment: &str) -> Option<TorrentId> {
    let digits = segment.split('-').next()?;
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(TorrentId)
}

/// Whether this viewer may change the torrent: its uploader, and moderators.
pub fn may_change(visit: &Visit, uploader: UserId) -> bool {
    visit.is_moderator() || visit.user().is_some_and(|user| user.id == uploader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_ids() {
        assert_eq!(
            url(TorrentId(7), "Débian 13.2 “trixie”!"),
            "/torrents/7-debian-13-2-trixie"
        );
        assert_eq!(url(TorrentId(7), "日本語"), "/torrents/7");
        assert_eq!(id_of("7-debian"), Some(TorrentId(7)));
        for wrong in ["", "-", "x7", "7x", "99999999999999999999", "+7"] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn titles() {
        assert_eq!(Title::parse("  a b ").unwrap().as_str(), "a b");
        assert!(Title::parse(" ").is_err() && Title::parse("a\nb").is_err());
        assert!(Title::parse(&"x".repeat(301)).is_err());
        assert_eq!(Title::of_name(&"x".repeat(400)).as_str().len(), 300);
    }
}
