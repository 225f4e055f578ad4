//! What a torrent must be to be found, with every name resolved to an id: what a [`Filter`](super::Filter) holds and
//! the engine evaluates.

use super::filter::{Kind, Who};
use super::language::values::Range;
use super::numbers::Swarm;
use super::words::Term;
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Of none: everything.
    All(Vec<Rule>),
    /// Of none: nothing.
    Any(Vec<Rule>),
    Not(Box<Rule>),
    /// In title, name, tags, uploader or file names.
    Words(Term),
    /// In the file names.
    File(Term),
    /// This category or one below it.
    Category(CategoryId),
    Tag(TagId),
    /// Uploaded by one of them, as far as the viewer may know.
    Uploaders(Vec<UserId>),
    /// Uploaded by one of them, also anonymously: what the one before becomes for those who may know.
    Owners(Vec<UserId>),
    Kind(Kind),
    Flag(Flag),
    /// This very one: what an infohash was resolved to.
    Torrent(TorrentId),
    /// Bytes.
    Size(Range),
    /// From the first moment on, before the second.
    Created {
        from: Timestamp,
        before: Timestamp,
    },
    /// Published after this one.
    NewerThan(TorrentId),
    Swarm(Check),
}

/// What swarm numbers must say. Unknown ones say nothing, not even zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    Within(Number, Range),
    /// Without a seeder, while somebody waits for one or nobody has been seen since this moment.
    NeedsSeeds(Timestamp),
}

impl Check {
    pub(super) fn holds(self, swarm: Option<Swarm>) -> bool {
        swarm.is_some_and(|swarm| match self {
            Self::NeedsSeeds(silent_since) => swarm.needs_seeds(silent_since),
            Self::Within(number, range) => range.holds(u64::from(match number {
                Number::Seeders => swarm.seeders,
                Number::Leechers => swarm.leechers,
                Number::Completed => swarm.completed,
            })),
        })
    }
}

/// What a torrent is or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    Private,
    Anonymous,
    V1,
    V2,
    WebSeed,
    Description,
    Tagged,
}

impl Flag {
    pub(super) const ALL: [Self; 7] = [
        Self::Private,
        Self::Anonymous,
        Self::V1,
        Self::V2,
        Self::WebSeed,
        Self::Description,
        Self::Tagged,
    ];

    /// The term in the index.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Anonymous => "anonymous",
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::WebSeed => "webseed",
            Self::Description => "description",
            Self::Tagged => "tagged",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    Seeders,
    Leechers,
    Completed,
}

impl Rule {
    /// Matches no torrent: what an unknown name comes to.
    pub fn nothing() -> Self {
        Self::Any(Vec::new())
    }

    /// Whether it looks for words anywhere, so that a torrent can be a better or a worse match.
    pub fn has_words(&self) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::has_words),
            Self::Words(_) => true,
            _ => false,
        }
    }

    /// Whether texts are looked into anywhere in it.
    pub(super) fn reads_texts(&self) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::reads_texts),
            Self::Not(rule) => rule.reads_texts(),
            Self::Words(_) | Self::File(_) => true,
            _ => false,
        }
    }

    /// Whether swarm numbers decide, which change without the index.
    pub(super) fn reads_numbers(&self) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::reads_numbers),
            Self::Not(rule) => rule.reads_numbers(),
            Self::Swarm(_) => true,
            _ => false,
        }
    }

    /// For this viewer: the same for everybody where it does not matter who asks, so that one answer serves all.
    pub(super) fn settled(&self, who: Who) -> Self {
        let all = |rules: &[Self]| rules.iter().map(|rule| rule.settled(who)).collect();
        match self {
            Self::All(rules) => Self::All(all(rules)),
            Self::Any(rules) => Self::Any(all(rules)),
            Self::Not(rule) => Self::Not(Box::new(rule.settled(who))),
            Self::Uploaders(ids) => uploaded_by(ids, who),
            rule => rule.clone(),
        }
    }
}

/// Anonymous uploads are told to be somebody's to their owner and to moderators only.
fn uploaded_by(ids: &[UserId], who: Who) -> Rule {
    let (known, others): (Vec<_>, Vec<_>) = ids.iter().partition(|id| who.sees_anonymous_of(**id));
    match (known.is_empty(), others.is_empty()) {
        (true, _) => Rule::Uploaders(others),
        (false, true) => Rule::Owners(known),
        (false, false) => Rule::Any(vec![Rule::Owners(known), Rule::Uploaders(others)]),
    }
}
