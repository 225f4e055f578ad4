//! The tree of a query, and how it is written.

use std::fmt;

/// What was typed, understood as far as it can be without knowing the catalogue. Trees from [`parse`](super::parse) are flat: no
/// `All` directly in an `All`, no `Any` in an `Any`, no `Not` in a `Not`, and at least two members in each but for
/// the empty `All`, which stands for everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Text(Text),
    Field(Field, Value),
}

/// As typed, at most 200 characters with a letter or digit among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    Word(String),
    /// `"in a row"`
    Phrase(String),
    /// `beginn*`
    Prefix(String),
    /// `*inside*`
    Inside(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    pub text: String,
    pub quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Category,
    Tag,
    User,
    File,
    Size,
    After,
    Before,
    Seeders,
    Leechers,
    Completed,
    Is,
    Has,
    Hash,
}

impl Field {
    pub const ALL: [Self; 13] = [
        Self::Category,
        Self::Tag,
        Self::User,
        Self::File,
        Self::Size,
        Self::After,
        Self::Before,
        Self::Seeders,
        Self::Leechers,
        Self::Completed,
        Self::Is,
        Self::Has,
        Self::Hash,
    ];

    /// As it is written before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Category => "cat",
            Self::Tag => "tag",
            Self::User => "user",
            Self::File => "file",
            Self::Size => "size",
            Self::After => "after",
            Self::Before => "before",
            Self::Seeders => "seeders",
            Self::Leechers => "leechers",
            Self::Completed => "completed",
            Self::Is => "is",
            Self::Has => "has",
            Self::Hash => "hash",
        }
    }

    /// What it understands, for a message.
    pub fn understands(self) -> &'static str {
        match self {
            Self::Category => "the short name of a category, such as cat:linux",
            Self::Tag => "a tag, such as tag:public-domain",
            Self::User => "a member's name, such as user:ann",
            Self::File => "part of a file's name, such as file:readme",
            Self::Size => "sizes, such as size:>1gb or size:700mb..4gb",
            Self::After | Self::Before => {
                "days and spans, such as after:2026-01-31, before:2025 or after:7d (h, d, w, mo, y)"
            }
            Self::Seeders | Self::Leechers | Self::Completed => {
                "whole numbers, such as seeders:>0, leechers:0 or completed:10..50"
            }
            Self::Is => super::values::IS,
            Self::Has => super::values::HAS,
            Self::Hash => {
                "a whole infohash: 40 hexadecimal or 32 base32 digits (v1), or 64 hexadecimal digits (v2)"
            }
        }
    }
}

impl std::str::FromStr for Field {
    type Err = ();

    /// Of any case; `category` and `uploader` are understood too, because pages call them so.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.to_ascii_lowercase();
        match text.as_str() {
            "category" => Ok(Self::Category),
            "uploader" => Ok(Self::User),
            _ => Self::ALL
                .into_iter()
                .find(|field| field.as_str() == text)
                .ok_or(()),
        }
    }
}

impl Node {
    /// Everything.
    pub fn empty() -> Self {
        Self::All(Vec::new())
    }

    /// A field with any text for its value, as a form gives it.
    pub fn field(field: Field, text: &str) -> Self {
        let text = super::lex::squeezed(&text.replace(super::lex::is_quote, " "));
        let quoted = text.contains(super::lex::ends_word) || text.starts_with("//");
        Self::Field(field, Value { text, quoted })
    }

    /// What must all hold.
    pub fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::All(nodes) => nodes,
            node => vec![node],
        }
    }

    /// Words and fields in it.
    pub fn terms(&self) -> usize {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::terms).sum(),
            Self::Not(node) => node.terms(),
            Self::Text(_) | Self::Field(..) => 1,
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => f.write_str(text),
            Self::Phrase(text) => write!(f, "\"{text}\""),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Inside(text) => write!(f, "*{text}*"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "\"{}\"", self.text)
        } else {
            f.write_str(&self.text)
        }
    }
}

/// As it would be typed; reading it again gives the same tree.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(nodes) => {
                for (n, node) in nodes.iter().enumerate() {
                    if n > 0 {
                        f.write_str(" ")?;
                    }
                    match node {
                        Self::Any(_) => write!(f, "({node})")?,
                        _ => write!(f, "{node}")?,
                    }
                }
                Ok(())
            }
            Self::Any(nodes) => {
                for (n, node) in nodes.iter().enumerate() {
                    if n > 0 {
                        f.write_str(" | ")?;
                    }
                    write!(f, "{node}")?;
                }
                Ok(())
            }
            Self::Not(node) => match **node {
                Self::All(_) | Self::Any(_) => write!(f, "-({node})"),
                _ => write!(f, "-{node}"),
            },
            Self::Text(text) => text.fmt(f),
            Self::Field(field, value) => write!(f, "{}:{value}", field.as_str()),
        }
    }
}
