//! Tags: words that torrents are found by. A name is folded once, here; an alias is another word for a tag, and what
//! is typed becomes the tag. `merge` takes a tag off, or over to another, in steps.

pub mod merge;
pub mod pages;
pub mod queries;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::ids::TagId;
use crate::web::filters::urlencode;

/// Characters in a name.
pub const LONGEST: usize = 40;
/// Tags on a torrent.
pub const MOST: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Tag {
    pub id: TagId,
    pub name: String,
}

impl Tag {
    /// The listing of its torrents.
    pub fn url(&self) -> String {
        listing_url(&self.name)
    }
}

pub fn listing_url(name: &str) -> String {
    format!("/torrents?tag={}", urlencode(name))
}

/// A tag's name, folded: compatibility forms composed (NFKC), lower case, white space and `_` as one `-`; letters and
/// digits, with `-`, `.` and `+` inside and `+` at the end too (`c++`); 1 to 40 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(String);

impl TagName {
    pub fn parse(text: &str) -> Result<Self, String> {
        let composed: String = text.trim().nfkc().flat_map(char::to_lowercase).collect();
        let mut name = String::new();
        // Once more: the lower case of a composed letter may come in pieces.
        for c in composed.nfkc() {
            match c {
                _ if c.is_whitespace() || c == '_' || c == '-' => {
                    if !name.ends_with('-') {
                        name.push('-');
                    }
                }
                '.' | '+' => name.push(c),
                _ if c.is_alphanumeric() || (is_combining_mark(c) && !name.is_empty()) => {
                    name.push(c);
                }
                _ => {
                    return Err(format!(
                        "The tag `{}` has `{}` in it. Tags are made of letters and digits, with - . + between them.",
                        shown(text),
                        c.escape_debug()
                    ));
                }
            }
        }
        if name.is_empty() {
            return Err("Write a tag.".to_owned());
        }
        if name.chars().count() > LONGEST {
            return Err(format!(
                "The tag `{}` is longer than {LONGEST} characters. Shorten it.",
                shown(text)
            ));
        }
        if !name.starts_with(char::is_alphanumeric) || name.ends_with(['-', '.']) {
            return Err(format!(
                "The tag `{}` should start with a letter or a digit, and not end with - or a full stop.",
                shown(text)
            ));
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was typed, cut to what a message can hold.
fn shown(text: &str) -> String {
    text.trim()
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect()
}

/// Tags as typed into one field, separated by commas or lines; each once, in the order typed.
pub fn parse_list(text: &str) -> Result<Vec<TagName>, String> {
    let mut names = Vec::new();
    for part in text
        .split([',', '\n'])
        .filter(|part| !part.trim().is_empty())
    {
        let name = TagName::parse(part)?;
        if !names.contains(&name) {
            if names.len() == MOST {
                return Err(format!(
                    "A torrent has at most {MOST} tags. Take some away."
                ));
            }
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded() {
        for (text, name) in [
            ("Linux", "linux"),
            ("  Public   Domain ", "public-domain"),
            ("x86_64", "x86-64"),
            ("C++", "c++"),
            ("26.04", "26.04"),
            ("ＡＲＭ６４", "arm64"),
            ("Straße", "straße"),
            ("हिन्दी", "हिन्दी"),
            ("İstanbul", "i\u{307}stanbul"),
        ] {
            assert_eq!(TagName::parse(text).unwrap().as_str(), name);
            assert_eq!(
                TagName::parse(name).unwrap().as_str(),
                name,
                "folding twice changes nothing"
            );
        }
        for wrong in [
            "",
            "  ",
            "-",
            "-a",
            "a-",
            ".net",
            "a/b",
            "<b>",
            "a\0b",
            "a\u{202e}b",
            "\u{301}a",
            "a:b",
            "(x)",
            &"x".repeat(41),
            &"ﷺ".repeat(3),
        ] {
            assert!(TagName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lists() {
        let names =
            |text: &str| parse_list(text).map(|l| l.into_iter().map(|n| n.0).collect::<Vec<_>>());
        assert_eq!(
            names(" Linux, iso,,LINUX ,\narm64,").unwrap(),
            ["linux", "iso", "arm64"]
        );
        assert!(names("").unwrap().is_empty());
        let many = |n: usize| {
            (0..n)
                .map(|i| format!("t{i}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert_eq!(names(&many(20)).unwrap().len(), 20);
        assert!(names(&many(21)).unwrap_err().contains("20 tags"));
        assert!(names("fine, a!b").unwrap_err().contains("`a!b`"));
    }
}
