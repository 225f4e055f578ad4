//! The foot of the listing: numbered pages around this one, and the ways back and on, which begin at a torrent and so
//! skip and repeat nothing when others come in between.

use serde::Serialize;

use super::asked::{Asked, MAX_PAGE};
use crate::search::Found;
use crate::web::filters::number;

/// Numbers shown on either side of where somebody is.
const AROUND: usize = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Numbered {
    pub number: usize,
    pub url: String,
    pub current: bool,
    /// Pages before it are left out.
    pub gap: bool,
}

#[derive(Serialize)]
pub struct Pager {
    /// None where there is one page.
    pages: Vec<Numbered>,
    previous_url: Option<String>,
    next_url: Option<String>,
    page_text: String,
}

/// The foot of a page that shows `shown` torrents; `rows` are on a full one.
pub fn of(asked: &Asked, found: &Found, shown: usize, rows: usize) -> Pager {
    let position = usize::try_from(found.position).unwrap_or(usize::MAX);
    let total = usize::try_from(found.total).unwrap_or(usize::MAX);
    let text = |n: usize| number(i64::try_from(n).unwrap_or(i64::MAX));
    let paged = found.previous.is_some() || found.next.is_some();
    Pager {
        pages: around(position, total, rows)
            .into_iter()
            .map(|(number, current, gap)| Numbered {
                number,
                url: asked.at_page(number),
                current,
                gap,
            })
            .collect(),
        previous_url: found.previous.as_ref().map(|cursor| asked.at(Some(cursor))),
        next_url: found.next.as_ref().map(|cursor| asked.at(Some(cursor))),
        page_text: if paged {
            format!(
                "{} to {}",
                text(position.saturating_add(1)),
                text(position.saturating_add(shown))
            )
        } else {
            String::new()
        },
    }
}

/// The pages that get a number: the first, the last, and those around what begins behind `position` torrents, each with
/// whether it is this page and whether a gap comes before it. A place between two pages, where a torrent led and not
/// a number, is neither of them.
fn around(position: usize, total: usize, rows: usize) -> Vec<(usize, bool, bool)> {
    let last = total.div_ceil(rows).min(MAX_PAGE);
    if last < 2 {
        return Vec::new();
    }
    let here = position / rows + 1;
    let between = !position.is_multiple_of(rows);
    let nearest = here.min(last);
    let from = nearest.saturating_sub(AROUND);
    let to = nearest + AROUND + usize::from(between);
    let mut pages = Vec::new();
    let mut before = 0;
    for page in 1..=last {
        // One page left out would take the place of its number.
        let near = (from..=to).contains(&page) || page == 2 && from == 3;
        let near = near || page + 1 == last && to + 2 == last;
        if page == 1 || page == last || near {
            pages.push((page, page == here && !between, page > before + 1));
            before = page;
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[2]` is this page, `..` a gap.
    fn shown(position: usize, total: usize) -> String {
        let mut words = Vec::new();
        for (page, current, gap) in around(position, total, 50) {
            words.extend(gap.then(|| "..".to_owned()));
            words.push(match current {
                true => format!("[{page}]"),
                false => page.to_string(),
            });
        }
        words.join(" ")
    }

    #[test]
    fn numbers_stand_around_the_place() {
        assert_eq!(shown(0, 0), "");
        assert_eq!(shown(0, 50), "");
        assert_eq!(shown(0, 51), "[1] 2");
        assert_eq!(shown(50, 101), "1 [2] 3");
        assert_eq!(shown(0, 1_000), "[1] 2 .. 20");
        assert_eq!(shown(150, 1_000), "1 2 3 [4] 5 .. 20");
        assert_eq!(shown(500, 1_000), "1 .. 10 [11] 12 .. 20");
        assert_eq!(shown(800, 1_000), "1 .. 16 [17] 18 19 20");
        assert_eq!(shown(950, 1_000), "1 .. 19 [20]");
    }

    /// Where a torrent led to no page's beginning, no number says that it is here.
    #[test]
    fn between_two_pages_is_neither() {
        assert_eq!(shown(20, 1_000), "1 2 3 .. 20");
        assert_eq!(shown(520, 1_000), "1 .. 10 11 12 13 .. 20");
        assert_eq!(shown(980, 1_000), "1 .. 19 20");
    }

    #[test]
    fn a_hundred_pages_have_numbers() {
        assert_eq!(shown(4_950, 1_000_000), "1 .. 99 [100]");
        assert_eq!(shown(5_000, 1_000_000), "1 .. 99 100");
        assert_eq!(shown(999_950, 1_000_000), "1 .. 99 100");
    }
}
