//! What can be asked of the search, and what it answers. A [`Cursor`] is untrusted text; the rest is typed.

use data_encoding::BASE64URL_NOPAD;

use super::language;
pub use super::notice::Notice;
use super::rule::Rule;
use crate::accounts::Role;
pub use crate::bittorrent::metainfo::Kind;
use crate::clock::Timestamp;
use crate::ids::{CategoryId, TagId, TorrentId, UserId};

/// Who looks: decides what can be found at all, and whose anonymous uploads match `uploader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Guest,
    Member(UserId),
    Moderator(UserId),
}

impl Who {
    pub fn of(id: UserId, role: Role) -> Self {
        if role >= Role::Moderator {
            Self::Moderator(id)
        } else {
            Self::Member(id)
        }
    }

    /// Whether the anonymous uploads of `uploader` may be told to be theirs.
    pub fn sees_anonymous_of(self, uploader: UserId) -> bool {
        match self {
            Self::Guest => false,
            Self::Member(id) => id == uploader,
            Self::Moderator(_) => true,
        }
    }
}

/// What must all hold; nothing asked matches everything that may be seen. A category or a kind that stands here alone
/// counts as chosen: facets tell what another in its place would find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub all: Vec<Rule>,
}

impl Filter {
    pub fn of(rule: Rule) -> Self {
        match rule {
            Rule::All(all) => Self { all },
            rule => Self { all: vec![rule] },
        }
    }

    /// As typed; names and spans of time mean nothing here.
    pub fn words(text: &str) -> Self {
        let (node, _) = language::parse(text);
        let (names, now) = (language::Names::default(), Timestamp(0));
        Self::of(language::resolve(&node, &names, now, &mut Vec::new()))
    }

    /// Of that only what came later.
    pub fn newer_than(self, torrent: TorrentId) -> Self {
        self.and(Rule::NewerThan(torrent))
    }

    pub fn and(mut self, rule: Rule) -> Self {
        self.all.push(rule);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    Date,
    Size,
    Seeders,
    Leechers,
    Completed,
    Name,
    /// Exact title, then words in the title, in the name, in tags or uploader, in file names. Without words: by date.
    Relevance,
    /// No seeders before some, then most leechers, then smallest: where one seeder more helps most.
    Need,
}

impl SortKey {
    pub const ALL: [Self; 8] = [
        Self::Date,
        Self::Size,
        Self::Seeders,
        Self::Leechers,
        Self::Completed,
        Self::Name,
        Self::Relevance,
        Self::Need,
    ];

    /// The word in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Size => "size",
            Self::Seeders => "seeders",
            Self::Leechers => "leechers",
            Self::Completed => "completed",
            Self::Name => "name",
            Self::Relevance => "relevance",
            Self::Need => "need",
        }
    }
}

impl std::str::FromStr for SortKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|key| key.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("Sort by one of: {known}.")
            })
    }
}

/// Ties are broken by id, in the same direction. Unknown swarm numbers come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

impl Sort {
    pub const NEWEST: Self = Self {
        key: SortKey::Date,
        descending: true,
    };
}

impl Default for Sort {
    fn default() -> Self {
        Self::NEWEST
    }
}

/// A place in a listing, as opaque URL-safe text. From a URL it may be anything: one that does not fit the listing
/// counts as the first page, with a [`Notice::Cursor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In order. Read their rows with one query that checks visibility once more.
    pub ids: Vec<TorrentId>,
    /// How many match altogether.
    pub total: u64,
    /// How many come before this page.
    pub position: u64,
    pub previous: Option<Cursor>,
    pub next: Option<Cursor>,
    pub facets: Facets,
    pub notices: Vec<Notice>,
}

/// How many would match if the choice were made: a category or kind in place of the chosen one, a tag on top of
/// those chosen. Only what matches at all is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// By id; a parent counts its children too.
    pub categories: Vec<(CategoryId, u64)>,
    /// The 30 most frequent, most frequent first.
    pub tags: Vec<(TagId, u64)>,
    pub kinds: Vec<(Kind, u64)>,
}

/// What a torrent is ordered by. `Rank` already has the direction in it: smaller comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rank(u64),
    Name(String),
}

/// A torrent's place in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub key: Key,
    pub id: u64,
}

