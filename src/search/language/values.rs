//! What the values of fields mean: sizes, numbers, days and spans, the words after `is:` and `has:`. A value that means
//! nothing is `None`, for the caller to say so.

use time::{Date, Month, OffsetDateTime, Time};

use crate::clock::Timestamp;
use crate::search::filter::Kind;
use crate::search::rule::{Check, Flag, Rule};

pub const IS: &str =
    "is:v1, is:hybrid, is:v2, is:private, is:public, is:trusted, is:anonymous, is:needy";
pub const HAS: &str = "has:v1, has:v2, has:webseed, has:description, has:tags";

/// What `is:` is followed by, without `trusted`, which takes a look at the members. `is:needy` needs seeds.
pub fn is(word: &str, now: Timestamp) -> Option<Rule> {
    Some(match word.to_ascii_lowercase().as_str() {
        "v1" => Rule::Kind(Kind::V1),
        "hybrid" => Rule::Kind(Kind::Hybrid),
        "v2" => Rule::Kind(Kind::V2),
        "private" => Rule::Flag(Flag::Private),
        "public" => Rule::Not(Box::new(Rule::Flag(Flag::Private))),
        "anonymous" => Rule::Flag(Flag::Anonymous),
        "needy" => Rule::Swarm(Check::NeedsSeeds(silent_since(now))),
        _ => return None,
    })
}

pub fn has(word: &str) -> Option<Rule> {
    Some(Rule::Flag(match word.to_ascii_lowercase().as_str() {
        "v1" => Flag::V1,
        "v2" => Flag::V2,
        "webseed" | "webseeds" => Flag::WebSeed,
        "description" => Flag::Description,
        "tag" | "tags" => Flag::Tagged,
        _ => return None,
    }))
}

/// Both ends included. `from` may lie above `to`: then nothing is within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    pub from: u64,
    pub to: u64,
}

impl Range {
    pub const ALL: Self = Self {
        from: 0,
        to: u64::MAX,
    };

    pub fn holds(self, n: u64) -> bool {
        (self.from..=self.to).contains(&n)
    }
}

/// `>x`, `>=x`, `<x`, `<=x`, `x..y`, `x..`, `..y`, or `x` alone.
fn range(
    text: &str,
    point: impl Fn(&str) -> Option<u64>,
    alone: impl Fn(&str) -> Option<Range>,
) -> Option<Range> {
    let text = text.trim();
    let all = Range::ALL;
    let after = |signs: &[&str]| signs.iter().find_map(|sign| text.strip_prefix(sign));
    if let Some(rest) = after(&[">=", "≥"]) {
        let from = point(rest)?;
        Some(Range { from, ..all })
    } else if let Some(rest) = after(&["<=", "≤"]) {
        let to = point(rest)?;
        Some(Range { to, ..all })
    } else if let Some(rest) = after(&[">"]) {
        let from = point(rest)?.saturating_add(1);
        Some(Range { from, ..all })
    } else if let Some(rest) = after(&["<"]) {
        Some(match point(rest)? {
            0 => Range { from: 1, to: 0 },
            n => Range { to: n - 1, ..all },
        })
    } else if let Some((from, to)) = text.split_once("..") {
        let end = |text: &str, open: u64| match text.trim() {
            "" => Some(open),
            text => point(text),
        };
        let range = Range {
            from: end(from, all.from)?,
            to: end(to, all.to)?,
        };
        (range != all).then_some(range)
    } else {
        alone(text)
    }
}

/// Bytes. A size alone means what is written so when rounded: `4gb` is 3.5 to 4.5, `1.4gb` is 1.35 to 1.45.
pub fn sizes(text: &str) -> Option<Range> {
    range(
        text,
        |text| Some(size(text)?.0),
        |text| {
            let (n, step) = size(text)?;
            let half = step / 2;
            Some(Range {
                from: n.saturating_sub(half),
                to: n.saturating_add(half.saturating_sub(1)),
            })
        },
    )
}

/// A size in bytes, and what one more in its last digit would add. Units are binary, as sizes are shown.
fn size(text: &str) -> Option<(u64, u64)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u128 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        "p" | "pb" | "pib" => 1 << 50,
        _ => return None,
    };
    let (whole, part) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let digits = format!("{whole}{part}");
    // So many that no product below can overflow.
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mantissa: u128 = digits.parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let bytes = u64::try_from(mantissa * unit / scale).ok()?;
    let step = u64::try_from(unit / scale).ok()?;
    Some((bytes, step))
}

