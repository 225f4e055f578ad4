//! Saved searches: a listing's query under a name, and how far its owner has looked. What has come since is new.

pub mod pages;
pub mod queries;

/// The longest name, in characters.
pub const NAME_CHARS: usize = 80;
/// The most that one member may keep: each is counted when the page of them is opened.
pub const MOST: i64 = 100;

/// What a member calls a search: one line of text, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("Give the search a name.".to_owned());
        }
        if text.chars().count() > NAME_CHARS {
            return Err(format!("A name has at most {NAME_CHARS} characters."));
        }
        if text.chars().any(char::is_control) {
            return Err("A name is one line without control characters.".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Name::parse("  arm64 <b> ").unwrap().as_str(), "arm64 <b>");
        for wrong in ["", " ", "a\nb", &"x".repeat(NAME_CHARS + 1)] {
            assert!(Name::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(Name::parse(&"木".repeat(NAME_CHARS)).is_ok());
    }
}