impl Place {
    pub fn compare(&self, other: &Self, descending: bool) -> std::cmp::Ordering {
        let by_key = match (&self.key, &other.key) {
            (Key::Rank(a), Key::Rank(b)) => a.cmp(b),
            (Key::Name(a), Key::Name(b)) if descending => b.cmp(a),
            (Key::Name(a), Key::Name(b)) => a.cmp(b),
            // One listing has one sort of key.
            (Key::Rank(_), Key::Name(_)) => std::cmp::Ordering::Less,
            (Key::Name(_), Key::Rank(_)) => std::cmp::Ordering::Greater,
        };
        by_key.then_with(|| {
            if descending {
                other.id.cmp(&self.id)
            } else {
                self.id.cmp(&other.id)
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    After,
    Before,
}

/// Changes whenever the bytes below do.
const CURSOR_VERSION: u8 = 1;
const CURSOR_BYTES: usize = 256;

impl Cursor {
    /// Bytes: version, sort key, flags (1 descending, 2 backwards), id, then the rank or the name.
    pub(super) fn at(sort: Sort, direction: Direction, place: &Place) -> Self {
        let flags = u8::from(sort.descending) | u8::from(direction == Direction::Before) << 1;
        let mut bytes = vec![CURSOR_VERSION, number_of(sort.key), flags];
        bytes.extend(place.id.to_be_bytes());
        match &place.key {
            Key::Rank(rank) => bytes.extend(rank.to_be_bytes()),
            Key::Name(name) => bytes.extend(name.as_bytes()),
        }
        Self(BASE64URL_NOPAD.encode(&bytes))
    }

    /// `None` if it is not of a listing sorted like this.
    pub(super) fn read(&self, sort: Sort) -> Option<(Direction, Place)> {
        if self.0.len() > CURSOR_BYTES * 2 {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(self.0.as_bytes()).ok()?;
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (id, key) = rest.split_first_chunk::<8>()?;
        if head[0] != CURSOR_VERSION
            || head[1] != number_of(sort.key)
            || head[2] & 1 != u8::from(sort.descending)
            || head[2] > 3
        {
            return None;
        }
        let direction = if head[2] & 2 == 0 {
            Direction::After
        } else {
            Direction::Before
        };
        let key = if sort.key == SortKey::Name {
            Key::Name(String::from_utf8(key.to_vec()).ok()?)
        } else {
            Key::Rank(u64::from_be_bytes(key.try_into().ok()?))
        };
        let id = u64::from_be_bytes(*id);
        Some((direction, Place { key, id }))
    }
}

fn number_of(key: SortKey) -> u8 {
    match key {
        SortKey::Date => 1,
        SortKey::Size => 2,
        SortKey::Seeders => 3,
        SortKey::Leechers => 4,
        SortKey::Completed => 5,
        SortKey::Name => 6,
        SortKey::Relevance => 7,
        SortKey::Need => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_fits_one_sort_only() {
        for key in SortKey::ALL {
            for descending in [true, false] {
                let sort = Sort { key, descending };
                let place = Place {
                    key: if key == SortKey::Name {
                        Key::Name("über 12".to_owned())
                    } else {
                        Key::Rank(u64::MAX - 3)
                    },
                    id: 70_001,
                };
                for direction in [Direction::After, Direction::Before] {
                    let cursor = Cursor::at(sort, direction, &place);
                    assert_eq!(cursor.read(sort), Some((direction, place.clone())));
                    let other = Sort {
                        descending: !descending,
                        ..sort
                    };
                    assert_eq!(cursor.read(other), None);
                }
            }
            assert_eq!(key.as_str().parse(), Ok(key));
        }
        assert!("ratio".parse::<SortKey>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_may_stand_where_a_cursor_should(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for key in SortKey::ALL {
                let sort = Sort { key, descending: true };
                let _ = Cursor(text.clone()).read(sort);
                let _ = Cursor(BASE64URL_NOPAD.encode(&bytes)).read(sort);
            }
        }
    }

    #[test]
    fn only_owner_and_moderators_see_who_is_anonymous() {
        let ann = UserId(1);
        assert!(Who::Member(ann).sees_anonymous_of(ann));
        assert!(Who::of(UserId(2), Role::Admin).sees_anonymous_of(ann));
        assert!(!Who::of(UserId(2), Role::Uploader).sees_anonymous_of(ann));
        assert!(!Who::Guest.sees_anonymous_of(ann));
    }
}