/// Whole numbers of peers or downloads.
pub fn counts(text: &str) -> Option<Range> {
    let number = |text: &str| -> Option<u64> {
        let digits = text.trim();
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // More than anybody counts is as much as can be counted.
        plain.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    range(text, number, |text| {
        let n = number(text)?;
        Some(Range { from: n, to: n })
    })
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment, or as long before whenever it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// Seconds.
    Ago(i64),
    /// The beginning of a day, UTC.
    DaysAgo(i64),
}

impl Moment {
    /// Spans begin with a full minute, so that questions asked shortly after each other are the same question.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(s) => Timestamp(now.0.saturating_sub(s).div_euclid(MINUTE) * MINUTE),
            Self::DaysAgo(days) => Timestamp(
                now.0
                    .div_euclid(DAY)
                    .saturating_sub(days)
                    .saturating_mul(DAY),
            ),
        }
    }
}

/// A torrent without anybody for this long needs seeds; in whole hours, as spans are in whole minutes.
pub fn silent_since(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(7 * DAY).div_euclid(HOUR) * HOUR)
}

/// A day, a month or a year (its beginning, UTC), or a span that ends now: `7d`, `12h`, `2w`, `3mo`, `1y`, `today`.
pub fn moment(text: &str) -> Option<Moment> {
    let text = text.trim().to_ascii_lowercase();
    if let Some(days) = match text.as_str() {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => None,
    } {
        return Some(Moment::DaysAgo(days));
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if let Ok(n) = number.parse::<i64>() {
        let seconds = match unit.trim() {
            "h" | "hour" | "hours" => Some(HOUR),
            "d" | "day" | "days" => Some(DAY),
            "w" | "week" | "weeks" => Some(7 * DAY),
            "mo" | "month" | "months" => Some(30 * DAY),
            "y" | "year" | "years" => Some(365 * DAY),
            _ => None,
        };
        if let Some(seconds) = seconds {
            return n.checked_mul(seconds).map(Moment::Ago);
        }
    }
    day(&text)
}

fn day(text: &str) -> Option<Moment> {
    let mut numbers = text.split(['-', '/', '.']);
    let mut next = |or: &'static str, digits: std::ops::RangeInclusive<usize>| {
        let text = numbers.next().unwrap_or(or);
        let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (year, month, day) = (next("", 4..=4)?, next("1", 1..=2)?, next("1", 1..=2)?);
    if numbers.next().is_some() {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let start = OffsetDateTime::new_utc(date, Time::MIDNIGHT);
    Some(Moment::At(Timestamp(start.unix_timestamp())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn between(from: u64, to: u64) -> Option<Range> {
        Some(Range { from, to })
    }

    #[test]
    fn sizes_are_binary_and_open_at_either_end() {
        for (text, range) in [
            (">1gb", between(GIB + 1, u64::MAX)),
            (">= 1 GiB", between(GIB, u64::MAX)),
            ("<1.5g", between(0, GIB + GIB / 2 - 1)),
            ("..4gb", between(0, 4 * GIB)),
            ("700mb..", between(700 << 20, u64::MAX)),
            ("1gb..4gb", between(GIB, 4 * GIB)),
            ("<0", between(1, 0)),
            ("512", between(512, 512)),
            ("4gb", between(4 * GIB - GIB / 2, 4 * GIB + GIB / 2 - 1)),
            ("0,5k", between(512 - 51, 512 + 50)),
        ] {
            assert_eq!(sizes(text), range, "{text}");
        }
        for text in [
            "",
            "gb",
            "1xb",
            ">",
            "..",
            "1gb..2xb",
            "-1",
            "1.2.3gb",
            "9999999999999999999",
            "9999999p",
        ] {
            assert_eq!(sizes(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_whole() {
        for (text, range) in [
            ("0", between(0, 0)),
            (">0", between(1, u64::MAX)),
            ("<5", between(0, 4)),
            ("5..10", between(5, 10)),
            ("99999999999999999999", between(u64::MAX, u64::MAX)),
        ] {
            assert_eq!(counts(text), range, "{text}");
        }
        for text in ["", "many", "1.5", "-1", ">", "+1"] {
            assert_eq!(counts(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_spans() {
        for (text, moment_of) in [
            ("1970-01-02", Moment::At(Timestamp(DAY))),
            ("1970/1/2", Moment::At(Timestamp(DAY))),
            ("1970-02", Moment::At(Timestamp(31 * DAY))),
            ("1971", Moment::At(Timestamp(365 * DAY))),
            ("7d", Moment::Ago(7 * DAY)),
            ("12h", Moment::Ago(12 * HOUR)),
            ("1 mo", Moment::Ago(30 * DAY)),
            ("Yesterday", Moment::DaysAgo(1)),
        ] {
            assert_eq!(moment(text), Some(moment_of), "{text}");
        }
        for text in [
            "",
            "d",
            "2026-13",
            "2026-02-30",
            "26-01-01",
            "7",
            "7 x",
            "soon",
            "2026-01-01-01",
            "99999999999999y",
            "é",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_may_stand_where_a_value_should(text in "\\PC{0,30}") {
            let _ = (sizes(&text), counts(&text), moment(&text), is(&text, Timestamp(0)), has(&text));
        }
    }
}
